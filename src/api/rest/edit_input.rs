//! The bodies of the write path: what the OpenAPI document says of them, and how they are read (design sections 4
//! to 6).

use utoipa::ToSchema;

use super::config::ProtocolName;
use super::json::Object;
use super::probe_input::{ProbeInput, read_probe};
use super::problem::ApiError;
use super::rpc_input::body_switch;
use crate::netconf::datastore::Datastore;
use crate::service::edit::request::{
    Action, ChangeRequest, CommitOptions, CommitRequest, ConfirmRequest, DiscardCandidateRequest,
    DiscardRequest, Edit, EditBody, EditFormat, EditRequest, ErrorOption, ExtendRequest, KillRequest, Mode,
    OpenEditSession, Protocol, TestOption, ValidateRequest,
};

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum ActionName {
    Merge,
    Replace,
    Override,
    Update,
    Set,
    None,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum EditFormatName {
    Json,
    Xml,
    Text,
    Set,
    DeviceJson,
}

#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub enum ErrorOptionName {
    StopOnError,
    ContinueOnError,
    RollbackOnError,
}

#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub enum TestOptionName {
    TestThenSet,
    Set,
    TestOnly,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum ModeName {
    Exclusive,
    Private,
    Ephemeral,
    Shared,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum DatastoreName {
    Candidate,
    Running,
    Startup,
}

/// One edit: exactly one of `config`, `url`, `rollback`, `rescue` and `replace_pattern`.
#[derive(ToSchema)]
#[schema(example = json!({"config": {"system": {"host-name": "mx1"}}}))]
pub struct EditInput {
    /// What is done to what is there. Default: `set` when `format` is `set`, else `merge`.
    pub action: Option<ActionName>,
    /// What `config` is. Default: `json`.
    pub format: Option<EditFormatName>,
    /// With `replace`: the part of `config` that takes the place of what the device has there, `system/login`. `config`
    /// begins at the root all the same.
    pub path: Option<String>,
    /// An object with `json`; with `xml`, `text` and `set` a string; with `device_json` either.
    #[schema(value_type = Option<Object>)]
    pub config: Option<serde_json::Value>,
    /// Where the device fetches the configuration.
    pub url: Option<String>,
    /// An earlier configuration (Junos).
    #[schema(maximum = 49)]
    pub rollback: Option<u32>,
    /// The rescue configuration (Junos).
    pub rescue: Option<bool>,
    pub replace_pattern: Option<ReplacePatternInput>,
    /// The caller knows that the whole configuration is replaced; `override` and `update` need it.
    pub whole_configuration: Option<bool>,
    /// In mode `shared`, of an edit that takes the place of everything (`rollback`, `rescue`, `override`, `update`): what
    /// others left in the candidate goes as well.
    pub discard_others: Option<bool>,
    pub error_option: Option<ErrorOptionName>,
    pub test_option: Option<TestOptionName>,
    /// Whose operation edits. Default: what the device offers.
    pub protocol: Option<ProtocolName>,
    /// Show the XML that would be sent, and send nothing; not within a change.
    pub plan: Option<bool>,
}

/// Text is replaced wherever a regular expression matches (Junos).
#[derive(ToSchema)]
pub struct ReplacePatternInput {
    pub pattern: String,
    pub with: String,
    /// Only below this level.
    pub path: Option<String>,
}

/// How a commit is made. All of it optional.
#[derive(ToSchema)]
#[schema(example = json!({"comment": "add vlan 17"}))]
pub struct CommitInput {
    /// For the device's history (Junos).
    pub comment: Option<String>,
    /// The device commits by itself at this time, in its own notation and time zone: `23:15`, `2026-01-02 23:15`,
    /// `reboot` (Junos); in a change only.
    pub at: Option<String>,
    /// On all routing engines (Junos).
    pub synchronize: Option<bool>,
    /// Even if another routing engine holds uncommitted changes (Junos).
    pub force_synchronize: Option<bool>,
    /// All daemons read the configuration again, changed or not (Junos).
    pub full: Option<bool>,
    /// Copy running to startup afterwards, also when there was nothing to commit. Default: what was committed, where the
    /// device has a startup datastore.
    pub save: Option<bool>,
    /// The device undoes the commit unless it is confirmed within so many seconds.
    #[schema(minimum = 1)]
    pub confirm_timeout_seconds: Option<u64>,
    /// Also when somebody else's confirmed commit is pending, which this one confirms; admins only.
    pub confirm_others: Option<bool>,
    /// Confirms or cancels the commit; within a change it stands beside `commit`.
    pub probe: Option<ProbeInput>,
    /// Show the XML that would be sent, and send nothing; not within a change.
    pub plan: Option<bool>,
}

/// How a confirmed commit is confirmed. All of it optional.
#[derive(ToSchema)]
pub struct ConfirmInput {
    /// Whatever has come into the candidate since is committed as well; admins only.
    pub accept_candidate: Option<bool>,
    /// Show the XML that would be sent, and send nothing.
    pub plan: Option<bool>,
}

/// A new deadline of a confirmed commit.
#[derive(ToSchema)]
#[schema(example = json!({"confirm_timeout_seconds": 600}))]
pub struct ExtendInput {
    /// Counted from now.
    #[schema(minimum = 1)]
    pub confirm_timeout_seconds: u64,
    /// Show the XML that would be sent, and send nothing.
    pub plan: Option<bool>,
}

/// The nine steps in one call: only `edits` is required.
#[derive(ToSchema)]
#[schema(example = json!({"edits": [{"config": {"system": {"host-name": "mx1"}}}], "commit": {"comment": "rename"}}))]
pub struct ChangeInput {
    /// Default: `exclusive`; for a dry run on Junos `private`.
    pub mode: Option<ModeName>,
    /// The ephemeral instance. Default: the default one.
    pub instance: Option<String>,
    /// In order.
    #[schema(min_items = 1, max_items = 64)]
    pub edits: Vec<EditInput>,
    /// Whether the device checks before it commits. Default: true.
    pub validate: Option<bool>,
    pub commit: Option<CommitInput>,
    /// Confirms or cancels a commit with `confirm_timeout_seconds`. The answer waits for that, at most until the deadline.
    pub probe: Option<ProbeInput>,
    /// Refuse with 412 when the device's configuration revision is another one (Junos).
    pub if_revision: Option<String>,
    /// How long to wait for a lock that another holds, or for a session while others hold all that may be held.
    /// Default: not at all.
    pub wait_seconds: Option<u64>,
    /// Everything but the commit; the device is left as it was.
    pub dry_run: Option<bool>,
    /// Show the XML that would be sent, and send nothing.
    pub plan: Option<bool>,
}

/// An edit session to open.
#[derive(ToSchema)]
#[schema(example = json!({"mode": "exclusive", "ttl_seconds": 300}))]
pub struct EditSessionInput {
    /// Default: `exclusive`.
    pub mode: Option<ModeName>,
    /// What is locked. Default: `candidate`.
    pub datastore: Option<DatastoreName>,
    /// The ephemeral instance. Default: the default one.
    pub instance: Option<String>,
    /// How long it lives without being used. Default: 60.
    #[schema(minimum = 1, maximum = 3600)]
    pub ttl_seconds: Option<u64>,
    /// How long to wait for a lock that another holds, or for a session while others hold all that may be held.
    /// Default: not at all.
    pub wait_seconds: Option<u64>,
    /// Show the XML that would be sent, and send nothing.
    pub plan: Option<bool>,
}

/// How the candidate is checked. All of it optional.
#[derive(ToSchema)]
pub struct ValidateEditSessionInput {
    /// Also when somebody else's confirmed commit is pending, which a check may confirm; admins only.
    pub confirm_others: Option<bool>,
    /// Show the XML that would be sent, and send nothing.
    pub plan: Option<bool>,
}

/// What to take back.
#[derive(ToSchema)]
pub struct DiscardInput {
    /// In mode `shared`: what others left in the candidate goes as well.
    pub discard_others: Option<bool>,
    /// Show the XML that would be sent, and send nothing.
    pub plan: Option<bool>,
}

/// Which uncommitted changes are to go.
#[derive(ToSchema)]
pub struct DiscardCandidateInput {
    /// SHA-256, hexadecimal, of the difference that was looked at: `diff_sha256` of a `lock-denied`.
    pub expect_diff_sha256: String,
    /// Show the XML that would be sent, and send nothing.
    pub plan: Option<bool>,
}

/// On which conditions a session is killed. All of it optional.
#[derive(ToSchema)]
pub struct KillInput {
    /// Why, for the log.
    pub reason: Option<String>,
    /// Only if the session is this user's.
    pub if_user: Option<String>,
    /// Only if the session was idle for so long.
    pub if_idle_seconds_at_least: Option<u64>,
    /// Also a session that holds a pending confirmed commit.
    pub force: Option<bool>,
    /// Show the XML that would be sent, and send nothing.
    pub plan: Option<bool>,
}

/// Takes a member that is one of some words.
fn word<T: Copy>(
    body: &mut Object<'_>,
    name: &str,
    all: &[T],
    spelling: fn(T) -> &'static str,
) -> Result<Option<T>, ApiError> {
    let pointer = body.pointer(name);
    let Some(text) = body.string(name)? else {
        return Ok(None);
    };
    match all.iter().copied().find(|word| spelling(*word) == text) {
        Some(word) => Ok(Some(word)),
        None => {
            let words: Vec<&str> = all.iter().map(|word| spelling(*word)).collect();
            Err(ApiError::invalid(
                pointer,
                format!("must be one of {}", words.join(", ")),
            ))
        }
    }
}

fn flag(body: &mut Object<'_>, name: &str) -> Result<bool, ApiError> {
    Ok(body.boolean(name)?.unwrap_or(false))
}

/// What an edit edits with.
fn edit_body(body: &mut Object<'_>, format: EditFormat) -> Result<EditBody, ApiError> {
    let mut found = Vec::new();
    let pointer = body.pointer("config");
    if let Some(text) = body.raw("config") {
        let quoted = text.starts_with('"');
        let content = match format {
            EditFormat::Json if text.starts_with('{') => text.to_owned(),
            EditFormat::DeviceJson if text.starts_with('{') => text.to_owned(),
            EditFormat::Xml | EditFormat::Text | EditFormat::Set | EditFormat::DeviceJson if quoted => {
                serde_json::from_str(text)
                    .map_err(|error| ApiError::invalid(&pointer, format!("not a string: {error}")))?
            }
            EditFormat::Json => return Err(ApiError::invalid(pointer, "must be an object")),
            EditFormat::DeviceJson => {
                return Err(ApiError::invalid(pointer, "must be an object or a string"));
            }
            EditFormat::Xml | EditFormat::Text | EditFormat::Set => {
                return Err(ApiError::invalid(
                    pointer,
                    format!("must be a string, because the format is {}", format.as_str()),
                ));
            }
        };
        found.push(EditBody::Config(content));
    }
    if let Some(url) = body.string("url")? {
        found.push(EditBody::Url(url));
    }
    if let Some(number) = body.number("rollback")? {
        found.push(EditBody::Rollback(number));
    }
    let pointer = body.pointer("rescue");
    match body.boolean("rescue")? {
        Some(true) => found.push(EditBody::Rescue),
        Some(false) => return Err(ApiError::invalid(pointer, "must be true, or be left out")),
        None => {}
    }
    if let Some(mut pattern) = body.object("replace_pattern")? {
        found.push(EditBody::ReplacePattern {
            pattern: pattern.required_string("pattern")?,
            with: pattern.required_string("with")?,
            path: pattern.string("path")?,
        });
        pattern.finish()?;
    }
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (_, _) => {
            body.nothing_left()?;
            Err(ApiError::invalid(
                body.pointer(""),
                "needs exactly one of config, url, rollback, rescue and replace_pattern",
            ))
        }
    }
}

