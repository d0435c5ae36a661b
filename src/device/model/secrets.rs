//! Credentials: overwritten in memory when dropped, redacted in every `Debug`, serialised only into the form
//! that is sealed at once (X6).

use std::fmt;

use russh::keys::{Error as KeyError, PrivateKey, decode_secret_key};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A secret text. Comparing two of them is for detecting changes, not for authentication: it takes time that
/// depends on the content.
#[derive(Clone, Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whoever must send or decode it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What answers one prompt of a keyboard-interactive login (RFC 4256).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptAnswer {
    /// The prompt or its beginning, as the device words it.
    pub prompt: String,
    pub answer: Secret,
}

/// The ways to log in to one host. Several may be given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    pub password: Option<Secret>,
    /// PEM or OpenSSH text of the key, as the caller gave it.
    pub private_key: Option<Secret>,
    pub passphrase: Option<Secret>,
    pub keyboard_interactive: Vec<PromptAnswer>,
}

impl Credentials {
    pub fn view(&self) -> AuthView {
        AuthView {
            password: self.password.is_some(),
            private_key: self.private_key.is_some(),
            passphrase: self.passphrase.is_some(),
            keyboard_interactive: !self.keyboard_interactive.is_empty(),
        }
    }
}

/// Which ways of logging in are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthView {
    pub password: bool,
    pub private_key: bool,
    pub passphrase: bool,
    pub keyboard_interactive: bool,
}

impl AuthView {
    pub(super) fn to_value(self) -> Value {
        json!({
            "password": self.password,
            "private_key": self.private_key,
            "passphrase": self.passphrase,
            "keyboard_interactive": self.keyboard_interactive,
        })
    }
}

/// All credentials of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceSecrets {
    pub auth: Credentials,
    /// One for each entry of `DeviceSettings::proxy_jump`, in its order.
    pub proxy_jump: Vec<Credentials>,
}

/// The text that is sealed. Private, so that nothing else can serialise secrets.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Plain {
    auth: PlainCredentials,
    proxy_jump: Vec<PlainCredentials>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PlainCredentials {
    password: Option<Open>,
    private_key: Option<Open>,
    passphrase: Option<Open>,
    keyboard_interactive: Vec<PlainAnswer>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainAnswer {
    prompt: String,
    answer: Open,
}

/// A secret on its way into or out of the sealed form.
struct Open(Secret);

impl Serialize for Open {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Open {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret(text)))
    }
}

impl DeviceSecrets {
    /// The bytes to seal.
    pub fn to_plaintext(&self) -> Zeroizing<Vec<u8>> {
        let plain = Plain {
            auth: PlainCredentials::from(&self.auth),
            proxy_jump: self.proxy_jump.iter().map(PlainCredentials::from).collect(),
        };
        // Measured first, then written into room enough: a buffer that grows leaves copies behind.
        let mut size = Counter(0);
        serde_json::to_writer(&mut size, &plain).expect("strings only, so always JSON; counting cannot fail");
        let mut bytes = Zeroizing::new(Vec::with_capacity(size.0));
        serde_json::to_writer(&mut *bytes, &plain).expect("strings only, so always JSON; memory takes it");
        bytes
    }

    /// What [`DeviceSecrets::to_plaintext`] made; `None` if it is something else.
    pub fn from_plaintext(bytes: &[u8]) -> Option<Self> {
        let plain: Plain = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            auth: plain.auth.into(),
            proxy_jump: plain.proxy_jump.into_iter().map(Credentials::from).collect(),
        })
    }
}

struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl From<&Credentials> for PlainCredentials {
    fn from(credentials: &Credentials) -> Self {
        let copy = |secret: &Option<Secret>| secret.clone().map(Open);
        let answer = |a: &PromptAnswer| PlainAnswer {
            prompt: a.prompt.clone(),
            answer: Open(a.answer.clone()),
        };
        Self {
            password: copy(&credentials.password),
            private_key: copy(&credentials.private_key),
            passphrase: copy(&credentials.passphrase),
            keyboard_interactive: credentials.keyboard_interactive.iter().map(answer).collect(),
        }
    }
}

impl From<PlainCredentials> for Credentials {
    fn from(plain: PlainCredentials) -> Self {
        let answer = |a: PlainAnswer| PromptAnswer {
            prompt: a.prompt,
            answer: a.answer.0,
        };
        Self {
            password: plain.password.map(|open| open.0),
            private_key: plain.private_key.map(|open| open.0),
            passphrase: plain.passphrase.map(|open| open.0),
            keyboard_interactive: plain.keyboard_interactive.into_iter().map(answer).collect(),
        }
    }
}

/// Why a private key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    #[error("is encrypted, and no passphrase is given")]
    PassphraseMissing,
    #[error("does not open the private key")]
    PassphraseWrong,
    #[error("is encrypted in an old PEM form that is not understood; `ssh-keygen -p -f FILE` rewrites it")]
    OldEncryption,
    #[error("is a public key; the private one is needed")]
    PublicKey,
    #[error("is not a private key in OpenSSH, PKCS#1, PKCS#8 or SEC1 form")]
    Unreadable(#[source] Option<KeyError>),
}

/// Decodes a private key: RSA, Ed25519 or ECDSA, in OpenSSH, PKCS#1, PKCS#8 or SEC1 form.
///
/// Opening an encrypted key takes many milliseconds of computing, on purpose of its inventors; not for a task
/// that must not wait.
///
/// # Errors
/// [`KeyFault`], which never quotes the key.
pub fn decode_private_key(text: &str, passphrase: Option<&str>) -> Result<PrivateKey, KeyFault> {
    let text = text.trim();
    if ["ssh-", "ecdsa-", "-----BEGIN PUBLIC KEY-----"]
        .iter()
        .any(|start| text.starts_with(start))
    {
        return Err(KeyFault::PublicKey);
    }
    let old_encryption = text.contains("Proc-Type: 4,ENCRYPTED");
    if old_encryption && !text.contains("DEK-Info: AES-128-CBC,") {
        return Err(KeyFault::OldEncryption);
    }
    let openssh = text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----");
    let sealed = old_encryption || text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----");
    if sealed && passphrase.is_none() {
        return Err(KeyFault::PassphraseMissing);
    }
    // The decoder takes a passphrase beside an open PKCS#8 key for a sign that it is encrypted.
    let passphrase = passphrase.filter(|_| openssh || sealed);
    match decode_secret_key(text, passphrase) {
        Ok(key) => Ok(key),
        Err(KeyError::KeyIsEncrypted) => Err(KeyFault::PassphraseMissing),
        Err(_) if sealed => Err(KeyFault::PassphraseWrong),
        Err(KeyError::SshKey(russh::keys::ssh_key::Error::Crypto)) if passphrase.is_some() => {
            Err(KeyFault::PassphraseWrong)
        }
        Err(error) => Err(KeyFault::Unreadable(Some(error))),
    }
}
