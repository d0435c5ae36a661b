//! `ncgate demo`: what it prints can be pasted, and what it logs can be read in a file.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::program::ncgate;

/// A running demo. Dropping it kills it.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // It has ended already, or does now.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a shell gets that runs the line as it stands: JSON.
fn pasted(line: &str) -> Value {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).env("NO_PROXY", "127.0.0.1");
    let output = shell.output().expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{line}: {output:?}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"))
}

/// Issue 2 item 1: every command that the demo prints works as printed. Its log, which is no terminal here, has no colours.
#[test]
fn the_commands_that_are_printed_work() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: there is no curl");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("log");
    let mut command = ncgate();
    command
        .args(["demo", "--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).expect("a file"));
    let mut demo = Demo(command.spawn().expect("the program starts"));
    let printed = BufReader::new(demo.0.stdout.take().expect("standard output"));
    let mut commands = Vec::new();
    for line in printed.lines() {
        let line = line.expect("text");
        if line.contains("Ctrl-C") {
            break;
        }
        commands.extend(line.starts_with("curl ").then_some(line));
    }
    let answers: Vec<Value> = commands.iter().map(|line| pasted(line)).collect();
    let [software, interfaces, services, version, refused] = answers.as_slice() else {
        panic!("five commands: {commands:?}")
    };
    assert_eq!(software["data"]["software-information"]["host-name"], "mx1");
    assert!(
        interfaces["data"]["interface-information"].is_object(),
        "{interfaces}"
    );
    assert!(
        services["data"]["configuration"]["system"]["services"].is_object(),
        "{services}"
    );
    assert_eq!(version["device"], "mx2", "{version}");
    assert!(version["data"].to_string().contains("Junos"), "{version}");
    assert_eq!(
        (&refused["code"], &refused["origin"]),
        (&json!("unknown-element"), &json!("device"))
    );
    let logged = std::fs::read_to_string(&log).expect("a log");
    assert!(logged.contains("unknown-element"), "{logged}");
    assert!(!logged.contains('\u{1b}'), "{logged}");
}