fn edit(body: &mut Object<'_>) -> Result<Edit, ApiError> {
    let named = word(body, "format", EditFormat::ALL, EditFormat::as_str)?;
    let format = named.unwrap_or(EditFormat::Json);
    let pointer = body.pointer("format");
    let edit = Edit {
        action: word(body, "action", Action::ALL, Action::as_str)?,
        path: body.string("path")?,
        whole_configuration: flag(body, "whole_configuration")?,
        discard_others: flag(body, "discard_others")?,
        error_option: word(body, "error_option", ErrorOption::ALL, ErrorOption::as_str)?,
        test_option: word(body, "test_option", TestOption::ALL, TestOption::as_str)?,
        protocol: word(body, "protocol", Protocol::ALL, Protocol::as_str)?,
        format,
        // Last, because only then is known what is left.
        body: edit_body(body, format)?,
    };
    match named {
        Some(_) if !edit.body.has_format() => {
            Err(ApiError::invalid(pointer, "goes with config and url only"))
        }
        Some(_) | None => Ok(edit),
    }
}

fn commit(body: &mut Object<'_>) -> Result<CommitOptions, ApiError> {
    Ok(CommitOptions {
        comment: body.string("comment")?,
        at: body.string("at")?,
        synchronize: flag(body, "synchronize")?,
        force_synchronize: flag(body, "force_synchronize")?,
        full: flag(body, "full")?,
        save: body.boolean("save")?,
        confirm_timeout_seconds: body.number("confirm_timeout_seconds")?,
        confirm_others: flag(body, "confirm_others")?,
    })
}

