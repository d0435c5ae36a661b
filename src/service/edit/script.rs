//! Which RPCs a write is made of: the one place that knows, together with `ground`. From what a device offers and what
//! is asked for it gives steps, each with its XML and what it does to the session (`Touch`). `plan=true` prints them,
//! edit sessions run parts of them, a change runs them whole.

use std::borrow::Cow;

use super::ground::{Dialect, Ground, Verify, read, unbuildable};
use super::request::{ChangeRequest, Edit, EditBody, EditFormat, ErrorOption, Mode};
use crate::error::{Error, ErrorCode};
use crate::netconf::capability::Capabilities;
use crate::netconf::datastore::Datastore;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::pool::Touch;
use crate::service::confirmed;
use crate::service::url_policy::UrlPolicy;

/// Edits of one change.
pub const MOST_EDITS: usize = 64;

/// What a step is for. The words are those of the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepName {
    Lock,
    Open,
    /// Looking whether the device is as it must be.
    Check,
    Edit,
    Validate,
    Diff,
    Commit,
    Verify,
    Save,
    Discard,
    Unlock,
    Close,
}

impl StepName {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Open => "open",
            Self::Check => "check",
            Self::Edit => "edit",
            Self::Validate => "validate",
            Self::Diff => "diff",
            Self::Commit => "commit",
            Self::Verify => "verify",
            Self::Save => "save",
            Self::Discard => "discard",
            Self::Unlock => "unlock",
            Self::Close => "close",
        }
    }
}

/// What the reply to a step tells beside whether it worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    Nothing,
    /// The commits of the device, the newest first.
    History,
    /// The configuration before the edits, as a tree.
    Before,
    /// What the candidate holds before the edits: the same, or it is somebody's.
    Leftovers,
    /// The configuration with the edits, as a tree.
    After,
    /// The difference, as the device's own text.
    Difference,
    /// What was committed, as a tree.
    Committed,
    /// What each member did, and the new revision.
    Commit,
}

/// One RPC of a write.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub name: StepName,
    pub rpc: Rpc,
    pub touch: Touch,
    pub tells: Tells,
    /// Which edit it is, counted from 0.
    pub edit: Option<usize>,
}

impl Step {
    pub(in crate::service) fn new(name: StepName, rpc: Rpc, touch: Touch) -> Self {
        Self {
            name,
            rpc,
            touch,
            tells: Tells::Nothing,
            edit: None,
        }
    }

    pub(in crate::service) fn telling(self, tells: Tells) -> Self {
        Self { tells, ..self }
    }
}

/// A change as steps, all of them, as they run when nothing goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    pub ground: Ground,
    /// Up to the commit and what follows from it.
    pub steps: Vec<Step>,
    /// Giving back what is held then.
    pub ending: Vec<Step>,
    /// What the answer warns of whatever happens.
    pub warnings: Vec<String>,
    /// Whether a failure leaves the device as it was.
    pub undo_guaranteed: bool,
}

/// The mode of a change that names none: a dry run on Junos leaves the shared candidate alone.
pub fn mode_of(capabilities: &Capabilities, request: &ChangeRequest) -> Mode {
    match request.mode {
        Some(mode) => mode,
        None if request.dry_run && capabilities.is_junos() => Mode::Private,
        None => Mode::Exclusive,
    }
}

/// The steps of a change. `marker` goes into the comment of the commit (E3).
///
/// # Errors
/// `invalid-argument` with pointers into the request, `capability-missing`; nothing was sent.
pub fn change(
    ground: Ground,
    capabilities: &Capabilities,
    urls: &UrlPolicy,
    request: &ChangeRequest,
    marker: &str,
) -> Result<Script, Error> {
    if request.edits.is_empty() || request.edits.len() > MOST_EDITS {
        let detail = format!(
            "a change has 1 to {MOST_EDITS} edits, this has {}",
            request.edits.len()
        );
        return Err(Error::invalid("/edits", detail));
    }
    let undo_guaranteed = ground.undo_guaranteed(capabilities, request.edits.len());
    if request.dry_run {
        check_dry_run(&ground)?;
    }
    let built = |error: RequestError| unbuildable(&error, "");
    let mut steps = ground.open(capabilities).map_err(built)?;
    // Under the lock nobody else commits; a copy is committed beside the others' commits, so it is looked as late as
    // can be.
    let revisions = request.if_revision.is_some();
    let early = revisions || ground.mode == Mode::Exclusive;
    if early {
        steps.extend(history(&ground, capabilities, revisions)?);
    }
    steps.extend(ground.before(capabilities).map_err(built)?);
    let wipes = |edit: &Edit| edit.takes_the_place_of_all() && !edit.discard_others;
    if request.edits.iter().any(wipes) {
        steps.extend(ground.others(capabilities).map_err(built)?);
    }
    for (index, edit) in request.edits.iter().enumerate() {
        let mut edit = Cow::Borrowed(edit);
        if ground.target == Datastore::Running && undo_guaranteed && edit.error_option.is_none() {
            // The one edit acts at once: all of it, or nothing.
            edit.to_mut().error_option = Some(ErrorOption::RollbackOnError);
        }
        let step = ground.edit(capabilities, urls, &edit, &format!("/edits/{index}"))?;
        steps.push(Step {
            edit: Some(index),
            ..step
        });
    }
    if !early {
        steps.extend(history(&ground, capabilities, revisions)?);
    }
    if request.validate {
        steps.extend(ground.validate(capabilities).map_err(built)?);
    }
    steps.extend(ground.diff(capabilities).map_err(built)?);
    let commit = committing(&ground, request).commit(capabilities, &request.commit, marker, "/commit")?;
    let mut committed = false;
    if !request.dry_run {
        let scheduled = request.commit.at.is_some();
        // What a copy or an instance becomes in running depends on others.
        let whole = matches!(ground.mode, Mode::Exclusive | Mode::Shared);
        if ground.verify != Verify::Nothing && !scheduled && commit.is_some() && whole {
            if ground.dialect == Dialect::Junos {
                let known = [
                    (Datastore::Running, Tells::Before),
                    (Datastore::Candidate, Tells::After),
                ];
                for (datastore, tells) in known {
                    steps.push(read(capabilities, StepName::Verify, datastore, tells).map_err(built)?);
                }
            }
            steps.extend(commit);
            steps.push(
                read(
                    capabilities,
                    StepName::Verify,
                    Datastore::Running,
                    Tells::Committed,
                )
                .map_err(built)?,
            );
            committed = true;
        } else {
            committed = commit.is_some();
            steps.extend(commit);
        }
        let save = ground.save(capabilities, request.commit.save);
        let save = save.map_err(|error| unbuildable(&error, "/commit"))?;
        // Else when it is confirmed.
        steps.extend(save.filter(|_| ground.confirm.is_none()));
    }
    let ending = if committed && ground.confirm.is_some() {
        // The session and its lock stay with the confirmed commit (C2, C7).
        Vec::new()
    } else {
        let held = ground.held_after_open(capabilities, !committed);
        ground.release(capabilities, &held).map_err(built)?
    };
    Ok(Script {
        ending,
        warnings: warnings(&ground, request),
        ground,
        steps,
        undo_guaranteed,
    })
}

