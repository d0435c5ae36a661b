//! What the service layer shows, as messages.

use super::proto;
use crate::device::model::{
    AuthView, CompatibilityPolicy, DeviceSettings, HostKeyPolicy, HostKeySettings, Partial, SshProfile,
    TransportKind,
};
use crate::error::{Error, ErrorCode};
use crate::service::view::{
    CapabilitiesView, CapabilityView, CheckReport, CompatibilityView, ConnectionView, DeviceView, SchemaList,
    SessionList, SoftwareView,
};

/// A device as the inventory shows it.
///
/// # Errors
/// `internal` if the document is not one that the inventory makes.
pub fn device(view: DeviceView) -> Result<proto::Device, Error> {
    let DeviceView {
        mut document,
        connection,
        create_time,
        update_time,
        etag,
    } = view;
    let unknown = |error| {
        Error::new(
            ErrorCode::Internal,
            format!("the stored device has an unknown shape: {error}"),
        )
    };
    let auth = document
        .as_object_mut()
        .and_then(|members| members.remove("auth"))
        .unwrap_or_default();
    let auth: AuthView = serde_json::from_value(auth).map_err(unknown)?;
    let settings: DeviceSettings = serde_json::from_value(document).map_err(unknown)?;
    let short = |seconds: u64| u32::try_from(seconds).unwrap_or(u32::MAX);
    Ok(proto::Device {
        name: settings.name,
        address: settings.address,
        port: settings.port.into(),
        transport: match settings.transport {
            TransportKind::Ssh => proto::Transport::Ssh,
            TransportKind::SshPty => proto::Transport::SshPty,
        }
        .into(),
        username: settings.username,
        auth: None,
        auth_set: Some(auth_set(auth)),
        host_key: Some(host_key(settings.host_key)),
        ssh_profile: match settings.ssh_profile {
            SshProfile::Modern => proto::SshProfile::Modern,
            SshProfile::Compat => proto::SshProfile::Compat,
            SshProfile::Legacy => proto::SshProfile::Legacy,
        }
        .into(),
        proxy_jump: settings
            .proxy_jump
            .into_iter()
            .map(|jump| proto::ProxyJump {
                address: jump.address,
                port: jump.port.into(),
                username: jump.username,
                auth: None,
                host_key: Some(host_key(jump.host_key)),
                auth_set: Some(auth_set(jump.auth)),
            })
            .collect(),
        compatibility: Some(proto::Compatibility {
            policy: match settings.compatibility.policy {
                CompatibilityPolicy::Ignore => proto::CompatibilityPolicy::Ignore,
                CompatibilityPolicy::Adapt => proto::CompatibilityPolicy::Adapt,
                CompatibilityPolicy::Refuse => proto::CompatibilityPolicy::Refuse,
            }
            .into(),
            require: Some(proto::Requirements {
                capabilities: settings.compatibility.require.capabilities,
                version: Some(proto::VersionRange {
                    min: settings.compatibility.require.version.min,
                    max: settings.compatibility.require.version.max,
                }),
            }),
        }),
        pool: Some(proto::Pool {
            max_sessions: settings.pool.max_sessions,
            queue_length: settings.pool.queue_length,
        }),
        profile: settings.profile.as_str().to_owned(),
        quirks: Some(proto::Quirks {
            pipelining: Some(settings.quirks.pipelining),
            validate: Some(settings.quirks.validate),
            verify_after_commit: Some(settings.quirks.verify_after_commit),
        }),
        partial: match settings.partial {
            Partial::Discard => proto::PartialDefault::Discard,
            Partial::Keep => proto::PartialDefault::Keep,
        }
        .into(),
        credential_domain: settings.credential_domain.unwrap_or_default(),
        timeouts: Some(proto::Timeouts {
            connect_seconds: short(settings.timeouts.connect_seconds),
            rpc_seconds: short(settings.timeouts.rpc_seconds),
            commit_seconds: short(settings.timeouts.commit_seconds),
            keepalive_seconds: short(settings.timeouts.keepalive_seconds),
            auth_retry_seconds: short(settings.timeouts.auth_retry_seconds),
        }),
        labels: settings.labels.into_iter().collect(),
        connection: Some(self::connection(connection)),
        create_time,
        update_time,
        etag,
    })
}

