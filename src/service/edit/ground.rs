//! What a write works on: locked or not, the shared candidate, a copy or running; and the RPCs that follow from it.

use super::load::Loader;
use super::request::{Edit, EditBody, Mode};
use super::script::{Step, StepName, Tells};
use crate::error::Error;
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::confirm_timeout::ConfirmTimeout;
use crate::netconf::datastore::Datastore;
use crate::netconf::junos::get_configuration::{Compare, Database};
use crate::netconf::junos::{
    self, ClearSystemCommit, CloseConfiguration, CommitConfiguration, GetConfiguration, LoadConfiguration,
    LockConfiguration, OpenConfiguration, UnlockConfiguration,
};
use crate::netconf::operation::{
    ConfigInput, ConfigSource, ConfigTarget, CopyConfig, DiscardChanges, GetConfig, Lock, Unlock, Validate,
};
use crate::netconf::rpc::{RequestError, Rpc};
use crate::pool::{Hold, Touch};
use crate::service::failure;
use crate::service::url_policy::UrlPolicy;

/// Whose operations hold the session together: locks, commits, differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Junos,
    Rfc,
}

/// What a write works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    pub dialect: Dialect,
    pub mode: Mode,
    /// What is locked, and what edits go to; the candidate also stands for private copies and ephemeral instances.
    pub target: Datastore,
    /// The ephemeral instance; absent: the default one.
    pub instance: Option<String>,
    /// The operator knows that `<validate>` does more harm than good on this device.
    pub skip_validate: bool,
    /// What running is held against after each commit.
    pub verify: Verify,
    /// The commit has to be confirmed.
    pub confirm: Option<Confirm>,
}

/// What is looked at after a commit that the device said ok to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Nothing: its history tells what a device has committed.
    Nothing,
    /// That running is not as it was before. There are servers that say ok and do nothing, and without a history nothing
    /// else shows it; what they make of a configuration beside that is theirs.
    Moved,
    /// That running is what the candidate was (`verify_after_commit`).
    Whole,
}

/// A commit that has to be confirmed (S28).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirm {
    /// What the device waits.
    pub timeout: ConfirmTimeout,
    /// By which any session can confirm it, where the device takes such a token.
    pub persist: Option<String>,
}

impl Ground {
    /// Where a write in this mode works on a device with these capabilities: in the candidate where there is one, else
    /// in running.
    ///
    /// # Errors
    /// `capability-missing` for modes that the device does not have; `invalid-argument` for an instance beside
    /// another mode.
    pub fn new(capabilities: &Capabilities, mode: Mode, instance: Option<&str>) -> Result<Self, Error> {
        if instance.is_some() && mode != Mode::Ephemeral {
            return Err(Error::invalid("/instance", "goes with the mode ephemeral only"));
        }
        let dialect = if capabilities.is_junos() {
            Dialect::Junos
        } else {
            Dialect::Rfc
        };
        let target = match dialect {
            Dialect::Rfc
                if !capabilities.has(Capability::Candidate)
                    && capabilities.has(Capability::WritableRunning) =>
            {
                Datastore::Running
            }
            Dialect::Junos | Dialect::Rfc => Datastore::Candidate,
        };
        if matches!(mode, Mode::Private | Mode::Ephemeral) {
            capabilities
                .require(Capability::JunosXml, "open-configuration", mode.as_str())
                .map_err(|missing| failure::capability_missing(&missing))?;
        } else if dialect == Dialect::Rfc {
            target
                .require(capabilities, "edit-config", "target")
                .map_err(|missing| failure::capability_missing(&missing))?;
        }
        Ok(Self {
            dialect,
            mode,
            target,
            instance: instance.map(str::to_owned),
            skip_validate: false,
            verify: if dialect == Dialect::Rfc && target == Datastore::Candidate {
                Verify::Moved
            } else {
                Verify::Nothing
            },
            confirm: None,
        })
    }

    /// Whether what fails half-way can be taken back: not where everybody edits, nor where edits act at once.
    pub fn undo_guaranteed(&self, capabilities: &Capabilities, edits: usize) -> bool {
        match (self.mode, self.target) {
            (Mode::Shared, _) => false,
            (Mode::Private | Mode::Ephemeral, _) | (Mode::Exclusive, Datastore::Candidate) => true,
            (Mode::Exclusive, Datastore::Running | Datastore::Startup) => {
                edits == 1 && capabilities.has(Capability::RollbackOnError)
            }
        }
    }

