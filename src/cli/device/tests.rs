//! What the commands make of their arguments.

use clap::Parser;
use serde_json::json;

use super::*;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    settings: SettingsArgs,
}

fn document(flags: &[&str], secrets: &Secrets) -> Result<Value, Failure> {
    let parsed = Flags::parse_from(std::iter::once("x").chain(flags.iter().copied()));
    let document = parsed.settings.document(Some("r1"), secrets)?;
    Ok(serde_json::to_value(document).expect("it is JSON"))
}

#[test]
fn flags_become_the_document_of_the_api() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let base = file(
        "device.json",
        r#"{"port": 1, "labels": {"a": "1"}, "auth": {"passphrase": "p"}}"#,
    );
    let (password, key) = (file("password", "s3cret\nnot this\n"), file("key", "KEY\nTEXT\n"));
    let flags = [
        "--file",
        &base,
        "--address",
        "192.0.2.1",
        "--port",
        "22",
        "--transport",
        "ssh_pty",
        "--username",
        "u",
        "--password-file",
        &password,
        "--private-key-file",
        &key,
        "--host-key",
        "SHA256:x",
        "--host-key-policy",
        "pinned",
        "--label",
        "b=2=3",
        "--max-sessions",
        "2",
    ];
    let expected = json!({
        "port": 22, "labels": {"a": "1", "b": "2=3"},
        "auth": {"passphrase": "p", "password": "s3cret", "private_key": "KEY\nTEXT\n"}, "name": "r1",
        "address": "192.0.2.1", "transport": "ssh_pty", "username": "u",
        "host_key": {"policy": "pinned", "keys": ["SHA256:x"]}, "pool": {"max_sessions": 2}
    });
    assert_eq!(document(&flags, &Secrets::default()).unwrap(), expected);
}

#[test]
fn secrets_may_come_from_the_environment() {
    let secrets = Secrets {
        password: Some(Zeroizing::new("s3cret".to_owned())),
        passphrase: None,
    };
    let expected = json!({"name": "r1", "auth": {"password": "s3cret"}});
    assert_eq!(document(&[], &secrets).unwrap(), expected);
}

#[test]
fn standard_input_is_read_once() {
    let refused = document(&["--password-stdin", "--file", "-"], &Secrets::default()).unwrap_err();
    assert_eq!(refused.exit(), Exit::Usage);
}

#[test]
fn unset_members_become_null() {
    let mut patch = serde_json::from_str(r#"{"auth": {"private_key": "x"}}"#).unwrap();
    set(&mut patch, "auth.password", &Value::Null).unwrap();
    set(&mut patch, "port", &Value::Null).unwrap();
    assert_eq!(
        serde_json::to_value(patch).unwrap(),
        json!({"auth": {"private_key": "x", "password": null}, "port": null})
    );
}
