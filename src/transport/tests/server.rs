//! A scriptable SSH server: says what it saw, and does on the channel what a test asks for.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{Algorithm, EcdsaCurve, PrivateKey, PublicKey, decode_secret_key};
use russh::server::{
    self, Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, Limits, MethodKind, MethodSet, Preferred, Pty};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use super::support::RSA_KEY;
use crate::transport::Stream;

pub fn ed25519_key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

pub fn ecdsa_key() -> PrivateKey {
    let curve = EcdsaCurve::NistP256;
    PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ecdsa { curve }).unwrap()
}

pub fn rsa_key() -> PrivateKey {
    decode_secret_key(RSA_KEY, None).unwrap()
}

/// What the server does with the request for the subsystem or command.
#[derive(Clone, Debug)]
pub enum OnStart {
    /// Success, then every byte comes back.
    Echo,
    /// Data before success, then as `Echo`.
    Early(&'static str),
    /// Failure, with text on standard error and an exit status before it.
    Refuse {
        stderr: &'static str,
        status: Option<u32>,
    },
    /// Success, then data, standard error, exit status, close.
    Exit {
        stdout: &'static str,
        stderr: &'static str,
        status: u32,
    },
    /// No answer.
    Silent,
    /// Success, then this many bytes, then as `Echo`.
    Flood(usize),
    /// Success, then the SSH connection is ended with a disconnect message.
    Disconnect,
}

/// How a server is set up.
#[derive(Clone)]
pub struct Plan {
    pub host_keys: Vec<PrivateKey>,
    pub preferred: Preferred,
    pub methods: Vec<MethodKind>,
    pub password: Option<&'static str>,
    pub user_keys: Vec<PublicKey>,
    /// Signature algorithms that are accepted for user keys; empty means all.
    pub signatures: Vec<String>,
    /// Rounds of prompts with the answers expected.
    pub prompts: Vec<Vec<(&'static str, &'static str)>>,
    /// A refused password ends the connection, without an answer.
    pub hangs_up: bool,
    /// Refused requests after which the next one ends the connection, with a reason (`MaxAuthTries`).
    pub max_tries: usize,
    /// After the first accepted method another one is asked for.
    pub second_factor: Option<MethodKind>,
    pub accept_channel: bool,
    pub accept_pty: bool,
    pub accept_forward: bool,
    pub on_start: OnStart,
    pub limits: Limits,
    pub log: Arc<Log>,
}

/// What the server saw.
#[derive(Default)]
pub struct Log {
    events: Mutex<Vec<String>>,
}

impl Log {
    fn add(&self, event: impl Into<String>) {
        self.events.lock().unwrap().push(event.into());
    }

    pub fn all(&self) -> Vec<String> {
        self.events.lock().unwrap().clone()
    }

    pub fn auth_attempts(&self) -> usize {
        self.all()
            .iter()
            .filter(|event| event.starts_with("auth "))
            .count()
    }
}

impl Default for Plan {
    /// User `u`, password `pw`, one ed25519 host key, echo.
    fn default() -> Self {
        Self {
            host_keys: vec![ed25519_key(1)],
            preferred: Preferred::DEFAULT,
            methods: vec![MethodKind::Password, MethodKind::PublicKey],
            password: Some("pw"),
            user_keys: Vec::new(),
            signatures: Vec::new(),
            prompts: Vec::new(),
            hangs_up: false,
            max_tries: 10,
            second_factor: None,
            accept_channel: true,
            accept_pty: true,
            accept_forward: false,
            on_start: OnStart::Echo,
            limits: Limits::default(),
            log: Arc::default(),
        }
    }
}

impl Plan {
    pub fn start(on_start: OnStart) -> Self {
        Self {
            on_start,
            ..Self::default()
        }
    }

    pub fn host_key_line(&self) -> String {
        self.host_keys[0].public_key().to_openssh().unwrap()
    }

    /// Serves one connection until it ends.
    pub async fn serve(self, stream: Box<dyn Stream>) {
        let config = server::Config {
            methods: MethodSet::from(&self.methods[..]),
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: self.host_keys.clone(),
            preferred: self.preferred.clone(),
            inactivity_timeout: None,
            max_auth_attempts: self.max_tries,
            limits: self.limits.clone(),
            ..server::Config::default()
        };
        let log = self.log.clone();
        log.add("connected");
        let peer = Peer {
            plan: self,
            session: None,
            round: 0,
            first_done: false,
        };
        if let Ok(running) = server::run_stream(Arc::new(config), stream, peer).await {
            let _ = running.await;
        }
        log.add("ended");
    }
}

struct Peer {
    plan: Plan,
    session: Option<Channel<Msg>>,
    round: usize,
    first_done: bool,
}

impl Peer {
    fn judge(&mut self, right: bool) -> Auth {
        if !right {
            return Auth::Reject {
                proceed_with_methods: Some(MethodSet::from(&self.plan.methods[..])),
                partial_success: false,
            };
        }
        match self.plan.second_factor {
            Some(method) if !self.first_done => {
                self.first_done = true;
                Auth::Reject {
                    proceed_with_methods: Some(MethodSet::from(&[method][..])),
                    partial_success: true,
                }
            }
            _ => Auth::Accept,
        }
    }