    /// What is warned of in mode `shared` (S20).
    pub fn unlocked(&self) -> &'static str {
        match self.target {
            Datastore::Candidate => {
                "the shared candidate is not locked: the changes of others are committed together with these, and theirs \
                 may undo these"
            }
            Datastore::Running | Datastore::Startup => {
                "nothing is locked: others may change it meanwhile, and undo these changes"
            }
        }
    }

    /// Getting at it: locks, running before candidate (L4), or opening a copy.
    ///
    /// # Errors
    /// What the device does not offer.
    pub fn open(&self, capabilities: &Capabilities) -> Result<Vec<Step>, RequestError> {
        match self.mode {
            Mode::Shared => Ok(Vec::new()),
            Mode::Private => Ok(vec![Step::new(
                StepName::Open,
                OpenConfiguration::Private.rpc(capabilities)?,
                Touch::Acquires(Hold::Private),
            )]),
            Mode::Ephemeral => {
                let open = match &self.instance {
                    None => OpenConfiguration::Ephemeral,
                    Some(name) => OpenConfiguration::EphemeralInstance(name.clone()),
                };
                Ok(vec![Step::new(
                    StepName::Open,
                    open.rpc(capabilities)?,
                    Touch::Acquires(Hold::Ephemeral),
                )])
            }
            Mode::Exclusive => {
                let lock = |datastore: Datastore| {
                    let rpc = if junos_lock(capabilities, datastore) {
                        LockConfiguration.rpc(capabilities)?
                    } else {
                        Lock { target: datastore }.rpc(capabilities)?
                    };
                    Ok(Step::new(
                        StepName::Lock,
                        rpc,
                        Touch::Acquires(Hold::Lock(datastore)),
                    ))
                };
                self.locked(capabilities).into_iter().map(lock).collect()
            }
        }
    }

    /// The datastores that mode `exclusive` locks, in order. What may be written beside the candidate is locked, too.
    fn locked(&self, capabilities: &Capabilities) -> Vec<Datastore> {
        let beside = self.target == Datastore::Candidate && capabilities.has(Capability::WritableRunning);
        beside
            .then_some(Datastore::Running)
            .into_iter()
            .chain([self.target])
            .collect()
    }

    /// One edit. `at`: where it stands in the request.
    ///
    /// # Errors
    /// `invalid-argument` with a pointer; `capability-missing`.
    pub fn edit(
        &self,
        capabilities: &Capabilities,
        urls: &UrlPolicy,
        edit: &Edit,
        at: &str,
    ) -> Result<Step, Error> {
        if self.mode == Mode::Ephemeral && matches!(edit.body, EditBody::Rollback(_) | EditBody::Rescue) {
            let member = if edit.body == EditBody::Rescue {
                "rescue"
            } else {
                "rollback"
            };
            return Err(Error::invalid(
                format!("{at}/{member}"),
                "an ephemeral instance keeps no earlier configurations",
            ));
        }
        let loader = Loader {
            capabilities,
            target: self.target,
            urls,
        };
        let touch = match self.target {
            Datastore::Candidate => Touch::Edits,
            Datastore::Running | Datastore::Startup => Touch::Applies,
        };
        Ok(Step::new(StepName::Edit, loader.rpc(edit, at)?, touch))
    }

    /// The device's own check before a commit, where it has one (S14).
    ///
    /// # Errors
    /// What the device does not offer.
    pub fn validate(&self, capabilities: &Capabilities) -> Result<Option<Step>, RequestError> {
        let offered = capabilities.has(Capability::Validate10) || capabilities.has(Capability::Validate11);
        let rpc = match (self.dialect, self.mode) {
            _ if self.skip_validate => return Ok(None),
            (_, Mode::Ephemeral) => return Ok(None),
            (Dialect::Junos, _) => CommitConfiguration {
                check: true,
                ..CommitConfiguration::default()
            }
            .rpc(capabilities)?,
            (Dialect::Rfc, _) if offered && self.target == Datastore::Candidate => Validate {
                source: ConfigInput::Datastore(Datastore::Candidate),
            }
            .rpc(capabilities)?,
            (Dialect::Rfc, _) => return Ok(None),
        };
        Ok(Some(Step::new(StepName::Validate, rpc, Touch::Nothing)))
    }

    /// What the difference is made of before the edits: on Junos nothing, but that an ephemeral instance is read, which
    /// is all that tells later whether a commit of it was made (E5).
    ///
    /// # Errors
    /// What the device does not offer.
    pub fn before(&self, capabilities: &Capabilities) -> Result<Vec<Step>, RequestError> {
        if self.mode == Mode::Ephemeral {
            return Ok(vec![instance(capabilities, Tells::Before)?]);
        }
        if self.dialect == Dialect::Junos {
            return Ok(Vec::new());
        }
        let mut steps = vec![read(
            capabilities,
            StepName::Check,
            Datastore::Running,
            Tells::Before,
        )?];
        if self.mode == Mode::Exclusive && self.target == Datastore::Candidate {
            // L4: not every server refuses the lock of a candidate that somebody has changed.
            steps.push(read(
                capabilities,
                StepName::Check,
                Datastore::Candidate,
                Tells::Leftovers,
            )?);
        }
        Ok(steps)
    }

    /// Looking, before what takes the place of all of it, whether others left something in the shared candidate; on
    /// other servers than Junos after running was read.
    ///
    /// # Errors
    /// What the device does not offer.
    pub fn others(&self, capabilities: &Capabilities) -> Result<Option<Step>, RequestError> {
        let step = match (self.mode, self.target, self.dialect) {
            (Mode::Shared, Datastore::Candidate, Dialect::Junos) => Step {
                name: StepName::Check,
                ..compare(capabilities)?
            }
            .telling(Tells::Leftovers),
            (Mode::Shared, Datastore::Candidate, Dialect::Rfc) => read(
                capabilities,
                StepName::Check,
                Datastore::Candidate,
                Tells::Leftovers,
            )?,
            (Mode::Exclusive | Mode::Private | Mode::Ephemeral | Mode::Shared, ..) => return Ok(None),
        };
        Ok(Some(step))
    }

    /// What the edits come to. Ephemeral instances have no comparison; what one is to become is read as evidence (E5).
    ///
    /// # Errors
    /// What the device does not offer.
    pub fn diff(&self, capabilities: &Capabilities) -> Result<Vec<Step>, RequestError> {
        match (self.dialect, self.mode) {
            (_, Mode::Ephemeral) => Ok(vec![instance(capabilities, Tells::After)?]),
            (Dialect::Junos, _) => Ok(vec![compare(capabilities)?]),
            (Dialect::Rfc, _) => Ok(vec![read(
                capabilities,
                StepName::Diff,
                self.target,
                Tells::After,
            )?]),
        }
    }

    /// Running to startup after a commit (E7): asked for, or where the device has a startup datastore.
    ///
    /// # Errors
    /// `:startup` is missing.
    pub fn save(
        &self,
        capabilities: &Capabilities,
        wanted: Option<bool>,
    ) -> Result<Option<Step>, RequestError> {
        if !wanted.unwrap_or_else(|| capabilities.has(Capability::Startup)) {
            return Ok(None);
        }
        let copy = running_to_startup(capabilities)?;
        Ok(Some(Step::new(StepName::Save, copy, Touch::Applies)))
    }

    /// Taking uncommitted edits back while going on to hold what is held. Empty where nothing can be taken back.
    ///
    /// # Errors
    /// What the device does not offer.
    pub fn discard(&self, capabilities: &Capabilities) -> Result<Vec<Step>, RequestError> {
        let edits = Touch::Releases(Hold::Edits);
        Ok(match (self.mode, self.target) {
            (Mode::Ephemeral, _) => {
                // No rollback in an instance: what was loaded goes when it is closed.
                let mut steps = vec![close(capabilities, Hold::Ephemeral)?];
                steps.extend(self.open(capabilities)?);
                steps
            }
            (Mode::Private, _) => vec![Step::new(
                StepName::Discard,
                LoadConfiguration::Rollback(0).rpc(capabilities)?,
                edits,
            )],
            (Mode::Exclusive | Mode::Shared, Datastore::Candidate) => {
                let rpc = if junos_lock(capabilities, Datastore::Candidate) {
                    LoadConfiguration::Rollback(0).rpc(capabilities)?
                } else {
                    DiscardChanges.rpc(capabilities)?
                };
                vec![Step::new(StepName::Discard, rpc, edits)]
            }
            (Mode::Exclusive | Mode::Shared, Datastore::Running | Datastore::Startup) => Vec::new(),
        })
    }

    /// Taking back what is in the candidate although the device said ok to its commit, where it is nobody else's, because
    /// the lock of it is `held`. Copies and instances go with what was in them.
    ///
    /// # Errors
    /// What the device does not offer.
    pub fn discard_ignored(
        &self,
        capabilities: &Capabilities,
        held: &[Hold],
    ) -> Result<Vec<Step>, RequestError> {
        match self.mode {
            Mode::Exclusive if held.contains(&Hold::Lock(self.target)) => self.discard(capabilities),
            Mode::Exclusive | Mode::Private | Mode::Ephemeral | Mode::Shared => Ok(Vec::new()),
        }
    }

    /// Giving back what is held, last taken first: uncommitted edits, then locks or the copy. Without a lock the edits
    /// stay, because the candidate is everybody's (L2): in mode `shared`, and on a device that locks nothing.
    ///
    /// # Errors
    /// What the device does not offer.
    pub fn release(&self, capabilities: &Capabilities, held: &[Hold]) -> Result<Vec<Step>, RequestError> {
        let mut steps = Vec::new();
        let locked = self.mode == Mode::Exclusive && held.contains(&Hold::Lock(self.target));
        if locked && held.contains(&Hold::Edits) {
            steps.extend(self.discard(capabilities)?);
        }
        for hold in [Hold::Private, Hold::Ephemeral] {
            if held.contains(&hold) {
                steps.push(close(capabilities, hold)?);
            }
        }
        for datastore in [Datastore::Startup, Datastore::Candidate, Datastore::Running] {
            let hold = Hold::Lock(datastore);
            if held.contains(&hold) {
                let rpc = if junos_lock(capabilities, datastore) {
                    UnlockConfiguration.rpc(capabilities)?
                } else {
                    Unlock { target: datastore }.rpc(capabilities)?
                };
                steps.push(Step::new(StepName::Unlock, rpc, Touch::Releases(hold)));
            }
        }
        Ok(steps)
    }

    /// What is held once [`Self::open`] went well and, perhaps, edits were made.
    pub(in crate::service) fn held_after_open(&self, capabilities: &Capabilities, edits: bool) -> Vec<Hold> {
        let mut held = match self.mode {
            Mode::Shared => Vec::new(),
            Mode::Private => vec![Hold::Private],
            Mode::Ephemeral => vec![Hold::Ephemeral],
            Mode::Exclusive => self.locked(capabilities).into_iter().map(Hold::Lock).collect(),
        };
        if edits {
            held.push(Hold::Edits);
        }
        held
    }
}

