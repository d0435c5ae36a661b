//! Where the parts of a request stand in its message (M4). The service tells what is wrong by its own words, which are
//! those of JSON; callers of gRPC are told the field of the message, as `google.rpc.BadRequest` wants it.
//!
//! What is found wrong on the way into the service is told by its field from the start: such places begin with neither
//! `/` nor `?`, and stay as they are.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message;
use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::Label;

use super::proto;
use crate::error::Error;

/// Fields whose members the service takes for parts of the request itself. Empty: the request.
const HOLDERS: [&str; 8] = [
    "",
    "edit",
    "query",
    "query.junos",
    "output",
    "rpc",
    "device",
    "options",
];
/// JSON or XML for a device: what is in it has no field.
const TEXT: &str = "Payload";
/// Stands between a field and a place in its text, as it does in a URI.
const INSIDE: char = '#';

/// One field of a message.
struct Field {
    /// Its type, if that is one of our messages.
    message: Option<String>,
    repeated: bool,
}

impl Field {
    /// Whether its members are told by their names, which may look like numbers: a map, or attributes, which to the
    /// service are one.
    fn is_named(&self) -> bool {
        let message = self.message.as_deref();
        message.is_some_and(|message| message == "Attribute" || message.ends_with("Entry"))
    }
}

/// The fields of every message of `ncgate.v1`, by their names.
static MESSAGES: LazyLock<HashMap<String, HashMap<String, Field>>> = LazyLock::new(|| {
    let files =
        FileDescriptorSet::decode(proto::DESCRIPTORS).expect("the descriptors were written by our own build");
    let ours = files
        .file
        .into_iter()
        .filter(|file| file.package() == "ncgate.v1");
    let messages = ours.flat_map(|file| file.message_type);
    messages
        .map(|message| {
            let name = message.name().to_owned();
            let fields = message.field.into_iter().map(|field| {
                let of = field.type_name().strip_prefix(".ncgate.v1.").map(str::to_owned);
                let repeated = field.label() == Label::Repeated;
                (
                    field.name().to_owned(),
                    Field {
                        message: of,
                        repeated,
                    },
                )
            });
            (name, fields.collect())
        })
        .collect()
});

/// The failure of a method (`Service/Method`) with its places as the request of that method has them.
pub fn told(method: &str, error: Error) -> Error {
    if error.fields().is_empty() {
        return error;
    }
    let name = method.rsplit('/').next().unwrap_or(method);
    let request = format!("{name}Request");
    error.with_places(|place| in_message(&request, place))
}

/// The field of a violation, and where in its text, if it has one: a JSON pointer.
pub fn split(place: &str) -> (&str, Option<&str>) {
    match place.split_once(INSIDE) {
        Some((field, inside)) => (field, Some(inside)),
        None => (place, None),
    }
}

/// A place in words.
pub fn words(place: &str) -> String {
    match split(place) {
        (field, Some(inside)) => format!("{field} ({inside})"),
        (field, None) => field.to_owned(),
    }
}

fn in_message(request: &str, place: &str) -> String {
    let Some(path) = place.strip_prefix(['/', '?']) else {
        return place.to_owned();
    };
    let tokens: Vec<&str> = path.split('/').collect();
    let found = HOLDERS.iter().find_map(|holder| walk(request, holder, &tokens));
    // A place of no message is told as it is.
    let (field, used) = found.unwrap_or_else(|| (path.replace('/', "."), tokens.len()));
    match &tokens[used..] {
        [] => field,
        inside => format!("{field}{INSIDE}/{}", inside.join("/")),
    }
}

/// As far as the tokens name fields below `holder`: the field, and how many tokens that were.
fn walk(request: &str, holder: &str, tokens: &[&str]) -> Option<(String, usize)> {
    let mut message = request;
    for name in holder.split('.').filter(|name| !name.is_empty()) {
        message = MESSAGES.get(message)?.get(name)?.message.as_deref()?;
    }
    let mut path = holder.to_owned();
    let mut used = 0;
    while let Some(token) = tokens.get(used) {
        let name = called(message, token);
        let Some(field) = MESSAGES.get(message).and_then(|fields| fields.get(name)) else {
            break;
        };
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
        used += 1;
        if field.repeated
            && !field.is_named()
            && let Some(index) = tokens.get(used).and_then(|token| token.parse::<usize>().ok())
        {
            path.push_str(&format!("[{index}]"));
            used += 1;
        }
        match field.message.as_deref() {
            None | Some(TEXT) => break,
            // An RPC is to the service what its body is here.
            Some("Rpc") if *token == "rpc" => {
                path.push_str(".body");
                break;
            }
            Some(next) => message = next,
        }
    }
    (used > 0).then_some((path, used))
}

