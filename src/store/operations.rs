//! Operations: calls that can change a device and are no changes, each with what came of it. A change is its own operation
//! and stands among the changes.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use time::OffsetDateTime;

use super::database::unavailable;
use super::devices::{from_micros, to_micros};
use super::events::{EventFacts, NewEvent};
use super::idempotency::{KeyEnd, NewKey};
use super::seal::Place;
use super::{ChangeRecord, OpenError, Store, StoreError, page};

/// Without the response, which may be large.
const COLUMNS: &str = "SELECT id, kind, device_id, device, owner, state, outcome, created_at, updated_at, key_id, \
                       document FROM operations";
/// Rows settled at a time.
const SOME: i64 = 100;

/// An operation as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationRecord {
    /// ULID: the order of ids is that of creation, changes included.
    pub id: String,
    /// The name of the service call.
    pub kind: String,
    /// Of the device row; a device of the same name that is added later is another one.
    pub device_id: String,
    /// The device's name.
    pub device: String,
    /// The principal.
    pub owner: String,
    pub state: String,
    /// Absent while it runs.
    pub outcome: Option<String>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    /// Everything else, in a form that the store does not know.
    pub document: Vec<u8>,
}

/// An entry of the one list of operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    Operation(OperationRecord),
    Change(ChangeRecord),
}

impl Listed {
    /// Its ULID.
    pub fn id(&self) -> &str {
        match self {
            Self::Operation(operation) => &operation.id,
            Self::Change(change) => &change.id,
        }
    }
}

/// What is told of an operation. What is told of a change is told of its operation as well.
fn told(operation: &OperationRecord) -> NewEvent {
    NewEvent {
        kind: format!("operation.{}", operation.state),
        device_id: Some(operation.device_id.clone()),
        device: Some(operation.device.clone()),
        facts: EventFacts {
            operation_id: Some(operation.id.clone()),
            state: Some(operation.state.clone()),
            outcome: operation.outcome.clone(),
            owner: Some(operation.owner.clone()),
            ..EventFacts::default()
        },
    }
}

fn sealed_in<'a>(id: &'a str, column: &'static str) -> Place<'a> {
    Place {
        table: "operations",
        row: id,
        column,
    }
}

impl Store {
    /// Adds an operation, and the key that it was asked for with, and tells of it, all or nothing. Its times are those of
    /// now.
    ///
    /// # Errors
    /// [`StoreError::KeyTaken`], [`StoreError::Unavailable`].
    pub async fn insert_operation(
        &self,
        operation: &mut OperationRecord,
        key: Option<&NewKey>,
    ) -> Result<(), StoreError> {
        const DOING: &str = "adding an operation";
        operation.created_at = self.now();
        operation.updated_at = operation.created_at;
        let mut tx = self.database.begin(DOING).await?;
        if let Some(key) = key {
            self.insert_key_in(&mut tx, key, &operation.id).await?;
        }
        sqlx::query(
            "INSERT INTO operations (id, kind, device_id, device, owner, state, outcome, created_at, updated_at, \
             key_id, document) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10)",
        )
        .bind(&operation.id)
        .bind(&operation.kind)
        .bind(&operation.device_id)
        .bind(&operation.device)
        .bind(&operation.owner)
        .bind(&operation.state)
        .bind(&operation.outcome)
        .bind(to_micros(operation.created_at))
        .bind(self.keys.current_id())
        .bind(self.keys.seal(
            sealed_in(&operation.id, "document"),
            &operation.document,
            &self.ids,
        ))
        .execute(&mut *tx)
        .await
        .map_err(unavailable(DOING))?;
        self.commit_telling(tx, &[told(operation)], DOING).await
    }

