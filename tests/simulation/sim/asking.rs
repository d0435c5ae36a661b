//! One order, from its first call to its last.

use std::time::Duration;

use futures_util::future::join_all;
use ncgate::service::Gateway;
use ncgate::service::call::CallContext;
use ncgate::service::edit::request::{
    ChangeRequest, CommitOptions, CommitRequest, ConfirmRequest, DiscardRequest, Edit, EditRequest, Expect,
    ExtendRequest, KillRequest, Mode, OpenEditSession, ProbeRequest,
};
use ncgate::service::request::{Arguments, RpcBody};

use super::door::{Door, Got, Work, done};
use super::inventory;
use super::plan::{Confirm, ConfirmEnd, Kill, Later, Order, Probe, SessionEnd, Wish};
use super::world::{START, Told, World, now};

/// A caller with an order.
pub struct Asking {
    pub world: World,
    pub gateway: Gateway,
    pub ctx: CallContext,
    pub device: String,
    pub edit: Edit,
    pub order: Order,
}

fn commit_options(confirm: Option<&Confirm>) -> CommitOptions {
    CommitOptions {
        confirm_timeout_seconds: confirm.map(|confirm| confirm.seconds),
        ..CommitOptions::default()
    }
}

/// As the device writes times.
fn at(seconds: u64) -> String {
    let at = START + now() + Duration::from_secs(seconds);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

impl Asking {
    /// Has one thing done, through the door, beside others who use the same key for it. What the first of those got who
    /// were not refused.
    async fn call(
        &self,
        kind: &'static str,
        part: &'static str,
        work: impl Fn(CallContext) -> Work + Send + Sync,
    ) -> Option<Got> {
        let others = self.order.manner.others;
        let all = (0..=others.count).map(|number| {
            let late = Duration::from_millis(others.within * number / others.count.max(1));
            let odd = others.odd && number > 0 && number == others.count;
            let work = &work;
            async move {
                if !late.is_zero() {
                    tokio::time::sleep(late).await;
                }
                self.call_once(kind, part, odd, work).await
            }
        });
        join_all(all).await.into_iter().flatten().next()
    }

    async fn call_once(
        &self,
        kind: &'static str,
        part: &'static str,
        odd: bool,
        work: &(dyn Fn(CallContext) -> Work + Send + Sync),
    ) -> Option<Got> {
        let _calling = self.world.count(|state| &mut state.calling);
        let manner = self.order.manner;
        let door = Door {
            gateway: self.gateway.clone(),
            kind,
            about: format!("{}/{part}", self.device),
            key: manner.key.then(|| format!("{}-{part}", self.order.number)),
            odd,
            respond_async: manner.respond_async,
        };
        let answer = door.call(&self.ctx, work).await;
        if let Err(refused) = &answer.said {
            let line = format!("{:04} {part} is refused: {}", self.order.number, refused.words);
            self.world.trace().line("caller", line);
        }
        let got = answer.said.clone().ok();
        self.world.told(Told {
            at: now(),
            order: self.order.number,
            odd,
            part,
            answer: answer
                .said
                .map(|got| got.state)
                .map_err(|refused| refused.outcome),
            derived: answer.derived,
            operation: answer.operation,
        });
        got
    }

    pub async fn ask(self) {
        match &self.order.what {
            Wish::Change {
                mode,
                validate,
                wait_seconds,
                broken: _,
                save,
                later,
                confirm,
            } => {
                let request = ChangeRequest {
                    mode: mode.and_then(Mode::parse),
                    edits: vec![self.edit.clone()],
                    validate: *validate,
                    wait_seconds: *wait_seconds,
                    commit: CommitOptions {
                        save: *save,
                        at: later.map(|later| at(later.seconds)),
                        ..commit_options(confirm.as_ref())
                    },
                    probe: self.probe(confirm.as_ref()),
                    ..ChangeRequest::default()
                };
                let made = self.change("change", request).await;
                if let (Some(made), Some(later)) = (&made, later) {
                    self.call_off(&made.id, *later).await;
                }
                if let Some(id) = made.and_then(|made| made.confirmed)
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
                self.change("dry run", request).await;
            }
            Wish::Kill(kill) => self.kill(*kill).await,
            Wish::Patch(patch) => {
                inventory::patch(&self.world, &self.gateway, &self.ctx, &self.device, *patch).await;
            }
            Wish::Remove(pause) => {
                let (device, pause) = (self.order.device, *pause);
                inventory::replace(&self.world, &self.gateway, &self.ctx, device, pause).await;
            }
            Wish::EditSession {
                mode,
                ttl_seconds,
                end,
            } => self.edit_session(mode, *ttl_seconds, end).await,
        }
    }

    async fn change(&self, part: &'static str, request: ChangeRequest) -> Option<Got> {
        let (gateway, device) = (self.gateway.clone(), self.device.clone());
        let work = move |ctx| -> Work {
            let (gateway, device, request) = (gateway.clone(), device.clone(), request.clone());
            Box::pin(async move { gateway.create_change(&ctx, &device, request).await.map(done) })
        };
        self.call("create_change", part, work).await
    }

    fn probe(&self, confirm: Option<&Confirm>) -> Option<ProbeRequest> {
        let Probe {
            holds,
            delay_seconds,
            interval_seconds,
            give_up_seconds,
        } = confirm?.probe?;
        let name = match self.world.plan().devices[self.order.device].profile.junos() {
            true => "get-interface-information",
            false => "get",
        };
        let never = Expect {
            pointer: "/what/is/not/there".to_owned(),
            equals: "\"up\"".to_owned(),
        };
        Some(ProbeRequest {
            rpc: RpcBody::Named {
                name: name.to_owned(),
                arguments: Arguments::None,
            },
            expect: if holds { Vec::new() } else { vec![never] },
            delay_seconds: Some(delay_seconds),
            interval_seconds: Some(interval_seconds),
            give_up_seconds: Some(give_up_seconds),
        })
    }

    async fn call_off(&self, id: &str, later: Later) {
        let Some(after) = later.call_off else { return };
        tokio::time::sleep(Duration::from_millis(after)).await;
        let (gateway, device, id) = (self.gateway.clone(), self.device.clone(), id.to_owned());
        let work = move |ctx| -> Work {
            let (gateway, device, id) = (gateway.clone(), device.clone(), id.clone());
            Box::pin(async move { gateway.cancel_change(&ctx, &device, &id, false).await.map(done) })
        };
        self.call("cancel_change", "call off", work).await;
    }

    async fn kill(&self, kill: Kill) {
        let listed = self.gateway.list_sessions(&self.ctx, &self.device).await;
        let sessions = match listed {
            Ok(listed) => listed.sessions,
            Err(error) => {
                self.world
                    .trace()
                    .line("caller", format!("finds no sessions: {}", error.detail()));
                return;
            }
        };
        let Some(which) = kill.which.checked_rem(sessions.len() as u64) else {
            return;
        };
        let victim = sessions[usize::try_from(which).unwrap_or(0)].session_id;
        let request = KillRequest {
            reason: Some("in the way".to_owned()),
            if_user: kill.if_user.map(str::to_owned),
            if_idle_seconds_at_least: kill.if_idle_seconds,
            force: kill.force,
            plan: false,
        };
        let (gateway, device) = (self.gateway.clone(), self.device.clone());
        let work = move |ctx| -> Work {
            let (gateway, device, request) = (gateway.clone(), device.clone(), request.clone());
            Box::pin(async move {
                gateway
                    .kill_session(&ctx, &device, victim, request)
                    .await
                    .map(done)
            })
        };
        self.call("kill_session", "kill", work).await;
    }

    async fn edit_session(&self, mode: &str, ttl_seconds: u64, end: &SessionEnd) {
        let request = OpenEditSession {
            mode: Mode::parse(mode).unwrap_or(Mode::Exclusive),
            ttl_seconds,
            ..OpenEditSession::default()
        };
        let (gateway, device) = (self.gateway.clone(), self.device.clone());
        let work = move |ctx| -> Work {
            let (gateway, device, request) = (gateway.clone(), device.clone(), request.clone());
            Box::pin(async move {
                gateway
                    .create_edit_session(&ctx, &device, request)
                    .await
                    .map(done)
            })
        };
        let Some(session) = self.call("create_edit_session", "open", work).await else {
            return;
        };
        let request = EditRequest {
            edit: self.edit.clone(),
            plan: false,
        };
        let edited = self.in_session(
            &session.id,
            "apply_edit",
            "edit",
            move |gateway, ctx, device, id| {
                let request = request.clone();
                Box::pin(async move { gateway.apply_edit(&ctx, &device, &id, request).await.map(done) })
            },
        );
        if edited.await.is_none() {
            return;
        }
        match end {
            SessionEnd::Commit(confirm) => {
                let request = CommitRequest {
                    options: commit_options(confirm.as_ref()),
                    probe: self.probe(confirm.as_ref()),
                    plan: false,
                };
                let committed = self.in_session(
                    &session.id,
                    "commit_edit_session",
                    "commit",
                    move |gateway, ctx, device, id| {
                        let request = request.clone();
                        Box::pin(async move {
                            gateway
                                .commit_edit_session(&ctx, &device, &id, request)
                                .await
                                .map(done)
                        })
                    },
                );
                if let Some(made) = committed.await.and_then(|made| made.confirmed)
                    && let Some(confirm) = confirm
                {
                    self.go_on(&made, confirm).await;
                }
            }
            SessionEnd::Discard => {
                let discarded = self.in_session(
                    &session.id,
                    "discard_edit_session",
                    "discard",
                    |gateway, ctx, device, id| {
                        let request = DiscardRequest::default();
                        Box::pin(async move {
                            gateway
                                .discard_edit_session(&ctx, &device, &id, request)
                                .await
                                .map(done)
                        })
                    },
                );
                discarded.await;
            }
            SessionEnd::Delete => {
                let deleted = self.in_session(
                    &session.id,
                    "delete_edit_session",
                    "delete",
                    |gateway, ctx, device, id| {
                        Box::pin(async move {
                            let deleted = gateway.delete_edit_session(&ctx, &device, &id, false).await;
                            deleted.map(done)
                        })
                    },
                );
                deleted.await;
            }
            SessionEnd::Nothing => {}
        }
    }

    async fn in_session(
        &self,
        id: &str,
        kind: &'static str,
        part: &'static str,
        work: impl Fn(Gateway, CallContext, String, String) -> Work + Send + Sync,
    ) -> Option<Got> {
        let (gateway, device) = (self.gateway.clone(), self.device.clone());
        let work = |ctx| work(gateway.clone(), ctx, device.clone(), id.to_owned());
        self.call(kind, part, work).await
    }

    /// What is done with a confirmed commit. Where there is a probe, only by who does not wait for that.
    async fn go_on(&self, id: &str, confirm: &Confirm) {
        if confirm.probe.is_some() && !self.order.manner.respond_async {
            return;
        }
        let pause = |span: u64| tokio::time::sleep(Duration::from_millis(span));
        if let Some((after, seconds)) = confirm.extend {
            pause(after).await;
            let request = ExtendRequest {
                confirm_timeout_seconds: seconds,
                plan: false,
            };
            let work = |gateway: Gateway, ctx, id: String| -> Work {
                let request = request.clone();
                Box::pin(async move {
                    gateway
                        .extend_confirmed_commit(&ctx, &id, request)
                        .await
                        .map(done)
                })
            };
            self.of_commit("extend_confirmed_commit", "extend", id, work)
                .await;
        }
        match confirm.end {
            ConfirmEnd::Confirm(after) => {
                pause(after).await;
                let work = |gateway: Gateway, ctx, id: String| -> Work {
                    let request = ConfirmRequest::default();
                    Box::pin(async move {
                        gateway
                            .confirm_confirmed_commit(&ctx, &id, request)
                            .await
                            .map(done)
                    })
                };
                self.of_commit("confirm_confirmed_commit", "confirm", id, work)
                    .await;
            }
            ConfirmEnd::Cancel(after) => {
                pause(after).await;
                let work = |gateway: Gateway, ctx, id: String| -> Work {
                    Box::pin(async move { gateway.cancel_confirmed_commit(&ctx, &id, false).await.map(done) })
                };
                self.of_commit("cancel_confirmed_commit", "cancel", id, work)
                    .await;
            }
            ConfirmEnd::Nothing => {}
        }
    }

    async fn of_commit(
        &self,
        kind: &'static str,
        part: &'static str,
        id: &str,
        work: impl Fn(Gateway, CallContext, String) -> Work + Send + Sync,
    ) {
        let gateway = self.gateway.clone();
        let work = |ctx| work(gateway.clone(), ctx, id.to_owned());
        self.call(kind, part, work).await;
    }
}
