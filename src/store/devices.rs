//! Devices: settings, sealed credentials, labels to filter by, and host keys learned under `tofu`.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use time::OffsetDateTime;

use super::connection::Transaction;
use super::database::{is_duplicate, unavailable};
use super::page::{self, Page};
use super::seal::{Place, SealError};
use super::{OpenError, Store, StoreError};
use crate::device::model::{DeviceSecrets, DeviceSettings, HostKeyPolicy};

/// The largest page of a list.
pub(super) const MOST_ITEMS: u32 = 1000;

const COLUMNS: &str = "SELECT d.id, d.name, d.version, d.settings, d.created_at, d.updated_at, \
                       s.key_id, s.credentials \
                       FROM devices d JOIN device_secrets s ON s.device_id = d.id";

/// A device as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceRecord {
    /// ULID; never used again, not even for a device of the same name.
    pub id: String,
    /// Counts the changes, from 1.
    pub version: i64,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    pub settings: DeviceSettings,
    pub secrets: DeviceSecrets,
    /// Host keys learned under the policy `tofu`, by `address:port`, in OpenSSH form.
    pub learned_host_keys: BTreeMap<String, String>,
}

impl DeviceRecord {
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// A strong entity tag (RFC 9110 section 8.8.3), with its quotes.
    pub fn etag(&self) -> String {
        format!("\"{}.{}\"", self.id, self.version)
    }
}

/// What became of a host key that was offered for learning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// It is the first, and stored.
    Stored,
    /// It is the stored one.
    Known,
    /// Another one is stored, which stays.
    Other(String),
}

fn credentials_of(id: &str) -> Place<'_> {
    Place {
        table: "device_secrets",
        row: id,
        column: "credentials",
    }
}

impl Store {
    /// Adds a device.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`], [`StoreError::Unavailable`].
    pub async fn insert_device(
        &self,
        settings: DeviceSettings,
        secrets: DeviceSecrets,
    ) -> Result<DeviceRecord, StoreError> {
        const DOING: &str = "adding a device";
        let now = self.now();
        let id = self.ids.ulid(now);
        let mut tx = self.database.begin(DOING).await?;
        let inserted = sqlx::query(
            "INSERT INTO devices (id, name, version, settings, created_at, updated_at) \
             VALUES ($1, $2, 1, $3, $4, $4)",
        )
        .bind(&id)
        .bind(&settings.name)
        .bind(to_json(&settings))
        .bind(to_micros(now))
        .execute(&mut *tx)
        .await;
        match inserted {
            Ok(_) => {}
            Err(error) if is_duplicate(&error) => {
                return Err(StoreError::AlreadyExists { name: settings.name });
            }
            Err(error) => return Err(unavailable(DOING)(error)),
        }
        self.write_secrets(&mut tx, &id, &secrets)
            .await
            .map_err(unavailable(DOING))?;
        write_labels(&mut tx, &id, &settings)
            .await
            .map_err(unavailable(DOING))?;
        tx.commit().await.map_err(unavailable(DOING))?;
        Ok(DeviceRecord {
            id,
            version: 1,
            created_at: now,
            updated_at: now,
            settings,
            secrets,
            learned_host_keys: BTreeMap::new(),
        })
    }

