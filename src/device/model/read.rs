//! A caller's JSON document of a device, checked member by member.

use std::collections::BTreeMap;
use std::net::IpAddr;

use russh::keys::PublicKey;
use serde_json::Value;

use super::reader::{Faults, Object, kind};
use super::secrets::{Credentials, DeviceSecrets, KeyFault, PromptAnswer, Secret, decode_private_key};
use super::*;
use crate::json::pointer::child;
use crate::netconf::capability::Capability;
use crate::suggest;

const MOST_JUMPS: usize = 8;
const MOST_KEYS: usize = 32;
const MOST_LABELS: usize = 64;
const MOST_PROMPTS: usize = 16;
const MOST_CAPABILITIES: usize = 256;
/// Seconds that an RPC may take: no caller waits longer (conventions H6).
const LONGEST_RPC: u64 = 3600;
/// Bytes of a password or an answer.
const MOST_PASSWORD: usize = 4096;
/// Bytes of a private key as text; a 16384 bit RSA key has a fifth of it.
const MOST_KEY_TEXT: usize = 64 * 1024;

/// Reads what `POST /v1/devices` takes: the settings of a device with its credentials under `auth`, and those of
/// its jump hosts under `proxy_jump/*/auth`.
///
/// Private keys are decoded, so that a bad key or a wrong passphrase is found now and not at the first connect;
/// that may take many milliseconds of computing.
///
/// # Errors
/// All faults found, with their pointers; details never quote a secret.
pub fn read_device(document: &Value) -> Result<(DeviceSettings, DeviceSecrets), Vec<FieldFault>> {
    read_device_knowing(document, &DeviceSecrets::default())
}

/// As [`read_device`]; a private key that stands in `known` is not decoded again.
pub(super) fn read_device_knowing(
    document: &Value,
    known: &DeviceSecrets,
) -> Result<(DeviceSettings, DeviceSecrets), Vec<FieldFault>> {
    let mut faults = Faults::default();
    let read = match document {
        Value::Object(_) => device(Object::open(Some(document), "", &mut faults), known, &mut faults),
        other => {
            faults.add("", format!("must be an object, not {}", kind(other)));
            None
        }
    };
    faults.into_result(read)
}

fn device(
    mut object: Object<'_>,
    known: &DeviceSecrets,
    faults: &mut Faults,
) -> Option<(DeviceSettings, DeviceSecrets)> {
    let name = object
        .required("name", faults)
        .map(|name| check_name(name, faults));
    let address = host(&mut object, faults);
    let transport = object.word("transport", TransportKind::WORDS, faults);
    let default_port = match transport {
        TransportKind::Ssh => 830,
        TransportKind::SshPty => 22,
    };
    let port = port(&mut object, default_port, faults);
    let username = username(&mut object, faults);
    let auth = credentials(object.get("auth"), &object.pointer("auth"), known, faults);
    let host_key = host_key(&mut object, faults);
    let ssh_profile = object.word("ssh_profile", SshProfile::WORDS, faults);
    let (proxy_jump, jump_secrets) = proxy_jump(&mut object, known, faults);
    let compatibility = compatibility(object.object("compatibility", faults), faults);
    let pool = pool(object.object("pool", faults), faults);
    let profile = object.word("profile", Profile::WORDS, faults);
    let quirks = quirks(object.object("quirks", faults), faults);
    let partial = object.word("partial", Partial::WORDS, faults);
    let credential_domain = object.string("credential_domain", faults);
    if credential_domain.is_some_and(|domain| !is_token(domain, 64)) {
        faults.add(
            "/credential_domain",
            "must be 1 to 64 characters of a-z, A-Z, 0-9, '.', '_' and '-'",
        );
    }
    let timeouts = timeouts(object.object("timeouts", faults), faults);
    let labels = labels(object.get("labels"), &object.pointer("labels"), faults);
    object.finish(faults);
    let settings = DeviceSettings {
        name: name?,
        address: address?,
        port,
        transport,
        username: username?,
        host_key,
        ssh_profile,
        proxy_jump,
        compatibility,
        pool,
        profile,
        quirks,
        partial,
        credential_domain: credential_domain.map(str::to_owned),
        timeouts,
        labels,
    };
    Some((
        settings,
        DeviceSecrets {
            auth,
            proxy_jump: jump_secrets,
        },
    ))
}

