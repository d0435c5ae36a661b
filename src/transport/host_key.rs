//! Host keys (X7): which key of a server is accepted. Decided before anything of the user's is sent.

use std::fmt;
use std::path::{Path, PathBuf};

use russh::keys::known_hosts::known_host_keys_path;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};

use super::algorithms::same_type;
use super::error::TransportError;

/// Why a pinned key cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither an openssh public key nor a SHA256 fingerprint: {detail}")]
pub struct HostKeyError {
    pub detail: String,
}

/// A key that a server may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKey {
    /// The key itself.
    Public(Box<PublicKey>),
    /// Its fingerprint, `SHA256:` and 43 characters of base64, and its type if it is known. Without the type a
    /// server with several keys may show another one; give the type or the key then.
    Fingerprint {
        sha256: String,
        algorithm: Option<Algorithm>,
    },
}

impl HostKey {
    /// Reads an OpenSSH public key (`ssh-ed25519 AAAA… comment`), a known_hosts line (the host names before it are
    /// left out), a fingerprint (`SHA256:…`), or a line of `ssh-keygen -l` (`256 SHA256:… comment (ED25519)`).
    ///
    /// # Errors
    /// [`HostKeyError`] if it is none of them.
    pub fn parse(text: &str) -> Result<Self, HostKeyError> {
        let text = text.trim();
        let mut words = text.split_ascii_whitespace();
        if let Some(sha256) = words.find(|word| word.starts_with("SHA256:")) {
            return Self::parse_fingerprint(sha256, words.next_back());
        }
        let direct = PublicKey::from_openssh(text);
        let key = match (direct, text.split_once(char::is_whitespace)) {
            (Ok(key), _) => key,
            (Err(_), Some((_hosts, rest))) if PublicKey::from_openssh(rest.trim()).is_ok() => {
                return Self::parse(rest);
            }
            (Err(error), _) => {
                return Err(HostKeyError {
                    detail: error.to_string(),
                });
            }
        };
        Ok(Self::Public(Box::new(PublicKey::from(key.key_data().clone()))))
    }

    fn parse_fingerprint(text: &str, last: Option<&str>) -> Result<Self, HostKeyError> {
        let base64 = text["SHA256:".len()..].trim_end_matches('=');
        let in_alphabet = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
        if base64.len() != 43 || !base64.chars().all(in_alphabet) {
            return Err(HostKeyError {
                detail: "a SHA256 fingerprint has 43 characters of base64".to_owned(),
            });
        }
        let algorithm = match last {
            Some("(ED25519)") => Some(Algorithm::Ed25519),
            Some("(RSA)") => Some(Algorithm::Rsa { hash: None }),
            Some("(ECDSA)") => Some(Algorithm::Ecdsa {
                curve: EcdsaCurve::NistP256,
            }),
            Some(_) | None => None,
        };
        Ok(Self::Fingerprint {
            sha256: format!("SHA256:{base64}"),
            algorithm,
        })
    }

