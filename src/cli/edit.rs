//! What the commands that change configuration share: an edit, and how it is committed.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::exit::Failure;
use super::input;
use super::rpc::{arguments, raw};

/// One edit.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Edit")]
pub struct EditArgs {
    /// A file with the configuration: JSON, XML, Junos text or set lines, told apart by how it begins; '-' for standard
    /// input
    #[arg(value_name = "FILE", conflicts_with_all = ["url", "rollback", "rescue", "replace_pattern"])]
    file: Option<PathBuf>,
    /// json, xml, text, set or device_json, where the beginning of the file does not tell
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// merge, replace, override, update, set or none
    #[arg(long)]
    action: Option<String>,
    /// With --action replace: the part of the content that takes the place of what the device has there, such as
    /// system/login; with --replace-pattern: where to look
    #[arg(long)]
    path: Option<String>,
    /// Where the device fetches the configuration
    #[arg(long, conflicts_with_all = ["rollback", "rescue", "replace_pattern"])]
    url: Option<String>,
    /// Load an earlier configuration, 0 to 49
    #[arg(long, value_name = "N", conflicts_with_all = ["rescue", "replace_pattern"])]
    rollback: Option<u32>,
    /// Load the rescue configuration
    #[arg(long, conflicts_with = "replace_pattern")]
    rescue: bool,
    /// Replace what matches this regular expression in names and values
    #[arg(long, value_name = "REGEX", requires = "with")]
    replace_pattern: Option<String>,
    /// What to put in its place
    #[arg(long, value_name = "TEXT", requires = "replace_pattern")]
    with: Option<String>,
    /// The edit may replace the whole configuration
    #[arg(long)]
    whole_configuration: bool,
    /// In mode shared: an edit that takes the place of everything discards what others left in the candidate
    #[arg(long)]
    discard_others: bool,
    /// stop-on-error, continue-on-error or rollback-on-error
    #[arg(long, value_name = "WHAT")]
    error_option: Option<String>,
    /// test-then-set, set or test-only
    #[arg(long, value_name = "WHAT")]
    test_option: Option<String>,
    /// junos or rfc: which operation edits
    #[arg(long)]
    protocol: Option<String>,
}

/// An edit as the API takes it.
#[derive(Debug, Serialize)]
pub struct Edit {
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// JSON as it was written: order, repeated names and digits matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rescue: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    replace_pattern: Option<ReplacePattern>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    whole_configuration: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    discard_others: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_option: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_option: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
}

#[derive(Debug, Serialize)]
struct ReplacePattern {
    pattern: String,
    with: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

impl EditArgs {
    /// Whether anything of an edit was given.
    pub fn is_empty(&self) -> bool {
        self.file.is_none()
            && self.url.is_none()
            && self.rollback.is_none()
            && !self.rescue
            && self.replace_pattern.is_none()
    }

    /// The edit, its file read.
    ///
    /// # Errors
    /// [`Failure::Usage`]: nothing to edit with, a file that cannot be read or is not what its format says.
    pub fn edit(&self) -> Result<Edit, Failure> {
        if self.is_empty() {
            return Err(Failure::Usage(
                "an edit needs a file, --url, --rollback, --rescue or --replace-pattern".to_owned(),
            ));
        }
        let mut format = self.format.clone();
        let config = match &self.file {
            None => None,
            Some(file) => {
                let text = input::read(file)?;
                let found = format.get_or_insert_with(|| guess(&text).to_owned());
                Some(content(&text, found, file)?)
            }
        };
        let replace_pattern = self
            .replace_pattern
            .clone()
            .zip(self.with.clone())
            .map(|(pattern, with)| ReplacePattern {
                pattern,
                with,
                path: self.path.clone(),
            });
        Ok(Edit {
            action: self.action.clone(),
            format,
            path: self.path.clone().filter(|_| replace_pattern.is_none()),
            config,
            url: self.url.clone(),
            rollback: self.rollback,
            rescue: self.rescue,
            replace_pattern,
            whole_configuration: self.whole_configuration,
            discard_others: self.discard_others,
            error_option: self.error_option.clone(),
            test_option: self.test_option.clone(),
            protocol: self.protocol.clone(),
        })
    }
}

/// What a configuration is, by its beginning.
fn guess(text: &str) -> &'static str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // What the device saves begins with a remark on who changed it, in either format.
    let mut lines = text.lines().map(str::trim_start);
    let text = lines
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .unwrap_or_default();
    // The words that set-format lines begin with (Junos CLI, "Loading a Configuration File").
    const VERBS: [&str; 13] = [
        "set ",
        "delete ",
        "deactivate ",
        "activate ",
        "protect ",
        "unprotect ",
        "insert ",
        "rename ",
        "copy ",
        "annotate ",
        "replace pattern ",
        "edit ",
        "top",
    ];
    if text.starts_with('<') {
        "xml"
    } else if text.starts_with(['{', '[']) {
        "json"
    } else if VERBS.iter().any(|verb| text.starts_with(verb)) {
        "set"
    } else {
        "text"
    }
}

