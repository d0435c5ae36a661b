//! A `Device` message as the JSON document that the inventory takes, whole or as a merge patch (RFC 7396). Both doors
//! thus have one reader of devices.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::proto;
use crate::error::Error;

/// The members that a mask may name, beside those below them.
const MEMBERS: &[&str] = &[
    "address",
    "port",
    "transport",
    "username",
    "auth",
    "host_key",
    "ssh_profile",
    "proxy_jump",
    "compatibility",
    "pool",
    "profile",
    "quirks",
    "partial",
    "credential_domain",
    "timeouts",
    "labels",
];

/// The document of a new device: what is not set is left out.
pub fn create(device: Option<proto::Device>) -> Result<String, Error> {
    let device = device.ok_or_else(|| Error::invalid("device", "is required"))?;
    let mut document = document(&device)?;
    document.insert("name".to_owned(), json!(device.name));
    let mut document = Value::Object(document);
    without_nulls(&mut document);
    Ok(document.to_string())
}

/// The merge patch for the paths of a mask: what is named and not set goes back to its default. `labels` are those of
/// the device as it is, because naming them replaces them all.
pub fn patch<'a>(
    device: &proto::Device,
    mask: Option<prost_types::FieldMask>,
    labels: impl Iterator<Item = &'a String>,
) -> Result<String, Error> {
    let paths: BTreeSet<String> = mask
        .map(|mask| mask.paths)
        .unwrap_or_default()
        .into_iter()
        .collect();
    if paths.is_empty() {
        return Err(Error::invalid("update_mask", "must name at least one path"));
    }
    let mut document = document(device)?;
    if let Some(Value::Object(new)) = document.get_mut("labels") {
        for name in labels {
            new.entry(name.clone()).or_insert(Value::Null);
        }
    }
    let document = Value::Object(document);
    if paths.contains("*") {
        return Ok(document.to_string());
    }
    // What can be named, whether its message is set or not.
    let all = Value::Object(self::document(&complete(device))?);
    let mut patch = Value::Object(Map::new());
    for path in &paths {
        // The name of a label may hold dots; every other path is made of member names.
        let steps: Vec<&str> = match path.strip_prefix("labels.") {
            Some(label) => vec!["labels", label],
            None => path.split('.').collect(),
        };
        let is_label = steps[0] == "labels" && steps.len() == 2;
        let known = MEMBERS.contains(&steps[0]) && (is_label || member(&all, &steps).is_some());
        if !known {
            let detail = format!("{path:?} is no path of a device that can change");
            return Err(Error::invalid("update_mask", detail));
        }
        let value = match device.labels.get(steps[steps.len() - 1]) {
            Some(label) if is_label => json!(label),
            None if is_label => Value::Null,
            Some(_) | None => member(&document, &steps).cloned().unwrap_or_default(),
        };
        put(&mut patch, &steps, value);
    }
    Ok(patch.to_string())
}

/// The member at the end of a path, if there is one.
fn member<'a>(document: &'a Value, steps: &[&str]) -> Option<&'a Value> {
    steps
        .iter()
        .try_fold(document, |value, step| value.as_object()?.get(*step))
}

/// The device with all of its messages set; what they hold is not set then.
fn complete(device: &proto::Device) -> proto::Device {
    let mut device = device.clone();
    device.auth.get_or_insert_default();
    device.host_key.get_or_insert_default();
    device.pool.get_or_insert_default();
    device.quirks.get_or_insert_default();
    device.timeouts.get_or_insert_default();
    let require = device
        .compatibility
        .get_or_insert_default()
        .require
        .get_or_insert_default();
    require.version.get_or_insert_default();
    device
}

fn put(patch: &mut Value, steps: &[&str], value: Value) {
    let (Some(members), [first, rest @ ..]) = (patch.as_object_mut(), steps) else {
        return;
    };
    if rest.is_empty() {
        members.insert((*first).to_owned(), value);
        return;
    }
    let below = members
        .entry((*first).to_owned())
        .or_insert_with(|| Value::Object(Map::new()));
    put(below, rest, value);
}

fn without_nulls(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_, member| {
            without_nulls(member);
            !member.is_null()
        });
    } else if let Value::Array(items) = value {
        items.iter_mut().for_each(without_nulls);
    }
}

