//! What a caller says about a device before it is dialled: where, who, with which secrets, under which rules.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use russh::MethodKind;
use russh::keys::{HashAlg, PrivateKey, decode_secret_key};
use zeroize::Zeroizing;

use super::algorithms::SshProfile;
use super::error::TransportError;
use super::host_key::HostKeyPolicy;

/// A secret: wiped when dropped, never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the secret over.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Why a private key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the private key is encrypted and no passphrase is given")]
    PassphraseMissing,
    #[error("the passphrase does not open the private key")]
    PassphraseWrong,
    #[error("not a private key in OpenSSH, PKCS#8 or PEM form: {detail}")]
    Malformed { detail: String },
}

/// A private key in text form with its passphrase. Clones share the decoded key, since opening an encrypted one
/// is meant to be slow.
#[derive(Clone)]
pub struct UserKey(Arc<UserKeyInner>);

struct UserKeyInner {
    text: Secret,
    passphrase: Option<Secret>,
    decoded: OnceLock<Result<Arc<PrivateKey>, KeyError>>,
    /// The hash that an RSA signature was last accepted with; `Some(None)` is SHA-1.
    rsa_hash: Mutex<Option<Option<HashAlg>>>,
}

impl UserKey {
    /// A key as a caller gave it; nothing is checked yet.
    pub fn new(text: Secret, passphrase: Option<Secret>) -> Self {
        let inner = UserKeyInner {
            text,
            passphrase,
            decoded: OnceLock::new(),
            rsa_hash: Mutex::new(None),
        };
        Self(Arc::new(inner))
    }

    /// Decodes and, with the passphrase, opens the key. Takes up to some 100 ms of CPU on the first call for an
    /// encrypted key.
    ///
    /// # Errors
    /// [`KeyError`], the same on every call.
    pub fn check(&self) -> Result<(), KeyError> {
        self.decode().map(|_| ())
    }

    pub(super) fn decode(&self) -> Result<Arc<PrivateKey>, KeyError> {
        self.0.decoded.get_or_init(|| self.decode_now()).clone()
    }

    fn decode_now(&self) -> Result<Arc<PrivateKey>, KeyError> {
        let passphrase = self.0.passphrase.as_ref().map(Secret::expose);
        match decode_secret_key(self.0.text.expose(), passphrase) {
            Ok(key) if key.is_encrypted() => Err(KeyError::PassphraseMissing),
            Ok(key) => Ok(Arc::new(key)),
            Err(russh::keys::Error::KeyIsEncrypted) => Err(KeyError::PassphraseMissing),
            Err(_) if passphrase.is_some() && self.opens_in_form() => Err(KeyError::PassphraseWrong),
            Err(error) => Err(KeyError::Malformed {
                detail: error.to_string(),
            }),
        }
    }

    /// Whether the text is a well-formed encrypted key, so that only the passphrase can be at fault.
    fn opens_in_form(&self) -> bool {
        match decode_secret_key(self.0.text.expose(), None) {
            Ok(key) => key.is_encrypted(),
            Err(russh::keys::Error::KeyIsEncrypted) => true,
            Err(_) => false,
        }
    }

    pub(super) fn rsa_hash(&self) -> Option<Option<HashAlg>> {
        *self.0.rsa_hash.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remember_rsa_hash(&self, hash: Option<HashAlg>) {
        *self.0.rsa_hash.lock().unwrap_or_else(PoisonError::into_inner) = Some(hash);
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserKey([redacted])")
    }
}

/// An answer to a keyboard-interactive prompt. It belongs to the prompts that contain `prompt`, letter case
/// ignored; an empty `prompt` belongs to any.
#[derive(Clone, Debug)]
pub struct PromptAnswer {
    pub prompt: String,
    pub answer: Secret,
}

/// The ways to authenticate, tried in the order public key, password, keyboard-interactive. A password also
/// answers a single keyboard-interactive prompt.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    pub private_key: Option<UserKey>,
    pub password: Option<Secret>,
    pub keyboard_interactive: Vec<PromptAnswer>,
    pub known: KnownMethod,
}

/// The method by which these credentials were enough for the last login, shared by their clones. The next login begins with
/// it, and need not ask first what the server offers: one round trip less.
#[derive(Clone, Debug, Default)]
pub struct KnownMethod(Arc<Mutex<Option<MethodKind>>>);

