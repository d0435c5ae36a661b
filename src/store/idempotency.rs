//! Idempotency keys: which operation a key began, for which request, and the answer, so that the same request gets the
//! same answer again (conventions H8). A key is stored in one transaction with its operation or change.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::connection::Connection;
use super::database::{is_duplicate, unavailable};
use super::devices::{from_micros, to_micros};
use super::seal::Place;
use super::whole::{Statement, Value};
use super::{OpenError, Store, StoreError};

const INSERT: &str = "INSERT INTO idempotency_keys (scope, operation_id, created_at, key_id, request) \
                      VALUES ($1, $2, $3, $4, $5)";
const INSERT_WITH_CHANGE: &str = "INSERT INTO idempotency_keys (scope, operation_id, created_at, key_id, request) \
                                  SELECT $1, $2, $3, $4, $5 WHERE EXISTS (SELECT 1 FROM changes WHERE id = $2)";
const COLUMNS: &str = "SELECT scope, operation_id, created_at, key_id, request, answer FROM idempotency_keys";

/// A key that begins an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Who called what with which key: a hash, hexadecimal.
    pub scope: String,
    /// A hash of the request.
    pub request: Vec<u8>,
    /// A row of the same scope that is older than this does not count any more.
    pub expired: OffsetDateTime,
}

/// What becomes of a key when its operation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEnd {
    pub scope: String,
    /// The operation or change that the key began: a row of another one is left alone.
    pub operation_id: String,
    /// What its owner gets from now on, in a form that the store does not know. `None`: the key is free again.
    pub answer: Option<Vec<u8>>,
}

/// A key as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    pub scope: String,
    /// The operation or change that it began.
    pub operation_id: String,
    pub created_at: OffsetDateTime,
    pub request: Vec<u8>,
    /// Absent while the operation runs.
    pub answer: Option<Vec<u8>>,
}

fn sealed_in<'a>(scope: &'a str, column: &'static str) -> Place<'a> {
    Place {
        table: "idempotency_keys",
        row: scope,
        column,
    }
}

impl Store {
    /// What adds the key of a change, if the row of that is there, as statements. The second one fails as a duplicate when
    /// the scope is taken.
    pub(super) fn key_of_change(&self, key: &NewKey, change_id: &str) -> [Statement; 2] {
        self.adding_key(INSERT_WITH_CHANGE, key, change_id)
    }

    fn adding_key(&self, insert: &'static str, key: &NewKey, operation_id: &str) -> [Statement; 2] {
        let place = sealed_in(&key.scope, "request");
        [
            Statement::new(
                "DELETE FROM idempotency_keys WHERE scope = $1 AND created_at < $2",
                [(&key.scope).into(), to_micros(key.expired).into()],
            ),
            Statement::new(
                insert,
                [
                    Value::from(&key.scope),
                    operation_id.into(),
                    to_micros(self.now()).into(),
                    self.keys.current_id().into(),
                    self.keys.seal(place, &key.request, &self.ids).into(),
                ],
            ),
        ]
    }

    pub(super) async fn insert_key_in(
        &self,
        connection: &mut Connection,
        key: &NewKey,
        operation_id: &str,
    ) -> Result<(), StoreError> {
        const DOING: &str = "adding an idempotency key";
        for statement in self.adding_key(INSERT, key, operation_id) {
            let done = statement.query().execute(&mut *connection).await;
            done.map_err(|error| {
                if is_duplicate(&error) {
                    StoreError::KeyTaken
                } else {
                    unavailable(DOING)(error)
                }
            })?;
        }
        Ok(())
    }

    pub(super) async fn end_key_in(
        &self,
        connection: &mut Connection,
        end: &KeyEnd,
    ) -> Result<(), StoreError> {
        let query = match &end.answer {
            None => sqlx::query("DELETE FROM idempotency_keys WHERE scope = $1 AND operation_id = $2")
                .bind(&end.scope)
                .bind(&end.operation_id),
            // A row has one key, with which its request is sealed already.
            Some(answer) => {
                let place = sealed_in(&end.scope, "answer");
                let sealed = self.keys.seal(place, answer, &self.ids);
                sqlx::query(
                    "UPDATE idempotency_keys SET answer = $1 WHERE scope = $2 AND operation_id = $3 AND key_id = $4",
                )
                .bind(sealed)
                .bind(&end.scope)
                .bind(&end.operation_id)
                .bind(self.keys.current_id())
            }
        };
        query
            .execute(connection)
            .await
            .map(drop)
            .map_err(unavailable("ending an idempotency key"))
    }

