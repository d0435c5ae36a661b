//! The Junos operations that read the configuration: `get-configuration` with all its options, rollback and rescue
//! information.

use super::{Answer, Format, Outcome, Request, Show, output};
use crate::emulator::config::compare::compare;
use crate::emulator::config::difference::difference;
use crate::emulator::config::groups::inherit;
use crate::emulator::config::render::{XmlOptions, json, tags};
use crate::emulator::config::select::{SelectError, select};
use crate::emulator::config::{Database, Node, Revision, set, text};
use crate::emulator::device_error::DeviceError;
use crate::emulator::markup::Tag;
use crate::emulator::when::date_time;
use crate::xml::tree::Element;

pub(super) const ROLLBACK: Show = Show {
    name: "get-rollback-information",
    arguments: &["rollback", "compare", "format"],
    run: rollback_information,
    text: text_of,
};

pub(super) const REVISION: Show = Show {
    name: "get-configuration-by-revision",
    arguments: &["configuration-revision"],
    run: configuration_by_revision,
    text: text_of,
};

pub(super) const RESCUE: Show = Show {
    name: "get-rescue-information",
    arguments: &["format"],
    run: rescue_information,
    text: text_of,
};

/// The group that holds what a device assumes.
const DEFAULTS: &str = "junos-defaults";

/// Attributes of `get-configuration` with the values they may have; those with a free value are not listed.
const CHOICES: &[(&str, &[&str])] = &[
    ("database", &["candidate", "committed"]),
    (
        "format",
        &[
            "xml",
            "text",
            "ascii",
            "set",
            "json",
            "xml-minified",
            "json-minified",
        ],
    ),
    ("inherit", &["inherit", "defaults"]),
    ("groups", &["groups"]),
    ("interface-ranges", &["interface-ranges"]),
    ("changed", &["changed"]),
    ("commit-scripts", &["apply", "apply-no-transients", "view"]),
    ("compare", &["rollback", "configuration-revision"]),
    ("key", &["key"]),
    ("use-fast-diff", &["yes"]),
];
const FREE: &[&str] = &["rollback", "configuration-revision"];

/// `<get-configuration>`
pub(super) fn get_configuration(request: &Request<'_>) -> Outcome {
    check(request.operation)?;
    let attribute = |name: &str| request.operation.attribute(name);
    let rollback = attribute("rollback").map(rollback_number).transpose()?;
    if let Some(what) = attribute("compare") {
        return compared(request, what, rollback);
    }
    let database = match (rollback, attribute("database")) {
        (Some(number), _) => Database::Rollback(number),
        (None, Some("committed")) => Database::Committed,
        (None, _) => Database::Candidate,
    };
    let tree = request
        .seen(database)
        .ok_or_else(|| no_rollback(rollback.unwrap_or_default()))?;
    let mut tree = match attribute("inherit") {
        Some(_) => inherit(&tree, attribute("groups").is_some()),
        None => (*tree).clone(),
    };
    if attribute("inherit") == Some("defaults") {
        add_defaults(&mut tree, attribute("groups").is_some());
    }
    if let Some(filter) = request.operation.child("configuration") {
        tree = select(&tree, filter).map_err(refused)?;
    }
    let marks = match database {
        Database::Committed | Database::Startup | Database::Rollback(_) | Database::Rescue => {
            committed_marks(&request.device.running())
        }
        Database::Candidate => changed_marks(&request.device.running()),
    };
    Ok(shown(request, &tree, marks, attribute("format")))
}

/// The tree in the format asked for. Every format of the configuration has a wrapper of its own.
fn shown(request: &Request<'_>, tree: &Node, marks: Marks, format: Option<&str>) -> Answer {
    match format {
        Some("text" | "ascii") => Answer::Tags(vec![configuration_text(tree)]),
        Some("set") => Answer::Tags(vec![Tag::leaf(
            "configuration-set",
            format!("\n{}", set::render(tree)),
        )]),
        Some("json" | "json-minified") => Answer::Bare(format!("\n{}", json(tree, &marks))),
        _ => Answer::Tags(vec![configuration(request, tree, marks)]),
    }
}

