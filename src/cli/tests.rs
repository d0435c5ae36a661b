//! The grammar, and requests on the wire: a server of one answer stands in for the gateway.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use clap::error::ErrorKind;
use serde_json::{Value, json};

use super::*;
use crate::service::calls::CALLS;

/// What arrived.
struct Seen {
    /// Method and path with query.
    line: String,
    headers: String,
    body: String,
}

impl Seen {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Answers one request and tells what it was.
fn gateway(status: u16, media_type: &str, body: &str) -> (String, JoinHandle<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    name.eq_ignore_ascii_case("content-length")
                        .then(|| value.parse::<usize>().unwrap())
                });
                if body.len() >= length.unwrap_or_default() {
                    stream.write_all(answer.as_bytes()).unwrap();
                    let line = head
                        .lines()
                        .next()
                        .unwrap()
                        .trim_end_matches(" HTTP/1.1")
                        .to_owned();
                    return Seen {
                        line,
                        headers: head.to_ascii_lowercase(),
                        body: body.to_owned(),
                    };
                }
            }
            let count = stream.read(&mut buffer).unwrap();
            bytes.extend_from_slice(&buffer[..count]);
        }
    });
    (url, thread)
}

fn client(words: &[&str]) -> ClientCommand {
    match Cli::try_parse_from(std::iter::once("ncgate").chain(words.iter().copied()))
        .unwrap()
        .command
    {
        Command::Client(command) => command,
        other => panic!("{other:?} asks no gateway"),
    }
}

/// Runs a client command against a gateway that says `{}`.
fn ask(words: &[&str]) -> (Exit, Seen) {
    let (url, thread) = gateway(
        200,
        "application/json",
        r#"{"data": null, "complete": true, "results": []}"#,
    );
    let words: Vec<&str> = words.iter().copied().chain(["--server", &url]).collect();
    let exit = client(&words).run();
    (exit, thread.join().unwrap())
}

fn line(words: &[&str]) -> String {
    let (exit, seen) = ask(words);
    assert_eq!(exit, Exit::Ok);
    seen.line
}

#[test]
fn grammar_is_sound() {
    Cli::command().debug_assert();
}

/// Issue 2, item 3: every call of the table has its verb, and every verb its call.
#[test]
fn every_service_call_has_its_command() {
    let grammar = Cli::command();
    for call in CALLS {
        let mut command = &grammar;
        for word in call.cli.split(' ') {
            if let Some(flag) = word.strip_prefix("--") {
                assert!(
                    command.get_arguments().any(|arg| arg.get_long() == Some(flag)),
                    "{}",
                    call.cli
                );
            } else {
                command = command
                    .find_subcommand(word)
                    .unwrap_or_else(|| panic!("no command '{}'", call.cli));
            }
        }
        assert!(
            !command.has_subcommands(),
            "'{}' is not a whole command",
            call.cli
        );
    }
    let ours = [
        "completions",
        "demo",
        "emulator",
        "convert",
        "man",
        "openapi",
        "serve",
        "settings",
    ];
    let mut leaves = Vec::new();
    for command in grammar
        .get_subcommands()
        .filter(|command| !ours.contains(&command.get_name()))
    {
        if command.has_subcommands() {
            leaves.extend(
                command
                    .get_subcommands()
                    .map(|leaf| format!("{} {}", command.get_name(), leaf.get_name())),
            );
        } else {
            leaves.push(command.get_name().to_owned());
        }
    }
    // `get`, again and again until the operation has ended.
    leaves.retain(|leaf| leaf != "operation wait");
    for leaf in leaves {
        assert!(
            CALLS.iter().any(|call| call.cli == leaf),
            "'{leaf}' is no call of the table"
        );
    }
}

