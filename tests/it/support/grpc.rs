//! Messages of `proto/` as the JSON that REST has for the same things, and back.

use ncgate::api::grpc::proto;
use prost::Message;
use serde_json::{Map, Value, json};
use tonic::Status;
use tonic_types::pb;

use super::doors::{Refusal, plain_field};
use super::write;

/// The members of an object that are not null.
pub fn given(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect(),
        ),
        other => other,
    }
}

pub fn attributes(pairs: &[(&str, &str)]) -> Vec<proto::Attribute> {
    pairs
        .iter()
        .map(|(name, value)| proto::Attribute {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        })
        .collect()
}

/// Output options from their names in the query.
pub fn output(options: &[(&str, &str)]) -> proto::OutputOptions {
    let mut output = proto::OutputOptions::default();
    for (name, value) in options {
        assert!(set_output(&mut output, name, value), "{name} is no output option");
    }
    output
}

fn set_output(output: &mut proto::OutputOptions, name: &str, value: &str) -> bool {
    match name {
        "format" => output.format = member(proto::Format::from_str_name, "FORMAT", value).into(),
        "mapping" => output.mapping = member(proto::Mapping::from_str_name, "MAPPING", value).into(),
        "arrays" => output.arrays = value.to_owned(),
        "text" => output.text = member(proto::TextMode::from_str_name, "TEXT_MODE", value).into(),
        "ns" => output.ns = member(proto::NamespaceMode::from_str_name, "NAMESPACE_MODE", value).into(),
        "hints" => output.hints = value.to_owned(),
        "partial" => output.partial = member(proto::Partial::from_str_name, "PARTIAL", value).into(),
        _ => return false,
    }
    true
}

/// The member of an enum by the word that REST has for it.
pub fn member<E>(of: impl Fn(&str) -> Option<E>, prefix: &str, word: &str) -> E {
    let name = format!("{prefix}_{}", word.to_uppercase().replace('-', "_"));
    of(&name).unwrap_or_else(|| panic!("no {name}"))
}

/// The query of a read of configuration, and its output options.
pub fn config_query(options: &[(&str, &str)]) -> (proto::ConfigQuery, proto::OutputOptions) {
    let mut query = proto::ConfigQuery::default();
    let mut junos = proto::JunosConfigOptions::default();
    let mut output = proto::OutputOptions::default();
    for (name, value) in options {
        let text = (*value).to_owned();
        let number = || value.parse().expect("a number");
        match *name {
            "source" => query.source = text,
            "path" => query.path = text,
            "filter" => {
                let content = if text.starts_with('<') {
                    proto::payload::Content::Xml(text)
                } else {
                    proto::payload::Content::Json(text)
                };
                query.filter = Some(proto::Payload {
                    content: Some(content),
                });
            }
            "xpath" => query.xpath = text,
            "xpath_namespace" => {
                let (prefix, uri) = value.split_once('=').expect("a prefix");
                query.xpath_namespaces.push(proto::Namespace {
                    prefix: prefix.to_owned(),
                    uri: uri.to_owned(),
                });
            }
            "with_defaults" => {
                let of = proto::WithDefaults::from_str_name;
                query.with_defaults = member(of, "WITH_DEFAULTS", value).into();
            }
            "protocol" => {
                let of = proto::ConfigProtocol::from_str_name;
                query.protocol = member(of, "CONFIG_PROTOCOL", value).into();
            }
            "inherit" => junos.inherit = Some(text),
            "groups" => junos.groups = *value == "true",
            "interface_ranges" => junos.interface_ranges = *value == "true",
            "changed" => junos.changed = *value == "true",
            "commit_scripts" => junos.commit_scripts = Some(text),
            "key" => junos.key = *value == "true",
            "recurse" => junos.recurse = Some(*value == "true"),
            "count" => junos.count = Some(number()),
            "start" => junos.start = Some(number()),
            "matching" => junos.matching = Some(text),
            "schema" => junos.schema = *value == "true",
            name => assert!(set_output(&mut output, name, value), "{name} is no option"),
        }
    }
    query.junos = Some(junos);
    (query, output)
}

