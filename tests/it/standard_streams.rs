//! Standard output and standard error that cannot be written: a full disk is told, a reader that went away is not.

use std::fs::OpenOptions;
use std::process::Stdio;

use crate::support::program::{Ran, ncgate, run_into};
use crate::support::{TestGateway, junos};

/// A file that takes nothing.
fn full() -> Stdio {
    let file = OpenOptions::new().write(true).open("/dev/full");
    file.expect("Linux has it").into()
}

/// A pipe that nobody reads any more.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[track_caller]
fn assert_told(ran: &Ran, what: &[&str]) {
    assert_eq!(ran.code, 1, "{what:?}: {ran:?}");
    assert!(ran.err.contains("cannot write"), "{what:?}: {ran:?}");
    assert!(ran.err.contains("No space left"), "{what:?}: {ran:?}");
}

const ALONE: [&[&str]; 8] = [
    &["--help"],
    &["--version"],
    &["openapi"],
    &["completions", "bash"],
    &["man"],
    &["convert", "--to", "json"],
    &["demo", "--listen", "127.0.0.1:0"],
    &["emulator", "--listen", "127.0.0.1:0"],
];

const AT_A_GATEWAY: [&[&str]; 5] = [
    &["device", "list"],
    &["device", "list", "-o", "json"],
    &["rpc", "mx1", "get-software-information"],
    &["config", "compare", "mx1", "--from", "rollback:1"],
    &["status"],
];

/// Quality §3: output that is lost is a failure, told in words and by the exit code.
#[tokio::test]
async fn full_standard_output_is_told() {
    for arguments in ALONE {
        let ran = run_into(arguments, b"<a/>", full(), Stdio::piped()).await;
        assert_told(&ran, arguments);
    }
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let server = gateway.url("");
    for arguments in AT_A_GATEWAY {
        let arguments = [arguments, &["--server", &server]].concat();
        let ran = run_into(&arguments, b"", full(), Stdio::piped()).await;
        assert_told(&ran, &arguments);
    }
}

/// As `| head` does: who reads no more has seen enough.
#[tokio::test]
async fn closed_standard_output_is_no_failure() {
    let quiet = |ran: &Ran| (ran.code, ran.err.as_str()) == (0, "");
    for arguments in &ALONE[..6] {
        let ran = run_into(arguments, b"<a/>", closed(), Stdio::piped()).await;
        assert!(quiet(&ran), "{arguments:?}: {ran:?}");
    }
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let server = gateway.url("");
    for arguments in AT_A_GATEWAY {
        let arguments = [arguments, &["--server", &server]].concat();
        let ran = run_into(&arguments, b"", closed(), Stdio::piped()).await;
        assert!(quiet(&ran), "{arguments:?}: {ran:?}");
    }
}

/// A warning that nobody can read is a failure; the exit code of what failed anyway stays, because it is all that is
/// left to tell.
#[tokio::test]
async fn full_standard_error_is_no_panic() {
    let convert = ["convert", "--to", "json"];
    let ran = run_into(&convert, b"<a>\xff</a>", Stdio::piped(), full()).await;
    assert_eq!((ran.code, ran.out.as_str()), (1, "{\"a\":\"\u{fffd}\"}\n"));
    let ran = run_into(&convert, b"<a>\xff</a>", Stdio::piped(), closed()).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "{\"a\":\"\u{fffd}\"}\n"));
    let gateway = TestGateway::start().await;
    let server = gateway.url("");
    let no_such_port = "http://127.0.0.1:1";
    for (arguments, code) in [
        (vec!["convert", "--to", "json"], 1),
        (vec!["device", "list", "--no-such-option"], 2),
        (vec!["serve", "--database", "no-such-kind:"], 2),
        (vec!["device", "get", "nobody", "--server", &server], 3),
        (vec!["device", "list", "--server", no_such_port], 5),
    ] {
        for err in [full(), closed()] {
            let ran = run_into(&arguments, b"<a", Stdio::piped(), err).await;
            assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        }
    }
}

/// S31: a log that cannot be written does not end the gateway.
#[tokio::test]
async fn full_log_does_not_end_the_program() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = ncgate();
    command
        .args(["demo", "--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(full());
    let mut demo = command.spawn().expect("the program starts");
    // Its end is the end of the pipe.
    drop(command);
    let welcome = tokio::task::spawn_blocking(move || {
        use std::io::Read;
        let mut text = vec![0; 4096];
        let length = reader.read(&mut text).expect("it says where it serves");
        String::from_utf8_lossy(&text[..length]).into_owned()
    })
    .await
    .expect("it is read");
    let from = welcome.find("http://").expect("an address");
    let base = welcome[from..].split_whitespace().next().expect("an address");
    let base = base.trim_end_matches(|c: char| !c.is_ascii_digit());
    let url = format!("{base}/v1/devices/mx1/rpc/get-software-information");
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let status = http.get(url).send().await.map(|answer| answer.status().as_u16());
    demo.kill().expect("it runs");
    demo.wait().expect("it ends");
    assert_eq!(status.expect("an answer"), 200);
}
