//! What an rpc-error means: its tag, or its text where there is no tag to speak of.
//!
//! Junos says almost everything in words. So do servers that answer a lock with `operation-failed`. The words are
//! compared without case, without the newlines around them and without the daemon's name before them.

use super::rpc_error::RpcError;

/// The kinds of failure that callers can tell apart: one for each error-tag of RFC 6241 appendix A, and the three
/// reasons for which a lock is refused (S22).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorClass {
    InUse,
    InvalidValue,
    TooBig,
    MissingAttribute,
    BadAttribute,
    UnknownAttribute,
    MissingElement,
    BadElement,
    UnknownElement,
    UnknownNamespace,
    AccessDenied,
    /// Somebody holds the lock.
    LockHeld {
        holder: LockHolder,
    },
    /// The lock is refused because the candidate holds uncommitted changes.
    CandidateModified,
    /// This session itself has the lock, or the database open.
    SameSession,
    ResourceDenied,
    RollbackFailed,
    DataExists,
    DataMissing,
    OperationNotSupported,
    /// Also whatever has no tag, or an unknown one, and no known words.
    OperationFailed,
    PartialOperation,
    MalformedMessage,
}

/// Who holds a lock, as far as the refusal says. Times are in the device's own words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockHolder {
    /// From `<error-info><session-id>`; 0 is not a NETCONF session (RFC 6241 section 7.5).
    pub session_id: Option<u64>,
    pub user: Option<String>,
    pub terminal: Option<String>,
    /// Junos: the server process, which is also its session-id.
    pub pid: Option<u64>,
    pub since: Option<String>,
    pub idle: Option<String>,
}

impl LockHolder {
    /// What `<kill-session>` would take.
    pub fn killable_id(&self) -> Option<u64> {
        self.session_id.filter(|id| *id != 0).or(self.pid)
    }
}

/// Words, and what they mean. The first that the message begins with or, where marked, holds.
const WORDS: &[(Place, &str, Meaning)] = &[
    (Place::Anywhere, "database locked by", Meaning::LockHeld),
    (Place::Anywhere, "database is locked by", Meaning::LockHeld),
    (Place::Anywhere, "is locked by another", Meaning::LockHeld),
    (Place::Anywhere, "lock is already held", Meaning::LockHeld),
    (
        Place::Start,
        "configuration database modified",
        Meaning::CandidateModified,
    ),
    (
        Place::Anywhere,
        "discard-changes needed",
        Meaning::CandidateModified,
    ),
    (
        Place::Anywhere,
        "candidate has been modified",
        Meaning::CandidateModified,
    ),
    (
        Place::Anywhere,
        "candidate configuration has been modified",
        Meaning::CandidateModified,
    ),
    (
        Place::Anywhere,
        "configuration database is already open",
        Meaning::SameSession,
    ),
    (Place::Anywhere, "private edits in use", Meaning::InUse),
    (
        Place::Anywhere,
        "not supported for private configuration",
        Meaning::OperationNotSupported,
    ),
    (
        Place::Start,
        "command is not valid on",
        Meaning::OperationNotSupported,
    ),
    (Place::Start, "permission denied", Meaning::AccessDenied),
    (Place::Start, "syntax error", Meaning::UnknownElement),
    (Place::Start, "unknown command", Meaning::UnknownElement),
    (Place::Start, "unrecognized command", Meaning::UnknownElement),
    (Place::Start, "statement not found", Meaning::DataMissing),
];

#[derive(Clone, Copy)]
enum Place {
    Start,
    Anywhere,
}

#[derive(Clone, Copy)]
enum Meaning {
    LockHeld,
    CandidateModified,
    SameSession,
    InUse,
    OperationNotSupported,
    AccessDenied,
    UnknownElement,
    DataMissing,
}