impl KnownMethod {
    pub(super) fn get(&self) -> Option<MethodKind> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, method: Option<MethodKind>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = method;
    }
}

impl Credentials {
    /// A password and nothing else.
    pub fn password(password: impl Into<String>) -> Self {
        Self {
            password: Some(Secret::new(password)),
            ..Self::default()
        }
    }

    /// An OpenSSH, PKCS#8 or PEM private key without passphrase and nothing else.
    pub fn private_key(text: impl Into<String>) -> Self {
        Self {
            private_key: Some(UserKey::new(Secret::new(text), None)),
            ..Self::default()
        }
    }

    fn is_empty(&self) -> bool {
        self.private_key.is_none() && self.password.is_none() && self.keyboard_interactive.is_empty()
    }
}

/// One SSH server: the device or a jump host.
#[derive(Clone, Debug)]
pub struct SshHost {
    /// A name or a literal address.
    pub address: String,
    pub port: u16,
    pub username: String,
    pub auth: Credentials,
    pub host_key: HostKeyPolicy,
    pub profile: SshProfile,
}

impl SshHost {
    /// S1: everything that must be there before anything is dialled.
    fn check(&self) -> Result<(), TransportError> {
        let missing = |field| TransportError::Prerequisite {
            field,
            detail: "is missing".to_owned(),
        };
        if self.address.is_empty() {
            return Err(missing("address"));
        }
        if self.port == 0 {
            return Err(missing("port"));
        }
        if self.username.is_empty() {
            return Err(missing("username"));
        }
        if self.auth.is_empty() {
            return Err(missing("auth"));
        }
        Ok(())
    }
}

/// What runs on the channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelKind {
    /// The `netconf` subsystem (S2).
    #[default]
    Subsystem,
    /// The `netconf` command on a pseudo-terminal (S3).
    Pty,
}

/// Time limits. Each phase has its own, and all of them together, jump hosts included, have `total`.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For resolving and for connecting, each.
    pub tcp: Duration,
    pub kex: Duration,
    pub auth: Duration,
    pub subsystem: Duration,
    pub total: Duration,
}

impl Timeouts {
    /// Every phase may use up the whole.
    pub fn total(total: Duration) -> Self {
        Self {
            tcp: total,
            kex: total,
            auth: total,
            subsystem: total,
            total,
        }
    }
}

impl Default for Timeouts {
    /// 10 s.
    fn default() -> Self {
        Self::total(Duration::from_secs(10))
    }
}

/// What rarely needs another value.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Silence after which a keepalive is sent.
    pub keepalive_interval: Duration,
    /// Unanswered keepalives after which the connection is given up.
    pub keepalive_max: usize,
    /// Bytes in one direction after which new keys are negotiated; at most 2^30 (RFC 4253 section 9).
    pub rekey_bytes: usize,
    /// Time after which new keys are negotiated.
    pub rekey_after: Duration,
}

impl Default for Settings {
    /// Keepalive 15 s x 3 (Q5), new keys after 1 GiB or an hour.
    fn default() -> Self {
        Self {
            keepalive_interval: Duration::from_secs(15),
            keepalive_max: 3,
            rekey_bytes: 1 << 30,
            rekey_after: Duration::from_secs(3600),
        }
    }
}

/// Everything needed to reach one NETCONF server.
#[derive(Clone, Debug)]
pub struct SshTarget {
    pub host: SshHost,
    /// Jump hosts in the order of dialling. Each name but the first is resolved by the host before it.
    pub proxy_jump: Vec<SshHost>,
    pub channel: ChannelKind,
    pub timeouts: Timeouts,
    pub settings: Settings,
}

impl SshTarget {
    /// A target with the defaults: no jump host, subsystem, 10 s.
    pub fn new(host: SshHost) -> Self {
        Self {
            host,
            proxy_jump: Vec::new(),
            channel: ChannelKind::default(),
            timeouts: Timeouts::default(),
            settings: Settings::default(),
        }
    }

    /// S1: whether the prerequisites are there.
    ///
    /// # Errors
    /// `Prerequisite` with the name of the setting, inside `Jump` for a jump host.
    pub fn check(&self) -> Result<(), TransportError> {
        for (index, jump) in self.proxy_jump.iter().enumerate() {
            jump.check()
                .map_err(|error| error.on_jump(Some((index, &jump.address))))?;
        }
        self.host.check()
    }
}