/// Every member that can change, with null for what is not set. Members of proto3 without presence are not set when
/// they are empty or 0.
fn document(device: &proto::Device) -> Result<Map<String, Value>, Error> {
    let jumps = device
        .proxy_jump
        .iter()
        .enumerate()
        .map(|(at, hop)| jump(&format!("device.proxy_jump[{at}]"), hop))
        .collect::<Result<Vec<_>, _>>()?;
    let members = json!({
        "address": device.address,
        "port": number(device.port),
        "transport": word("device.transport", device.transport, |value| match value {
            proto::Transport::Unspecified => None,
            proto::Transport::Ssh => Some("ssh"),
            proto::Transport::SshPty => Some("ssh_pty"),
        })?,
        "username": device.username,
        "auth": auth(device.auth.as_ref()),
        "host_key": host_key("device.host_key", device.host_key.as_ref())?,
        "ssh_profile": word("device.ssh_profile", device.ssh_profile, |value| match value {
            proto::SshProfile::Unspecified => None,
            proto::SshProfile::Modern => Some("modern"),
            proto::SshProfile::Compat => Some("compat"),
            proto::SshProfile::Legacy => Some("legacy"),
        })?,
        "proxy_jump": jumps,
        "compatibility": compatibility(device.compatibility.as_ref())?,
        "pool": device.pool.as_ref().map(|pool| json!({
            "max_sessions": number(pool.max_sessions),
            "queue_length": number(pool.queue_length),
        })),
        "profile": text(&device.profile),
        "quirks": device.quirks.as_ref().map(|quirks| json!({
            "pipelining": quirks.pipelining,
            "validate": quirks.validate,
            "verify_after_commit": quirks.verify_after_commit,
        })),
        "partial": word("device.partial", device.partial, |value| match value {
            proto::PartialDefault::Unspecified => None,
            proto::PartialDefault::Discard => Some("discard"),
            proto::PartialDefault::Keep => Some("keep"),
        })?,
        "credential_domain": text(&device.credential_domain),
        "timeouts": device.timeouts.as_ref().map(|timeouts| json!({
            "connect_seconds": number(timeouts.connect_seconds),
            "rpc_seconds": number(timeouts.rpc_seconds),
            "commit_seconds": number(timeouts.commit_seconds),
            "keepalive_seconds": number(timeouts.keepalive_seconds),
            "auth_retry_seconds": number(timeouts.auth_retry_seconds),
        })),
        "labels": device.labels,
    });
    match members {
        Value::Object(members) => Ok(members),
        _ => Ok(Map::new()),
    }
}

fn jump(field: &str, hop: &proto::ProxyJump) -> Result<Value, Error> {
    Ok(json!({
        "address": hop.address,
        "port": number(hop.port),
        "username": hop.username,
        "auth": auth(hop.auth.as_ref()),
        "host_key": host_key(&format!("{field}.host_key"), hop.host_key.as_ref())?,
    }))
}

fn auth(auth: Option<&proto::Auth>) -> Value {
    let Some(auth) = auth else { return Value::Null };
    let answers: Vec<Value> = auth
        .keyboard_interactive
        .iter()
        .map(|pair| json!({"prompt": pair.prompt, "answer": pair.answer}))
        .collect();
    json!({
        "password": auth.password,
        "private_key": auth.private_key,
        "passphrase": auth.passphrase,
        "keyboard_interactive": if answers.is_empty() { Value::Null } else { Value::Array(answers) },
    })
}

fn host_key(field: &str, host_key: Option<&proto::HostKey>) -> Result<Value, Error> {
    let Some(host_key) = host_key else {
        return Ok(Value::Null);
    };
    let policy = word(&format!("{field}.policy"), host_key.policy, |value| match value {
        proto::HostKeyPolicy::Unspecified => None,
        proto::HostKeyPolicy::Pinned => Some("pinned"),
        proto::HostKeyPolicy::KnownHosts => Some("known_hosts"),
        proto::HostKeyPolicy::Tofu => Some("tofu"),
    })?;
    Ok(json!({"policy": policy, "keys": host_key.keys}))
}

fn compatibility(compatibility: Option<&proto::Compatibility>) -> Result<Value, Error> {
    let Some(compatibility) = compatibility else {
        return Ok(Value::Null);
    };
    let policy = word(
        "device.compatibility.policy",
        compatibility.policy,
        |value| match value {
            proto::CompatibilityPolicy::Unspecified => None,
            proto::CompatibilityPolicy::Ignore => Some("ignore"),
            proto::CompatibilityPolicy::Adapt => Some("adapt"),
            proto::CompatibilityPolicy::Refuse => Some("refuse"),
        },
    )?;
    let require = compatibility.require.as_ref().map(|require| {
        let version = require
            .version
            .as_ref()
            .map(|range| json!({"min": range.min, "max": range.max}));
        json!({"capabilities": require.capabilities, "version": version})
    });
    Ok(json!({"policy": policy, "require": require}))
}

/// The word of an enum's member; a number that is none is refused (G1).
fn word<E: TryFrom<i32>>(
    field: &str,
    number: i32,
    name: impl FnOnce(E) -> Option<&'static str>,
) -> Result<Option<&'static str>, Error> {
    E::try_from(number)
        .map(name)
        .map_err(|_| Error::invalid(field, format!("{number} is none of the values of this enum")))
}

fn number(number: u32) -> Option<u32> {
    (number != 0).then_some(number)
}