    /// The device of this name.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Sealed`], [`StoreError::Damaged`].
    pub async fn get_device(&self, name: &str) -> Result<DeviceRecord, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!("{COLUMNS} WHERE d.name = $1")))
            .bind(name)
            .fetch_optional(self.database.reader())
            .await
            .map_err(unavailable("reading a device"))?;
        self.record(&row.ok_or(StoreError::NotFound)?).await
    }

    /// Devices in order of their names, those that have all the given labels.
    ///
    /// # Errors
    /// [`StoreError::BadPageToken`] when the token was not made for this filter; as [`Store::get_device`].
    pub async fn list_devices(
        &self,
        labels: &BTreeMap<String, String>,
        page_size: u32,
        page_token: Option<&str>,
    ) -> Result<Page<DeviceRecord>, StoreError> {
        let filter = filter_text(labels);
        let after = match page_token {
            None => String::new(),
            Some(token) => page::after(&filter, token).ok_or(StoreError::BadPageToken)?,
        };
        let page_size = page_size.clamp(1, MOST_ITEMS);
        let statement = list_statement(labels.len());
        let mut query = sqlx::query(AssertSqlSafe(statement))
            .bind(after)
            .bind(i64::from(page_size) + 1);
        for (key, value) in labels {
            query = query.bind(key).bind(value);
        }
        let rows = query
            .fetch_all(self.database.reader())
            .await
            .map_err(unavailable("listing devices"))?;
        let mut items = Vec::with_capacity(rows.len());
        for row in &rows {
            items.push(self.record(row).await?);
        }
        Ok(page::cut(items, page_size, &filter, |device: &DeviceRecord| {
            device.name().to_owned()
        }))
    }

    /// Replaces settings and credentials of a device that was read before. New `host_key` settings forget the
    /// keys that were learned.
    ///
    /// # Errors
    /// [`StoreError::VersionMismatch`] when somebody else changed it meanwhile, [`StoreError::NotFound`],
    /// [`StoreError::Unavailable`].
    pub async fn update_device(
        &self,
        read: &DeviceRecord,
        settings: DeviceSettings,
        secrets: DeviceSecrets,
    ) -> Result<DeviceRecord, StoreError> {
        const DOING: &str = "changing a device";
        let now = self.now();
        let mut tx = self.database.begin(DOING).await?;
        let changed = sqlx::query(
            "UPDATE devices SET version = version + 1, settings = $1, updated_at = $2 \
             WHERE id = $3 AND version = $4",
        )
        .bind(to_json(&settings))
        .bind(to_micros(now))
        .bind(&read.id)
        .bind(read.version)
        .execute(&mut *tx)
        .await
        .map_err(unavailable(DOING))?;
        if changed.rows_affected() == 0 {
            return Err(self.stale(tx, &read.id, DOING).await);
        }
        self.write_secrets(&mut tx, &read.id, &secrets)
            .await
            .map_err(unavailable(DOING))?;
        write_labels(&mut tx, &read.id, &settings)
            .await
            .map_err(unavailable(DOING))?;
        let mut learned_host_keys = read.learned_host_keys.clone();
        if !host_key_settings(&settings).eq(host_key_settings(&read.settings)) {
            learned_host_keys.clear();
            sqlx::query("DELETE FROM device_host_keys WHERE device_id = $1")
                .bind(&read.id)
                .execute(&mut *tx)
                .await
                .map_err(unavailable(DOING))?;
        }
        tx.commit().await.map_err(unavailable(DOING))?;
        Ok(DeviceRecord {
            id: read.id.clone(),
            version: read.version + 1,
            created_at: read.created_at,
            updated_at: now,
            settings,
            secrets,
            learned_host_keys,
        })
    }

    /// Removes a device with everything that belongs to it. `expected_version` guards against removing what
    /// somebody else has just changed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::VersionMismatch`], [`StoreError::Unavailable`].
    pub async fn delete_device(&self, id: &str, expected_version: Option<i64>) -> Result<(), StoreError> {
        const DOING: &str = "removing a device";
        let mut tx = self.database.begin(DOING).await?;
        let statement = match expected_version {
            Some(version) => sqlx::query("DELETE FROM devices WHERE id = $1 AND version = $2")
                .bind(id)
                .bind(version),
            None => sqlx::query("DELETE FROM devices WHERE id = $1").bind(id),
        };
        let deleted = statement.execute(&mut *tx).await.map_err(unavailable(DOING))?;
        if deleted.rows_affected() == 0 {
            return Err(self.stale(tx, id, DOING).await);
        }
        tx.commit().await.map_err(unavailable(DOING))
    }

    /// Stores the first host key that an endpoint (`address:port`) of the device showed (X7, `tofu`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the device is gone, [`StoreError::Unavailable`].
    pub async fn learn_host_key(
        &self,
        id: &str,
        endpoint: &str,
        host_key: &str,
    ) -> Result<Learned, StoreError> {
        const DOING: &str = "storing a host key";
        let mut tx = self.database.begin(DOING).await?;
        let exists = sqlx::query("SELECT id FROM devices WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *tx)
            .await;
        if exists.map_err(unavailable(DOING))?.is_none() {
            return Err(StoreError::NotFound);
        }
        let inserted = sqlx::query(
            "INSERT INTO device_host_keys (device_id, endpoint, host_key, learned_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (device_id, endpoint) DO NOTHING",
        )
        .bind(id)
        .bind(endpoint)
        .bind(host_key)
        .bind(to_micros(self.now()))
        .execute(&mut *tx)
        .await
        .map_err(unavailable(DOING))?;
        let row = sqlx::query("SELECT host_key FROM device_host_keys WHERE device_id = $1 AND endpoint = $2")
            .bind(id)
            .bind(endpoint)
            .fetch_one(&mut *tx)
            .await
            .map_err(unavailable(DOING))?;
        let stored: String = row.try_get(0).map_err(unavailable(DOING))?;
        tx.commit().await.map_err(unavailable(DOING))?;
        Ok(match (inserted.rows_affected(), stored == host_key) {
            (1, _) => Learned::Stored,
            (_, true) => Learned::Known,
            (_, false) => Learned::Other(stored),
        })
    }

    /// Seals everything with the current key that another key had sealed.
    pub(super) async fn seal_anew(&self) -> Result<(), OpenError> {
        const DOING: &str = "sealing credentials anew";
        let mut tx = self.database.begin(DOING).await?;
        let rows = sqlx::query(AssertSqlSafe(format!("{COLUMNS} WHERE s.key_id <> $1")))
            .bind(self.keys.current_id())
            .fetch_all(&mut *tx)
            .await
            .map_err(unavailable(DOING))?;
        for row in &rows {
            let read = StoredDevice::read(row).map_err(unavailable(DOING))?;
            let secrets = self.open_secrets(&read).map_err(|source| OpenError::Sealed {
                device: read.name.clone(),
                source,
            })?;
            self.write_secrets(&mut tx, &read.id, &secrets)
                .await
                .map_err(unavailable(DOING))?;
        }
        tx.commit().await.map_err(unavailable(DOING))?;
        Ok(())
    }

    /// Why a statement guarded by id and version hit no row.
    async fn stale(&self, mut tx: Transaction, id: &str, doing: &'static str) -> StoreError {
        let found = sqlx::query("SELECT version FROM devices WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *tx)
            .await;
        match found.and_then(|row| row.map(|row| row.try_get(0)).transpose()) {
            Ok(Some(current)) => StoreError::VersionMismatch { current },
            Ok(None) => StoreError::NotFound,
            Err(error) => unavailable(doing)(error),
        }
    }

    async fn write_secrets(
        &self,
        tx: &mut Transaction,
        id: &str,
        secrets: &DeviceSecrets,
    ) -> Result<(), sqlx::Error> {
        let sealed = self
            .keys
            .seal(credentials_of(id), &secrets.to_plaintext(), &self.ids);
        sqlx::query(
            "INSERT INTO device_secrets (device_id, key_id, credentials) VALUES ($1, $2, $3) \
             ON CONFLICT (device_id) DO UPDATE SET key_id = excluded.key_id, credentials = excluded.credentials",
        )
        .bind(id)
        .bind(self.keys.current_id())
        .bind(sealed)
        .execute(&mut **tx)
        .await
        .map(|_| ())
    }

    fn open_secrets(&self, stored: &StoredDevice) -> Result<DeviceSecrets, SealError> {
        let plaintext = self
            .keys
            .open(credentials_of(&stored.id), &stored.key_id, &stored.credentials)?;
        DeviceSecrets::from_plaintext(&plaintext).ok_or(SealError::Broken)
    }

    async fn record(&self, row: &AnyRow) -> Result<DeviceRecord, StoreError> {
        let stored = StoredDevice::read(row).map_err(unavailable("reading a device"))?;
        let settings: DeviceSettings =
            serde_json::from_str(&stored.settings).map_err(|error| StoreError::Damaged {
                device: stored.name.clone(),
                what: error.to_string(),
            })?;
        let secrets = self.open_secrets(&stored).map_err(|source| StoreError::Sealed {
            device: stored.name.clone(),
            source,
        })?;
        let learned_host_keys = if host_key_settings(&settings).any(|s| s.policy == HostKeyPolicy::Tofu) {
            self.learned_host_keys(&stored.id).await?
        } else {
            BTreeMap::new()
        };
        Ok(DeviceRecord {
            id: stored.id,
            version: stored.version,
            created_at: from_micros(stored.created_at),
            updated_at: from_micros(stored.updated_at),
            settings,
            secrets,
            learned_host_keys,
        })
    }

    async fn learned_host_keys(&self, id: &str) -> Result<BTreeMap<String, String>, StoreError> {
        const DOING: &str = "reading host keys";
        let rows = sqlx::query("SELECT endpoint, host_key FROM device_host_keys WHERE device_id = $1")
            .bind(id)
            .fetch_all(self.database.reader())
            .await
            .map_err(unavailable(DOING))?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<_, _>>()
            .map_err(unavailable(DOING))
    }

    /// Wall time to the microsecond, as the database keeps it.
    pub(super) fn now(&self) -> OffsetDateTime {
        from_micros(to_micros(self.clock.wall()))
    }
}

/// A row of [`COLUMNS`].
struct StoredDevice {
    id: String,
    name: String,
    version: i64,
    settings: String,
    created_at: i64,
    updated_at: i64,
    key_id: String,
    credentials: Vec<u8>,
}

impl StoredDevice {
    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            version: row.try_get("version")?,
            settings: row.try_get("settings")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            key_id: row.try_get("key_id")?,
            credentials: row.try_get("credentials")?,
        })
    }
}

