//! Bodies of the write path: what is read of them, and where faults are pointed at.

use super::*;

fn pointer<T>(result: Result<T, ApiError>) -> String {
    match result {
        Ok(_) => panic!("must be refused"),
        Err(error) => error.error.fields()[0].pointer.clone(),
    }
}

/// W1: the configuration stays as it was written; the rest of an edit is read by its words.
#[test]
fn edits_are_read_in_full() {
    let text = r#"{"action": "replace", "path": "system/login", "config": {"b": 1.50, "a": {"b": 1}},
        "error_option": "rollback-on-error", "test_option": "test-then-set", "protocol": "rfc", "plan": true}"#;
    let request = read_edit(text, None).expect("a good edit");
    assert!(request.plan);
    let expected = Edit {
        action: Some(Action::Replace),
        path: Some("system/login".to_owned()),
        error_option: Some(ErrorOption::RollbackOnError),
        test_option: Some(TestOption::TestThenSet),
        protocol: Some(Protocol::Rfc),
        ..Edit::new(
            EditFormat::Json,
            EditBody::Config(r#"{"b": 1.50, "a": {"b": 1}}"#.to_owned()),
        )
    };
    assert_eq!(request.edit, expected);

    let set = read_edit(r#"{"format": "set", "config": "set a \"b\"\n"}"#, None).ok();
    assert_eq!(set.expect("a good edit").edit, plain_edit("set a \"b\"\n"));
    let pattern = read_edit(r#"{"replace_pattern": {"pattern": "a", "with": "b"}}"#, None).ok();
    assert_eq!(
        pattern.expect("a good edit").edit.body,
        EditBody::ReplacePattern {
            pattern: "a".to_owned(),
            with: "b".to_owned(),
            path: None
        }
    );
    let rollback = read_edit(r#"{"rollback": 3}"#, None).ok();
    assert_eq!(rollback.expect("a good edit").edit.body, EditBody::Rollback(3));
}

/// S31
#[test]
fn changes_need_only_edits() {
    let request = read_change(r#"{"edits": [{"config": {"a": 1}}]}"#, None).expect("a good change");
    let expected = ChangeRequest {
        edits: vec![Edit::new(
            EditFormat::Json,
            EditBody::Config(r#"{"a": 1}"#.to_owned()),
        )],
        ..ChangeRequest::default()
    };
    assert_eq!(request, expected);
    let full = r#"{"edits": [{"rescue": true}], "mode": "private", "validate": false, "dry_run": true,
        "commit": {"comment": "c", "at": "23:15", "synchronize": true, "force_synchronize": true, "full": true,
        "save": false}, "if_revision": "re0-1", "wait_seconds": 5, "instance": "i"}"#;
    let request = read_change(full, Some(true)).expect("a good change");
    assert_eq!(request.mode, Some(Mode::Private));
    assert!(!request.validate && request.dry_run && request.plan);
    assert_eq!((request.wait_seconds, request.commit.save), (5, Some(false)));
    assert!(request.commit.synchronize && request.commit.force_synchronize && request.commit.full);
}

/// H1
#[test]
fn faults_are_pointed_at() {
    let edit = |text: &str| pointer(read_edit(text, None));
    assert_eq!(edit(r#"{"config": "set a"}"#), "/config");
    assert_eq!(edit(r#"{"format": "xml", "config": {"a": 1}}"#), "/config");
    assert_eq!(edit(r#"{"format": "yaml", "config": {}}"#), "/format");
    assert_eq!(edit(r#"{"action": "nope", "config": {}}"#), "/action");
    assert_eq!(edit(r#"{"rescue": false}"#), "/rescue");
    assert_eq!(edit(r#"{"rollback": 1.5}"#), "/rollback");
    assert_eq!(edit("{}"), "");
    assert_eq!(edit(r#"{"rollback": 1, "rescue": true}"#), "");
    assert_eq!(
        edit(r#"{"replace_pattern": {"with": "a"}}"#),
        "/replace_pattern/pattern"
    );
    assert_eq!(
        edit(r#"{"replace_pattern": {"pattern": "a", "with": "b", "up": 1}}"#),
        "/replace_pattern/up"
    );
    let change = |text: &str| pointer(read_change(text, None));
    assert_eq!(change("{}"), "/edits");
    assert_eq!(change(r#"{"edits": [], "dry_run": true}"#), "/edits");
    // A wrong name is what is wrong, not that the right one is missing.
    assert_eq!(change(r#"{"edit": [{"config": {}}]}"#), "/edit");
    assert_eq!(change(r#"{"edits": [{"cofig": {}}]}"#), "/edits/0/cofig");
    assert_eq!(edit(r#"{"cofig": {}, "protocol": "rfc"}"#), "/cofig");
    assert_eq!(change(r#"{"edits": [{"config": {}}, {}]}"#), "/edits/1");
    assert_eq!(
        change(r#"{"edits": [{"config": {}, "plan": true}]}"#),
        "/edits/0/plan"
    );
    assert_eq!(
        change(r#"{"edits": [{"config": {}}], "commit": {"confirm": 1}}"#),
        "/commit/confirm"
    );
    assert_eq!(
        pointer(read_open(r#"{"ttl_seconds": "1"}"#, None)),
        "/ttl_seconds"
    );
    assert_eq!(pointer(read_discard_candidate("{}", None)), "/expect_diff_sha256");
    assert_eq!(pointer(read_kill(r#"{"if_usr": "a"}"#, None)), "/if_usr");
    assert!(read_open("", None).is_ok());
}
