//! Which code, words and outcome each failure has.

use super::*;
use crate::netconf::rpc_error::RpcError;
use crate::transport::Phase;

fn rpc_error(tag: Option<&str>, message: &str, path: Option<&str>) -> RpcError {
    RpcError {
        error_tag: tag.map(str::to_owned),
        error_message: Some(message.to_owned()),
        error_path: path.map(str::to_owned),
        ..RpcError::default()
    }
}

/// M2, S18: the first decides the status, the most specific path the words, and none is dropped.
#[test]
fn first_error_gives_the_code_and_the_deepest_path_the_words() {
    let errors = vec![
        rpc_error(Some("operation-failed"), "configuration check-out failed", None),
        rpc_error(
            None,
            "missing mandatory statement",
            Some("[edit interfaces ge-0/0/2]"),
        ),
    ];
    let error = refused("mx1", 7, errors.clone(), Asked::Read);
    assert_eq!(error.code(), ErrorCode::DeviceError);
    assert_eq!(error.detail(), "missing mandatory statement");
    assert_eq!(error.rpc_errors(), errors);
    assert_eq!(error.outcome(), Outcome::NotApplied);
}

/// S1: what is wrong with a jump host is not blamed on the device, and is pointed at where its settings stand.
#[test]
fn failures_of_jump_hosts_are_told_as_theirs() {
    let told = |source: TransportError| {
        transport(&TransportError::Jump {
            index: 1,
            host: "gate".to_owned(),
            source: Box::new(source),
        })
    };
    let missing = told(TransportError::Prerequisite {
        field: "auth.private_key",
        detail: "is missing".to_owned(),
    });
    assert_eq!(missing.code(), ErrorCode::InvalidArgument);
    assert_eq!(missing.fields()[0].pointer, "/proxy_jump/1/auth/private_key");
    let late = told(TransportError::Timeout {
        phase: Phase::Kex,
        after: Duration::from_secs(10),
    });
    assert_eq!(
        (late.code(), late.reason(), late.detail()),
        (
            ErrorCode::DeviceUnreachable,
            Some("jump_host"),
            "jump host 1 (gate): no answer within 10 s (kex)"
        )
    );
}

/// S22: both refusals of a lock have reasons of their own.
#[test]
fn lock_refusals_are_told_apart() {
    let held = "configuration database locked by:\n  alice terminal p0 (pid 4711) on since 2026-01-02 10:00:00 UTC, idle 00:03:10\n      exclusive [edit]";
    let error = refused("mx1", 7, vec![rpc_error(None, held, None)], Asked::Read);
    assert_eq!(
        (error.code(), error.reason()),
        (ErrorCode::LockDenied, Some("held"))
    );
    let modified = rpc_error(None, "configuration database modified", None);
    let error = refused("mx1", 7, vec![modified], Asked::Read);
    assert_eq!(
        (error.code(), error.reason()),
        (ErrorCode::LockDenied, Some("candidate_modified"))
    );
    assert!(!error.retryable());
}

/// S22, M3, C3: what refuses a lock is told as that whatever its tag, a confirmed commit that waits never so; the same words
/// behind an edit are not about a lock.
#[test]
fn refused_locks_are_told_by_their_words() {
    for (tag, message, code, reason) in [
        (
            "operation-not-supported",
            "Module \"acme-system\" candidate datastore data have already been modified.",
            ErrorCode::LockDenied,
            Some("candidate_modified"),
        ),
        (
            "operation-failed",
            "Module \"acme-system\" is locked by session 21 (NC SID 6).",
            ErrorCode::LockDenied,
            Some("held"),
        ),
        (
            "operation-not-supported",
            "this datastore cannot be locked",
            ErrorCode::OperationNotSupported,
            None,
        ),
        (
            "lock-denied",
            "There is an ongoing persistent confirmed commit.",
            ErrorCode::ConfirmedCommitPending,
            None,
        ),
    ] {
        let errors = || vec![rpc_error(Some(tag), message, None)];
        let error = lock_refused("r1", Dialect::Rfc, 7, errors());
        assert_eq!((error.code(), error.reason()), (code, reason), "{message}");
        if tag.starts_with("operation-") {
            assert_ne!(
                refused("r1", 7, errors(), Asked::Write).code(),
                ErrorCode::LockDenied,
                "{message}"
            );
        }
    }
}

/// H2: a hint about RPC names is for who named an RPC.
#[test]
fn only_named_rpcs_are_told_to_check_their_name() {
    let unknown = || vec![rpc_error(Some("unknown-element"), "syntax error", None)];
    for (asked, hinted) in [(Asked::Rpc, true), (Asked::RawXml, true), (Asked::Read, false)] {
        let error = refused("mx1", 7, unknown(), asked);
        assert_eq!(error.code(), ErrorCode::DeviceUnknownElement);
        assert_eq!(error.hint().is_some(), hinted, "{asked:?}");
    }
}

/// Conventions section 2: who wrote the XML decides whose fault a malformed message is.
#[test]
fn malformed_message_is_blamed_on_its_writer() {
    let errors = || vec![rpc_error(Some("malformed-message"), "bad", None)];
    assert_eq!(
        refused("d", 1, errors(), Asked::RawXml).code(),
        ErrorCode::DeviceMalformedMessage
    );
    assert_eq!(
        refused("d", 1, errors(), Asked::Read).code(),
        ErrorCode::GatewayMalformedMessage
    );
}
