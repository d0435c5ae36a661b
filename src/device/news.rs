//! What happens to sessions, for whoever keeps a log of it. Telling never waits: what does not fit into the queue is
//! dropped and counted.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::metrics::Metrics;

/// News that wait to be stored.
const MOST: usize = 4096;

/// Something that happened to the sessions of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Its name.
    pub device: String,
    pub what: SessionNews,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionNews {
    Up {
        session_id: u64,
    },
    /// `cause`: the fixed word for it.
    Down {
        session_id: u64,
        cause: &'static str,
    },
    /// None could be opened. Told once for each cause in a row.
    Failed {
        cause: &'static str,
    },
}

/// The queue, shared by all devices.
#[derive(Clone)]
pub(super) struct Newsroom {
    sender: mpsc::Sender<News>,
    receiver: Arc<Mutex<Option<mpsc::Receiver<News>>>>,
}

impl Default for Newsroom {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(MOST);
        Self {
            sender,
            receiver: Arc::new(Mutex::new(Some(receiver))),
        }
    }
}

impl Newsroom {
    /// The end where news come out; there is one.
    pub fn take(&self) -> Option<mpsc::Receiver<News>> {
        // An option is whole whatever happened.
        self.receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub fn tell(&self, metrics: &Metrics, device: &str, what: SessionNews) {
        let news = News {
            device: device.to_owned(),
            what,
        };
        if self.sender.try_send(news).is_err() {
            metrics.event_dropped();
        }
    }
}
