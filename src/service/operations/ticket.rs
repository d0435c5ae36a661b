//! What a call carries with it through the layers: how its caller wants it run, and the operation that stands for it from
//! the moment that there is one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::view::Operation;
use crate::error::{Error, Outcome};
use crate::store::OperationRecord;

/// The longest idempotency key, in bytes (H8).
const LONGEST_KEY: usize = 255;

/// A key by which a call that comes again is known, and what was asked for with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// A hash of principal, call, resource and key, hexadecimal.
    scope: String,
    /// A hash of the request.
    request: [u8; 32],
}

impl Key {
    /// `text`: 1 to 255 printable ASCII characters. `call` and `resource`: what it is for; the same key for another call
    /// is another key. `place`: where the key stands in the request.
    ///
    /// # Errors
    /// `invalid-argument`.
    pub fn new(
        place: &str,
        text: &[u8],
        principal: &str,
        (call, resource): (&str, &str),
        request: &[&[u8]],
    ) -> Result<Self, Error> {
        let printable = text.iter().all(|byte| (b' '..=b'~').contains(byte));
        if text.is_empty() || text.len() > LONGEST_KEY || !printable {
            let detail = format!("must be 1 to {LONGEST_KEY} printable ASCII characters");
            return Err(Error::invalid(place, detail));
        }
        let scope = digest(&[principal.as_bytes(), call.as_bytes(), resource.as_bytes(), text]);
        Ok(Self {
            scope: scope.iter().map(|byte| format!("{byte:02x}")).collect(),
            request: digest(request),
        })
    }

    pub fn scope(&self) -> &str {
        &self.scope
    }

    pub(super) fn request(&self) -> &[u8] {
        &self.request
    }
}

/// SHA-256 of the parts, each with its length before it, so that no two lists read alike.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// What becomes of a call whose caller leaves without a key (conventions Q7). With a key it goes on: its caller may come
/// back for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum Leaving {
    /// The change knows it by itself.
    Itself,
    /// What was done is taken back.
    TakenBack,
    /// It goes on if it was sent, and is not sent any more if not.
    UnlessSent,
    /// It goes on.
    Finishes,
}

/// The operation of a call.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    pub id: String,
    pub leaving: Leaving,
    /// Absent for a change.
    pub row: Option<Arc<OperationRecord>>,
    /// As it was then: whoever does not wait for its end is told so, whatever the database does meanwhile.
    pub first: Arc<Operation>,
}

/// What a caller who leaves means for the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnLeaving {
    GoesOn,
    Ends,
    /// It ends, and this is what its operation came to.
    EndsWith(Outcome),
}

/// See the module. Cheap to clone. The one that is made by default is of a call that nobody follows: it has no operation.
#[derive(Debug, Clone, Default)]
pub struct Ticket(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    kind: &'static str,
    key: Option<Key>,
    respond_async: bool,
    about: Option<String>,
    begun: watch::Sender<Option<Begun>>,
    sent: AtomicBool,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    response: Option<Vec<u8>>,
    outcome: Option<Outcome>,
}

impl Ticket {
    /// `kind`: the name of the service call. `respond_async`: the caller does not wait for its end.
    pub fn new(kind: &'static str, key: Option<Key>, respond_async: bool) -> Self {
        Self(Some(Arc::new(Shared {
            kind,
            key,
            respond_async,
            about: None,
            begun: watch::Sender::new(None),
            sent: AtomicBool::new(false),
            noted: Mutex::default(),
        })))
    }

    /// With the path under which what the call is about can be looked at. Before there are clones.
    #[must_use]
    pub fn about(mut self, path: Option<String>) -> Self {
        if let Some(shared) = self.0.as_mut().and_then(Arc::get_mut) {
            shared.about = path;
        }
        self
    }

    pub(super) fn resource(&self) -> Option<&str> {
        self.0.as_ref()?.about.as_deref()
    }

