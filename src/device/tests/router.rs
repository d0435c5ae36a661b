//! A device with one candidate, locks and private copies, for tests of holding: sessions of their own, which can be
//! killed from outside.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::session::fake::hello;

/// What the device knows.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The session that has each lock, by the name of the datastore.
    pub(super) locks: BTreeMap<String, u32>,
    /// Sessions with a private copy or an ephemeral instance.
    pub(super) copies: Vec<u32>,
    /// Sessions with a commit that waits to be confirmed.
    pub(super) armed: Vec<u32>,
    /// The session that last changed the candidate, until commit or discard.
    pub(super) edited: Option<u32>,
    pub(super) commits: usize,
    /// Every operation, with its session.
    pub(super) log: Vec<(u32, String)>,
    /// Refuses to unlock.
    pub(super) stubborn: bool,
    sessions: BTreeMap<u32, CancellationToken>,
    opened: u32,
}

impl State {
    fn react(&mut self, session: u32, rpc: &Received) -> Vec<React> {
        self.log.push((session, rpc.operation.clone()));
        let ok = || vec![React::Reply("<ok/>".to_owned())];
        let denied = |holder: u32| {
            vec![React::Reply(format!(
                "<rpc-error><error-type>protocol</error-type><error-tag>lock-denied</error-tag>\
                 <error-severity>error</error-severity><error-message>lock held</error-message>\
                 <error-info><session-id>{holder}</session-id></error-info></rpc-error>"
            ))]
        };
        let datastore = if rpc.text.contains("running") {
            "running"
        } else {
            "candidate"
        };
        match rpc.operation.as_str() {
            "lock" => match self.locks.get(datastore) {
                Some(holder) => denied(*holder),
                None => {
                    self.locks.insert(datastore.to_owned(), session);
                    ok()
                }
            },
            "unlock" if self.stubborn || self.locks.get(datastore) != Some(&session) => denied(session),
            "unlock" => {
                self.locks.remove(datastore);
                self.forget_edits_of(session);
                ok()
            }
            "open-configuration" => {
                self.copies.push(session);
                ok()
            }
            "close-configuration" => {
                self.copies.retain(|copy| *copy != session);
                ok()
            }
            // In a copy: the shared candidate stays as it is.
            "load-configuration" | "edit-config" if self.copies.contains(&session) => ok(),
            "load-configuration" | "edit-config" => {
                self.edited = Some(session);
                ok()
            }
            "discard-changes" => {
                self.edited = None;
                ok()
            }
            "commit" | "commit-configuration" => {
                self.edited = None;
                self.commits += 1;
                ok()
            }
            "commit-confirmed" => {
                self.edited = None;
                self.armed.push(session);
                ok()
            }
            "cancel-commit" => {
                self.armed.retain(|armed| *armed != session);
                ok()
            }
            "die" => {
                self.ended(session);
                vec![React::HangUp]
            }
            "close-session" => {
                self.ended(session);
                Vec::new()
            }
            _ => echo(rpc),
        }
    }

    fn forget_edits_of(&mut self, session: u32) {
        if self.edited == Some(session) {
            self.edited = None;
        }
    }

    fn ended(&mut self, session: u32) {
        if self.locks.values().any(|holder| *holder == session) {
            self.forget_edits_of(session);
        }
        self.locks.retain(|_, holder| *holder != session);
        self.copies.retain(|copy| *copy != session);
        self.armed.retain(|armed| *armed != session);
        self.sessions.remove(&session);
    }
}

/// The device, as a connector.
#[derive(Clone)]
pub(super) struct Router {
    state: Arc<Mutex<State>>,
    capabilities: &'static [&'static str],
}

pub(super) const CANDIDATE: &str = "urn:ietf:params:netconf:capability:candidate:1.0";

impl Router {
    pub(super) fn new(capabilities: &'static [&'static str]) -> Self {
        Self {
            state: Arc::default(),
            capabilities,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Operations without those that every session has.
    pub(super) fn operations(&self) -> Vec<String> {
        self.state()
            .log
            .iter()
            .map(|(_, operation)| operation.clone())
            .filter(|operation| operation != "close-session" && operation != "get-software-information")
            .collect()
    }

    /// Ends a session from outside, if it is there still.
    pub(super) fn kill(&self, session: u64) {
        let mut state = self.state();
        let session = u32::try_from(session).unwrap();
        let cord = state.sessions.get(&session).cloned();
        state.ended(session);
        if let Some(cord) = cord {
            cord.cancel();
        }
    }

    async fn open(&self, config: session::Config) -> Result<Opened, ConnectError> {
        let (session, device) = {
            let mut state = self.state();
            state.opened += 1;
            let session = 100 + state.opened;
            let shared = self.state.clone();
            let mut device = FakeDevice::new(&[], move |rpc| {
                let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                state.react(session, rpc)
            });
            device.hello = Some(hello(session, self.capabilities));
            state.sessions.insert(session, device.cord.clone());
            (session, device)
        };
        let (incoming, outgoing) = device.connect();
        let (handle, actor) = session::open(incoming, outgoing, config)
            .await
            .map_err(ConnectError::Hello)?;
        assert_eq!(handle.session_id(), u64::from(session));
        Ok(Opened {
            handle,
            run: Box::pin(actor.run()),
            link: Link::default(),
        })
    }
}

impl Connector for Router {
    fn connect<'a>(
        &'a self,
        config: session::Config,
        _: &'a Stage,
    ) -> BoxFuture<'a, Result<Opened, ConnectError>> {
        Box::pin(self.open(config))
    }
}

/// A device over a router that offers the candidate.
pub(super) fn router(world: &World, settings: Settings) -> (Arc<Device>, Router) {
    let router = Router::new(&[BASE10, BASE11, CANDIDATE]);
    (world.registry.upsert(settings, Arc::new(router.clone())), router)
}
