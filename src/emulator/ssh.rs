//! The device's SSH server: logins, the subsystem, and the command over a pseudo-terminal.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use russh::keys::{Algorithm, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session as Ssh, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, Disconnect, Pty};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::carrier::{Carriage, End, carry};
use super::device::SessionRecord;
use super::faults::{Fault, Point};
use super::pty::Terminal;
use super::server::Shared;
use super::session::Session;

/// Channels of one connection, at most.
const CHANNELS: usize = 8;

/// One question of keyboard-interactive authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The question.
    pub text: String,
    /// Whether the answer may be shown while it is typed.
    pub echo: bool,
    /// The right answer.
    pub answer: String,
}

/// A user and the ways to log in.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// Name of the user.
    pub user: String,
    /// Password, where that is a way to log in.
    pub password: Option<String>,
    /// Keys that may log in.
    pub keys: Vec<PublicKey>,
    /// Rounds of questions of keyboard-interactive authentication.
    pub rounds: Vec<Vec<Prompt>>,
}

/// One connection.
pub(super) struct Connection {
    shared: Arc<Shared>,
    stop: CancellationToken,
    from: String,
    user: String,
    /// Round of questions that is being asked.
    round: usize,
    channels: HashMap<ChannelId, Open>,
    _open: super::stats::Open,
}

/// A channel on which nothing runs yet.
struct Open {
    channel: Channel<Msg>,
    terminal: Option<Terminal>,
}

impl Connection {
    pub(super) fn new(
        shared: Arc<Shared>,
        stop: CancellationToken,
        from: String,
        open: super::stats::Open,
    ) -> Self {
        Self {
            shared,
            stop,
            from,
            user: String::new(),
            round: 0,
            channels: HashMap::new(),
            _open: open,
        }
    }

    fn login(&self, user: &str) -> Option<&Login> {
        self.shared.logins.iter().find(|login| login.user == user)
    }

    /// Counts a login and says yes or no. An error ends the connection.
    fn decide(&mut self, user: &str, right: bool) -> Result<Auth, russh::Error> {
        let struck = self.shared.device.faults.strike(Point::Authentication, None);
        let accepted = right && struck.is_empty();
        self.shared.device.stats.auth(accepted);
        if accepted {
            user.clone_into(&mut self.user);
            Ok(Auth::Accept)
        } else if struck.contains(&Fault::HangUpAtLogin) {
            Err(russh::Error::Disconnect)
        } else {
            Ok(self.refuse())
        }
    }

    /// No, and the same methods may be tried again; by itself the library would take the one just tried away.
    fn refuse(&self) -> Auth {
        Auth::Reject {
            proceed_with_methods: Some(self.shared.ssh.methods.clone()),
            partial_success: false,
        }
    }

