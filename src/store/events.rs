//! Events: a bounded log of what happened, each stored in the transaction of what it tells of, so that record and log
//! never disagree.
//!
//! The one row of `event_head` gives the ids. Whoever adds events holds it until its transaction ends: on PostgreSQL,
//! too, an event becomes visible before any event with a greater id, so a reader who has seen one id has missed none
//! below it. Ids have no gaps: an id that is not there any more was forgotten for its age or number.

use std::iter;

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use time::OffsetDateTime;
use tokio::sync::watch;

use super::connection::{Connection, Transaction};
use super::database::unavailable;
use super::devices::{MOST_ITEMS, from_micros, to_micros};
use super::page::{self, Page};
use super::whole::{Done, Statement, Value};
use super::{Store, StoreError};

/// Events beyond the number that is kept are removed when so many have come.
const TRIMMED_AT_A_TIME: i64 = 100;

/// Something that happened and is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Such as `change.committed`.
    pub kind: String,
    /// Of the device row.
    pub device_id: Option<String>,
    /// The device's name.
    pub device: Option<String>,
    pub facts: EventFacts,
}

/// What an event says. Neither configuration nor anything secret belongs here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventFacts {
    /// The NETCONF session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit_session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_commit_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who confirmed: `us` or `other`; who changed the configuration elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Until when something has to be confirmed or renewed, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<i64>,
    /// The configuration revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The principal that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The request that began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// An event as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    pub id: i64,
    pub at: OffsetDateTime,
    pub event: NewEvent,
}

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The device's name.
    pub device: Option<String>,
    /// The whole kind, or its words up to a full stop: `change` is all of `change.…`.
    pub kind: Option<String>,
}

impl EventFilter {
    /// Whether this event is wanted.
    pub fn takes(&self, event: &NewEvent) -> bool {
        let of_kind = |wanted: &String| {
            let rest = event.kind.strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.device
            .as_ref()
            .is_none_or(|device| event.device.as_ref() == Some(device))
            && self.kind.as_ref().is_none_or(of_kind)
    }

    /// The conditions, with parameters from `$first` on, and their values.
    fn conditions(&self, first: usize) -> (String, Vec<String>) {
        let (mut words, mut values) = (String::new(), Vec::new());
        if let Some(device) = &self.device {
            words.push_str(&format!(" AND device = ${first}"));
            values.push(device.clone());
        }
        if let Some(kind) = &self.kind {
            let (whole, beginning) = (first + values.len(), first + values.len() + 1);
            let length = kind.chars().count() + 1;
            words.push_str(&format!(
                " AND (kind = ${whole} OR substr(kind, 1, {length}) = ${beginning})"
            ));
            values.extend([kind.clone(), format!("{kind}.")]);
        }
        (words, values)
    }
}

/// A part of the log, read at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRun {
    /// In order.
    pub events: Vec<EventRecord>,
    /// No event that is wanted stands after the last one of `events` up to here; where to go on.
    pub through: i64,
    /// Events after the one asked for are not there any more, or that one never was.
    pub gap: bool,
    /// The newest event of the log, whether wanted or not.
    pub last: i64,
}

