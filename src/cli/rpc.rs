//! `ncgate rpc`, `ncgate batch` and `ncgate cli`.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use ureq::http::Method;

use super::client::{ClientArgs, Request};
use super::device::show;
use super::exit::{Exit, Failure};
use super::{edit, input, output};

/// How a reply is to be returned.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Reply")]
pub struct ReplyArgs {
    /// What to ask of the device: json, xml, text, set or device_json
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// The rules from XML to JSON: ncj or junos
    #[arg(long, value_name = "MAPPING")]
    pub mapping: Option<String>,
    /// hints, all, or elements that are always lists, with commas between
    #[arg(long, value_name = "WHICH")]
    pub arrays: Option<String>,
    /// trimmed or exact
    #[arg(long, value_name = "HOW")]
    pub text: Option<String>,
    /// off or on: whether namespaces are kept
    #[arg(long, value_name = "ON|OFF")]
    pub ns: Option<String>,
    /// The version of the list table
    #[arg(long, value_name = "VERSION")]
    pub hints: Option<String>,
    /// discard or keep data that stands beside an error
    #[arg(long, value_name = "HOW")]
    pub partial: Option<String>,
}

impl ReplyArgs {
    /// `format`: what to ask for unless told.
    pub(super) fn apply(&self, mut request: Request, format: Option<&str>) -> Request {
        let options = [
            ("format", self.format.as_deref().or(format)),
            ("mapping", self.mapping.as_deref()),
            ("arrays", self.arrays.as_deref()),
            ("text", self.text.as_deref()),
            ("ns", self.ns.as_deref()),
            ("hints", self.hints.as_deref()),
            ("partial", self.partial.as_deref()),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                request = request.query(name, value);
            }
        }
        request
    }
}

/// `ncgate rpc`
#[derive(Debug, clap::Args)]
pub struct RpcArgs {
    /// The device
    device: String,
    /// The request tag, such as get-interface-information
    #[arg(required_unless_present = "body")]
    name: Option<String>,
    /// Arguments: name=value, or a name alone for an empty element; one given twice is a list
    #[arg(value_name = "ARGUMENT")]
    arguments: Vec<String>,
    /// A file with the whole operation, as JSON or as XML; '-' for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    body: Option<PathBuf>,
    /// A further attribute of the rpc element, which the device returns; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = input::pair)]
    attribute: Vec<(String, String)>,
    /// Show the XML that would be sent, and send nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    reply: ReplyArgs,
    #[command(flatten)]
    client: ClientArgs,
}

impl RpcArgs {
    /// # Errors
    /// [`Failure`]
    pub fn run(&self) -> Result<Exit, Failure> {
        let answer = self.client.send(self.request()?)?;
        output::reply(self.client.output, answer)
    }

    fn request(&self) -> Result<Request, Failure> {
        let request = Request::new(Method::POST, &["devices", &self.device, "rpc"]);
        let mut request = self.reply.apply(request, None);
        if self.plan {
            request = request.query("plan", "true");
        }
        let rpc = match (&self.body, &self.name) {
            (Some(path), _) => {
                let text = input::read(path)?;
                if text.trim_start().starts_with('<') {
                    if !self.attribute.is_empty() {
                        return Err(Failure::Usage(
                            "--attribute goes with a JSON body only".to_owned(),
                        ));
                    }
                    return Ok(request.body("application/xml", text.as_bytes().to_vec()));
                }
                as_written(&text, path)?
            }
            (None, Some(name)) => raw(&json!({ name.as_str(): arguments(&self.arguments) }))?,
            (None, None) => {
                return Err(Failure::Usage(
                    "the name of an RPC is needed, or --body".to_owned(),
                ));
            }
        };
        let body = Body {
            rpc,
            attributes: &self.attribute,
        };
        Ok(request.body("application/json", edit::body(&body)?))
    }
}

/// The body of one RPC.
#[derive(Serialize)]
struct Body<'a> {
    /// JSON as it was written: order, repeated names and digits are for the gateway to judge.
    rpc: Box<RawValue>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "members")]
    attributes: &'a [(String, String)],
}

