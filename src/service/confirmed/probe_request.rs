//! What callers may have probed (design section 6), and that there is time for it before the device undoes the commit
//! (conventions C4). Nothing is sent here.

use std::time::Duration;

use serde_json::Value;

use super::probe::{Expectation, Probe, ProbeState};
use crate::error::Error;
use crate::service::Gateway;
use crate::service::edit::request::{Expect, ProbeRequest};
use crate::service::prepare;
use crate::service::request::Format;
use crate::service::rpc::Runs;
use crate::store::DeviceRecord;

/// So long before the device may undo the commit the probe must have come to its end: the two seconds of C4, and what is
/// looked at before a confirm is sent.
pub(super) const SPARE: Duration = Duration::from_secs(5);

const DELAY: u64 = 5;
const INTERVAL: u64 = 5;
const GIVE_UP: u64 = 30;
/// The longest of each of them, in seconds.
const LONGEST: u64 = 86_400;
const MOST_EXPECTED: usize = 16;
/// Bytes of a pointer, and of a value.
const LONGEST_POINTER: usize = 1024;
const LONGEST_VALUE: usize = 4096;

impl Gateway {
    /// The probe that a caller wants. `confirms`: for a commit that has to be confirmed.
    ///
    /// # Errors
    /// `invalid-argument`, `use-resource`, with pointers below `/probe`.
    pub(in crate::service) fn probe(
        &self,
        device: &DeviceRecord,
        request: &ProbeRequest,
        confirms: bool,
    ) -> Result<Probe, Error> {
        if !confirms {
            let detail =
                "only a commit with confirm_timeout_seconds can be confirmed or cancelled by a probe";
            return Err(Error::invalid("/probe", detail));
        }
        if device.settings.pool.max_sessions < 2 {
            let detail =
                "the probe needs a session beside that of the commit, and max_sessions of the device is 1";
            return Err(Error::invalid("/probe", detail));
        }
        let prepared = prepare::rpc(&request.rpc, Format::Json, "/probe/rpc")?;
        match self.judge(&prepared, false)? {
            Runs::Pooled => {}
            Runs::Alone { .. } => {
                let detail = format!(
                    "{} is not on the list of RPCs that only read, and a probe is repeated",
                    prepared.operation
                );
                return Err(Error::invalid("/probe/rpc", detail));
            }
        }
        if request.expect.len() > MOST_EXPECTED {
            let detail = format!("at most {MOST_EXPECTED} are possible");
            return Err(Error::invalid("/probe/expect", detail));
        }
        let expect = request.expect.iter().enumerate().map(|(at, expect)| {
            expectation(expect)
                .map_err(|(member, detail)| Error::invalid(format!("/probe/expect/{at}/{member}"), detail))
        });
        Ok(Probe {
            rpc: prepared.body.as_str().to_owned(),
            expect: expect.collect::<Result<_, _>>()?,
            delay_seconds: seconds(request.delay_seconds, 0, DELAY, "delay_seconds")?,
            interval_seconds: seconds(request.interval_seconds, 1, INTERVAL, "interval_seconds")?,
            give_up_seconds: seconds(request.give_up_seconds, 1, GIVE_UP, "give_up_seconds")?,
            state: ProbeState::Running,
            attempts: 0,
            last: None,
        })
    }

    /// That the probe ends before the device may undo the commit. `timeout`: what the device is told.
    ///
    /// # Errors
    /// `invalid-argument` with the numbers.
    pub(in crate::service) fn check_probe_time(
        &self,
        device: &str,
        probe: &Probe,
        timeout: Duration,
    ) -> Result<(), Error> {
        // The device's time may begin when the commit is sent.
        let slowest = self.inner.pace.slowest(device);
        let spare = (SPARE + slowest).as_secs() + u64::from(slowest.subsec_nanos() > 0);
        if probe.longest().as_secs() + spare <= timeout.as_secs() {
            return Ok(());
        }
        let (delay, give_up) = (probe.delay_seconds, probe.give_up_seconds);
        let detail = format!(
            "{delay} s of delay_seconds, {give_up} s of give_up_seconds and {spare} s for the commit and its confirmation \
             are more than the {} s after which the device undoes it",
            timeout.as_secs()
        );
        Err(Error::invalid("/probe/give_up_seconds", detail))
    }
}

