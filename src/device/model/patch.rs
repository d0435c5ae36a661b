//! JSON merge patch (RFC 7396) on a device: settings and credentials are merged as one document and checked as
//! one, so that a patch can never lead to what a POST would refuse.

use serde_json::{Map, Value, json};

use super::json_text::wipe;
use super::read::read_device_knowing;
use super::reader::kind;
use super::secrets::{Credentials, DeviceSecrets, Secret};
use super::{DeviceSettings, FieldFault, settings_value};
use crate::json::pointer::child;

/// The device after the patch. `null` takes a setting back to its default and removes a credential. Arrays are
/// replaced whole, as the RFC says; an entry of `proxy_jump` without `auth` keeps the credentials of the stored
/// entry with the same address, port and username.
///
/// A private key that the patch brings is decoded, which may take many milliseconds of computing.
///
/// # Errors
/// All faults, with pointers into the merged document; the name of a device cannot be changed.
pub fn apply_merge_patch(
    settings: &DeviceSettings,
    secrets: &DeviceSecrets,
    patch: &Value,
) -> Result<(DeviceSettings, DeviceSecrets), Vec<FieldFault>> {
    let Value::Object(members) = patch else {
        return Err(vec![FieldFault::new(
            "",
            format!("must be an object, not {}", kind(patch)),
        )]);
    };
    let mut document = full_document(settings, secrets);
    let mut faults = Vec::new();
    unknown_nulls(&document, members, "", &mut faults);
    merge(&mut document, patch);
    keep_jump_credentials(&mut document, settings, secrets);
    let read = read_device_knowing(&document, secrets);
    wipe(&mut document);
    let (settings_after, secrets_after) = match read {
        Ok(read) => read,
        Err(found) => {
            faults.extend(found);
            return Err(faults);
        }
    };
    if settings_after.name != settings.name {
        faults.push(FieldFault::new(
            "/name",
            "cannot be changed; add the device under its new name",
        ));
    }
    if faults.is_empty() {
        Ok((settings_after, secrets_after))
    } else {
        Err(faults)
    }
}

/// Every member that may be set, the unset ones as null.
fn full_document(settings: &DeviceSettings, secrets: &DeviceSecrets) -> Value {
    let mut document = settings_value(settings);
    if let Some(members) = document.as_object_mut() {
        members.insert("auth".to_owned(), auth_value(&secrets.auth));
    }
    for (index, credentials) in secrets.proxy_jump.iter().enumerate() {
        let jump = document
            .get_mut("proxy_jump")
            .and_then(|jumps| jumps.get_mut(index));
        if let Some(members) = jump.and_then(Value::as_object_mut) {
            members.insert("auth".to_owned(), auth_value(credentials));
        }
    }
    document
}

fn auth_value(credentials: &Credentials) -> Value {
    let text = |secret: &Option<Secret>| secret.as_ref().map(Secret::expose).map(str::to_owned);
    let answers: Vec<Value> = credentials
        .keyboard_interactive
        .iter()
        .map(|entry| json!({"prompt": entry.prompt, "answer": entry.answer.expose()}))
        .collect();
    json!({
        "password": text(&credentials.password),
        "private_key": text(&credentials.private_key),
        "passphrase": text(&credentials.passphrase),
        "keyboard_interactive": answers,
    })
}

/// RFC 7396 section 2.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(object) = target.as_object_mut() else {
        return;
    };
    for (name, value) in members {
        if value.is_null() {
            object.shift_remove(name);
        } else {
            merge(object.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Removing what never was is no fault to a merge, but an unknown member is one to us (H1).
fn unknown_nulls(document: &Value, patch: &Map<String, Value>, pointer: &str, faults: &mut Vec<FieldFault>) {
    for (name, value) in patch {
        let at = child(pointer, name);
        match (document.get(name), value) {
            (None, Value::Null) => faults.push(FieldFault::new(at, "unknown member")),
            (Some(inner), Value::Object(members)) if at != "/labels" => {
                unknown_nulls(inner, members, &at, faults);
            }
            _ => {}
        }
    }
}

fn keep_jump_credentials(document: &mut Value, settings: &DeviceSettings, secrets: &DeviceSecrets) {
    let jumps = document.get_mut("proxy_jump").and_then(Value::as_array_mut);
    for jump in jumps.into_iter().flatten().filter_map(Value::as_object_mut) {
        if jump.contains_key("auth") {
            continue;
        }
        let text = |name: &str| jump.get(name).and_then(Value::as_str);
        let port = jump.get("port").map_or(Some(22), Value::as_u64);
        let stored = settings.proxy_jump.iter().position(|stored| {
            text("address") == Some(&stored.address)
                && text("username") == Some(&stored.username)
                && port == Some(u64::from(stored.port))
        });
        if let Some(credentials) = stored.and_then(|index| secrets.proxy_jump.get(index)) {
            jump.insert("auth".to_owned(), auth_value(credentials));
        }
    }
}
