//! `<commit-configuration>` and what belongs to it: checks, comments, scheduled and confirmed commits (S14, S27, S28).

use super::{empty_request, require};
use crate::netconf::capability::Capabilities;
use crate::netconf::confirm_timeout::ConfirmTimeout;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// `<commit-configuration>`. Without options it commits now, and confirms a confirmed commit that is pending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitConfiguration {
    /// Only check whether it could be committed. On some devices this, too, confirms a pending confirmed commit.
    pub check: bool,
    /// The comment that the commit history keeps.
    pub log: Option<String>,
    /// Not now, but then.
    pub at_time: Option<AtTime>,
    /// On both routing engines.
    pub synchronize: bool,
    /// On both, even if the other one has uncommitted changes of its own.
    pub force_synchronize: bool,
    /// Every daemon reads the whole configuration again.
    pub full: bool,
    /// Undone unless it is confirmed in time.
    pub confirmed: Option<ConfirmTimeout>,
}

/// When a scheduled commit is made, in the device's own time: `reboot`, `hh:mm[:ss]` or `yyyy-mm-dd hh:mm[:ss]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtTime(String);

/// `<clear-system-commit/>`: a scheduled commit is called off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClearSystemCommit;

impl CommitConfiguration {
    /// The request.
    ///
    /// # Errors
    /// No Junos device; options that exclude each other; more minutes than the device can wait.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        require(capabilities, "commit-configuration")?;
        self.check()?;
        let mut writer = Writer::new();
        writer.open("commit-configuration")?;
        for (wanted, name) in [
            (self.synchronize || self.force_synchronize, "synchronize"),
            (self.force_synchronize, "force-synchronize"),
            (self.check, "check"),
        ] {
            if wanted {
                writer.empty(name)?;
            }
        }
        if let Some(at) = &self.at_time {
            writer.leaf("at-time", at.as_str())?;
        }
        if let Some(timeout) = self.confirmed {
            writer
                .empty("confirmed")?
                .leaf("confirm-timeout", &timeout.junos_minutes()?.to_string())?;
        }
        if self.full {
            writer.empty("full")?;
        }
        if let Some(log) = &self.log {
            writer.leaf("log", log)?;
        }
        writer.close()?;
        Ok(Rpc::new(writer.finish()?))
    }

    fn check(&self) -> Result<(), RequestError> {
        for (name, given) in [
            ("at", self.at_time.is_some()),
            ("confirm_timeout_seconds", self.confirmed.is_some()),
            ("full", self.full),
        ] {
            if given && self.check {
                return Err(RequestError::invalid(name, "cannot be combined with a check"));
            }
        }
        if self.at_time.is_some() && self.confirmed.is_some() {
            return Err(RequestError::invalid(
                "at",
                "a scheduled commit cannot be a confirmed one",
            ));
        }
        Ok(())
    }
}

impl AtTime {
    /// Reads a time.
    ///
    /// # Errors
    /// Any form but the three that Junos has, days and hours that no calendar has.
    pub fn parse(text: &str) -> Result<Self, RequestError> {
        let text = text.trim();
        let good = match text.split_once(' ') {
            Some((date, time)) => is_date(date) && is_time(time.trim_start()),
            None => text == "reboot" || is_time(text),
        };
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(RequestError::invalid(
                "at",
                format!("{text:?} is neither \"reboot\" nor hh:mm[:ss] nor yyyy-mm-dd hh:mm[:ss]"),
            ))
        }
    }

    /// As it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ClearSystemCommit {
    /// The request.
    ///
    /// # Errors
    /// No Junos device.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        empty_request("clear-system-commit", capabilities)
    }
}

fn is_date(text: &str) -> bool {
    let Some(parts) = numbers(text, '-', &[4, 2, 2]) else {
        return false;
    };
    (1..=12).contains(&parts[1]) && (1..=31).contains(&parts[2])
}

fn is_time(text: &str) -> bool {
    match numbers(text, ':', &[2, 2]).or_else(|| numbers(text, ':', &[2, 2, 2])) {
        Some(parts) => parts[0] < 24 && parts[1..].iter().all(|part| *part < 60),
        None => false,
    }
}

/// The numbers in a text, which must have exactly so many digits each.
fn numbers(text: &str, separator: char, digits: &[usize]) -> Option<Vec<u32>> {
    let parts: Vec<&str> = text.split(separator).collect();
    let fits = parts.len() == digits.len()
        && parts
            .iter()
            .zip(digits)
            .all(|(part, digits)| part.len() == *digits && part.bytes().all(|byte| byte.is_ascii_digit()));
    if !fits {
        return None;
    }
    parts.iter().map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S27: the three forms, and nothing else.
    #[test]
    fn times_are_checked() {
        for good in [
            "reboot",
            "00:00",
            "23:59:59",
            " 04:30 ",
            "2026-08-21 15:30:00",
            "2026-08-21 15:30",
        ] {
            assert_eq!(
                AtTime::parse(good).map(|at| at.as_str().to_owned()),
                Ok(good.trim().to_owned())
            );
        }
        for bad in [
            "",
            "now",
            "Reboot",
            "24:00",
            "12:60",
            "1:00",
            "12",
            "12:00:00:00",
            "12:00:60",
            "2026-13-01 12:00",
            "2026-00-10 12:00",
            "2026-01-32 12:00",
            "2026-1-1 12:00",
            "2026-01-01",
            "2026-01-01T12:00",
            "12:0x",
            "+1:00",
            "2026-01-01 12:00 x",
        ] {
            assert!(AtTime::parse(bad).is_err(), "{bad}");
        }
    }
}
