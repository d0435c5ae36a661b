//! The one table of service calls: each with its REST route, gRPC method and CLI verb. Tests hold both front ends and
//! the command line against it.

use super::call::Role;

/// One thing that callers can have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceCall {
    /// The method of [`super::Gateway`].
    pub name: &'static str,
    /// Method and path, with parameters in braces.
    pub rest: &'static str,
    /// `service/method` in the package `ncgate.v1`.
    pub grpc: &'static str,
    /// What follows `ncgate` on the command line.
    pub cli: &'static str,
    /// The least role that may call it.
    pub role: Role,
    /// Whether the call can change a device.
    pub mutates: bool,
}

const fn call(
    name: &'static str,
    rest: &'static str,
    grpc: &'static str,
    cli: &'static str,
    role: Role,
    mutates: bool,
) -> ServiceCall {
    ServiceCall {
        name,
        rest,
        grpc,
        cli,
        role,
        mutates,
    }
}

/// Every service call. `call_rpc` can change a device: an operational RPC that is not on the read-only list needs the
/// role `configure`, which the call itself decides.
pub const CALLS: &[ServiceCall] = &[
    call(
        "create_device",
        "POST /v1/devices",
        "DeviceService/CreateDevice",
        "device add",
        Role::Admin,
        false,
    ),
    call(
        "list_devices",
        "GET /v1/devices",
        "DeviceService/ListDevices",
        "device list",
        Role::Read,
        false,
    ),
    call(
        "get_device",
        "GET /v1/devices/{device}",
        "DeviceService/GetDevice",
        "device get",
        Role::Read,
        false,
    ),
    call(
        "update_device",
        "PATCH /v1/devices/{device}",
        "DeviceService/UpdateDevice",
        "device update",
        Role::Admin,
        false,
    ),
    call(
        "delete_device",
        "DELETE /v1/devices/{device}",
        "DeviceService/DeleteDevice",
        "device remove",
        Role::Admin,
        false,
    ),
    call(
        "check_device",
        "POST /v1/devices/{device}/check",
        "DeviceService/CheckDevice",
        "device check",
        Role::Operate,
        false,
    ),
    call(
        "get_capabilities",
        "GET /v1/devices/{device}/capabilities",
        "DeviceService/GetCapabilities",
        "device capabilities",
        Role::Read,
        false,
    ),
    call(
        "list_schemas",
        "GET /v1/devices/{device}/schemas",
        "DeviceService/ListSchemas",
        "device schemas",
        Role::Read,
        false,
    ),
    call(
        "get_schema",
        "GET /v1/devices/{device}/schemas/{name}",
        "DeviceService/GetSchema",
        "device schema",
        Role::Read,
        false,
    ),
    call(
        "list_sessions",
        "GET /v1/devices/{device}/sessions",
        "DeviceService/ListSessions",
        "device sessions",
        Role::Read,
        false,
    ),
    call(
        "call_rpc",
        "POST /v1/devices/{device}/rpc",
        "RpcService/CallRpc",
        "rpc",
        Role::Read,
        true,
    ),
    call(
        "call_named_rpc",
        "POST /v1/devices/{device}/rpc/{name}",
        "RpcService/CallNamedRpc",
        "rpc",
        Role::Read,
        true,
    ),
    call(
        "read_named_rpc",
        "GET /v1/devices/{device}/rpc/{name}",
        "RpcService/ReadNamedRpc",
        "rpc",
        Role::Read,
        false,
    ),
    call(
        "batch_rpcs",
        "POST /v1/devices/{device}/rpc",
        "RpcService/BatchRpcs",
        "batch",
        Role::Read,
        false,
    ),
    call(
        "run_cli",
        "POST /v1/devices/{device}/cli",
        "RpcService/RunCli",
        "cli",
        Role::Read,
        true,
    ),
    call(
        "get_cli_rpc",
        "GET /v1/devices/{device}/cli/rpc",
        "RpcService/GetCliRpc",
        "cli --rpc",
        Role::Read,
        false,
    ),
    call(
        "get_config",
        "GET /v1/devices/{device}/config",
        "ConfigService/GetConfig",
        "config get",
        Role::Read,
        false,
    ),
    call(
        "compare_config",
        "GET /v1/devices/{device}/config/compare",
        "ConfigService/CompareConfig",
        "config compare",
        Role::Read,
        false,
    ),
    call(
        "copy_config",
        "POST /v1/devices/{device}/config/copy",
        "ConfigService/CopyConfig",
        "config copy",
        Role::Configure,
        true,
    ),
    call(
        "delete_config",
        "POST /v1/devices/{device}/config/delete",
        "ConfigService/DeleteConfig",
        "config delete",
        Role::Configure,
        true,
    ),
    call(
        "validate_config",
        "POST /v1/devices/{device}/config/validate",
        "ConfigService/ValidateConfig",
        "config validate",
        Role::Configure,
        true,
    ),
    call(
        "save_rescue_config",
        "POST /v1/devices/{device}/config/rescue",
        "ConfigService/SaveRescueConfig",
        "config rescue",
        Role::Configure,
        true,
    ),
    call(
        "create_change",
        "POST /v1/devices/{device}/changes",
        "ChangeService/CreateChange",
        "change create",
        Role::Configure,
        true,
    ),
    call(
        "list_changes",
        "GET /v1/devices/{device}/changes",
        "ChangeService/ListChanges",
        "change list",
        Role::Read,
        false,
    ),
    call(
        "get_change",
        "GET /v1/devices/{device}/changes/{id}",
        "ChangeService/GetChange",
        "change get",
        Role::Read,
        false,
    ),
    call(
        "cancel_change",
        "POST /v1/devices/{device}/changes/{id}/cancel",
        "ChangeService/CancelChange",
        "change cancel",
        Role::Configure,
        true,
    ),
    call(
        "create_edit_session",
        "POST /v1/devices/{device}/edit-sessions",
        "EditSessionService/CreateEditSession",
        "edit-session open",
        Role::Configure,
        true,
    ),
    call(
        "list_edit_sessions",
        "GET /v1/devices/{device}/edit-sessions",
        "EditSessionService/ListEditSessions",
        "edit-session list",
        Role::Read,
        false,
    ),
    call(
        "get_edit_session",
        "GET /v1/devices/{device}/edit-sessions/{id}",
        "EditSessionService/GetEditSession",
        "edit-session get",
        Role::Read,
        false,
    ),
    call(
        "delete_edit_session",
        "DELETE /v1/devices/{device}/edit-sessions/{id}",
        "EditSessionService/DeleteEditSession",
        "edit-session close",
        Role::Configure,
        true,
    ),
    call(
        "apply_edit",
        "POST /v1/devices/{device}/edit-sessions/{id}/edit",
        "EditSessionService/ApplyEdit",
        "edit-session edit",
        Role::Configure,
        true,
    ),
    call(
        "validate_edit_session",
        "POST /v1/devices/{device}/edit-sessions/{id}/validate",
        "EditSessionService/ValidateEditSession",
        "edit-session validate",
        Role::Configure,
        true,
    ),
    call(
        "discard_edit_session",
        "POST /v1/devices/{device}/edit-sessions/{id}/discard",
        "EditSessionService/DiscardEditSession",
        "edit-session discard",
        Role::Configure,
        true,
    ),
    call(
        "commit_edit_session",
        "POST /v1/devices/{device}/edit-sessions/{id}/commit",
        "EditSessionService/CommitEditSession",
        "edit-session commit",
        Role::Configure,
        true,
    ),
    call(
        "renew_edit_session",
        "POST /v1/devices/{device}/edit-sessions/{id}/renew",
        "EditSessionService/RenewEditSession",
        "edit-session renew",
        Role::Configure,
        false,
    ),
    call(
        "call_edit_session_rpc",
        "POST /v1/devices/{device}/edit-sessions/{id}/rpc",
        "EditSessionService/CallEditSessionRpc",
        "edit-session rpc",
        Role::Configure,
        true,
    ),
    call(
        "get_edit_session_config",
        "GET /v1/devices/{device}/edit-sessions/{id}/config",
        "EditSessionService/GetEditSessionConfig",
        "edit-session config",
        Role::Configure,
        false,
    ),
    call(
        "diff_edit_session",
        "GET /v1/devices/{device}/edit-sessions/{id}/diff",
        "EditSessionService/DiffEditSession",
        "edit-session diff",
        Role::Configure,
        false,
    ),
    call(
        "list_confirmed_commits",
        "GET /v1/confirmed-commits",
        "ConfirmedCommitService/ListConfirmedCommits",
        "confirmed-commit list",
        Role::Read,
        false,
    ),
    call(
        "get_confirmed_commit",
        "GET /v1/confirmed-commits/{id}",
        "ConfirmedCommitService/GetConfirmedCommit",
        "confirmed-commit get",
        Role::Read,
        false,
    ),
    call(
        "confirm_confirmed_commit",
        "POST /v1/confirmed-commits/{id}/confirm",
        "ConfirmedCommitService/ConfirmConfirmedCommit",
        "confirmed-commit confirm",
        Role::Configure,
        true,
    ),
    call(
        "cancel_confirmed_commit",
        "POST /v1/confirmed-commits/{id}/cancel",
        "ConfirmedCommitService/CancelConfirmedCommit",
        "confirmed-commit cancel",
        Role::Configure,
        true,
    ),
    call(
        "extend_confirmed_commit",
        "POST /v1/confirmed-commits/{id}/extend",
        "ConfirmedCommitService/ExtendConfirmedCommit",
        "confirmed-commit extend",
        Role::Configure,
        true,
    ),
    call(
        "list_operations",
        "GET /v1/operations",
        "OperationService/ListOperations",
        "operation list",
        Role::Read,
        false,
    ),
    call(
        "get_operation",
        "GET /v1/operations/{id}",
        "OperationService/GetOperation",
        "operation get",
        Role::Read,
        false,
    ),
    call(
        "list_locks",
        "GET /v1/devices/{device}/locks",
        "DeviceService/ListLocks",
        "device locks",
        Role::Read,
        false,
    ),
    call(
        "kill_session",
        "POST /v1/devices/{device}/sessions/{session_id}/kill",
        "DeviceService/KillSession",
        "device kill-session",
        Role::Admin,
        true,
    ),
    call(
        "discard_candidate",
        "POST /v1/devices/{device}/candidate/discard",
        "DeviceService/DiscardCandidate",
        "device discard-candidate",
        Role::Admin,
        true,
    ),
    call(
        "list_events",
        "GET /v1/events",
        "EventService/ListEvents",
        "event list",
        Role::Read,
        false,
    ),
    call(
        "get_status",
        "GET /v1/status",
        "StatusService/GetStatus",
        "status",
        Role::Read,
        false,
    ),
    call(
        "get_version",
        "GET /v1/version",
        "StatusService/GetVersion",
        "version",
        Role::Read,
        false,
    ),
];

