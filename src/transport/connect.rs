//! From a target to a running channel: dial, key exchange, host key, authentication, the same again through each
//! jump host, then the subsystem. And the orderly way back.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle, Msg};
use russh::{ChannelWriteHalf, Disconnect, Limits, SshId};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::auth::authenticate;
use super::channel::{self, NetconfReader, NetconfWriter};
use super::dial::{Dialer, Stream};
use super::error::{Loss, Phase, TransportError, peer_text};
use super::handler::{Client, Shared, loss_of};
use super::host_key::{Expected, Verdict, fingerprint};
use super::link::Link;
use super::target::{Settings, SshHost, SshTarget};

/// The algorithms in use, by their SSH names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    pub kex: String,
    pub cipher: String,
    /// `implicit` with a cipher that authenticates by itself.
    pub mac: String,
    /// Signature algorithm of the host key, such as `rsa-sha2-512`.
    pub host_key_algorithm: String,
}

/// One finished phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub name: Phase,
    /// The jump host, counted from 0; `None` for the device.
    pub jump: Option<usize>,
    pub duration: Duration,
}

/// A connection with NETCONF at its other end.
pub struct Connected {
    pub reader: NetconfReader,
    pub writer: NetconfWriter,
    /// Must be kept as long as the connection is wanted: dropping it ends everything.
    pub connection: Connection,
    pub negotiated: Negotiated,
    /// `SHA256:…`
    pub host_key_fingerprint: String,
    /// The device's host key as an OpenSSH line.
    pub host_key: String,
    /// The host keys to remember (trust on first use), jump hosts first: index of the jump host, `None` for the
    /// device, and the key as an OpenSSH line.
    pub learned: Vec<(Option<usize>, String)>,
    /// What the server said before authentication, bounded.
    pub banner: Option<String>,
    pub steps: Vec<Step>,
}

/// Holds an SSH connection, and those to its jump hosts. Dropping it frees tasks and sockets at once.
pub struct Connection {
    /// In the order of dialling; the device last.
    hops: Vec<Hop>,
    half: Arc<ChannelWriteHalf<Msg>>,
}

impl Connection {
    /// Ends politely: end of data, channel close, SSH disconnect, for each host from the device back to the first
    /// jump host, all within `grace`; then the sockets are freed whatever the peers did.
    pub async fn close(self, grace: Duration) {
        let Self { hops, half } = self;
        let polite = async {
            // Failing means that the connection is gone already.
            let _ = half.eof().await;
            let _ = half.close().await;
            for mut hop in hops.into_iter().rev() {
                hop.shared.facts().loss.get_or_insert(Loss::Local);
                let _ = hop.handle.disconnect(Disconnect::ByApplication, "", "en").await;
                let _ = (&mut hop.handle).await;
            }
        };
        // On expiry the hops are dropped with the future, which cuts them.
        let _ = timeout(grace, polite).await;
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.hops.iter().any(|hop| hop.shared.gone.is_cancelled())
    }

    /// Waits until the connection has ended and tells why.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn closed(&self) -> Loss {
        match self.hops.last() {
            Some(device) => {
                device.shared.gone.cancelled().await;
                device.shared.loss()
            }
            None => Loss::Local,
        }
    }
}

/// One authenticated SSH connection.
struct Hop {
    handle: Handle<Client>,
    shared: Arc<Shared>,
    _cut: DropGuard,
}

/// Connects to the target.
///
/// # Errors
/// Every [`TransportError`] but `Lost`; failures on the way are wrapped in `Jump`.
///
/// # Cancel safety
/// Safe: everything opened so far is freed.
pub async fn connect<D: Dialer + ?Sized>(
    target: &SshTarget,
    dialer: &D,
) -> Result<Connected, TransportError> {
    connect_watched(target, dialer, &|_| {}).await
}

/// As [`connect`]; `watch` is told of each phase when it begins. Resolving is a part of [`Phase::Tcp`] here.
///
/// # Errors
/// As [`connect`].
///
/// # Cancel safety
/// Safe: everything opened so far is freed.
pub async fn connect_watched<D: Dialer + ?Sized>(
    target: &SshTarget,
    dialer: &D,
    watch: &(dyn Fn(Phase) + Send + Sync),
) -> Result<Connected, TransportError> {
    target.check()?;
    let budget = Budget {
        start: Instant::now(),
        total: target.timeouts.total,
        watch,
    };
    let mut attempt = Attempt {
        target,
        budget,
        steps: Vec::new(),
        learned: Vec::new(),
        hops: Vec::new(),
    };
    for (index, jump) in target.proxy_jump.iter().enumerate() {
        let hop = Some((index, jump.address.as_str()));
        attempt
            .hop(dialer, jump, Some(index))
            .await
            .map_err(|error| error.on_jump(hop))?;
    }
    attempt.hop(dialer, &target.host, None).await?;
    attempt.finish().await
}

