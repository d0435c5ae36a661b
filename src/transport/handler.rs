//! Our side of the SSH library's callbacks: judges the host key, notes what was negotiated and why a connection
//! ended, and refuses every channel that a server wants to open towards us.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use russh::client::{self, ChannelOpenHandle, DisconnectReason, Msg, Session};
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use russh::{Channel, Names};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connect::Negotiated;
use super::error::{Loss, peer_text};
use super::host_key::{Expected, Verdict};

/// Longest server text that is kept, in bytes.
const MAX_TEXT: usize = 1024;

/// What the callbacks learned; shared with the side that connects, reads and writes.
pub(super) struct Shared {
    facts: Mutex<Facts>,
    /// Cancelled when the library's task has ended, whatever the reason.
    pub(super) gone: CancellationToken,
}

#[derive(Default)]
pub(super) struct Facts {
    pub(super) shown: Option<PublicKey>,
    pub(super) verdict: Option<Verdict>,
    pub(super) key_shown_at: Option<Instant>,
    pub(super) key_check: Duration,
    pub(super) negotiated: Option<Negotiated>,
    pub(super) banner: Option<String>,
    pub(super) loss: Option<Loss>,
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            facts: Mutex::default(),
            gone: CancellationToken::new(),
        })
    }

    /// Never held across an await.
    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the connection ended, as far as it is known.
    pub(super) fn loss(&self) -> Loss {
        self.facts().loss.clone().unwrap_or(Loss::Closed)
    }
}

/// One per SSH connection; owned by the library's task and dropped when that ends.
pub(super) struct Client {
    shared: Arc<Shared>,
    expected: Expected,
}

impl Client {
    pub(super) fn new(shared: Arc<Shared>, expected: Expected) -> Self {
        Self { shared, expected }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.gone.cancel();
    }
}

/// The library's error in our words.
pub(super) fn loss_of(error: &russh::Error) -> Loss {
    match error {
        russh::Error::Disconnect | russh::Error::HUP => Loss::Closed,
        russh::Error::KeepaliveTimeout => Loss::Keepalive,
        russh::Error::NoAuthMethod => Loss::NoAuthMethod,
        russh::Error::IO(error) => match error.kind() {
            io::ErrorKind::UnexpectedEof => Loss::Closed,
            io::ErrorKind::ConnectionAborted => Loss::Local,
            kind => Loss::Io {
                kind,
                detail: error.to_string(),
            },
        },
        other => Loss::Protocol {
            detail: peer_text(&other.to_string(), MAX_TEXT),
        },
    }
}

/// Dropping the handle refuses the channel.
fn refuse(_channel: Channel<Msg>, reply: ChannelOpenHandle) -> Result<(), russh::Error> {
    drop(reply);
    Ok(())
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let key = shown.public_key();
        let start = Instant::now();
        // We offer no certificate algorithm, so a certificate here breaks the protocol.
        let verdict = match shown.certificate() {
            Some(_) => Verdict::Unknown,
            None => self.expected.judge(&key),
        };
        let accepted = matches!(verdict, Verdict::Accepted { .. });
        let mut facts = self.shared.facts();
        facts.shown = Some(key);
        facts.verdict = Some(verdict);
        facts.key_shown_at = Some(start);
        facts.key_check = start.elapsed();
        Ok(accepted)
    }

    async fn kex_done(
        &mut self,
        _shared_secret: Option<&[u8]>,
        names: &Names,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // An AEAD cipher authenticates by itself; what was picked as MAC is not used then.
        let cipher = names.cipher.as_ref();
        let aead = cipher.contains("gcm") || cipher.contains("poly1305");
        self.shared.facts().negotiated = Some(Negotiated {
            kex: names.kex.as_ref().to_owned(),
            cipher: cipher.to_owned(),
            mac: if aead {
                "implicit".to_owned()
            } else {
                names.client_mac.as_ref().to_owned()
            },
            host_key_algorithm: names.key.to_string(),
        });
        Ok(())
    }

    async fn auth_banner(&mut self, banner: &str, _session: &mut Session) -> Result<(), Self::Error> {
        self.shared.facts().banner = Some(peer_text(banner, MAX_TEXT));
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        let (loss, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                let reason = format!("{:?}", info.reason_code);
                (
                    Loss::Disconnected {
                        reason,
                        message: peer_text(&info.message, MAX_TEXT),
                    },
                    Ok(()),
                )
            }
            DisconnectReason::Error(error) => (loss_of(&error), Err(error)),
        };
        self.shared.facts().loss.get_or_insert(loss);
        result
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _connected_address: &str,
        _connected_port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        refuse(channel, reply)
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        _socket_path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        refuse(channel, reply)
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        refuse(channel, reply)
    }

    async fn server_channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        refuse(channel, reply)
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _host_to_connect: &str,
        _port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        refuse(channel, reply)
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        _socket_path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        refuse(channel, reply)
    }

    async fn server_channel_open_x11(
        &mut self,
        channel: Channel<Msg>,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        refuse(channel, reply)
    }
}