/// Where the commit is made by which its options are judged: a dry run whose mode nobody chose looks in a copy at what
/// the change itself would do under the lock.
fn committing<'a>(ground: &'a Ground, request: &ChangeRequest) -> Cow<'a, Ground> {
    if !request.dry_run || request.mode.is_some() {
        return Cow::Borrowed(ground);
    }
    Cow::Owned(Ground {
        mode: Mode::Exclusive,
        ..ground.clone()
    })
}

/// Who has committed what: evidence for later, and whether somebody waits for a confirmation (E2). Elsewhere than on
/// Junos nothing tells, nor of an ephemeral instance (E5).
fn history(ground: &Ground, capabilities: &Capabilities, revisions: bool) -> Result<Option<Step>, Error> {
    if !revisions && (ground.dialect != Dialect::Junos || ground.mode == Mode::Ephemeral) {
        return Ok(None);
    }
    let step = crate::service::history::step(capabilities, revisions);
    step.map(Some).map_err(|error| unbuildable(&error, ""))
}

impl Script {
    /// Every RPC in order, as `plan=true` shows it.
    pub fn plan(&self) -> Vec<String> {
        let all = self.steps.iter().chain(&self.ending);
        all.map(|step| step.rpc.body.as_str().to_owned()).collect()
    }
}

/// A dry run must be able to leave nothing, and to show something.
fn check_dry_run(ground: &Ground) -> Result<(), Error> {
    let why = match (ground.mode, ground.target) {
        (Mode::Shared, _) => "what is loaded into the shared candidate cannot be taken back for certain",
        (Mode::Ephemeral, _) => "an ephemeral instance has no comparison",
        (_, Datastore::Running | Datastore::Startup) => {
            "the device has no candidate, so an edit acts at once"
        }
        (Mode::Exclusive | Mode::Private, Datastore::Candidate) => return Ok(()),
    };
    Err(Error::new(
        ErrorCode::CapabilityMissing,
        format!("a dry run is not possible here: {why}"),
    )
    .with_field("/dry_run", why))
}

fn warnings(ground: &Ground, request: &ChangeRequest) -> Vec<String> {
    let mut warnings = Vec::new();
    match ground.mode {
        Mode::Shared => warnings.push(ground.unlocked().to_owned()),
        Mode::Ephemeral => {
            if request.validate {
                warnings.push("data of an ephemeral instance are not validated".to_owned());
            }
            warnings.push("data of an ephemeral instance do not survive a reboot".to_owned());
        }
        Mode::Exclusive | Mode::Private => {}
    }
    if ground.dialect == Dialect::Rfc && request.commit.comment.is_some() && !request.dry_run {
        warnings.push(
            "the device keeps no comments with its commits: this one is kept by the gateway only".to_owned(),
        );
    }
    let confirm = ground
        .confirm
        .as_ref()
        .zip(request.commit.confirm_timeout_seconds);
    warnings.extend(confirm.and_then(|(confirm, asked)| confirmed::rounded(asked, confirm.timeout.rfc())));
    let unnamed_format = |edit: &Edit| {
        matches!(edit.body, EditBody::Url(_))
            && matches!(edit.format, EditFormat::Json)
            && ground.dialect == Dialect::Junos
    };
    if request.edits.iter().any(unnamed_format) {
        warnings.push("the format of the url was not named, and is taken for xml".to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests;
