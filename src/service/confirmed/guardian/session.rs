//! The session that a confirmed commit needs: taken, asked, and given back (conventions C2, C7).

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use super::Guardian;
use super::turn::too_late;
use crate::device::{Occupant, Way};
use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::RequestError;
use crate::pool::Hold;
use crate::service::confirmed::record::ConfirmedCommit;
use crate::service::confirmed::state::State;
use crate::service::edit::differing::Differing;
use crate::service::edit::ground::{Dialect, Ground};
use crate::service::edit::reading;
use crate::service::edit::request::Mode;
use crate::service::edit::script::Step;
use crate::service::edit::view::RpcErrorView;
use crate::service::evidence::{self, Running, Standing};
use crate::service::held::{look, send};
use crate::service::history::Records;
use crate::service::{failure, locks};

/// How long the end of a session is waited for. It goes on by itself.
const GOODBYE: Duration = Duration::from_secs(10);

/// What a session is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A commit of the candidate, which has to be as running is.
    Commit,
    /// The confirming commit, together with what has come into the candidate since.
    ConfirmWithCandidate,
    /// `<cancel-commit>` by its token, which leaves the candidate alone.
    Undo,
}

/// The device has said ok to an extension.
#[derive(Debug)]
pub(super) struct Extended {
    pub answered: Instant,
    /// Whether the commit stood when it was extended, by what the device shows right after it: to an extension of what it has
    /// undone before it says ok as well, and that is a new commit.
    pub stands: Result<bool, Error>,
}

impl Guardian {
    /// A session with the lock of the candidate: the one that made the commit, or a new one where that is as good.
    pub(super) async fn take_session(&mut self, deadline: Instant, purpose: Purpose) -> Result<(), Error> {
        if let Some(held) = &self.held {
            // Behind a reply that the device owes it would wait, and nobody could tell in time what came of it.
            let by = if self.commit.needs_session() {
                deadline
            } else {
                deadline.min(Instant::now() + self.times.rpc / 4)
            };
            match tokio::time::timeout_at(by, held.idle()).await {
                Ok(()) => return Ok(()),
                Err(_) if self.commit.needs_session() => return Err(owed()),
                // There is no time left for another one.
                Err(_) if by >= deadline => return Err(too_late()),
                // Another session is as good.
                Err(_) => self.end_session().await,
            }
        }
        if self.is_doomed() {
            let detail = "the session that could do this has ended; the device undoes the commit";
            return Err(Error::new(ErrorCode::InvalidState, detail).with_reason("session_lost"));
        }
        let (_, device) = self.device().await?;
        let claim = Occupant {
            id: Some(self.commit.row.id.clone()),
            who: self.commit.row.owner.clone(),
        };
        let wait = deadline.saturating_duration_since(Instant::now());
        let mut held = device
            .hold_as(claim, wait, deadline, Way::Candidate)
            .await
            .map_err(|error| locks::not_held(&device, error))?;
        let capabilities = held.capabilities();
        let open = self
            .ground(&capabilities)?
            .open(&capabilities)
            .map_err(|error| failure::unbuildable(&error))?;
        for step in open {
            let sent = send(step, &mut held, &self.commit.row.device, deadline).await;
            match sent {
                Ok(_) => {}
                // RFC 6241 (7.5) refuses the lock of running to other sessions while a confirmed commit is pending; there
                // are servers that refuse the candidate's too, though this session has the token, and nobody else gets
                // it either. Whether the candidate is clean is looked at in any case.
                Err(error)
                    if self.commit.document.persist.is_some()
                        && matches!(error.code(), ErrorCode::InUse | ErrorCode::ConfirmedCommitPending) => {}
                // Undoing by token needs no candidate (RFC 6241 section 8.4.4.1).
                Err(error) if purpose == Purpose::Undo && is_refused(&error) => {}
                // What is to be confirmed as well keeps the lock from being had.
                Err(error)
                    if error.reason() == Some("candidate_modified")
                        && purpose == Purpose::ConfirmWithCandidate => {}
                Err(error) if error.reason() == Some("candidate_modified") => {
                    self.held = Some(held);
                    let told = self.candidate_is_clean(deadline, false).await;
                    self.end_session().await;
                    return Err(told.err().unwrap_or(error));
                }
                Err(error) => return Err(error),
            }
        }
        self.session = Some(held.watch());
        self.commit.document.session_id = Some(held.session_id());
        self.held = Some(held);
        Ok(())
    }

