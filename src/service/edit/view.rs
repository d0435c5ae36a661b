//! What callers of the write path get to see: plain data with the names of the API. Times are RFC 3339 in UTC; what a
//! device says about itself (since when, how long idle) stays in the device's own words.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::script::StepName;
use crate::error::MemberResult;
use crate::netconf::lock_refusal::LockHolder;
use crate::netconf::rpc_error::RpcError;
use crate::service::view::Plan;

/// What a mutating call gives: with `plan=true` the XML that it would send.
#[derive(Debug, Clone)]
pub enum Planned<T> {
    Done(T),
    Plan(Plan),
}

/// One rpc-error of RFC 6241 section 4.3, or a warning of the gateway's own, which has the `error_app_tag` `ncgate`.
/// What the device did not say is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RpcErrorView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_severity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_app_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_path: Option<String>,
    /// The prefixes in `error_path` and what they stand for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub error_path_namespaces: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The content of `<error-info>`, as XML that declares its prefixes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_info: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_element: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_daemon: Option<String>,
    /// The routing engine or cluster member that reported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

impl RpcErrorView {
    /// A warning that the gateway gives beside a result.
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            error_type: Some("application".to_owned()),
            error_severity: Some("warning".to_owned()),
            error_app_tag: Some("ncgate".to_owned()),
            error_message: Some(message.into()),
            ..Self::default()
        }
    }
}

impl From<&RpcError> for RpcErrorView {
    fn from(error: &RpcError) -> Self {
        Self {
            error_type: error.error_type.clone(),
            error_tag: error.error_tag.clone(),
            error_severity: error.error_severity.clone(),
            error_app_tag: error.error_app_tag.clone(),
            error_path: error.error_path.clone(),
            error_path_namespaces: error.error_path_namespaces.iter().cloned().collect(),
            error_message: error.error_message.clone(),
            error_info: error.error_info.clone(),
            bad_element: error.bad_element.clone(),
            source_daemon: error.source_daemon.clone(),
            member: error.member.clone(),
        }
    }
}

/// Who holds a lock, as far as the device says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct LockHolderView {
    /// What `kill` takes; absent when the holder is no NETCONF session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<String>,
}

impl From<&LockHolder> for LockHolderView {
    fn from(holder: &LockHolder) -> Self {
        Self {
            session_id: holder.killable_id(),
            user: holder.user.clone(),
            terminal: holder.terminal.clone(),
            since: holder.since.clone(),
            idle: holder.idle.clone(),
        }
    }
}

/// An edit session (design section 5).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EditSessionView {
    pub id: String,
    pub device: String,
    /// `exclusive`, `private`, `ephemeral` or `shared`.
    pub mode: String,
    /// `candidate`, `running` or `startup`.
    pub datastore: String,
    /// The ephemeral instance; absent: the default one, or another mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The NETCONF session on the device.
    pub session_id: u64,
    /// Who opened it.
    pub owner: String,
    pub ttl_seconds: u64,
    /// When it expires if nobody uses it; does not move while an RPC of it runs.
    pub expires_at: String,
    /// `open`, `closed`, `expired` or `lost`.
    pub state: String,
    /// Why it is not open any more: `released`, `killed`, `session_lost`, `gateway_restarted`, `device_removed`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it has edits that are neither committed nor discarded, or may have: an edit that the device refused counts,
    /// because what it understood of it stays.
    pub uncommitted: bool,
    /// What the device, or the gateway, warned of when it was opened and since; once it has ended, also what became of what
    /// it had edited and not committed.
    pub warnings: Vec<RpcErrorView>,
    /// In the answer to a commit only: what it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitView>,
    pub create_time: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
}

/// What a commit of an edit session did (S27).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CommitView {
    /// Of its record among the changes. Stands in the device's history with the name of the caller, where the
    /// device keeps comments.
    pub id: String,
    /// `committed`; `unchanged`: there was nothing to commit, and nothing was; `pending_confirm`: it has to be confirmed.
    pub state: String,
    /// What each routing engine or cluster member said; empty on devices with one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberView>,
    /// The device's configuration revision after it, where the device tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// It has to be confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_commit: Option<ConfirmedCommitView>,
}

