//! Sealing of secret columns: XChaCha20-Poly1305 with a random nonce. The additional data is table, row id and
//! column, so a ciphertext moved to another row or column does not open (X6).

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::ids::Ids;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Why a sealed value does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("it was sealed with key {0}, which is not known")]
    UnknownKey(String),
    #[error("its seal is broken: it was changed, or it belongs to another row")]
    Broken,
}

/// One key and its name, which is derived from it.
struct SealingKey {
    id: String,
    key: Zeroizing<[u8; KEY_BYTES]>,
}

/// The keys: the first one seals, all of them open.
pub(super) struct Keyring(Vec<SealingKey>);

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

/// Where a sealed value belongs.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub table: &'static str,
    pub row: &'a str,
    pub column: &'static str,
}

impl Place<'_> {
    fn additional_data(self) -> Vec<u8> {
        // None of the three can hold a zero byte, so no two places read alike.
        format!("ncgate/1\0{}\0{}\0{}", self.table, self.row, self.column).into_bytes()
    }
}

impl Keyring {
    /// `keys`: at least one; the first is the current one.
    pub(super) fn new(keys: Vec<Zeroizing<[u8; KEY_BYTES]>>) -> Self {
        let named = keys.into_iter().map(|key| SealingKey {
            id: key_id(&key),
            key,
        });
        Self(named.collect())
    }

    pub(super) fn knows(&self, key_id: &str) -> bool {
        self.0.iter().any(|key| key.id == key_id)
    }

    /// The name of the key that seals.
    pub(super) fn current_id(&self) -> &str {
        &self.current().id
    }

    fn current(&self) -> &SealingKey {
        self.0.first().expect("a keyring is made of at least one key")
    }

    /// Seals with the current key: nonce, ciphertext, tag.
    pub(super) fn seal(&self, place: Place<'_>, plaintext: &[u8], ids: &Ids) -> Vec<u8> {
        let nonce = ids.bytes::<NONCE_BYTES>();
        let payload = Payload {
            msg: plaintext,
            aad: &place.additional_data(),
        };
        let sealed = cipher(&self.current().key)
            .encrypt(&XNonce::from(nonce), payload)
            .expect("only a plaintext of 256 GiB is too long for the cipher");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`Keyring::seal`] made for the same place with any of the keys.
    pub(super) fn open(
        &self,
        place: Place<'_>,
        key_id: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let unknown = || SealError::UnknownKey(key_id.to_owned());
        let key = self.0.iter().find(|key| key.id == key_id).ok_or_else(unknown)?;
        let (nonce, ciphertext) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(SealError::Broken)?;
        let payload = Payload {
            msg: ciphertext,
            aad: &place.additional_data(),
        };
        let opened = cipher(&key.key).decrypt(&XNonce::from(*nonce), payload);
        opened.map(Zeroizing::new).map_err(|_| SealError::Broken)
    }
}

fn cipher(key: &[u8; KEY_BYTES]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&(*key).into())
}

/// Eight bytes of a hash: enough to tell keys apart, nothing that helps to find one.
fn key_id(key: &[u8; KEY_BYTES]) -> String {
    let digest = Sha256::new()
        .chain_update(b"ncgate key id\0")
        .chain_update(key)
        .finalize();
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Zeroizing<[u8; KEY_BYTES]> {
        Zeroizing::new([byte; KEY_BYTES])
    }

    const HERE: Place<'static> = Place {
        table: "t",
        row: "1",
        column: "c",
    };

    /// X6: what was sealed opens in its place only.
    #[test]
    fn a_seal_is_bound_to_its_place() {
        let ids = Ids::seeded(1);
        let keys = Keyring::new(vec![key(1)]);
        let sealed = keys.seal(HERE, b"canary", &ids);
        assert_eq!(
            keys.open(HERE, keys.current_id(), &sealed).unwrap().as_slice(),
            b"canary"
        );
        for elsewhere in [
            Place { row: "2", ..HERE },
            Place { column: "d", ..HERE },
            Place { table: "u", ..HERE },
        ] {
            assert_eq!(
                keys.open(elsewhere, keys.current_id(), &sealed),
                Err(SealError::Broken)
            );
        }
        assert_ne!(sealed, keys.seal(HERE, b"canary", &ids), "nonces never repeat");
    }

    #[test]
    fn damage_is_noticed() {
        let keys = Keyring::new(vec![key(1)]);
        let sealed = keys.seal(HERE, b"canary", &Ids::seeded(1));
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert_eq!(
                keys.open(HERE, keys.current_id(), &changed),
                Err(SealError::Broken)
            );
        }
        for length in 0..sealed.len() {
            assert_eq!(
                keys.open(HERE, keys.current_id(), &sealed[..length]),
                Err(SealError::Broken)
            );
        }
    }

    /// X6, rotation: the first key seals, the others still open.
    #[test]
    fn older_keys_open_what_they_sealed() {
        let old = Keyring::new(vec![key(1)]);
        let sealed = old.seal(HERE, b"canary", &Ids::seeded(1));
        let both = Keyring::new(vec![key(2), key(1)]);
        assert_eq!(
            both.open(HERE, old.current_id(), &sealed).unwrap().as_slice(),
            b"canary"
        );
        assert_ne!(both.current_id(), old.current_id());
        let new = Keyring::new(vec![key(2)]);
        let unknown = SealError::UnknownKey(old.current_id().to_owned());
        assert_eq!(new.open(HERE, old.current_id(), &sealed), Err(unknown));
    }

    #[test]
    fn debug_shows_names_only() {
        let keys = Keyring::new(vec![key(0xab)]);
        assert_eq!(format!("{keys:?}"), format!("[{:?}]", keys.current_id()));
        assert_eq!(keys.current_id().len(), 16);
    }
}
