//! Messages of the write path, between `proto/` and the service layer.

use super::convert::{content, known, namespaces, some};
use super::proto;
use crate::error::{Error, PendingCommit};
use crate::netconf::datastore::Datastore;
use crate::service::edit::request::{
    Action, ChangeRequest, CommitOptions, Edit, EditBody, EditFormat, Endpoint, ErrorOption, Expect, Mode,
    OpenEditSession, ProbeRequest, Protocol, TestOption,
};
use crate::service::edit::view::{
    ChangeErrorView, ChangeView, ConfirmedCommitView, DiscardedView, EditSessionView, KilledView,
    LockHolderView, LockView, MemberView, ProbeView, RpcErrorView, ScheduledView,
};
use crate::service::request::RpcBody;
use crate::service::view::Plan;

pub fn plan(plan: Plan) -> proto::Plan {
    proto::Plan {
        device: plan.device,
        rpcs: plan.rpcs,
    }
}

/// A mode; `None`: the caller left it to the gateway.
fn mode(number: i32) -> Result<Option<Mode>, Error> {
    Ok(match known("mode", number)? {
        proto::EditMode::Unspecified => None,
        proto::EditMode::Exclusive => Some(Mode::Exclusive),
        proto::EditMode::Private => Some(Mode::Private),
        proto::EditMode::Ephemeral => Some(Mode::Ephemeral),
        proto::EditMode::Shared => Some(Mode::Shared),
    })
}

fn datastore(field: &str, name: &str) -> Result<Datastore, Error> {
    let stores = [Datastore::Candidate, Datastore::Running, Datastore::Startup];
    stores
        .into_iter()
        .find(|store| store.as_str() == name)
        .ok_or_else(|| Error::invalid(field, "must be one of candidate, running, startup"))
}

pub fn open(input: proto::CreateEditSessionRequest) -> Result<OpenEditSession, Error> {
    let defaults = OpenEditSession::default();
    Ok(OpenEditSession {
        mode: mode(input.mode)?.unwrap_or(defaults.mode),
        datastore: match input.datastore.as_str() {
            "" => defaults.datastore,
            name => datastore("datastore", name)?,
        },
        instance: some(input.instance),
        ttl_seconds: match input.ttl_seconds {
            0 => defaults.ttl_seconds,
            seconds => seconds,
        },
        wait_seconds: input.wait_seconds,
        plan: input.plan,
    })
}