impl Store {
    /// Ends a transaction and tells what happened in it, both or neither. Events come last in a transaction: from the
    /// first one on it keeps all others from adding theirs.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn commit_telling(
        &self,
        mut tx: Transaction,
        events: &[NewEvent],
        doing: &'static str,
    ) -> Result<(), StoreError> {
        let mut last = None;
        if !events.is_empty() {
            let inserted = self.insert_events_in(&mut tx, events).await;
            last = Some(inserted.map_err(unavailable(doing))?);
        }
        tx.commit().await.map_err(unavailable(doing))?;
        if let Some(last) = last {
            self.told_through(last);
        }
        Ok(())
    }

    /// There are events up to this one now.
    fn told_through(&self, last: i64) {
        // Transactions may come here in another order than they committed in.
        self.told.send_if_modified(|known| {
            let newer = last > *known;
            *known = last.max(*known);
            newer
        });
    }

    /// What tells of a change that is in another state than this one is, as statements of a transaction that holds its
    /// row already. The first one of them is [`Self::told_of_change`]'s.
    pub(super) fn telling_of_change(
        &self,
        events: &[NewEvent],
        id: &str,
        unless: &str,
    ) -> impl Iterator<Item = Statement> {
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        let head = Statement::new(
            "UPDATE event_head SET last = last + $1 WHERE EXISTS \
             (SELECT 1 FROM changes WHERE id = $2 AND state <> $3) RETURNING last",
            [count.into(), id.into(), unless.into()],
        );
        let now = to_micros(self.now());
        let inserts = events.iter().zip(1..).map(move |(event, number)| {
            Statement::new(
                "INSERT INTO events (id, at, kind, device_id, device, facts) \
                 SELECT h.last - $1, $2, $3, $4, $5, $6 FROM event_head h WHERE EXISTS \
                 (SELECT 1 FROM changes WHERE id = $7 AND state <> $8)",
                [
                    Value::from(count - number),
                    now.into(),
                    (&event.kind).into(),
                    (&event.device_id).into(),
                    (&event.device).into(),
                    (&facts(&event.facts)).into(),
                    id.into(),
                    unless.into(),
                ],
            )
        });
        iter::once(head).chain(inserts)
    }

    /// The transaction that these statements were part of is over: who follows is told, and old events are removed.
    /// `head`: what came of the first one.
    pub(super) async fn told_of_change(&self, head: Option<&Done>, count: usize) {
        let Some(row) = head.and_then(|head| head.rows.first()) else {
            return;
        };
        let last = match row.try_get(0) {
            Ok(last) => last,
            Err(error) => {
                tracing::warn!(%error, "the number of the last event cannot be read; those who follow hear of it later");
                return;
            }
        };
        self.told_through(last);
        if trims(last, i64::try_from(count).unwrap_or(i64::MAX))
            && let Err(error) = self.trim_events().await
        {
            tracing::warn!(%error, "old events were not removed");
        }
    }

    async fn trim_events(&self) -> Result<(), StoreError> {
        const DOING: &str = "removing old events";
        let mut connection = self.database.write(DOING).await?;
        sqlx::query("DELETE FROM events WHERE id <= (SELECT last FROM event_head) - $1")
            .bind(self.events_kept)
            .execute(&mut *connection)
            .await
            .map(drop)
            .map_err(unavailable(DOING))
    }

    /// Tells of what has no row of its own.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn insert_events(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        const DOING: &str = "adding events";
        let tx = self.database.begin(DOING).await?;
        self.commit_telling(tx, events, DOING).await
    }

    /// The id of the newest one.
    async fn insert_events_in(
        &self,
        connection: &mut Connection,
        events: &[NewEvent],
    ) -> Result<i64, sqlx::Error> {
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        let head = sqlx::query("UPDATE event_head SET last = last + $1 RETURNING last")
            .bind(count)
            .fetch_one(&mut *connection)
            .await?;
        let last: i64 = head.try_get(0)?;
        let now = to_micros(self.now());
        for (id, event) in (last - count + 1..).zip(events) {
            sqlx::query(
                "INSERT INTO events (id, at, kind, device_id, device, facts) VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(id)
            .bind(now)
            .bind(&event.kind)
            .bind(&event.device_id)
            .bind(&event.device)
            .bind(facts(&event.facts))
            .execute(&mut *connection)
            .await?;
        }
        if trims(last, count) {
            sqlx::query("DELETE FROM events WHERE id <= $1")
                .bind(last.saturating_sub(self.events_kept))
                .execute(connection)
                .await?;
        }
        Ok(last)
    }

    /// Says whenever events were added through this store, with the greatest id.
    pub fn watch_events(&self) -> watch::Receiver<i64> {
        self.told.subscribe()
    }

    /// At most `most` of the wanted events after this one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn events_after(
        &self,
        after: i64,
        filter: &EventFilter,
        most: u32,
    ) -> Result<EventRun, StoreError> {
        const DOING: &str = "reading events";
        let (conditions, values) = filter.conditions(3);
        // One statement sees one state of the database: what is there, and what was forgotten.
        let statement = format!(
            "SELECT h.last, (SELECT MIN(id) FROM events) AS oldest, e.id, e.at, e.kind, e.device_id, e.device, \
             e.facts FROM event_head h LEFT JOIN (SELECT * FROM events WHERE id > $1{conditions} ORDER BY id \
             LIMIT $2) e ON 1 = 1 ORDER BY e.id"
        );
        let mut query = sqlx::query(AssertSqlSafe(statement))
            .bind(after)
            .bind(i64::from(most));
        for value in values {
            query = query.bind(value);
        }
        let rows = query
            .fetch_all(self.database.reader())
            .await
            .map_err(unavailable(DOING))?;
        run(&rows, after, most).map_err(unavailable(DOING))
    }

    /// The wanted events, the newest first.
    ///
    /// # Errors
    /// [`StoreError::BadPageToken`] when the token was made for another filter; [`StoreError::Unavailable`].
    pub async fn list_events(
        &self,
        filter: &EventFilter,
        page_size: u32,
        page_token: Option<&str>,
    ) -> Result<Page<EventRecord>, StoreError> {
        const DOING: &str = "listing events";
        let words = format!("events {:?} {:?}", filter.device, filter.kind);
        let before = match page_token {
            None => i64::MAX,
            Some(token) => page::after(&words, token)
                .and_then(|last| last.parse().ok())
                .ok_or(StoreError::BadPageToken)?,
        };
        let page_size = page_size.clamp(1, MOST_ITEMS);
        let (conditions, values) = filter.conditions(3);
        let statement = format!(
            "SELECT id, at, kind, device_id, device, facts FROM events WHERE id < $1{conditions} \
             ORDER BY id DESC LIMIT $2"
        );
        let mut query = sqlx::query(AssertSqlSafe(statement))
            .bind(before)
            .bind(i64::from(page_size) + 1);
        for value in values {
            query = query.bind(value);
        }
        let rows = query
            .fetch_all(self.database.reader())
            .await
            .map_err(unavailable(DOING))?;
        let items: Result<Vec<_>, _> = rows.iter().map(record).collect();
        let items = items.map_err(unavailable(DOING))?;
        Ok(page::cut(items, page_size, &words, |event| event.id.to_string()))
    }

    /// Forgets events that are older. How many they were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_events_before(&self, time: OffsetDateTime) -> Result<u64, StoreError> {
        const DOING: &str = "forgetting old events";
        let mut connection = self.database.write(DOING).await?;
        // The wall clock can go back, so that a newer event has an older time; what remains has no gaps all the same.
        let deleted =
            sqlx::query("DELETE FROM events WHERE id <= (SELECT MAX(id) FROM events WHERE at < $1)")
                .bind(to_micros(time))
                .execute(&mut *connection)
                .await
                .map_err(unavailable(DOING))?;
        Ok(deleted.rows_affected())
    }

    /// Begins the log, if there is none. Ids begin at the time of now in milliseconds: who comes with the id of an
    /// earlier database has one that is lower, and learns that it is gone.
    pub(super) async fn begin_events(&self) -> Result<(), StoreError> {
        const DOING: &str = "beginning the log of events";
        let mut connection = self.database.write(DOING).await?;
        sqlx::query("INSERT INTO event_head (only_row, last) VALUES (1, $1) ON CONFLICT DO NOTHING")
            .bind(to_micros(self.now()) / 1000)
            .execute(&mut *connection)
            .await
            .map(drop)
            .map_err(unavailable(DOING))
    }
}

