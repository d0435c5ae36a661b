//! The gateway's `application/problem+json` (RFC 9457), for people and as an exit code.

use std::fmt::Write as _;

use serde_json::Value;

use super::exit::Exit;
use super::output::{self, Format};
use super::{pretty, yaml};

/// Codes of failures to reach the device.
const UNREACHABLE: [&str; 5] = [
    "device-unreachable",
    "connection-refused",
    "circuit-open",
    "hello-timeout",
    "device-timeout",
];

/// A problem as the gateway sent it. Members it does not know are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem(Value);

impl Problem {
    /// `None` if the value is no problem.
    pub fn new(value: Value) -> Option<Self> {
        value.get("code")?.as_str()?;
        Some(Self(value))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// What was done counts more than why it failed.
    pub fn exit(&self) -> Exit {
        let code = self.text("code").unwrap_or_default();
        let status = self.0.get("status").and_then(Value::as_u64).unwrap_or_default();
        if self.text("outcome") == Some("unknown") {
            return Exit::OutcomeUnknown;
        }
        if UNREACHABLE.contains(&code) {
            return Exit::Unreachable;
        }
        match (status, self.text("origin")) {
            (404, _) => Exit::NotFound,
            (409 | 412, _) => Exit::Conflict,
            (400 | 405 | 406 | 413 | 415 | 422, Some("caller")) => Exit::Usage,
            _ => Exit::Failure,
        }
    }

    /// The lines for standard error.
    pub fn render(&self, format: Format) -> String {
        match format {
            // Some of it is the device's text.
            Format::Table => output::harmless(&self.words(), true),
            Format::Json => pretty::pretty(&self.0.to_string()) + "\n",
            Format::Yaml => yaml::emit(&self.0),
        }
    }

    fn words(&self) -> String {
        let code = self.text("code").unwrap_or("error");
        let mut lines = format!("error: {code}");
        let headline = self.text("detail").or(self.text("title"));
        if let Some(headline) = headline {
            let _ = write!(lines, ": {headline}");
        }
        lines.push('\n');
        for name in ["device", "step", "reason", "outcome"] {
            if let Some(text) = self.text(name) {
                let _ = writeln!(lines, "  {name}: {text}");
            }
        }
        // By these what came of it can be looked up.
        let operation = self.text("operation_id");
        for (label, id) in [
            ("change", self.text("change_id")),
            (
                "operation",
                operation.filter(|id| self.text("change_id") != Some(id)),
            ),
            ("confirmed commit", self.text("confirmed_commit_id")),
        ] {
            if let Some(id) = id {
                let _ = writeln!(lines, "  {label}: {id}");
            }
        }
        for fault in self
            .0
            .get("errors")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let text = |name: &str| fault.get(name).and_then(Value::as_str).unwrap_or_default();
            let line = format!("{}: {}", text("pointer"), text("detail"));
            if headline == Some(&line) {
                // With a single fault the detail says where and what already.
            } else if Some(text("detail")) == headline {
                let _ = writeln!(lines, "  at: {}", text("pointer"));
            } else {
                let _ = writeln!(lines, "  at {line}");
            }
        }
        for error in self
            .0
            .get("rpc_errors")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            lines.push_str(&rpc_error(error));
        }
        if let Some(seconds) = self.0.get("retry_after_seconds").and_then(Value::as_u64) {
            let _ = writeln!(lines, "  try again in: {seconds} s");
        }
        for (name, label) in [("hint", "hint"), ("request_id", "request id")] {
            if let Some(text) = self.text(name) {
                let _ = writeln!(lines, "  {label}: {text}");
            }
        }
        lines
    }
}

/// One rpc-error of the device in a line or two.
fn rpc_error(error: &Value) -> String {
    let text = |name: &str| {
        error
            .get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let mut line = "  device says".to_owned();
    if let Some(member) = text("member") {
        let _ = write!(line, " ({member})");
    }
    let _ = write!(
        line,
        ": {}",
        text("error_message").or(text("error_tag")).unwrap_or("error")
    );
    let facts = [
        ("error_tag", "tag"),
        ("error_path", "path"),
        ("bad_element", "bad element"),
    ];
    let facts: Vec<String> = facts
        .iter()
        .filter_map(|(name, label)| Some(format!("{label} {}", text(name)?)))
        .collect();
    if !facts.is_empty() {
        let _ = write!(line, " [{}]", facts.join(", "));
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn exit(problem: Value) -> Exit {
        Problem::new(problem).unwrap().exit()
    }

    /// Design §3: the exit codes.
    #[test]
    fn exit_codes_follow_outcome_and_status() {
        let problem = |code: &str, status: u16, origin: &str, outcome: &str| {
            exit(json!({"code": code, "status": status, "origin": origin, "outcome": outcome}))
        };
        assert_eq!(problem("not-found", 404, "caller", "not_sent"), Exit::NotFound);
        assert_eq!(
            problem("lock-denied", 409, "device", "not_applied"),
            Exit::Conflict
        );
        assert_eq!(
            problem("etag-mismatch", 412, "caller", "not_sent"),
            Exit::Conflict
        );
        assert_eq!(
            problem("invalid-argument", 400, "caller", "not_sent"),
            Exit::Usage
        );
        assert_eq!(
            problem("bad-element", 400, "device", "not_applied"),
            Exit::Failure
        );
        assert_eq!(
            problem("device-unreachable", 503, "device", "not_sent"),
            Exit::Unreachable
        );
        assert_eq!(
            problem("device-timeout", 504, "device", "not_applied"),
            Exit::Unreachable
        );
        assert_eq!(
            problem("device-timeout", 504, "device", "unknown"),
            Exit::OutcomeUnknown
        );
        assert_eq!(
            problem("device-auth-failed", 502, "device", "not_sent"),
            Exit::Failure
        );
    }

    /// U4: what failed, for which device, whether anything was changed, what to do next.
    #[test]
    fn words_tell_everything_once() {
        let problem = Problem::new(json!({
            "type": "/problems/unknown-element", "code": "unknown-element", "title": "The device does not know it",
            "status": 400, "detail": "the device refuses get-no-such-thing", "origin": "device", "device": "mx1",
            "outcome": "not_applied", "request_id": "01X", "hint": "look at /v1/devices/mx1/capabilities",
            "change_id": "01C", "operation_id": "01C", "confirmed_commit_id": "01D",
            "errors": [{"pointer": "/rpc", "detail": "the device refuses get-no-such-thing"},
                       {"pointer": "/x", "detail": "is wrong"}],
            "rpc_errors": [{"error_tag": "operation-failed", "error_message": "\nsyntax error\u{7}\n",
                            "bad_element": "get-no-such-thing", "member": "re0"}],
            "retry_after_seconds": 3
        }))
        .unwrap();
        let expected = "error: unknown-element: the device refuses get-no-such-thing\n  device: mx1\n  \
                        outcome: not_applied\n  change: 01C\n  confirmed commit: 01D\n  at: /rpc\n  \
                        at /x: is wrong\n  device says (re0): syntax error\u{fffd} \
                        [tag operation-failed, bad element get-no-such-thing]\n  try again in: 3 s\n  \
                        hint: look at /v1/devices/mx1/capabilities\n  request id: 01X\n";
        assert_eq!(problem.render(Format::Table), expected);
        assert!(
            problem
                .render(Format::Json)
                .starts_with("{\n  \"type\": \"/problems/unknown-element\",\n")
        );
        assert!(
            problem
                .render(Format::Yaml)
                .starts_with("type: /problems/unknown-element\n")
        );
    }
}
