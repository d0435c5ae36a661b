//! What is looked at in an edit session before its commit: who has committed what, what the commit would change, what an
//! ephemeral instance is to become. It is the evidence by which the commit is found again should its reply be lost
//! (conventions E2, E5).

use super::commits::Commit;
use super::sending::Manner;
use super::{Used, record};
use crate::device::Start;
use crate::error::{Error, Outcome};
use crate::netconf::datastore::Datastore;
use crate::netconf::rpc::RequestError;
use crate::service::Gateway;
use crate::service::call::CallContext;
use crate::service::edit::differing::{self, Differing, Looked};
use crate::service::edit::ground::{Dialect, Ground};
use crate::service::edit::request::Mode;
use crate::service::edit::script::Step;
use crate::service::evidence::{self, Evidence, Newest};
use crate::service::operations::{AtOnce, Ticket};
use crate::service::{failure, history};

/// What is looked at before a commit.
pub(super) enum Look {
    /// What the candidate, or a private copy, differs in from what is running.
    Difference {
        /// Who has committed what, where the device keeps a history (E2).
        history: Option<Step>,
        differing: Differing,
    },
    /// An ephemeral instance with its edits; what it was before them is known already.
    Instance { before: String, reads: Vec<Step> },
}

/// What a look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    NoDifference,
    /// There is something to commit, or nobody can tell.
    ToCommit,
}

impl Look {
    /// What tells whether there is anything to commit, or afterwards whether it was. `None`: nothing does.
    ///
    /// # Errors
    /// What the device does not offer.
    pub fn before_commit(used: &Used, ground: &Ground) -> Result<Option<Self>, Error> {
        let capabilities = used.handle.capabilities();
        let built = |error: RequestError| used.on_device(failure::unbuildable(&error));
        if ground.mode == Mode::Ephemeral {
            let before = used.handle.before();
            let Some(before) = before.filter(|_| used.handle.status().uncommitted()) else {
                return Ok(None);
            };
            let reads = ground.diff(capabilities).map_err(built)?;
            return Ok(Some(Self::Instance { before, reads }));
        }
        let history = match ground.dialect {
            Dialect::Junos => Some(history::step(capabilities, false).map_err(built)?),
            Dialect::Rfc => None,
        };
        let differing = Differing::new(ground.dialect, capabilities).map_err(built)?;
        Ok(Some(Self::Difference { history, differing }))
    }

    pub fn steps(&self) -> Vec<Step> {
        match self {
            Self::Difference { history, differing } => {
                let steps = history.iter().chain(&differing.steps);
                steps.cloned().collect()
            }
            Self::Instance { reads, .. } => reads.clone(),
        }
    }
}

impl Used {
    /// What is read before an edit, because nothing else tells later what came of it: an ephemeral instance before the
    /// first edit since it was opened or committed last (E5), and what is running before each edit of that, as such an edit
    /// acts at once (E4). Empty for everything else.
    ///
    /// # Errors
    /// What the device does not offer.
    pub fn before_edits(&self, ground: &Ground) -> Result<Vec<Step>, Error> {
        let first = ground.mode == Mode::Ephemeral && !self.handle.status().uncommitted();
        if !first && ground.target == Datastore::Candidate {
            return Ok(Vec::new());
        }
        let built = ground.before(self.handle.capabilities());
        built.map_err(|error| self.on_device(failure::unbuildable(&error)))
    }

