//! The gateway as a process of its own: the program that users run, with its log, its signals and its memory.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use ncgate::emulator::RunningEmulator;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{PASSWORD, USER, answer, eventually};

/// A running `ncgate serve`. Dropping it kills it.
pub struct Child {
    process: std::process::Child,
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    pub http: Client,
    /// Kept for another process that goes on with it.
    directory: Arc<tempfile::TempDir>,
}

impl Child {
    /// With an inventory in a file, loopback devices allowed, and a spool directory of its own.
    pub async fn start(more: &[&str]) -> Self {
        Self::start_by("", more).await
    }

    /// As [`Self::start`], after this shell command, which may set limits of the process.
    pub async fn start_by(limits: &str, more: &[&str]) -> Self {
        let directory = Arc::new(tempfile::tempdir().expect("a directory"));
        Self::start_in(directory, limits, more).await
    }

    /// Another process over what this one has left.
    pub async fn again(&self, more: &[&str]) -> Self {
        Self::start_in(Arc::clone(&self.directory), "", more).await
    }

    async fn start_in(directory: Arc<tempfile::TempDir>, limits: &str, more: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &format!("{limits}\nexec \"$0\" \"$@\""),
            env!("CARGO_BIN_EXE_ncgate"),
            "serve",
        ]);
        command.args(["--listen", "127.0.0.1:0", "--device-networks", "127.0.0.0/8"]);
        // Tests count what a device is sent.
        command.args(["--look-for-changes-seconds", "0"]);
        let database = format!("sqlite://{}", directory.path().join("inventory.db").display());
        command
            .args(["--database", &database, "--spool-directory"])
            .arg(directory.path().join("spool"));
        command
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NCGATE_")) {
            command.env_remove(name);
        }
        let mut process = command.spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (stderr, lines) = (process.stderr.take().expect("standard error"), Arc::clone(&log));
        std::thread::spawn(move || {
            // A line that is no UTF-8 is kept as it can be, because tests look for exactly that.
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                lines
                    .lock()
                    .expect("no test panics inside")
                    .push(String::from_utf8_lossy(&line).into_owned());
            }
        });
        let mut child = Self {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log,
            // A connection for each request: one that is kept may be closed by an ending gateway at any moment.
            http: Client::builder()
                .no_proxy()
                .pool_max_idle_per_host(0)
                .build()
                .expect("a client"),
            directory,
        };
        eventually("the gateway serves", async || child.log("serving").len() == 1).await;
        let address = child.log("serving")[0]["address"]
            .as_str()
            .expect("an address")
            .to_owned();
        child.address = address.parse().expect("an address");
        child
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Everything logged so far, line by line.
    pub fn lines(&self) -> Vec<String> {
        self.log.lock().expect("no test panics inside").clone()
    }

    /// The log lines with this message. A line that is no JSON object fails the test.
    pub fn log(&self, message: &str) -> Vec<Value> {
        let line = |line: String| -> Value {
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in the log line {line:?}"))
        };
        self.lines()
            .into_iter()
            .map(line)
            .filter(|line| line["message"] == message)
            .collect()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(body)).await
    }

    /// Adds an emulated device; `more` is laid over its settings.
    pub async fn add(&self, name: &str, device: &RunningEmulator, more: Value) {
        let (status, answer) = self.post("/v1/devices", &device_body(name, device, more)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.process.id());
        let sent = Command::new("sh")
            .args(["-c", &command])
            .status()
            .expect("a shell");
        assert!(sent.success(), "{command}");
    }

    /// Waits for the end of the process.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the gateway has ended", async || {
            status = self.process.try_wait().expect("the process can be waited for");
            status.is_some()
        })
        .await;
        status.expect("it was waited for")
    }

    /// A field of `/proc/…/status` in KiB: `VmRSS`, `VmHWM`.
    pub fn memory_kib(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).expect("the process lives");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = line
            .and_then(|line| line.split_whitespace().next())
            .expect("the field is there");
        number.parse().expect("a number")
    }

    /// How many files and sockets the process has open, without those of the database, which has a pool of its own.
    pub fn descriptors(&self) -> usize {
        let open = self.open_files();
        open.iter().filter(|path| !path.contains("/inventory.db")).count()
    }

    /// Files that the process has open under its spool directory, deleted ones included.
    pub fn spooled(&self) -> Vec<String> {
        let open = self.open_files();
        open.into_iter().filter(|path| path.contains("/spool/")).collect()
    }

    /// What every descriptor of the process stands for.
    fn open_files(&self) -> Vec<String> {
        let descriptors =
            std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).expect("the process lives");
        descriptors
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .map(|path| path.to_string_lossy().into_owned())
            .collect()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The settings of an emulated device as they are posted; `more` is laid over them.
pub fn device_body(name: &str, device: &RunningEmulator, more: Value) -> Value {
    let mut body = json!({
        "name": name,
        "address": "127.0.0.1",
        "port": device.addr().port(),
        "username": USER,
        "auth": {"password": PASSWORD},
        "host_key": {"policy": "pinned", "keys": [device.host_key_fingerprint()]},
    });
    for (key, value) in more.as_object().expect("an object") {
        body[key] = value.clone();
    }
    body
}
