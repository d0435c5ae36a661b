//! Why a lock was refused, and who holds it (S22): in fields where the server has them, in words where it has not.

use super::error_class::ErrorClass;
use super::rpc_error::RpcError;

/// Why a lock is refused (M3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockReason {
    /// Somebody else has it.
    Held,
    /// The candidate holds uncommitted changes of somebody.
    CandidateModified,
    /// The session that asks has it already.
    SameSession,
}

impl LockReason {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::CandidateModified => "candidate_modified",
            Self::SameSession => "same_session",
        }
    }
}

/// A lock that was refused: why, and by whom it is held, as far as the device says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRefusal {
    pub reason: LockReason,
    pub holder: LockHolder,
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

/// What refused a lock for session `own`: also `in-use`, which some servers answer to whoever does not hold it.
pub(super) fn lock_refusal(error: &RpcError, own: u64) -> Option<LockRefusal> {
    let class = error.class_in_session(own);
    let reason = match class {
        ErrorClass::InUse => Some(LockReason::Held),
        ref class => class.lock_reason(),
    };
    reason.map(|reason| LockRefusal {
        reason,
        holder: match class {
            ErrorClass::LockHeld { holder } => holder,
            _ if reason == LockReason::CandidateModified => LockHolder::default(),
            _ => holder(error),
        },
    })
}

/// Reads what Junos, confd and clixon write after "locked by", and the session-id of RFC 6241 appendix A.
pub(super) fn holder(error: &RpcError) -> LockHolder {
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
    let numbered = words.next_if_eq(&"session").is_some();
    let is_number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(id) = words.next_if(|word| numbered || is_number(word)) {
        holder.session_id = holder.session_id.or(id.parse().ok());
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

    /// S22: every refusal of a lock, in the words of each kind of server, with its reason and its holder.
    #[test]
    fn refused_locks_have_a_reason() {
        let with = |tag: &str, app_tag: &str, message: &str, info: &str| RpcError {
            error_app_tag: (!app_tag.is_empty()).then(|| app_tag.to_owned()),
            error_info: (!info.is_empty()).then(|| info.to_owned()),
            ..error(tag, message)
        };
        let own = 9;
        for (refused, reason, id) in [
            (
                with(
                    "lock-denied",
                    "no-access",
                    "lock denied",
                    "<session-id>2</session-id>",
                ),
                "held",
                Some(2),
            ),
            (
                with("lock-denied", "", "lock denied", "<session-id>9</session-id>"),
                "same_session",
                Some(9),
            ),
            (
                with("lock-denied", "", "lock denied", "<session-id>0</session-id>"),
                "held",
                None,
            ),
            (with("in-use", "no-access", "config locked", ""), "held", None),
            (
                with("", "", "error: private edits in use. Try 'configure private'", ""),
                "held",
                None,
            ),
            (
                with(
                    "resource-denied",
                    "",
                    "candidate cannot be locked, discard-changes needed",
                    "",
                ),
                "candidate_modified",
                None,
            ),
            (
                with(
                    "lock-denied",
                    "",
                    "Lock failed, candidate has already been modified",
                    "<session-id>0</session-id>",
                ),
                "candidate_modified",
                None,
            ),
            (
                with("operation-failed", "", "\nconfiguration database modified\n", ""),
                "candidate_modified",
                None,
            ),
            (
                with("", "", "Configuration database is already open", ""),
                "same_session",
                None,
            ),
            (
                with("operation-failed", "", "Candidate db is locked by 1677", ""),
                "held",
                Some(1677),
            ),
            (
                with(
                    "",
                    "",
                    "configuration database locked by:\n  ops terminal  (pid 322) on since 2026-01-02 09:31:02 UTC, idle 00:04:48\n      exclusive",
                    "",
                ),
                "held",
                Some(322),
            ),
        ] {
            let found = refused.lock_refusal(own).unwrap_or_else(|| panic!("{refused:?}"));
            assert_eq!(found.reason.as_str(), reason, "{refused:?}");
            assert_eq!(found.holder.killable_id(), id, "{refused:?}");
        }
        for other in [
            with("in-use", "outstanding-confirmed-commit", "cannot", ""),
            with("resource-denied", "", "too many sessions", ""),
            with("access-denied", "", "no", ""),
        ] {
            assert_eq!(other.lock_refusal(own), None, "{other:?}");
        }
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