    /// Sends [`Self::before_edits`], and tells what is running if that was read. What the device does not show is edited
    /// all the same.
    ///
    /// # Errors
    /// As an edit; nothing was edited.
    pub async fn read_before_edits(
        &self,
        gateway: &Gateway,
        ctx: &CallContext,
        steps: Vec<Step>,
    ) -> Result<Option<AtOnce>, Error> {
        if steps.is_empty() {
            return Ok(None);
        }
        let at_once = self.handle.facts().datastore != Datastore::Candidate;
        let by = ctx.deadline.map(|_| gateway.deadline(ctx, &self.device));
        // A caller who leaves now takes the edit back, so the call does not count as sent.
        let manner = Manner::default();
        let sent = self
            .send_by(by, steps, Start::default(), &Ticket::default(), manner)
            .await;
        match sent {
            Ok(replies) => {
                let mut before = None;
                for raw in replies {
                    let read = differing::snapshot(self.record.name(), raw).await?;
                    before = Some(read.digest());
                }
                if at_once {
                    return Ok(before.map(|before| AtOnce {
                        session_id: Some(self.handle.session_id()),
                        ..AtOnce::new(before, None)
                    }));
                }
                before
                    .into_iter()
                    .for_each(|before| self.handle.note_before(before));
                Ok(None)
            }
            Err(failed) if evidence::is_hidden(&failed.error) => {
                let words = if at_once {
                    evidence::UNSEEN
                } else {
                    evidence::UNREAD
                };
                self.warn_of(words, &failed.error);
                Ok(None)
            }
            Err(failed) => Err(failed.error),
        }
    }

    pub fn warn_of(&self, words: &str, refused: &Error) {
        let words = format!("{words}: {}", refused.detail());
        self.handle.warn([record::warning(words)]);
    }
}

impl Commit {
    /// Looks, and keeps on record what was seen.
    pub async fn look(&mut self, look: Look, start: &Start) -> Result<Seen, Error> {
        match look {
            Look::Difference { history, differing } => self.difference(history, &differing, start).await,
            Look::Instance { before, reads } => self.instance(before, reads, start).await,
        }
    }

    /// What the commit would change, now.
    async fn difference(
        &mut self,
        history: Option<Step>,
        differing: &Differing,
        start: &Start,
    ) -> Result<Seen, Error> {
        let name = self.used.record.name().to_owned();
        let saves = self
            .ground
            .save(self.used.handle.capabilities(), self.options.save);
        let mut evidence = Evidence {
            junos: self.ground.dialect == Dialect::Junos,
            saves: matches!(saves, Ok(Some(_))),
            ..Evidence::default()
        };
        if let Some(step) = history {
            let read = match self.send(vec![step], start, None).await {
                Ok(replies) => {
                    let read = replies.iter().map(|raw| history::parse_newest(&name, raw));
                    read.collect::<Result<Vec<_>, Error>>()
                }
                Err(failed) => Err(failed.error),
            };
            match read {
                Ok(histories) => {
                    for history in histories {
                        let id = &self.used.record.id;
                        self.gateway.note_history(id, &name, &history).await;
                        if !self.options.confirm_others {
                            let checked = self.gateway.no_commit_of_others(&history);
                            checked.map_err(|error| error.with_outcome(Outcome::NotApplied))?;
                        }
                        evidence.newest = history.newest().map(Newest::from);
                    }
                }
                // A user who may not see the history may commit all the same.
                Err(error) if evidence::is_hidden(&error) && self.ground.confirm.is_none() => {
                    self.used.warn_of(evidence::HIDDEN, &error);
                }
                Err(error) => return Err(error),
            }
        }
        let sent = self.send(differing.steps.clone(), start, None).await;
        let replies = sent.map_err(|failed| failed.error)?;
        let Looked { diff, compared } = differing.look(&name, replies).await?;
        if let Some((running, candidate)) = &compared {
            evidence.before = Some(running.digest());
            evidence.expected = Some(candidate.digest());
        }
        self.compared = compared;
        self.record.looked(&diff, evidence)?;
        Ok(if diff.is_empty() {
            Seen::NoDifference
        } else {
            Seen::ToCommit
        })
    }

    /// What an ephemeral instance is to become. It has no comparison, so it is committed in any case.
    async fn instance(&mut self, before: String, reads: Vec<Step>, start: &Start) -> Result<Seen, Error> {
        let mut expected = None;
        match self.send(reads, start, None).await {
            Ok(replies) => {
                for raw in replies {
                    let read = differing::snapshot(self.used.record.name(), raw).await?;
                    expected = Some(read.digest());
                }
            }
            Err(failed) if evidence::is_hidden(&failed.error) => {
                self.used.warn_of(evidence::UNREAD, &failed.error);
            }
            Err(failed) => return Err(failed.error),
        }
        self.record.keeps(Evidence {
            junos: true,
            before: Some(before),
            expected,
            ..Evidence::default()
        });
        Ok(Seen::ToCommit)
    }
}
