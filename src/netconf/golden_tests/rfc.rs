//! The operations of RFC 6241.

use super::{check, check_invalid, check_missing, timeout};
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::datastore::Datastore;
use crate::netconf::operation::testing::{everything, fragment};
use crate::netconf::operation::{
    CancelCommit, Commit, ConfigInput, ConfigTarget, Confirmed, CopyConfig, DefaultOperation, DeleteConfig,
    DiscardChanges, EditConfig, EditContent, ErrorOption, KillSession, Lock, TestOption, Unlock, Validate,
};
use crate::netconf::rpc::RequestError;

fn edit(content: EditContent) -> EditConfig {
    EditConfig {
        target: Datastore::Candidate,
        default_operation: None,
        test_option: None,
        error_option: None,
        content,
    }
}

fn config() -> EditContent {
    EditContent::Config(fragment("<a xmlns='urn:a'><b>1</b></a>"))
}

fn confirmed(seconds: u32, persist: Option<&str>) -> Option<Confirmed> {
    Some(Confirmed {
        timeout: timeout(seconds),
        persist: persist.map(str::to_owned),
    })
}

fn url(text: &str) -> String {
    text.to_owned()
}

/// S12, S13, S14, S21, S26, S27, S28: the operations of RFC 6241.
#[test]
fn rfc_operations_are_byte_exact() {
    let all = everything();
    let lock = |target| Lock { target }.rpc(&all);
    let unlock = |target| Unlock { target }.rpc(&all);
    let copy = |source, target| CopyConfig { source, target }.rpc(&all);
    let validate = |source| Validate { source }.rpc(&all);
    let inline = || ConfigInput::Config(fragment("<a xmlns='urn:a'/>"));
    check(vec![
        (
            "S21",
            lock(Datastore::Candidate),
            "<lock><target><candidate/></target></lock>",
        ),
        (
            "S21",
            lock(Datastore::Running),
            "<lock><target><running/></target></lock>",
        ),
        (
            "S21",
            lock(Datastore::Startup),
            "<lock><target><startup/></target></lock>",
        ),
        (
            "S21",
            unlock(Datastore::Candidate),
            "<unlock><target><candidate/></target></unlock>",
        ),
        (
            "S21",
            unlock(Datastore::Running),
            "<unlock><target><running/></target></unlock>",
        ),
        (
            "S21",
            unlock(Datastore::Startup),
            "<unlock><target><startup/></target></unlock>",
        ),
        (
            "S12",
            edit(config()).rpc(&all),
            "<edit-config><target><candidate/></target><config><a xmlns=\"urn:a\"><b>1</b></a></config></edit-config>",
        ),
        (
            "S12 options",
            EditConfig {
                target: Datastore::Running,
                default_operation: Some(DefaultOperation::None),
                test_option: Some(TestOption::TestThenSet),
                error_option: Some(ErrorOption::RollbackOnError),
                ..edit(config())
            }
            .rpc(&all),
            "<edit-config><target><running/></target><default-operation>none</default-operation>\
             <test-option>test-then-set</test-option><error-option>rollback-on-error</error-option>\
             <config><a xmlns=\"urn:a\"><b>1</b></a></config></edit-config>",
        ),
        (
            "S12 options",
            EditConfig {
                default_operation: Some(DefaultOperation::Merge),
                test_option: Some(TestOption::Set),
                error_option: Some(ErrorOption::StopOnError),
                ..edit(config())
            }
            .rpc(&all),
            "<edit-config><target><candidate/></target><default-operation>merge</default-operation>\
             <test-option>set</test-option><error-option>stop-on-error</error-option>\
             <config><a xmlns=\"urn:a\"><b>1</b></a></config></edit-config>",
        ),
        (
            "S13 url replaces the candidate",
            EditConfig {
                default_operation: Some(DefaultOperation::Replace),
                test_option: Some(TestOption::TestOnly),
                error_option: Some(ErrorOption::ContinueOnError),
                ..edit(EditContent::Url(url("file:///f?a&b")))
            }
            .rpc(&all),
            "<edit-config><target><candidate/></target><default-operation>replace</default-operation>\
             <test-option>test-only</test-option><error-option>continue-on-error</error-option>\
             <url>file:///f?a&amp;b</url></edit-config>",
        ),
        (
            "S13",
            copy(
                ConfigInput::Url(url("ftp://h/f")),
                ConfigTarget::Datastore(Datastore::Candidate),
            ),
            "<copy-config><target><candidate/></target><source><url>ftp://h/f</url></source></copy-config>",
        ),
        (
            "S13",
            copy(inline(), ConfigTarget::Datastore(Datastore::Candidate)),
            "<copy-config><target><candidate/></target><source><config><a xmlns=\"urn:a\"/></config></source></copy-config>",
        ),
        (
            "S12",
            copy(
                ConfigInput::Datastore(Datastore::Running),
                ConfigTarget::Datastore(Datastore::Startup),
            ),
            "<copy-config><target><startup/></target><source><running/></source></copy-config>",
        ),
        (
            "S12",
            copy(
                ConfigInput::Datastore(Datastore::Startup),
                ConfigTarget::Datastore(Datastore::Running),
            ),
            "<copy-config><target><running/></target><source><startup/></source></copy-config>",
        ),
        (
            "S12",
            copy(
                ConfigInput::Datastore(Datastore::Candidate),
                ConfigTarget::Url(url("/f")),
            ),
            "<copy-config><target><url>/f</url></target><source><candidate/></source></copy-config>",
        ),
        (
            "S12",
            DeleteConfig {
                target: ConfigTarget::Datastore(Datastore::Startup),
            }
            .rpc(&all),
            "<delete-config><target><startup/></target></delete-config>",
        ),
        (
            "S13",
            DeleteConfig {
                target: ConfigTarget::Datastore(Datastore::Candidate),
            }
            .rpc(&all),
            "<delete-config><target><candidate/></target></delete-config>",
        ),
        (
            "S12",
            DeleteConfig {
                target: ConfigTarget::Url(url("file:///f")),
            }
            .rpc(&all),
            "<delete-config><target><url>file:///f</url></target></delete-config>",
        ),
        ("S12", DiscardChanges.rpc(&all), "<discard-changes/>"),
        (
            "S14",
            validate(ConfigInput::Datastore(Datastore::Candidate)),
            "<validate><source><candidate/></source></validate>",
        ),
        (
            "S14",
            validate(ConfigInput::Datastore(Datastore::Running)),
            "<validate><source><running/></source></validate>",
        ),
        (
            "S14",
            validate(ConfigInput::Url(url("http://h/f"))),
            "<validate><source><url>http://h/f</url></source></validate>",
        ),
        (
            "S14",
            validate(inline()),
            "<validate><source><config><a xmlns=\"urn:a\"/></config></source></validate>",
        ),
        ("S27", Commit::default().rpc(&all), "<commit/>"),
        (
            "S28",
            Commit {
                confirmed: confirmed(600, None),
                persist_id: None,
            }
            .rpc(&all),
            "<commit><confirmed/><confirm-timeout>600</confirm-timeout></commit>",
        ),
        (
            "S28 persist",
            Commit {
                confirmed: confirmed(1, Some("a<b")),
                persist_id: None,
            }
            .rpc(&all),
            "<commit><confirmed/><confirm-timeout>1</confirm-timeout><persist>a&lt;b</persist></commit>",
        ),
        (
            "S28 extended",
            Commit {
                confirmed: confirmed(u32::MAX, Some("b")),
                persist_id: Some("a".into()),
            }
            .rpc(&all),
            "<commit><confirmed/><confirm-timeout>4294967295</confirm-timeout><persist>b</persist>\
             <persist-id>a</persist-id></commit>",
        ),
        (
            "S28 confirmed by another session",
            Commit {
                confirmed: None,
                persist_id: Some("a".into()),
            }
            .rpc(&all),
            "<commit><persist-id>a</persist-id></commit>",
        ),
        ("S28", CancelCommit::default().rpc(&all), "<cancel-commit/>"),
        (
            "S28",
            CancelCommit {
                persist_id: Some("a".into()),
            }
            .rpc(&all),
            "<cancel-commit><persist-id>a</persist-id></cancel-commit>",
        ),
        (
            "S26",
            KillSession { session_id: 4681 }.rpc(),
            "<kill-session><session-id>4681</session-id></kill-session>",
        ),
    ]);
}