    pub fn kind(&self) -> Option<&'static str> {
        self.0.as_ref().map(|shared| shared.kind)
    }

    pub fn key(&self) -> Option<&Key> {
        self.0.as_ref()?.key.as_ref()
    }

    pub(in crate::service) fn responds_async(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.respond_async)
    }

    /// The id of the operation, once there is one.
    pub fn operation_id(&self) -> Option<String> {
        self.begun().map(|begun| begun.id)
    }

    pub(super) fn begun(&self) -> Option<Begun> {
        self.0.as_ref()?.begun.borrow().clone()
    }

    pub(super) fn watch(&self) -> Option<watch::Receiver<Option<Begun>>> {
        self.0.as_ref().map(|shared| shared.begun.subscribe())
    }

    pub(super) fn begun_as(&self, row: OperationRecord, first: Operation, leaving: Leaving) {
        self.begin(Begun {
            id: row.id.clone(),
            leaving,
            row: Some(Arc::new(row)),
            first: Arc::new(first),
        });
    }

    /// A change stands for the call.
    pub(in crate::service) fn begun_as_change(&self, first: Operation) {
        self.begin(Begun {
            id: first.id.clone(),
            leaving: Leaving::Itself,
            row: None,
            first: Arc::new(first),
        });
    }

    fn begin(&self, begun: Begun) {
        if let Some(shared) = &self.0 {
            shared.begun.send_replace(Some(begun));
        }
    }

    /// Something is sent for it now.
    pub(in crate::service) fn sent(&self) {
        if let Some(shared) = &self.0 {
            shared.sent.store(true, Ordering::Release);
        }
    }

    /// What its caller is answered, for those who look at its operation later.
    pub(in crate::service) fn answers<T: Serialize>(&self, view: T) -> T {
        if self.begun().is_some_and(|begun| begun.row.is_some()) {
            self.note_response(serde_json::to_vec(&view).unwrap_or_default());
        }
        view
    }

    /// The same, as JSON text.
    pub fn note_response(&self, json: Vec<u8>) {
        if let Some(mut noted) = self.noted() {
            noted.response = Some(json);
        }
    }

    /// What a call that goes well came to, if that is not `applied`.
    pub(in crate::service) fn came_to(&self, outcome: Outcome) {
        if let Some(mut noted) = self.noted() {
            noted.outcome = Some(outcome);
        }
    }

    pub(super) fn take_noted(&self) -> (Option<Vec<u8>>, Option<Outcome>) {
        match self.noted() {
            Some(mut noted) => (noted.response.take(), noted.outcome),
            None => (None, None),
        }
    }

    fn noted(&self) -> Option<MutexGuard<'_, Noted>> {
        let shared = self.0.as_ref()?;
        // Every change under the lock is complete in itself.
        Some(shared.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn on_leaving(&self) -> OnLeaving {
        let Some(shared) = &self.0 else {
            return OnLeaving::Ends;
        };
        if shared.key.is_some() {
            return OnLeaving::GoesOn;
        }
        match self.begun().map(|begun| begun.leaving) {
            None | Some(Leaving::Itself) => OnLeaving::Ends,
            Some(Leaving::TakenBack) => OnLeaving::EndsWith(Outcome::NotApplied),
            Some(Leaving::UnlessSent) if !shared.sent.load(Ordering::Acquire) => {
                OnLeaving::EndsWith(Outcome::NotSent)
            }
            Some(Leaving::UnlessSent | Leaving::Finishes) => OnLeaving::GoesOn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::operations::record::{self, Document};

    fn key(principal: &str, call: &str, resource: &str, text: &str, request: &[u8]) -> Key {
        Key::new("k", text.as_bytes(), principal, (call, resource), &[request]).unwrap()
    }

    /// H8: scoped to principal, method and path.
    #[test]
    fn a_key_is_one_of_its_principal_call_and_resource() {
        let first = key("a", "POST", "/x", "k", b"1");
        assert_eq!(first, key("a", "POST", "/x", "k", b"1"));
        assert_eq!(first.scope(), key("a", "POST", "/x", "k", b"2").scope());
        assert_ne!(first, key("a", "POST", "/x", "k", b"2"));
        for other in [
            key("b", "POST", "/x", "k", b"1"),
            key("a", "DELETE", "/x", "k", b"1"),
            key("a", "POST", "/y", "k", b"1"),
            key("a", "POST", "/x", "l", b"1"),
            key("aP", "OST", "/x", "k", b"1"),
        ] {
            assert_ne!(first.scope(), other.scope());
        }
    }

    /// H8: 1 to 255 printable ASCII characters.
    #[test]
    fn malformed_keys_are_refused() {
        for text in [&b""[..], b"\n", b"\x7f", "ü".as_bytes(), &[b'x'; 256]] {
            let refused = Key::new("Idempotency-Key", text, "a", ("b", "c"), &[]).unwrap_err();
            assert_eq!(refused.fields()[0].pointer, "Idempotency-Key");
        }
        assert!(Key::new("k", &[b'x'; 255], "a", ("b", "c"), &[]).is_ok());
    }

    /// Q7: a caller who leaves takes back what was not sent; with a key the call goes on.
    #[test]
    fn leaving_is_judged_by_what_was_sent() {
        let row = || OperationRecord {
            id: "o".to_owned(),
            kind: "k".to_owned(),
            device_id: String::new(),
            device: String::new(),
            owner: String::new(),
            state: String::new(),
            outcome: None,
            created_at: crate::service::time::EPOCH,
            updated_at: crate::service::time::EPOCH,
            document: Vec::new(),
        };
        let first = |id: &str| {
            let row = OperationRecord {
                id: id.to_owned(),
                ..row()
            };
            record::begun(&row, Document::default())
        };
        let ticket = Ticket::new("copy_config", None, false);
        assert_eq!(ticket.on_leaving(), OnLeaving::Ends);
        ticket.begun_as(row(), first("o"), Leaving::UnlessSent);
        assert_eq!(ticket.on_leaving(), OnLeaving::EndsWith(Outcome::NotSent));
        ticket.sent();
        assert_eq!(ticket.on_leaving(), OnLeaving::GoesOn);
        let opening = Ticket::new("create_edit_session", None, false);
        opening.begun_as(row(), first("o"), Leaving::TakenBack);
        assert_eq!(opening.on_leaving(), OnLeaving::EndsWith(Outcome::NotApplied));
        let change = Ticket::new("create_change", None, false);
        change.begun_as_change(first("c"));
        assert_eq!(change.on_leaving(), OnLeaving::Ends);
        let keyed = Ticket::new("copy_config", Some(key("a", "b", "c", "d", b"")), false);
        assert_eq!(keyed.on_leaving(), OnLeaving::GoesOn);
        assert_eq!(Ticket::default().on_leaving(), OnLeaving::Ends);
    }
}
