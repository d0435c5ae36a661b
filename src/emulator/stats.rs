//! What happened on a device: counters, and the names of the requests it saw.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names of requests kept, oldest given up first. The counts go on.
const NAMES: usize = 10_000;
/// Requests kept whole, oldest given up first.
const REQUESTS: usize = 64;
/// A longer request is not kept, in bytes.
const REQUEST_BYTES: usize = 64 << 10;

/// A picture of the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Connections accepted, refused ones included.
    pub connections: u64,
    /// Connections that are open.
    pub open_connections: u64,
    /// Logins tried: passwords, verified keys, completed dialogues. An offer of a key alone does not count.
    pub auth_attempts: u64,
    /// Logins that succeeded.
    pub auth_successes: u64,
    /// NETCONF sessions opened.
    pub sessions: u64,
    /// NETCONF sessions that are open.
    pub open_sessions: u64,
    /// Requests, by operation.
    pub rpc_counts: BTreeMap<String, u64>,
    /// Operations in the order in which they came; the last ten thousand.
    pub rpcs: Vec<String>,
    /// The last requests, as they came: at most 64, and none that is longer than 64 KiB.
    pub requests: Vec<String>,
}

impl Snapshot {
    /// How often this operation was asked for.
    pub fn count(&self, operation: &str) -> u64 {
        self.rpc_counts.get(operation).copied().unwrap_or(0)
    }
}

/// The counters of a running device. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    counters: Snapshot,
    rpcs: VecDeque<String>,
    requests: VecDeque<String>,
}

impl Stats {
    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        let inner = self.lock();
        let mut snapshot = inner.counters.clone();
        snapshot.rpcs = inner.rpcs.iter().cloned().collect();
        snapshot.requests = inner.requests.iter().cloned().collect();
        snapshot
    }

    pub(super) fn connection(&self) -> Open {
        let mut inner = self.lock();
        inner.counters.connections += 1;
        inner.counters.open_connections += 1;
        Open {
            stats: self.clone(),
            of: Of::Connection,
        }
    }

    pub(super) fn session(&self) -> Open {
        let mut inner = self.lock();
        inner.counters.sessions += 1;
        inner.counters.open_sessions += 1;
        Open {
            stats: self.clone(),
            of: Of::Session,
        }
    }

    pub(super) fn auth(&self, success: bool) {
        let mut inner = self.lock();
        inner.counters.auth_attempts += 1;
        inner.counters.auth_successes += u64::from(success);
    }

    pub(super) fn rpc(&self, operation: &str) {
        let mut inner = self.lock();
        // Names come from the client; only the bounded list and the counts of the first names are kept.
        let known = inner.counters.rpc_counts.contains_key(operation);
        if known || inner.counters.rpc_counts.len() < NAMES {
            *inner.counters.rpc_counts.entry(operation.to_owned()).or_default() += 1;
        }
        if inner.rpcs.len() == NAMES {
            inner.rpcs.pop_front();
        }
        inner.rpcs.push_back(operation.to_owned());
    }

    pub(super) fn request(&self, message: &[u8]) {
        if message.len() > REQUEST_BYTES {
            return;
        }
        let mut inner = self.lock();
        if inner.requests.len() == REQUESTS {
            inner.requests.pop_front();
        }
        inner
            .requests
            .push_back(String::from_utf8_lossy(message).into_owned());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Counters are whole at every moment the lock is free, so a panic elsewhere does not spoil them.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts something as open until it is dropped.
#[derive(Debug)]
pub(super) struct Open {
    stats: Stats,
    of: Of,
}

#[derive(Clone, Copy, Debug)]
enum Of {
    Connection,
    Session,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut inner = self.stats.lock();
        let open = match self.of {
            Of::Connection => &mut inner.counters.open_connections,
            Of::Session => &mut inner.counters.open_sessions,
        };
        *open = open.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_counted_until_it_is_dropped() {
        let stats = Stats::default();
        let connection = stats.connection();
        let session = stats.session();
        stats.rpc("get");
        stats.rpc("get");
        stats.request(b"<rpc><get/></rpc>");
        stats.request(&vec![b'x'; REQUEST_BYTES + 1]);
        stats.auth(true);
        let now = stats.snapshot();
        assert_eq!(
            (now.open_connections, now.open_sessions, now.count("get")),
            (1, 1, 2)
        );
        assert_eq!((now.auth_attempts, now.auth_successes), (1, 1));
        assert_eq!(now.requests, ["<rpc><get/></rpc>"]);
        drop((connection, session));
        let now = stats.snapshot();
        assert_eq!((now.open_connections, now.open_sessions), (0, 0));
        assert_eq!((now.connections, now.sessions, now.rpcs.len()), (1, 1, 2));
    }
}
