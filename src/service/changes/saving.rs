//! Copying running to startup after a commit whose reply was lost and which was found to be made (conventions E7): the
//! caller asked for it, and nobody else does it. It is stored before it is sent, and sent once. And what is saved of a
//! change that alters nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::record::Change;
use super::steps::Work;
use crate::device::Request;
use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::capability::Capabilities;
use crate::pool::Touch;
use crate::service::Gateway;
use crate::service::edit::ground;
use crate::service::edit::reading;
use crate::service::edit::script::{Step, StepName};
use crate::service::edit::view::{ChangeStepView, RpcErrorView};
use crate::service::{failure, held};
use crate::store::DeviceRecord;

impl Work {
    /// What has to be confirmed is saved when it is. A change that alters nothing commits nothing, so nobody confirms it, and
    /// what was to be saved in so many words is saved at once.
    pub(super) fn save_unconfirmed(&self) -> Option<Step> {
        let asked = self.request.commit.save == Some(true) && !self.request.dry_run;
        self.ground.confirm.as_ref().filter(|_| asked)?;
        let save = self.ground.save(&self.held.capabilities(), Some(true));
        // The script could be written, so this can be built.
        save.ok().flatten()
    }

    /// Whether a step of the script is not sent, because there is nothing to commit, or because its time comes later.
    pub(super) fn leaves_out(&self, step: StepName) -> bool {
        let saves = step == StepName::Save;
        match self.unchanged() {
            true => !saves || self.request.commit.save != Some(true),
            false => saves && self.ground.confirm.is_some(),
        }
    }
}

impl Gateway {
    /// Saves what was found to be running. What fails is a warning: the commit is made. False: nothing could be sent, and
    /// it is tried again, which it is until `by`.
    ///
    /// # Errors
    /// When it cannot be stored that it is sent, or that it was not after all; then it was not.
    pub(super) async fn save_what_was_found(
        &self,
        device: &DeviceRecord,
        change: &mut Change,
        by: Instant,
    ) -> Result<bool, Error> {
        if change.document.steps.last().is_some_and(is_save_begun) {
            // An earlier process has sent it, or was about to.
            change.end_begun(Outcome::Unknown);
            warn(
                change,
                "whether running was saved to startup is not known; config/copy does it",
            );
            return Ok(true);
        }
        change.end_begun(Outcome::Unknown);
        change.document.steps.push(ChangeStepView::begun(StepName::Save));
        self.store_saving(change).await?;
        let began = Instant::now();
        let (result, error) = match self.save(device).await {
            Ok(()) => ("done", None),
            Err(error) if error.outcome() == Outcome::NotSent && Instant::now() < by => {
                change.document.steps.pop_if(|last| last.is_begun());
                let words = format!(
                    "the commit is made; running is not saved to startup yet: {}",
                    error.detail()
                );
                change.document.seen = Some(words);
                self.store_saving(change).await?;
                return Ok(false);
            }
            Err(error) if error.outcome() == Outcome::Unknown => ("unknown", Some(error)),
            Err(error) => ("failed", Some(error)),
        };
        change.document.steps.pop_if(|last| last.is_begun());
        let step = ChangeStepView::new(StepName::Save, result, began.elapsed());
        change.document.steps.push(step);
        if let Some(error) = error {
            let words = reading::unsaved(error.outcome());
            warn(
                change,
                &format!("{words}; config/copy does it: {}", error.detail()),
            );
        }
        Ok(true)
    }

    async fn store_saving(&self, change: &Change) -> Result<(), Error> {
        let stored = self.inner.store.update_change(&mut change.to_row()).await;
        stored.map_err(|error| self.store_error(error))
    }

    /// In the place that is kept for confirming and resolving (Q1).
    async fn save(&self, device: &DeviceRecord) -> Result<(), Error> {
        let (record, live) = self.device(device.name()).await?;
        if record.id != device.id {
            let words = "the device was removed, and another one has its name";
            return Err(Error::new(ErrorCode::Internal, words).with_outcome(Outcome::NotApplied));
        }
        let copies = |_: &Capabilities| {
            let request = Request {
                selection: None,
                ..Request::new(ground::running_to_startup)
            };
            Ok(vec![(request, Touch::Applies)])
        };
        let deadline = Instant::now() + Duration::from_secs(record.settings.timeouts.commit_seconds);
        let answers = live
            .call_afresh(deadline, copies)
            .await
            .map_err(failure::device)?;
        for answer in answers {
            held::judge(device.name(), answer)?;
        }
        Ok(())
    }
}

fn is_save_begun(step: &ChangeStepView) -> bool {
    step.is_begun() && step.name == StepName::Save.as_str()
}

fn warn(change: &mut Change, words: &str) {
    change.document.warnings.push(RpcErrorView::warning(words));
}