pub(super) fn classify(error: &RpcError) -> ErrorClass {
    let tag = error.error_tag.as_deref().unwrap_or_default().trim();
    match tag {
        "in-use" => ErrorClass::InUse,
        "invalid-value" => ErrorClass::InvalidValue,
        "too-big" => ErrorClass::TooBig,
        "missing-attribute" => ErrorClass::MissingAttribute,
        "bad-attribute" => ErrorClass::BadAttribute,
        "unknown-attribute" => ErrorClass::UnknownAttribute,
        "missing-element" => ErrorClass::MissingElement,
        "bad-element" => ErrorClass::BadElement,
        "unknown-element" => ErrorClass::UnknownElement,
        "unknown-namespace" => ErrorClass::UnknownNamespace,
        "access-denied" => ErrorClass::AccessDenied,
        "lock-denied" => match words(error) {
            Some(Meaning::CandidateModified) => ErrorClass::CandidateModified,
            Some(Meaning::SameSession) => ErrorClass::SameSession,
            Some(_) | None => ErrorClass::LockHeld {
                holder: holder(error),
            },
        },
        // A candidate with leftovers is refused with this tag by some servers (RFC 6241 section 7.5 names none).
        "resource-denied" => match words(error) {
            Some(Meaning::CandidateModified) => ErrorClass::CandidateModified,
            Some(_) | None => ErrorClass::ResourceDenied,
        },
        "rollback-failed" => ErrorClass::RollbackFailed,
        "data-exists" => ErrorClass::DataExists,
        "data-missing" => ErrorClass::DataMissing,
        "operation-not-supported" => ErrorClass::OperationNotSupported,
        "partial-operation" => ErrorClass::PartialOperation,
        "malformed-message" => ErrorClass::MalformedMessage,
        // `operation-failed`, none, or one that no RFC knows.
        _ => match words(error) {
            Some(Meaning::LockHeld) => ErrorClass::LockHeld {
                holder: holder(error),
            },
            Some(Meaning::CandidateModified) => ErrorClass::CandidateModified,
            Some(Meaning::SameSession) => ErrorClass::SameSession,
            Some(Meaning::InUse) => ErrorClass::InUse,
            Some(Meaning::OperationNotSupported) => ErrorClass::OperationNotSupported,
            Some(Meaning::AccessDenied) => ErrorClass::AccessDenied,
            Some(Meaning::UnknownElement) => ErrorClass::UnknownElement,
            Some(Meaning::DataMissing) => ErrorClass::DataMissing,
            None => ErrorClass::OperationFailed,
        },
    }
}

fn words(error: &RpcError) -> Option<Meaning> {
    let message = error.error_message.as_deref()?.to_ascii_lowercase();
    let mut message = message.trim();
    for prefix in ["error:", "warning:", "mgd:"] {
        message = message.strip_prefix(prefix).unwrap_or(message).trim_start();
    }
    let (_, _, meaning) = WORDS.iter().find(|(place, words, _)| match place {
        Place::Start => message.starts_with(words),
        Place::Anywhere => message.contains(words),
    })?;
    Some(*meaning)
}

/// Reads what Junos and confd write after "locked by", and the session-id of RFC 6241 appendix A.
fn holder(error: &RpcError) -> LockHolder {
    let mut holder = LockHolder {
        session_id: error.error_info.as_deref().and_then(session_id),
        ..LockHolder::default()
    };
    let message = error.error_message.as_deref().unwrap_or_default();
    let Some((_, who)) = message.split_once("locked by") else {
        return holder;
    };
    let who = who.trim_start_matches([':', ' ', '\t', '\r', '\n']);
    let mut words = who.split_whitespace().peekable();
    if words.next_if_eq(&"session").is_some() {
        let id = words.next().and_then(|word| word.parse().ok());
        holder.session_id = holder.session_id.or(id);
    }
    // "another user" and the like name nobody.
    let named = |word: &&str| !word.starts_with('(') && *word != "another" && *word != "terminal";
    holder.user = words.next_if(named).map(str::to_owned);
    while let Some(word) = words.next() {
        match word {
            "terminal" => holder.terminal = words.next_if(|word| !word.starts_with('(')).map(str::to_owned),
            "(pid" => {
                holder.pid = words
                    .next()
                    .and_then(|word| word.trim_end_matches(')').parse().ok());
            }
            _ => {}
        }
    }
    holder.since = after(who, "on since ");
    holder.idle = after(who, "idle ");
    holder
}

