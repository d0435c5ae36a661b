//! Changes: who changed what on which device, how far it came, and a sealed document with all that was said about it.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use time::OffsetDateTime;

use super::confirmed_commits::STARTING;
use super::connection::Connection;
use super::database::{is_duplicate, unavailable};
use super::devices::{MOST_ITEMS, from_micros, to_micros};
use super::events::{EventFacts, NewEvent};
use super::idempotency::NewKey;
use super::page::{self, Page};
use super::seal::Place;
use super::whole::{Statement, Value};
use super::{OpenError, Store, StoreError};

const COLUMNS: &str = "SELECT id, device_id, device, owner, mode, state, outcome, reason, request_id, created_at, \
                       updated_at, key_id, document FROM changes";
/// What is being done when a commit is about to be sent.
pub(super) const JOURNAL: &str = "storing that a commit is sent";

/// A change as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRecord {
    /// ULID: the order of ids is that of creation.
    pub id: String,
    /// Of the device row; a device of the same name that is added later is another one.
    pub device_id: String,
    /// The device's name.
    pub device: String,
    /// The principal.
    pub owner: String,
    pub mode: String,
    pub state: String,
    /// Absent while it runs.
    pub outcome: Option<String>,
    /// The code of the error that it ended with.
    pub reason: Option<String>,
    /// The request that began it.
    pub request_id: Option<String>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    /// States that it went through since it was stored last, to be told of before this one. Empty in what is read.
    pub passed: Vec<String>,
    /// Everything else, in a form that the store does not know.
    pub document: Vec<u8>,
}

/// What is told of a change: its state, after those that it went through. It is its own operation (H7).
fn told(change: &ChangeRecord) -> Vec<NewEvent> {
    let last = change.passed.len();
    let states = change.passed.iter().chain([&change.state]).enumerate();
    states
        .map(|(at, state)| NewEvent {
            kind: format!("change.{state}"),
            device_id: Some(change.device_id.clone()),
            device: Some(change.device.clone()),
            facts: EventFacts {
                change_id: Some(change.id.clone()),
                operation_id: Some(change.id.clone()),
                state: Some(state.clone()),
                outcome: change.outcome.clone().filter(|_| at == last),
                reason: change.reason.clone().filter(|_| at == last),
                owner: Some(change.owner.clone()),
                request_id: change.request_id.clone(),
                ..EventFacts::default()
            },
        })
        .collect()
}

/// The state of a change that came to nothing.
pub const FAILED: &str = "failed";

/// Writes everything of a change that can become another one.
const UPDATE: &str = "UPDATE changes SET state = $1, outcome = $2, reason = $3, updated_at = $4, key_id = $5, \
                      document = $6, attempts = attempts + $7 WHERE id = $8";

fn document_of(id: &str) -> Place<'_> {
    Place {
        table: "changes",
        row: id,
        column: "document",
    }
}

impl Store {
    /// Adds a change, and the key that it was asked for with, and tells of it, all or nothing. Its times are those of now.
    ///
    /// # Errors
    /// [`StoreError::KeyTaken`], [`StoreError::Unavailable`].
    pub async fn insert_change(
        &self,
        change: &mut ChangeRecord,
        key: Option<&NewKey>,
    ) -> Result<(), StoreError> {
        // No state has no name.
        self.insert_change_unless(change, key, "").await.map(drop)
    }