/// Calling a scheduled commit off (E6).
///
/// # Errors
/// No Junos device.
pub fn clear_scheduled(capabilities: &Capabilities) -> Result<Step, RequestError> {
    Ok(Step::new(
        StepName::Discard,
        ClearSystemCommit.rpc(capabilities)?,
        Touch::Unknown,
    ))
}

/// What saves: running is copied to startup.
///
/// # Errors
/// `:startup` is missing.
pub fn running_to_startup(capabilities: &Capabilities) -> Result<Rpc, RequestError> {
    let copy = CopyConfig {
        source: ConfigInput::Datastore(Datastore::Running),
        target: ConfigTarget::Datastore(Datastore::Startup),
    };
    copy.rpc(capabilities)
}

/// The difference between the candidate and what is committed, in Junos' own words.
///
/// # Errors
/// No Junos device.
pub fn compare(capabilities: &Capabilities) -> Result<Step, RequestError> {
    let get = GetConfiguration {
        database: Some(Database::Candidate),
        compare: Some(Compare::Rollback(0)),
        format: junos::Format::Text,
        ..GetConfiguration::default()
    };
    let step = Step::new(StepName::Diff, get.rpc(capabilities)?, Touch::Nothing);
    Ok(step.telling(Tells::Difference))
}

/// A whole datastore, to be compared.
///
/// # Errors
/// A datastore that the device does not offer.
pub fn read(
    capabilities: &Capabilities,
    name: StepName,
    datastore: Datastore,
    tells: Tells,
) -> Result<Step, RequestError> {
    let get = GetConfig {
        source: ConfigSource::Datastore(datastore),
        filter: None,
        with_defaults: None,
    };
    Ok(Step::new(name, get.rpc(capabilities)?, Touch::Nothing).telling(tells))
}

