//! Looking at the device: where the commit stands by the device's own records (conventions C5, E4).

use tokio::time::Instant;

use super::{Guardian, Order};
use crate::error::{Error, ErrorCode};
use crate::netconf::capability::Capability;
use crate::service::confirmed::looks::Seen;
use crate::service::confirmed::record::ConfirmedCommit;
use crate::service::continuity;
use crate::service::evidence::{self, Places, Running, Standing};
use crate::service::history::Records;

/// What was seen, and whether the device was started anew and undid the commit because of that.
struct Sight {
    seen: Seen,
    restarted: bool,
    /// In how many entries the history holds the commit, where it tells.
    entries: Option<u8>,
}

impl Guardian {
    /// Where the commit stands; an error in words when the device cannot be asked. One that takes no new session may
    /// answer in the one that is there.
    pub(super) async fn find(&mut self) -> Result<Seen, String> {
        // Who waits for another session does not wait for long where there is this one.
        let patience = self.times.rpc / if self.held.is_some() { 4 } else { 1 };
        // What was seen before says nothing of now.
        self.entries = None;
        let deadline = self.while_it_waits(Instant::now() + patience);
        match self.find_beside(deadline).await {
            Ok(seen) => Ok(seen),
            Err(error) => {
                let deadline = self.while_it_waits(Instant::now() + self.times.rpc);
                // Behind a reply that the device owes it would wait, and be given up too soon.
                let here = match &self.held {
                    Some(held) if held.is_idle() => self.find_here(deadline).await.ok(),
                    Some(_) | None => None,
                };
                here.ok_or_else(|| {
                    format!(
                        "{} could not be asked: {}",
                        self.commit.row.device,
                        error.detail()
                    )
                })
            }
        }
    }

    /// The same in a session of the pool.
    async fn find_beside(&mut self, deadline: Instant) -> Result<Seen, Error> {
        let (record, device) = self.device().await?;
        let mut records = Records::Pooled {
            record: &record,
            device: &device,
            who: &self.commit.row.owner,
        };
        let overdue = self.is_overdue();
        let sight = look(&mut records, &self.commit, overdue, deadline).await?;
        Ok(self.saw(sight))
    }

    /// The same in the session that is held.
    ///
    /// # Errors
    /// As a read.
    pub(super) async fn find_here(&mut self, deadline: Instant) -> Result<Seen, Error> {
        let (commit, overdue) = (self.commit.clone(), self.is_overdue());
        let sight = look(&mut self.records()?, &commit, overdue, deadline).await?;
        Ok(self.saw(sight))
    }

    fn saw(&mut self, sight: Sight) -> Seen {
        self.restarted = sight.restarted;
        self.entries = sight.entries;
        sight.seen
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.commit.runs_for(&self.gateway.inner.clock).is_zero()
    }

    /// Asks, once the device has made the commit and owes no reply in its session, since when its server is at work, where no
    /// history tells later whether it was started anew. In that session: another one may have to be opened, and whoever
    /// orders something meanwhile would be told of its failure. An order that comes meanwhile comes back.
    pub(super) async fn note_server_start(&mut self) -> Option<Order> {
        let deadline = self.while_it_waits(Instant::now() + self.times.rpc);
        let ending = self.gateway.inner.ending.clone();
        let held = self.held.as_mut()?;
        if self.asked_for_start || !self.commit.is_made() || !held.is_idle() {
            return None;
        }
        let document = &self.commit.document;
        let tells = held.capabilities().has(Capability::Monitoring);
        if document.junos || document.server_start.is_some() || !tells {
            self.asked_for_start = true;
            return None;
        }
        let device = &self.commit.row.device;
        let mut records = Records::Held { held, device };
        let told = tokio::select! {
            biased;
            // It is asked again when the session owes nothing any more.
            Some(order) = self.orders.recv() => return Some(order),
            () = ending.cancelled() => return None,
            told = records.server_start(deadline) => told,
        };
        self.asked_for_start = true;
        // Without it only the reason of a rollback is told less exactly.
        if let Ok(Some(start)) = told {
            self.commit.document.server_start = Some(start);
            self.store().await;
        }
        None
    }
}

async fn look(
    records: &mut Records<'_>,
    commit: &ConfirmedCommit,
    overdue: bool,
    deadline: Instant,
) -> Result<Sight, Error> {
    let document = &commit.document;
    if !document.junos {
        let running = document
            .evidence
            .running(&records.running(deadline).await?.digest());
        // A token is not bound to a start of the server, nor to its end.
        let told = running == Running::AsBefore && !(overdue && document.persist.is_some());
        let restarted = told && has_restarted(records, document.server_start.as_deref(), deadline).await;
        return Ok(Sight {
            seen: Seen::Running(running),
            restarted,
            entries: None,
        });
    }
    let history = records.commits(deadline).await?;
    let standing = evidence::standing(&history, &document.marker);
    let Standing::OwnCommit { above, at } = standing else {
        let entries = match &standing {
            Standing::Newest { entries, .. } => Some(*entries),
            Standing::Absent | Standing::OwnCommit { .. } | Standing::Followed(_) | Standing::Overlaid(_) => {
                None
            }
        };
        let missing = standing == Standing::Absent;
        let seen = if missing && !continuity::goes_on(&history, document.evidence.newest.as_ref()) {
            Seen::AnotherHistory
        } else {
            Seen::History(standing)
        };
        return Ok(Sight {
            seen,
            restarted: false,
            entries,
        });
    };
    let Places { own, ours, before } = at;
    let running = if records.are_alike(own, before, deadline).await? {
        Running::AsBefore
    } else if records.are_alike(own, ours, deadline).await? {
        Running::AsExpected
    } else {
        Running::Otherwise
    };
    // The numbers are those of the moment when the history was read.
    if records.commits(deadline).await? != history {
        let words = "somebody committed while its stored configurations were compared";
        return Err(Error::new(ErrorCode::InUse, words));
    }
    let restarted = if running == Running::AsBefore {
        // What cannot be read tells nothing.
        let booted = records.booted(deadline).await.ok().flatten();
        booted.is_some_and(|booted| evidence::undone_by_start(&history, at, booted))
    } else {
        false
    };
    Ok(Sight {
        seen: Seen::OwnCommit { above, running },
        restarted,
        entries: Some(before.saturating_sub(ours)),
    })
}

/// Whether the server says that it is at work since another time than before.
async fn has_restarted(records: &mut Records<'_>, before: Option<&str>, deadline: Instant) -> bool {
    let Some(before) = before else { return false };
    let told = records.server_start(deadline).await;
    matches!(told, Ok(Some(now)) if now != before)
}