fn check_name(name: &str, faults: &mut Faults) -> String {
    if !is_token(name, 64) {
        faults.add(
            "/name",
            "must be 1 to 64 characters of a-z, A-Z, 0-9, '.', '_' and '-'",
        );
    } else if name.chars().all(|c| c == '.') {
        // A path segment of one or two dots never arrives: clients resolve it away.
        faults.add("/name", "must not consist of dots alone");
    }
    name.to_owned()
}

fn is_token(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn host(object: &mut Object<'_>, faults: &mut Faults) -> Option<String> {
    let text = object.required("address", faults)?;
    if let Err(detail) = check_host(text) {
        faults.add(object.pointer("address"), detail);
    }
    Some(text.to_owned())
}

/// An IP address or a host name (RFC 1123 section 2.1, and the underscore that some networks use).
fn check_host(text: &str) -> Result<(), &'static str> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    if text.starts_with('[') {
        return Err("must be given without brackets");
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label_is_good = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    if name.len() > 253 || !name.split('.').all(label_is_good) {
        return Err("must be an IP address or a host name, without user and port");
    }
    // Resolvers read 2130706433, 0x7f.1 and 127.1 as addresses; the network policy must see them as such (X8).
    let last = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
    let hex = last
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    if hex || last.bytes().all(|b| b.is_ascii_digit()) {
        return Err("looks like an IP address, and is none in the usual notation");
    }
    Ok(())
}

fn port(object: &mut Object<'_>, default: u16, faults: &mut Faults) -> u16 {
    let port = object.integer("port", u64::from(default), 1..=u64::from(u16::MAX), faults);
    u16::try_from(port).unwrap_or(default)
}

fn username(object: &mut Object<'_>, faults: &mut Faults) -> Option<String> {
    let text = object.required("username", faults)?;
    if !(1..=255).contains(&text.len()) || text.chars().any(char::is_control) {
        faults.add(
            object.pointer("username"),
            "must be 1 to 255 bytes without control characters",
        );
    }
    Some(text.to_owned())
}

fn host_key(object: &mut Object<'_>, faults: &mut Faults) -> HostKeySettings {
    let mut object = object.object("host_key", faults);
    let policy = object.word("policy", HostKeyPolicy::WORDS, faults);
    let mut keys = Vec::new();
    for (pointer, text) in object.strings("keys", MOST_KEYS, faults) {
        let text = text.trim();
        if is_fingerprint(text) || PublicKey::from_openssh(text).is_ok() {
            keys.push(text.to_owned());
        } else {
            faults.add(
                pointer,
                "must be a public key such as 'ssh-ed25519 AAAA…' or a fingerprint 'SHA256:…'",
            );
        }
    }
    object.finish(faults);
    HostKeySettings { policy, keys }
}

/// `SHA256:` and the base64 of 32 bytes without padding, as `ssh-keygen -l` prints it.
fn is_fingerprint(text: &str) -> bool {
    text.strip_prefix("SHA256:").is_some_and(|digest| {
        digest.len() == 43
            && digest
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
    })
}

fn proxy_jump(
    object: &mut Object<'_>,
    known: &DeviceSecrets,
    faults: &mut Faults,
) -> (Vec<JumpSettings>, Vec<Credentials>) {
    let (mut jumps, mut secrets) = (Vec::new(), Vec::new());
    for (pointer, item) in object.array("proxy_jump", MOST_JUMPS, faults) {
        let mut jump = Object::open(Some(item), &pointer, faults);
        let address = host(&mut jump, faults);
        let port = port(&mut jump, 22, faults);
        let username = username(&mut jump, faults);
        let auth = credentials(jump.get("auth"), &jump.pointer("auth"), known, faults);
        let host_key = host_key(&mut jump, faults);
        jump.finish(faults);
        if let (Some(address), Some(username)) = (address, username) {
            jumps.push(JumpSettings {
                address,
                port,
                username,
                auth: auth.view(),
                host_key,
            });
            secrets.push(auth);
        }
    }
    (jumps, secrets)
}

fn credentials(
    value: Option<&Value>,
    pointer: &str,
    known: &DeviceSecrets,
    faults: &mut Faults,
) -> Credentials {
    let mut object = Object::open(value, pointer, faults);
    let mut secret = |object: &mut Object<'_>, name: &'static str, most: usize| {
        let text = object.string(name, faults)?;
        if !(1..=most).contains(&text.len()) {
            faults.add(object.pointer(name), format!("must be 1 to {most} bytes"));
        }
        Some(Secret::new(text))
    };
    let password = secret(&mut object, "password", MOST_PASSWORD);
    let private_key = secret(&mut object, "private_key", MOST_KEY_TEXT);
    let passphrase = secret(&mut object, "passphrase", MOST_PASSWORD);
    let keyboard_interactive = prompts(&mut object, faults);
    let found = Credentials {
        password,
        private_key,
        passphrase,
        keyboard_interactive,
    };
    let set = found.view();
    if !set.password && !set.private_key && !set.keyboard_interactive && value.is_none_or(Value::is_object) {
        faults.add(
            pointer,
            "is required: give password, private_key or keyboard_interactive",
        );
    }
    check_key(&found, &object, known, faults);
    object.finish(faults);
    found
}

fn prompts(object: &mut Object<'_>, faults: &mut Faults) -> Vec<PromptAnswer> {
    let mut found = Vec::new();
    for (pointer, item) in object.array("keyboard_interactive", MOST_PROMPTS, faults) {
        let mut entry = Object::open(Some(item), &pointer, faults);
        let prompt = entry.required("prompt", faults);
        let answer = entry.required("answer", faults);
        if prompt.is_some_and(|prompt| !(1..=1024).contains(&prompt.len())) {
            faults.add(entry.pointer("prompt"), "must be 1 to 1024 bytes");
        }
        if answer.is_some_and(|answer| answer.len() > MOST_PASSWORD) {
            faults.add(
                entry.pointer("answer"),
                format!("must be at most {MOST_PASSWORD} bytes"),
            );
        }
        entry.finish(faults);
        if let (Some(prompt), Some(answer)) = (prompt, answer) {
            found.push(PromptAnswer {
                prompt: prompt.to_owned(),
                answer: Secret::new(answer),
            });
        }
    }
    found
}

/// A key that cannot be used is a fault now, not at the first connect (S1).
fn check_key(found: &Credentials, object: &Object<'_>, known: &DeviceSecrets, faults: &mut Faults) {
    let Some(key) = &found.private_key else {
        if found.passphrase.is_some() {
            faults.add(
                object.pointer("passphrase"),
                "opens nothing: private_key is not given",
            );
        }
        return;
    };
    let mut checked_before = std::iter::once(&known.auth).chain(&known.proxy_jump);
    if checked_before.any(|c| c.private_key.as_ref() == Some(key) && c.passphrase == found.passphrase) {
        return;
    }
    match decode_private_key(key.expose(), found.passphrase.as_ref().map(Secret::expose)) {
        Ok(_) => {}
        Err(fault @ (KeyFault::PassphraseMissing | KeyFault::PassphraseWrong)) => {
            let detail = match fault {
                KeyFault::PassphraseMissing => "is required: the private key is encrypted".to_owned(),
                _ => fault.to_string(),
            };
            faults.add(object.pointer("passphrase"), detail);
        }
        Err(fault @ (KeyFault::OldEncryption | KeyFault::PublicKey | KeyFault::Unreadable(_))) => {
            faults.add(object.pointer("private_key"), fault.to_string());
        }
    }
}

/// What is wrong with the name of a required capability: a URI as devices list them, or the short name of one that
/// is known. An unknown short name would refuse every device.
fn capability_fault(name: &str) -> Option<String> {
    if Capability::is_short_name(name) {
        if Capability::of_name(name).next().is_some() {
            return None;
        }
        let bare = name.trim_start_matches(':');
        let known = Capability::ALL.map(|known| known.name().split(':').next().unwrap_or_default());
        return Some(
            suggest::unknown("capability", bare, known)
                + "; give its URI, or a short name such as 'candidate'",
        );
    }
    let is_uri = name.contains(':') && name.len() <= 1024 && !name.chars().any(char::is_whitespace);
    (!is_uri).then(|| "must be a capability URI or a short name such as 'candidate'".to_owned())
}

fn compatibility(mut object: Object<'_>, faults: &mut Faults) -> Compatibility {
    let policy = object.word("policy", CompatibilityPolicy::WORDS, faults);
    let mut require = object.object("require", faults);
    let mut capabilities = Vec::new();
    for (pointer, uri) in require.strings("capabilities", MOST_CAPABILITIES, faults) {
        if let Some(detail) = capability_fault(uri) {
            faults.add(pointer, detail);
        }
        capabilities.push(uri.to_owned());
    }
    let mut version = require.object("version", faults);
    let mut bound = |name| {
        let text = version.string(name, faults)?;
        if !(1..=128).contains(&text.len()) || !text.starts_with(|c: char| c.is_ascii_digit()) {
            faults.add(version.pointer(name), "must be a version such as '21.4R3'");
        }
        Some(text.to_owned())
    };
    let version_range = VersionRange {
        min: bound("min"),
        max: bound("max"),
    };
    version.finish(faults);
    require.finish(faults);
    object.finish(faults);
    Compatibility {
        policy,
        require: Requirements {
            capabilities,
            version: version_range,
        },
    }
}

fn pool(mut object: Object<'_>, faults: &mut Faults) -> PoolSettings {
    let PoolSettings {
        max_sessions,
        queue_length,
    } = PoolSettings::default();
    let read = PoolSettings {
        max_sessions: small(object.integer("max_sessions", max_sessions.into(), 1..=256, faults)),
        queue_length: small(object.integer("queue_length", queue_length.into(), 1..=10_000, faults)),
    };
    object.finish(faults);
    read
}

/// A number that was checked against a range within 32 bits.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn quirks(mut object: Object<'_>, faults: &mut Faults) -> Quirks {
    let Quirks {
        pipelining,
        validate,
        verify_after_commit,
    } = Quirks::default();
    let read = Quirks {
        pipelining: object.boolean("pipelining", pipelining, faults),
        validate: object.boolean("validate", validate, faults),
        verify_after_commit: object.boolean("verify_after_commit", verify_after_commit, faults),
    };
    object.finish(faults);
    read
}