/// The ephemeral instance that is open in the session, whole: what was committed to it, and what this session edited.
///
/// # Errors
/// No Junos device.
fn instance(capabilities: &Capabilities, tells: Tells) -> Result<Step, RequestError> {
    let get = GetConfiguration {
        database: Some(Database::Candidate),
        ..GetConfiguration::default()
    };
    let step = Step::new(StepName::Check, get.rpc(capabilities)?, Touch::Nothing);
    Ok(step.telling(tells))
}

fn close(capabilities: &Capabilities, hold: Hold) -> Result<Step, RequestError> {
    let rpc = CloseConfiguration.rpc(capabilities)?;
    Ok(Step::new(StepName::Close, rpc, Touch::Releases(hold)))
}

/// S21: the Junos XML protocol's own lock, where `<lock>` is not offered.
fn junos_lock(capabilities: &Capabilities, datastore: Datastore) -> bool {
    datastore == Datastore::Candidate && capabilities.is_junos() && !capabilities.has(Capability::Candidate)
}

/// A request that could not be built, with the place in the caller's body.
pub(in crate::service) fn unbuildable(error: &RequestError, at: &str) -> Error {
    match error {
        RequestError::MissingCapability(missing) => failure::capability_missing(missing),
        RequestError::Invalid { parameter, detail } => {
            Error::invalid(format!("{at}/{parameter}"), detail.clone())
        }
        RequestError::Write(error) => Error::invalid(at, error.to_string()),
    }
}