    fn algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Public(key) => Some(key.algorithm()),
            Self::Fingerprint { algorithm, .. } => algorithm.clone(),
        }
    }

    fn fingerprint(&self) -> String {
        match self {
            Self::Public(key) => fingerprint(key),
            Self::Fingerprint { sha256, .. } => sha256.clone(),
        }
    }

    fn is(&self, shown: &PublicKey) -> bool {
        match self {
            Self::Public(key) => key.key_data() == shown.key_data(),
            Self::Fingerprint { sha256, .. } => *sha256 == fingerprint(shown),
        }
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

/// Which host keys are accepted.
#[derive(Clone, Debug)]
pub enum HostKeyPolicy {
    /// Exactly these; none yet means that the first connect fails with the key it saw.
    Pinned(Vec<HostKey>),
    /// Those of an OpenSSH known_hosts file, read at each connect. Plain and hashed names; a key marked `@revoked`
    /// is refused whatever the host; wildcards and `@cert-authority` are not used.
    KnownHosts { path: PathBuf },
    /// Trust on first use: with nothing learned yet any key is accepted and reported, afterwards only that.
    Tofu { learned: Vec<HostKey> },
}

impl HostKeyPolicy {
    /// What is to be checked against at one connect to this host.
    ///
    /// # Errors
    /// `KnownHosts` if there is no known_hosts file, or it cannot be read.
    pub(super) async fn load(&self, host: &str, port: u16) -> Result<Expected, TransportError> {
        let plain = |keys: &[HostKey], trust_first| Expected {
            keys: keys.to_vec(),
            revoked: Vec::new(),
            trust_first,
        };
        match self {
            Self::Pinned(keys) => Ok(plain(keys, false)),
            Self::Tofu { learned } => Ok(plain(learned, true)),
            Self::KnownHosts { path } if path.as_os_str().is_empty() => Err(TransportError::KnownHosts {
                detail: "the gateway has no known_hosts file".to_owned(),
            }),
            Self::KnownHosts { path } => {
                let (path, host) = (path.clone(), host.to_owned());
                // A file read blocks; a known_hosts file may be on a network file system.
                tokio::task::spawn_blocking(move || read_known_hosts(&path, &host, port))
                    .await
                    .unwrap_or_else(|error| Err(error.to_string()))
                    .map_err(|detail| TransportError::KnownHosts { detail })
            }
        }
    }
}

/// The keys that one connect accepts.
pub(super) struct Expected {
    keys: Vec<HostKey>,
    revoked: Vec<PublicKey>,
    trust_first: bool,
}

/// What a shown key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted {
        /// Nothing was known; the key is to be remembered.
        first_use: bool,
    },
    Unknown,
    Changed {
        expected: Vec<String>,
    },
}

impl Expected {
    /// Types of the known keys, which the server is asked for first.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        self.keys.iter().filter_map(HostKey::algorithm).collect()
    }

    pub(super) fn judge(&self, shown: &PublicKey) -> Verdict {
        let revoked = self.revoked.iter().any(|key| key.key_data() == shown.key_data());
        if !revoked && self.keys.iter().any(|key| key.is(shown)) {
            return Verdict::Accepted { first_use: false };
        }
        if revoked || !self.keys.is_empty() {
            let same = |key: &&HostKey| key.algorithm().is_none_or(|a| same_type(&a, &shown.algorithm()));
            let mut expected: Vec<String> = self.keys.iter().filter(same).map(HostKey::fingerprint).collect();
            if expected.is_empty() {
                expected = self.keys.iter().map(HostKey::fingerprint).collect();
            }
            if expected.is_empty() {
                expected.push("any key that is not revoked".to_owned());
            }
            return Verdict::Changed { expected };
        }
        match self.trust_first {
            true => Verdict::Accepted { first_use: true },
            false => Verdict::Unknown,
        }
    }
}