    /// The same, unless there is a change of its device in this state: then nothing is added, and it says false.
    ///
    /// # Errors
    /// As [`Store::insert_change`].
    pub async fn insert_change_unless(
        &self,
        change: &mut ChangeRecord,
        key: Option<&NewKey>,
        state: &str,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "adding a change";
        change.created_at = self.now();
        change.updated_at = change.created_at;
        let mut statements = vec![Statement::new(
            "INSERT INTO changes (id, device_id, device, owner, mode, state, outcome, reason, request_id, created_at, \
             updated_at, key_id, document) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12 \
             WHERE NOT EXISTS (SELECT 1 FROM changes WHERE state = $13 AND device_id = $2)",
            [
                Value::from(&change.id),
                (&change.device_id).into(),
                (&change.device).into(),
                (&change.owner).into(),
                (&change.mode).into(),
                (&change.state).into(),
                (&change.outcome).into(),
                (&change.reason).into(),
                (&change.request_id).into(),
                to_micros(change.created_at).into(),
                self.keys.current_id().into(),
                self.sealed_document(change).into(),
                state.into(),
            ],
        )];
        if let Some(key) = key {
            statements.extend(self.key_of_change(key, &change.id));
        }
        let (told, head) = (told(change), statements.len());
        statements.extend(self.telling_of_change(&told, &change.id, ""));
        let done = self.database.run(statements).await.map_err(|error| match key {
            // The id is new.
            Some(_) if is_duplicate(&error) => StoreError::KeyTaken,
            Some(_) | None => unavailable(DOING)(error),
        })?;
        self.told_of_change(done.get(head), told.len()).await;
        Ok(done.first().is_some_and(|inserted| inserted.affected > 0))
    }