/// A reply as the envelope of design section 4.
pub fn envelope(reply: proto::Reply) -> Value {
    let header = reply.header.expect("a header");
    let mut envelope = header_members(header);
    envelope.insert(
        "data".to_owned(),
        reply.data.map_or(Value::Null, |payload| data(payload.content)),
    );
    Value::Object(envelope)
}

pub fn header_members(header: proto::ReplyHeader) -> Map<String, Value> {
    let pairs = |pairs: Vec<(String, String)>| -> Map<String, Value> {
        pairs
            .into_iter()
            .map(|(name, value)| (name, json!(value)))
            .collect()
    };
    let attributes = header.attributes.into_iter().map(|pair| (pair.name, pair.value));
    let namespaces = header.namespaces.into_iter().map(|pair| (pair.prefix, pair.uri));
    let errors: Vec<Value> = header.errors.into_iter().map(rpc_error).collect();
    let warnings: Vec<Value> = header.warnings.into_iter().map(rpc_error).collect();
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("device", json!(header.device));
    put("session_id", json!(header.session_id));
    put("message_id", json!(header.message_id));
    put("attributes", json!(pairs(attributes.collect())));
    put("banner", json!(header.banner));
    put("warnings", json!(warnings));
    if !errors.is_empty() {
        put("errors", json!(errors));
    }
    if let Some(truncated) = header.errors_truncated {
        put("errors_truncated", json!(truncated));
        put("errors_total", json!(header.errors_total));
        put("warnings_total", json!(header.warnings_total));
    }
    put("complete", json!(header.complete));
    put("lossy", json!(header.lossy));
    put("mapping", json!(header.mapping));
    put("namespaces", json!(pairs(namespaces.collect())));
    put("request_id", json!(header.request_id));
    if let Some(outcome) = header.outcome {
        put("outcome", json!(outcome));
    }
    members
}

fn data(content: Option<proto::payload::Content>) -> Value {
    match content {
        None => Value::Null,
        Some(proto::payload::Content::Json(text)) => serde_json::from_str(&text).expect("JSON"),
        Some(proto::payload::Content::Xml(text) | proto::payload::Content::Text(text)) => json!(text),
    }
}

pub fn rpc_error(error: proto::RpcError) -> Value {
    let namespaces = error.error_path_namespaces.into_iter();
    let namespaces: Map<String, Value> = namespaces.map(|pair| (pair.prefix, json!(pair.uri))).collect();
    given(json!({
        "error_path_namespaces": (!namespaces.is_empty()).then_some(namespaces),
        "error_type": error.error_type,
        "error_tag": error.error_tag,
        "error_severity": error.error_severity,
        "error_app_tag": error.error_app_tag,
        "error_path": error.error_path,
        "error_message": error.error_message,
        "error_info": error.error_info,
        "bad_element": error.bad_element,
        "source_daemon": error.source_daemon,
        "member": error.member,
    }))
}

pub fn plan(plan: proto::Plan) -> Value {
    json!({"device": plan.device, "rpcs": plan.rpcs})
}

