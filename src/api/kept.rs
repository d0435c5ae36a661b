//! Answers that are kept for those who come again with the same idempotency key: a head in the words of the door, and the
//! bytes that were answered.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorCode, Outcome};

/// An answer is kept up to this size, head and body together.
pub const MOST_BYTES: usize = 1 << 20;

/// `None`: too large to be kept.
pub fn join(head: &impl Serialize, body: &[u8]) -> Option<Vec<u8>> {
    let mut joined = serde_json::to_vec(head).ok()?;
    // JSON without blank space has no line feed.
    joined.push(b'\n');
    joined.extend_from_slice(body);
    (joined.len() <= MOST_BYTES).then_some(joined)
}

/// What whoever comes again is told in place of an answer that was too large: where to look instead.
pub fn omitted(operation_id: &str) -> Error {
    let words = "the call was made before; its answer was too large to be kept";
    Error::new(ErrorCode::ResponseTooLarge, words)
        .with_outcome(Outcome::Applied)
        .with_operation_id(operation_id)
        .with_hint("metadata.resource of its operation names what can be looked at instead")
}

/// Takes apart what [`join`] made. `None`: something else did.
pub fn split<T: DeserializeOwned>(kept: &[u8]) -> Option<(T, &[u8])> {
    let at = memchr::memchr(b'\n', kept)?;
    let head = serde_json::from_slice(&kept[..at]).ok()?;
    Some((head, &kept[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H8: byte for byte.
    #[test]
    fn an_answer_comes_back_as_it_was() {
        let body = b"\n{\"a\":\"\\n\"}\n\xff";
        let kept = join(&("head\n", 201), body).unwrap();
        assert_eq!(
            split::<(String, u16)>(&kept),
            Some((("head\n".to_owned(), 201), &body[..]))
        );
        assert_eq!(join(&"head", &vec![0; MOST_BYTES]), None);
        assert_eq!(split::<(String, u16)>(b"{}"), None);
    }
}