/// The content as a member of a JSON body: JSON itself, anything else as a string.
fn content(text: &str, format: &str, file: &std::path::Path) -> Result<Box<RawValue>, Failure> {
    let json = if format == "json" {
        text.trim().to_owned()
    } else {
        Value::from(text).to_string()
    };
    RawValue::from_string(json)
        .map_err(|error| Failure::Usage(format!("{} is not JSON: {error}", file.display())))
}

/// How a commit is done.
#[derive(Debug, Default, Serialize, clap::Args)]
#[command(next_help_heading = "Commit")]
pub struct CommitArgs {
    /// For the commit log of the device
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    /// On both routing engines
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    synchronize: bool,
    /// On both routing engines, even if the other one has changes of its own
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    force_synchronize: bool,
    /// Evaluate everything, not only what changed
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    full: bool,
    /// Whether running is copied to startup afterwards; by default where there is a startup datastore
    #[arg(long, value_name = "true|false")]
    #[serde(skip_serializing_if = "Option::is_none")]
    save: Option<bool>,
    /// The device undoes the commit unless it is confirmed within this time
    #[arg(long = "confirm-timeout", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm_timeout_seconds: Option<u64>,
    /// Also when somebody else's confirmed commit is pending, which this one confirms; admins only
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    confirm_others: bool,
}

/// What confirms or cancels a commit that has to be confirmed.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Probe")]
pub struct ProbeArgs {
    /// With --confirm-timeout: confirm when this RPC shows what is expected, cancel when it does not in time. A request tag,
    /// such as get-interface-information, or a whole operation as a JSON object
    #[arg(long, value_name = "RPC")]
    probe_rpc: Option<String>,
    /// An argument of the RPC: name=value, or a name alone for an empty element; may be given several times
    #[arg(long, value_name = "ARGUMENT", requires = "probe_rpc")]
    probe_argument: Vec<String>,
    /// What its JSON has to hold: POINTER=TEXT, or POINTER:=JSON, such as
    /// /interface-information/physical-interface/0/oper-status=up; may be given several times
    #[arg(long, value_name = "EXPECTATION", requires = "probe_rpc", value_parser = expectation)]
    probe_expect: Vec<Expectation>,
    /// How long after the commit it is sent first; 5 unless told
    #[arg(long, value_name = "SECONDS", requires = "probe_rpc")]
    probe_delay: Option<u64>,
    /// How long after an attempt the next one is made; 5 unless told
    #[arg(long, value_name = "SECONDS", requires = "probe_rpc")]
    probe_interval: Option<u64>,
    /// How long after the first attempt the last one is made; 30 unless told
    #[arg(long, value_name = "SECONDS", requires = "probe_rpc")]
    probe_give_up: Option<u64>,
}

/// What a place of a reply has to hold.
#[derive(Debug, Clone, Serialize)]
struct Expectation {
    pointer: String,
    /// JSON as it was written.
    equals: Box<RawValue>,
}

/// A probe as the API takes it.
#[derive(Debug, Serialize)]
pub struct Probe<'a> {
    /// JSON as it was written: order, repeated names and digits are for the gateway to judge.
    rpc: Box<RawValue>,
    expect: &'a [Expectation],
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    give_up_seconds: Option<u64>,
}

impl ProbeArgs {
    /// The probe, if there is one.
    ///
    /// # Errors
    /// [`Failure::Usage`]: what begins like a JSON object is none, or has arguments beside it.
    pub fn probe(&self) -> Result<Option<Probe<'_>>, Failure> {
        let Some(rpc) = &self.probe_rpc else {
            return Ok(None);
        };
        let rpc = if rpc.trim_start().starts_with('{') {
            if !self.probe_argument.is_empty() {
                let detail = "--probe-argument goes with the name of an RPC only";
                return Err(Failure::Usage(detail.to_owned()));
            }
            serde_json::from_str(rpc)
                .map_err(|error| Failure::Usage(format!("--probe-rpc is not JSON: {error}")))?
        } else {
            raw(&json!({ rpc.as_str(): arguments(&self.probe_argument) }))?
        };
        Ok(Some(Probe {
            rpc,
            expect: &self.probe_expect,
            delay_seconds: self.probe_delay,
            interval_seconds: self.probe_interval,
            give_up_seconds: self.probe_give_up,
        }))
    }
}

