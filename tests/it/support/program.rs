//! The program itself as a client of the gateway under test.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::TestGateway;

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Standard output as JSON, of a run that succeeded.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Standard error as JSON, of a run that failed with this exit code.
    #[track_caller]
    pub fn problem(&self, code: i32) -> Value {
        assert_eq!(self.code, code, "{self:?}");
        serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The program, without settings from the environment.
pub fn ncgate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ncgate"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NCGATE_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs `ncgate` with arguments and standard input.
pub async fn run(arguments: &[&str], input: &str) -> Ran {
    run_into(arguments, input.as_bytes(), Stdio::piped(), Stdio::piped()).await
}

/// As [`run`], with other places for standard output and standard error; what goes there is not seen.
pub async fn run_into(arguments: &[&str], input: &[u8], out: Stdio, err: Stdio) -> Ran {
    let mut command = ncgate();
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(out)
        .stderr(err);
    let input = input.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("the program starts");
        // A program that wants no input may be gone before it is written.
        let _ = child.stdin.take().expect("piped").write_all(&input);
        child.wait_with_output().expect("the program ends")
    })
    .await
    .expect("it is waited for");
    Ran {
        code: output.status.code().expect("no signal"),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

impl TestGateway {
    /// Runs `ncgate … --server THIS`.
    pub async fn ncgate(&self, arguments: &[&str]) -> Ran {
        self.ncgate_with(arguments, "").await
    }

    /// As [`Self::ncgate`], with standard input.
    pub async fn ncgate_with(&self, arguments: &[&str], input: &str) -> Ran {
        let server = self.url("");
        run(&[arguments, &["--server", &server]].concat(), input).await
    }
}
