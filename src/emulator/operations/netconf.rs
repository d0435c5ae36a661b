//! The operations of RFC 6241 that read: `get-config` and `get`.

use super::configuration::{changed_marks, committed_marks, configuration};
use super::{Answer, Outcome, Request};
use crate::emulator::config::{Database, Store};
use crate::emulator::device_error::DeviceError;
use crate::emulator::markup::Tag;
use crate::emulator::subtree;
use crate::emulator::when::date_time;

/// Namespace of RFC 6022.
pub(super) const MONITORING: &str = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring";

/// `<get-config>` (RFC 6241 section 7.1).
pub(super) fn get_config(request: &Request<'_>) -> Outcome {
    let store = datastore(request, "source")?;
    let running = request.device.running();
    let profile = request.device.profile;
    let (tree, marks) = match store {
        Store::Candidate => {
            let tree = request.device.candidate_of(request.caller.session);
            (tree, changed_marks(&running))
        }
        Store::Running => (running.tree.clone(), committed_marks(&running)),
        Store::Startup => {
            let tree = request.device.tree(Database::Startup);
            (tree.unwrap_or_default(), committed_marks(&running))
        }
    };
    let marks = if profile.junos() { marks } else { Vec::new() };
    let tags = vec![configuration(request, &tree, marks)];
    Ok(Answer::Tags(vec![data(request, filtered(request, tags)?)]))
}

/// `<get>` (RFC 6241 section 7.7): the running configuration and what state there is.
pub(super) fn get(request: &Request<'_>) -> Outcome {
    let device = request.device;
    let marks = if device.profile.junos() {
        committed_marks(&device.running())
    } else {
        Vec::new()
    };
    let tree = device.tree(Database::Committed).unwrap_or_default();
    let tags = vec![configuration(request, &tree, marks), netconf_state(request)];
    Ok(Answer::Tags(vec![data(request, filtered(request, tags)?)]))
}

/// The datastore that an argument such as `<target>` or `<source>` names, where the server has it.
pub(super) fn datastore(request: &Request<'_>, argument: &str) -> Result<Store, DeviceError> {
    let given = request.operation.child(argument);
    let given = given.and_then(|given| given.children().next());
    let given = given.ok_or_else(|| missing(argument))?;
    let profile = request.device.profile;
    let offered = |capability: &str| profile.offers(capability);
    match given.local.as_str() {
        "running" => Ok(Store::Running),
        "candidate" if offered(":candidate:") => Ok(Store::Candidate),
        "startup" if offered(":startup:") => Ok(Store::Startup),
        other if profile.junos() => Err(DeviceError::syntax(other)),
        other => {
            let error = DeviceError::new(format!("datastore {other} is not supported"));
            Err(error.tagged("protocol", "invalid-value").element(other))
        }
    }
}

/// Fails where this datastore is changed by commits alone (RFC 6241 section 8.2).
pub(super) fn writable(request: &Request<'_>, store: Store) -> Result<(), DeviceError> {
    let profile = request.device.profile;
    if store != Store::Running || profile.offers(":writable-running:") {
        return Ok(());
    }
    let error = DeviceError::new("running cannot be edited directly");
    Err(if profile.junos() {
        error.element("running")
    } else {
        error
            .tagged("protocol", "operation-not-supported")
            .element("running")
    })
}

pub(super) fn missing(element: &str) -> DeviceError {
    DeviceError::new(format!("missing mandatory element {element}"))
        .tagged("protocol", "missing-element")
        .element(element)
}

fn data(request: &Request<'_>, tags: Vec<Tag>) -> Tag {
    let profile = request.device.profile;
    // Junos leaves `<configuration>` in an empty answer unless it is rfc-compliant.
    let tags = if tags.is_empty() && !profile.rfc_compliant() {
        vec![Tag::empty("configuration")]
    } else {
        tags
    };
    Tag::parent(profile.netconf_name("data"), tags)
}

fn filtered(request: &Request<'_>, tags: Vec<Tag>) -> Result<Vec<Tag>, DeviceError> {
    let Some(filter) = request.operation.child("filter") else {
        return Ok(tags);
    };
    match filter.attribute("type") {
        None | Some("subtree") => Ok(subtree::filter(&tags, filter)),
        Some(other) => {
            let error = DeviceError::new(format!("filter type {other} is not supported"));
            Err(error.tagged("protocol", "bad-attribute").element("filter"))
        }
    }
}

/// The datastores that there are, with who has locked each (RFC 6022 section 2.1.2).
fn datastores(request: &Request<'_>) -> Vec<Tag> {
    let profile = request.device.profile;
    let all = [
        ("candidate", Store::Candidate, profile.has_candidate()),
        ("running", Store::Running, true),
        ("startup", Store::Startup, profile.offers(":startup:")),
    ];
    let there = all.into_iter().filter(|(_, _, there)| *there);
    let datastore = |(name, store, _)| {
        let mut tag = Tag::parent("datastore", vec![Tag::leaf("name", name)]);
        if let Some((holder, since)) = request.device.lock_held(store) {
            let lock = vec![
                Tag::leaf("locked-by-session", holder.session.to_string()),
                Tag::leaf("locked-time", rfc3339(since)),
            ];
            let lock = Tag::parent("global-lock", lock);
            tag.push(Tag::parent("locks", vec![lock]));
        }
        tag
    };
    there.map(datastore).collect()
}

/// `2026-01-15T12:00:00Z`
fn rfc3339(seconds: i64) -> String {
    date_time(seconds).replace(" UTC", "Z").replace(' ', "T")
}

/// What RFC 6022 says about a server, as far as a device tells: capabilities, locks, sessions and since when it is up.
fn netconf_state(request: &Request<'_>) -> Tag {
    let device = request.device;
    let capabilities = device
        .profile
        .capabilities()
        .into_iter()
        .map(|uri| Tag::leaf("capability", uri));
    let sessions = device.sessions();
    let sessions = sessions.iter().map(|(id, session)| {
        Tag::parent(
            "session",
            vec![
                Tag::leaf("session-id", id.to_string()),
                Tag::leaf("transport", "netconf-ssh"),
                Tag::leaf("username", session.user.clone()),
                Tag::leaf("source-host", session.from.clone()),
                Tag::leaf("login-time", rfc3339(session.since)),
            ],
        )
    });
    let mut tags = vec![
        Tag::parent("capabilities", capabilities.collect()),
        Tag::parent("datastores", datastores(request)),
    ];
    tags.extend(super::schemas::schemas(request));
    tags.push(Tag::parent("sessions", sessions.collect()));
    let started = Tag::leaf("netconf-start-time", rfc3339(device.booted()));
    tags.push(Tag::parent("statistics", vec![started]));
    Tag::parent("netconf-state", tags).with("xmlns", MONITORING)
}