#[test]
fn requests_are_those_of_the_table() {
    assert_eq!(
        line(&["device", "list", "--label", "site=fra ams"]),
        "GET /v1/devices?page_size=1000&label=site%3Dfra%20ams"
    );
    assert_eq!(line(&["device", "get", "r 1/x"]), "GET /v1/devices/r%201%2Fx");
    assert_eq!(line(&["device", "check", "r1"]), "POST /v1/devices/r1/check");
    assert_eq!(
        line(&["device", "capabilities", "r1"]),
        "GET /v1/devices/r1/capabilities"
    );
    assert_eq!(line(&["device", "schemas", "r1"]), "GET /v1/devices/r1/schemas");
    assert_eq!(
        line(&[
            "device",
            "schema",
            "r1",
            "ietf-inet-types",
            "--revision",
            "2013-07-15"
        ]),
        "GET /v1/devices/r1/schemas/ietf-inet-types?version=2013-07-15"
    );
    assert_eq!(line(&["device", "sessions", "r1"]), "GET /v1/devices/r1/sessions");
    assert_eq!(
        line(&["cli", "r1", "show version", "--rpc"]),
        "GET /v1/devices/r1/cli/rpc?command=show%20version"
    );
    assert_eq!(line(&["status"]), "GET /v1/status");
    assert_eq!(line(&["version"]), "GET /v1/version");
    assert_eq!(
        line(&[
            "config",
            "get",
            "r1",
            "system/login",
            "--source",
            "candidate",
            "--no-recurse",
            "--count",
            "5",
            "--key"
        ]),
        "GET /v1/devices/r1/config?source=candidate&path=system%2Flogin&key=true&recurse=false&count=5"
    );
    assert_eq!(
        line(&["config", "compare", "r1", "--from", "rollback:1"]),
        "GET /v1/devices/r1/config/compare?from=rollback%3A1&format=text"
    );
}

#[test]
fn bodies_are_those_of_the_api() {
    let (exit, seen) = ask(&[
        "rpc",
        "mx1",
        "get-interface-information",
        "interface-name=ge-0/0/0",
        "terse",
        "--attribute",
        "who=me",
        "--partial",
        "keep",
        "--timeout",
        "7",
    ]);
    assert_eq!(
        (exit, seen.line.as_str()),
        (Exit::Ok, "POST /v1/devices/mx1/rpc?partial=keep")
    );
    assert!(
        seen.headers.contains("content-type: application/json"),
        "{}",
        seen.headers
    );
    assert!(seen.headers.contains("request-timeout: 7"), "{}", seen.headers);
    let rpc = json!({"get-interface-information": {"interface-name": "ge-0/0/0", "terse": null}});
    assert_eq!(seen.json(), json!({"rpc": rpc, "attributes": {"who": "me"}}));

    let (_, seen) = ask(&[
        "batch",
        "mx1",
        "get-chassis-inventory",
        "get-software-information",
        "--on-error",
        "continue",
    ]);
    let rpcs = json!([{"rpc": {"get-chassis-inventory": null}}, {"rpc": {"get-software-information": null}}]);
    assert_eq!(seen.json(), json!({"rpcs": rpcs, "on_error": "continue"}));

    let (_, seen) = ask(&["cli", "mx1", "show version"]);
    assert_eq!(seen.line, "POST /v1/devices/mx1/cli?format=text");
    assert_eq!(seen.json(), json!({"command": "show version"}));

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), " <get-chassis-inventory/>").unwrap();
    let (_, seen) = ask(&["rpc", "mx1", "--body", file.path().to_str().unwrap(), "--plan"]);
    assert_eq!(
        (seen.line.as_str(), seen.body.as_str()),
        ("POST /v1/devices/mx1/rpc?plan=true", " <get-chassis-inventory/>")
    );
    assert!(seen.headers.contains("content-type: application/xml"));

    let (_, seen) = ask(&["device", "add", "r1", "--address", "192.0.2.1", "--username", "u"]);
    assert_eq!(seen.line, "POST /v1/devices");
    assert_eq!(
        seen.json(),
        json!({"name": "r1", "address": "192.0.2.1", "username": "u"})
    );
    let (_, seen) = ask(&[
        "device",
        "update",
        "r1",
        "--port",
        "22",
        "--unset",
        "auth.password",
        "--if-match",
        "x.1",
    ]);
    assert_eq!(seen.line, "PATCH /v1/devices/r1");
    assert!(
        seen.headers
            .contains("content-type: application/merge-patch+json")
    );
    assert!(seen.headers.contains("if-match: \"x.1\""));
    assert_eq!(seen.json(), json!({"port": 22, "auth": {"password": null}}));
    let (exit, seen) = ask(&["device", "remove", "r1"]);
    assert_eq!((exit, seen.line.as_str()), (Exit::Ok, "DELETE /v1/devices/r1"));
}

