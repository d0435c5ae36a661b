//! How long a device waits for the confirmation of a commit: seconds for RFC servers, minutes for Junos (C1).

use std::time::Duration;

use super::rpc::RequestError;

/// Minutes that Junos takes at most (`<confirm-timeout>` of commit-configuration).
const MAX_MINUTES: u64 = 65_535;

/// The time within which a confirmed commit must be confirmed: at least one second, and no more than the 4294967295
/// seconds of RFC 6241 section 8.4.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfirmTimeout {
    seconds: u32,
}

impl ConfirmTimeout {
    /// A timeout of so many seconds.
    ///
    /// # Errors
    /// No time at all: the device would undo the commit at once.
    pub fn from_seconds(seconds: u32) -> Result<Self, RequestError> {
        match seconds {
            0 => Err(RequestError::invalid(
                "confirm_timeout_seconds",
                "a confirmed commit needs at least one second",
            )),
            seconds => Ok(Self { seconds }),
        }
    }

    /// What RFC `<commit>` takes.
    pub fn rfc_seconds(self) -> u32 {
        self.seconds
    }

    /// What Junos `<commit-configuration>` takes: whole minutes, rounded up, never 0.
    ///
    /// # Errors
    /// More than Junos can wait.
    pub fn junos_minutes(self) -> Result<u16, RequestError> {
        let minutes = u64::from(self.seconds).div_ceil(60);
        u16::try_from(minutes).map_err(|_| {
            RequestError::invalid(
                "confirm_timeout_seconds",
                format!("this device waits {MAX_MINUTES} minutes at most"),
            )
        })
    }

    /// How long an RFC server waits.
    pub fn rfc(self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }

    /// How long Junos waits, which may be up to 59 seconds longer than asked for.
    ///
    /// # Errors
    /// As `junos_minutes`.
    pub fn junos(self) -> Result<Duration, RequestError> {
        Ok(Duration::from_secs(60 * u64::from(self.junos_minutes()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seconds: u32) -> ConfirmTimeout {
        ConfirmTimeout::from_seconds(seconds).expect("some time")
    }

    /// C1: minutes are rounded up and are never 0, so that a device never undoes a commit at once.
    #[test]
    fn minutes_are_rounded_up() {
        for (seconds, minutes) in [(1, 1), (59, 1), (60, 1), (61, 2), (600, 10), (3_932_100, 65_535)] {
            assert_eq!(of(seconds).junos_minutes(), Ok(minutes), "{seconds}");
            assert_eq!(of(seconds).rfc_seconds(), seconds);
        }
        assert_eq!(of(61).junos(), Ok(Duration::from_secs(120)));
        assert_eq!(of(61).rfc(), Duration::from_secs(61));
        assert!(of(3_932_101).junos_minutes().is_err());
        assert_eq!(of(u32::MAX).rfc_seconds(), u32::MAX);
        assert!(ConfirmTimeout::from_seconds(0).is_err());
    }
}