/// What is left of the total, and who is told of the phases.
#[derive(Clone, Copy)]
struct Budget<'a> {
    start: Instant,
    total: Duration,
    watch: &'a (dyn Fn(Phase) + Send + Sync),
}

impl Budget<'_> {
    /// Runs one phase within its own limit and the total.
    async fn run<T>(
        self,
        phase: Phase,
        limit: Duration,
        work: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        (self.watch)(phase);
        // The shorter of the two limits holds, and is the one that is told.
        let (after, end) = match limit < self.left() {
            true => (limit, Instant::now() + limit),
            false => (self.total, self.start + self.total),
        };
        timeout_at(end, work)
            .await
            .unwrap_or(Err(TransportError::Timeout { phase, after }))
    }

    fn left(self) -> Duration {
        self.total.saturating_sub(self.start.elapsed())
    }
}

struct Attempt<'a> {
    target: &'a SshTarget,
    budget: Budget<'a>,
    steps: Vec<Step>,
    learned: Vec<(Option<usize>, String)>,
    hops: Vec<Hop>,
}

impl Attempt<'_> {
    fn step(&mut self, name: Phase, jump: Option<usize>, duration: Duration) {
        self.steps.push(Step { name, jump, duration });
    }

    async fn hop<D: Dialer + ?Sized>(
        &mut self,
        dialer: &D,
        host: &SshHost,
        jump: Option<usize>,
    ) -> Result<(), TransportError> {
        let expected = host.host_key.load(&host.address, host.port).await?;
        let stream = self.stream(dialer, host, jump).await?;
        let mut hop = self.handshake(stream, host, expected, jump).await?;
        let start = Instant::now();
        let limit = self.target.timeouts.auth;
        let login = authenticate(&mut hop.handle, host, &hop.shared);
        self.budget.run(Phase::Auth, limit, login).await?;
        self.step(Phase::Auth, jump, start.elapsed());
        self.hops.push(hop);
        Ok(())
    }

    /// A stream to the host: from the dialer for the first, through the host before it for the others.
    async fn stream<D: Dialer + ?Sized>(
        &mut self,
        dialer: &D,
        host: &SshHost,
        jump: Option<usize>,
    ) -> Result<Box<dyn Stream>, TransportError> {
        let limit = self.target.timeouts.tcp;
        let Some(previous) = self.hops.last() else {
            let limit = limit.min(self.budget.left());
            let dial = dialer.dial(&host.address, host.port, limit);
            // The dialer keeps the limit itself; the total still stands around it.
            let dialed = self.budget.run(Phase::Tcp, limit * 2, dial).await?;
            self.step(Phase::Resolve, jump, dialed.resolve);
            self.step(Phase::Tcp, jump, dialed.tcp);
            return Ok(dialed.stream);
        };
        let start = Instant::now();
        let forward = async {
            let port = u32::from(host.port);
            // The originator is informative (RFC 4254 section 7.2); our own address is nobody's business.
            let opened = previous
                .handle
                .channel_open_direct_tcpip(&host.address, port, "127.0.0.1", 0)
                .await;
            match opened {
                Ok(channel) => Ok(channel),
                Err(russh::Error::ChannelOpenFailure(reason)) => Err(TransportError::Forward {
                    host: host.address.clone(),
                    port: host.port,
                    reason: format!("{reason:?}"),
                }),
                Err(_) => {
                    previous.shared.gone.cancelled().await;
                    Err(TransportError::Closed {
                        phase: Phase::Tcp,
                        loss: previous.shared.loss(),
                    })
                }
            }
        };
        let channel = self.budget.run(Phase::Tcp, limit, forward).await?;
        self.step(Phase::Tcp, jump, start.elapsed());
        Ok(Box::new(channel.into_stream()))
    }

    /// Version and key exchange with the host key check in it. Nothing of the user's is sent here (X7).
    async fn handshake(
        &mut self,
        stream: Box<dyn Stream>,
        host: &SshHost,
        expected: Expected,
        jump: Option<usize>,
    ) -> Result<Hop, TransportError> {
        let config = Arc::new(config(host, &self.target.settings, &expected));
        let token = CancellationToken::new();
        let cut = token.clone().drop_guard();
        let link = Link::new(stream, &token);
        let shared = Shared::new();
        let start = Instant::now();
        let exchange = async {
            client::connect_stream(config, link, Client::new(shared.clone(), expected))
                .await
                .map_err(|error| handshake_error(error, &shared))
        };
        let handle = self
            .budget
            .run(Phase::Kex, self.target.timeouts.kex, exchange)
            .await?;
        let total = start.elapsed();
        let facts = shared.facts();
        let check = facts.key_check;
        let (verdict, shown) = (facts.verdict.clone(), facts.shown.clone());
        drop(facts);
        self.step(Phase::Kex, jump, total.saturating_sub(check));
        self.step(Phase::HostKey, jump, check);
        if let (Some(Verdict::Accepted { first_use: true }), Some(key)) = (verdict, shown) {
            self.learned.push((jump, key.to_openssh().unwrap_or_default()));
        }
        Ok(Hop {
            handle,
            shared,
            _cut: cut,
        })
    }

    /// The channel on the last hop.
    async fn finish(mut self) -> Result<Connected, TransportError> {
        let Some(device) = self.hops.last() else {
            return Err(TransportError::Closed {
                phase: Phase::Subsystem,
                loss: Loss::Local,
            });
        };
        let start = Instant::now();
        let limit = self.target.timeouts.subsystem;
        let open = channel::open(&device.handle, self.target.channel, &device.shared);
        let opened = self.budget.run(Phase::Subsystem, limit, open).await?;
        let mut facts = device.shared.facts();
        let (shown, negotiated, banner) = (facts.shown.take(), facts.negotiated.take(), facts.banner.take());
        drop(facts);
        let (Some(key), Some(negotiated)) = (shown, negotiated) else {
            // Both are set before the key exchange can succeed.
            return Err(TransportError::Handshake {
                detail: "no host key was shown".to_owned(),
            });
        };
        self.step(Phase::Subsystem, None, start.elapsed());
        Ok(Connected {
            reader: opened.reader,
            writer: opened.writer,
            connection: Connection {
                hops: self.hops,
                half: opened.half,
            },
            negotiated,
            host_key_fingerprint: fingerprint(&key),
            host_key: key.to_openssh().unwrap_or_default(),
            learned: self.learned,
            banner,
            steps: self.steps,
        })
    }
}