/// What the messages call a part of the request that the service calls `token`.
fn called<'a>(message: &str, token: &'a str) -> &'a str {
    match (message, token) {
        ("Edit", "config") => "content",
        ("Rpc", "rpc") => "body",
        ("ConfigQuery", "xpath_namespace") => "xpath_namespaces",
        (_, token) => token,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::calls::CALLS;

    /// M4: the words of the service are fields of the message.
    #[test]
    fn places_are_fields_of_the_request() {
        for (request, place, expected) in [
            ("CallRpc", "/rpc", "rpc.body"),
            ("CallRpc", "/rpc/a b/0", "rpc.body#/a b/0"),
            ("CallRpc", "/rpc/body/x~1y", "rpc.body#/body/x~1y"),
            ("CallRpc", "/attributes/message-id", "rpc.attributes#/message-id"),
            ("CallRpc", "/attributes/0", "rpc.attributes#/0"),
            ("CallNamedRpc", "/attributes/7", "rpc.attributes#/7"),
            ("CallRpc", "?format", "output.format"),
            ("CallRpc", "?plan", "plan"),
            ("CallEditSessionRpc", "/rpc/a", "rpc.body#/a"),
            ("CallNamedRpc", "/name", "rpc.name"),
            ("CallNamedRpc", "/rpc", "rpc"),
            ("CallNamedRpc", "/arguments/a/0", "rpc.arguments#/a/0"),
            ("BatchRpcs", "/rpcs", "rpcs"),
            ("BatchRpcs", "/rpcs/2/rpc", "rpcs[2].body"),
            ("BatchRpcs", "/rpcs/2/rpc/a", "rpcs[2].body#/a"),
            ("BatchRpcs", "/rpcs/0/attributes/x", "rpcs[0].attributes#/x"),
            ("RunCli", "/command", "command"),
            ("GetConfig", "?source", "query.source"),
            ("GetConfig", "/filter/system/0", "query.filter#/system/0"),
            ("GetConfig", "?matching", "query.junos.matching"),
            ("GetConfig", "?mapping", "output.mapping"),
            ("StreamGetEditSessionConfig", "?path", "query.path"),
            ("GetSchema", "?format", "format"),
            ("ApplyEdit", "/config/system", "edit.content#/system"),
            ("ApplyEdit", "/action", "edit.action"),
            (
                "CreateChange",
                "/edits/0/config/system/1",
                "edits[0].content#/system/1",
            ),
            ("CreateChange", "/edits/3/url", "edits[3].url"),
            (
                "CreateChange",
                "/edits/0/replace_pattern/path",
                "edits[0].replace_pattern.path",
            ),
            ("CreateChange", "/commit/at", "commit.at"),
            ("CommitEditSession", "/comment", "options.comment"),
            ("CopyConfig", "/source/config/b", "source.config#/b"),
            (
                "CreateDevice",
                "/timeouts/rpc_seconds",
                "device.timeouts.rpc_seconds",
            ),
            (
                "UpdateDevice",
                "/proxy_jump/1/host_key/keys/0",
                "device.proxy_jump[1].host_key.keys[0]",
            ),
            ("GetConfig", "?xpath_namespace", "query.xpath_namespaces"),
            ("CreateDevice", "/labels/a~1b", "device.labels#/a~1b"),
            ("CreateDevice", "/labels/0", "device.labels#/0"),
            ("CreateDevice", "/auth/password", "device.auth.password"),
            ("ListDevices", "?page_size", "page_size"),
            ("KillSession", "/force", "force"),
            ("GetDevice", "/no/such", "no.such"),
            ("GetDevice", "grpc-timeout", "grpc-timeout"),
            ("GetDevice", "", ""),
            ("ApplyEdit", "edit.rescue", "edit.rescue"),
        ] {
            let request = format!("{request}Request");
            assert_eq!(in_message(&request, place), expected, "{request} {place}");
        }
        assert_eq!(split("rpc.body#/a/0"), ("rpc.body", Some("/a/0")));
        assert_eq!(words("rpc.body#/a/0"), "rpc.body (/a/0)");
        assert_eq!(words("command"), "command");
    }

    /// Every method has a request of its name (G1), or its places would not be found.
    #[test]
    fn every_method_has_its_request() {
        for call in CALLS {
            let method = call.grpc.rsplit('/').next().expect("a method");
            assert!(
                MESSAGES.contains_key(&format!("{method}Request")),
                "{}",
                call.grpc
            );
        }
    }
}