    /// Stores the answer that a key stands for, or frees it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn end_key(&self, end: &KeyEnd) -> Result<(), StoreError> {
        let mut connection = self.database.write("ending an idempotency key").await?;
        self.end_key_in(&mut connection, end).await
    }

    /// The key of this scope that was stored at `since` or later.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Sealed`].
    pub async fn find_key(
        &self,
        scope: &str,
        since: OffsetDateTime,
    ) -> Result<Option<KeyRecord>, StoreError> {
        let statement = format!("{COLUMNS} WHERE scope = $1 AND created_at >= $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(scope)
            .bind(to_micros(since))
            .fetch_optional(self.database.reader())
            .await
            .map_err(unavailable("looking for an idempotency key"))?;
        row.map(|row| self.key(&row)).transpose()
    }

    /// How many keys there are.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count_keys(&self) -> Result<u64, StoreError> {
        let failed = || unavailable("counting idempotency keys");
        let row = sqlx::query("SELECT COUNT(*) FROM idempotency_keys")
            .fetch_one(self.database.reader())
            .await
            .map_err(failed())?;
        let count: i64 = row.try_get(0).map_err(failed())?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Forgets keys that were stored before. How many they were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_keys_before(&self, time: OffsetDateTime) -> Result<u64, StoreError> {
        const DOING: &str = "forgetting idempotency keys";
        let mut connection = self.database.write(DOING).await?;
        let deleted = sqlx::query("DELETE FROM idempotency_keys WHERE created_at < $1")
            .bind(to_micros(time))
            .execute(&mut *connection)
            .await
            .map_err(unavailable(DOING))?;
        Ok(deleted.rows_affected())
    }

    /// Seals every request and answer with the current key that another key had sealed.
    pub(super) async fn seal_keys_anew(&self) -> Result<(), OpenError> {
        const DOING: &str = "sealing idempotency keys anew";
        while let Some((mut tx, rows)) = self.sealed_before(COLUMNS, DOING).await? {
            for row in &rows {
                let key = self.key(row)?;
                let sealed =
                    |column, plain: &[u8]| self.keys.seal(sealed_in(&key.scope, column), plain, &self.ids);
                sqlx::query(
                    "UPDATE idempotency_keys SET key_id = $1, request = $2, answer = $3 WHERE scope = $4",
                )
                .bind(self.keys.current_id())
                .bind(sealed("request", &key.request))
                .bind(key.answer.as_deref().map(|answer| sealed("answer", answer)))
                .bind(&key.scope)
                .execute(&mut *tx)
                .await
                .map_err(unavailable(DOING))?;
            }
            tx.commit().await.map_err(unavailable(DOING))?;
        }
        Ok(())
    }

    fn key(&self, row: &AnyRow) -> Result<KeyRecord, StoreError> {
        let failed = || unavailable("reading an idempotency key");
        let scope: String = row.try_get("scope").map_err(failed())?;
        let key_id: String = row.try_get("key_id").map_err(failed())?;
        let open = |column: &'static str, sealed: Vec<u8>| {
            let opened = self.keys.open(sealed_in(&scope, column), &key_id, &sealed);
            opened
                .map(|opened| opened.to_vec())
                .map_err(|source| StoreError::SealedKey { source })
        };
        let request: Vec<u8> = row.try_get("request").map_err(failed())?;
        let answer: Option<Vec<u8>> = row.try_get("answer").map_err(failed())?;
        Ok(KeyRecord {
            operation_id: row.try_get("operation_id").map_err(failed())?,
            created_at: from_micros(row.try_get("created_at").map_err(failed())?),
            request: open("request", request)?,
            answer: answer.map(|answer| open("answer", answer)).transpose()?,
            scope,
        })
    }
}
