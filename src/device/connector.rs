//! How a device's sessions come into being. The real way is SSH; tests put their own in its place.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::error::ConnectError;
use super::stage::Stage;
use crate::session::stream::SshOutgoing;
use crate::session::{self, EndCause, SessionHandle};
use crate::transport::{self, BoxFuture, ChannelKind, Dialer, HostKeyPolicy, Negotiated, Phase, SshTarget};

/// A fresh session and what its making showed.
pub struct Opened {
    pub handle: SessionHandle,
    /// Runs the session; must be polled to its end.
    pub run: BoxFuture<'static, EndCause>,
    pub link: Link,
}

/// What was seen of the connection, for people.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// Absent where the connection is not SSH.
    pub negotiated: Option<Negotiated>,
    /// `SHA256:…`
    pub host_key_fingerprint: Option<String>,
    /// What the server said before authentication.
    pub banner: Option<String>,
    pub steps: Vec<LinkStep>,
}

/// One finished phase of a connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStep {
    /// `resolve`, `tcp`, `kex`, `hostkey`, `auth`, `subsystem`, `hello`, `software`.
    pub name: &'static str,
    /// The jump host, counted from 0; `None` for the device.
    pub jump: Option<usize>,
    pub duration: Duration,
}

/// Opens sessions with one device.
pub trait Connector: Send + Sync + 'static {
    /// Connects and exchanges hellos. `stage` is told of each phase when it begins.
    ///
    /// # Cancel safety
    /// Safe: everything opened so far is freed.
    fn connect<'a>(
        &'a self,
        config: session::Config,
        stage: &'a Stage,
    ) -> BoxFuture<'a, Result<Opened, ConnectError>>;
}

/// Makes the connectors of devices.
pub trait Connectors: Send + Sync + 'static {
    /// What opens sessions with this target; `learned` is told of the host keys that are accepted on first use.
    fn connector(&self, target: SshTarget, learned: Learned) -> Arc<dyn Connector>;
}

/// SSH, over what a dialer connects.
pub struct OverSsh(pub Arc<dyn Dialer>);

impl Connectors for OverSsh {
    fn connector(&self, target: SshTarget, learned: Learned) -> Arc<dyn Connector> {
        Arc::new(SshConnector::new(target, self.0.clone(), Some(learned)))
    }
}

/// Takes the host keys that were learned on first use: index of the jump host (`None`: the device) and the key as an
/// OpenSSH line.
pub type Learned = Box<dyn Fn(&[(Option<usize>, String)]) + Send + Sync>;

/// Connects over SSH.
pub struct SshConnector {
    target: Mutex<SshTarget>,
    dialer: Arc<dyn Dialer>,
    learned: Option<Learned>,
}

impl SshConnector {
    /// `learned` is called when a host key was accepted on first use; from then on it is required here as well.
    pub fn new(target: SshTarget, dialer: Arc<dyn Dialer>, learned: Option<Learned>) -> Self {
        Self {
            target: Mutex::new(target),
            dialer,
            learned,
        }
    }

    fn target(&self) -> SshTarget {
        self.target.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// X7: a key accepted on first use is the only one from then on.
    fn remember(&self, learned: &[(Option<usize>, String)]) {
        {
            let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
            for (jump, line) in learned {
                let host = match jump {
                    None => Some(&mut target.host),
                    Some(index) => target.proxy_jump.get_mut(*index),
                };
                if let Some(HostKeyPolicy::Tofu { learned }) = host.map(|host| &mut host.host_key)
                    && let Ok(key) = transport::HostKey::parse(line)
                {
                    learned.push(key);
                }
            }
        }
        if let Some(report) = &self.learned {
            report(learned);
        }
    }

    async fn open(&self, mut config: session::Config, stage: &Stage) -> Result<Opened, ConnectError> {
        let target = self.target();
        let watch = |phase: Phase| stage.enter(phase.as_str());
        let connected = transport::connect_watched(&target, &*self.dialer, &watch)
            .await
            .map_err(ConnectError::Transport)?;
        if !connected.learned.is_empty() {
            self.remember(&connected.learned);
        }
        config.echo = target.channel == ChannelKind::Pty;
        // A phase like those before it, so that it has its own error before the deadline of who waits for all of them.
        config.hello_timeout = target.timeouts.subsystem;
        stage.enter("hello");
        let mut steps: Vec<_> = connected
            .steps
            .iter()
            .map(|step| LinkStep {
                name: step.name.as_str(),
                jump: step.jump,
                duration: step.duration,
            })
            .collect();
        let start = Instant::now();
        let outgoing = SshOutgoing::new(connected.writer, connected.connection);
        let (handle, actor) = session::open(connected.reader, outgoing, config)
            .await
            .map_err(ConnectError::Hello)?;
        steps.push(LinkStep {
            name: "hello",
            jump: None,
            duration: start.elapsed(),
        });
        Ok(Opened {
            handle,
            run: Box::pin(actor.run()),
            link: Link {
                negotiated: Some(connected.negotiated),
                host_key_fingerprint: Some(connected.host_key_fingerprint),
                banner: connected.banner,
                steps,
            },
        })
    }
}

impl Connector for SshConnector {
    fn connect<'a>(
        &'a self,
        config: session::Config,
        stage: &'a Stage,
    ) -> BoxFuture<'a, Result<Opened, ConnectError>> {
        Box::pin(self.open(config, stage))
    }
}