type Marks = Vec<(&'static str, String)>;

/// Attributes of a configuration that was committed.
pub(super) fn committed_marks(running: &Revision) -> Marks {
    vec![
        ("junos:commit-seconds", running.seconds.to_string()),
        ("junos:commit-localtime", date_time(running.seconds)),
        ("junos:commit-user", running.user.clone()),
    ]
}

/// Attributes of the candidate.
pub(super) fn changed_marks(running: &Revision) -> Marks {
    vec![
        ("junos:changed-seconds", running.seconds.to_string()),
        ("junos:changed-localtime", date_time(running.seconds)),
    ]
}

/// `<configuration>` with its namespace and attributes.
pub(super) fn configuration(request: &Request<'_>, tree: &Node, marks: Marks) -> Tag {
    let keys = request.operation.attribute("key").is_some();
    let namespace = request.device.profile.configuration_namespace();
    let mut tag = Tag::parent("configuration", tags(tree, XmlOptions { keys })).with("xmlns", namespace);
    for (name, value) in marks {
        tag = tag.with(name, value);
    }
    tag
}

fn configuration_text(tree: &Node) -> Tag {
    Tag::leaf("configuration-text", format!("\n{}", text::render(tree)))
}

/// Attributes and children must be what the operation knows.
fn check(operation: &Element) -> Result<(), DeviceError> {
    for attribute in &operation.attributes {
        let name = attribute.local.as_str();
        match CHOICES.iter().find(|(known, _)| *known == name) {
            Some((_, values)) if values.contains(&attribute.value.as_str()) => {}
            None if FREE.contains(&name) => {}
            Some(_) | None => {
                let text = format!("invalid value '{}' for attribute {name}", attribute.value);
                return Err(DeviceError::new(text).element(name));
            }
        }
    }
    match operation.children().find(|child| child.local != "configuration") {
        Some(child) => Err(DeviceError::syntax(child.local.clone())),
        None => Ok(()),
    }
}

fn refused(error: SelectError) -> DeviceError {
    match error {
        SelectError::Unknown(name) => DeviceError::syntax(name),
        SelectError::Value(value) => DeviceError::new(format!("invalid value '{value}'")),
    }
}

pub(super) fn rollback_number(value: &str) -> Result<usize, DeviceError> {
    match value.trim().parse() {
        Ok(number) if number < crate::emulator::config::HISTORY => Ok(number),
        Ok(_) | Err(_) => {
            Err(DeviceError::new(format!("invalid rollback number '{value}' (0..49)")).element("rollback"))
        }
    }
}

pub(super) fn no_rollback(number: usize) -> DeviceError {
    DeviceError::new(format!("rollback {number} not found")).element("rollback")
}

/// `compare="rollback"` and `compare="configuration-revision"`: the candidate against a configuration committed
/// before.
fn compared(request: &Request<'_>, what: &str, rollback: Option<usize>) -> Outcome {
    let device = request.device;
    let other = if what == "rollback" {
        let number = rollback.unwrap_or_default();
        request
            .seen(Database::Rollback(number))
            .ok_or_else(|| no_rollback(number))?
    } else {
        let identifier = request
            .operation
            .attribute("configuration-revision")
            .unwrap_or_default();
        device
            .revision(identifier)
            .ok_or_else(|| no_revision(identifier))?
            .tree
    };
    let base = match request.operation.attribute("database") {
        Some("committed") => Database::Committed,
        _ => Database::Candidate,
    };
    let base = request.seen(base).unwrap_or_default();
    let format = request.operation.attribute("format");
    Ok(match format {
        Some("xml" | "xml-minified" | "json" | "json-minified") => {
            shown(request, &difference(&other, &base), Vec::new(), format)
        }
        Some(_) | None => Answer::Tags(vec![patch(&other, &base)]),
    })
}

fn no_revision(identifier: &str) -> DeviceError {
    DeviceError::new(format!("configuration revision '{identifier}' not found"))
        .element("configuration-revision")
}

fn patch(old: &Node, new: &Node) -> Tag {
    let output = Tag::leaf("configuration-output", format!("\n{}", compare(old, new)));
    Tag::parent("configuration-information", vec![output])
}

/// What a device assumes for what is not configured: two statements stand for all of them.
fn add_defaults(tree: &mut Node, mark: bool) {
    let mut defaults = Node::root();
    let commands =
        "set system services ssh protocol-version v2\nset system services ssh root-login deny-password";
    // The commands are of this file and hold to the table; the test below applies them.
    if set::apply(&mut defaults, commands).is_err() {
        return;
    }
    for child in &defaults.children {
        complete(tree, child, mark);
    }
}

/// Puts `default` where `tree` says nothing. Leaves that are set keep their value.
fn complete(tree: &mut Node, default: &Node, mark: bool) {
    let present = tree
        .children
        .iter_mut()
        .find(|child| child.statement.name == default.statement.name);
    match present {
        Some(child) => {
            for inner in &default.children {
                complete(child, inner, mark);
            }
        }
        None => {
            let mut copy = default.clone();
            if mark {
                copy.marks.push(("junos:group", DEFAULTS.to_owned()));
            }
            tree.insert(copy);
        }
    }
}

/// `<get-rollback-information>`: a configuration committed before, or the difference of two.
fn rollback_information(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let number = |name: &str| {
        request
            .argument(name)
            .map(|value| rollback_number(&value))
            .transpose()
    };
    let tree = |number: usize| {
        request
            .device
            .tree(Database::Rollback(number))
            .ok_or_else(|| no_rollback(number))
    };
    let rollback = number("rollback")?.unwrap_or_default();
    let shown = match number("compare")? {
        // The one named by `rollback` is the base, whatever their order.
        Some(other) => patch(&*tree(rollback)?, &*tree(other)?),
        None => stored(request, &*tree(rollback)?)?,
    };
    Ok(vec![Tag::parent(
        "rollback-information",
        vec![success(request), shown],
    )])
}

/// `<get-rescue-information>`
fn rescue_information(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let tree = request.device.tree(Database::Rescue);
    let tree = tree.ok_or_else(|| DeviceError::new("error: No rescue configuration is set."))?;
    Ok(vec![Tag::parent(
        "rescue-information",
        vec![success(request), stored(request, &tree)?],
    )])
}

/// `<get-configuration-by-revision>`
fn configuration_by_revision(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let identifier = request.argument("configuration-revision").unwrap_or_default();
    let revision = request
        .device
        .revision(&identifier)
        .ok_or_else(|| no_revision(&identifier))?;
    Ok(vec![configuration(
        request,
        &revision.tree,
        committed_marks(&revision),
    )])
}

/// The mark of success that stands first inside, without a meaning of its own.
fn success(request: &Request<'_>) -> Tag {
    Tag::empty(request.device.profile.netconf_name("ok"))
}

/// A stored configuration, in the form that the argument `format` asks for.
fn stored(request: &Request<'_>, tree: &Node) -> Result<Tag, DeviceError> {
    match request.argument("format").as_deref() {
        None | Some("xml") => Ok(configuration(request, tree, Vec::new())),
        Some("text") => {
            let output = Tag::leaf("configuration-output", format!("\n{}", text::render(tree)));
            Ok(Tag::parent("configuration-information", vec![output]))
        }
        Some("set") => Ok(Tag::leaf("configuration-set", format!("\n{}", set::render(tree)))),
        Some(other) => Err(DeviceError::new(format!("invalid value '{other}'")).element("format")),
    }
}

/// What the CLI prints of the operations of this file: the text inside, whatever wraps it.
fn text_of(tags: &[Tag]) -> String {
    let inner = tags.iter().flat_map(|tag| tag.tags().iter().chain([tag]));
    let texts = inner.filter_map(|tag| match tag.local() {
        "configuration-information" => Some(format!("{}\n", tag.child_text("configuration-output"))),
        "configuration-set" => Some(format!("{}\n", tag.text())),
        _ => None,
    });
    texts.collect()
}

/// `show configuration [hierarchy] [| display …]` and `| compare rollback N`, for the CLI.
pub(super) fn show_configuration(
    request: &Request<'_>,
    path: &[String],
    display: Option<&str>,
    inherited: bool,
    format: Format,
) -> Outcome {
    let tree = request.device.tree(Database::Committed).unwrap_or_default();
    let whole = if inherited {
        inherit(&tree, false)
    } else {
        (*tree).clone()
    };
    let marks = committed_marks(&request.device.running());
    let (tree, level) = below(&whole, path)?;
    Ok(match (display, format) {
        (Some("set"), _) => Answer::Tags(vec![output(set::render(&tree))]),
        (Some("xml"), _) | (None, Format::Xml) => Answer::Tags(vec![configuration(request, &tree, marks)]),
        (Some("json"), _) | (None, Format::Json) => Answer::Bare(format!("\n{}", json(&tree, &marks))),
        (_, Format::Text) | (Some(_), _) => Answer::Tags(vec![output(text::render(&level))]),
    })
}

/// The difference that `show configuration | compare rollback N` prints.
pub(super) fn show_compare(request: &Request<'_>, number: &str, format: Format) -> Outcome {
    let number = rollback_number(number)?;
    let other = request
        .device
        .tree(Database::Rollback(number))
        .ok_or_else(|| no_rollback(number))?;
    let running = request.device.tree(Database::Committed).unwrap_or_default();
    let tag = match format {
        Format::Text => output(compare(&other, &running)),
        Format::Xml | Format::Json => patch(&other, &running),
    };
    Ok(Answer::Tags(vec![tag]))
}

/// The part of the configuration at a path of words, twice: from the root down, and the level itself.
fn below(root: &Node, path: &[String]) -> Result<(Node, Node), DeviceError> {
    let Some((word, rest)) = path.split_first() else {
        return Ok((root.clone(), root.clone()));
    };
    let mut found = root.shallow();
    let mut level = root.shallow();
    let statement = root.statement;
    let known = statement.child(word).is_some()
        || statement
            .children()
            .iter()
            .any(|child| child.style == crate::emulator::config::schema::Style::Unnamed);
    if !known {
        return Err(DeviceError::syntax(word.clone()));
    }
    for child in &root.children {
        let words = child.words();
        let fits = path
            .iter()
            .map(String::as_str)
            .take(words.len())
            .eq(words.iter().copied());
        let all_entries = rest.is_empty() && child.statement.name == word;
        if fits || all_entries {
            let skip = if fits { words.len() } else { 1 };
            let (part, inner) = below(child, &path[skip..])?;
            level = if all_entries && !fits {
                level.children.push(inner);
                level
            } else if child.statement.holds_statements() {
                inner
            } else {
                level.children.push(child.clone());
                level
            };
            found.children.push(part);
        }
    }
    Ok((found, level))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured() -> Node {
        let mut root = Node::root();
        let commands = "set system host-name mx1\nset interfaces ge-0/0/0 unit 0 description x\nset interfaces lo0 unit 0";
        set::apply(&mut root, commands).unwrap();
        root
    }

    #[test]
    fn a_path_of_words_leads_to_its_level() {
        let path = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (part, level) = below(&configured(), &path("interfaces ge-0/0/0 unit 0")).unwrap();
        assert_eq!(
            set::render(&part),
            "set interfaces ge-0/0/0 unit 0 description x\n"
        );
        assert_eq!(text::render(&level), "description x;\n");
        let (part, level) = below(&configured(), &path("system host-name")).unwrap();
        assert_eq!(set::render(&part), "set system host-name mx1\n");
        assert_eq!(text::render(&level), "host-name mx1;\n");
        assert_eq!(
            below(&configured(), &path("sistem")).unwrap_err(),
            DeviceError::syntax("sistem")
        );
    }

    /// S11: `inherit="defaults"` adds what the device assumes, and leaves alone what is configured.
    #[test]
    fn defaults_fill_what_is_not_configured() {
        let mut root = Node::root();
        set::apply(&mut root, "set system services ssh root-login allow").unwrap();
        add_defaults(&mut root, true);
        let ssh = root
            .child("system")
            .unwrap()
            .child("services")
            .unwrap()
            .child("ssh")
            .unwrap();
        assert_eq!(ssh.value(&["root-login"]), Some("allow"));
        let version = ssh.child("protocol-version").unwrap();
        assert_eq!(version.argument, "v2");
        assert_eq!(version.marks, [("junos:group", "junos-defaults".to_owned())]);
    }
}