/// Whether so many events up to this one are a reason to remove old ones.
fn trims(last: i64, count: i64) -> bool {
    last / TRIMMED_AT_A_TIME != (last - count) / TRIMMED_AT_A_TIME
}

fn facts(facts: &EventFacts) -> String {
    serde_json::to_string(facts).expect("facts are strings and numbers, so they are always JSON")
}

fn run(rows: &[AnyRow], after: i64, most: u32) -> Result<EventRun, sqlx::Error> {
    let head = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let last: i64 = head.try_get("last")?;
    let oldest: Option<i64> = head.try_get("oldest")?;
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        if row.try_get::<Option<i64>, _>("id")?.is_some() {
            events.push(record(row)?);
        }
    }
    let through = match events.last() {
        Some(event) if events.len() >= most as usize => event.id,
        _ => last.max(after),
    };
    Ok(EventRun {
        events,
        through,
        gap: after > last || after < oldest.unwrap_or(last + 1) - 1,
        last,
    })
}

fn record(row: &AnyRow) -> Result<EventRecord, sqlx::Error> {
    let facts: String = row.try_get("facts")?;
    Ok(EventRecord {
        id: row.try_get("id")?,
        at: from_micros(row.try_get("at")?),
        event: NewEvent {
            kind: row.try_get("kind")?,
            device_id: row.try_get("device_id")?,
            device: row.try_get("device")?,
            facts: serde_json::from_str(&facts).map_err(|error| sqlx::Error::Decode(error.into()))?,
        },
    })
}
