//! The text of a setting to its value. Errors are the end of a sentence that begins with the setting's name.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::{Auth, LogFormat};

/// An address to listen on. Until there is access control, only loopback will do.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| format!("must be an address with a port, such as 127.0.0.1:8830, not '{text}'"))?;
    if address.ip().to_canonical().is_loopback() {
        return Ok(address);
    }
    Err(format!(
        "must be a loopback address, such as 127.0.0.1:8830 or [::1]:8830, not '{text}': with auth none, \
         everybody who can reach the port is an admin"
    ))
}

pub(super) fn auth(text: &str) -> Result<Auth, String> {
    match text {
        "none" => Ok(Auth::None),
        other => Err(format!(
            "must be 'none', the only way there is yet, not '{other}'"
        )),
    }
}

/// Only the scheme is looked at here; the store knows the rest.
pub(super) fn database(text: &str) -> Result<String, String> {
    if ["sqlite:", "postgres://", "postgresql://"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
    {
        return Ok(text.to_owned());
    }
    // The text may hold a password, so it is not repeated.
    Err("must be sqlite://PATH, sqlite::memory: or postgres://USER@HOST/NAME".to_owned())
}

pub(super) fn optional_path(text: &str) -> Result<Option<PathBuf>, String> {
    Ok(if text.is_empty() {
        None
    } else {
        Some(PathBuf::from(text))
    })
}

pub(super) fn spool_directory(text: &str) -> Result<PathBuf, String> {
    Ok(if text.is_empty() {
        std::env::temp_dir().join("ncgate-spool")
    } else {
        PathBuf::from(text)
    })
}

/// Networks and single addresses; `None` for no list at all.
pub(super) fn networks(text: &str) -> Result<Option<Vec<IpNet>>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let network = |item: &str| {
        let single = |address: IpAddr| IpNet::from(address);
        item.parse::<IpNet>()
            .or_else(|_| item.parse::<IpAddr>().map(single))
            .map_err(|_| format!("must be networks such as 192.0.2.0/24,2001:db8::/32, and '{item}' is none"))
    };
    list(text).map(network).collect::<Result<Vec<_>, _>>().map(Some)
}

pub(super) fn ports(text: &str) -> Result<Vec<RangeInclusive<u16>>, String> {
    let range = |item: &str| {
        let (from, to) = item.split_once('-').unwrap_or((item, item));
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
        match (port(from), port(to)) {
            (Some(from), Some(to)) if from <= to => Ok(from..=to),
            _ => Err(format!(
                "must be ports such as 22,830,4000-4100, and '{item}' is none"
            )),
        }
    };
    list(text).map(range).collect()
}

/// Entries between commas; what they must be is the service's to say.
pub(super) fn entries(text: &str) -> Result<Vec<String>, String> {
    Ok(list(text).map(str::to_owned).collect())
}

pub(super) fn rpc_names(text: &str) -> Result<Vec<String>, String> {
    let name = |item: &str| {
        let good = item
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if good {
            Ok(item.to_owned())
        } else {
            Err(format!("must be request tags, and '{item}' is none"))
        }
    };
    list(text).map(name).collect()
}

/// Bytes, as a number alone or with KiB, MiB or GiB.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(end) => text.split_at(end),
        None => (text, ""),
    };
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        _ => None,
    };
    let number: Option<u64> = number.parse().ok().filter(|number| *number > 0);
    number
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .ok_or_else(|| format!("must be a number of bytes such as 1048576 or 8MiB, not '{text}'"))
}

pub(super) fn count(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("must be a whole number from 1 on, not '{text}'"))
}

/// Whole seconds, up to a day.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=86_400).contains(number))
        .map(Duration::from_secs)
        .ok_or_else(|| format!("must be a whole number of seconds from 1 to 86400, not '{text}'"))
}

/// Whole seconds, none included, up to a day.
pub(super) fn up_to_a_day(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|number| *number <= 86_400)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("must be a whole number of seconds from 0 to 86400, not '{text}'"))
}

/// Whole seconds, up to ten years.
pub(super) fn long_time(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=315_360_000).contains(number))
        .map(Duration::from_secs)
        .ok_or_else(|| format!("must be a whole number of seconds from 1 to 315360000, not '{text}'"))
}

/// Whole seconds, none included.
pub(super) fn up_to_a_minute(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|number| *number <= 60)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("must be a whole number of seconds from 0 to 60, not '{text}'"))
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    match tracing_subscriber::EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!(
            "must be a level such as info, or directives, not '{text}'"
        )),
    }
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        other => Err(format!("must be json or text, not '{other}'")),
    }
}

/// The items between commas, without the spaces around them; empty ones do not count.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// A URL without the password that it may hold.
pub(super) fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // A query may name a password too, and it may hold slashes.
    let path = path
        .split_once('?')
        .map_or(path.to_owned(), |(path, _)| format!("{path}?…"));
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user = user
                .split_once(':')
                .map_or(user.to_owned(), |(user, _)| format!("{user}:…"));
            format!("{scheme}://{user}@{host}{path}")
        }
        None => format!("{scheme}://{authority}{path}"),
    }
}