fn seconds(given: Option<u64>, least: u64, usual: u64, member: &str) -> Result<u64, Error> {
    let seconds = given.unwrap_or(usual);
    if (least..=LONGEST).contains(&seconds) {
        return Ok(seconds);
    }
    let detail = format!("{seconds} is not between {least} and {LONGEST}");
    Err(Error::invalid(format!("/probe/{member}"), detail))
}

/// # Errors
/// The member that is wrong, and why.
fn expectation(expect: &Expect) -> Result<Expectation, (&'static str, String)> {
    let Expect { pointer, equals } = expect;
    if pointer.len() > LONGEST_POINTER {
        return Err(("pointer", format!("is longer than {LONGEST_POINTER} bytes")));
    }
    if !is_pointer(pointer) {
        let detail = "is no JSON pointer: it begins with / or is empty, and ~ is written ~0, / in a name ~1";
        return Err(("pointer", detail.to_owned()));
    }
    if equals.len() > LONGEST_VALUE {
        return Err(("equals", format!("is longer than {LONGEST_VALUE} bytes")));
    }
    let value: Value =
        serde_json::from_str(equals).map_err(|error| ("equals", format!("not valid JSON: {error}")))?;
    if can_never_hold(&value) {
        let detail =
            "no reply holds numbers, true or false: what a device says is text, such as \"1\", or null";
        return Err(("equals", detail.to_owned()));
    }
    Ok(Expectation {
        pointer: pointer.clone(),
        equals: value,
    })
}

/// Whether the value holds something that the mapping makes of nothing (N3).
fn can_never_hold(value: &Value) -> bool {
    match value {
        Value::Number(_) | Value::Bool(_) => true,
        Value::Array(items) => items.iter().any(can_never_hold),
        Value::Object(members) => members.values().any(can_never_hold),
        Value::Null | Value::String(_) => false,
    }
}

/// RFC 6901 section 3.
fn is_pointer(text: &str) -> bool {
    let escaped = |at: usize| matches!(text.as_bytes().get(at + 1), Some(b'0' | b'1'));
    (text.is_empty() || text.starts_with('/')) && text.match_indices('~').all(|(at, _)| escaped(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H1: what can never hold is refused before anything is sent.
    #[test]
    fn expectations_are_checked() {
        let wrong = |pointer: &str, equals: &str| {
            let expect = Expect {
                pointer: pointer.to_owned(),
                equals: equals.to_owned(),
            };
            expectation(&expect).err().map(|(member, _)| member)
        };
        assert_eq!(wrong("", "{}"), None);
        assert_eq!(wrong("/a~1b/~0", "\"up\""), None);
        for pointer in ["a", "/a~", "/a~2", "#/a"] {
            assert_eq!(wrong(pointer, "1"), Some("pointer"), "{pointer}");
        }
        assert_eq!(wrong(&format!("/{}", "a".repeat(1024)), "1"), Some("pointer"));
        for equals in ["", "up", "1 2", "1", "true", "[{\"a\": 1.5}]", &"[".repeat(1000)] {
            assert_eq!(wrong("/a", equals), Some("equals"), "{equals}");
        }
    }

    #[test]
    fn times_have_defaults_and_bounds() {
        assert_eq!(seconds(None, 0, 5, "delay_seconds").ok(), Some(5));
        assert_eq!(seconds(Some(0), 0, 5, "delay_seconds").ok(), Some(0));
        let error = seconds(Some(0), 1, 5, "interval_seconds").unwrap_err();
        assert_eq!(error.fields()[0].pointer, "/probe/interval_seconds");
        assert!(seconds(Some(u64::MAX), 1, 5, "give_up_seconds").is_err());
    }
}