/// S7: nothing is written that the device does not offer, and the refusal says what is missing for what.
#[test]
fn rfc_operations_are_guarded() {
    let none = Capabilities::default();
    let with = |capabilities: &[Capability]| Capabilities::new(capabilities.iter().map(|c| c.uri()));
    let candidate = with(&[Capability::Candidate]);
    let old_confirm = with(&[Capability::Candidate, Capability::ConfirmedCommit10]);
    let files_only = Capabilities::new([
        Capability::Candidate.uri().to_owned(),
        format!("{}?scheme=file", Capability::Url.uri()),
    ]);
    let running = || ConfigTarget::Datastore(Datastore::Running);
    let from_candidate = || ConfigInput::Datastore(Datastore::Candidate);
    let optioned = |test_option, error_option| EditConfig {
        test_option,
        error_option,
        ..edit(config())
    };
    let uri = Capability::uri;
    check_missing(vec![
        (
            Lock {
                target: Datastore::Candidate,
            }
            .rpc(&none),
            "target candidate",
            uri(Capability::Candidate),
        ),
        (
            Unlock {
                target: Datastore::Startup,
            }
            .rpc(&none),
            "target startup",
            uri(Capability::Startup),
        ),
        (
            edit(config()).rpc(&none),
            "target candidate",
            uri(Capability::Candidate),
        ),
        (
            EditConfig {
                target: Datastore::Running,
                ..edit(config())
            }
            .rpc(&candidate),
            "target running",
            uri(Capability::WritableRunning),
        ),
        (
            optioned(Some(TestOption::Set), None).rpc(&candidate),
            "test_option set",
            uri(Capability::Validate11),
        ),
        (
            optioned(Some(TestOption::TestOnly), None)
                .rpc(&with(&[Capability::Candidate, Capability::Validate10])),
            "test_option test-only",
            uri(Capability::Validate11),
        ),
        (
            optioned(None, Some(ErrorOption::RollbackOnError)).rpc(&candidate),
            "error_option rollback-on-error",
            uri(Capability::RollbackOnError),
        ),
        (
            edit(EditContent::Url(url("/f"))).rpc(&candidate),
            "url",
            uri(Capability::Url),
        ),
        (
            edit(EditContent::Url(url("ftp://h/f"))).rpc(&files_only),
            "url",
            "urn:ietf:params:netconf:capability:url:1.0?scheme=ftp",
        ),
        (
            CopyConfig {
                source: from_candidate(),
                target: running(),
            }
            .rpc(&candidate),
            "target running",
            uri(Capability::WritableRunning),
        ),
        (
            CopyConfig {
                source: from_candidate(),
                target: ConfigTarget::Url(url("/f")),
            }
            .rpc(&candidate),
            "target url",
            uri(Capability::Url),
        ),
        (
            CopyConfig {
                source: ConfigInput::Datastore(Datastore::Startup),
                target: ConfigTarget::Datastore(Datastore::Candidate),
            }
            .rpc(&candidate),
            "source startup",
            uri(Capability::Startup),
        ),
        (
            DeleteConfig {
                target: ConfigTarget::Datastore(Datastore::Startup),
            }
            .rpc(&none),
            "target startup",
            uri(Capability::Startup),
        ),
        (
            DiscardChanges.rpc(&none),
            "discard-changes",
            uri(Capability::Candidate),
        ),
        (
            Validate {
                source: from_candidate(),
            }
            .rpc(&candidate),
            "validate",
            uri(Capability::Validate11),
        ),
        (
            Validate {
                source: ConfigInput::Url(url("/f")),
            }
            .rpc(&with(&[Capability::Validate10])),
            "source url",
            uri(Capability::Url),
        ),
        (Commit::default().rpc(&none), "commit", uri(Capability::Candidate)),
        (
            Commit {
                confirmed: confirmed(60, None),
                persist_id: None,
            }
            .rpc(&candidate),
            "confirmed",
            uri(Capability::ConfirmedCommit11),
        ),
        (
            Commit {
                confirmed: confirmed(60, Some("a")),
                persist_id: None,
            }
            .rpc(&old_confirm),
            "persist",
            uri(Capability::ConfirmedCommit11),
        ),
        (
            Commit {
                confirmed: None,
                persist_id: Some("a".into()),
            }
            .rpc(&old_confirm),
            "persist-id",
            uri(Capability::ConfirmedCommit11),
        ),
        (
            CancelCommit::default().rpc(&old_confirm),
            "cancel-commit",
            uri(Capability::ConfirmedCommit11),
        ),
    ]);
    assert!(
        Commit {
            confirmed: confirmed(60, None),
            persist_id: None
        }
        .rpc(&old_confirm)
        .is_ok()
    );
    assert!(
        optioned(Some(TestOption::Set), None)
            .rpc(&with(&[Capability::Candidate, Capability::Validate10]))
            .is_ok()
    );
    assert!(
        edit(EditContent::Url(url("/f"))).rpc(&files_only).is_ok(),
        "a path counts as file"
    );
    // The policy `ignore` leaves it to the device.
    assert!(DiscardChanges.rpc(&Capabilities::default().unchecked()).is_ok());
}

