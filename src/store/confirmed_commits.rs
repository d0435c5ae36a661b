//! Confirmed commits: which wait for their confirmation, until when, how they ended, and a sealed document with the
//! token and the evidence.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use time::OffsetDateTime;

use super::changes::{ChangeRecord, JOURNAL};
use super::connection::Transaction;
use super::database::unavailable;
use super::devices::{MOST_ITEMS, from_micros, to_micros};
use super::events::{EventFacts, NewEvent};
use super::page::{self, Page};
use super::seal::Place;
use super::{OpenError, Store, StoreError};

const COLUMNS: &str = "SELECT id, device_id, device, owner, change_id, state, confirmed_by, reason, request_id, \
                       timeout_seconds, deadline_earliest, deadline, created_at, updated_at, key_id, document FROM confirmed_commits";

/// The state of a row whose commit is being sent. It is listed only once there is something to tell of it.
pub const STARTING: &str = "starting";

/// A confirmed commit as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmedCommitRecord {
    /// ULID: the order of ids is that of creation.
    pub id: String,
    /// Of the device row; a device of the same name that is added later is another one.
    pub device_id: String,
    /// The device's name.
    pub device: String,
    /// The principal.
    pub owner: String,
    /// The change that made it.
    pub change_id: String,
    /// [`STARTING`], `pending`, or how it goes on.
    pub state: String,
    pub by: Option<String>,
    pub reason: Option<String>,
    /// The request that made it.
    pub request_id: Option<String>,
    pub timeout_seconds: u64,
    pub deadline_earliest: OffsetDateTime,
    pub deadline: OffsetDateTime,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    /// Everything else, in a form that the store does not know.
    pub document: Vec<u8>,
}

/// Which confirmed commits are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfirmedCommitFilter<'a> {
    /// Id of the device row.
    pub device_id: Option<&'a str>,
    pub state: Option<&'a str>,
}

/// What is told of a confirmed commit. `word`: its state, or what else happened to it.
fn told(commit: &ConfirmedCommitRecord, word: &str) -> NewEvent {
    NewEvent {
        kind: format!("confirmed_commit.{word}"),
        device_id: Some(commit.device_id.clone()),
        device: Some(commit.device.clone()),
        facts: EventFacts {
            confirmed_commit_id: Some(commit.id.clone()),
            change_id: Some(commit.change_id.clone()),
            state: Some(commit.state.clone()),
            reason: commit.reason.clone(),
            by: commit.by.clone(),
            deadline: Some(commit.deadline.unix_timestamp()),
            owner: Some(commit.owner.clone()),
            request_id: commit.request_id.clone(),
            ..EventFacts::default()
        },
    }
}

fn document_of(id: &str) -> Place<'_> {
    Place {
        table: "confirmed_commits",
        row: id,
        column: "document",
    }
}

impl Store {
    /// Stores that a change's commit is sent now, and that it is to be confirmed, both or neither.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also for a change whose commit was sent before; [`StoreError::NotFound`].
    pub async fn journal_confirmed_commit(
        &self,
        change: &mut ChangeRecord,
        commit: &mut ConfirmedCommitRecord,
    ) -> Result<(), StoreError> {
        let mut tx = self.database.begin(JOURNAL).await?;
        let told = self.journal_in(&mut tx, change).await?;
        commit.created_at = change.updated_at;
        commit.updated_at = commit.created_at;
        sqlx::query(
            "INSERT INTO confirmed_commits (id, device_id, device, owner, change_id, state, confirmed_by, reason, \
             request_id, timeout_seconds, deadline_earliest, deadline, created_at, updated_at, key_id, document) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14, $15)",
        )
        .bind(&commit.id)
        .bind(&commit.device_id)
        .bind(&commit.device)
        .bind(&commit.owner)
        .bind(&commit.change_id)
        .bind(&commit.state)
        .bind(&commit.by)
        .bind(&commit.reason)
        .bind(&commit.request_id)
        .bind(seconds(commit.timeout_seconds))
        .bind(to_micros(commit.deadline_earliest))
        .bind(to_micros(commit.deadline))
        .bind(to_micros(commit.created_at))
        .bind(self.keys.current_id())
        .bind(
            self.keys
                .seal(document_of(&commit.id), &commit.document, &self.ids),
        )
        .execute(&mut *tx)
        .await
        .map_err(unavailable(JOURNAL))?;
        // Of the confirmed commit there is nothing to tell before the device is known to have made it.
        self.commit_telling(tx, &told, JOURNAL).await
    }

