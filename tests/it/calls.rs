//! Every service call is there through REST, through gRPC and on the command line, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use clap::CommandFactory;
use ncgate::api::grpc::proto;
use ncgate::cli::Cli;
use ncgate::service::calls::CALLS;
use prost::Message;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tonic::codegen::http::uri::PathAndQuery;

use crate::support::doors::{DOORS, good};
use crate::support::{TestGateway, answer, junos};

/// What each call needs as a body to get past the first look at it.
fn body(call: &str) -> Value {
    match call {
        "create_device" => {
            json!({"name": "new", "address": "127.0.0.1", "username": "u", "auth": {"password": "p"}})
        }
        "call_rpc" => json!({"rpc": {"get-chassis-inventory": null}}),
        "batch_rpcs" => json!({"rpcs": [{"rpc": {"get-chassis-inventory": null}}]}),
        "run_cli" => json!({"command": "show version"}),
        "copy_config" => json!({"source": "running", "target": "candidate"}),
        "delete_config" => json!({"target": "startup"}),
        "create_change" => json!({"edits": [{"format": "set", "config": "set snmp contact east"}]}),
        "apply_edit" => json!({"format": "set", "config": "delete snmp contact"}),
        "call_edit_session_rpc" => json!({"rpc": {"get-chassis-inventory": null}}),
        "extend_confirmed_commit" => json!({"confirm_timeout_seconds": 600}),
        "discard_candidate" => json!({"expect_diff_sha256": "0".repeat(64)}),
        _ => json!({}),
    }
}

/// Calls that end what others need, in this order after all others.
const LAST: [&str; 4] = [
    "delete_edit_session",
    "discard_candidate",
    "kill_session",
    "delete_device",
];

/// Issue, "What is true" 3: each row of the table is reachable by REST.
#[tokio::test]
async fn every_call_has_a_route() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let document = gateway.read("/openapi.json").await;
    let last = LAST.map(|name| CALLS.iter().find(|call| call.name == name).expect(name));
    let others = CALLS.iter().filter(|call| !LAST.contains(&call.name));
    // The change or edit session that was made last.
    let mut made = Value::Null;
    for call in others.chain(last) {
        let (method, path) = call.rest.split_once(' ').expect("method and path");
        let described = &document["paths"][path][method.to_lowercase()];
        assert!(
            described.is_object(),
            "{} is not in the OpenAPI document",
            call.rest
        );
        let name = if path.contains("/schemas/") {
            "any"
        } else {
            "get-chassis-inventory"
        };
        let mut target = path.replace("{device}", "mx1").replace("{name}", name);
        target = target.replace("{id}", made["id"].as_str().unwrap_or("none"));
        target = target.replace("{session_id}", &made["session_id"].to_string());
        if call.name == "get_cli_rpc" {
            target.push_str("?command=show+version");
        }
        let method: Method = method.parse().expect("a method");
        let mut request = gateway.request(method.clone(), &target);
        if method == Method::POST && call.name != "check_device" {
            request = request.json(&body(call.name));
        } else if method == Method::PATCH {
            request = request
                .header("Content-Type", "application/merge-patch+json")
                .body("{}");
        }
        if call.name == "list_events" {
            // Otherwise they come for as long as one likes.
            request = request.header("Accept", "application/json");
        }
        let (status, body) = answer(request).await;
        let expected = match call.name {
            "create_device" | "create_change" | "create_edit_session" => StatusCode::CREATED,
            "delete_device" | "delete_edit_session" => StatusCode::NO_CONTENT,
            // A Junos device without RFC 6022 hands out no schema, and without :startup there is none to delete.
            "get_schema" | "delete_config" => StatusCode::NOT_IMPLEMENTED,
            // There is one for each change, and none of the id of an edit session.
            "get_operation" => StatusCode::NOT_FOUND,
            // It was committed already.
            "cancel_change" => StatusCode::CONFLICT,
            // There is none: the change was a plain one.
            name if name.ends_with("_confirmed_commit") => {
                let words = body["detail"].as_str().unwrap_or_default();
                assert!(words.starts_with("there is no confirmed commit"), "{body}");
                StatusCode::NOT_FOUND
            }
            _ => StatusCode::OK,
        };
        assert_eq!(status, expected, "{}: {body}", call.name);
        if ["create_change", "create_edit_session"].contains(&call.name) {
            made = body;
        }
    }
}