/// A set-format edit with the defaults: what `text/plain` is.
pub fn plain_edit(text: &str) -> Edit {
    Edit::new(EditFormat::Set, EditBody::Config(text.to_owned()))
}

/// Reads the body of `POST …/edit-sessions`.
///
/// # Errors
/// These functions refuse what is missing, unknown or of the wrong type, with its pointer. `plan` is what the query
/// says; an empty `text` is an empty object.
pub fn read_open(text: &str, plan: Option<bool>) -> Result<OpenEditSession, ApiError> {
    let mut body = Object::parse_or_empty(text)?;
    let defaults = OpenEditSession::default();
    let stores = [Datastore::Candidate, Datastore::Running, Datastore::Startup];
    let request = OpenEditSession {
        mode: word(&mut body, "mode", Mode::ALL, Mode::as_str)?.unwrap_or(defaults.mode),
        datastore: word(&mut body, "datastore", &stores, Datastore::as_str)?.unwrap_or(defaults.datastore),
        instance: body.string("instance")?,
        ttl_seconds: body.number("ttl_seconds")?.unwrap_or(defaults.ttl_seconds),
        wait_seconds: body.number("wait_seconds")?.unwrap_or(defaults.wait_seconds),
        plan: body_switch(&mut body, "plan", plan)?,
    };
    body.finish()?;
    Ok(request)
}