/// One edit; `field` is where it stands.
pub fn edit(field: &str, edit: Option<proto::Edit>) -> Result<Edit, Error> {
    let edit = edit.ok_or_else(|| Error::invalid(field, "is required"))?;
    let at = |name: &str| format!("{field}.{name}");
    let action = match known(&at("action"), edit.action)? {
        proto::EditAction::Unspecified => None,
        proto::EditAction::Merge => Some(Action::Merge),
        proto::EditAction::Replace => Some(Action::Replace),
        proto::EditAction::Override => Some(Action::Override),
        proto::EditAction::Update => Some(Action::Update),
        proto::EditAction::Set => Some(Action::Set),
        proto::EditAction::None => Some(Action::None),
    };
    let named = known(&at("format"), edit.format)?;
    let format = match named {
        proto::EditFormat::Unspecified | proto::EditFormat::Json => EditFormat::Json,
        proto::EditFormat::Xml => EditFormat::Xml,
        proto::EditFormat::Text => EditFormat::Text,
        proto::EditFormat::Set => EditFormat::Set,
        proto::EditFormat::DeviceJson => EditFormat::DeviceJson,
    };
    let body = match edit.change {
        None => {
            return Err(Error::invalid(
                field,
                "needs exactly one of content, url, rollback, rescue and replace_pattern",
            ));
        }
        Some(proto::edit::Change::Content(text)) => EditBody::Config(text),
        Some(proto::edit::Change::Url(url)) => EditBody::Url(url),
        Some(proto::edit::Change::Rollback(number)) => EditBody::Rollback(number),
        Some(proto::edit::Change::Rescue(true)) => EditBody::Rescue,
        Some(proto::edit::Change::Rescue(false)) => {
            return Err(Error::invalid(at("rescue"), "must be true, or be left out"));
        }
        Some(proto::edit::Change::ReplacePattern(pattern)) => EditBody::ReplacePattern {
            pattern: pattern.pattern,
            with: pattern.with,
            path: some(pattern.path),
        },
    };
    if named != proto::EditFormat::Unspecified && !body.has_format() {
        return Err(Error::invalid(at("format"), "goes with content and url only"));
    }
    let error_option = match known(&at("error_option"), edit.error_option)? {
        proto::ErrorOption::Unspecified => None,
        proto::ErrorOption::StopOnError => Some(ErrorOption::StopOnError),
        proto::ErrorOption::ContinueOnError => Some(ErrorOption::ContinueOnError),
        proto::ErrorOption::RollbackOnError => Some(ErrorOption::RollbackOnError),
    };
    let test_option = match known(&at("test_option"), edit.test_option)? {
        proto::TestOption::Unspecified => None,
        proto::TestOption::TestThenSet => Some(TestOption::TestThenSet),
        proto::TestOption::Set => Some(TestOption::Set),
        proto::TestOption::TestOnly => Some(TestOption::TestOnly),
    };
    let protocol = match known(&at("protocol"), edit.protocol)? {
        proto::EditProtocol::Unspecified => None,
        proto::EditProtocol::Junos => Some(Protocol::Junos),
        proto::EditProtocol::Rfc => Some(Protocol::Rfc),
    };
    Ok(Edit {
        action,
        format,
        path: some(edit.path),
        body,
        whole_configuration: edit.whole_configuration,
        discard_others: edit.discard_others,
        error_option,
        test_option,
        protocol,
    })
}

pub fn commit(options: Option<proto::CommitOptions>) -> CommitOptions {
    let options = options.unwrap_or_default();
    CommitOptions {
        comment: some(options.comment),
        at: some(options.at),
        synchronize: options.synchronize,
        force_synchronize: options.force_synchronize,
        full: options.full,
        save: options.save,
        confirm_timeout_seconds: options.confirm_timeout_seconds,
        confirm_others: options.confirm_others,
    }
}

/// What confirms or cancels a commit, if something does.
pub fn probe(probe: Option<proto::Probe>) -> Result<Option<ProbeRequest>, Error> {
    let Some(probe) = probe else { return Ok(None) };
    let rpc = content("probe.rpc", probe.rpc)?.ok_or_else(|| Error::invalid("probe.rpc", "is required"))?;
    let expect = probe.expect.into_iter().map(|expect| Expect {
        pointer: expect.pointer,
        equals: expect.equals,
    });
    Ok(Some(ProbeRequest {
        rpc: RpcBody::Whole(rpc),
        expect: expect.collect(),
        delay_seconds: probe.delay_seconds,
        interval_seconds: probe.interval_seconds,
        give_up_seconds: probe.give_up_seconds,
    }))
}

pub fn change(input: proto::CreateChangeRequest) -> Result<ChangeRequest, Error> {
    if input.edits.is_empty() {
        return Err(Error::invalid("edits", "must hold at least one edit"));
    }
    Ok(ChangeRequest {
        mode: mode(input.mode)?,
        instance: some(input.instance),
        edits: input
            .edits
            .into_iter()
            .enumerate()
            .map(|(at, item)| edit(&format!("edits[{at}]"), Some(item)))
            .collect::<Result<_, _>>()?,
        validate: input.validate.unwrap_or(true),
        commit: commit(input.commit),
        probe: probe(input.probe)?,
        if_revision: some(input.if_revision),
        wait_seconds: input.wait_seconds,
        dry_run: input.dry_run,
        plan: input.plan,
    })
}

