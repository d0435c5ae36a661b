//! Copying running to startup after a commit whose reply was lost and which was found to be made (conventions E7): the
//! caller asked for it, and nobody else does it. It is stored before it is sent, and sent once.

use std::time::Duration;

use tokio::time::Instant;

use super::record::Change;
use crate::device::Request;
use crate::error::{Error, ErrorCode, Outcome};
use crate::service::Gateway;
use crate::service::edit::ground;
use crate::service::edit::script::StepName;
use crate::service::edit::view::{ChangeStepView, RpcErrorView};
use crate::service::failure::{self, Asked};
use crate::store::DeviceRecord;

impl Gateway {
    /// Saves what was found to be running. What fails is a warning: the commit is made.
    ///
    /// # Errors
    /// When it cannot be stored that it is sent; then it was not.
    pub(super) async fn save_what_was_found(
        &self,
        device: &DeviceRecord,
        change: &mut Change,
    ) -> Result<(), Error> {
        if change.document.steps.last().is_some_and(is_save_begun) {
            // An earlier process has sent it, or was about to.
            change.end_begun(Outcome::Unknown);
            warn(
                change,
                "whether running was saved to startup is not known; config/copy does it",
            );
            return Ok(());
        }
        change.end_begun(Outcome::Unknown);
        change.document.steps.push(ChangeStepView::begun(StepName::Save));
        let mut row = change.to_row();
        let stored = self.inner.store.update_change(&mut row).await;
        stored.map_err(|error| self.store_error(error))?;
        let began = Instant::now();
        let (result, error) = match self.save(device, change).await {
            Ok(()) => ("done", None),
            Err(error) if error.outcome() == Outcome::Unknown => ("unknown", Some(error)),
            Err(error) => ("failed", Some(error)),
        };
        change.document.steps.pop_if(|last| last.is_begun());
        let step = ChangeStepView::new(StepName::Save, result, began.elapsed());
        change.document.steps.push(step);
        if let Some(error) = error {
            let words = match error.outcome() {
                Outcome::Unknown => "whether running was saved to startup is not known",
                Outcome::NotSent | Outcome::NotApplied | Outcome::Applied => {
                    "running was not saved to startup"
                }
            };
            warn(
                change,
                &format!("{words}; config/copy does it: {}", error.detail()),
            );
        }
        Ok(())
    }

    async fn save(&self, device: &DeviceRecord, change: &Change) -> Result<(), Error> {
        let (record, live) = self.device(device.name()).await?;
        if record.id != device.id {
            let words = "the device was removed, and another one has its name";
            return Err(Error::new(ErrorCode::Internal, words).with_outcome(Outcome::NotSent));
        }
        let request = Request {
            selection: None,
            ..Request::new(ground::running_to_startup)
        };
        let deadline = Instant::now() + Duration::from_secs(record.settings.timeouts.commit_seconds);
        let raw = live
            .single_use(&change.row.owner, deadline, request)
            .await
            .map_err(failure::device)?;
        if raw.scan.is_error() {
            return Err(failure::refused(
                device.name(),
                raw.session_id,
                raw.scan.errors,
                Asked::Write,
            ));
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