fn auth_set(auth: AuthView) -> proto::AuthSet {
    proto::AuthSet {
        password: auth.password,
        private_key: auth.private_key,
        passphrase: auth.passphrase,
        keyboard_interactive: auth.keyboard_interactive,
    }
}

fn host_key(settings: HostKeySettings) -> proto::HostKey {
    let policy = match settings.policy {
        HostKeyPolicy::Pinned => proto::HostKeyPolicy::Pinned,
        HostKeyPolicy::KnownHosts => proto::HostKeyPolicy::KnownHosts,
        HostKeyPolicy::Tofu => proto::HostKeyPolicy::Tofu,
    };
    proto::HostKey {
        policy: policy.into(),
        keys: settings.keys,
    }
}

fn connection(view: ConnectionView) -> proto::Connection {
    proto::Connection {
        state: view.state,
        sessions: view.sessions,
        queued: view.queued,
        last_loss: view.last_loss.map(|loss| proto::Loss {
            code: loss.code,
            detail: loss.detail,
            time: loss.time,
        }),
        retry_after_seconds: view.retry_after_seconds,
        revision: view.revision.map(|revision| proto::ConfigRevision {
            id: revision.id,
            seen_at: revision.seen_at,
        }),
    }
}

pub fn check(report: CheckReport) -> proto::CheckDeviceResponse {
    proto::CheckDeviceResponse {
        device: report.device,
        hello: Some(proto::Hello {
            session_id: report.hello.session_id,
            base: report.hello.base,
        }),
        capabilities: report.capabilities.into_iter().map(capability).collect(),
        software: report.software.into_iter().map(software).collect(),
        compatibility: Some(compatibility(report.compatibility)),
        ssh: report.ssh.map(|ssh| proto::SshNegotiated {
            kex: ssh.kex,
            cipher: ssh.cipher,
            mac: ssh.mac,
            host_key_algorithm: ssh.host_key_algorithm,
            host_key_fingerprint: ssh.host_key_fingerprint,
        }),
        steps: report
            .steps
            .into_iter()
            .map(|step| proto::Step {
                name: step.name,
                duration_ms: step.duration_ms,
            })
            .collect(),
    }
}

pub fn capabilities(view: CapabilitiesView) -> proto::GetCapabilitiesResponse {
    proto::GetCapabilitiesResponse {
        device: view.device,
        capabilities: view.capabilities.into_iter().map(capability).collect(),
        url_schemes: view.url_schemes,
        modules: view
            .modules
            .into_iter()
            .map(|module| proto::YangModule {
                name: module.name,
                revision: module.revision,
                namespace: module.namespace,
                features: module.features,
                deviations: module.deviations,
            })
            .collect(),
        software: view.software.into_iter().map(software).collect(),
        compatibility: Some(compatibility(view.compatibility)),
    }
}

fn capability(view: CapabilityView) -> proto::Capability {
    proto::Capability {
        uri: view.uri,
        name: view.name,
    }
}

fn software(view: SoftwareView) -> proto::Software {
    proto::Software {
        member: view.member,
        host_name: view.host_name,
        product_name: view.product_name,
        product_model: view.product_model,
        version: view.version,
        build_date: view.build_date,
    }
}

fn compatibility(view: CompatibilityView) -> proto::CompatibilityVerdict {
    proto::CompatibilityVerdict {
        policy: view.policy,
        compatible: view.compatible,
        missing: view.missing,
    }
}

pub fn schemas(list: SchemaList) -> proto::ListSchemasResponse {
    proto::ListSchemasResponse {
        schemas: list
            .schemas
            .into_iter()
            .map(|schema| proto::Schema {
                identifier: schema.identifier,
                version: schema.version,
                format: schema.format,
                namespace: schema.namespace,
            })
            .collect(),
        source: list.source,
    }
}

pub fn sessions(list: SessionList) -> proto::ListSessionsResponse {
    proto::ListSessionsResponse {
        sessions: list
            .sessions
            .into_iter()
            .map(|session| proto::Session {
                session_id: session.session_id,
                ours: session.ours,
                username: session.username,
                source_host: session.source_host,
                login_time: session.login_time,
                state: session.state,
            })
            .collect(),
        device_reports: list.device_reports,
    }
}
