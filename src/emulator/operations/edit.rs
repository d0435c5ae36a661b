//! The operations of RFC 6241 that change a configuration without committing it.

use std::sync::Arc;

use super::netconf::{datastore, missing, writable};
use super::{Answer, Outcome, Request, told};
use crate::emulator::config::patch::{self, Act, Manner, Patch};
use crate::emulator::config::render::{XmlOptions, tags};
use crate::emulator::config::{Database, Node, Store, patch_text, patch_xml, schema};
use crate::emulator::device_error::{DeviceError, Severity};
use crate::emulator::markup::Tag;
use crate::xml::Limits;
use crate::xml::tree::Element;

/// `<edit-config>` (RFC 6241 section 7.2)
pub(super) fn edit_config(request: &Request<'_>) -> Outcome {
    let store = datastore(request, "target")?;
    writable(request, store)?;
    let act = match request.argument("default-operation").as_deref() {
        None | Some("merge") => Act::Merge,
        Some("replace") => Act::Replace,
        Some("none") => Act::Touch,
        Some(other) => return Err(invalid("default-operation", other)),
    };
    let options = EditOptions::read(request)?;
    let (patches, mut problems) = data(request, act)?;
    let wrong = problems.iter().any(|problem| problem.severity == Severity::Error);
    if wrong && options.stops {
        return Ok(told(request, &problems));
    }
    let manner = Manner {
        replaces: true,
        lenient: request.device.profile.junos(),
        stops: options.stops,
    };
    let whole = act == Act::Replace;
    let edited = request.with_engine(|engine, now| {
        let change = |root: &mut Node| {
            let before = root.clone();
            if whole {
                root.clear();
            }
            let told = patch::apply(root, &patches, manner);
            let failed = told.iter().any(|problem| problem.severity == Severity::Error);
            if failed && options.rolls_back || options.test_only {
                *root = before;
            }
            told
        };
        if options.test || store == Store::Running {
            let mut tried = (*engine.source(request.caller.session, store)).clone();
            let told = change(&mut tried);
            let sound = told.iter().all(|problem| problem.severity == Severity::Warning);
            if sound && let Err(errors) = engine.validate(&tried) {
                return Ok(errors);
            }
        }
        match store {
            Store::Candidate => engine.edit(request.caller, now, change),
            Store::Running => engine.edit_running(request.caller, now, change),
            Store::Startup => {
                let mut tree = (*engine.source(request.caller.session, store)).clone();
                let told = change(&mut tree);
                engine.set_startup(request.caller, now, Arc::new(tree))?;
                Ok(told)
            }
        }
    });
    problems.extend(edited?.into_iter().map(|problem| request.wording(problem)));
    Ok(told(request, &problems))
}

/// `test-option` and `error-option`
struct EditOptions {
    /// Nothing is changed that would not be valid.
    test: bool,
    test_only: bool,
    /// What stands behind the first error is left alone.
    stops: bool,
    /// What stands before the first error is taken back.
    rolls_back: bool,
}

impl EditOptions {
    fn read(request: &Request<'_>) -> Result<Self, DeviceError> {
        let profile = request.device.profile;
        let test = request.argument("test-option");
        let offered = |capability: &str| profile.offers(capability);
        let (test, test_only) = match test.as_deref() {
            None | Some("set") => (false, false),
            Some("test-then-set") if offered(":validate:") => (true, false),
            Some("test-only") if offered(":validate:1.1") => (true, true),
            Some(other) => return Err(invalid("test-option", other)),
        };
        let error = request.argument("error-option");
        let (stops, rolls_back) = match error.as_deref() {
            // Junos goes on whatever the option says: what can be loaded is loaded.
            None => (!profile.junos(), false),
            Some("stop-on-error") => (true, false),
            Some("continue-on-error") => (false, false),
            Some("rollback-on-error") if offered(":rollback-on-error:") => (true, true),
            Some(other) => return Err(invalid("error-option", other)),
        };
        Ok(Self {
            test,
            test_only,
            stops,
            rolls_back,
        })
    }
}

/// What an edit consists of: `<config>`, what lies under `<url>`, or, on Junos, `<config-text>`.
fn data(request: &Request<'_>, act: Act) -> Result<(Vec<Patch>, Vec<DeviceError>), DeviceError> {
    let operation = request.operation;
    if let Some(config) = operation.child("config") {
        return read(request, config, act);
    }
    if let Some(text) = operation.path(&["config-text", "configuration-text"])
        && request.device.profile.junos()
    {
        return Ok(patch_text::patches(schema::root(), &text.text()));
    }
    let url = request.argument("url").ok_or_else(|| missing("config"))?;
    read(request, &fetch(request, &url)?, act)
}

/// What stands inside `<config>`, as patches.
fn read(
    request: &Request<'_>,
    config: &Element,
    act: Act,
) -> Result<(Vec<Patch>, Vec<DeviceError>), DeviceError> {
    let mut patches = Vec::new();
    let mut problems = Vec::new();
    for configuration in config.children() {
        if configuration.local != "configuration" {
            return Err(request.wording(DeviceError::syntax(configuration.local.clone())));
        }
        let (read, wrong) = patch_xml::patches(schema::root(), configuration, act);
        patches.extend(read);
        problems.extend(wrong.into_iter().map(|problem| request.wording(problem)));
    }
    Ok((patches, problems))
}

fn invalid(name: &str, value: &str) -> DeviceError {
    let error = DeviceError::new(format!("invalid value '{value}' for {name}"));
    error.tagged("protocol", "invalid-value").element(name)
}

