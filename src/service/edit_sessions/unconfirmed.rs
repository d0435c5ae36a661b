//! The commit of an edit session that has to be confirmed: what is known of it before it is sent, and where its session
//! goes (conventions C2, E4). Where the device may have made it, the session leaves the edit session.

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::commits::{Commit, Done};
use super::record;
use crate::device::{Held, Start};
use crate::error::{Error, Outcome};
use crate::pool::Hold;
use crate::service::confirmed::{self, Announced, ConfirmedCommit, NewConfirmedCommit};
use crate::service::edit::ground::{Confirm, Dialect};
use crate::service::edit::script::Step;
use crate::service::edit::view::RpcErrorView;
use crate::service::held;

/// A confirmed commit that was made, or may have been, and the session that it was made in.
pub(super) struct Unconfirmed {
    pub commit: ConfirmedCommit,
    pub announced: Announced,
    /// Without it the commit is looked for by evidence.
    pub held: Option<Held>,
}

impl Commit {
    /// What has to be confirmed, before it is sent. `None`: nothing has to be.
    pub fn confirmed(&mut self) -> Option<(ConfirmedCommit, Announced)> {
        let Confirm { timeout, persist } = self.ground.confirm.clone()?;
        let capabilities = self.used.handle.capabilities();
        let save = self.ground.save(capabilities, self.options.save);
        let asked = self.options.confirm_timeout_seconds;
        let rounded = asked.and_then(|asked| confirmed::rounded(asked, timeout.rfc()));
        self.used.handle.warn(rounded.clone().map(record::warning));
        let commit = self.gateway.new_confirmed_commit(NewConfirmedCommit {
            device_id: &self.used.record.id,
            device: self.used.record.name(),
            owner: self.used.handle.who(),
            change_id: self.record.change_id(),
            request_id: self.record.request_id(),
            timeout: timeout.rfc(),
            document: confirmed::Document {
                junos: self.ground.dialect == Dialect::Junos,
                persist,
                marker: self.record.marker().to_owned(),
                evidence: self.record.evidence().clone(),
                session_id: Some(self.used.handle.session_id()),
                save: matches!(save, Ok(Some(_))),
                synchronize: self.options.synchronize,
                probe: self.probe.take(),
                warnings: rounded.into_iter().map(RpcErrorView::warning).collect(),
                ..confirmed::Document::default()
            },
        });
        let announced = self.gateway.announce(&commit);
        Some((commit, announced))
    }

    /// Stores that it may have been sent, sends it, and reads what came of it.
    pub async fn commit_confirmed(
        &mut self,
        mut commit: ConfirmedCommit,
        announced: Announced,
        steps: Vec<Step>,
        start: &Start,
    ) -> Result<Done, Error> {
        let gateway = self.gateway.clone();
        let longest = Instant::now() + self.used.commit_time();
        let deadline = self.by.map_or(longest, |by| by.min(longest));
        gateway.clear_way(&self.used.record, deadline).await?;
        // That may have taken a while.
        let timeout = commit.timeout();
        commit.sending(&gateway.inner.clock, timeout);
        self.record.committing(Some(&mut commit)).await?;
        let (to, from) = oneshot::channel();
        let sent = self.send_commit(steps, start, Some(to)).await;
        if let Some(at) = self.answered {
            commit.armed_at(&gateway.inner.clock, at);
        }
        match sent {
            Ok(told) => {
                commit.state = confirmed::State::Pending;
                let held = from.await.ok();
                let pending = Unconfirmed {
                    commit,
                    announced,
                    held,
                };
                Ok(Done::Pending(told, Box::new(pending)))
            }
            Err(error) if error.outcome() == Outcome::Unknown => {
                let held = from.await.ok();
                self.lost = Some(Unconfirmed {
                    commit,
                    announced,
                    held,
                });
                Err(error)
            }
            Err(error) => {
                match from.await {
                    // The device said ok to everything, and nothing came of it.
                    Ok(held) => self.disarm_in(&commit, held).await,
                    Err(_) => self.disarm(&commit, start).await,
                }
                Err(error)
            }
        }
    }

    /// There are servers on which one that failed waits all the same, and undoes in the end what was committed since.
    async fn disarm(&mut self, commit: &ConfirmedCommit, start: &Start) {
        let Some(persist) = commit.document.persist.as_deref() else {
            return;
        };
        if let Ok(step) = confirmed::disarm(self.used.handle.capabilities(), Some(persist)) {
            // Servers that do it right refuse it, because nothing waits under this token.
            let _ = self.send(vec![step], start, None).await;
        }
    }

    /// The same in the session that has left the edit session; it ends.
    async fn disarm_in(&self, commit: &ConfirmedCommit, mut held: Held) {
        let disarm = match commit.document.persist.as_deref() {
            Some(persist) => confirmed::disarm(&held.capabilities(), Some(persist)).ok(),
            None => None,
        };
        let holds: Vec<Hold> = held.holds().iter().collect();
        let discard = self.ground.discard_ignored(&held.capabilities(), &holds);
        for step in discard.unwrap_or_default().into_iter().chain(disarm) {
            let deadline = Instant::now() + self.used.commit_time();
            let _ = held::send(step, &mut held, self.used.record.name(), deadline).await;
        }
        held.finish().await;
    }
}