impl From<ChangeView> for CommitView {
    /// What the commit did, by its record.
    fn from(change: ChangeView) -> Self {
        Self {
            id: change.id,
            state: change.state,
            members: change.members,
            revision: change.revision,
            confirmed_commit: change.confirmed_commit,
        }
    }
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EditSessionList {
    pub edit_sessions: Vec<EditSessionView>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// What an edit session would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DiffView {
    pub device: String,
    pub changed: bool,
    /// The device's own notation (`junos`), or lines of paths with `+` and `-` (`paths`).
    pub format: String,
    /// Empty when nothing would change.
    pub diff: String,
    /// Of `diff`, hexadecimal.
    pub diff_sha256: String,
}

/// A change (design section 6).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ChangeView {
    pub id: String,
    pub device: String,
    /// Who asked for it.
    pub owner: String,
    pub mode: String,
    /// `preparing`, `editing`, `validated`, `committing`, `committed`, `unchanged`, `scheduled`, `pending_confirm`,
    /// `confirmed`, `rolled_back`, `kept`, `cancelled`, `discarded`, `failed` or `unknown`.
    pub state: String,
    /// What it did to what the device runs: `not_sent`, `not_applied` (also while it is `scheduled`), `applied` or
    /// `unknown`. Absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    pub dry_run: bool,
    /// Whether there was anything to change. Absent before the difference is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<bool>,
    /// What it changes: the device's own notation, or lines of paths with `+` and `-`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// Of `diff`, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_sha256: Option<String>,
    /// What was done on the device, in order, the undoing included. Checks and comparisons that were sent together with an
    /// edit that failed count for nothing and are left out.
    pub steps: Vec<ChangeStepView>,
    pub warnings: Vec<RpcErrorView>,
    /// What each routing engine or cluster member said to the commit; empty on devices with one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberView>,
    /// `not_guaranteed` where a failure could have left something on the device; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// In state `scheduled`: when the device will commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<ScheduledView>,
    /// The id of the confirmed commit that it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_commit_id: Option<String>,
    /// In the answer that made it: the confirmed commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_commit: Option<ConfirmedCommitView>,
    /// The NETCONF session that it ran in, once there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<u64>,
    /// The device's configuration revision after the commit, where it tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ChangeErrorView>,
    /// What was seen on the device after the reply to the commit was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    pub create_time: String,
    pub update_time: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChangeList {
    pub changes: Vec<ChangeView>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// One step of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeStepView {
    /// `open`, `lock`, `check`, `edit`, `validate`, `diff`, `commit`, `verify`, `save`, `discard`, `unlock` or
    /// `close`.
    pub name: String,
    /// `done`, `failed`, `begun` (it is on its way, and may count), or `unknown` (sent, and no reply came).
    pub result: String,
    /// Whether it undid an earlier step.
    #[serde(default, skip_serializing_if = "is_false")]
    pub undo: bool,
    pub duration_ms: u64,
}

impl ChangeStepView {
    /// The result of a step that may have been sent, and of which nothing is known yet.
    const BEGUN: &str = "begun";