/// The table tells all: no operation of the OpenAPI document below `/v1` is missing from it.
#[tokio::test]
async fn every_route_is_in_the_table() {
    let gateway = TestGateway::start().await;
    let document = gateway.read("/openapi.json").await;
    let listed: BTreeSet<String> = CALLS.iter().map(|call| call.rest.to_owned()).collect();
    let paths = document["paths"].as_object().expect("paths");
    for (path, operations) in paths.iter().filter(|(path, _)| path.starts_with("/v1/")) {
        for method in operations.as_object().expect("operations").keys() {
            let row = format!("{} {path}", method.to_uppercase());
            assert!(listed.contains(&row), "{row} is not in the table");
        }
    }
}

/// Service and method of every RPC in the descriptors of reflection, and whether it streams.
fn methods() -> BTreeMap<String, bool> {
    let set = prost_types::FileDescriptorSet::decode(proto::DESCRIPTORS).expect("descriptors");
    set.file
        .iter()
        .filter(|file| file.package() == "ncgate.v1")
        .flat_map(|file| &file.service)
        .flat_map(|service| {
            service.method.iter().map(|method| {
                let name = format!("{}/{}", service.name(), method.name());
                (name, method.server_streaming())
            })
        })
        .collect()
}

/// Each row is a method of the descriptors and is served; each method is in the table or streams what one in it
/// answers at once.
#[tokio::test]
async fn every_call_has_a_grpc_method() {
    let gateway = TestGateway::start().await;
    let methods = methods();
    let mut client = tonic::client::Grpc::new(gateway.channel());
    for name in methods.keys() {
        client.ready().await.expect("a connection");
        let path: PathAndQuery = format!("/ncgate.v1.{name}").parse().expect("a path");
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let status = match client
            .server_streaming(tonic::Request::new(()), path, codec)
            .await
        {
            Ok(answer) => answer.into_inner().message().await.err(),
            Err(status) => Some(status),
        };
        // An empty message is refused by most; none may be unknown.
        assert_ne!(
            status.map(|status| status.code()),
            Some(tonic::Code::Unimplemented),
            "{name}"
        );
    }
    let listed: BTreeSet<&str> = CALLS.iter().map(|call| call.grpc).collect();
    for call in &listed {
        assert_eq!(
            methods.get(*call),
            Some(&false),
            "{call} is not in the descriptors"
        );
    }
    for (method, streams) in &methods {
        let twin = method.replace("/Stream", "/");
        assert!(listed.contains(twin.as_str()), "{method} is not in the table");
        assert_eq!(*streams, twin != *method, "{method}");
    }
}

/// Each row is a command, with the flag where there is one.
#[test]
fn every_call_has_a_command() {
    for call in CALLS {
        let mut command = Cli::command();
        for word in call.cli.split(' ') {
            match word.strip_prefix("--") {
                Some(flag) => assert!(
                    command
                        .get_arguments()
                        .any(|argument| argument.get_long() == Some(flag)),
                    "{}: no {word}",
                    call.cli
                ),
                None => {
                    command = command
                        .find_subcommand(word)
                        .unwrap_or_else(|| panic!("{}: no {word}", call.cli))
                        .clone();
                }
            }
        }
        assert!(
            command
                .get_arguments()
                .any(|argument| argument.get_long() == Some("server")),
            "{} asks no gateway",
            call.cli
        );
    }
}

/// Both doors serve the same gateway: what one made, the other sees.
#[tokio::test]
async fn both_doors_open_on_the_same_gateway() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let mut ids = BTreeSet::new();
    for door in DOORS {
        let list = good(door, gateway.list(door, &[]).await);
        assert_eq!(list["devices"][0]["name"], "mx1");
        ids.insert(good(door, gateway.config(door, "mx1", &[]).await)["session_id"].as_u64());
    }
    assert_eq!(ids.len(), 1, "one pool");
}
