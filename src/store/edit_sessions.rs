//! Edit sessions: what is told of those that are open when they are listed, and of those that have ended.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use time::OffsetDateTime;

use super::database::unavailable;
use super::devices::{MOST_ITEMS, from_micros, to_micros};
use super::events::{EventFacts, NewEvent};
use super::page::{self, Page};
use super::{Store, StoreError};

const COLUMNS: &str = "SELECT id, device_id, device, owner, mode, datastore, instance, session_id, ttl_seconds, state, \
                       reason, request_id, created_at, expires_at, ended_at, warnings FROM edit_sessions";

/// The state of a row that is written before anything is sent. Whoever opens it has not got it yet.
pub const OPENING: &str = "opening";
const OPEN: &str = "open";

/// An edit session as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditSessionRecord {
    /// ULID: the order of ids is that of creation.
    pub id: String,
    /// Of the device row; a device of the same name that is added later is another one.
    pub device_id: String,
    /// The device's name.
    pub device: String,
    /// The principal.
    pub owner: String,
    pub mode: String,
    pub datastore: String,
    pub instance: Option<String>,
    /// The NETCONF session on the device.
    pub session_id: u64,
    pub ttl_seconds: u64,
    /// [`OPENING`], `open`, or how it ended.
    pub state: String,
    /// Why it is not open any more.
    pub reason: Option<String>,
    /// The request that opened it.
    pub request_id: Option<String>,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
    /// In a form that the store does not know.
    pub warnings: String,
}

impl Store {
    /// Adds an edit session.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn insert_edit_session(&self, session: &EditSessionRecord) -> Result<(), StoreError> {
        const DOING: &str = "adding an edit session";
        let mut connection = self.database.write(DOING).await?;
        sqlx::query(
            "INSERT INTO edit_sessions (id, device_id, device, owner, mode, datastore, instance, session_id, \
             ttl_seconds, state, reason, request_id, created_at, expires_at, ended_at, warnings) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(&session.id)
        .bind(&session.device_id)
        .bind(&session.device)
        .bind(&session.owner)
        .bind(&session.mode)
        .bind(&session.datastore)
        .bind(&session.instance)
        .bind(whole(session.session_id))
        .bind(whole(session.ttl_seconds))
        .bind(&session.state)
        .bind(&session.reason)
        .bind(&session.request_id)
        .bind(to_micros(session.created_at))
        .bind(to_micros(session.expires_at))
        .bind(session.ended_at.map(to_micros))
        .bind(&session.warnings)
        .execute(&mut *connection)
        .await
        .map(drop)
        .map_err(unavailable(DOING))
    }

    /// Stores what can change about an edit session: its NETCONF session, state, reason, times and warnings. Tells of its
    /// state if that is another one than before.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    pub async fn update_edit_session(&self, session: &EditSessionRecord) -> Result<(), StoreError> {
        const DOING: &str = "updating an edit session";
        let mut tx = self.database.begin(DOING).await?;
        let before = sqlx::query("SELECT state FROM edit_sessions WHERE id = $1")
            .bind(&session.id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(unavailable(DOING))?
            .ok_or(StoreError::NotFound)?;
        let before: String = before.try_get(0).map_err(unavailable(DOING))?;
        sqlx::query(
            "UPDATE edit_sessions SET session_id = $1, state = $2, reason = $3, expires_at = $4, ended_at = $5, \
             warnings = $6 WHERE id = $7",
        )
        .bind(whole(session.session_id))
        .bind(&session.state)
        .bind(&session.reason)
        .bind(to_micros(session.expires_at))
        .bind(session.ended_at.map(to_micros))
        .bind(&session.warnings)
        .bind(&session.id)
        .execute(&mut *tx)
        .await
        .map_err(unavailable(DOING))?;
        let told = (before != session.state).then(|| told(session));
        self.commit_telling(tx, told.as_slice(), DOING).await
    }