/// Reads the body of `POST …/edit-sessions/{id}/edit`. Errors as [`read_open`].
pub fn read_edit(text: &str, plan: Option<bool>) -> Result<EditRequest, ApiError> {
    let mut body = Object::parse(text)?;
    let request = EditRequest {
        plan: body_switch(&mut body, "plan", plan)?,
        edit: edit(&mut body)?,
    };
    body.finish()?;
    Ok(request)
}

/// Reads the body of `POST …/edit-sessions/{id}/validate`. Errors as [`read_open`].
pub fn read_validate(text: &str, plan: Option<bool>) -> Result<ValidateRequest, ApiError> {
    let mut body = Object::parse_or_empty(text)?;
    let request = ValidateRequest {
        confirm_others: flag(&mut body, "confirm_others")?,
        plan: body_switch(&mut body, "plan", plan)?,
    };
    body.finish()?;
    Ok(request)
}

/// Reads the body of `POST …/edit-sessions/{id}/discard`. Errors as [`read_open`].
pub fn read_discard(text: &str, plan: Option<bool>) -> Result<DiscardRequest, ApiError> {
    let mut body = Object::parse_or_empty(text)?;
    let request = DiscardRequest {
        discard_others: flag(&mut body, "discard_others")?,
        plan: body_switch(&mut body, "plan", plan)?,
    };
    body.finish()?;
    Ok(request)
}