    pub fn new(step: StepName, result: &str, took: Duration) -> Self {
        Self {
            name: step.as_str().to_owned(),
            result: result.to_owned(),
            undo: false,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// A step that is about to be sent.
    pub fn begun(step: StepName) -> Self {
        Self::new(step, Self::BEGUN, Duration::ZERO)
    }

    pub fn is_begun(&self) -> bool {
        self.result == Self::BEGUN
    }
}

/// For members that are left out when they are false.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// What one member of the device said to a commit (conventions M1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberView {
    pub name: String,
    /// `success`, `error`, or `silent` when it said neither.
    pub result: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<RpcErrorView>,
}

impl From<&MemberResult> for MemberView {
    fn from(member: &MemberResult) -> Self {
        let result = match (member.errors.is_empty(), member.succeeded) {
            (false, _) => "error",
            (true, true) => "success",
            (true, false) => "silent",
        };
        Self {
            name: member.name.clone(),
            result: result.to_owned(),
            errors: member.errors.iter().map(RpcErrorView::from).collect(),
        }
    }
}

/// A commit that the device makes later (conventions E6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduledView {
    /// As the caller wrote it.
    pub at: String,
    /// The device's time zone, where it tells; `at` is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// A confirmed commit (design section 7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConfirmedCommitView {
    pub id: String,
    pub device: String,
    /// The change that made it; for an edit session the record of its commit.
    pub change_id: String,
    /// Who made it. Its owner or an admin may confirm, extend or cancel it.
    pub owner: String,
    /// `pending`, `confirming`, `cancelling`, `confirmed`, `cancelled`, `rolled_back`, `kept` or `unknown`.
    pub state: String,
    /// In state `confirmed`: `us` or `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// In state `rolled_back`: `timeout`, `session_lost`, `killed` or `reboot`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the device was told, in seconds, rounded up to what it can count in.
    pub timeout_seconds: u64,
    /// After this the device has begun to undo it.
    pub deadline: String,
    /// Before this the device has not undone it because of its timer.
    pub deadline_earliest: String,
    /// Whether it can be confirmed from any session (`:confirmed-commit:1.1`).
    pub persistent: bool,
    /// The NETCONF session that holds it now; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<u64>,
    /// What was seen on the device last, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// What was warned of on the way.
    pub warnings: Vec<RpcErrorView>,
    /// How its probe goes, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeView>,
    pub create_time: String,
    pub update_time: String,
}

/// How the probe of a confirmed commit goes, or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProbeView {
    /// `running`; `held`: the commit was confirmed for it; `gave_up`: it was cancelled; `unreachable`: no session could be
    /// opened in the end, and `too_late`: there was no time left, so that the device undoes the commit by its timer;
    /// `stopped`: a person's order, or the end of the commit, came first.
    pub state: String,
    /// How often the device was asked.
    pub attempts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempt_time: Option<String>,
    /// Why the last attempt was not enough; absent when it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<ProbeFailureView>,
}

/// Why an attempt of a probe was not enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProbeFailureView {
    /// In words.
    pub detail: String,
    /// The first expectation that does not hold; absent where there was nothing to hold it against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What was expected there: JSON, cut where it is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What is there: JSON, cut where it is long. Absent: nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConfirmedCommitList {
    pub confirmed_commits: Vec<ConfirmedCommitView>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Why a change failed: what the problem said that its caller got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeErrorView {
    pub code: String,
    pub detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<LockHolderView>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rpc_errors: Vec<RpcErrorView>,
}

/// A lock or a private copy on a device (`GET …/locks`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LockView {
    /// `lock`, `private`, `ephemeral` or `shared`.
    pub kind: String,
    /// `candidate`, `running` or `startup`.
    pub datastore: String,
    /// Whether the gateway holds it. What others hold is what the device told lately.
    pub ours: bool,
    /// The edit session it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit_session: Option<String>,
    /// The caller that has it, if it is ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Who holds it on the device.
    pub holder: LockHolderView,
    /// When it goes by itself; ours only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// When the device told of it; others' only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LockList {
    pub locks: Vec<LockView>,
    /// Whether the device itself was asked and lists its locks (RFC 6022). If not, locks of others are known only from
    /// refusals.
    pub device_reports: bool,
}

/// What became of the uncommitted changes in the candidate (`POST …/candidate/discard`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DiscardedView {
    pub device: String,
    /// False: there was nothing to discard.
    pub discarded: bool,
    /// What is gone now.
    pub diff: String,
    pub diff_sha256: String,
    pub warnings: Vec<RpcErrorView>,
}

/// What killing a session did (S26).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KilledView {
    pub device: String,
    pub session_id: u64,
    /// What was known of it just before.
    pub victim: LockHolderView,
    /// The edit session of the gateway that ended with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit_session: Option<String>,
    /// What it means for uncommitted changes and pending confirmed commits, in words.
    pub effects: Vec<String>,
    pub warnings: Vec<RpcErrorView>,
}
