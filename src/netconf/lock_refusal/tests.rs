//! Refusals of each kind of server, with their reason and their holder.

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

/// S22: of several holders the first is named, and nothing of it is another's.
#[test]
fn several_holders_are_not_mixed() {
    let alice = "alice terminal p0 (pid 111) on since 2024-01-02 03:04:05 UTC, idle 00:01:02";
    let bob = "bob terminal p1 (pid 222) on since 2024-01-02 04:04:05 UTC";
    let message = format!("configuration database locked by:\n  {alice}\n      exclusive [edit]\n  {bob}\n");
    let expected = LockHolder {
        session_id: None,
        user: Some("alice".into()),
        terminal: Some("p0".into()),
        pid: Some(111),
        since: Some("2024-01-02 03:04:05 UTC".into()),
        idle: Some("00:01:02".into()),
    };
    assert_eq!(error("", &message).lock_holder(), Some(expected.clone()));
    // As one line, and the other way round: what the first has not is not taken from the second.
    let message = format!("configuration database locked by: {alice} exclusive [edit] {bob}");
    assert_eq!(error("", &message).lock_holder(), Some(expected));
    let message = format!("configuration database locked by:\n  {bob}\n  {alice}\n");
    let holder = error("", &message).lock_holder().expect("it is held");
    assert_eq!((holder.pid, holder.idle), (Some(222), None));
    // The number is one session's, the words tell of another.
    let two = RpcError {
        error_info: Some("<session-id>7</session-id>".into()),
        ..error("lock-denied", &message)
    };
    let only_number = LockHolder {
        session_id: Some(7),
        ..LockHolder::default()
    };
    assert_eq!(two.lock_holder(), Some(only_number));
}

/// S22: since when, and how long idle: all of it, and nothing that stands behind.
#[test]
fn times_of_the_holder_are_whole() {
    for (entry, since, idle) in [
        (
            "ops terminal p1 (pid 901) on since 2026-03-04 05:06:07 CET, idle 3d 01:02\n      exclusive [edit]",
            "2026-03-04 05:06:07 CET",
            Some("3d 01:02"),
        ),
        (
            "ops terminal p1 (pid 901) on since 2026-03-04 05:06:07 +01, idle 1w2d 03:04 exclusive",
            "2026-03-04 05:06:07 +01",
            Some("1w2d 03:04"),
        ),
        (
            "ops terminal p1 (pid 901) on since 2026-03-04 05:06:07 terminal mode",
            "2026-03-04 05:06:07",
            None,
        ),
        (
            "session 31 ops ssh (cli from 198.51.100.7) on since 2026-03-04\n   05:06:07\n",
            "2026-03-04 05:06:07",
            None,
        ),
        (
            "session 31 ops ssh (cli from 198.51.100.7) on since\n   2026-03-04 05:06:07 exclusive mode",
            "2026-03-04 05:06:07",
            None,
        ),
        (
            "ops (pid 901) on since Wed Mar 4 05:06:07 2026, idle 00:00:09",
            "Wed Mar 4 05:06:07 2026",
            Some("00:00:09"),
        ),
        // The second line is another holder's.
        (
            "ops (pid 901) on since 2026-03-04\n  4th terminal p2 (pid 902) on since 2026-03-04 05:06:07, idle 00:00:09",
            "2026-03-04",
            None,
        ),
        (
            "ops (pid 901) on since yesterday, idle exclusive",
            "yesterday",
            None,
        ),
    ] {
        let held = error("", &format!("configuration database locked by:\n  {entry}"));
        let holder = held.lock_holder().expect("it is held");
        assert_eq!(holder.since.as_deref(), Some(since), "{entry}");
        assert_eq!(holder.idle.as_deref(), idle, "{entry}");
        assert!(holder.killable_id().is_some(), "{entry}");
    }
}

/// S22: who is named without a number is named, and cannot be killed by it.
#[test]
fn holders_without_a_number_are_named() {
    let words = "the configuration database is locked by ops console (cli from 127.0.0.1) on since 2026-03-04 05:06:07";
    let expected = LockHolder {
        user: Some("ops".into()),
        since: Some("2026-03-04 05:06:07".into()),
        ..LockHolder::default()
    };
    assert_eq!(error("lock-denied", words).lock_holder(), Some(expected));
}