/// `SHA256:` and base64 without padding, as OpenSSH shows it.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn read_known_hosts(path: &Path, host: &str, port: u16) -> Result<Expected, String> {
    /// Far more than any known_hosts file.
    const MAX_BYTES: u64 = 16 << 20;
    let name = path.display();
    let size = std::fs::metadata(path)
        .map_err(|error| format!("cannot read {name}: {error}"))?
        .len();
    if size > MAX_BYTES {
        return Err(format!("{name} is larger than {MAX_BYTES} bytes"));
    }
    // The library takes a file that cannot be opened for an empty one, hence our own read before it.
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    let found = known_host_keys_path(host, port, path).map_err(|error| format!("{name}: {error}"))?;
    let revoked = text
        .lines()
        .filter_map(|line| line.strip_prefix("@revoked "))
        .filter_map(|line| line.trim().split_once(char::is_whitespace))
        .filter_map(|(_hosts, key)| PublicKey::from_openssh(key.trim()).ok())
        .collect();
    let keys = found
        .into_iter()
        .map(|(_line, key)| HostKey::Public(Box::new(key)))
        .collect();
    Ok(Expected {
        keys,
        revoked,
        trust_first: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::tests::server::{ecdsa_key, ed25519_key};

    fn line(key: &PublicKey) -> String {
        key.to_openssh().unwrap()
    }

    /// X7
    #[test]
    fn pinned_keys_are_read_in_every_common_form() {
        let key = ed25519_key(1).public_key().clone();
        let print = fingerprint(&key);
        let full = HostKey::Public(Box::new(PublicKey::from(key.key_data().clone())));
        assert_eq!(
            HostKey::parse(&format!("  {} a comment\n", line(&key))),
            Ok(full.clone())
        );
        assert_eq!(
            HostKey::parse(&format!("[10.0.0.1]:830 {}", line(&key))),
            Ok(full)
        );
        let by_print = |algorithm| {
            Ok(HostKey::Fingerprint {
                sha256: print.clone(),
                algorithm,
            })
        };
        assert_eq!(HostKey::parse(&print), by_print(None));
        assert_eq!(
            HostKey::parse(&format!("256 {print} me (ED25519)")),
            by_print(Some(Algorithm::Ed25519))
        );
        for bad in ["", "SHA256:abc", "MD5:00:11", "ssh-ed25519 AAAA", "nonsense"] {
            assert!(HostKey::parse(bad).is_err(), "{bad}");
        }
    }

    /// X7
    #[test]
    fn verdicts_follow_the_policy() {
        let [right, wrong] = [1, 2].map(|seed| ed25519_key(seed).public_key().clone());
        let other_type = ecdsa_key().public_key().clone();
        let expect = |keys: &[&str], trust_first| Expected {
            keys: keys.iter().map(|k| HostKey::parse(k).unwrap()).collect(),
            revoked: Vec::new(),
            trust_first,
        };
        assert_eq!(expect(&[], false).judge(&right), Verdict::Unknown);
        assert_eq!(
            expect(&[], true).judge(&right),
            Verdict::Accepted { first_use: true }
        );
        for pin in [line(&right), fingerprint(&right)] {
            for trust_first in [false, true] {
                let pinned = expect(&[&pin], trust_first);
                assert_eq!(pinned.judge(&right), Verdict::Accepted { first_use: false });
                let changed = Verdict::Changed {
                    expected: vec![fingerprint(&right)],
                };
                assert_eq!(pinned.judge(&wrong), changed);
                assert_eq!(
                    pinned.judge(&other_type),
                    changed,
                    "another type is no way around a known key"
                );
            }
        }
    }

    /// X7
    #[tokio::test]
    async fn known_hosts_file_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        let [right, wrong, gone] = [1, 2, 3].map(|seed| ed25519_key(seed).public_key().clone());
        let text = format!(
            "# comment\n[mx1]:830 {}\nmx2 {}\n@revoked * {}\n[mx3]:830 {}\n",
            line(&right),
            line(&wrong),
            line(&gone),
            line(&gone)
        );
        std::fs::write(&path, text).unwrap();
        let policy = HostKeyPolicy::KnownHosts { path };
        let judge =
            async |host: &str, port, key: &PublicKey| policy.load(host, port).await.unwrap().judge(key);
        assert_eq!(
            judge("mx1", 830, &right).await,
            Verdict::Accepted { first_use: false }
        );
        assert_eq!(judge("mx1", 22, &right).await, Verdict::Unknown);
        let changed = Verdict::Changed {
            expected: vec![fingerprint(&right)],
        };
        assert_eq!(judge("mx1", 830, &wrong).await, changed);
        assert_eq!(
            judge("mx2", 22, &wrong).await,
            Verdict::Accepted { first_use: false }
        );
        assert!(matches!(judge("mx3", 830, &gone).await, Verdict::Changed { .. }));
        let missing = HostKeyPolicy::KnownHosts {
            path: dir.path().join("absent"),
        };
        let error = missing.load("mx1", 830).await.err().unwrap();
        assert!(
            matches!(&error, TransportError::KnownHosts { detail } if detail.contains("absent")),
            "{error}"
        );
    }
}