/// The details of a failed call (M4).
pub fn refusal(status: &Status) -> Refusal {
    let details = pb::Status::decode(status.details()).expect("details of google.rpc.Status");
    assert_eq!(details.code, i32::from(status.code()));
    let find = |name: &str| {
        details
            .details
            .iter()
            .find(|any| any.type_url.ends_with(name))
            .map(|any| any.value.as_slice())
    };
    let info = pb::ErrorInfo::decode(find("/google.rpc.ErrorInfo").expect("ErrorInfo")).expect("ErrorInfo");
    assert_eq!(info.domain, "ncgate");
    assert!(!info.metadata["request_id"].is_empty());
    let text = |name: &str| info.metadata.get(name).cloned();
    let fields = find("/google.rpc.BadRequest").map_or_else(Vec::new, |bytes| {
        let violations = pb::BadRequest::decode(bytes)
            .expect("BadRequest")
            .field_violations;
        violations
            .iter()
            .map(|violation| place(&violation.field, &violation.description))
            .collect()
    });
    let rpc_errors = find("/ncgate.v1.RpcErrors").map_or_else(Vec::new, |bytes| {
        let errors = proto::RpcErrors::decode(bytes).expect("RpcErrors");
        assert!(!errors.truncated, "tests have few errors");
        assert_eq!(errors.total as usize, errors.errors.len());
        errors.errors.into_iter().map(rpc_error).collect()
    });
    let retry = find("/google.rpc.RetryInfo").map(|bytes| {
        let delay = pb::RetryInfo::decode(bytes).expect("RetryInfo").retry_delay;
        u64::try_from(delay.expect("a delay").seconds).expect("a time to come")
    });
    let changes = find("/ncgate.v1.UncommittedChanges")
        .map(|bytes| proto::UncommittedChanges::decode(bytes).expect("UncommittedChanges"));
    Refusal {
        code: info.reason.to_lowercase().replace('_', "-"),
        detail: status.message().to_owned(),
        outcome: text("outcome").unwrap_or_default(),
        origin: text("origin").unwrap_or_default(),
        reason: text("reason"),
        hint: text("hint"),
        rpc_errors,
        fields,
        retry_after_seconds: retry,
        step: text("step"),
        change_id: text("operation_id"),
        holder: find("/ncgate.v1.LockHolder")
            .map(|bytes| write::holder(proto::LockHolder::decode(bytes).expect("LockHolder"))),
        diff: changes.as_ref().map(|changes| changes.diff.clone()),
        diff_sha256: changes.map(|changes| changes.diff_sha256),
        members: find("/ncgate.v1.CommitMembers").map_or_else(Vec::new, |bytes| {
            let members = proto::CommitMembers::decode(bytes).expect("CommitMembers");
            members.members.into_iter().map(write::member_result).collect()
        }),
    }
}

/// The place of a violation as REST has it: its field without the messages that only gRPC has, and where in the text of
/// that field.
fn place(field: &str, description: &str) -> String {
    let holders = [
        "edit.",
        "query.junos.",
        "query.",
        "output.",
        "device.",
        "options.",
    ];
    let bare = holders
        .iter()
        .find_map(|holder| field.strip_prefix(holder))
        .unwrap_or(field);
    let bare = plain_field(bare);
    let bare = match bare.split('.').collect::<Vec<_>>().as_slice() {
        ["rpc", "body"] => "rpc".to_owned(),
        ["rpc", member] => (*member).to_owned(),
        ["rpcs", at, "body"] => format!("rpcs.{at}.rpc"),
        ["edits", at, "content"] => format!("edits.{at}.config"),
        ["content"] => "config".to_owned(),
        _ => bare,
    };
    let inside = description
        .starts_with('/')
        .then(|| description.split_once(": "))
        .flatten();
    match inside {
        Some((inside, _)) => format!("{bare}.{}", plain_field(inside)),
        None => bare,
    }
}

/// A device as the inventory shows it.
pub fn device(device: proto::Device) -> Value {
    assert_eq!(device.auth, None, "credentials never come back");
    let word = |name: &str, prefix: &str| name.trim_start_matches(prefix).to_lowercase();
    let policy = |key: &proto::HostKey| word(key.policy().as_str_name(), "HOST_KEY_POLICY_");
    let transport = word(device.transport().as_str_name(), "TRANSPORT_");
    let connection = device.connection.clone().expect("how it is doing");
    let last_loss = connection
        .last_loss
        .map(|loss| json!({"code": loss.code, "detail": loss.detail, "time": loss.time}));
    let auth = device.auth_set.expect("which credentials are set");
    json!({
        "name": device.name,
        "address": device.address,
        "port": device.port,
        "transport": transport,
        "username": device.username,
        "auth": {
            "password": auth.password,
            "private_key": auth.private_key,
            "passphrase": auth.passphrase,
            "keyboard_interactive": auth.keyboard_interactive,
        },
        "host_key": device.host_key.as_ref().map(|key| json!({"policy": policy(key), "keys": key.keys})),
        "timeouts": device.timeouts.map(|timeouts| json!({"rpc_seconds": timeouts.rpc_seconds})),
        "labels": device.labels,
        "connection": given(json!({
            "state": connection.state,
            "sessions": connection.sessions,
            "queued": connection.queued,
            "last_loss": last_loss,
            "revision": connection
                .revision
                .map(|revision| json!({"id": revision.id, "seen_at": revision.seen_at})),
        })),
        "create_time": device.create_time,
        "update_time": device.update_time,
        "etag": device.etag,
    })
}

