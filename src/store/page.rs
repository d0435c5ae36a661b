//! Pages of a list by keyset: a token says after which name to go on, and for which filter (H10). One row more than a page
//! holds is asked for, which tells whether there is a next one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::StoreError;

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

/// Before which ULID a list goes on that has the newest first.
///
/// # Errors
/// [`StoreError::BadPageToken`]: it was made for another list.
pub(super) fn before(filter: &str, page_token: Option<&str>) -> Result<String, StoreError> {
    match page_token {
        // No ULID is greater.
        None => Ok("~".to_owned()),
        Some(token) => after(filter, token).ok_or(StoreError::BadPageToken),
    }
}

/// A page of at most `size` of what there is, of which one more was asked for. `name`: by what the list is ordered.
pub(super) fn cut<T>(mut items: Vec<T>, size: u32, filter: &str, name: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > size as usize;
    items.truncate(size as usize);
    let last = items.last().filter(|_| more);
    let next_page_token = last.map(|last| token(filter, &name(last)));
    Page {
        items,
        next_page_token,
    }
}

fn filter_hash(filter: &str) -> [u8; FILTER_BYTES] {
    let digest = Sha256::digest(filter.as_bytes());
    std::array::from_fn(|index| digest[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H10: the last of a page leads to the next one, if there is one.
    #[test]
    fn page_ends_where_the_next_begins() {
        let list = |count: u8| (0..count).map(|item| item.to_string()).collect::<Vec<_>>();
        let page = cut(list(4), 3, "all", Clone::clone);
        assert_eq!(page.items, ["0", "1", "2"]);
        let next = page.next_page_token.expect("there is more");
        assert_eq!(before("all", Some(&next)).ok().as_deref(), Some("2"));
        assert!(before("others", Some(&next)).is_err());
        assert_eq!(cut(list(3), 3, "all", Clone::clone).next_page_token, None);
        assert!(before("all", None).is_ok_and(|before| before.as_str() > "7ZZZZZZZZZ"));
    }

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
