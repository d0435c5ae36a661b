//! What the tables of records have in common: rows that are old are forgotten, and what is sealed is sealed anew when the
//! key changes.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::connection::Transaction;
use super::database::unavailable;
use super::devices::to_micros;
use super::{OpenError, Store, StoreError};

/// Rows sealed anew at a time.
const SOME: i64 = 100;

impl Store {
    /// Deletes the rows of a table whose last word is older, except those in one of the states `kept`. How many they were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn forget_before(
        &self,
        table: &'static str,
        time: OffsetDateTime,
        kept: &[&str],
        doing: &'static str,
    ) -> Result<u64, StoreError> {
        let mut statement = format!("DELETE FROM {table} WHERE updated_at < $1");
        for index in 0..kept.len() {
            statement.push_str(&format!(" AND state <> ${}", index + 2));
        }
        let mut query = sqlx::query(AssertSqlSafe(statement)).bind(to_micros(time));
        for state in kept {
            query = query.bind(*state);
        }
        let mut connection = self.database.write(doing).await?;
        let deleted = query
            .execute(&mut *connection)
            .await
            .map_err(unavailable(doing))?;
        Ok(deleted.rows_affected())
    }

    /// Some rows that another key than the current one has sealed, and the transaction to seal them anew in; `None`: there
    /// are none. `columns`: the statement that reads the table.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn sealed_before(
        &self,
        columns: &str,
        doing: &'static str,
    ) -> Result<Option<(Transaction, Vec<AnyRow>)>, OpenError> {
        let mut tx = self.database.begin(doing).await?;
        let statement = format!("{columns} WHERE key_id <> $1 LIMIT $2");
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(self.keys.current_id())
            .bind(SOME)
            .fetch_all(&mut *tx)
            .await
            .map_err(unavailable(doing))?;
        Ok((!rows.is_empty()).then_some((tx, rows)))
    }
}
