//! Which SSH algorithms are offered, by profile.
//!
//! | | `modern` (default) | `compat` adds | `legacy` adds |
//! |---|---|---|---|
//! | key exchange | mlkem768x25519-sha256, curve25519-sha256 (and @libssh.org), ecdh-sha2-nistp256/384/521, diffie-hellman-group16-sha512, group18-sha512, group15-sha512, group17-sha512, group-exchange-sha256, group14-sha256 | | diffie-hellman-group14-sha1, group-exchange-sha1, group1-sha1 |
//! | host key | ssh-ed25519, ecdsa-sha2-nistp256/384/521, rsa-sha2-512, rsa-sha2-256 | | ssh-rsa |
//! | cipher | aes128-gcm, aes256-gcm, chacha20-poly1305, aes256/192/128-ctr | | aes256/192/128-cbc, 3des-cbc |
//! | MAC | hmac-sha2-256-etm, hmac-sha2-512-etm, hmac-sha2-256, hmac-sha2-512 | hmac-sha1-etm, hmac-sha1 | |
//! | group exchange | 3072 bits or more | | 2048 bits or more |
//! | RSA user keys | SHA-512, SHA-256 | | SHA-1 |
//!
//! What a profile adds comes after what is safer, so it is used only when the server has nothing better. GCM comes
//! first because it is by far the fastest here. Strict key exchange (against CVE-2023-48795) is asked for always.

use std::borrow::Cow;

use russh::client::GexParams;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, compression, kex, mac};

/// How old a device may be. See the table in the module's source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SshProfile {
    /// No SHA-1 anywhere.
    #[default]
    Modern,
    /// `Modern`, and HMAC-SHA-1.
    Compat,
    /// `Compat`, and what only old devices need: SHA-1 key exchange and signatures, CBC, small groups.
    Legacy,
}

const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G15_SHA512,
    kex::DH_G17_SHA512,
    kex::DH_GEX_SHA256,
    kex::DH_G14_SHA256,
];
const KEX_LEGACY: &[kex::Name] = &[kex::DH_G14_SHA1, kex::DH_GEX_SHA1, kex::DH_G1_SHA1];
const KEX_MARKERS: &[kex::Name] = &[
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];
const CIPHERS_LEGACY: &[cipher::Name] = &[
    cipher::AES_256_CBC,
    cipher::AES_192_CBC,
    cipher::AES_128_CBC,
    cipher::TRIPLE_DES_CBC,
];
const MACS: &[mac::Name] = &[
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256,
    mac::HMAC_SHA512,
];
const MACS_COMPAT: &[mac::Name] = &[mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];
const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];
const HOST_KEYS_LEGACY: &[Algorithm] = &[Algorithm::Rsa { hash: None }];

impl SshProfile {
    /// The name used in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Compat => "compat",
            Self::Legacy => "legacy",
        }
    }

    /// Whether algorithms that only old devices need are offered.
    pub(super) fn is_legacy(self) -> bool {
        match self {
            Self::Modern | Self::Compat => false,
            Self::Legacy => true,
        }
    }

    /// The lists to offer. Host key types in `known` come first, as a server with several keys shows the one of
    /// the first type that both have, and only a known one helps.
    pub(super) fn preferred(self, known: &[Algorithm]) -> Preferred {
        let legacy = self.is_legacy();
        let compat = legacy || self == Self::Compat;
        let mut keys = join(HOST_KEYS, legacy, HOST_KEYS_LEGACY);
        keys.sort_by_key(|key| !known.iter().any(|k| same_type(k, key)));
        let mut kex = join(KEX, legacy, KEX_LEGACY);
        kex.extend_from_slice(KEX_MARKERS);
        Preferred {
            kex: Cow::Owned(kex),
            key: Cow::Owned(keys),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Owned(join(CIPHERS, legacy, CIPHERS_LEGACY)),
            mac: Cow::Owned(join(MACS, compat, MACS_COMPAT)),
            compression: Cow::Borrowed(&[compression::NONE]),
        }
    }

    /// Sizes for group exchange, in bits.
    pub(super) fn group_exchange(self) -> GexParams {
        let sizes = if self.is_legacy() {
            GexParams::new(2048, 2048, 8192)
        } else {
            GexParams::new(3072, 4096, 8192)
        };
        sizes.unwrap_or_default()
    }
}

fn join<T: Clone>(always: &[T], more: bool, added: &[T]) -> Vec<T> {
    let mut list = always.to_vec();
    if more {
        list.extend_from_slice(added);
    }
    list
}

/// Whether a host key of one algorithm can be shown under the other: RSA keys have three names.
pub(super) fn same_type(a: &Algorithm, b: &Algorithm) -> bool {
    a == b || matches!((a, b), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<T: AsRef<str>>(list: &[T]) -> Vec<&str> {
        list.iter().map(AsRef::as_ref).collect()
    }

    /// Quality section 3 row 19
    #[test]
    fn only_legacy_offers_sha1_cbc_and_small_groups() {
        for profile in [SshProfile::Modern, SshProfile::Compat] {
            let offered = profile.preferred(&[]);
            assert!(names(&offered.kex).iter().all(|n| !n.ends_with("sha1")));
            assert!(names(&offered.cipher).iter().all(|n| !n.contains("cbc")));
            assert!(!offered.key.contains(&Algorithm::Rsa { hash: None }));
            assert!(names(&offered.kex).contains(&"ecdh-sha2-nistp256"));
            assert_eq!(profile.group_exchange().min_group_size(), 3072);
        }
        assert!(!names(&SshProfile::Modern.preferred(&[]).mac).contains(&"hmac-sha1"));
        assert!(names(&SshProfile::Compat.preferred(&[]).mac).contains(&"hmac-sha1"));
        let legacy = SshProfile::Legacy.preferred(&[]);
        assert_eq!(legacy.key.last(), Some(&Algorithm::Rsa { hash: None }));
        assert!(names(&legacy.kex).contains(&"diffie-hellman-group1-sha1"));
        assert!(names(&legacy.cipher).contains(&"3des-cbc"));
        assert_eq!(SshProfile::Legacy.group_exchange().min_group_size(), 2048);
    }

    /// X7
    #[test]
    fn known_host_key_types_come_first() {
        let offered = SshProfile::Modern.preferred(&[Algorithm::Rsa { hash: None }]);
        assert_eq!(
            offered.key[0],
            Algorithm::Rsa {
                hash: Some(HashAlg::Sha512)
            }
        );
        assert_eq!(offered.key[2], Algorithm::Ed25519);
    }
}
