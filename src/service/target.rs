//! From the stored shape of a device to what the layers below need to reach it and to run its sessions.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use crate::device::model::{
    CompatibilityPolicy, Credentials as StoredCredentials, DeviceSettings, HostKeyPolicy as StoredPolicy,
    HostKeySettings, Profile as StoredProfile, SshProfile as StoredSshProfile, TransportKind,
};
use crate::device::{Compatibility, JumpHost, Policy, Profile, Settings as RunSettings};
use crate::error::Error;
use crate::netconf::junos::JunosVersion;
use crate::store::DeviceRecord;
use crate::transport::{
    ChannelKind, Credentials, HostKey, HostKeyPolicy, KnownMethod, PromptAnswer, Secret, SshHost, SshProfile,
    SshTarget, Timeouts, UserKey,
};

/// Which logins at jump hosts are the same. Its key is this process's own, so that it tells nothing of what goes in.
static LOGINS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// How the sessions of a device are run.
pub(super) fn run_settings(record: &DeviceRecord, idle_timeout: Duration) -> RunSettings {
    let settings = &record.settings;
    RunSettings {
        max_sessions: settings.pool.max_sessions as usize,
        queue_length: settings.pool.queue_length as usize,
        profile: match settings.profile {
            StoredProfile::Auto => Profile::Auto,
            StoredProfile::Junos => Profile::Junos,
            StoredProfile::Rfc => Profile::Rfc,
        },
        pipelining: settings.quirks.pipelining,
        compatibility: Compatibility {
            policy: match settings.compatibility.policy {
                CompatibilityPolicy::Ignore => Policy::Ignore,
                CompatibilityPolicy::Adapt => Policy::Adapt,
                CompatibilityPolicy::Refuse => Policy::Refuse,
            },
            capabilities: settings.compatibility.require.capabilities.clone(),
            min_version: settings.compatibility.require.version.min.clone(),
            max_version: settings.compatibility.require.version.max.clone(),
        },
        rpc_timeout: Duration::from_secs(settings.timeouts.rpc_seconds),
        idle_timeout,
        auth_retry: Duration::from_secs(settings.timeouts.auth_retry_seconds),
        credential_domain: settings.credential_domain.clone(),
        jump_hosts: jump_hosts(record),
        ..RunSettings::new(settings.name.clone())
    }
}

/// The jump hosts of the device, in order, and which login each is.
fn jump_hosts(record: &DeviceRecord) -> Vec<JumpHost> {
    let nothing = StoredCredentials::default();
    // The way counts: behind another jump host the same address may be another host.
    let mut way = LOGINS.build_hasher();
    let jumps = record.settings.proxy_jump.iter().enumerate();
    jumps
        .map(|(index, jump)| {
            let name = format!("{}@{}", jump.username, endpoint(&jump.address, jump.port));
            name.hash(&mut way);
            let auth = record.secrets.proxy_jump.get(index).unwrap_or(&nothing);
            let secret = |text: &Option<crate::device::model::Secret>, into: &mut _| {
                text.as_ref().map(|secret| secret.expose()).hash(into);
            };
            secret(&auth.password, &mut way);
            secret(&auth.private_key, &mut way);
            secret(&auth.passphrase, &mut way);
            auth.keyboard_interactive.len().hash(&mut way);
            for pair in &auth.keyboard_interactive {
                (&pair.prompt, pair.answer.expose()).hash(&mut way);
            }
            JumpHost {
                name,
                login: way.finish(),
            }
        })
        .collect()
}

/// A bound of the required versions that cannot be read would refuse every device, so it is refused when it is given.
///
/// # Errors
/// With the bound's pointer.
pub(super) fn check_versions(settings: &DeviceSettings) -> Result<(), Error> {
    let range = &settings.compatibility.require.version;
    for (name, bound) in [("min", &range.min), ("max", &range.max)] {
        if let Some(Err(error)) = bound.as_deref().map(JunosVersion::parse) {
            return Err(Error::invalid(
                format!("/compatibility/require/version/{name}"),
                error.to_string(),
            ));
        }
    }
    Ok(())
}

/// Where the gateway looks for `known_hosts`.
#[derive(Debug, Clone)]
pub struct KnownHosts(pub PathBuf);