/// Packets of up to 32 KiB from the server that may lie unread.
const UNREAD_PACKETS: usize = 16;

fn config(host: &SshHost, settings: &Settings, expected: &Expected) -> client::Config {
    /// The library refuses larger limits with a panic (RFC 4253 section 9).
    const MAX_REKEY_BYTES: usize = 1 << 30;
    let bytes = settings.rekey_bytes.min(MAX_REKEY_BYTES);
    client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-ncgate_",
            env!("CARGO_PKG_VERSION")
        ))),
        limits: Limits::new(bytes, bytes, settings.rekey_after),
        preferred: host.profile.preferred(&expected.algorithms()),
        gex: host.profile.group_exchange(),
        keepalive_interval: Some(settings.keepalive_interval),
        keepalive_max: settings.keepalive_max,
        channel_buffer_size: UNREAD_PACKETS,
        ..client::Config::default()
    }
}

/// What a failed key exchange means.
fn handshake_error(error: russh::Error, shared: &Shared) -> TransportError {
    let facts = shared.facts();
    if let (Some(verdict), Some(key)) = (&facts.verdict, &facts.shown) {
        let public_key = key.to_openssh().unwrap_or_default();
        let algorithm = key.algorithm().to_string();
        match verdict {
            Verdict::Accepted { .. } => {}
            Verdict::Unknown => {
                return TransportError::HostKeyUnknown {
                    fingerprint: fingerprint(key),
                    algorithm,
                    public_key,
                };
            }
            Verdict::Changed { expected } => {
                return TransportError::HostKeyChanged {
                    expected: expected.clone(),
                    actual: fingerprint(key),
                    algorithm,
                    public_key,
                };
            }
        }
    }
    if let russh::Error::NoCommonAlgo { kind, ours, theirs } = error {
        let kind = match kind {
            russh::AlgorithmKind::Kex => "key exchange",
            russh::AlgorithmKind::Key => "host key",
            russh::AlgorithmKind::Cipher => "cipher",
            russh::AlgorithmKind::Mac => "mac",
            russh::AlgorithmKind::Compression => "compression",
        };
        // The peer's list is as long as its packet allows; an error need not be.
        let theirs = theirs.iter().take(64).map(|name| peer_text(name, 64)).collect();
        return TransportError::Negotiation { kind, ours, theirs };
    }
    // If the server said goodbye, the library's own error is only a consequence.
    let loss = facts.loss.clone().unwrap_or_else(|| loss_of(&error));
    match loss {
        Loss::Protocol { detail } => TransportError::Handshake { detail },
        loss => TransportError::Closed {
            phase: Phase::Kex,
            loss,
        },
    }
}
