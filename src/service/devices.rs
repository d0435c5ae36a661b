//! The inventory: add, list, look at, change and remove devices. Credentials go in and never come out.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::call::{CallContext, Role};
use super::request::{IfMatch, ListRequest};
use super::target::{self, ssh_target};
use super::view::{ConnectionView, DeviceList, DeviceView};
use super::{Gateway, time};
use crate::device::model::{self, DeviceSecrets, DeviceSettings, FieldFault, HostKeyPolicy, HostKeySettings};
use crate::error::{Error, ErrorCode};
use crate::store::{DeviceRecord, StoreError};

/// How many devices a page of a list has when the caller does not say (conventions H10).
const DEFAULT_PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;

impl Gateway {
    /// Stores a device from its JSON. Nothing is connected yet.
    ///
    /// # Errors
    /// `invalid-argument` with a pointer for each fault, `already-exists`, `address-not-allowed`.
    pub async fn create_device(&self, ctx: &CallContext, body: &str) -> Result<DeviceView, Error> {
        ctx.principal.require(Role::Admin)?;
        self.accepting()?;
        let document = parse(body)?;
        let (settings, secrets) = reading(brings_key(&document), move || model::read_device(&document))
            .await?
            .map_err(faults)?;
        self.check_addresses(&settings)?;
        self.check_known_hosts(&settings, None)?;
        check_usable(&settings, &secrets)?;
        let _changing = self.inner.changing.lock().await;
        let record = self
            .inner
            .store
            .insert_device(settings, secrets)
            .await
            .map_err(|error| self.store_error(error))?;
        self.install(&record)?;
        Ok(self.view(&record))
    }

    /// # Errors
    /// `invalid-argument` for a page token of another list and for a label that there cannot be.
    pub async fn list_devices(&self, ctx: &CallContext, request: ListRequest) -> Result<DeviceList, Error> {
        ctx.principal.require(Role::Read)?;
        let size = page_size(request.page_size)?;
        let mut labels = BTreeMap::new();
        for (key, value) in request.labels {
            if key.is_empty() {
                return Err(Error::invalid("?label", "must be name=value, with a name"));
            }
            if key.contains('\0') || value.contains('\0') {
                return Err(Error::invalid("?label", "no label holds U+0000"));
            }
            if labels.insert(key.clone(), value).is_some() {
                return Err(Error::invalid(
                    "?label",
                    format!("label {key} is asked for twice"),
                ));
            }
        }
        let page = self
            .inner
            .store
            .list_devices(&labels, size, request.page_token.as_deref())
            .await
            .map_err(|error| self.store_error(error))?;
        Ok(DeviceList {
            devices: page.items.iter().map(|record| self.view(record)).collect(),
            next_page_token: page.next_page_token,
        })
    }

    /// # Errors
    /// `not-found`.
    pub async fn get_device(&self, ctx: &CallContext, name: &str) -> Result<DeviceView, Error> {
        ctx.principal.require(Role::Read)?;
        Ok(self.view(&self.record(name).await?))
    }

    /// Changes a device by a JSON merge patch (RFC 7396). If sessions depend on what changes, they are ended politely
    /// and opened anew, and who waits for one waits for a new one. A patch that changes nothing leaves everything as
    /// it is, the version included.
    ///
    /// # Errors
    /// `invalid-argument`, `not-found`, `etag-mismatch` when `if_match` names another version;
    /// `confirmed-commit-pending` when its sessions would end; `invalid-state` when it would be another device for an edit
    /// session that is open, or for a change that is at work.
    pub async fn update_device(
        &self,
        ctx: &CallContext,
        name: &str,
        patch: &str,
        if_match: Option<IfMatch>,
    ) -> Result<DeviceView, Error> {
        ctx.principal.require(Role::Admin)?;
        self.accepting()?;
        let patch = parse(patch)?;
        // One after the other: who names no version never meets another's change half-way.
        let _changing = self.inner.changing.lock().await;
        let read = self.record(name).await?;
        check_etag(&read, if_match.as_ref())?;
        let (old_settings, old_secrets) = (read.settings.clone(), read.secrets.clone());
        // Keys that are there already are not decoded again.
        let (settings, secrets) = reading(brings_key(&patch), move || {
            model::apply_merge_patch(&old_settings, &old_secrets, &patch)
        })
        .await?
        .map_err(faults)?;
        self.check_addresses(&settings)?;
        self.check_known_hosts(&settings, Some(&read.settings))?;
        check_usable(&settings, &secrets)?;
        if settings == read.settings && secrets == read.secrets {
            // Nothing to store, so nothing that others read has changed either.
            return Ok(self.view(&read));
        }
        if settings_of_sessions(&settings) != settings_of_sessions(&read.settings) || secrets != read.secrets
        {
            // The session that it was made in would end with the others.
            self.no_confirmed_commit(&read.id)?;
        }
        if place(&settings) != place(&read.settings) {
            // Sessions that are held stay with the device at the old place; what becomes of what is done in them would be
            // looked for at the new one.
            self.no_edit_session(name)?;
            self.no_change_at_work(&read)?;
            self.nothing_to_resolve(&read.id)
                .map_err(|error| error.with_device(name))?;
        }
        let changing = self.inner.records.changing(name);
        let record = self
            .inner
            .store
            .update_device(&read, settings, secrets)
            .await
            .map_err(|error| self.store_error(error).with_device(name))?;
        drop(changing);
        if !make_the_same_sessions(&read, &record) {
            self.install(&record)?;
        }
        Ok(self.view(&record))
    }