    /// Where the device undoes it with its session, that is not given up for a late reply (C2).
    pub(super) async fn keep_session(&mut self) {
        if !self.commit.needs_session() {
            return;
        }
        if let Some(held) = &mut self.held {
            let clock = &self.gateway.inner.clock;
            let later = Duration::from_secs(self.commit.document.perhaps_later);
            // The device's timer may start as late as it answers.
            held.endure(Instant::now() + self.commit.runs_for(clock) + later + self.times.commit)
                .await;
        }
    }

    /// That the device has neither undone it, nor anybody confirmed it; how many of the newest commits are this one.
    pub(super) async fn stands(&mut self, deadline: Instant) -> Result<u8, Error> {
        if !self.commit.document.junos {
            return Ok(1);
        }
        match self.standing(deadline).await? {
            Standing::Newest { entries, .. } => Ok(entries),
            Standing::Absent | Standing::OwnCommit { .. } | Standing::Followed(_) | Standing::Overlaid(_) => {
                self.look().await;
                Err(self.not_pending())
            }
        }
    }

    /// A confirm is a commit of the whole candidate (C7).
    pub(super) async fn candidate_is_clean(&mut self, deadline: Instant, accept: bool) -> Result<(), Error> {
        if accept {
            return Ok(());
        }
        let device = self.commit.row.device.clone();
        let left = self.commit.safe_for(&self.gateway.inner.clock).as_secs();
        let dialect = if self.commit.document.junos {
            Dialect::Junos
        } else {
            Dialect::Rfc
        };
        let held = self.held.as_mut().ok_or_else(no_session)?;
        let differing = Differing::new(dialect, &held.capabilities());
        let differing = differing.map_err(|error| failure::unbuildable(&error))?;
        let diff = look(&differing, held, &device, deadline).await?;
        if diff.is_empty() {
            return Ok(());
        }
        let detail = format!(
            "the candidate holds changes that would be committed as well; {left} s are left before the device undoes \
             the confirmed commit"
        );
        Err(Error::new(ErrorCode::LockDenied, detail)
            .with_reason("candidate_modified")
            .with_hint("accept_candidate: true confirms together with them; admins only")
            .with_diff(diff))
    }

    pub(super) async fn standing(&mut self, deadline: Instant) -> Result<Standing, Error> {
        let marker = self.commit.document.marker.clone();
        let history = self.records()?.commits(deadline).await?;
        Ok(evidence::standing(&history, &marker))
    }