/// Reads the body of `POST …/edit-sessions/{id}/commit`. Errors as [`read_open`].
pub fn read_commit(text: &str, plan: Option<bool>) -> Result<CommitRequest, ApiError> {
    let mut body = Object::parse_or_empty(text)?;
    let request = CommitRequest {
        plan: body_switch(&mut body, "plan", plan)?,
        probe: read_probe(&mut body)?,
        options: commit(&mut body)?,
    };
    body.finish()?;
    Ok(request)
}

/// Reads the body of `POST …/confirmed-commits/{id}/confirm`. Errors as [`read_open`].
pub fn read_confirm(text: &str, plan: Option<bool>) -> Result<ConfirmRequest, ApiError> {
    let mut body = Object::parse_or_empty(text)?;
    let request = ConfirmRequest {
        accept_candidate: flag(&mut body, "accept_candidate")?,
        plan: body_switch(&mut body, "plan", plan)?,
    };
    body.finish()?;
    Ok(request)
}

/// Reads the body of `POST …/confirmed-commits/{id}/extend`. Errors as [`read_open`].
pub fn read_extend(text: &str, plan: Option<bool>) -> Result<ExtendRequest, ApiError> {
    let mut body = Object::parse(text)?;
    let request = ExtendRequest {
        confirm_timeout_seconds: body
            .number("confirm_timeout_seconds")?
            .ok_or_else(|| ApiError::invalid("/confirm_timeout_seconds", "is required"))?,
        plan: body_switch(&mut body, "plan", plan)?,
    };
    body.finish()?;
    Ok(request)
}

/// Reads the body of `POST …/changes`. Errors as [`read_open`].
pub fn read_change(text: &str, plan: Option<bool>) -> Result<ChangeRequest, ApiError> {
    let mut body = Object::parse(text)?;
    let defaults = ChangeRequest::default();
    let edits = body
        .objects("edits")?
        .unwrap_or_default()
        .into_iter()
        .map(|mut item| {
            let edit = edit(&mut item)?;
            item.finish()?;
            Ok(edit)
        })
        .collect::<Result<_, ApiError>>()?;
    let options = match body.object("commit")? {
        None => CommitOptions::default(),
        Some(mut object) => {
            let options = commit(&mut object)?;
            object.finish()?;
            options
        }
    };
    let request = ChangeRequest {
        mode: word(&mut body, "mode", Mode::ALL, Mode::as_str)?,
        instance: body.string("instance")?,
        edits,
        validate: body.boolean("validate")?.unwrap_or(defaults.validate),
        commit: options,
        probe: read_probe(&mut body)?,
        if_revision: body.string("if_revision")?,
        wait_seconds: body.number("wait_seconds")?.unwrap_or(defaults.wait_seconds),
        dry_run: flag(&mut body, "dry_run")?,
        plan: body_switch(&mut body, "plan", plan)?,
    };
    body.finish()?;
    if request.edits.is_empty() {
        return Err(ApiError::invalid("/edits", "must hold at least one edit"));
    }
    Ok(request)
}

/// Reads the body of `POST …/candidate/discard`. Errors as [`read_open`].
pub fn read_discard_candidate(text: &str, plan: Option<bool>) -> Result<DiscardCandidateRequest, ApiError> {
    let mut body = Object::parse(text)?;
    let request = DiscardCandidateRequest {
        expect_diff_sha256: body.required_string("expect_diff_sha256")?,
        plan: body_switch(&mut body, "plan", plan)?,
    };
    body.finish()?;
    Ok(request)
}

/// Reads the body of `POST …/sessions/{session-id}/kill`. Errors as [`read_open`].
pub fn read_kill(text: &str, plan: Option<bool>) -> Result<KillRequest, ApiError> {
    let mut body = Object::parse_or_empty(text)?;
    let request = KillRequest {
        reason: body.string("reason")?,
        if_user: body.string("if_user")?,
        if_idle_seconds_at_least: body.number("if_idle_seconds_at_least")?,
        force: flag(&mut body, "force")?,
        plan: body_switch(&mut body, "plan", plan)?,
    };
    body.finish()?;
    Ok(request)
}

#[cfg(test)]
mod tests;