    /// Removes a device and ends its sessions politely.
    ///
    /// # Errors
    /// `not-found`, `etag-mismatch`; `invalid-state` while edit sessions are open on it, a change is under way, or what
    /// became of one is being found out; `confirmed-commit-pending` while that of a confirmed commit is.
    pub async fn delete_device(
        &self,
        ctx: &CallContext,
        name: &str,
        if_match: Option<IfMatch>,
    ) -> Result<(), Error> {
        ctx.principal.require(Role::Admin)?;
        self.accepting()?;
        let _changing = self.inner.changing.lock().await;
        let read = self.record(name).await?;
        check_etag(&read, if_match.as_ref())?;
        self.no_edit_session(name)?;
        self.no_change_under_way(&read).await?;
        self.nothing_is_open(&read)?;
        let expected = if_match.is_some().then_some(read.version);
        let changing = self.inner.records.changing(name);
        self.inner
            .store
            .delete_device(&read.id, expected)
            .await
            .map_err(|error| self.store_error(error).with_device(name))?;
        drop(changing);
        self.uninstall(name);
        self.inner.revisions.forget(name);
        Ok(())
    }

    /// # Errors
    /// `invalid-state` while an edit session is open on the device.
    fn no_edit_session(&self, name: &str) -> Result<(), Error> {
        let open = self.inner.devices.get(name).map(|device| device.edit_sessions());
        let open = open.unwrap_or_default();
        let Some(session) = open.first() else {
            return Ok(());
        };
        let detail = format!(
            "the edit session {} of {} is open on it",
            session.id(),
            session.who()
        );
        Err(Error::new(ErrorCode::InvalidState, detail)
            .with_device(name)
            .with_hint("end its edit sessions first"))
    }

    /// The stored device.
    pub(super) async fn record(&self, name: &str) -> Result<DeviceRecord, Error> {
        self.inner
            .store
            .get_device(name)
            .await
            .map_err(|error| match error {
                StoreError::NotFound => unknown_device(name),
                other => self.store_error(other).with_device(name),
            })
    }

    /// Whether the device of this name is still that one; also while nobody can tell.
    pub(super) async fn is_device(&self, name: &str, id: &str) -> bool {
        match self.device(name).await {
            Ok((record, _)) => record.id == id,
            Err(error) => error.code() != ErrorCode::NotFound,
        }
    }