async fn write_labels(tx: &mut Transaction, id: &str, settings: &DeviceSettings) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM device_labels WHERE device_id = $1")
        .bind(id)
        .execute(&mut **tx)
        .await?;
    for (key, value) in &settings.labels {
        sqlx::query("INSERT INTO device_labels (device_id, key, value) VALUES ($1, $2, $3)")
            .bind(id)
            .bind(key)
            .bind(value)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// `$1` is the name to go on after, `$2` the number of rows, then key and value of each label.
fn list_statement(labels: usize) -> String {
    let mut statement = format!("{COLUMNS} WHERE d.name > $1");
    for index in 0..labels {
        let (key, value) = (3 + 2 * index, 4 + 2 * index);
        statement.push_str(&format!(
            " AND EXISTS (SELECT 1 FROM device_labels l \
             WHERE l.device_id = d.id AND l.key = ${key} AND l.value = ${value})"
        ));
    }
    statement.push_str(" ORDER BY d.name LIMIT $2");
    statement
}

/// The filter in one unambiguous line.
fn filter_text(labels: &BTreeMap<String, String>) -> String {
    format!("devices {labels:?}")
}

/// The host key settings of the device and of its jump hosts.
fn host_key_settings(
    settings: &DeviceSettings,
) -> impl Iterator<Item = &crate::device::model::HostKeySettings> + use<'_> {
    std::iter::once(&settings.host_key).chain(settings.proxy_jump.iter().map(|jump| &jump.host_key))
}

fn to_json(settings: &DeviceSettings) -> String {
    serde_json::to_string(settings).expect("settings have string keys only, so they are always JSON")
}

pub(super) fn to_micros(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

pub(super) fn from_micros(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