    /// Forgets an edit session that was never opened.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_edit_session(&self, id: &str) -> Result<(), StoreError> {
        const DOING: &str = "removing an edit session";
        let mut connection = self.database.write(DOING).await?;
        sqlx::query("DELETE FROM edit_sessions WHERE id = $1")
            .bind(id)
            .execute(&mut *connection)
            .await
            .map_err(unavailable(DOING))?;
        Ok(())
    }

    /// One edit session of this device.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    pub async fn get_edit_session(&self, device_id: &str, id: &str) -> Result<EditSessionRecord, StoreError> {
        const DOING: &str = "reading an edit session";
        let statement = format!("{COLUMNS} WHERE device_id = $1 AND id = $2");
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(device_id)
            .bind(id)
            .fetch_optional(self.database.reader())
            .await
            .map_err(unavailable(DOING))?;
        record(&row.ok_or(StoreError::NotFound)?).map_err(unavailable(DOING))
    }

    /// The edit sessions of a device that were opened, the newest first.
    ///
    /// # Errors
    /// [`StoreError::BadPageToken`] when the token was made for another list; [`StoreError::Unavailable`].
    pub async fn list_edit_sessions(
        &self,
        device_id: &str,
        page_size: u32,
        page_token: Option<&str>,
    ) -> Result<Page<EditSessionRecord>, StoreError> {
        const DOING: &str = "listing edit sessions";
        let filter = format!("edit sessions {device_id:?}");
        let before = page::before(&filter, page_token)?;
        let page_size = page_size.clamp(1, MOST_ITEMS);
        let statement =
            format!("{COLUMNS} WHERE device_id = $1 AND id < $2 AND state <> $3 ORDER BY id DESC LIMIT $4");
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(device_id)
            .bind(before)
            .bind(OPENING)
            .bind(i64::from(page_size) + 1)
            .fetch_all(self.database.reader())
            .await
            .map_err(unavailable(DOING))?;
        let items: Result<Vec<_>, _> = rows.iter().map(record).collect();
        let items = items.map_err(unavailable(DOING))?;
        let id = |session: &EditSessionRecord| session.id.clone();
        Ok(page::cut(items, page_size, &filter, id))
    }

    /// What a gateway that ended without a word left behind: its edit sessions are lost (conventions L3), which is told.
    /// Returns how many there were. `warn` adds what is to be said of one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn lose_edit_sessions(
        &self,
        reason: &str,
        warn: impl Fn(&mut EditSessionRecord),
    ) -> Result<u64, StoreError> {
        const DOING: &str = "settling edit sessions";
        let mut tx = self.database.begin(DOING).await?;
        sqlx::query("DELETE FROM edit_sessions WHERE state = $1")
            .bind(OPENING)
            .execute(&mut *tx)
            .await
            .map_err(unavailable(DOING))?;
        let lost = sqlx::query(AssertSqlSafe(format!("{COLUMNS} WHERE state = $1 ORDER BY id")))
            .bind(OPEN)
            .fetch_all(&mut *tx)
            .await
            .map_err(unavailable(DOING))?;
        let mut events = Vec::with_capacity(lost.len());
        for row in &lost {
            let mut session = record(row).map_err(unavailable(DOING))?;
            "lost".clone_into(&mut session.state);
            session.reason = Some(reason.to_owned());
            warn(&mut session);
            events.push(told(&session));
            sqlx::query(
                "UPDATE edit_sessions SET state = $1, reason = $2, ended_at = $3, warnings = $4 WHERE id = $5",
            )
            .bind(session.state)
            .bind(session.reason)
            .bind(to_micros(self.now()))
            .bind(session.warnings)
            .bind(session.id)
            .execute(&mut *tx)
            .await
            .map_err(unavailable(DOING))?;
        }
        self.commit_telling(tx, &events, DOING).await?;
        Ok(lost.len() as u64)
    }

    /// Forgets the edit sessions that ended before this time. Returns how many there were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn forget_edit_sessions(&self, before: OffsetDateTime) -> Result<u64, StoreError> {
        const DOING: &str = "forgetting edit sessions";
        let mut connection = self.database.write(DOING).await?;
        let gone = sqlx::query("DELETE FROM edit_sessions WHERE ended_at < $1")
            .bind(to_micros(before))
            .execute(&mut *connection)
            .await
            .map_err(unavailable(DOING))?;
        Ok(gone.rows_affected())
    }
}

/// What is told of an edit session that is open or has ended.
fn told(session: &EditSessionRecord) -> NewEvent {
    let open = session.state == OPEN;
    let word = if open { "opened" } else { session.state.as_str() };
    NewEvent {
        kind: format!("edit_session.{word}"),
        device_id: Some(session.device_id.clone()),
        device: Some(session.device.clone()),
        facts: EventFacts {
            edit_session_id: Some(session.id.clone()),
            session_id: Some(session.session_id),
            state: Some(session.state.clone()),
            reason: session.reason.clone(),
            deadline: open.then(|| session.expires_at.unix_timestamp()),
            owner: Some(session.owner.clone()),
            request_id: session.request_id.clone(),
            ..EventFacts::default()
        },
    }
}

fn record(row: &AnyRow) -> Result<EditSessionRecord, sqlx::Error> {
    let number = |column: &str| {
        row.try_get::<i64, _>(column)
            .map(|value| u64::try_from(value).unwrap_or_default())
    };
    Ok(EditSessionRecord {
        id: row.try_get("id")?,
        device_id: row.try_get("device_id")?,
        device: row.try_get("device")?,
        owner: row.try_get("owner")?,
        mode: row.try_get("mode")?,
        datastore: row.try_get("datastore")?,
        instance: row.try_get("instance")?,
        session_id: number("session_id")?,
        ttl_seconds: number("ttl_seconds")?,
        state: row.try_get("state")?,
        reason: row.try_get("reason")?,
        request_id: row.try_get("request_id")?,
        created_at: from_micros(row.try_get("created_at")?),
        expires_at: from_micros(row.try_get("expires_at")?),
        ended_at: row.try_get::<Option<i64>, _>("ended_at")?.map(from_micros),
        warnings: row.try_get("warnings")?,
    })
}

/// Session-ids and times to live are 32 bits wide by their definitions; the columns are signed.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