    /// A device is not stored with a policy that this gateway has no file for.
    /// What was stored when there was such a file is no reason to refuse another setting.
    fn check_known_hosts(
        &self,
        settings: &DeviceSettings,
        before: Option<&DeviceSettings>,
    ) -> Result<(), Error> {
        if !self.inner.known_hosts.0.as_os_str().is_empty() {
            return Ok(());
        }
        let before: Vec<_> = before.into_iter().flat_map(asking_known_hosts).collect();
        let is_new = |host: &KnownHost<'_>| {
            !before
                .iter()
                .any(|old| (old.address, old.port) == (host.address, host.port))
        };
        match asking_known_hosts(settings).find(is_new) {
            Some(host) => Err(Error::invalid(
                host.pointer,
                "the gateway has no known_hosts file: it is named with --known-hosts (NCGATE_KNOWN_HOSTS)",
            )),
            None => Ok(()),
        }
    }

    /// Literal addresses must lie in the allowed networks from the start; names are judged when they are dialled
    /// (conventions X8). Only the first host of a way is dialled by the gateway itself.
    fn check_addresses(&self, settings: &DeviceSettings) -> Result<(), Error> {
        let (address, port, place) = match settings.proxy_jump.first() {
            Some(jump) => (&jump.address, jump.port, "/proxy_jump/0"),
            None => (&settings.address, settings.port, ""),
        };
        if !self.inner.networks.allows_port(port) {
            let detail = format!("port {port} is not among those that the gateway may dial");
            return Err(Error::new(ErrorCode::AddressNotAllowed, detail.clone())
                .with_field(format!("{place}/port"), detail)
                .with_hint("the operator names the ports with --device-ports (NCGATE_DEVICE_PORTS)"));
        }
        let literal = address
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>();
        if let Ok(ip) = literal
            && !self.inner.networks.allows(ip, port)
        {
            let detail = format!("{ip} is not in the networks that the gateway may dial");
            return Err(Error::new(ErrorCode::AddressNotAllowed, detail.clone())
                .with_field(format!("{place}/address"), detail)
                .with_hint(
                    "the operator names the networks with --device-networks (NCGATE_DEVICE_NETWORKS)",
                ));
        }
        Ok(())
    }

    pub(super) fn view(&self, record: &DeviceRecord) -> DeviceView {
        let connection = self.connection(record.name());
        DeviceView {
            document: model::document(&record.settings, &record.secrets),
            etag: etag(record, &connection),
            connection,
            create_time: time::rfc3339(record.created_at),
            update_time: time::rfc3339(record.updated_at),
        }
    }

    fn connection(&self, name: &str) -> ConnectionView {
        let live = self.inner.devices.get(name);
        let connection = live.map_or_else(ConnectionView::idle, |device| {
            super::check::connection(&device.status())
        });
        ConnectionView {
            revision: self.inner.revisions.of(name),
            ..connection
        }
    }

    pub(super) fn store_error(&self, error: StoreError) -> Error {
        match error {
            StoreError::AlreadyExists { name } => Error::new(
                ErrorCode::AlreadyExists,
                format!("a device named {name} exists already"),
            )
            .with_field("/name", "exists already"),
            StoreError::NotFound => Error::new(ErrorCode::NotFound, "there is no such device"),
            StoreError::VersionMismatch { .. } => etag_mismatch(),
            StoreError::KeyTaken => super::operations::in_use(None),
            StoreError::BadPageToken => Error::invalid("?page_token", "belongs to another list or filter"),
            StoreError::Unavailable { doing, source } => {
                tracing::error!(error = %source, doing, "the database cannot be used");
                Error::new(
                    ErrorCode::StoreUnavailable,
                    format!("the gateway's database cannot be used while {doing}"),
                )
                .with_retry_after(1)
            }
            StoreError::Damaged { device, what } => Error::new(
                ErrorCode::Internal,
                format!("the stored row of device {device} is damaged: {what}"),
            ),
            StoreError::SealedKey { source } => {
                tracing::error!(error = %source, "a stored idempotency key cannot be opened");
                Error::new(
                    ErrorCode::Internal,
                    "what is stored of the idempotency key cannot be opened",
                )
            }
            StoreError::Sealed { device, source } => {
                tracing::error!(device, error = %source, "stored credentials cannot be opened");
                Error::new(
                    ErrorCode::Internal,
                    format!("the stored credentials of device {device} cannot be opened"),
                )
            }
        }
    }
}

/// Whether it makes no difference to sessions which of the two is stored. Host keys that were learned since do not
/// count: where they were learned, they are known.
pub(super) fn make_the_same_sessions(one: &DeviceRecord, other: &DeviceRecord) -> bool {
    settings_of_sessions(&one.settings) == settings_of_sessions(&other.settings)
        && one.secrets == other.secrets
}

/// What sessions depend on: all but the labels and the default for partial data. Without a change in it, open
/// sessions, and waiting after failures, stay as they are.
fn settings_of_sessions(settings: &DeviceSettings) -> DeviceSettings {
    DeviceSettings {
        labels: BTreeMap::new(),
        partial: model::Partial::default(),
        ..settings.clone()
    }
}

/// Where a device is found: behind another place there may be another device.
fn place(settings: &DeviceSettings) -> (&str, u16, Vec<(&str, u16)>) {
    let jumps = settings.proxy_jump.iter();
    (
        &settings.address,
        settings.port,
        jumps.map(|jump| (jump.address.as_str(), jump.port)).collect(),
    )
}

/// How long a page is to be; 0: as long as usual (H10).
///
/// # Errors
/// More than a page may have.
pub(super) fn page_size(wanted: u32) -> Result<u32, Error> {
    match wanted {
        0 => Ok(DEFAULT_PAGE),
        size if size > LARGEST_PAGE => Err(Error::invalid(
            "?page_size",
            format!("{size} is more than {LARGEST_PAGE}"),
        )),
        size => Ok(size),
    }
}