pub fn devices(page: proto::ListDevicesResponse) -> Value {
    let token = Some(page.next_page_token).filter(|token| !token.is_empty());
    let devices: Vec<Value> = page.devices.into_iter().map(device).collect();
    given(json!({"devices": devices, "next_page_token": token}))
}

/// The message for a device, or for what a patch holds of one.
pub fn device_message(document: &Value) -> proto::Device {
    let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default();
    let small = |value: &Value| {
        value
            .as_u64()
            .map_or(0, |number| u32::try_from(number).expect("a small number"))
    };
    let texts = |value: &Value| {
        value
            .as_array()
            .into_iter()
            .flatten()
            .map(text)
            .collect::<Vec<_>>()
    };
    let host_key = |value: &Value| {
        value.is_object().then(|| proto::HostKey {
            policy: value["policy"].as_str().map_or(0, |word| {
                member(proto::HostKeyPolicy::from_str_name, "HOST_KEY_POLICY", word).into()
            }),
            keys: texts(&value["keys"]),
        })
    };
    let jump = |value: &Value| proto::ProxyJump {
        address: text(&value["address"]),
        port: small(&value["port"]),
        username: text(&value["username"]),
        auth: auth(&value["auth"]),
        host_key: host_key(&value["host_key"]),
        auth_set: None,
    };
    let compatibility = &document["compatibility"];
    let version = &compatibility["require"]["version"];
    proto::Device {
        name: text(&document["name"]),
        address: text(&document["address"]),
        port: small(&document["port"]),
        transport: document["transport"].as_str().map_or(0, |word| {
            member(proto::Transport::from_str_name, "TRANSPORT", word).into()
        }),
        username: text(&document["username"]),
        auth: auth(&document["auth"]),
        host_key: host_key(&document["host_key"]),
        ssh_profile: document["ssh_profile"].as_str().map_or(0, |word| {
            member(proto::SshProfile::from_str_name, "SSH_PROFILE", word).into()
        }),
        proxy_jump: document["proxy_jump"]
            .as_array()
            .into_iter()
            .flatten()
            .map(jump)
            .collect(),
        compatibility: compatibility.is_object().then(|| proto::Compatibility {
            policy: compatibility["policy"].as_str().map_or(0, |word| {
                member(
                    proto::CompatibilityPolicy::from_str_name,
                    "COMPATIBILITY_POLICY",
                    word,
                )
                .into()
            }),
            require: compatibility["require"].is_object().then(|| proto::Requirements {
                capabilities: texts(&compatibility["require"]["capabilities"]),
                version: version.is_object().then(|| proto::VersionRange {
                    min: version["min"].as_str().map(str::to_owned),
                    max: version["max"].as_str().map(str::to_owned),
                }),
            }),
        }),
        pool: document["pool"].is_object().then(|| proto::Pool {
            max_sessions: small(&document["pool"]["max_sessions"]),
            queue_length: small(&document["pool"]["queue_length"]),
        }),
        profile: text(&document["profile"]),
        partial: document["partial"].as_str().map_or(0, |word| {
            member(proto::PartialDefault::from_str_name, "PARTIAL_DEFAULT", word).into()
        }),
        timeouts: document["timeouts"].is_object().then(|| proto::Timeouts {
            connect_seconds: small(&document["timeouts"]["connect_seconds"]),
            rpc_seconds: small(&document["timeouts"]["rpc_seconds"]),
            commit_seconds: small(&document["timeouts"]["commit_seconds"]),
            keepalive_seconds: small(&document["timeouts"]["keepalive_seconds"]),
            auth_retry_seconds: small(&document["timeouts"]["auth_retry_seconds"]),
        }),
        labels: document["labels"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        ..proto::Device::default()
    }
}

fn auth(document: &Value) -> Option<proto::Auth> {
    let text = |name: &str| document[name].as_str().map(str::to_owned);
    let answer = |value: &Value| proto::PromptAnswer {
        prompt: value["prompt"].as_str().unwrap_or_default().to_owned(),
        answer: value["answer"].as_str().unwrap_or_default().to_owned(),
    };
    document.is_object().then(|| proto::Auth {
        password: text("password"),
        private_key: text("private_key"),
        passphrase: text("passphrase"),
        keyboard_interactive: document["keyboard_interactive"]
            .as_array()
            .into_iter()
            .flatten()
            .map(answer)
            .collect(),
    })
}

/// The paths of a mask that names what a patch holds.
pub fn paths(patch: &Value) -> Vec<String> {
    fn below(value: &Value, path: &str, paths: &mut Vec<String>) {
        match value.as_object() {
            Some(members) if path != "auth.keyboard_interactive" => {
                for (name, value) in members {
                    let path = if path.is_empty() {
                        name.clone()
                    } else {
                        format!("{path}.{name}")
                    };
                    below(value, &path, paths);
                }
            }
            _ => paths.push(path.to_owned()),
        }
    }
    let mut paths = Vec::new();
    below(patch, "", &mut paths);
    paths
}

fn capability(capability: &proto::Capability) -> Value {
    given(json!({"uri": capability.uri, "name": capability.name}))
}

fn software(software: &proto::Software) -> Value {
    given(json!({
        "member": software.member,
        "host_name": software.host_name,
        "product_name": software.product_name,
        "product_model": software.product_model,
        "version": software.version,
        "build_date": software.build_date,
    }))
}

fn compatibility(verdict: Option<proto::CompatibilityVerdict>) -> Value {
    let verdict = verdict.expect("a verdict");
    json!({"policy": verdict.policy, "compatible": verdict.compatible, "missing": verdict.missing})
}

pub fn check(report: proto::CheckDeviceResponse) -> Value {
    let hello = report.hello.expect("a hello");
    let ssh = report.ssh.map(|ssh| {
        json!({
            "kex": ssh.kex,
            "cipher": ssh.cipher,
            "mac": ssh.mac,
            "host_key_algorithm": ssh.host_key_algorithm,
            "host_key_fingerprint": ssh.host_key_fingerprint,
        })
    });
    let step = |step: &proto::Step| json!({"name": step.name, "duration_ms": step.duration_ms});
    json!({
        "device": report.device,
        "hello": {"session_id": hello.session_id, "base": hello.base},
        "capabilities": report.capabilities.iter().map(capability).collect::<Vec<_>>(),
        "software": report.software.iter().map(software).collect::<Vec<_>>(),
        "compatibility": compatibility(report.compatibility),
        "ssh": ssh,
        "steps": report.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

pub fn capabilities(view: proto::GetCapabilitiesResponse) -> Value {
    let module = |module: &proto::YangModule| {
        let mut shown = given(json!({
            "name": module.name,
            "revision": module.revision,
            "namespace": module.namespace,
        }));
        for (name, list) in [("features", &module.features), ("deviations", &module.deviations)] {
            if !list.is_empty() {
                shown[name] = json!(list);
            }
        }
        shown
    };
    json!({
        "device": view.device,
        "capabilities": view.capabilities.iter().map(capability).collect::<Vec<_>>(),
        "url_schemes": view.url_schemes,
        "modules": view.modules.iter().map(module).collect::<Vec<_>>(),
        "software": view.software.iter().map(software).collect::<Vec<_>>(),
        "compatibility": compatibility(view.compatibility),
    })
}

pub fn schemas(list: proto::ListSchemasResponse) -> Value {
    let schema = |schema: &proto::Schema| {
        given(json!({
            "identifier": schema.identifier,
            "version": schema.version,
            "format": schema.format,
            "namespace": schema.namespace,
        }))
    };
    json!({"schemas": list.schemas.iter().map(schema).collect::<Vec<_>>(), "source": list.source})
}

pub fn sessions(list: proto::ListSessionsResponse) -> Value {
    let session = |session: &proto::Session| {
        given(json!({
            "session_id": session.session_id,
            "ours": session.ours,
            "username": session.username,
            "source_host": session.source_host,
            "login_time": session.login_time,
            "state": session.state,
        }))
    };
    json!({
        "sessions": list.sessions.iter().map(session).collect::<Vec<_>>(),
        "device_reports": list.device_reports,
    })
}