fn text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::model;

    fn device() -> proto::Device {
        proto::Device {
            name: "mx9".into(),
            address: "192.0.2.9".into(),
            username: "automation".into(),
            auth: Some(proto::Auth {
                password: Some("secret".into()),
                ..Default::default()
            }),
            transport: proto::Transport::SshPty.into(),
            timeouts: Some(proto::Timeouts {
                rpc_seconds: 60,
                ..Default::default()
            }),
            labels: [("site".to_owned(), "fra".to_owned())].into(),
            ..Default::default()
        }
    }

    fn read(text: &str) -> Value {
        serde_json::from_str(text).expect("a JSON document")
    }

    fn paths(paths: &[&str]) -> Option<prost_types::FieldMask> {
        Some(prost_types::FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        })
    }

    #[test]
    fn a_new_device_is_what_the_inventory_takes() {
        let document = read(&create(Some(device())).expect("all enums are known"));
        let (settings, _) = model::read_device(&document).expect("the inventory takes it");
        assert_eq!((settings.name.as_str(), settings.port), ("mx9", 22));
        assert_eq!(settings.timeouts.rpc_seconds, 60);
        assert_eq!(settings.timeouts.connect_seconds, 10);
        assert_eq!(settings.labels["site"], "fra");
    }

    /// Every member that the inventory knows can be written through this door.
    #[test]
    fn mask_knows_every_member_of_the_inventory() {
        let (settings, secrets) = model::read_device(
            &json!({"name": "a", "address": "b", "username": "c", "auth": {"password": "d"}}),
        )
        .expect("a device");
        let Value::Object(shown) = model::document(&settings, &secrets) else {
            panic!("an object")
        };
        let shown: BTreeSet<&str> = shown
            .keys()
            .map(String::as_str)
            .filter(|name| *name != "name")
            .collect();
        assert_eq!(shown, MEMBERS.iter().copied().collect());
        let written = document(&device()).expect("all enums are known");
        assert_eq!(written.keys().map(String::as_str).collect::<BTreeSet<_>>(), shown);
        for group in ["timeouts", "pool", "quirks"] {
            let full = proto::Device {
                pool: Some(Default::default()),
                quirks: Some(Default::default()),
                timeouts: Some(Default::default()),
                ..device()
            };
            let written = document(&full).expect("all enums are known");
            let names = |value: &Value| {
                value
                    .as_object()
                    .map(|o| o.keys().cloned().collect::<BTreeSet<_>>())
            };
            let kept = serde_json::to_value(&settings).expect("settings are JSON");
            assert_eq!(names(&written[group]), names(&kept[group]), "{group}");
        }
    }

    #[test]
    fn a_patch_holds_what_the_mask_names_and_no_more() {
        let old = ["role".to_owned(), "site".to_owned()];
        let made = |names: &[&str]| patch(&device(), paths(names), old.iter()).map(|text| read(&text));
        assert_eq!(made(&["address"]).ok(), Some(json!({"address": "192.0.2.9"})));
        assert_eq!(
            made(&["auth.password"]).ok(),
            Some(json!({"auth": {"password": "secret"}}))
        );
        assert_eq!(
            made(&["timeouts.rpc_seconds", "timeouts.connect_seconds"]).ok(),
            Some(json!({"timeouts": {"rpc_seconds": 60, "connect_seconds": null}}))
        );
        assert_eq!(
            made(&["labels"]).ok(),
            Some(json!({"labels": {"site": "fra", "role": null}}))
        );
        assert_eq!(made(&["labels.a.b"]).ok(), Some(json!({"labels": {"a.b": null}})));
        assert_eq!(made(&["port"]).ok(), Some(json!({"port": null})));
        // What is below a message that is not set is not set either.
        assert_eq!(
            made(&["pool.max_sessions", "compatibility.require.version.min"]).ok(),
            Some(json!({
                "pool": {"max_sessions": null},
                "compatibility": {"require": {"version": {"min": null}}},
            }))
        );
        assert_eq!(made(&["quirks"]).ok(), Some(json!({"quirks": null})));
        for bad in [
            &[][..],
            &["name"],
            &["etag"],
            &["timeouts.x"],
            &["pool.x"],
            &["timeouts.rpc_seconds.x"],
            &[""],
            &["labels.a", "."],
        ] {
            assert!(made(bad).is_err(), "{bad:?}");
        }
    }

    /// G1
    #[test]
    fn unknown_enum_numbers_are_refused_with_their_field() {
        let bad = proto::Device {
            ssh_profile: 42,
            ..device()
        };
        assert_eq!(
            create(Some(bad)).expect_err("is refused").fields()[0].pointer,
            "device.ssh_profile"
        );
        let host_key = Some(proto::HostKey {
            policy: -3,
            keys: vec![],
        });
        let bad = proto::Device {
            proxy_jump: vec![proto::ProxyJump {
                host_key,
                ..Default::default()
            }],
            ..device()
        };
        let refused = create(Some(bad)).expect_err("is refused");
        assert_eq!(
            refused.fields()[0].pointer,
            "device.proxy_jump[0].host_key.policy"
        );
    }
}