/// A device that nobody has added, or that the caller may not see.
pub(super) fn unknown_device(name: &str) -> Error {
    if name.is_empty() {
        return Error::invalid("/device", "is required");
    }
    Error::new(ErrorCode::NotFound, format!("there is no device named {name:?}"))
        .with_device(name)
        .with_hint(
            "GET /v1/devices (gRPC: ListDevices) lists the devices, POST /v1/devices (CreateDevice) adds one",
        )
}

/// The version of what is stored, then how the connection is now: a device looks different as soon as either changes.
fn etag(record: &DeviceRecord, connection: &ConnectionView) -> String {
    let now = serde_json::to_vec(connection).expect("strings and numbers always serialise");
    let digest = Sha256::digest(now);
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{}.{digest}\"", record.etag().trim_matches('"'))
}

/// Only the version counts: a change cannot be stale because a session was opened meanwhile.
fn check_etag(record: &DeviceRecord, if_match: Option<&IfMatch>) -> Result<(), Error> {
    let version = record.etag();
    let version = version.trim_matches('"');
    let is_this = |tag: &String| {
        tag.strip_prefix(version)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    match if_match {
        None | Some(IfMatch::Any) => Ok(()),
        Some(IfMatch::OneOf(tags)) if tags.iter().any(is_this) => Ok(()),
        Some(IfMatch::OneOf(_)) => Err(etag_mismatch().with_device(record.name())),
    }
}

fn etag_mismatch() -> Error {
    Error::new(
        ErrorCode::EtagMismatch,
        "the device has changed since it was read",
    )
    .with_hint("read it again and repeat the change with its new ETag")
}

/// A host of which the policy `known_hosts` is asked for, and where.
struct KnownHost<'a> {
    address: &'a str,
    port: u16,
    pointer: String,
}

/// The device, and its jump hosts, as far as the policy `known_hosts` is asked for.
fn asking_known_hosts(settings: &DeviceSettings) -> impl Iterator<Item = KnownHost<'_>> {
    let asks = |host_key: &HostKeySettings| host_key.policy == HostKeyPolicy::KnownHosts;
    let device = asks(&settings.host_key).then(|| KnownHost {
        address: &settings.address,
        port: settings.port,
        pointer: "/host_key/policy".to_owned(),
    });
    let jumps = settings.proxy_jump.iter().enumerate();
    let jumps = jumps.filter(move |(_, jump)| asks(&jump.host_key));
    let jumps = jumps.map(|(number, jump)| KnownHost {
        address: &jump.address,
        port: jump.port,
        pointer: format!("/proxy_jump/{number}/host_key/policy"),
    });
    device.into_iter().chain(jumps)
}

/// A host key or a version that cannot be read is found when it is given, not at the first connect.
fn check_usable(settings: &DeviceSettings, secrets: &DeviceSecrets) -> Result<(), Error> {
    let record = DeviceRecord {
        id: String::new(),
        version: 0,
        created_at: time::EPOCH,
        updated_at: time::EPOCH,
        settings: settings.clone(),
        secrets: secrets.clone(),
        learned_host_keys: BTreeMap::new(),
    };
    target::check_versions(settings)?;
    ssh_target(&record, &target::KnownHosts(Default::default())).map(|_| ())
}

fn parse(body: &str) -> Result<Value, Error> {
    model::parse_json(body.as_bytes()).map_err(|fault| faults(vec![fault]))
}

fn faults(faults: Vec<FieldFault>) -> Error {
    let mut faults = faults.into_iter();
    let Some(first) = faults.next() else {
        return Error::new(ErrorCode::Internal, "the device was refused without a reason");
    };
    faults.fold(Error::invalid(first.pointer, first.detail), |error, fault| {
        error.with_field(fault.pointer, fault.detail)
    })
}

/// Whether a private key is decoded when this document or patch is read.
fn brings_key(document: &Value) -> bool {
    const KEYS: [&str; 2] = ["private_key", "passphrase"];
    match document {
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| KEYS.contains(&&**name) || brings_key(value)),
        Value::Array(values) => values.iter().any(brings_key),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Reads a document. Decoding a private key computes for a while; anything else is done sooner than another thread is
/// found for it.
async fn reading<T: Send + 'static>(
    decodes_keys: bool,
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    match decodes_keys {
        true => blocking(read).await,
        false => Ok(read()),
    }
}

/// Runs what computes for a while beside the threads that serve everybody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Error::new(
            ErrorCode::Internal,
            format!("the work could not be finished: {error}"),
        )
    })
}
