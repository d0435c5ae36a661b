//! What a device is: the check of design section 4, its capabilities, its sessions.

use super::call::{CallContext, Role};
use super::failure;
use super::told::{self, text_of};
use super::view::{
    CapabilitiesView, CapabilityView, CheckReport, CompatibilityView, ConnectionView, HelloView, LossView,
    ModuleView, SessionList, SessionView, SoftwareView, SshView, StepView,
};
use super::{Gateway, time};
use crate::device::{DeviceStatus, Established, LossCause};
use crate::error::{Error, ErrorCode};
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::framing::Framing;
use crate::session::RawReply;

impl Gateway {
    /// Connects now, whatever went wrong before, and tells what the connection showed.
    ///
    /// # Errors
    /// Why there is no session, with a code of its own for each cause. An incompatible device is no error here: the
    /// report has the verdict.
    pub async fn check_device(&self, ctx: &CallContext, name: &str) -> Result<CheckReport, Error> {
        ctx.principal.require(Role::Operate)?;
        let (_, device) = self.device(name).await?;
        let shown = device
            .check(ctx.principal.id(), self.deadline(ctx, &device))
            .await
            .map_err(failure::device)?;
        let ssh = shown.link.negotiated.as_ref().map(|negotiated| SshView {
            kex: negotiated.kex.clone(),
            cipher: negotiated.cipher.clone(),
            mac: negotiated.mac.clone(),
            host_key_algorithm: negotiated.host_key_algorithm.clone(),
            host_key_fingerprint: shown.link.host_key_fingerprint.clone().unwrap_or_default(),
        });
        let steps = shown.link.steps.iter().map(|step| StepView {
            name: match step.jump {
                None => step.name.to_owned(),
                Some(jump) => format!("jump{jump}.{}", step.name),
            },
            duration_ms: u64::try_from(step.duration.as_millis()).unwrap_or(u64::MAX),
        });
        Ok(CheckReport {
            device: name.to_owned(),
            hello: HelloView {
                session_id: shown.session_id,
                base: match shown.framing {
                    Framing::EndOfMessage => "1.0",
                    Framing::Chunked => "1.1",
                }
                .to_owned(),
            },
            capabilities: capabilities(&shown.capabilities),
            software: software(&shown),
            compatibility: compatibility(&shown),
            ssh,
            steps: steps.collect(),
        })
    }

    /// The capabilities that the device's last hello listed; connects if there was none yet (S5).
    ///
    /// # Errors
    /// Why there is no session.
    pub async fn get_capabilities(&self, ctx: &CallContext, name: &str) -> Result<CapabilitiesView, Error> {
        ctx.principal.require(Role::Read)?;
        let (_, device) = self.device(name).await?;
        let shown = device
            .established(ctx.principal.id(), self.deadline(ctx, &device))
            .await
            .map_err(failure::device)?;
        let modules = shown.capabilities.modules().map(|module| ModuleView {
            name: module.name,
            revision: module.revision,
            namespace: module.namespace,
            features: module.features,
            deviations: module.deviations,
        });
        Ok(CapabilitiesView {
            device: name.to_owned(),
            capabilities: capabilities(&shown.capabilities),
            url_schemes: shown.capabilities.url_schemes(),
            modules: modules.collect(),
            software: software(&shown),
            compatibility: compatibility(&shown),
            seen_at: time::rfc3339(shown.seen_at),
        })
    }