fn exit_of(status: u16, media_type: &str, body: &str, words: &[&str]) -> Exit {
    let (url, thread) = gateway(status, media_type, body);
    let exit = client(
        &words
            .iter()
            .copied()
            .chain(["--server", &url])
            .collect::<Vec<_>>(),
    )
    .run();
    thread.join().unwrap();
    exit
}

/// Design §3: exit codes.
#[test]
fn failures_have_their_exit_codes() {
    let problem = |code: &str, status: u16, outcome: &str| {
        json!({"code": code, "status": status, "outcome": outcome, "origin": "caller", "detail": "x"})
            .to_string()
    };
    let media_type = "application/problem+json";
    let get = ["device", "get", "r1"];
    assert_eq!(
        exit_of(404, media_type, &problem("not-found", 404, "not_sent"), &get),
        Exit::NotFound
    );
    assert_eq!(
        exit_of(409, media_type, &problem("already-exists", 409, "not_sent"), &get),
        Exit::Conflict
    );
    assert_eq!(
        exit_of(502, media_type, &problem("outcome-unknown", 502, "unknown"), &get),
        Exit::OutcomeUnknown
    );
    assert_eq!(exit_of(404, "text/html", "<html/>", &get), Exit::Failure);
    let results = json!({"results": [{"data": {}, "complete": true}, {"code": "not-found", "status": 404}]});
    let batch = ["batch", "r1", "get-x"];
    assert_eq!(
        exit_of(200, "application/json", &results.to_string(), &batch),
        Exit::NotFound
    );

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(client(&["status", "--server", &url]).run(), Exit::Unreachable);
    assert_eq!(
        client(&["status", "--server", "https://127.0.0.1:1"]).run(),
        Exit::Usage
    );
}

/// A connection that ends before the answer: a read did nothing, an RPC may have.
#[test]
fn a_lost_answer_is_not_called_a_failure() {
    for (words, expected) in [
        (["rpc", "r1", "request-x"].as_slice(), Exit::OutcomeUnknown),
        (&["device", "get", "r1"], Exit::Unreachable),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let read = stream.read(&mut [0; 1024]).unwrap();
            assert!(read > 0);
        });
        let exit = client(
            &words
                .iter()
                .copied()
                .chain(["--server", &url])
                .collect::<Vec<_>>(),
        )
        .run();
        thread.join().unwrap();
        assert_eq!(exit, expected);
    }
}

#[test]
fn wrong_usage_is_refused_by_the_grammar() {
    let kind = |words: &[&str]| {
        Cli::try_parse_from(std::iter::once("ncgate").chain(words.iter().copied()))
            .unwrap_err()
            .kind()
    };
    assert_eq!(kind(&["rpc", "r1"]), ErrorKind::MissingRequiredArgument);
    assert_eq!(kind(&["device", "lits"]), ErrorKind::InvalidSubcommand);
    assert_eq!(
        kind(&["device", "add", "r1", "--password", "x"]),
        ErrorKind::UnknownArgument
    );
    // Only a change is committed later.
    assert_eq!(
        kind(&["edit-session", "commit", "r1", "x", "--at", "23:00"]),
        ErrorKind::UnknownArgument
    );
    assert_eq!(kind(&["status", "-o", "xml"]), ErrorKind::InvalidValue);
    assert_eq!(kind(&["status", "--timeout", "0"]), ErrorKind::ValueValidation);
}

#[test]
fn completions_and_manuals_can_be_made() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        assert!(String::from_utf8(completions(shell)).unwrap().contains("device"));
    }
    assert!(String::from_utf8(manual().unwrap()).unwrap().contains("ncgate"));
    let directory = tempfile::tempdir().unwrap();
    write_manuals(directory.path()).unwrap();
    assert!(directory.path().join("ncgate-serve.1").exists());
}