/// The rest of the line after `label`, up to a comma.
fn after(text: &str, label: &str) -> Option<String> {
    let (_, rest) = text.split_once(label)?;
    let value = rest.split([',', '\n']).next().unwrap_or_default().trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// The number after the name `session-id`, as an element or in words.
fn session_id(info: &str) -> Option<u64> {
    let (before, mut rest) = info.split_once("session-id")?;
    let in_tag = before.rfind('<') > before.rfind('>');
    if in_tag {
        rest = rest.split_once('>')?.1;
    }
    let rest = rest.trim_start_matches([':', '=', ' ', '\t', '\r', '\n']);
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(tag: &str, message: &str) -> RpcError {
        RpcError {
            error_tag: (!tag.is_empty()).then(|| tag.to_owned()),
            error_message: Some(message.to_owned()),
            ..RpcError::default()
        }
    }

    /// Every tag of RFC 6241 appendix A has its class.
    #[test]
    fn standard_tags_decide() {
        for (tag, class) in [
            ("in-use", ErrorClass::InUse),
            ("invalid-value", ErrorClass::InvalidValue),
            ("too-big", ErrorClass::TooBig),
            ("missing-attribute", ErrorClass::MissingAttribute),
            ("bad-attribute", ErrorClass::BadAttribute),
            ("unknown-attribute", ErrorClass::UnknownAttribute),
            ("missing-element", ErrorClass::MissingElement),
            ("bad-element", ErrorClass::BadElement),
            ("unknown-element", ErrorClass::UnknownElement),
            ("unknown-namespace", ErrorClass::UnknownNamespace),
            ("access-denied", ErrorClass::AccessDenied),
            (
                "lock-denied",
                ErrorClass::LockHeld {
                    holder: LockHolder::default(),
                },
            ),
            ("resource-denied", ErrorClass::ResourceDenied),
            ("rollback-failed", ErrorClass::RollbackFailed),
            ("data-exists", ErrorClass::DataExists),
            ("data-missing", ErrorClass::DataMissing),
            ("operation-not-supported", ErrorClass::OperationNotSupported),
            ("operation-failed", ErrorClass::OperationFailed),
            ("partial-operation", ErrorClass::PartialOperation),
            ("malformed-message", ErrorClass::MalformedMessage),
        ] {
            assert_eq!(error(tag, "words").class(), class, "{tag}");
        }
        assert_eq!(
            error("invalid-value", "syntax error").class(),
            ErrorClass::InvalidValue,
            "the tag wins"
        );
    }

    /// The words of Junos, without a tag and behind `operation-failed`.
    #[test]
    fn words_decide_where_the_tag_says_nothing() {
        for (message, class) in [
            ("configuration database modified", ErrorClass::CandidateModified),
            ("Configuration database is already open", ErrorClass::SameSession),
            (
                "error: private edits in use. Try 'configure private' or 'configure exclusive'",
                ErrorClass::InUse,
            ),
            (
                "commit confirmed not supported for private configuration",
                ErrorClass::OperationNotSupported,
            ),
            ("permission denied", ErrorClass::AccessDenied),
            ("syntax error", ErrorClass::UnknownElement),
            ("syntax error, expecting <command>", ErrorClass::UnknownElement),
            (
                "Unrecognized command (chassis-control)",
                ErrorClass::UnknownElement,
            ),
            ("statement not found", ErrorClass::DataMissing),
            (
                "configuration check-out failed: (missing mandatory statements)",
                ErrorClass::OperationFailed,
            ),
            ("interface-ranges expansion failed", ErrorClass::OperationFailed),
            (
                "mgd: a description that says: syntax error",
                ErrorClass::OperationFailed,
            ),
            ("", ErrorClass::OperationFailed),
        ] {
            for tag in ["", "operation-failed", "no-such-tag"] {
                assert_eq!(
                    error(tag, &format!("\n{message}\n")).class(),
                    class,
                    "{tag} {message}"
                );
            }
        }
        assert_eq!(RpcError::default().class(), ErrorClass::OperationFailed);
    }

    /// S22: who holds the lock, in the words of Junos.
    #[test]
    fn junos_lock_holder_is_read() {
        let held = error(
            "",
            "configuration database locked by:\n  alice terminal p0 (pid 4681) on since 2026-01-02 09:31:02 UTC, \
             idle 00:01:12\n      exclusive [edit]",
        );
        let holder = LockHolder {
            session_id: None,
            user: Some("alice".into()),
            terminal: Some("p0".into()),
            pid: Some(4681),
            since: Some("2026-01-02 09:31:02 UTC".into()),
            idle: Some("00:01:12".into()),
        };
        assert_eq!(
            held.class(),
            ErrorClass::LockHeld {
                holder: holder.clone()
            }
        );
        assert_eq!(held.lock_holder(), Some(holder));
        assert_eq!(held.class_in_session(4681), ErrorClass::SameSession);
        assert_ne!(held.class_in_session(4682), ErrorClass::SameSession);
        let netconf = error(
            "",
            "configuration database locked by:\n  bob (pid 77) on since 2026-01-02 09:31:02 UTC",
        );
        let holder = netconf.lock_holder().expect("it is held");
        assert_eq!(
            (
                holder.user.as_deref(),
                holder.terminal.as_deref(),
                holder.killable_id()
            ),
            (Some("bob"), None, Some(77))
        );
        assert_eq!(holder.idle, None);
    }

    /// S22: confd says it in words, others in error-info.
    #[test]
    fn other_lock_holders_are_read() {
        let confd = error(
            "lock-denied",
            "the configuration database is locked by session 30 admin ssh (cli from 192.0.2.1) on since 2026-01-02 09:31:02\n",
        );
        let holder = confd.lock_holder().expect("it is held");
        assert_eq!(
            (holder.session_id, holder.user.as_deref()),
            (Some(30), Some("admin"))
        );
        assert_eq!(holder.since.as_deref(), Some("2026-01-02 09:31:02"));
        for (info, id) in [
            ("<session-id>2</session-id>", Some(2)),
            (
                "<x/>\n<nc:session-id xmlns:nc=\"urn:1.0\"> 12 </nc:session-id>",
                Some(12),
            ),
            ("session-id: 42", Some(42)),
            ("<session-id>0</session-id>", Some(0)),
            ("<other>7</other>", None),
            ("<session-id/>", None),
        ] {
            let held = RpcError {
                error_info: Some(info.into()),
                ..error("lock-denied", "lock denied")
            };
            assert_eq!(held.lock_holder().expect("it is held").session_id, id, "{info}");
        }
        let nobody = error(
            "operation-failed",
            "the target configuration buffer is locked by another user",
        );
        assert_eq!(nobody.lock_holder(), Some(LockHolder::default()));
        assert_eq!(
            LockHolder {
                session_id: Some(0),
                ..LockHolder::default()
            }
            .killable_id(),
            None
        );
    }

    /// S22: leftovers in the candidate are another reason than a holder.
    #[test]
    fn leftovers_are_told_from_a_holder() {
        let leftovers = error(
            "resource-denied",
            "candidate cannot be locked, discard-changes needed",
        );
        assert_eq!(leftovers.class(), ErrorClass::CandidateModified);
        assert_eq!(leftovers.lock_holder(), None);
    }
}