fn timeouts(mut object: Object<'_>, faults: &mut Faults) -> Timeouts {
    let default = Timeouts::default();
    let read = Timeouts {
        connect_seconds: object.integer("connect_seconds", default.connect_seconds, 1..=300, faults),
        rpc_seconds: object.integer("rpc_seconds", default.rpc_seconds, 1..=LONGEST_RPC, faults),
        commit_seconds: object.integer("commit_seconds", default.commit_seconds, 1..=LONGEST_RPC, faults),
        keepalive_seconds: object.integer("keepalive_seconds", default.keepalive_seconds, 1..=3600, faults),
        auth_retry_seconds: object.integer(
            "auth_retry_seconds",
            default.auth_retry_seconds,
            1..=86_400,
            faults,
        ),
    };
    object.finish(faults);
    read
}

fn labels(value: Option<&Value>, pointer: &str, faults: &mut Faults) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let members = match value {
        None => return labels,
        Some(Value::Object(members)) => members,
        Some(other) => {
            faults.add(pointer, format!("must be an object, not {}", kind(other)));
            return labels;
        }
    };
    if members.len() > MOST_LABELS {
        faults.add(pointer, format!("must not have more than {MOST_LABELS} members"));
        return labels;
    }
    for (key, value) in members {
        let at = child(pointer, key);
        let key_is_good = (1..=63).contains(&key.len())
            && key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/'));
        if !key_is_good {
            faults.add(
                &*at,
                "a label's key must be 1 to 63 characters of a-z, A-Z, 0-9, '.', '_', '-' and '/'",
            );
        }
        match value {
            Value::String(text) if text.len() <= 255 && !text.chars().any(char::is_control) => {
                labels.insert(key.clone(), text.clone());
            }
            Value::String(_) => faults.add(at, "must be at most 255 bytes without control characters"),
            other => faults.add(at, format!("must be a string, not {}", kind(other))),
        }
    }
    labels
}
