//! What an rpc-error means: its tag, or its text where there is no tag to speak of.
//!
//! Junos says almost everything in words. So do servers that answer a lock with `operation-failed`. The words are
//! compared without case, without the newlines around them and without the daemon's name before them.

use super::lock_refusal::{LockHolder, LockReason, holder};
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
    /// Somebody's confirmed commit waits for its confirmation (RFC 6241 section 8.4.1). Never a held lock.
    ConfirmedCommitPending,
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

impl ErrorClass {
    /// Why a lock was refused. `None`: the failure is about something else.
    pub fn lock_reason(&self) -> Option<LockReason> {
        match self {
            Self::LockHeld { .. } => Some(LockReason::Held),
            Self::CandidateModified => Some(LockReason::CandidateModified),
            Self::SameSession => Some(LockReason::SameSession),
            Self::InUse
            | Self::InvalidValue
            | Self::TooBig
            | Self::MissingAttribute
            | Self::BadAttribute
            | Self::UnknownAttribute
            | Self::MissingElement
            | Self::BadElement
            | Self::UnknownElement
            | Self::UnknownNamespace
            | Self::AccessDenied
            | Self::ConfirmedCommitPending
            | Self::ResourceDenied
            | Self::RollbackFailed
            | Self::DataExists
            | Self::DataMissing
            | Self::OperationNotSupported
            | Self::OperationFailed
            | Self::PartialOperation
            | Self::MalformedMessage => None,
        }
    }
}

/// Words, and what they mean. The first that the message begins with or, where marked, holds.
const WORDS: &[(Place, &str, Meaning)] = &[
    (Place::Anywhere, "database locked by", Meaning::LockHeld),
    (Place::Anywhere, "database is locked by", Meaning::LockHeld),
    (Place::Anywhere, "db is locked by", Meaning::LockHeld),
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
        "candidate has already been modified",
        Meaning::CandidateModified,
    ),
    (
        Place::Anywhere,
        "candidate configuration has been modified",
        Meaning::CandidateModified,
    ),
    (
        Place::Anywhere,
        "ongoing confirmed commit",
        Meaning::ConfirmedCommitPending,
    ),
    (
        Place::Anywhere,
        "ongoing persistent confirmed commit",
        Meaning::ConfirmedCommitPending,
    ),
    (
        Place::Anywhere,
        "confirmed-commit pending",
        Meaning::ConfirmedCommitPending,
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

/// More words with which a lock is refused. An edit or a commit may fail with them for other reasons, so they count
/// where a lock was asked for only.
const LOCK_WORDS: &[(Place, &str, Meaning)] = &[
    (
        Place::Anywhere,
        "datastore data have already been modified",
        Meaning::CandidateModified,
    ),
    (
        Place::Anywhere,
        "module has been modified",
        Meaning::CandidateModified,
    ),
    (Place::Anywhere, "locked by this session", Meaning::SameSession),
    (Place::Anywhere, "is locked by", Meaning::LockHeld),
    (Place::Anywhere, "already locked", Meaning::LockHeld),
    (Place::Anywhere, "is being used by session", Meaning::LockHeld),
    (
        Place::Anywhere,
        "exclusive datastore access unavailable",
        Meaning::LockHeld,
    ),
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
    ConfirmedCommitPending,
    InUse,
    OperationNotSupported,
    AccessDenied,
    UnknownElement,
    DataMissing,
}

/// What RFC 6241 servers add to `in-use` while a confirmed commit waits.
const OUTSTANDING: &str = "outstanding-confirmed-commit";

pub(super) fn classify(error: &RpcError) -> ErrorClass {
    let tag = error.error_tag.as_deref().unwrap_or_default().trim();
    if error.error_app_tag.as_deref().map(str::trim) == Some(OUTSTANDING) {
        return ErrorClass::ConfirmedCommitPending;
    }
    match tag {
        "in-use" => match words(error) {
            Some(Meaning::ConfirmedCommitPending) => ErrorClass::ConfirmedCommitPending,
            Some(_) | None => ErrorClass::InUse,
        },
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
        "lock-denied" => match lock_words(error) {
            Some(Meaning::CandidateModified) => ErrorClass::CandidateModified,
            Some(Meaning::SameSession) => ErrorClass::SameSession,
            Some(Meaning::ConfirmedCommitPending) => ErrorClass::ConfirmedCommitPending,
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
            Some(Meaning::ConfirmedCommitPending) => ErrorClass::ConfirmedCommitPending,
            Some(Meaning::InUse) => ErrorClass::InUse,
            Some(Meaning::OperationNotSupported) => ErrorClass::OperationNotSupported,
            Some(Meaning::AccessDenied) => ErrorClass::AccessDenied,
            Some(Meaning::UnknownElement) => ErrorClass::UnknownElement,
            Some(Meaning::DataMissing) => ErrorClass::DataMissing,
            None => ErrorClass::OperationFailed,
        },
    }
}

/// As [`classify`], for the answer to a lock: there the words count behind tags, too, that say nothing of locks, and
/// leftovers in the candidate are told by their words whatever the tag (S22).
pub(super) fn classify_lock(error: &RpcError) -> ErrorClass {
    let class = classify(error);
    if class == ErrorClass::ConfirmedCommitPending {
        return class;
    }
    let says_nothing = matches!(
        class,
        ErrorClass::OperationFailed | ErrorClass::OperationNotSupported
    );
    match lock_words(error) {
        Some(Meaning::CandidateModified) => ErrorClass::CandidateModified,
        Some(Meaning::SameSession) if says_nothing => ErrorClass::SameSession,
        Some(Meaning::LockHeld) if says_nothing => ErrorClass::LockHeld {
            holder: holder(error),
        },
        Some(_) | None => class,
    }
}

/// As session `own` sees it: a lock that this very session holds is told apart.
pub(super) fn in_session(class: ErrorClass, own: u64) -> ErrorClass {
    match class {
        ErrorClass::LockHeld { holder } if holder.killable_id() == Some(own) => ErrorClass::SameSession,
        class => class,
    }
}

fn words(error: &RpcError) -> Option<Meaning> {
    meaning(error, WORDS)
}

fn lock_words(error: &RpcError) -> Option<Meaning> {
    words(error).or_else(|| meaning(error, LOCK_WORDS))
}

fn meaning(error: &RpcError, known: &[(Place, &str, Meaning)]) -> Option<Meaning> {
    let message = error.error_message.as_deref()?.to_ascii_lowercase();
    let mut message = message.trim();
    for prefix in ["error:", "warning:", "mgd:"] {
        message = message.strip_prefix(prefix).unwrap_or(message).trim_start();
    }
    let (_, _, meaning) = known.iter().find(|(place, words, _)| match place {
        Place::Start => message.starts_with(words),
        Place::Anywhere => message.contains(words),
    })?;
    Some(*meaning)
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

    /// C3: a confirmed commit that waits is never a held lock.
    #[test]
    fn pending_confirmed_commits_are_told() {
        for (tag, app_tag, message) in [
            ("in-use", "outstanding-confirmed-commit", "x"),
            ("lock-denied", "outstanding-confirmed-commit", "x"),
            (
                "in-use",
                "",
                "cannot perform the operation with confirmed-commit pending",
            ),
            ("operation-failed", "", "There is an ongoing confirmed commit."),
        ] {
            let refused = RpcError {
                error_app_tag: (!app_tag.is_empty()).then(|| app_tag.to_owned()),
                ..error(tag, message)
            };
            assert_eq!(refused.class(), ErrorClass::ConfirmedCommitPending, "{message}");
        }
    }
}