/// A source or target; `None` if it is not set.
pub fn endpoint(field: &str, endpoint: Option<proto::ConfigEndpoint>) -> Result<Option<Endpoint>, Error> {
    use proto::config_endpoint::Endpoint as Given;
    Ok(match endpoint.and_then(|endpoint| endpoint.endpoint) {
        None => None,
        Some(Given::Datastore(name)) => Some(Endpoint::Datastore(datastore(
            &format!("{field}.datastore"),
            &name,
        )?)),
        Some(Given::Url(url)) => Some(Endpoint::Url(url)),
        Some(Given::Config(payload)) => {
            content(&format!("{field}.config"), Some(payload))?.map(Endpoint::Config)
        }
    })
}

/// The same where it must be set.
pub fn required_endpoint(field: &str, given: Option<proto::ConfigEndpoint>) -> Result<Endpoint, Error> {
    endpoint(field, given)?.ok_or_else(|| Error::invalid(field, "is required"))
}

pub fn rpc_error(view: RpcErrorView) -> proto::RpcError {
    proto::RpcError {
        error_type: view.error_type,
        error_tag: view.error_tag,
        error_severity: view.error_severity,
        error_app_tag: view.error_app_tag,
        error_path: view.error_path,
        error_path_namespaces: namespaces(&Vec::from_iter(view.error_path_namespaces)),
        error_message: view.error_message,
        error_info: view.error_info,
        bad_element: view.bad_element,
        source_daemon: view.source_daemon,
        member: view.member,
    }
}

fn rpc_errors(views: Vec<RpcErrorView>) -> Vec<proto::RpcError> {
    views.into_iter().map(rpc_error).collect()
}

pub fn holder(view: LockHolderView) -> proto::LockHolder {
    proto::LockHolder {
        session_id: view.session_id,
        user: view.user,
        terminal: view.terminal,
        since: view.since,
        idle: view.idle,
    }
}

pub fn edit_session(view: EditSessionView) -> proto::EditSession {
    proto::EditSession {
        id: view.id,
        device: view.device,
        mode: view.mode,
        datastore: view.datastore,
        instance: view.instance,
        session_id: view.session_id,
        owner: view.owner,
        ttl_seconds: view.ttl_seconds,
        expires_at: view.expires_at,
        state: view.state,
        reason: view.reason,
        uncommitted: view.uncommitted,
        warnings: rpc_errors(view.warnings),
        create_time: view.create_time,
        end_time: view.end_time,
        commit: view.commit.map(|commit| proto::EditSessionCommit {
            id: commit.id,
            state: commit.state,
            members: commit.members.into_iter().map(member).collect(),
            revision: commit.revision,
            confirmed_commit: commit.confirmed_commit.map(confirmed_commit),
        }),
    }
}

fn scheduled(view: ScheduledView) -> proto::ScheduledCommit {
    proto::ScheduledCommit {
        at: view.at,
        time_zone: view.time_zone,
    }
}

pub fn member(view: MemberView) -> proto::CommitMember {
    proto::CommitMember {
        name: view.name,
        result: view.result,
        errors: rpc_errors(view.errors),
    }
}

fn change_error(view: ChangeErrorView) -> proto::ChangeError {
    proto::ChangeError {
        code: view.code,
        detail: view.detail,
        step: view.step,
        reason: view.reason,
        holder: view.holder.map(holder),
        rpc_errors: rpc_errors(view.rpc_errors),
    }
}

pub fn change_view(view: ChangeView) -> proto::Change {
    proto::Change {
        id: view.id,
        device: view.device,
        owner: view.owner,
        mode: view.mode,
        state: view.state,
        outcome: view.outcome,
        dry_run: view.dry_run,
        changed: view.changed,
        diff: view.diff,
        diff_sha256: view.diff_sha256,
        steps: view
            .steps
            .into_iter()
            .map(|step| proto::ChangeStep {
                name: step.name,
                result: step.result,
                undo: step.undo,
                duration_ms: step.duration_ms,
            })
            .collect(),
        warnings: rpc_errors(view.warnings),
        members: view.members.into_iter().map(member).collect(),
        undo: view.undo,
        scheduled: view.scheduled.map(scheduled),
        session_id: view.session_id,
        revision: view.revision,
        error: view.error.map(change_error),
        create_time: view.create_time,
        update_time: view.update_time,
        confirmed_commit_id: view.confirmed_commit_id,
        confirmed_commit: view.confirmed_commit.map(confirmed_commit),
        seen: view.seen,
    }
}