/// An object, in which a name that was given twice stands twice.
fn members<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// `name=value` is an element with text, `name` an empty one, and a name given twice a list of both.
pub(super) fn arguments(arguments: &[String]) -> Value {
    let mut members = Map::new();
    for argument in arguments {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Value::from(value)),
            None => (argument.as_str(), Value::Null),
        };
        match members.get_mut(name) {
            None => {
                members.insert(name.to_owned(), value);
            }
            Some(Value::Array(items)) => items.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    if members.is_empty() {
        Value::Null
    } else {
        Value::Object(members)
    }
}

/// `ncgate batch`
#[derive(Debug, clap::Args)]
pub struct BatchArgs {
    /// The device
    device: String,
    /// Request tags without arguments
    #[arg(value_name = "NAME", required_unless_present = "body")]
    names: Vec<String>,
    /// A file with a JSON array of operations, such as [{"get-chassis-inventory": null}]; '-' for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "names")]
    body: Option<PathBuf>,
    /// What to do when one of them fails: stop or continue
    #[arg(long, value_name = "WHAT", default_value = "stop")]
    on_error: String,
    #[command(flatten)]
    reply: ReplyArgs,
    #[command(flatten)]
    client: ClientArgs,
}

impl BatchArgs {
    /// # Errors
    /// [`Failure`]
    pub fn run(&self) -> Result<Exit, Failure> {
        let answer = self.client.send(self.request()?)?;
        output::batch(self.client.output, answer)
    }

    fn request(&self) -> Result<Request, Failure> {
        let operations: Vec<Box<RawValue>> = match &self.body {
            None => self
                .names
                .iter()
                .map(|name| raw(&json!({ name.as_str(): null })))
                .collect::<Result<_, _>>()?,
            Some(path) => {
                let array = as_written(&input::read(path)?, path)?;
                serde_json::from_str(array.get())
                    .map_err(|_| Failure::Usage("--body must hold a JSON array".to_owned()))?
            }
        };
        let rpcs: Vec<Body<'_>> = operations
            .into_iter()
            .map(|rpc| Body { rpc, attributes: &[] })
            .collect();
        let body = edit::body(&Batch {
            rpcs,
            on_error: &self.on_error,
        })?;
        let request = Request::new(Method::POST, &["devices", &self.device, "rpc"]);
        Ok(self.reply.apply(request, None).body("application/json", body))
    }
}

/// The body of several RPCs.
#[derive(Serialize)]
struct Batch<'a> {
    rpcs: Vec<Body<'a>>,
    on_error: &'a str,
}

/// `ncgate cli`
#[derive(Debug, clap::Args)]
pub struct CliArgs {
    /// The device
    device: String,
    /// The command, such as 'show version'
    command: String,
    /// Show which RPC the command maps to, instead of running it
    #[arg(long, conflicts_with = "plan")]
    rpc: bool,
    /// Show the XML that would be sent, and send nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    reply: ReplyArgs,
    #[command(flatten)]
    client: ClientArgs,
}

impl CliArgs {
    /// # Errors
    /// [`Failure`]
    pub fn run(&self) -> Result<Exit, Failure> {
        if self.rpc {
            let request = Request::new(Method::GET, &["devices", &self.device, "cli", "rpc"]);
            return show(&self.client, request.query("command", &self.command), None);
        }
        let answer = self.client.send(self.request())?;
        output::reply(self.client.output, answer)
    }

    fn request(&self) -> Request {
        let request = Request::new(Method::POST, &["devices", &self.device, "cli"]);
        // Whoever types a command wants to read what it prints.
        let mut request = self.reply.apply(request, Some("text"));
        if self.plan {
            request = request.query("plan", "true");
        }
        request.body(
            "application/json",
            json!({"command": self.command}).to_string().into_bytes(),
        )
    }
}

/// JSON with its order, repeated names and digits.
pub(super) fn as_written(text: &str, path: &Path) -> Result<Box<RawValue>, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::Usage(format!("{} is not JSON: {error}", path.display())))
}

/// JSON that was made of arguments.
pub(super) fn raw(value: &Value) -> Result<Box<RawValue>, Failure> {
    to_raw_value(value).map_err(|error| Failure::Usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_json() {
        let given = ["interface-name=ge-0/0/0", "terse", "x=1", "x", "x=a=b"].map(str::to_owned);
        let expected = json!({"interface-name": "ge-0/0/0", "terse": null, "x": ["1", null, "a=b"]});
        assert_eq!(arguments(&given), expected);
        assert_eq!(arguments(&[]), Value::Null);
    }
}
