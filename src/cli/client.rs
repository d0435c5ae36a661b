//! One request to the gateway and its answer, over plain HTTP.

use std::time::Duration;

use ureq::http::{Method, Request as HttpRequest};
use ureq::{Agent, Body};
use zeroize::Zeroizing;

use super::exit::Failure;
use super::output::Format;
use super::problem::Problem;

/// How long the gateway may take to accept the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What the network may add to the time that the caller gives.
const GRACE: Duration = Duration::from_secs(5);

/// Flags of every command that asks a gateway.
#[derive(Debug, Clone, clap::Args)]
pub struct ClientArgs {
    /// The gateway
    #[arg(
        long,
        value_name = "URL",
        env = "NCGATE_SERVER",
        default_value = "http://127.0.0.1:8830",
        help_heading = "Client"
    )]
    pub server: String,
    /// How to print the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Table, help_heading = "Client")]
    pub output: Format,
    /// How long to wait, queue and device together; unless given, the device's own settings count
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600), help_heading = "Client")]
    pub timeout: Option<u64>,
    /// Do not wait for what changes a device: print its operation
    #[arg(long = "async", help_heading = "Client")]
    pub respond_async: bool,
    /// The key of an earlier call, to repeat it: it is not carried out twice; unless given, a new one
    #[arg(long, value_name = "KEY", help_heading = "Client")]
    pub idempotency_key: Option<String>,
}

/// What is asked.
#[derive(Debug)]
pub struct Request {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<Zeroizing<Vec<u8>>>,
}

impl Request {
    /// `segments`: of the path below `/v1`, not yet escaped.
    pub fn new(method: Method, segments: &[&str]) -> Self {
        let mut path = "/v1".to_owned();
        for segment in segments {
            path.push('/');
            path.push_str(&escape(segment));
        }
        Self {
            method,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
        }
    }

    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn body(mut self, media_type: &'static str, body: Vec<u8>) -> Self {
        self.body = Some(Zeroizing::new(body));
        self.header("Content-Type", media_type)
    }

    /// Path and query as they are sent.
    fn target(&self) -> String {
        let pairs: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
            .collect();
        if pairs.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, pairs.join("&"))
        }
    }
}

/// A good answer. Its body is still on its way.
pub struct Answer {
    pub status: u16,
    pub body: Body,
}

impl ClientArgs {
    /// Sends the request and waits for the head of the answer.
    ///
    /// # Errors
    /// [`Failure`]; a problem of the gateway is one of them.
    pub fn send(&self, request: Request) -> Result<Answer, Failure> {
        let server = self.server.trim_end_matches('/');
        if !server.starts_with("http://") {
            return Err(Failure::Usage(format!(
                "--server must be an http:// URL, not '{server}'"
            )));
        }
        let may_change = request.method != Method::GET;
        let mut builder = HttpRequest::builder()
            .method(request.method.clone())
            .uri(format!("{server}{}", request.target()))
            .header("User-Agent", concat!("ncgate/", env!("CARGO_PKG_VERSION")));
        if !request.headers.iter().any(|(name, _)| *name == "Accept") {
            builder = builder.header("Accept", "application/json");
        }
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(seconds) = self.timeout {
            builder = builder.header("Request-Timeout", seconds);
        }
        let key = may_change.then(|| self.key());
        if let Some(key) = &key {
            builder = builder.header("Idempotency-Key", key);
            if self.respond_async {
                builder = builder.header("Prefer", "respond-async");
            }
        }
        let unusable =
            |error: ureq::http::Error| Failure::Usage(format!("the request cannot be made: {error}"));
        let sent = match &request.body {
            Some(body) => self.agent().run(builder.body(body.as_slice()).map_err(unusable)?),
            None => self.agent().run(builder.body(()).map_err(unusable)?),
        };
        let response = sent.map_err(|source| failed(source, server, key))?;
        let (parts, mut body) = response.into_parts();
        let status = parts.status.as_u16();
        if parts.status.is_success() {
            return Ok(Answer { status, body });
        }
        let problem = body.read_json().ok().and_then(Problem::new);
        match problem {
            Some(problem) => Err(Failure::Problem {
                problem: Box::new(problem),
                format: self.output,
            }),
            None => Err(Failure::Strange {
                server: server.to_owned(),
                status,
            }),
        }
    }

    /// A new one for each call, unless it is a call that is repeated (conventions H8).
    fn key(&self) -> String {
        match &self.idempotency_key {
            Some(key) => key.clone(),
            None => format!("ncgate-{:032x}", rand::random::<u128>()),
        }
    }

    /// An agent for one request. The gateway is meant to be near, so no proxy of the environment is used.
    fn agent(&self) -> Agent {
        Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(self.timeout.map(|seconds| Duration::from_secs(seconds) + GRACE))
            .build()
            .new_agent()
    }
}

/// Whether the request can have arrived. `key`: of one that can change something.
fn failed(source: ureq::Error, server: &str, key: Option<String>) -> Failure {
    let server = server.to_owned();
    let never_sent = match &source {
        ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        ureq::Error::Timeout(timeout) => matches!(timeout, ureq::Timeout::Connect | ureq::Timeout::Resolve),
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::BadUri(_) => true,
        _ => false,
    };
    if never_sent {
        Failure::NoGateway { server, source }
    } else {
        Failure::Lost { key, server, source }
    }
}

/// Everything but the unreserved characters of RFC 3986 is escaped.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