/// The `<config>` that lies under a URL.
fn fetch(request: &Request<'_>, url: &str) -> Result<Element, DeviceError> {
    let text = super::load::file(request, url)?;
    let unreadable = |_| DeviceError::new(format!("{url} is no well-formed XML")).element("url");
    let root = Element::parse(&text, &Limits::default()).map_err(unreadable)?;
    if root.local == "config" {
        return Ok(root);
    }
    let mut config = Element::new("config");
    config.children.push(crate::xml::tree::Node::Element(root));
    Ok(config)
}

/// `<copy-config>` (RFC 6241 section 7.3)
pub(super) fn copy_config(request: &Request<'_>) -> Outcome {
    let source = request
        .operation
        .child("source")
        .and_then(|source| source.children().next())
        .ok_or_else(|| missing("source"))?;
    let (tree, problems) = match source.local.as_str() {
        "config" => built(request, source)?,
        "url" => built(request, &fetch(request, &source.text())?)?,
        _ => {
            let store = datastore(request, "source")?;
            (request.source(store), Vec::new())
        }
    };
    if !problems.is_empty() {
        return Ok(told(request, &problems));
    }
    let target = request
        .operation
        .child("target")
        .and_then(|target| target.children().next())
        .ok_or_else(|| missing("target"))?;
    if target.local == "url" && request.device.profile.offers(":url:") {
        let inner = tags(&tree, XmlOptions::default());
        let file = Tag::parent("configuration", inner).to_xml();
        request.device.put_file(target.text(), file);
        return Ok(Answer::Tags(vec![request.ok()]));
    }
    let store = datastore(request, "target")?;
    if source.local == target.local {
        let error = DeviceError::new("source and target are the same");
        return Err(error.tagged("protocol", "invalid-value").element("target"));
    }
    writable(request, store)?;
    put(request, store, &tree)
}

/// A whole configuration from what a client or a file says.
fn built(request: &Request<'_>, config: &Element) -> Result<(Arc<Node>, Vec<DeviceError>), DeviceError> {
    let (patches, mut problems) = read(request, config, Act::Merge)?;
    let mut tree = Node::root();
    problems.extend(patch::apply(&mut tree, &patches, Manner::REPLACE));
    Ok((Arc::new(tree), problems))
}

/// Puts a whole configuration into a datastore.
fn put(request: &Request<'_>, store: Store, tree: &Arc<Node>) -> Outcome {
    let whole = |root: &mut Node| *root = (**tree).clone();
    request.with_engine(|engine, now| match store {
        Store::Candidate => engine.edit(request.caller, now, whole),
        Store::Running => engine.edit_running(request.caller, now, whole),
        Store::Startup => engine.set_startup(request.caller, now, tree.clone()),
    })?;
    Ok(Answer::Tags(vec![request.ok()]))
}

/// `<delete-config>` (RFC 6241 section 7.4): never of what is running.
pub(super) fn delete_config(request: &Request<'_>) -> Outcome {
    let target = request
        .operation
        .child("target")
        .and_then(|target| target.children().next())
        .ok_or_else(|| missing("target"))?;
    if target.local == "url" {
        let url = target.text();
        if request.device.remove_file(&url) {
            return Ok(Answer::Tags(vec![request.ok()]));
        }
        return Err(super::load::no_file(&url));
    }
    match datastore(request, "target")? {
        Store::Candidate if request.device.profile.junos() => {
            put(request, Store::Candidate, &Arc::new(Node::root()))
        }
        Store::Startup => put(request, Store::Startup, &Arc::new(Node::root())),
        Store::Candidate | Store::Running => {
            let error = DeviceError::new(format!("{} cannot be deleted", target.local));
            Err(error
                .tagged("protocol", "invalid-value")
                .element(target.local.as_str()))
        }
    }
}

/// `<discard-changes>` (RFC 6241 section 8.3.4.2)
pub(super) fn discard_changes(request: &Request<'_>) -> Outcome {
    if !request.device.profile.has_candidate() {
        let error = DeviceError::new("operation discard-changes is not supported");
        return Err(error.tagged("protocol", "operation-not-supported"));
    }
    request.with_engine(|engine, now| engine.discard(request.caller, now))?;
    Ok(Answer::Tags(vec![request.ok()]))
}

/// `<validate>` (RFC 6241 section 8.6.4.1)
pub(super) fn validate(request: &Request<'_>) -> Outcome {
    if !request.device.profile.offers(":validate:") {
        let error = DeviceError::new("operation validate is not supported");
        return Err(error.tagged("protocol", "operation-not-supported"));
    }
    let source = request
        .operation
        .child("source")
        .and_then(|source| source.children().next());
    let mut store = None;
    let (tree, problems) = match source {
        Some(config) if config.local == "config" => built(request, config)?,
        Some(url) if url.local == "url" => built(request, &fetch(request, &url.text())?)?,
        Some(_) | None => {
            let named = datastore(request, "source")?;
            store = Some(named);
            (request.source(named), Vec::new())
        }
    };
    if !problems.is_empty() {
        return Ok(told(request, &problems));
    }
    let checked = request.with_engine(|engine, now| {
        let checked = engine.validate(&tree);
        if checked.is_ok() {
            engine.note_validated(request.caller, store, now);
        }
        checked
    });
    if checked.is_ok()
        && let Some(answer) = super::commit::validated(request)
    {
        return Ok(answer);
    }
    Ok(told(request, &checked.unwrap_or_else(|errors| errors)))
}

impl Request<'_> {
    /// What a datastore holds for this session.
    fn source(&self, store: Store) -> Arc<Node> {
        match store {
            Store::Candidate => self.device.candidate_of(self.caller.session),
            Store::Running => self.device.running().tree,
            Store::Startup => self.device.tree(Database::Startup).unwrap_or_default(),
        }
    }
}