    /// Stores how far a change has come, at the time of now, and tells of its state if that is another one than before.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    pub async fn update_change(&self, change: &mut ChangeRecord) -> Result<(), StoreError> {
        self.update_whole(change, 0, "updating a change").await?;
        self.tell(&change.id);
        Ok(())
    }

    /// Stores that the commit of a change is sent now. A row allows one send.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also for a change whose commit was sent before; [`StoreError::NotFound`].
    pub async fn journal_commit(&self, change: &mut ChangeRecord) -> Result<(), StoreError> {
        self.update_whole(change, 1, JOURNAL).await
    }

    /// In a transaction of its own.
    async fn update_whole(
        &self,
        change: &mut ChangeRecord,
        attempts: i64,
        doing: &'static str,
    ) -> Result<(), StoreError> {
        change.updated_at = self.now();
        let mut statements = Vec::new();
        if self.database.has_other_writers() {
            // Its row comes before the one that all events come by, as in every transaction.
            statements.push(Statement::new(
                "UPDATE changes SET attempts = attempts WHERE id = $1",
                [(&change.id).into()],
            ));
        }
        // What is told depends on the state before, and the new one comes last.
        let (told, head) = (told(change), statements.len());
        statements.extend(self.telling_of_change(&told, &change.id, &change.state));
        if change.state == FAILED {
            // It waits for nothing any more, whoever stored that it might.
            statements.push(Statement::new(
                "DELETE FROM confirmed_commits WHERE change_id = $1 AND state = $2",
                [(&change.id).into(), STARTING.into()],
            ));
        }
        statements.push(Statement::new(UPDATE, self.update_values(change, attempts)));
        let done = self.database.run(statements).await.map_err(unavailable(doing))?;
        if done.last().is_none_or(|updated| updated.affected == 0) {
            return Err(StoreError::NotFound);
        }
        self.told_of_change(done.get(head), told.len()).await;
        Ok(())
    }

    fn update_values(&self, change: &ChangeRecord, attempts: i64) -> [Value; 8] {
        [
            (&change.state).into(),
            (&change.outcome).into(),
            (&change.reason).into(),
            to_micros(change.updated_at).into(),
            self.keys.current_id().into(),
            self.sealed_document(change).into(),
            attempts.into(),
            (&change.id).into(),
        ]
    }

    fn sealed_document(&self, change: &ChangeRecord) -> Vec<u8> {
        let place = document_of(&change.id);
        self.keys.seal(place, &change.document, &self.ids)
    }

    /// What is to be told of it when the transaction ends.
    pub(super) async fn journal_in(
        &self,
        connection: &mut Connection,
        change: &mut ChangeRecord,
    ) -> Result<Vec<NewEvent>, StoreError> {
        self.write_change(connection, change, 1).await
    }

    /// What is to be told of it when the transaction ends.
    pub(super) async fn update_change_in(
        &self,
        connection: &mut Connection,
        change: &mut ChangeRecord,
    ) -> Result<Vec<NewEvent>, StoreError> {
        self.write_change(connection, change, 0).await
    }

    async fn write_change(
        &self,
        connection: &mut Connection,
        change: &mut ChangeRecord,
        attempts: i64,
    ) -> Result<Vec<NewEvent>, StoreError> {
        const DOING: &str = "updating a change";
        change.updated_at = self.now();
        let before = sqlx::query("SELECT state FROM changes WHERE id = $1")
            .bind(&change.id)
            .fetch_optional(&mut *connection)
            .await
            .map_err(unavailable(DOING))?
            .ok_or(StoreError::NotFound)?;
        let before: String = before.try_get(0).map_err(unavailable(DOING))?;
        Statement::new(UPDATE, self.update_values(change, attempts))
            .query()
            .execute(connection)
            .await
            .map_err(unavailable(DOING))?;
        Ok(if before == change.state {
            Vec::new()
        } else {
            told(change)
        })
    }

    /// One change of this device.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Sealed`].
    pub async fn get_change(&self, device_id: &str, id: &str) -> Result<ChangeRecord, StoreError> {
        let statement = format!("{COLUMNS} WHERE device_id = $1 AND id = $2");
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(device_id)
            .bind(id)
            .fetch_optional(self.database.reader())
            .await
            .map_err(unavailable("reading a change"))?;
        self.change(&row.ok_or(StoreError::NotFound)?)
    }

    /// One change, whatever its device is.
    ///
    /// # Errors
    /// As [`Store::get_change`].
    pub async fn find_change(&self, id: &str) -> Result<ChangeRecord, StoreError> {
        let statement = format!("{COLUMNS} WHERE id = $1");
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(id)
            .fetch_optional(self.database.reader())
            .await
            .map_err(unavailable("reading a change"))?;
        self.change(&row.ok_or(StoreError::NotFound)?)
    }

    /// At most `most` changes whose ids come before this one, the newest first; of one device if its id is given.
    pub(super) async fn changes_before(
        &self,
        device_id: Option<&str>,
        before: &str,
        most: u32,
    ) -> Result<Vec<ChangeRecord>, StoreError> {
        let of_device = if device_id.is_some() {
            " AND device_id = $3"
        } else {
            ""
        };
        let statement = format!("{COLUMNS} WHERE id < $1{of_device} ORDER BY id DESC LIMIT $2");
        let mut query = sqlx::query(AssertSqlSafe(statement))
            .bind(before)
            .bind(i64::from(most));
        if let Some(device_id) = device_id {
            query = query.bind(device_id);
        }
        let rows = query
            .fetch_all(self.database.reader())
            .await
            .map_err(unavailable("listing changes"))?;
        rows.iter().map(|row| self.change(row)).collect()
    }

    /// Changes of a device, the newest first, those in `state` if one is given.
    ///
    /// # Errors
    /// [`StoreError::BadPageToken`] when the token was not made for this filter; as [`Store::get_change`].
    pub async fn list_changes(
        &self,
        device_id: &str,
        state: Option<&str>,
        page_size: u32,
        page_token: Option<&str>,
    ) -> Result<Page<ChangeRecord>, StoreError> {
        const DOING: &str = "listing changes";
        let filter = format!("changes {device_id:?} {state:?}");
        let before = page::before(&filter, page_token)?;
        let page_size = page_size.clamp(1, MOST_ITEMS);
        let of_state = if state.is_some() { " AND state = $4" } else { "" };
        let statement =
            format!("{COLUMNS} WHERE device_id = $1 AND id < $2{of_state} ORDER BY id DESC LIMIT $3");
        let mut query = sqlx::query(AssertSqlSafe(statement))
            .bind(device_id)
            .bind(before)
            .bind(i64::from(page_size) + 1);
        if let Some(state) = state {
            query = query.bind(state);
        }
        let rows = query
            .fetch_all(self.database.reader())
            .await
            .map_err(unavailable(DOING))?;
        let items = rows.iter().map(|row| self.change(row));
        let items = items.collect::<Result<_, _>>()?;
        Ok(page::cut(items, page_size, &filter, |change: &ChangeRecord| {
            change.id.clone()
        }))
    }

    /// At most `most` changes of a device in this state, in any order: so that those in other states are not looked at,
    /// however many there are.
    ///
    /// # Errors
    /// As [`Store::get_change`].
    pub async fn changes_of_in(
        &self,
        device_id: &str,
        state: &str,
        most: u32,
    ) -> Result<Vec<ChangeRecord>, StoreError> {
        let statement = format!("{COLUMNS} WHERE state = $1 AND device_id = $2 LIMIT $3");
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(state)
            .bind(device_id)
            .bind(i64::from(most))
            .fetch_all(self.database.reader())
            .await
            .map_err(unavailable("looking for changes of a device"))?;
        rows.iter().map(|row| self.change(row)).collect()
    }

    /// At most `most` changes of all devices in this state whose ids come after this one, in order of their ids.
    ///
    /// # Errors
    /// As [`Store::get_change`].
    pub async fn changes_in(
        &self,
        state: &str,
        after: &str,
        most: u32,
    ) -> Result<Vec<ChangeRecord>, StoreError> {
        let statement = format!("{COLUMNS} WHERE state = $1 AND id > $3 ORDER BY id LIMIT $2");
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(state)
            .bind(i64::from(most))
            .bind(after)
            .fetch_all(self.database.reader())
            .await
            .map_err(unavailable("looking for changes"))?;
        rows.iter().map(|row| self.change(row)).collect()
    }

    /// Forgets changes whose last word is older, except those in one of the states `kept`. How many they were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_changes_before(
        &self,
        time: OffsetDateTime,
        kept: &[&str],
    ) -> Result<u64, StoreError> {
        self.forget_before("changes", time, kept, "forgetting old changes")
            .await
    }

    /// Seals every document with the current key that another key had sealed.
    pub(super) async fn seal_changes_anew(&self) -> Result<(), OpenError> {
        const DOING: &str = "sealing changes anew";
        while let Some((mut tx, rows)) = self.sealed_before(COLUMNS, DOING).await? {
            for row in &rows {
                let change = self.change(row)?;
                sqlx::query("UPDATE changes SET key_id = $1, document = $2 WHERE id = $3")
                    .bind(self.keys.current_id())
                    .bind(self.sealed_document(&change))
                    .bind(&change.id)
                    .execute(&mut *tx)
                    .await
                    .map_err(unavailable(DOING))?;
            }
            tx.commit().await.map_err(unavailable(DOING))?;
        }
        Ok(())
    }

    fn change(&self, row: &AnyRow) -> Result<ChangeRecord, StoreError> {
        let (mut change, key_id) = read(row).map_err(unavailable("reading a change"))?;
        let opened = self
            .keys
            .open(document_of(&change.id), &key_id, &change.document)
            .map_err(|source| StoreError::Sealed {
                device: change.device.clone(),
                source,
            })?;
        change.document = opened.to_vec();
        Ok(change)
    }
}

/// A row of [`COLUMNS`], its document still sealed, and the name of the key.
fn read(row: &AnyRow) -> Result<(ChangeRecord, String), sqlx::Error> {
    let change = ChangeRecord {
        id: row.try_get("id")?,
        device_id: row.try_get("device_id")?,
        device: row.try_get("device")?,
        owner: row.try_get("owner")?,
        mode: row.try_get("mode")?,
        state: row.try_get("state")?,
        outcome: row.try_get("outcome")?,
        reason: row.try_get("reason")?,
        request_id: row.try_get("request_id")?,
        created_at: from_micros(row.try_get("created_at")?),
        updated_at: from_micros(row.try_get("updated_at")?),
        passed: Vec::new(),
        document: row.try_get("document")?,
    };
    Ok((change, row.try_get("key_id")?))
}