/// Everything needed to reach the device over SSH.
///
/// # Errors
/// A stored host key that cannot be read, with its pointer.
pub(super) fn ssh_target(record: &DeviceRecord, known_hosts: &KnownHosts) -> Result<SshTarget, Error> {
    let settings = &record.settings;
    let host = SshHost {
        address: settings.address.clone(),
        port: settings.port,
        username: settings.username.clone(),
        auth: credentials(&record.secrets.auth),
        host_key: policy(
            &settings.host_key,
            &settings.address,
            settings.port,
            record,
            known_hosts,
            "/host_key",
        )?,
        profile: profile(settings.ssh_profile),
    };
    let mut target = SshTarget::new(host);
    let nothing = StoredCredentials::default();
    for (index, jump) in settings.proxy_jump.iter().enumerate() {
        let pointer = format!("/proxy_jump/{index}/host_key");
        target.proxy_jump.push(SshHost {
            address: jump.address.clone(),
            port: jump.port,
            username: jump.username.clone(),
            auth: credentials(record.secrets.proxy_jump.get(index).unwrap_or(&nothing)),
            host_key: policy(
                &jump.host_key,
                &jump.address,
                jump.port,
                record,
                known_hosts,
                &pointer,
            )?,
            profile: profile(settings.ssh_profile),
        });
    }
    target.channel = match settings.transport {
        TransportKind::Ssh => ChannelKind::Subsystem,
        TransportKind::SshPty => ChannelKind::Pty,
    };
    let phase = Duration::from_secs(settings.timeouts.connect_seconds);
    let hosts = u32::try_from(target.proxy_jump.len())
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    target.timeouts = Timeouts {
        tcp: phase,
        kex: phase,
        auth: phase,
        subsystem: phase,
        // Each host may use each phase, and no more: what the phases add up to is the bound of the whole.
        total: phase.saturating_mul(4).saturating_mul(hosts),
    };
    target.settings.keepalive_interval = Duration::from_secs(settings.timeouts.keepalive_seconds);
    Ok(target)
}

/// The name under which a learned host key is kept.
pub(super) fn endpoint(address: &str, port: u16) -> String {
    format!("{address}:{port}")
}

fn profile(stored: StoredSshProfile) -> SshProfile {
    match stored {
        StoredSshProfile::Modern => SshProfile::Modern,
        StoredSshProfile::Compat => SshProfile::Compat,
        StoredSshProfile::Legacy => SshProfile::Legacy,
    }
}

fn credentials(stored: &StoredCredentials) -> Credentials {
    let secret = |text: &crate::device::model::Secret| Secret::new(text.expose());
    Credentials {
        known: KnownMethod::default(),
        private_key: stored
            .private_key
            .as_ref()
            .map(|key| UserKey::new(secret(key), stored.passphrase.as_ref().map(secret))),
        password: stored.password.as_ref().map(secret),
        keyboard_interactive: stored
            .keyboard_interactive
            .iter()
            .map(|pair| PromptAnswer {
                prompt: pair.prompt.clone(),
                answer: secret(&pair.answer),
            })
            .collect(),
    }
}

fn policy(
    stored: &HostKeySettings,
    address: &str,
    port: u16,
    record: &DeviceRecord,
    known_hosts: &KnownHosts,
    pointer: &str,
) -> Result<HostKeyPolicy, Error> {
    let keys = || {
        stored
            .keys
            .iter()
            .enumerate()
            .map(|(index, text)| {
                HostKey::parse(text)
                    .map_err(|error| Error::invalid(format!("{pointer}/keys/{index}"), error.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(match stored.policy {
        StoredPolicy::Pinned => HostKeyPolicy::Pinned(keys()?),
        StoredPolicy::KnownHosts => HostKeyPolicy::KnownHosts {
            path: known_hosts.0.clone(),
        },
        StoredPolicy::Tofu => {
            let mut learned = keys()?;
            if let Some(line) = record.learned_host_keys.get(&endpoint(address, port)) {
                learned.push(HostKey::parse(line).map_err(|error| {
                    Error::new(
                        crate::error::ErrorCode::Internal,
                        format!("the stored host key cannot be read: {error}"),
                    )
                })?);
            }
            HostKeyPolicy::Tofu { learned }
        }
    })
}
