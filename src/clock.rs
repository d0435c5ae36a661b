//! The one source of time: monotonic for timers, wall time for people, boot time for deadlines that must
//! survive a restart.
//!
//! Timers use [`Clock::now`], which is tokio's clock, so paused or simulated runtimes move it. A deadline that
//! goes to the database keeps [`Stamp`]: within one boot of the machine the boot clock is right whatever
//! happens to the wall clock, and after a reboot the wall clock is all there is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

/// Reads time. Cheap to clone; all clones agree.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    System { boot_id: String, started: Instant },
    Simulated(Simulated),
}

/// Wall and boot time derived from tokio's instant, so that virtual time moves all three together.
#[derive(Debug)]
struct Simulated {
    boot_id: String,
    /// At the start.
    since_boot: Duration,
    started: Instant,
    start: OffsetDateTime,
    /// Seconds by which somebody set the wall clock since the start.
    set_by: Mutex<time::Duration>,
}

/// One moment, in the two ways of telling it that outlive this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub wall: OffsetDateTime,
    /// Identifies one boot of the machine.
    pub boot_id: String,
    /// Time since that boot, suspended time included.
    pub since_boot: Duration,
}

impl Clock {
    /// The machine's clocks. The boot id and boot clock come from `/proc`; where there is none, the process
    /// counts as the boot, so stored deadlines fall back to wall time after a restart.
    pub fn system() -> Self {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map(|text| text.trim().to_owned())
            .ok()
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| format!("process-{:032x}", rand::random::<u128>()));
        Self(Arc::new(Kind::System {
            boot_id,
            started: Instant::now(),
        }))
    }

    /// A clock that starts at `start` and moves with tokio's time alone.
    pub fn simulated(start: OffsetDateTime, boot_id: &str) -> Self {
        Self::simulated_from(&Stamp {
            wall: start,
            boot_id: boot_id.to_owned(),
            since_boot: Duration::ZERO,
        })
    }

    /// A clock that goes on from this moment, as for a process that starts on a machine that is up already.
    pub fn simulated_from(start: &Stamp) -> Self {
        Self(Arc::new(Kind::Simulated(Simulated {
            boot_id: start.boot_id.clone(),
            since_boot: start.since_boot,
            started: Instant::now(),
            start: start.wall,
            set_by: Mutex::new(time::Duration::ZERO),
        })))
    }

    /// Monotonic time, for every timer and deadline inside the process.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Wall time in UTC. May jump either way; never compare two of them to measure a duration.
    pub fn wall(&self) -> OffsetDateTime {
        match &*self.0 {
            Kind::System { .. } => OffsetDateTime::now_utc(),
            Kind::Simulated(simulated) => simulated.wall(),
        }
    }

    /// Which boot of the machine this is.
    pub fn boot_id(&self) -> &str {
        match &*self.0 {
            Kind::System { boot_id, .. } => boot_id,
            Kind::Simulated(simulated) => &simulated.boot_id,
        }
    }

    /// Time since the machine booted, to a hundredth of a second, suspended time included.
    pub fn since_boot(&self) -> Duration {
        match &*self.0 {
            Kind::System { started, .. } => std::fs::read_to_string("/proc/uptime")
                .ok()
                .and_then(|text| parse_uptime(&text))
                .unwrap_or_else(|| started.elapsed()),
            Kind::Simulated(simulated) => simulated.since_boot + simulated.started.elapsed(),
        }
    }

    /// This moment, for the database.
    pub fn stamp(&self) -> Stamp {
        Stamp {
            wall: self.wall(),
            boot_id: self.boot_id().to_owned(),
            since_boot: self.since_boot(),
        }
    }

    /// How much time has passed since `earlier`. Within one boot the boot clock decides; across a reboot the
    /// wall clocks do, and a wall clock that went backwards counts as no time.
    pub fn elapsed_since(&self, earlier: &Stamp) -> Duration {
        if earlier.boot_id == self.boot_id() {
            return self.since_boot().saturating_sub(earlier.since_boot);
        }
        Duration::try_from(self.wall() - earlier.wall).unwrap_or(Duration::ZERO)
    }

    /// Sets a simulated wall clock forward or back, as an operator or NTP would. The system's clock is not
    /// ours to set: there it does nothing.
    pub fn jump_wall(&self, by: time::Duration) {
        match &*self.0 {
            Kind::System { .. } => {}
            Kind::Simulated(simulated) => {
                let mut set_by = simulated.set_by.lock().unwrap_or_else(PoisonError::into_inner);
                *set_by = set_by.saturating_add(by);
            }
        }
    }
}

impl Simulated {
    fn wall(&self) -> OffsetDateTime {
        let set_by = *self.set_by.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = time::Duration::try_from(self.started.elapsed()).unwrap_or(time::Duration::MAX);
        self.start.saturating_add(passed).saturating_add(set_by)
    }
}

/// The first number of `/proc/uptime`: seconds since boot with two decimals.
fn parse_uptime(text: &str) -> Option<Duration> {
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    #[test]
    fn uptime_is_the_first_number() {
        assert_eq!(
            parse_uptime("350735.47 234388.90\n"),
            Some(Duration::from_millis(350_735_470))
        );
        assert_eq!(parse_uptime(""), None);
        assert_eq!(parse_uptime("-1.0 2.0"), None);
        assert_eq!(parse_uptime("soon"), None);
    }

    /// Quality row 26: a wall clock that jumps changes neither timers nor stored durations of one boot.
    #[tokio::test(start_paused = true)]
    async fn wall_jump_leaves_elapsed_time_alone() {
        let clock = Clock::simulated(START, "boot-1");
        let stamp = clock.stamp();
        tokio::time::advance(Duration::from_secs(5)).await;
        clock.jump_wall(time::Duration::hours(-1));
        assert_eq!(clock.wall(), START + time::Duration::seconds(5 - 3600));
        assert_eq!(clock.elapsed_since(&stamp), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_reboot_the_wall_clock_decides() {
        let before = Clock::simulated(START, "boot-1").stamp();
        let clock = Clock::simulated(START + time::Duration::seconds(90), "boot-2");
        assert_eq!(clock.elapsed_since(&before), Duration::from_secs(90));
        clock.jump_wall(time::Duration::hours(-2));
        assert_eq!(clock.elapsed_since(&before), Duration::ZERO);
    }

    /// A process that starts anew within one boot measures what another one began.
    #[tokio::test(start_paused = true)]
    async fn a_boot_goes_on_in_the_next_process() {
        let first = Clock::simulated(START, "boot-1");
        tokio::time::advance(Duration::from_secs(5)).await;
        let next = Clock::simulated_from(&first.stamp());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(next.stamp(), first.stamp());
        assert_eq!(next.since_boot(), Duration::from_secs(7));
    }

    #[test]
    fn system_clock_knows_its_boot() {
        let clock = Clock::system();
        assert!(!clock.boot_id().is_empty());
        assert_eq!(clock.boot_id(), clock.clone().boot_id());
        assert!(clock.wall().year() >= 2024);
        assert!(clock.elapsed_since(&clock.stamp()) < Duration::from_secs(5));
    }
}