    /// The NETCONF sessions of the gateway and, where it tells (RFC 6022), all of the device's.
    ///
    /// # Errors
    /// Why there is no session; the device's refusal.
    pub async fn list_sessions(&self, ctx: &CallContext, name: &str) -> Result<SessionList, Error> {
        ctx.principal.require(Role::Read)?;
        let (record, device) = self.device(name).await?;
        let shown = device
            .established(ctx.principal.id(), self.deadline(ctx, &device))
            .await
            .map_err(failure::device)?;
        let theirs = if shown.capabilities.has(Capability::Monitoring) {
            let raw = self
                .told(ctx, name, &device, |caps| {
                    super::schemas::monitored("sessions", caps)
                })
                .await?;
            Some(told_sessions(name, &raw)?)
        } else {
            None
        };
        let mut sessions: Vec<SessionView> = device
            .status()
            .sessions
            .iter()
            .map(|session| SessionView {
                session_id: session.session_id,
                ours: true,
                username: Some(record.settings.username.clone()),
                source_host: None,
                login_time: Some(time::rfc3339(session.opened_at)),
                state: Some(if session.outstanding == 0 { "idle" } else { "busy" }.to_owned()),
            })
            .collect();
        // Those that are held since before the device got other settings.
        for holder in device.holders().into_iter().filter(|holder| holder.lives) {
            if !sessions.iter().any(|ours| ours.session_id == holder.session_id) {
                sessions.push(SessionView {
                    session_id: holder.session_id,
                    ours: true,
                    username: None,
                    source_host: None,
                    login_time: Some(time::rfc3339(holder.since)),
                    state: None,
                });
            }
        }
        let device_reports = theirs.is_some();
        for told in theirs.unwrap_or_default() {
            match sessions
                .iter_mut()
                .find(|ours| ours.session_id == told.session_id)
            {
                Some(ours) => ours.source_host = told.source_host,
                None => sessions.push(told),
            }
        }
        sessions.sort_by_key(|session| session.session_id);
        Ok(SessionList {
            sessions,
            device_reports,
        })
    }
}

/// `<get>` of `netconf-state/sessions` (RFC 6022 section 2.1.4).
/// At most this much of a list of sessions is looked at, in bytes.
const MOST_SESSIONS: u64 = 4 << 20;

/// What the device lists as its sessions.
pub(super) fn told_sessions(name: &str, raw: &RawReply) -> Result<Vec<SessionView>, Error> {
    let reply = told::tree(name, raw, MOST_SESSIONS)?;
    let Some(list) = reply.path(&["data", "netconf-state", "sessions"]) else {
        return Ok(Vec::new());
    };
    Ok(list
        .children_named("session")
        .filter_map(|session| {
            Some(SessionView {
                session_id: text_of(session, "session-id")?.parse().ok()?,
                ours: false,
                username: text_of(session, "username"),
                source_host: text_of(session, "source-host"),
                login_time: text_of(session, "login-time"),
                state: None,
            })
        })
        .collect())
}

/// Since when the server is at work, in its own words.
///
/// # Errors
/// A reply that cannot be read.
pub(super) fn told_start(name: &str, raw: &RawReply) -> Result<Option<String>, Error> {
    let reply = told::tree(name, raw, MOST_SESSIONS)?;
    let statistics = reply.path(&["data", "netconf-state", "statistics"]);
    Ok(statistics.and_then(|statistics| text_of(statistics, "netconf-start-time")))
}

/// How a device is doing, for its view.
pub(super) fn connection(status: &DeviceStatus) -> ConnectionView {
    let last_loss = status.last_loss.as_ref().map(|loss| {
        let (code, detail) = match &loss.cause {
            LossCause::Session { cause, .. } => {
                let code = if cause.is_protocol_error() {
                    ErrorCode::DeviceProtocolError
                } else {
                    ErrorCode::SessionLost
                };
                (code, failure::chain(cause))
            }
            LossCause::Connect(error) => {
                let error = failure::connect(error);
                (error.code(), error.detail().to_owned())
            }
        };
        LossView {
            code: code.as_str().to_owned(),
            detail,
            time: time::rfc3339(loss.at),
        }
    });
    ConnectionView {
        state: status.state.as_str().to_owned(),
        sessions: status.sessions.len() as u64,
        queued: status.queued as u64,
        last_loss,
        retry_after_seconds: status.retry_after.map(|wait| wait.as_secs_f64().ceil() as u64),
        revision: None,
    }
}

fn capabilities(caps: &Capabilities) -> Vec<CapabilityView> {
    caps.uris()
        .map(|uri| {
            let known = Capability::of_uri(uri);
            CapabilityView {
                uri: uri.to_owned(),
                name: known.map(|capability| capability.name().to_owned()),
            }
        })
        .collect()
}

fn software(shown: &Established) -> Vec<SoftwareView> {
    shown
        .software
        .members()
        .iter()
        .map(|member| SoftwareView {
            member: member.member.clone(),
            host_name: member.host_name.clone(),
            product_name: member.product_name.clone(),
            product_model: member.product_model.clone(),
            version: member.version.clone(),
            build_date: member.build_date.clone(),
        })
        .collect()
}

fn compatibility(shown: &Established) -> CompatibilityView {
    CompatibilityView {
        policy: shown.verdict.policy.as_str().to_owned(),
        compatible: shown.verdict.is_compatible(),
        missing: shown.verdict.missing.clone(),
    }
}