    /// The device's records, through the session that is held.
    pub(super) fn records(&mut self) -> Result<Records<'_>, Error> {
        let device = &self.commit.row.device;
        let held = self.held.as_mut().ok_or_else(no_session)?;
        Ok(Records::Held { held, device })
    }

    pub(super) async fn send_commit(&mut self, step: Step) -> Result<(), Error> {
        let device = self.commit.row.device.clone();
        let deadline = Instant::now() + self.times.commit;
        let held = self.held.as_mut().ok_or_else(no_session)?;
        let began = Instant::now();
        let raw = send(step, held, &device, deadline).await?;
        self.gateway.inner.pace.took(&device, began.elapsed());
        reading::warn(&mut self.commit.document.warnings, &raw.scan);
        Ok(())
    }

    /// Sends an extension. Where the time is up before it is known what came of it, nobody knows until then.
    pub(super) async fn send_extension(&mut self, step: Step) -> Result<Extended, Error> {
        let device = self.commit.row.device.clone();
        let began = Instant::now();
        let commit_time = self.times.commit;
        let up = self.while_it_waits(began + commit_time);
        let document = self.commit.document.clone();
        let mut held = self.held.take().ok_or_else(no_session)?;
        let sent = {
            let mut sending = pin!(async {
                let raw = send(step, &mut held, &device, began + commit_time).await?;
                let answered = Instant::now();
                let mut records = Records::Held {
                    held: &mut held,
                    device: &device,
                };
                let until = answered + commit_time;
                let stands = if document.junos {
                    let history = records.commits(until).await;
                    history.map(|history| {
                        let standing = evidence::standing(&history, &document.marker);
                        matches!(standing, Standing::Newest { .. })
                    })
                } else {
                    let running = records.running(until).await;
                    // What somebody else has made of running says nothing of the extension.
                    running.map(|running| document.evidence.running(&running.digest()) != Running::AsBefore)
                };
                Ok::<_, Error>((raw, Extended { answered, stands }))
            });
            tokio::select! {
                biased;
                sent = &mut sending => sent,
                () = tokio::time::sleep_until(up) => {
                    self.see("its time may be up, and its extension is not answered yet");
                    self.conclude(State::Unknown, None, None).await;
                    sending.await
                }
            }
        };
        self.held = Some(held);
        let (raw, extended) = sent?;
        let took = extended.answered.saturating_duration_since(began);
        self.gateway.inner.pace.took(&device, took);
        reading::warn(&mut self.commit.document.warnings, &raw.scan);
        Ok(extended)
    }

    /// Running to startup, after the confirm (E7). What fails is a warning: the commit is confirmed.
    pub(super) async fn save(&mut self) {
        if !self.commit.document.save {
            return;
        }
        let built = self.build(|caps, _| {
            let ground = Ground::new(caps, Mode::Exclusive, None);
            Ok(ground.map(|ground| ground.save(caps, Some(true))))
        });
        let result = match built {
            Ok(Ok(Ok(Some(step)))) => self.send_commit(step).await,
            Ok(Ok(Ok(None))) => Ok(()),
            Ok(Ok(Err(error))) => Err(failure::unbuildable(&error)),
            Ok(Err(error)) | Err(error) => Err(error),
        };
        if let Err(error) = result {
            let words = format!("{}: {}", reading::unsaved(error.outcome()), error.detail());
            self.commit.document.warnings.push(RpcErrorView::warning(words));
        }
    }

    /// Gives the locks back and ends the session.
    pub(super) async fn give_back(&mut self) {
        let Some(mut held) = self.held.take() else { return };
        self.session = None;
        if !held.is_idle() {
            // Behind a reply that may not come the locks would wait; the end of the session gives them back as well.
            let _ = tokio::time::timeout(GOODBYE, held.end()).await;
            return;
        }
        let capabilities = held.capabilities();
        let holds: Vec<Hold> = held.holds().iter().collect();
        let steps = self
            .ground(&capabilities)
            .ok()
            .and_then(|ground| ground.release(&capabilities, &holds).ok());
        for step in steps.unwrap_or_default() {
            let deadline = Instant::now() + self.times.rpc;
            if send(step, &mut held, &self.commit.row.device, deadline)
                .await
                .is_err()
            {
                // The end of the session gives back the rest.
                break;
            }
        }
        let _ = tokio::time::timeout(GOODBYE, held.finish()).await;
    }

    /// Closes the session although it holds something: that is how RFC servers undo a commit without a token.
    pub(super) async fn end_session(&mut self) {
        self.session = None;
        self.commit.document.session_id = None;
        if let Some(held) = self.held.take() {
            let _ = tokio::time::timeout(GOODBYE, held.end()).await;
        }
    }

    pub(super) fn build<T>(
        &self,
        build: impl FnOnce(&Capabilities, &ConfirmedCommit) -> Result<T, RequestError>,
    ) -> Result<T, Error> {
        let held = self.held.as_ref().ok_or_else(no_session)?;
        build(&held.capabilities(), &self.commit).map_err(|error| failure::unbuildable(&error))
    }

    pub(super) fn ground(&self, capabilities: &Capabilities) -> Result<Ground, Error> {
        Ground::new(capabilities, Mode::Exclusive, None)
    }
}

/// Whether the device said no, so that the session is as good as before.
fn is_refused(error: &Error) -> bool {
    !error.rpc_errors().is_empty()
}

fn owed() -> Error {
    let detail =
        "the device has not answered yet what was sent before it in the session that the commit depends on";
    Error::new(ErrorCode::InvalidState, detail)
        .with_reason("reply_overdue")
        .with_hint("try again; if the answer does not come, the device undoes the commit when its time is up")
}

fn no_session() -> Error {
    Error::new(ErrorCode::SessionLost, "the session has ended").with_outcome(Outcome::NotSent)
}
