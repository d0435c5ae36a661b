//! The commit of a write: which options go with it, and the comment by which it is found again.

use super::ground::{Confirm, Dialect, Ground, unbuildable};
use super::request::{CommitOptions, Mode};
use super::script::{Step, StepName, Tells};
use crate::error::Error;
use crate::netconf::capability::{Capabilities, Capability, MissingCapability};
use crate::netconf::datastore::Datastore;
use crate::netconf::junos::{AtTime, CommitConfiguration};
use crate::netconf::operation::Commit;
use crate::pool::{Hold, Touch};
use crate::service::confirmed;
use crate::service::failure;

/// Bytes of the comment that a commit carries, the marker included.
const MOST_LOG: usize = 512;

impl Ground {
    /// The commit, with `marker` in its comment where the device keeps comments (E3). `None`: edits act at once.
    ///
    /// # Errors
    /// `invalid-argument` with the option's pointer below `at`, `capability-missing`.
    pub fn commit(
        &self,
        capabilities: &Capabilities,
        options: &CommitOptions,
        marker: &str,
        at: &str,
    ) -> Result<Option<Step>, Error> {
        self.check_commit_options(capabilities, options, at)?;
        if let Some(Confirm { timeout, persist }) = &self.confirm {
            let junos = CommitConfiguration {
                log: Some(log(options.comment.as_deref(), marker)),
                synchronize: options.synchronize,
                force_synchronize: options.force_synchronize,
                full: options.full,
                ..CommitConfiguration::default()
            };
            let step = confirmed::start(capabilities, *timeout, persist.as_deref(), junos);
            return step.map(Some).map_err(|error| unbuildable(&error, at));
        }
        let rpc = match (self.dialect, self.mode) {
            (Dialect::Junos, mode) => {
                let at_time = options.at.as_deref().map(AtTime::parse).transpose();
                let commit = CommitConfiguration {
                    log: (mode != Mode::Ephemeral).then(|| log(options.comment.as_deref(), marker)),
                    at_time: at_time.map_err(|error| unbuildable(&error, at))?,
                    synchronize: options.synchronize,
                    force_synchronize: options.force_synchronize,
                    full: options.full,
                    ..CommitConfiguration::default()
                };
                commit.rpc(capabilities)
            }
            (Dialect::Rfc, _) if self.target == Datastore::Candidate => Commit::default().rpc(capabilities),
            (Dialect::Rfc, _) => return Ok(None),
        };
        let rpc = rpc.map_err(|error| unbuildable(&error, at))?;
        let step = Step::new(StepName::Commit, rpc, Touch::Releases(Hold::Edits));
        Ok(Some(step.telling(Tells::Commit)))
    }

    fn check_commit_options(
        &self,
        capabilities: &Capabilities,
        options: &CommitOptions,
        at: &str,
    ) -> Result<(), Error> {
        let CommitOptions {
            comment,
            at: at_time,
            synchronize,
            force_synchronize,
            full,
            save: _,
            confirm_timeout_seconds,
            confirm_others: _,
        } = options;
        if confirm_timeout_seconds.is_some() {
            self.check_confirmed(at_time.is_some(), at)?;
        }
        for (name, given) in [
            ("at", at_time.is_some()),
            ("synchronize", *synchronize),
            ("force_synchronize", *force_synchronize),
            ("full", *full),
        ] {
            if given {
                capabilities
                    .require(Capability::JunosXml, "commit", name)
                    .map_err(|missing| failure::capability_missing(&missing))?;
            }
        }
        for (name, given) in [
            ("comment", comment.is_some()),
            ("at", at_time.is_some()),
            ("full", *full),
        ] {
            if given && self.mode == Mode::Ephemeral {
                return Err(Error::invalid(
                    format!("{at}/{name}"),
                    "a commit of an ephemeral instance has no such option",
                ));
            }
        }
        Ok(())
    }

    /// What has to be confirmed needs the lock of the candidate until its end (C7).
    fn check_confirmed(&self, scheduled: bool, at: &str) -> Result<(), Error> {
        let pointer = format!("{at}/confirm_timeout_seconds");
        if scheduled {
            return Err(Error::invalid(pointer, "does not go with at"));
        }
        match (self.mode, self.target) {
            (Mode::Exclusive, Datastore::Candidate) => Ok(()),
            (Mode::Exclusive, Datastore::Running | Datastore::Startup) => {
                Err(failure::capability_missing(&MissingCapability {
                    operation: "commit".to_owned(),
                    parameter: "confirmed".to_owned(),
                    capability: Capability::Candidate.uri().to_owned(),
                }))
            }
            (Mode::Private | Mode::Ephemeral | Mode::Shared, _) => {
                Err(Error::invalid(pointer, "needs the mode exclusive"))
            }
        }
    }
}

/// The comment of a commit: cut if need be, never the marker (E3). Characters that a comment cannot hold on one line
/// become blanks; what could be taken for a marker is none.
fn log(comment: Option<&str>, marker: &str) -> String {
    let comment = comment.unwrap_or_default().trim();
    if comment.is_empty() {
        return marker.to_owned();
    }
    let mut room = MOST_LOG.saturating_sub(marker.len() + 1).min(comment.len());
    while !comment.is_char_boundary(room) {
        room -= 1;
    }
    let line = comment[..room].replace(['\r', '\n', '\t'], " ");
    // Evidence is what the gateway wrote, never what a caller did (E3, E4).
    let line = line.replace(MARKER_START, "(ncgate");
    format!("{} {marker}", line.trim_end())
}

/// How every marker begins.
const MARKER_START: &str = "[ncgate";

/// What names an operation in a device's history (E3).
pub fn marker(id: &str, principal: &str) -> String {
    format!("{MARKER_START} {id} {principal}]")
}

/// The id of the operation in the marker that a commit's comment holds; that of a change is its own.
pub fn operation_in_marker(comment: &str) -> Option<&str> {
    let (_, marker) = comment.rsplit_once(MARKER_START)?;
    let id = marker.trim_start().split([' ', '/']).next();
    id.filter(|id| !id.is_empty())
}
