//! Callers: each has orders, one after the other; the next one comes when the one before is answered.

use std::time::Duration;

use ncgate::error::Error;
use ncgate::service::Gateway;
use ncgate::service::call::{CallContext, Role};
use ncgate::service::edit::request::{
    ChangeRequest, CommitOptions, CommitRequest, ConfirmRequest, DiscardRequest, Edit, EditBody, EditFormat,
    EditRequest, ExtendRequest, Mode, OpenEditSession,
};
use ncgate::service::edit::view::{ChangeView, EditSessionView, Planned};

use super::device;
use super::gateway::context;
use super::plan::{Confirm, ConfirmEnd, Order, SessionEnd, Wish};
use super::world::{World, until};

/// Goes through the orders that are left. What the gateway did not answer because it was gone is not asked again.
pub async fn run(world: World, gateway: Gateway, caller: usize) {
    loop {
        let next = {
            let state = world.state();
            world.plan().callers[caller].get(state.next[caller]).cloned()
        };
        let Some(order) = next else { return };
        until(order.at).await;
        world.state().next[caller] += 1;
        let asking = Asking {
            ctx: context(&order.owner(), Role::Configure),
            device: world.plan().devices[order.device].name.clone(),
            edit: edit(&world, &order),
            world: world.clone(),
            gateway: gateway.clone(),
            order,
        };
        world.trace().line(
            "caller",
            format!(
                "{:04} asks {}: {:?}",
                asking.order.number, asking.device, asking.order.what
            ),
        );
        let patience = asking.order.patience;
        let asked = asking.ask();
        match patience {
            None => asked.await,
            Some(span) => {
                let left = tokio::time::timeout(Duration::from_millis(span), asked)
                    .await
                    .is_err();
                if left {
                    world.trace().line("caller", "leaves");
                }
            }
        }
    }
}

fn edit(world: &World, order: &Order) -> Edit {
    let profile = world.plan().devices[order.device].profile;
    let config = device::edit(profile, order.number, &order.word());
    Edit::new(EditFormat::Json, EditBody::Config(config))
}

struct Asking {
    world: World,
    gateway: Gateway,
    ctx: CallContext,
    device: String,
    edit: Edit,
    order: Order,
}

fn commit_options(confirm: Option<&Confirm>) -> CommitOptions {
    CommitOptions {
        confirm_timeout_seconds: confirm.map(|confirm| confirm.seconds),
        ..CommitOptions::default()
    }
}

impl Asking {
    fn told<T>(
        &self,
        part: &'static str,
        answer: Result<Planned<T>, Error>,
        state: impl Fn(&T) -> String,
    ) -> Option<T> {
        match answer {
            Ok(Planned::Done(done)) => {
                self.world.told(self.order.number, part, Ok(state(&done)));
                Some(done)
            }
            Ok(Planned::Plan(_)) => {
                self.world.told(self.order.number, part, Ok("plan".to_owned()));
                None
            }
            Err(error) => {
                let line = format!(
                    "{:04} {part} is refused: {} {} {:?}",
                    self.order.number,
                    error.code().as_str(),
                    error.detail(),
                    error.reason()
                );
                self.world.trace().line("caller", line);
                self.world
                    .told(self.order.number, part, Err(error.outcome().as_str().to_owned()));
                None
            }
        }
    }