pub fn confirmed_commit(view: ConfirmedCommitView) -> proto::ConfirmedCommit {
    proto::ConfirmedCommit {
        id: view.id,
        device: view.device,
        change_id: view.change_id,
        owner: view.owner,
        state: view.state,
        by: view.by,
        reason: view.reason,
        timeout_seconds: view.timeout_seconds,
        deadline: view.deadline,
        deadline_earliest: view.deadline_earliest,
        persistent: view.persistent,
        session_id: view.session_id,
        seen: view.seen,
        warnings: rpc_errors(view.warnings),
        create_time: view.create_time,
        update_time: view.update_time,
        probe: view.probe.map(probe_status),
    }
}

fn probe_status(view: ProbeView) -> proto::ProbeStatus {
    proto::ProbeStatus {
        state: view.state,
        attempts: view.attempts,
        last_attempt_time: view.last_attempt_time,
        last_failure: view.last_failure.map(|failure| proto::ProbeFailure {
            detail: failure.detail,
            pointer: failure.pointer,
            expected: failure.expected,
            seen: failure.seen,
        }),
    }
}

pub fn pending_commit(commit: &PendingCommit) -> proto::PendingCommit {
    proto::PendingCommit {
        id: commit.id.clone().unwrap_or_default(),
        by: commit.by.clone(),
        owner: commit.owner.clone().unwrap_or_default(),
        deadline: commit.deadline.clone().unwrap_or_default(),
    }
}

pub fn lock(view: LockView) -> proto::Lock {
    proto::Lock {
        kind: view.kind,
        datastore: view.datastore,
        ours: view.ours,
        edit_session: view.edit_session,
        owner: view.owner,
        holder: Some(holder(view.holder)),
        expires_at: view.expires_at,
        seen_at: view.seen_at,
    }
}

pub fn killed(view: KilledView) -> proto::KilledSession {
    proto::KilledSession {
        session_id: view.session_id,
        victim: Some(holder(view.victim)),
        edit_session: view.edit_session,
        effects: view.effects,
        warnings: rpc_errors(view.warnings),
    }
}

pub fn discarded(view: DiscardedView) -> proto::DiscardedCandidate {
    proto::DiscardedCandidate {
        discarded: view.discarded,
        diff: view.diff,
        diff_sha256: view.diff_sha256,
        warnings: rpc_errors(view.warnings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer<T>(result: Result<T, Error>) -> String {
        match result {
            Ok(_) => panic!("must be refused"),
            Err(error) => error.fields()[0].pointer.clone(),
        }
    }

    /// G1, H1
    #[test]
    fn faults_are_named_by_their_field() {
        let mut given = proto::Edit {
            change: Some(proto::edit::Change::Content("{}".to_owned())),
            ..Default::default()
        };
        assert_eq!(
            edit("edit", Some(given.clone())).ok(),
            Some(Edit::new(EditFormat::Json, EditBody::Config("{}".to_owned())))
        );
        given.action = 99;
        assert_eq!(pointer(edit("edits[1]", Some(given.clone()))), "edits[1].action");
        given.action = 0;
        given.change = Some(proto::edit::Change::Rescue(false));
        assert_eq!(pointer(edit("edit", Some(given.clone()))), "edit.rescue");
        given.change = None;
        assert_eq!(pointer(edit("edit", Some(given))), "edit");
        assert_eq!(pointer(change(proto::CreateChangeRequest::default())), "edits");
        let wrong = proto::CreateEditSessionRequest {
            datastore: "attic".to_owned(),
            ..Default::default()
        };
        assert_eq!(pointer(open(wrong)), "datastore");
        assert_eq!(pointer(required_endpoint("source", None)), "source");
    }

    #[test]
    fn what_is_not_set_has_the_defaults_of_the_service() {
        assert_eq!(
            open(proto::CreateEditSessionRequest::default()).ok(),
            Some(OpenEditSession::default())
        );
        assert_eq!(commit(None), CommitOptions::default());
    }
}