/// `POINTER=TEXT`, `POINTER:=JSON`
fn expectation(text: &str) -> Result<Expectation, String> {
    let (pointer, value) = text.split_once('=').ok_or("no = in it")?;
    let (pointer, equals) = match pointer.strip_suffix(':') {
        Some(pointer) => {
            let json = serde_json::from_str(value).map_err(|error| format!("not JSON after :=: {error}"))?;
            (pointer, json)
        }
        None => (
            pointer,
            raw(&Value::from(value)).map_err(|failure| failure.to_string())?,
        ),
    };
    Ok(Expectation {
        pointer: pointer.to_owned(),
        equals,
    })
}

/// A body of the API.
///
/// # Errors
/// None in practice: the types hold strings, numbers and JSON that was parsed.
pub fn body(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(|error| Failure::Usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S12: what a file is shows in how it begins.
    #[test]
    fn formats_are_told_by_their_beginning() {
        assert_eq!(guess("\n <configuration/>"), "xml");
        assert_eq!(guess("{\"system\": {}}"), "json");
        assert_eq!(guess("set system host-name a"), "set");
        assert_eq!(guess("delete interfaces"), "set");
        assert_eq!(
            guess("\u{feff}## Last changed\n\n  # by hand\nset snmp contact a"),
            "set"
        );
        assert_eq!(guess("replace pattern a with b"), "set");
        assert_eq!(
            guess("## Last changed\nversion 21.4;\nreplace: system {\n}"),
            "text"
        );
        assert_eq!(guess("[1]"), "json");
        assert_eq!(guess("# nothing\n"), "text");
        assert_eq!(guess("system {\n host-name a;\n}"), "text");
    }

    /// S31: text unless it is said to be JSON; what is behind the first = is the value.
    #[test]
    fn expectations_are_text_or_json() {
        let read = |text: &str| expectation(text).map(|read| (read.pointer, read.equals.get().to_owned()));
        for (text, pointer, equals) in [
            ("/a/0=1", "/a/0", "\"1\""),
            ("/a=b=c", "/a", "\"b=c\""),
            ("/a:=null", "/a", "null"),
            ("/a:=[1.50, 1.5]", "/a", "[1.50, 1.5]"),
        ] {
            assert_eq!(read(text), Ok((pointer.to_owned(), equals.to_owned())));
        }
        assert!(read("/a").is_err());
        assert!(read("/a:=up").is_err());
    }

    /// S31: a name with arguments and a whole operation are the same.
    #[test]
    fn the_rpc_of_a_probe_is_named_or_whole() {
        let probe = |rpc: &str, arguments: &[&str]| {
            let args = ProbeArgs {
                probe_rpc: Some(rpc.to_owned()),
                probe_argument: arguments.iter().map(|text| (*text).to_owned()).collect(),
                ..ProbeArgs::default()
            };
            let probe = args
                .probe()
                .map(|probe| probe.map(|probe| probe.rpc.get().to_owned()));
            probe.map_err(|failure| failure.exit())
        };
        let expected = r#"{"get-x":{"name":"a","terse":null}}"#.to_owned();
        assert_eq!(probe("get-x", &["name=a", "terse"]), Ok(Some(expected.clone())));
        assert_eq!(probe(&expected, &[]), Ok(Some(expected)));
        let written = r#"{"get-x": {"b": 1.50, "a": 18446744073709551616, "b": 2}}"#.to_owned();
        assert_eq!(probe(&written, &[]), Ok(Some(written)));
        assert!(probe("{\"a\": 1}", &["b"]).is_err());
        assert!(probe("{", &[]).is_err());
        assert!(ProbeArgs::default().probe().is_ok_and(|probe| probe.is_none()));
    }

    /// W1, W2: digits and repeated names reach the gateway as they were written.
    #[test]
    fn json_content_stays_as_written() {
        let file = std::path::Path::new("x");
        let text = r#"{"b": 1.50, "a": 18446744073709551616, "b": 2}"#;
        assert_eq!(content(text, "json", file).unwrap().get(), text);
        assert_eq!(content("a\"b\n", "text", file).unwrap().get(), r#""a\"b\n""#);
        assert!(content("{", "json", file).is_err());
    }
}
