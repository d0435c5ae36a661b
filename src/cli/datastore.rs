//! `ncgate config copy|delete|validate|rescue`: whole configurations.

use std::path::PathBuf;

use serde_json::value::RawValue;
use ureq::http::Method;

use super::client::{ClientArgs, Request};
use super::edit;
use super::exit::Failure;
use super::input;
use super::rpc::ReplyArgs;

/// `ncgate config copy`
#[derive(Debug, clap::Args)]
pub struct CopyArgs {
    /// The device
    device: String,
    /// candidate, running, startup, or a URL; not needed with --config
    #[arg(required_unless_present = "config", conflicts_with = "config")]
    source: Option<String>,
    /// candidate, running, startup, or a URL
    #[arg(long, value_name = "TARGET")]
    to: String,
    /// A file with the configuration to copy, as JSON or XML; '-' for standard input
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Discard what others left in the candidate that is to go
    #[arg(long)]
    discard_others: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    pub(super) client: ClientArgs,
}

/// `ncgate config delete`
#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// The device
    device: String,
    /// candidate, startup, or a URL
    target: String,
    /// Discard what others left in the candidate that is to go
    #[arg(long)]
    discard_others: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    pub(super) client: ClientArgs,
}

/// `ncgate config validate`
#[derive(Debug, clap::Args)]
pub struct ValidateArgs {
    /// The device
    device: String,
    /// candidate, running, startup, or a URL; candidate unless given
    #[arg(conflicts_with = "config")]
    source: Option<String>,
    /// A file with the configuration to check, as JSON or XML; '-' for standard input
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Also when somebody else's confirmed commit is pending, which a check may confirm; admins only
    #[arg(long)]
    confirm_others: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    pub(super) client: ClientArgs,
}

/// `ncgate config rescue`
#[derive(Debug, clap::Args)]
pub struct RescueArgs {
    /// The device
    device: String,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    pub(super) client: ClientArgs,
}

/// How it is asked.
#[derive(Debug, clap::Args)]
struct How {
    /// Show the XML that would be sent, and send nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    reply: ReplyArgs,
}

impl How {
    fn request(&self, device: &str, action: &str) -> Request {
        let request = Request::new(Method::POST, &["devices", device, "config", action]);
        let request = self.reply.apply(request, None);
        if self.plan {
            request.query("plan", "true")
        } else {
            request
        }
    }
}

#[derive(serde::Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    discard_others: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    confirm_others: bool,
}

/// A datastore, or the URL that any other text is.
fn place(word: &str) -> Result<Box<RawValue>, Failure> {
    let value = if ["candidate", "running", "startup"].contains(&word) {
        serde_json::json!(word)
    } else {
        serde_json::json!({"url": word})
    };
    raw(value.to_string())
}

/// A configuration from a file; JSON stays as it was written.
fn config(file: &std::path::Path) -> Result<Box<RawValue>, Failure> {
    let text = input::read(file)?;
    let value = if text.trim_start().starts_with('<') {
        serde_json::Value::from(text.as_str()).to_string()
    } else {
        text.trim().to_owned()
    };
    raw(format!("{{\"config\":{value}}}"))
}

fn raw(json: String) -> Result<Box<RawValue>, Failure> {
    RawValue::from_string(json).map_err(|error| Failure::Usage(format!("not JSON: {error}")))
}

fn source(word: Option<&str>, file: Option<&std::path::Path>) -> Result<Option<Box<RawValue>>, Failure> {
    match (word, file) {
        (_, Some(file)) => config(file).map(Some),
        (Some(word), None) => place(word).map(Some),
        (None, None) => Ok(None),
    }
}

impl CopyArgs {
    pub(super) fn request(&self) -> Result<Request, Failure> {
        let body = Body {
            source: source(self.source.as_deref(), self.config.as_deref())?,
            target: Some(place(&self.to)?),
            discard_others: self.discard_others,
            confirm_others: false,
        };
        let request = self.how.request(&self.device, "copy");
        Ok(request.body("application/json", edit::body(&body)?))
    }
}

impl DeleteArgs {
    pub(super) fn request(&self) -> Result<Request, Failure> {
        let body = Body {
            source: None,
            target: Some(place(&self.target)?),
            discard_others: self.discard_others,
            confirm_others: false,
        };
        let request = self.how.request(&self.device, "delete");
        Ok(request.body("application/json", edit::body(&body)?))
    }
}

impl ValidateArgs {
    pub(super) fn request(&self) -> Result<Request, Failure> {
        let body = Body {
            source: source(self.source.as_deref(), self.config.as_deref())?,
            target: None,
            discard_others: false,
            confirm_others: self.confirm_others,
        };
        let request = self.how.request(&self.device, "validate");
        Ok(request.body("application/json", edit::body(&body)?))
    }
}

impl RescueArgs {
    pub(super) fn request(&self) -> Request {
        self.how.request(&self.device, "rescue")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S13
    #[test]
    fn places_are_datastores_or_urls() {
        assert_eq!(place("startup").unwrap().get(), r#""startup""#);
        assert_eq!(place("ftp://a/b").unwrap().get(), r#"{"url":"ftp://a/b"}"#);
    }
}
