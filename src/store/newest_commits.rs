//! The newest commit that was seen in the history of each device, so that one that others made is noticed also after a
//! restart, and told once.

use sqlx::Row;

use super::database::unavailable;
use super::events::NewEvent;
use super::{Store, StoreError};

/// A commit in a device's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestCommit {
    /// What tells it from others: a digest.
    pub entry: String,
    /// By the device's clock, seconds since 1970.
    pub committed_at: Option<i64>,
}

impl Store {
    /// The newest commit that was seen on a device.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn newest_commit(&self, device_id: &str) -> Result<Option<NewestCommit>, StoreError> {
        let failed = || unavailable("reading the newest commit of a device");
        let row = sqlx::query("SELECT entry, committed_at FROM newest_commits WHERE device_id = $1")
            .bind(device_id)
            .fetch_optional(self.database.reader())
            .await
            .map_err(failed())?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(NewestCommit {
            entry: row.try_get(0).map_err(failed())?,
            committed_at: row.try_get(1).map_err(failed())?,
        }))
    }

    /// Stores that another commit is the newest than `before`, and tells of it, if `before` is still what is stored.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also when the device was removed meanwhile.
    pub async fn put_newest_commit(
        &self,
        device_id: &str,
        before: Option<&NewestCommit>,
        newest: &NewestCommit,
        events: &[NewEvent],
    ) -> Result<(), StoreError> {
        const DOING: &str = "storing the newest commit of a device";
        let statement = match before {
            None => {
                "INSERT INTO newest_commits (device_id, entry, committed_at) VALUES ($1, $2, $3) \
                 ON CONFLICT DO NOTHING"
            }
            Some(_) => {
                "UPDATE newest_commits SET entry = $2, committed_at = $3 WHERE device_id = $1 AND entry = $4"
            }
        };
        let mut query = sqlx::query(statement)
            .bind(device_id)
            .bind(&newest.entry)
            .bind(newest.committed_at);
        if let Some(before) = before {
            query = query.bind(&before.entry);
        }
        if events.is_empty() {
            // A transaction of its own.
            let mut connection = self.database.write(DOING).await?;
            let stored = query.execute(&mut *connection).await;
            return stored.map(drop).map_err(unavailable(DOING));
        }
        let mut tx = self.database.begin(DOING).await?;
        let changed = query.execute(&mut *tx).await.map_err(unavailable(DOING))?;
        if changed.rows_affected() == 0 {
            // Somebody else saw it first.
            return Ok(());
        }
        self.commit_telling(tx, events, DOING).await
    }
}