    /// Starts a NETCONF session on a channel.
    fn start(&mut self, id: ChannelId, ssh: &mut Ssh) -> Result<(), russh::Error> {
        let refused = self
            .shared
            .device
            .faults
            .strike(Point::Subsystem, None)
            .contains(&Fault::RefuseSubsystem);
        let permit = self.shared.sessions.clone().try_acquire_owned();
        let (Some(open), Ok(permit), false) = (self.channels.remove(&id), permit, refused) else {
            return ssh.channel_failure(id);
        };
        ssh.channel_success(id)?;
        let device = self.shared.device.clone();
        let terminal = open.terminal.map(|terminal| {
            if self.shared.options.stubborn_terminal {
                Terminal::stubborn()
            } else {
                terminal
            }
        });
        let record = SessionRecord {
            user: self.user.clone(),
            from: self.from.clone(),
            terminal: terminal.as_ref().map(|_| device.free_terminal()),
            since: device.now(),
        };
        let carriage = Carriage {
            message_bytes: self.shared.options.message_bytes,
            loses_request_with_hello: self.shared.options.loses_request_with_hello,
            motd: if terminal.is_some() {
                self.shared.options.motd.clone()
            } else {
                String::new()
            },
            terminal,
        };
        let (handle, stop) = (ssh.handle(), self.stop.clone());
        let device_stop = device.lines.stop().clone();
        self.shared.tasks.spawn(async move {
            let session = Session::new(device, record);
            let (end, rest) = carry(open.channel.into_stream(), session, carriage, stop.clone()).await;
            // The peer may be gone; then there is nobody to tell.
            match end {
                End::Closed => {
                    let _ = handle.exit_status_request(id, 0).await;
                    let _ = handle.eof(id).await;
                    let _ = handle.close(id).await;
                }
                End::Dropped => {
                    let text = "connection lost".to_owned();
                    let _ = handle
                        .disconnect(Disconnect::ByApplication, text, String::new())
                        .await;
                }
            }
            if let Some(rest) = rest {
                rest.carry_out(device_stop).await;
            }
            drop(permit);
        });
        Ok(())
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let right = self
            .login(user)
            .is_some_and(|login| login.password.as_deref() == Some(password));
        self.decide(user, right)
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        let known = self
            .login(user)
            .is_some_and(|login| knows(login, offer.public_key, offer.algorithm));
        Ok(if known { Auth::Accept } else { self.refuse() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let right = self
            .login(user)
            .is_some_and(|login| knows(login, key.public_key, key.algorithm));
        self.decide(user, right)
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let rounds = self
            .login(user)
            .map(|login| login.rounds.clone())
            .unwrap_or_default();
        let Some(response) = response else {
            self.round = 0;
            return Ok(rounds.first().map_or_else(|| self.refuse(), |round| ask(round)));
        };
        let answers: Vec<_> = response.collect();
        let asked = rounds.get(self.round).map_or(&[][..], Vec::as_slice);
        let right = !asked.is_empty()
            && answers.len() == asked.len()
            && asked
                .iter()
                .zip(&answers)
                .all(|(prompt, answer)| prompt.answer.as_bytes() == &answer[..]);
        self.round += 1;
        match rounds.get(self.round) {
            Some(next) if right => Ok(ask(next)),
            Some(_) | None => self.decide(user, right),
        }
    }

    async fn authentication_banner(&mut self) -> Result<Option<String>, Self::Error> {
        Ok(self.shared.options.login_banner.clone())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Ssh,
    ) -> Result<(), Self::Error> {
        // Dropping the handle refuses the channel.
        if self.channels.len() < CHANNELS {
            reply.accept().await;
            self.channels.insert(
                channel.id(),
                Open {
                    channel,
                    terminal: None,
                },
            );
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Ssh,
    ) -> Result<(), Self::Error> {
        // Dropping the handle refuses the channel.
        let (true, Ok(port)) = (self.shared.options.forwards, u16::try_from(port)) else {
            return Ok(());
        };
        let (host, stop) = (host.to_owned(), self.stop.clone());
        self.shared
            .tasks
            .spawn(stop.run_until_cancelled_owned(async move {
                let Ok(mut onward) = TcpStream::connect((host, port)).await else {
                    reply.reject(ChannelOpenFailure::ConnectFailed).await;
                    return;
                };
                reply.accept().await;
                // Either end may leave without a word.
                let _ = copy_bidirectional(&mut channel.into_stream(), &mut onward).await;
            }));
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        modes: &[(Pty, u32)],
        session: &mut Ssh,
    ) -> Result<(), Self::Error> {
        match self.channels.get_mut(&channel) {
            Some(open) => {
                open.terminal = Some(Terminal::new(modes));
                session.channel_success(channel)
            }
            None => session.channel_failure(channel),
        }
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        _value: &str,
        session: &mut Ssh,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Ssh) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Ssh,
    ) -> Result<(), Self::Error> {
        match std::str::from_utf8(data).map(str::trim) {
            Ok("netconf" | "xml-mode netconf" | "xml-mode netconf need-trailer") => {
                self.start(channel, session)
            }
            Ok(_) | Err(_) => session.channel_failure(channel),
        }
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Ssh,
    ) -> Result<(), Self::Error> {
        if name == "netconf" && self.shared.options.subsystem {
            self.start(channel, session)
        } else {
            session.channel_failure(channel)
        }
    }
}

/// RSA keys only with SHA-2 (RFC 8332).
fn knows(login: &Login, key: &PublicKey, algorithm: &Algorithm) -> bool {
    let old = matches!(algorithm, Algorithm::Rsa { hash: None });
    !old && login.keys.iter().any(|known| known.key_data() == key.key_data())
}

fn ask(round: &[Prompt]) -> Auth {
    let prompts: Vec<_> = round
        .iter()
        .map(|prompt| (Cow::Owned(prompt.text.clone()), prompt.echo))
        .collect();
    Auth::Partial {
        name: Cow::Borrowed(""),
        instructions: Cow::Borrowed(""),
        prompts: Cow::Owned(prompts),
    }
}