/// X1, S12: what can mean nothing is not sent.
#[test]
fn rfc_operations_refuse_nonsense() {
    let all = everything();
    check_invalid(vec![
        (
            EditConfig {
                target: Datastore::Startup,
                ..edit(config())
            }
            .rpc(&all),
            "target",
        ),
        (edit(EditContent::Config(Default::default())).rpc(&all), "config"),
        (edit(EditContent::Url(url(" "))).rpc(&all), "url"),
        (
            CopyConfig {
                source: ConfigInput::Datastore(Datastore::Running),
                target: ConfigTarget::Datastore(Datastore::Running),
            }
            .rpc(&all),
            "target",
        ),
        (
            CopyConfig {
                source: ConfigInput::Url(url("/f")),
                target: ConfigTarget::Url(url("/f")),
            }
            .rpc(&all),
            "target",
        ),
        (
            CopyConfig {
                source: ConfigInput::Config(Default::default()),
                target: ConfigTarget::Datastore(Datastore::Candidate),
            }
            .rpc(&all),
            "source",
        ),
        (
            DeleteConfig {
                target: ConfigTarget::Datastore(Datastore::Running),
            }
            .rpc(&all),
            "target",
        ),
        (
            Validate {
                source: ConfigInput::Url(url("")),
            }
            .rpc(&all),
            "source url",
        ),
        (
            Commit {
                confirmed: confirmed(1, Some(" ")),
                persist_id: None,
            }
            .rpc(&all),
            "persist",
        ),
        (
            CancelCommit {
                persist_id: Some(String::new()),
            }
            .rpc(&all),
            "persist-id",
        ),
        (KillSession { session_id: 0 }.rpc(), "session_id"),
    ]);
    let control = edit(EditContent::Url(url("file:///\u{1}"))).rpc(&all);
    assert!(matches!(control, Err(RequestError::Write(_))), "{control:?}");
}
