//! The one source of randomness: opaque ids, nonces and jitter. Seedable, so that a simulation with one seed
//! always takes the same course.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use time::OffsetDateTime;
use ulid::{Generator, Ulid};

/// Hands out ids and random bytes. Cheap to clone; all clones draw from one generator, which is
/// cryptographically strong when seeded by [`Ids::from_entropy`].
#[derive(Clone)]
pub struct Ids(Arc<Mutex<State>>);

struct State {
    rng: StdRng,
    generator: Generator,
}

impl std::fmt::Debug for Ids {
    /// Says nothing of the generator: its state would foretell every id and nonce to come.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ids")
    }
}

impl Ids {
    /// Seeded by the operating system. For everything but simulations.
    pub fn from_entropy() -> Self {
        Self::new(rand::make_rng())
    }

    /// The same seed gives the same sequence. Never for secrets outside a simulation.
    pub fn seeded(seed: u64) -> Self {
        Self::new(StdRng::seed_from_u64(seed))
    }

    fn new(rng: StdRng) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng,
            generator: Generator::new(),
        })))
    }

    /// A ULID for something made at `wall`. Ids of one process are strictly increasing, also within a
    /// millisecond and when the wall clock goes back, so they order a list by creation.
    pub fn ulid(&self, wall: OffsetDateTime) -> String {
        let mut state = self.lock();
        let State { rng, generator } = &mut *state;
        let made: Ulid = match generator.generate_from_datetime_with_source(SystemTime::from(wall), rng) {
            Ok(ulid) => ulid,
            Err(overflow) => overflow.commit_overflow_increment(),
        };
        made.to_string()
    }

    /// `N` random bytes, for nonces, keys and persist-ids.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.lock().rng.fill_bytes(&mut bytes);
        bytes
    }

    /// Evenly spread between nothing and `most`: full jitter for waiting times.
    pub fn jitter(&self, most: Duration) -> Duration {
        let drawn = self.lock().rng.next_u32();
        most.mul_f64(f64::from(drawn) / f64::from(u32::MAX))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A generator has no invariant that a panic elsewhere could break.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: OffsetDateTime = OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::days(20_000));

    #[test]
    fn one_seed_one_course() {
        let (a, b) = (Ids::seeded(7), Ids::seeded(7));
        assert_eq!(a.ulid(AT), b.ulid(AT));
        assert_eq!(a.bytes::<16>(), b.bytes::<16>());
        assert_eq!(
            a.jitter(Duration::from_secs(60)),
            b.jitter(Duration::from_secs(60))
        );
        assert_ne!(Ids::seeded(8).ulid(AT), Ids::seeded(9).ulid(AT));
        assert_ne!(
            Ids::from_entropy().bytes::<32>(),
            Ids::from_entropy().bytes::<32>()
        );
    }

    #[test]
    fn ulids_increase_even_when_the_wall_clock_goes_back() {
        let ids = Ids::seeded(1);
        let mut last = ids.ulid(AT + time::Duration::hours(1));
        for _ in 0..100 {
            let next = ids.ulid(AT);
            assert_eq!(next.len(), 26);
            assert!(next > last, "{next} must be after {last}");
            last = next;
        }
    }

    /// Q4: full jitter stays within its bound and uses all of it.
    #[test]
    fn jitter_is_spread_over_the_whole_range() {
        let ids = Ids::seeded(2);
        let most = Duration::from_secs(60);
        let drawn: Vec<Duration> = (0..1000).map(|_| ids.jitter(most)).collect();
        assert!(drawn.iter().all(|wait| *wait <= most));
        assert!(drawn.iter().any(|wait| *wait < most / 10));
        assert!(drawn.iter().any(|wait| *wait > most / 10 * 9));
        assert_eq!(ids.jitter(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn debug_tells_nothing() {
        assert_eq!(format!("{:?}", Ids::seeded(3)), "Ids");
    }
}