    async fn ask(self) {
        match &self.order.what {
            Wish::Change {
                mode,
                validate,
                wait_seconds,
                confirm,
            } => {
                let request = ChangeRequest {
                    mode: mode.and_then(Mode::parse),
                    edits: vec![self.edit.clone()],
                    validate: *validate,
                    wait_seconds: *wait_seconds,
                    commit: commit_options(confirm.as_ref()),
                    ..ChangeRequest::default()
                };
                let answer = self.gateway.create_change(&self.ctx, &self.device, request).await;
                let change = self.told("change", answer, |change: &ChangeView| change.state.clone());
                if let Some(id) = change.and_then(|change| change.confirmed_commit_id)
                    && let Some(confirm) = confirm
                {
                    self.go_on(&id, confirm).await;
                }
            }
            Wish::DryRun => {
                let request = ChangeRequest {
                    edits: vec![self.edit.clone()],
                    dry_run: true,
                    ..ChangeRequest::default()
                };
                let answer = self.gateway.create_change(&self.ctx, &self.device, request).await;
                self.told("dry run", answer, |change: &ChangeView| change.state.clone());
            }
            Wish::EditSession {
                mode,
                ttl_seconds,
                end,
            } => self.edit_session(mode, *ttl_seconds, end).await,
        }
    }

    async fn edit_session(&self, mode: &str, ttl_seconds: u64, end: &SessionEnd) {
        let (ctx, device) = (&self.ctx, &*self.device);
        let request = OpenEditSession {
            mode: Mode::parse(mode).unwrap_or(Mode::Exclusive),
            ttl_seconds,
            ..OpenEditSession::default()
        };
        let state = |session: &EditSessionView| session.state.clone();
        let answer = self.gateway.create_edit_session(ctx, device, request).await;
        let Some(session) = self.told("open", answer, state) else {
            return;
        };
        let request = EditRequest {
            edit: self.edit.clone(),
            plan: false,
        };
        let answer = self.gateway.apply_edit(ctx, device, &session.id, request).await;
        if self.told("edit", answer, state).is_none() {
            return;
        }
        match end {
            SessionEnd::Commit(confirm) => {
                let request = CommitRequest {
                    options: commit_options(confirm.as_ref()),
                    plan: false,
                    ..CommitRequest::default()
                };
                let answer = self
                    .gateway
                    .commit_edit_session(ctx, device, &session.id, request)
                    .await;
                let committed = self.told("commit", answer, |session: &EditSessionView| {
                    session
                        .commit
                        .as_ref()
                        .map_or_else(String::new, |commit| commit.state.clone())
                });
                if let Some(made) = committed.and_then(|session| session.commit?.confirmed_commit)
                    && let Some(confirm) = confirm
                {
                    self.go_on(&made.id, confirm).await;
                }
            }
            SessionEnd::Discard => {
                let request = DiscardRequest::default();
                let answer = self
                    .gateway
                    .discard_edit_session(ctx, device, &session.id, request)
                    .await;
                self.told("discard", answer, state);
            }
            SessionEnd::Delete => {
                let answer = self.gateway.delete_edit_session(ctx, device, &session.id).await;
                self.told("delete", answer.map(Planned::Done), |()| "deleted".to_owned());
            }
            SessionEnd::Nothing => {}
        }
    }

    /// What is done with a confirmed commit.
    async fn go_on(&self, id: &str, confirm: &Confirm) {
        let pause = |span: u64| tokio::time::sleep(Duration::from_millis(span));
        if let Some((after, seconds)) = confirm.extend {
            pause(after).await;
            let request = ExtendRequest {
                confirm_timeout_seconds: seconds,
                plan: false,
            };
            let answer = self.gateway.extend_confirmed_commit(&self.ctx, id, request).await;
            self.told("extend", answer, |commit| commit.state.clone());
        }
        match confirm.end {
            ConfirmEnd::Confirm(after) => {
                pause(after).await;
                let request = ConfirmRequest::default();
                let answer = self
                    .gateway
                    .confirm_confirmed_commit(&self.ctx, id, request)
                    .await;
                self.told("confirm", answer, |commit| commit.state.clone());
            }
            ConfirmEnd::Cancel(after) => {
                pause(after).await;
                let answer = self.gateway.cancel_confirmed_commit(&self.ctx, id, false).await;
                self.told("cancel", answer, |commit| commit.state.clone());
            }
            ConfirmEnd::Nothing => {}
        }
    }
}
