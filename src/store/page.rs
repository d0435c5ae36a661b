//! Pages of a list by keyset: a token says after which name to go on, and for which filter (H10).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Bytes of the filter's hash in a token.
const FILTER_BYTES: usize = 8;

/// A part of a list, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Asks for what follows; absent at the end.
    pub next_page_token: Option<String>,
}

/// An opaque token: go on after `last` in the list that `filter` describes.
pub(super) fn token(filter: &str, last: &str) -> String {
    let mut bytes = filter_hash(filter).to_vec();
    bytes.extend_from_slice(last.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What [`token`] was made of; `None` if it was made for another filter, or not at all.
pub(super) fn after(filter: &str, token: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (hash, last) = bytes.split_first_chunk::<FILTER_BYTES>()?;
    if *hash != filter_hash(filter) {
        return None;
    }
    String::from_utf8(last.to_vec()).ok()
}

fn filter_hash(filter: &str) -> [u8; FILTER_BYTES] {
    let digest = Sha256::digest(filter.as_bytes());
    std::array::from_fn(|index| digest[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H10: a token is bound to its filter.
    #[test]
    fn token_is_bound_to_the_filter() {
        let made = token("site=fra", "r-17");
        assert_eq!(after("site=fra", &made).as_deref(), Some("r-17"));
        assert_eq!(after("site=ams", &made), None);
        for foreign in ["", "AAAA", "!", "Zm9vYmFy"] {
            assert_eq!(after("site=fra", foreign), None, "{foreign}");
        }
    }
}