/// S22: prose names nobody.
#[test]
fn holders_are_not_made_of_prose() {
    for (words, session_id, user) in [
        ("is locked by other user. [Session ID = 629]", None, None),
        ("is locked by a different session", None, None),
        ("is locked by someone else", None, None),
        ("is locked by the system", None, None),
        ("is locked by CLI", None, None),
        ("is locked by these sessions: 14 and 15", None, None),
        ("is locked by 10 sessions", None, None),
        ("is locked by session 14 and 15", None, None),
        ("is locked by: VTY 0 (admin)", None, None),
        ("is locked by an operator (pid 12 unknown)", None, None),
        ("is locked by user request", None, None),
        ("is locked by user in another session", None, None),
        ("cannot be unlocked by session 3", None, None),
        ("is locked by session 12 (or nobody)", None, None),
        ("is locked by session 12 (NC SID x)", None, None),
        ("is locked by session 12 (NC SID 3", None, None),
        ("is locked by session 12 [3]", None, None),
        ("is locked by session 12 (NC SID 3) and 13 (NC SID 4)", None, None),
        (
            "is locked by session 12 (cli from 192.0.2.1) on since 2026-01-02 09:31:02",
            None,
            None,
        ),
        ("is locked by session 12 (NC SID 3).", Some(3), None),
        ("is locked by session 12 (NC SID 0)", Some(0), None),
        ("is locked by NETCONF session 12", Some(12), None),
        ("is locked by session 12 in use (by now)", Some(12), None),
        ("is locked by session 12.", Some(12), None),
        ("is Locked by 12", Some(12), None),
        ("is locked by user admin from 10.0.0.1", None, Some("admin")),
        ("is locked by user 'ad min'", None, None),
        ("is locked by user \"admin\".", None, Some("admin")),
    ] {
        let refused = error("lock-denied", &format!("the configuration {words}"));
        let expected = LockHolder {
            session_id,
            user: user.map(str::to_owned),
            ..LockHolder::default()
        };
        assert_eq!(refused.lock_holder(), Some(expected), "{words}");
    }
    let huawei = RpcError {
        error_info: Some("<session-id>629</session-id>".into()),
        ..error(
            "lock-denied",
            "The configuration is locked by other user. [Session ID = 629]",
        )
    };
    let expected = LockHolder {
        session_id: Some(629),
        ..LockHolder::default()
    };
    assert_eq!(huawei.lock_holder(), Some(expected));
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

/// S22, M3: what servers write behind `operation-failed` and `operation-not-supported` when they refuse a lock. The same
/// words are no refusal of a lock where something else was asked.
#[test]
fn words_of_lock_answers_count_for_locks_only() {
    let own = 9;
    for (message, reason, id) in [
        (
            "Module has been modified, it can not be locked. Discard or commit changes",
            "candidate_modified",
            None,
        ),
        (
            "Module \"acme-system\" is locked by session 21 (NC SID 6).",
            "held",
            Some(6),
        ),
        (
            "Module \"acme-system\" is locked by session 21 (NC SID 9).",
            "same_session",
            Some(9),
        ),
        (
            "Module \"acme-system\" is already locked by this session 21 (NC SID 9).",
            "same_session",
            None,
        ),
        (
            "Module \"acme-system\" is being used by session 21 (NC SID 6).",
            "held",
            None,
        ),
        ("Requested resource already locked", "held", None),
        ("Configuration data is locked by other user.", "held", None),
        ("Candidate is locked by session 12", "held", Some(12)),
        (
            "MGMT_CORE #2052: Exclusive datastore access unavailable - model-driven interface has it",
            "held",
            None,
        ),
    ] {
        for (tag, class) in [
            ("operation-failed", ErrorClass::OperationFailed),
            ("", ErrorClass::OperationFailed),
            ("operation-not-supported", ErrorClass::OperationNotSupported),
        ] {
            let refused = error(tag, message);
            let found = refused.lock_refusal(own).unwrap_or_else(|| panic!("{refused:?}"));
            assert_eq!(found.reason.as_str(), reason, "{refused:?}");
            assert_eq!(found.holder.killable_id(), id, "{refused:?}");
            assert_eq!(refused.class(), class, "{refused:?}");
            assert_eq!(refused.class_in_session(own), class, "{refused:?}");
        }
        let denied = error("lock-denied", message).lock_refusal(own);
        let denied = denied.map(|refusal| (refusal.reason.as_str(), refusal.holder.killable_id()));
        assert_eq!(denied, Some((reason, id)), "{message}");
    }
    for (tag, message) in [
        ("operation-not-supported", "lock of running is not supported"),
        ("operation-failed", "the lock could not be written"),
        ("access-denied", "the module is locked by session 21 (NC SID 6)."),
        ("invalid-value", "the target is locked by its licence"),
    ] {
        assert_eq!(error(tag, message).lock_refusal(own), None, "{tag} {message}");
    }
}

/// S22, M3: netopeer2 tells leftovers in the candidate by words alone, behind tags that mean something else.
#[test]
fn leftovers_are_told_whatever_the_tag() {
    let words = "Module \"acme-system\" candidate datastore data have already been modified.";
    for (tag, other) in [
        ("operation-not-supported", ErrorClass::OperationNotSupported),
        ("operation-failed", ErrorClass::OperationFailed),
        ("lock-denied", ErrorClass::CandidateModified),
        ("in-use", ErrorClass::InUse),
        ("resource-denied", ErrorClass::ResourceDenied),
        ("access-denied", ErrorClass::AccessDenied),
        ("", ErrorClass::OperationFailed),
    ] {
        let refused = RpcError {
            error_info: Some("<session-id>0</session-id>".into()),
            ..error(tag, words)
        };
        let expected = LockRefusal {
            reason: LockReason::CandidateModified,
            holder: LockHolder::default(),
        };
        assert_eq!(refused.lock_refusal(9), Some(expected), "{tag}");
        assert_eq!(refused.class(), other, "{tag}");
    }
}

/// C3: a confirmed commit that waits is no held lock, whatever refuses the lock for it.
#[test]
fn a_pending_confirmed_commit_is_no_lock() {
    for message in [
        "There is an ongoing confirmed commit.",
        "There is an ongoing persistent confirmed commit.",
    ] {
        for tag in ["lock-denied", "in-use", "operation-failed", ""] {
            let refused = RpcError {
                error_info: Some("<session-id>0</session-id>".into()),
                ..error(tag, message)
            };
            assert_eq!(
                refused.class(),
                ErrorClass::ConfirmedCommitPending,
                "{tag} {message}"
            );
            assert_eq!(refused.lock_refusal(9), None, "{tag} {message}");
            assert_eq!(refused.lock_holder(), None, "{tag} {message}");
        }
    }
}