    /// Stores the end of an operation with the answer that its caller gets, and what that means for the key, and tells of
    /// it, all or nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    pub async fn end_operation(
        &self,
        operation: &mut OperationRecord,
        response: Option<&[u8]>,
        key: Option<&KeyEnd>,
    ) -> Result<(), StoreError> {
        const DOING: &str = "ending an operation";
        operation.updated_at = self.now();
        let sealed = response.map(|response| {
            let place = sealed_in(&operation.id, "response");
            self.keys.seal(place, response, &self.ids)
        });
        let mut tx = self.database.begin(DOING).await?;
        if let Some(key) = key {
            self.end_key_in(&mut tx, key).await?;
        }
        let updated = sqlx::query(
            "UPDATE operations SET state = $1, outcome = $2, updated_at = $3, key_id = $4, document = $5, \
             response = $6 WHERE id = $7",
        )
        .bind(&operation.state)
        .bind(&operation.outcome)
        .bind(to_micros(operation.updated_at))
        .bind(self.keys.current_id())
        .bind(self.keys.seal(
            sealed_in(&operation.id, "document"),
            &operation.document,
            &self.ids,
        ))
        .bind(sealed)
        .bind(&operation.id)
        .execute(&mut *tx)
        .await
        .map_err(unavailable(DOING))?;
        if updated.rows_affected() == 0 {
            return Err(StoreError::NotFound);
        }
        self.commit_telling(tx, &[told(operation)], DOING).await?;
        self.tell(&operation.id);
        Ok(())
    }

    /// One operation that is no change, and the answer of its caller.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Sealed`].
    pub async fn get_operation(&self, id: &str) -> Result<(OperationRecord, Option<Vec<u8>>), StoreError> {
        const DOING: &str = "reading an operation";
        let statement = COLUMNS.replace("document FROM", "document, response FROM") + " WHERE id = $1";
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(id)
            .fetch_optional(self.database.reader())
            .await
            .map_err(unavailable(DOING))?
            .ok_or(StoreError::NotFound)?;
        let operation = self.operation(&row)?;
        let sealed: Option<Vec<u8>> = row.try_get("response").map_err(unavailable(DOING))?;
        let response = sealed
            .map(|sealed| self.open_response(&row, &operation, &sealed))
            .transpose()?;
        Ok((operation, response))
    }

    /// Operations, changes among them, the newest first; of one device if its id is given.
    ///
    /// # Errors
    /// [`StoreError::BadPageToken`] when the token was not made for this filter; as [`Store::get_operation`].
    pub async fn list_operations(
        &self,
        device_id: Option<&str>,
        page_size: u32,
        page_token: Option<&str>,
    ) -> Result<page::Page<Listed>, StoreError> {
        const DOING: &str = "listing operations";
        let filter = format!("operations {device_id:?}");
        let before = page::before(&filter, page_token)?;
        let page_size = page_size.clamp(1, super::devices::MOST_ITEMS);
        // One more than asked for is fetched, to know whether there is a next page.
        let most = page_size.saturating_add(1);
        let of_device = if device_id.is_some() {
            " AND device_id = $3"
        } else {
            ""
        };
        let statement = format!("{COLUMNS} WHERE id < $1{of_device} ORDER BY id DESC LIMIT $2");
        let mut query = sqlx::query(AssertSqlSafe(statement))
            .bind(&before)
            .bind(i64::from(most));
        if let Some(device_id) = device_id {
            query = query.bind(device_id);
        }
        let rows = query
            .fetch_all(self.database.reader())
            .await
            .map_err(unavailable(DOING))?;
        let mut items = Vec::with_capacity(rows.len());
        for row in &rows {
            items.push(Listed::Operation(self.operation(row)?));
        }
        let changes = self.changes_before(device_id, &before, most).await?;
        items.extend(changes.into_iter().map(Listed::Change));
        items.sort_by(|one, other| other.id().cmp(one.id()));
        Ok(page::cut(items, page_size, &filter, |listed: &Listed| {
            listed.id().to_owned()
        }))
    }

    /// At most `most` operations in this state whose ids come after this one, in order of their ids.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Sealed`].
    pub async fn operations_in(
        &self,
        state: &str,
        after: &str,
        most: u32,
    ) -> Result<Vec<OperationRecord>, StoreError> {
        let statement = format!("{COLUMNS} WHERE state = $1 AND id > $3 ORDER BY id LIMIT $2");
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(state)
            .bind(i64::from(most))
            .bind(after)
            .fetch_all(self.database.reader())
            .await
            .map_err(unavailable("looking for operations"))?;
        rows.iter().map(|row| self.operation(row)).collect()
    }

    /// Stores more of what is known of an operation that stays in its state.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    pub async fn note_operation(&self, id: &str, document: &[u8]) -> Result<(), StoreError> {
        const DOING: &str = "noting what is known of an operation";
        let mut tx = self.database.begin(DOING).await?;
        let sealed = self.keys.seal(sealed_in(id, "document"), document, &self.ids);
        let updated =
            sqlx::query("UPDATE operations SET updated_at = $1, key_id = $2, document = $3 WHERE id = $4")
                .bind(to_micros(self.now()))
                .bind(self.keys.current_id())
                .bind(sealed)
                .bind(id)
                .execute(&mut *tx)
                .await
                .map_err(unavailable(DOING))?;
        if updated.rows_affected() == 0 {
            return Err(StoreError::NotFound);
        }
        tx.commit().await.map_err(unavailable(DOING))?;
        self.tell(id);
        Ok(())
    }

    /// Brings every operation of one state into another, with an outcome, and tells of it. How many they were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Sealed`].
    pub async fn settle_operations(&self, state: &str, then: &str, outcome: &str) -> Result<u64, StoreError> {
        const DOING: &str = "settling operations";
        let mut settled = 0;
        loop {
            let mut tx = self.database.begin(DOING).await?;
            let statement = format!("{COLUMNS} WHERE state = $1 LIMIT $2");
            let rows = sqlx::query(AssertSqlSafe(statement))
                .bind(state)
                .bind(SOME)
                .fetch_all(&mut *tx)
                .await
                .map_err(unavailable(DOING))?;
            if rows.is_empty() {
                return Ok(settled);
            }
            let mut events = Vec::with_capacity(rows.len());
            for row in &rows {
                let mut operation = self.operation(row)?;
                then.clone_into(&mut operation.state);
                operation.outcome = Some(outcome.to_owned());
                events.push(told(&operation));
                sqlx::query("UPDATE operations SET state = $1, outcome = $2, updated_at = $3 WHERE id = $4")
                    .bind(then)
                    .bind(outcome)
                    .bind(to_micros(self.now()))
                    .bind(&operation.id)
                    .execute(&mut *tx)
                    .await
                    .map_err(unavailable(DOING))?;
                settled += 1;
            }
            self.commit_telling(tx, &events, DOING).await?;
        }
    }

    /// Forgets operations whose last word is older, except those in the state `kept`. How many they were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_operations_before(
        &self,
        time: OffsetDateTime,
        kept: &str,
    ) -> Result<u64, StoreError> {
        const DOING: &str = "forgetting old operations";
        self.forget_before("operations", time, &[kept], DOING).await
    }

    /// Seals every document and response with the current key that another key had sealed.
    pub(super) async fn seal_operations_anew(&self) -> Result<(), OpenError> {
        const DOING: &str = "sealing operations anew";
        let columns = COLUMNS.replace("document FROM", "document, response FROM");
        while let Some((mut tx, rows)) = self.sealed_before(&columns, DOING).await? {
            for row in &rows {
                let operation = self.operation(row)?;
                let sealed: Option<Vec<u8>> = row.try_get("response").map_err(unavailable(DOING))?;
                let response = match sealed {
                    None => None,
                    Some(sealed) => {
                        let opened = self.open_response(row, &operation, &sealed)?;
                        let place = sealed_in(&operation.id, "response");
                        Some(self.keys.seal(place, &opened, &self.ids))
                    }
                };
                let place = sealed_in(&operation.id, "document");
                sqlx::query("UPDATE operations SET key_id = $1, document = $2, response = $3 WHERE id = $4")
                    .bind(self.keys.current_id())
                    .bind(self.keys.seal(place, &operation.document, &self.ids))
                    .bind(response)
                    .bind(&operation.id)
                    .execute(&mut *tx)
                    .await
                    .map_err(unavailable(DOING))?;
            }
            tx.commit().await.map_err(unavailable(DOING))?;
        }
        Ok(())
    }

    fn open_response(
        &self,
        row: &AnyRow,
        operation: &OperationRecord,
        sealed: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let key_id: String = row
            .try_get("key_id")
            .map_err(unavailable("reading an operation"))?;
        let opened = self
            .keys
            .open(sealed_in(&operation.id, "response"), &key_id, sealed);
        let opened = opened.map_err(|source| StoreError::Sealed {
            device: operation.device.clone(),
            source,
        })?;
        Ok(opened.to_vec())
    }

    fn operation(&self, row: &AnyRow) -> Result<OperationRecord, StoreError> {
        let (mut operation, key_id) = read(row).map_err(unavailable("reading an operation"))?;
        let place = sealed_in(&operation.id, "document");
        let opened = self.keys.open(place, &key_id, &operation.document);
        let opened = opened.map_err(|source| StoreError::Sealed {
            device: operation.device.clone(),
            source,
        })?;
        operation.document = opened.to_vec();
        Ok(operation)
    }
}

/// A row of [`COLUMNS`], its document still sealed, and the name of the key.
fn read(row: &AnyRow) -> Result<(OperationRecord, String), sqlx::Error> {
    let operation = OperationRecord {
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        device_id: row.try_get("device_id")?,
        device: row.try_get("device")?,
        owner: row.try_get("owner")?,
        state: row.try_get("state")?,
        outcome: row.try_get("outcome")?,
        created_at: from_micros(row.try_get("created_at")?),
        updated_at: from_micros(row.try_get("updated_at")?),
        document: row.try_get("document")?,
    };
    Ok((operation, row.try_get("key_id")?))
}