    fn begin(&mut self, id: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        let channel = self.session.take().expect("the channel was opened before");
        match self.plan.on_start.clone() {
            OnStart::Echo => {
                session.channel_success(id)?;
                tokio::spawn(echo(channel));
            }
            OnStart::Early(text) => {
                session.data(id, Bytes::from_static(text.as_bytes()))?;
                session.channel_success(id)?;
                tokio::spawn(echo(channel));
            }
            OnStart::Refuse { stderr, status } => {
                session.extended_data(id, 1, Bytes::from_static(stderr.as_bytes()))?;
                if let Some(status) = status {
                    session.exit_status_request(id, status)?;
                }
                session.channel_failure(id)?;
            }
            OnStart::Exit {
                stdout,
                stderr,
                status,
            } => {
                session.channel_success(id)?;
                session.data(id, Bytes::from_static(stdout.as_bytes()))?;
                session.extended_data(id, 1, Bytes::from_static(stderr.as_bytes()))?;
                session.eof(id)?;
                session.exit_status_request(id, status)?;
                session.close(id)?;
            }
            OnStart::Silent => self.session = Some(channel),
            OnStart::Flood(bytes) => {
                session.channel_success(id)?;
                tokio::spawn(async move {
                    let mut stream = channel.into_stream();
                    stream.write_all(&vec![b'x'; bytes]).await.unwrap();
                    let (mut read, mut write) = tokio::io::split(stream);
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
            OnStart::Disconnect => {
                session.channel_success(id)?;
                session.disconnect(russh::Disconnect::ByApplication, "going down\nnow", "en")?;
            }
        }
        Ok(())
    }
}

async fn echo(channel: Channel<Msg>) {
    let (mut read, mut write) = tokio::io::split(channel.into_stream());
    let mut buffer = vec![0; 32 * 1024];
    while let Ok(n @ 1..) = read.read(&mut buffer).await {
        if write.write_all(&buffer[..n]).await.is_err() {
            break;
        }
    }
}

impl server::Handler for Peer {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, Self::Error> {
        self.plan.log.add("methods asked");
        Ok(self.judge(false))
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.plan.log.add(format!("auth password {user}"));
        let offered = self.plan.methods.contains(&MethodKind::Password) || self.first_done;
        let right = offered && user == "u" && Some(password) == self.plan.password;
        if self.plan.hangs_up && !right {
            return Err(russh::Error::Disconnect);
        }
        Ok(self.judge(right))
    }

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        let algorithm = offer.algorithm.to_string();
        self.plan.log.add(format!("auth publickey {algorithm}"));
        let signature_ok = self.plan.signatures.is_empty() || self.plan.signatures.contains(&algorithm);
        let known = self
            .plan
            .user_keys
            .iter()
            .any(|k| k.key_data() == offer.public_key.key_data());
        Ok(if known && signature_ok {
            Auth::Accept
        } else {
            self.judge(false)
        })
    }

    async fn auth_publickey(
        &mut self,
        _user: &str,
        _key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.judge(true))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        match response {
            None => {
                self.plan.log.add("auth keyboard-interactive");
                self.round = 0;
            }
            Some(given) => {
                let given: Vec<String> = given.map(|r| String::from_utf8_lossy(&r).into_owned()).collect();
                let expected: Vec<&str> = self.plan.prompts[self.round].iter().map(|p| p.1).collect();
                if given != expected {
                    return Ok(self.judge(false));
                }
                self.round += 1;
            }
        }
        let Some(prompts) = self.plan.prompts.get(self.round) else {
            let right = !self.plan.prompts.is_empty();
            return Ok(self.judge(right));
        };
        let prompts = prompts.iter().map(|p| (Cow::Borrowed(p.0), false)).collect();
        Ok(Auth::Partial {
            name: "".into(),
            instructions: "".into(),
            prompts: Cow::Owned(prompts),
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.plan.accept_channel {
            self.session = Some(channel);
            reply.accept().await;
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
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.plan.log.add(format!("forward {host}:{port}"));
        if !self.plan.accept_forward {
            return Ok(());
        }
        let host = if host == "inner.example" {
            "127.0.0.1"
        } else {
            host
        };
        match TcpStream::connect((host, u16::try_from(port).unwrap())).await {
            Ok(mut onward) => {
                reply.accept().await;
                tokio::spawn(async move {
                    let _ = copy_bidirectional(&mut channel.into_stream(), &mut onward).await;
                });
            }
            Err(_) => reply.reject(russh::ChannelOpenFailure::ConnectFailed).await,
        }
        Ok(())
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        _col_width: u32,
        _row_height: u32,
        _pix_width: u32,
        _pix_height: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let echo = modes
            .iter()
            .find(|(mode, _)| *mode == Pty::ECHO)
            .map(|(_, value)| *value);
        self.plan.log.add(format!("pty {term} echo {echo:?}"));
        if self.plan.accept_pty {
            session.channel_success(id)
        } else {
            session.channel_failure(id)
        }
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.plan
            .log
            .add(format!("exec {}", String::from_utf8_lossy(command)));
        self.begin(id, session)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.plan.log.add(format!("subsystem {name}"));
        self.begin(id, session)
    }
}
