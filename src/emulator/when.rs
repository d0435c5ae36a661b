//! Points in time and spans as a device prints them.

use crate::clock::Clock;

/// Where a device has its time from.
#[derive(Clone, Debug)]
pub enum DeviceTime {
    /// It stands still, in seconds since 1970: every answer is the same every time.
    Fixed(i64),
    /// The wall time of a clock, which may be a simulated one.
    Clock(Clock),
}

impl DeviceTime {
    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        match self {
            Self::Fixed(seconds) => *seconds,
            Self::Clock(clock) => clock.wall().unix_timestamp(),
        }
    }
}

/// `2026-01-15 12:00:00 UTC`
pub fn date_time(seconds: i64) -> String {
    let when = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = when.to_calendar_date();
    let (hour, minute, second) = when.to_hms();
    format!(
        "{year:04}-{:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC",
        u8::from(month)
    )
}

/// The next moment that a time names: `22:45`, `22:45:10`, `2026-01-15 22:45`, with or without seconds. Times without
/// a date are those of today, as seen from `now`; what is past is none.
pub fn parse_time(text: &str, now: i64) -> Option<i64> {
    let today = time::OffsetDateTime::from_unix_timestamp(now).ok()?;
    let (date, time) = match text.trim().split_once(' ') {
        Some((date, time)) => {
            let mut parts = date.splitn(3, '-');
            let year = parts.next()?.parse().ok()?;
            let month = parts.next()?.parse::<u8>().ok()?.try_into().ok()?;
            let day = parts.next()?.parse().ok()?;
            (time::Date::from_calendar_date(year, month, day).ok()?, time)
        }
        None => (today.date(), text.trim()),
    };
    let mut parts = time.trim().splitn(3, ':');
    let hour = parts.next()?.parse().ok()?;
    let minute = parts.next()?.parse().ok()?;
    let second = parts.next().map_or(Ok(0), str::parse).ok()?;
    let time = time::Time::from_hms(hour, minute, second).ok()?;
    let moment = time::PrimitiveDateTime::new(date, time)
        .assume_utc()
        .unix_timestamp();
    (moment > now).then_some(moment)
}

/// `12:00PM`
pub fn clock(seconds: i64) -> String {
    let when = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let half = if when.hour() < 12 { "AM" } else { "PM" };
    let hour = if when.hour().is_multiple_of(12) {
        12
    } else {
        when.hour() % 12
    };
    format!("{hour}:{:02}{half}", when.minute())
}

/// `6w0d 05:04`, or `05:04:03` within a day.
pub fn ago(span: i64) -> String {
    let (days, hours, minutes, seconds) = split(span);
    match (days / 7, days % 7) {
        (0, 0) => format!("{hours:02}:{minutes:02}:{seconds:02}"),
        (0, days) => format!("{days}d {hours:02}:{minutes:02}"),
        (weeks, days) => format!("{weeks}w{days}d {hours:02}:{minutes:02}"),
    }
}

/// `00:07`, hours and minutes, or `00:00:07` within a minute.
pub fn idle(span: i64) -> String {
    let (days, hours, minutes, seconds) = split(span);
    let hours = days * 24 + hours;
    if hours == 0 && minutes == 0 {
        format!("00:00:{seconds:02}")
    } else {
        format!("{hours:02}:{minutes:02}")
    }
}

/// `42 days, 5 hours, 4 minutes, 3 seconds`
pub fn span(span: i64) -> String {
    let (days, hours, minutes, seconds) = split(span);
    let part = |number: i64, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    let parts = [
        (days, "day"),
        (hours, "hour"),
        (minutes, "minute"),
        (seconds, "second"),
    ];
    let shown: Vec<_> = parts
        .iter()
        .skip_while(|(number, _)| *number == 0)
        .map(|(n, w)| part(*n, w))
        .collect();
    if shown.is_empty() {
        part(0, "second")
    } else {
        shown.join(", ")
    }
}

/// `42 days,  5:04` as `show system uptime` has it.
pub fn up(span: i64) -> String {
    let (days, hours, minutes, _) = split(span);
    if days > 0 {
        format!("{days} days, {hours:2}:{minutes:02}")
    } else {
        format!("{hours}:{minutes:02}")
    }
}

fn split(span: i64) -> (i64, i64, i64, i64) {
    let span = span.max(0);
    (span / 86_400, span / 3_600 % 24, span / 60 % 60, span % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_spans_are_printed_as_a_device_prints_them() {
        assert_eq!(date_time(1_768_478_400), "2026-01-15 12:00:00 UTC");
        assert_eq!(parse_time("2026-01-15 12:30", 1_768_478_400), Some(1_768_480_200));
        assert_eq!(parse_time("12:00:10", 1_768_478_400), Some(1_768_478_410));
        for past in [
            "11:59",
            "2026-01-15 12:00",
            "2026-02-30 12:00",
            "25:00",
            "noon",
            "",
        ] {
            assert_eq!(parse_time(past, 1_768_478_400), None, "{past}");
        }
        assert_eq!(clock(1_768_478_400), "12:00PM");
        assert_eq!(ago(3_600_000), "5w6d 16:00");
        assert_eq!(ago(3_723), "01:02:03");
        assert_eq!(span(3_600_001), "41 days, 16 hours, 0 minutes, 1 second");
        assert_eq!(up(3_600_000), "41 days, 16:00");
    }
}