    /// Stores what has become of a confirmed commit, and of the change that made it, and tells of both.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    pub async fn update_confirmed_commit(
        &self,
        commit: &mut ConfirmedCommitRecord,
        change: Option<&mut ChangeRecord>,
    ) -> Result<(), StoreError> {
        self.update_confirmed_from(None, commit, change).await
    }

    /// As [`Store::update_confirmed_commit`], unless something has become of it since its commit was sent.
    ///
    /// # Errors
    /// As there.
    pub async fn begin_confirmed_commit(
        &self,
        commit: &mut ConfirmedCommitRecord,
        change: &mut ChangeRecord,
    ) -> Result<(), StoreError> {
        self.update_confirmed_from(Some(STARTING), commit, Some(change))
            .await
    }

    async fn update_confirmed_from(
        &self,
        from: Option<&str>,
        commit: &mut ConfirmedCommitRecord,
        change: Option<&mut ChangeRecord>,
    ) -> Result<(), StoreError> {
        const DOING: &str = "updating a confirmed commit";
        let mut tx = self.database.begin(DOING).await?;
        let row = sqlx::query("SELECT state, deadline FROM confirmed_commits WHERE id = $1")
            .bind(&commit.id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(unavailable(DOING))?
            .ok_or(StoreError::NotFound)?;
        let state: String = row.try_get(0).map_err(unavailable(DOING))?;
        let deadline: i64 = row.try_get(1).map_err(unavailable(DOING))?;
        if from.is_some_and(|from| from != state) {
            return Ok(());
        }
        let mut events = Vec::with_capacity(2);
        let mut changed = None;
        if let Some(change) = change {
            for mut event in self.update_change_in(&mut tx, change).await? {
                event.facts.confirmed_commit_id = Some(commit.id.clone());
                events.push(event);
            }
            changed = Some(&change.id);
        }
        commit.updated_at = self.now();
        self.update_in(&mut tx, commit).await?;
        if state != commit.state {
            events.push(told(commit, &commit.state));
        } else if deadline != to_micros(commit.deadline) {
            events.push(told(commit, "extended"));
        }
        self.commit_telling(tx, &events, DOING).await?;
        if let Some(id) = changed {
            self.tell(id);
        }
        Ok(())
    }

    async fn update_in(
        &self,
        tx: &mut Transaction,
        commit: &ConfirmedCommitRecord,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE confirmed_commits SET state = $1, confirmed_by = $2, reason = $3, timeout_seconds = $4, \
             deadline_earliest = $5, deadline = $6, updated_at = $7, key_id = $8, document = $9 WHERE id = $10",
        )
        .bind(&commit.state)
        .bind(&commit.by)
        .bind(&commit.reason)
        .bind(seconds(commit.timeout_seconds))
        .bind(to_micros(commit.deadline_earliest))
        .bind(to_micros(commit.deadline))
        .bind(to_micros(commit.updated_at))
        .bind(self.keys.current_id())
        .bind(
            self.keys
                .seal(document_of(&commit.id), &commit.document, &self.ids),
        )
        .bind(&commit.id)
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(unavailable("updating a confirmed commit"))
    }

    /// Forgets a confirmed commit that the device did not make, takes back what was told of it, and stores what that
    /// means for the change.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_confirmed_commit(
        &self,
        id: &str,
        change: Option<&mut ChangeRecord>,
    ) -> Result<(), StoreError> {
        const DOING: &str = "removing a confirmed commit";
        let mut tx = self.database.begin(DOING).await?;
        let mut events = Vec::with_capacity(2);
        let mut changed = None;
        if let Some(change) = change {
            events.extend(self.update_change_in(&mut tx, change).await?);
            changed = Some(&change.id);
        }
        let statement = format!("{COLUMNS} WHERE id = $1");
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(unavailable(DOING))?;
        if let Some(row) = row {
            let (mut commit, _) = read(&row).map_err(unavailable(DOING))?;
            if commit.state != STARTING {
                "never_made".clone_into(&mut commit.state);
                events.push(told(&commit, "never_made"));
            }
        }
        sqlx::query("DELETE FROM confirmed_commits WHERE id = $1")
            .bind(id)
            .execute(&mut *tx)
            .await
            .map_err(unavailable(DOING))?;
        self.commit_telling(tx, &events, DOING).await?;
        if let Some(id) = changed {
            self.tell(id);
        }
        Ok(())
    }

    /// One confirmed commit.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Sealed`].
    pub async fn get_confirmed_commit(&self, id: &str) -> Result<ConfirmedCommitRecord, StoreError> {
        let statement = format!("{COLUMNS} WHERE id = $1");
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(id)
            .fetch_optional(self.database.reader())
            .await
            .map_err(unavailable("reading a confirmed commit"))?;
        self.confirmed_commit(&row.ok_or(StoreError::NotFound)?)
    }

    /// Confirmed commits, the newest first; those being sent are left out.
    ///
    /// # Errors
    /// [`StoreError::BadPageToken`] when the token was not made for this filter; as [`Store::get_confirmed_commit`].
    pub async fn list_confirmed_commits(
        &self,
        filter: &ConfirmedCommitFilter<'_>,
        page_size: u32,
        page_token: Option<&str>,
    ) -> Result<Page<ConfirmedCommitRecord>, StoreError> {
        const DOING: &str = "listing confirmed commits";
        let words = format!("confirmed-commits {:?} {:?}", filter.device_id, filter.state);
        let before = page::before(&words, page_token)?;
        let page_size = page_size.clamp(1, MOST_ITEMS);
        let mut statement = format!("{COLUMNS} WHERE id < $1 AND state <> $2");
        let wanted: Vec<&str> = [("device_id", filter.device_id), ("state", filter.state)]
            .into_iter()
            .filter_map(|(column, value)| value.map(|value| (column, value)))
            .enumerate()
            .map(|(index, (column, value))| {
                statement.push_str(&format!(" AND {column} = ${}", index + 4));
                value
            })
            .collect();
        statement.push_str(" ORDER BY id DESC LIMIT $3");
        let mut query = sqlx::query(AssertSqlSafe(statement))
            .bind(before)
            .bind(STARTING)
            .bind(i64::from(page_size) + 1);
        for value in wanted {
            query = query.bind(value);
        }
        let rows = query
            .fetch_all(self.database.reader())
            .await
            .map_err(unavailable(DOING))?;
        let items = rows.iter().map(|row| self.confirmed_commit(row));
        let items = items.collect::<Result<_, _>>()?;
        let id = |commit: &ConfirmedCommitRecord| commit.id.clone();
        Ok(page::cut(items, page_size, &words, id))
    }

    /// At most `most` confirmed commits of all devices in one of these states whose ids come after this one, in order
    /// of their ids.
    ///
    /// # Errors
    /// As [`Store::get_confirmed_commit`].
    pub async fn confirmed_commits_in(
        &self,
        states: &[&str],
        after: &str,
        most: u32,
    ) -> Result<Vec<ConfirmedCommitRecord>, StoreError> {
        let places: Vec<String> = (0..states.len()).map(|index| format!("${}", index + 3)).collect();
        let statement = format!(
            "{COLUMNS} WHERE id > $1 AND state IN ({}) ORDER BY id LIMIT $2",
            places.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(statement))
            .bind(after)
            .bind(i64::from(most));
        for state in states {
            query = query.bind(*state);
        }
        let rows = query
            .fetch_all(self.database.reader())
            .await
            .map_err(unavailable("looking for confirmed commits"))?;
        rows.iter().map(|row| self.confirmed_commit(row)).collect()
    }

    /// Forgets confirmed commits whose last word is older, except those in one of the states `kept`. How many they were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_confirmed_commits_before(
        &self,
        time: OffsetDateTime,
        kept: &[&str],
    ) -> Result<u64, StoreError> {
        const DOING: &str = "forgetting old confirmed commits";
        self.forget_before("confirmed_commits", time, kept, DOING).await
    }

    /// Seals every document with the current key that another key had sealed.
    pub(super) async fn seal_confirmed_commits_anew(&self) -> Result<(), OpenError> {
        const DOING: &str = "sealing confirmed commits anew";
        while let Some((mut tx, rows)) = self.sealed_before(COLUMNS, DOING).await? {
            for row in &rows {
                let commit = self.confirmed_commit(row)?;
                self.update_in(&mut tx, &commit).await?;
            }
            tx.commit().await.map_err(unavailable(DOING))?;
        }
        Ok(())
    }

    fn confirmed_commit(&self, row: &AnyRow) -> Result<ConfirmedCommitRecord, StoreError> {
        let (mut commit, key_id) = read(row).map_err(unavailable("reading a confirmed commit"))?;
        let opened = self
            .keys
            .open(document_of(&commit.id), &key_id, &commit.document)
            .map_err(|source| StoreError::Sealed {
                device: commit.device.clone(),
                source,
            })?;
        commit.document = opened.to_vec();
        Ok(commit)
    }
}

/// A row of [`COLUMNS`], its document still sealed, and the name of the key.
fn read(row: &AnyRow) -> Result<(ConfirmedCommitRecord, String), sqlx::Error> {
    let timeout: i64 = row.try_get("timeout_seconds")?;
    let commit = ConfirmedCommitRecord {
        id: row.try_get("id")?,
        device_id: row.try_get("device_id")?,
        device: row.try_get("device")?,
        owner: row.try_get("owner")?,
        change_id: row.try_get("change_id")?,
        state: row.try_get("state")?,
        by: row.try_get("confirmed_by")?,
        reason: row.try_get("reason")?,
        request_id: row.try_get("request_id")?,
        timeout_seconds: u64::try_from(timeout).unwrap_or_default(),
        deadline_earliest: from_micros(row.try_get("deadline_earliest")?),
        deadline: from_micros(row.try_get("deadline")?),
        created_at: from_micros(row.try_get("created_at")?),
        updated_at: from_micros(row.try_get("updated_at")?),
        document: row.try_get("document")?,
    };
    Ok((commit, row.try_get("key_id")?))
}

fn seconds(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