/// Where what a call is about can be looked at: the longest beginning of its path that is read with GET. `arguments` stand
/// for the names in braces, in order.
pub fn looked_at(name: &str, arguments: &[&str]) -> Option<String> {
    let call = CALLS.iter().find(|call| call.name == name)?;
    let (_, mut path) = call.rest.split_once(' ')?;
    while !CALLS
        .iter()
        .any(|other| other.rest.strip_prefix("GET ") == Some(path))
    {
        path = path.rsplit_once('/')?.0;
    }
    let mut arguments = arguments.iter();
    let segments = path.split('/').map(|segment| match segment.starts_with('{') {
        true => arguments.next().copied(),
        false => Some(segment),
    });
    Some(segments.collect::<Option<Vec<&str>>>()?.join("/"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// H7: what is about a resource of its own leads there, anything else to the device.
    #[test]
    fn calls_lead_to_what_they_are_about() {
        for (name, arguments, expected) in [
            ("call_rpc", &["mx1"][..], "/v1/devices/mx1"),
            ("copy_config", &["mx1"], "/v1/devices/mx1/config"),
            ("apply_edit", &["mx1", "01"], "/v1/devices/mx1/edit-sessions/01"),
            ("kill_session", &["mx1", "7"], "/v1/devices/mx1/sessions"),
            ("confirm_confirmed_commit", &["02"], "/v1/confirmed-commits/02"),
        ] {
            assert_eq!(looked_at(name, arguments).as_deref(), Some(expected), "{name}");
        }
        for call in CALLS.iter().filter(|call| call.mutates) {
            assert!(looked_at(call.name, &["a", "b", "c"]).is_some(), "{}", call.name);
        }
        assert_eq!(looked_at("apply_edit", &["mx1"]), None, "an argument is missing");
    }

    /// S10, S11
    #[test]
    fn no_cell_of_the_table_is_empty() {
        let mut names = BTreeSet::new();
        for call in CALLS {
            assert!(names.insert(call.name), "{} stands twice", call.name);
            for (cell, value) in [("rest", call.rest), ("grpc", call.grpc), ("cli", call.cli)] {
                assert!(!value.trim().is_empty(), "{} has no {cell}", call.name);
            }
            let (method, path) = call.rest.split_once(' ').expect("method and path");
            assert!(
                ["GET", "POST", "PATCH", "DELETE"].contains(&method),
                "{}",
                call.rest
            );
            assert!(path.starts_with("/v1/"), "{}", call.rest);
            assert_eq!(call.grpc.split('/').count(), 2, "{}", call.grpc);
        }
    }
}
