//! Connections: how each of the two databases is opened, migrated and judged healthy.
//!
//! SQLite has one writer and several readers (WAL); write transactions begin IMMEDIATE, because a deferred one
//! that reads first fails at once when somebody else writes, whatever the busy timeout.

use std::fmt::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AnyConnection, ConnectOptions, Connection as _, Executor as _, Row, SqlSafeStr};
use tokio::sync::Mutex;

use super::connection::{Lent, Source, Transaction, at_once};
use super::file::OpenedFile;
use super::whole::{self, Done, Statement};
use super::{Location, OpenError, StoreError, StoreOptions};
use crate::ids::Ids;

/// Connections that only read, of a SQLite file; all connections, of PostgreSQL.
const MOST_CONNECTIONS: u32 = 8;

/// The schema, oldest first: version, description, SQLite, PostgreSQL.
const MIGRATIONS: &[(i64, &str, &str, &str)] = &[
    (
        1,
        "devices",
        include_str!("../../migrations/sqlite/0001_devices.sql"),
        include_str!("../../migrations/postgres/0001_devices.sql"),
    ),
    (
        2,
        "edit sessions",
        include_str!("../../migrations/sqlite/0002_edit_sessions.sql"),
        include_str!("../../migrations/postgres/0002_edit_sessions.sql"),
    ),
    (
        3,
        "changes",
        include_str!("../../migrations/sqlite/0003_changes.sql"),
        include_str!("../../migrations/postgres/0003_changes.sql"),
    ),
    (
        4,
        "confirmed commits",
        include_str!("../../migrations/sqlite/0004_confirmed_commits.sql"),
        include_str!("../../migrations/postgres/0004_confirmed_commits.sql"),
    ),
    (
        5,
        "events",
        include_str!("../../migrations/sqlite/0005_events.sql"),
        include_str!("../../migrations/postgres/0005_events.sql"),
    ),
    (
        6,
        "operations",
        include_str!("../../migrations/sqlite/0006_operations.sql"),
        include_str!("../../migrations/postgres/0006_operations.sql"),
    ),
];

#[derive(Clone, Debug)]
pub(super) struct Database {
    reader: Source,
    writer: Source,
    begin: &'static str,
    /// Whether it takes several statements in one piece.
    in_one_piece: bool,
    /// Of SQLite.
    file: Option<Arc<OpenedFile>>,
    /// An in-memory database lives as long as one connection to it does.
    anchor: Arc<Mutex<Option<AnyConnection>>>,
}

impl Database {
    pub(super) async fn open(options: &StoreOptions, ids: &Ids) -> Result<Self, OpenError> {
        install_default_drivers();
        match &options.location {
            Location::File(path) if options.still => at_once(Self::open_file(path, options)),
            Location::File(path) => Self::open_file(path, options).await,
            Location::Memory => Self::open_memory(options, ids).await,
            Location::Postgres(url) => Self::open_postgres(url, options).await,
        }
    }

    async fn open_file(path: &Path, options: &StoreOptions) -> Result<Self, OpenError> {
        let path = &*create_file(path)?;
        // `rw`: a file that disappears later must not come back empty.
        let url = connect_options(&format!("sqlite:{}?mode=rw", percent_encode(path)))?;
        let corrupt = |found: String| OpenError::Corrupt {
            path: path.to_owned(),
            found,
        };
        let open_error = |error: sqlx::Error| match damage(&error) {
            Some(found) => corrupt(found),
            None => OpenError::Connect(error),
        };
        let mut first = AnyConnection::connect_with(&url).await.map_err(open_error)?;
        set_busy_timeout(&mut first, options.busy_timeout)
            .await
            .map_err(open_error)?;
        sqlx::query("PRAGMA journal_mode = WAL")
            .execute(&mut first)
            .await
            .map_err(open_error)?;
        let check = sqlx::query("PRAGMA quick_check(1)")
            .fetch_one(&mut first)
            .await
            .map_err(open_error)?;
        let verdict: String = check.try_get(0).map_err(OpenError::Connect)?;
        if verdict != "ok" {
            return Err(corrupt(verdict));
        }
        migrator(|(_, _, sqlite, _)| sqlite)
            .run(&mut first)
            .await
            .map_err(migration_error)?;
        if options.still {
            let still = Source::still(first);
            return Ok(Self {
                // Looking at it takes a thread of its own.
                file: None,
                reader: still.clone(),
                writer: still,
                begin: "BEGIN IMMEDIATE",
                in_one_piece: true,
                anchor: Arc::new(Mutex::new(None)),
            });
        }
        first.close().await.map_err(OpenError::Connect)?;
        let file = OpenedFile::new(path).map_err(|error| OpenError::Connect(error.into()))?;
        Ok(Self {
            file: Some(Arc::new(file)),
            reader: Source::Pool(sqlite_pool(options, MOST_CONNECTIONS).connect_lazy_with(url.clone())),
            writer: sole(options, url),
            begin: "BEGIN IMMEDIATE",
            in_one_piece: true,
            anchor: Arc::new(Mutex::new(None)),
        })
    }

    /// One connection does everything: connections that share memory lock each other's tables without waiting.
    async fn open_memory(options: &StoreOptions, ids: &Ids) -> Result<Self, OpenError> {
        let name = u128::from_ne_bytes(ids.bytes());
        let url = connect_options(&format!(
            "sqlite:file:ncgate-{name:032x}?mode=memory&cache=shared"
        ))?;
        let mut anchor = AnyConnection::connect_with(&url)
            .await
            .map_err(OpenError::Connect)?;
        migrator(|(_, _, sqlite, _)| sqlite)
            .run(&mut anchor)
            .await
            .map_err(migration_error)?;
        let sole = sole(options, url);
        Ok(Self {
            file: None,
            reader: sole.clone(),
            writer: sole,
            begin: "BEGIN IMMEDIATE",
            in_one_piece: true,
            anchor: Arc::new(Mutex::new(Some(anchor))),
        })
    }

    async fn open_postgres(url: &str, options: &StoreOptions) -> Result<Self, OpenError> {
        let unreachable = {
            let server = server(url)?;
            move |source| OpenError::Unreachable { server, source }
        };
        let url = connect_options(url)?;
        // Not through the pool: that takes a refusal for a server that is just starting, tries again until its time is
        // over, and then knows only that it is.
        let patience = options.acquire_timeout;
        let mut first = match tokio::time::timeout(patience, AnyConnection::connect_with(&url)).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(unreachable(error)),
            Err(_) => {
                let silent = format!("no answer within {} s", patience.as_secs_f32());
                return Err(unreachable(
                    std::io::Error::new(std::io::ErrorKind::TimedOut, silent).into(),
                ));
            }
        };
        migrator(|(_, _, _, postgres)| postgres)
            .run(&mut first)
            .await
            .map_err(migration_error)?;
        first.close().await.map_err(OpenError::Connect)?;
        let pool = AnyPoolOptions::new()
            .max_connections(MOST_CONNECTIONS)
            .acquire_timeout(patience)
            .connect_lazy_with(url);
        let pool = Source::Pool(pool);
        Ok(Self {
            file: None,
            reader: pool.clone(),
            writer: pool,
            begin: "BEGIN",
            in_one_piece: false,
            anchor: Arc::new(Mutex::new(None)),
        })
    }

    /// For statements that only read.
    pub(super) fn reader(&self) -> &Source {
        &self.reader
    }

    #[cfg(test)]
    pub(super) fn writer(&self) -> &Source {
        &self.writer
    }

    /// Whether others write at the same time: a transaction then takes hold of its rows in the order of all others.
    pub(super) fn has_other_writers(&self) -> bool {
        !self.in_one_piece
    }

    /// A transaction that may write. Dropped without commit, it is rolled back.
    pub(super) async fn begin(&self, doing: &'static str) -> Result<Transaction, StoreError> {
        self.check_file().await.map_err(unavailable(doing))?;
        self.writer
            .begin_with(self.begin)
            .await
            .map_err(unavailable(doing))
    }

    /// A connection for one statement that writes. The statement is a transaction of its own, which saves the two
    /// round trips to the database that begin and end another one.
    pub(super) async fn write(&self, doing: &'static str) -> Result<Lent, StoreError> {
        self.check_file().await.map_err(unavailable(doing))?;
        self.writer.acquire().await.map_err(unavailable(doing))
    }

    /// Runs statements as one transaction: all or nothing. What came of each.
    pub(super) async fn run(&self, statements: Vec<Statement>) -> Result<Vec<Done>, sqlx::Error> {
        self.check_file().await?;
        if self.in_one_piece {
            // Those that begin and end it are two more.
            let count = statements.len() + 2;
            let query = whole::joined(self.begin, statements);
            return self.writer.run_whole(query, count).await.map(whole::parted);
        }
        let mut tx = self.writer.begin_with(self.begin).await?;
        let mut done = Vec::with_capacity(statements.len());
        for statement in statements {
            let results = tx.fetch_many(statement.query()).try_collect().await?;
            done.extend(whole::collected(results));
        }
        tx.commit().await?;
        Ok(done)
    }

    /// The names of all keys that something is sealed with.
    pub(super) async fn sealing_keys(&self) -> Result<Vec<String>, StoreError> {
        let failed = || unavailable("looking for what is sealed");
        let rows = sqlx::query(
            "SELECT key_id FROM device_secrets UNION SELECT key_id FROM changes UNION \
             SELECT key_id FROM confirmed_commits UNION SELECT key_id FROM operations UNION \
             SELECT key_id FROM idempotency_keys ORDER BY key_id",
        )
        .fetch_all(&self.reader)
        .await
        .map_err(failed())?;
        rows.iter().map(|row| row.try_get(0).map_err(failed())).collect()
    }

    pub(super) async fn check_health(&self) -> Result<(), StoreError> {
        let failed = || unavailable("checking its health");
        self.check_file().await.map_err(failed())?;
        let row = sqlx::query("SELECT COUNT(*) FROM devices WHERE id = ''")
            .fetch_one(&self.reader)
            .await
            .map_err(failed())?;
        row.try_get::<i64, _>(0).map(|_| ()).map_err(failed())
    }

    /// Whether what is written will last.
    async fn check_file(&self) -> Result<(), sqlx::Error> {
        match &self.file {
            Some(file) => Ok(file.check().await?),
            None => Ok(()),
        }
    }

    pub(super) async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
        if let Some(anchor) = self.anchor.lock().await.take()
            && let Err(error) = anchor.close().await
        {
            tracing::debug!(%error, "the in-memory database did not close in good order");
        }
    }
}

/// Turns any failure of the database into the error that says the store cannot be used.
pub(super) fn unavailable(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| match cannot_be_text(&source) {
        // So it stands in no row.
        true => StoreError::NotFound,
        false => StoreError::Unavailable { doing, source },
    }
}

/// Whether PostgreSQL was asked for a text that it cannot hold: one with U+0000.
fn cannot_be_text(error: &sqlx::Error) -> bool {
    const CHARACTER_NOT_IN_REPERTOIRE: &str = "22021";
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| code == CHARACTER_NOT_IN_REPERTOIRE)
}

/// Whether a row of the same unique name exists.
pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation())
}

fn connect_options(url: &str) -> Result<AnyConnectOptions, OpenError> {
    // Statements hold no secrets, but neither are they anybody's business.
    Ok(AnyConnectOptions::from_str(url)
        .map_err(OpenError::Connect)?
        .disable_statement_logging())
}

/// `host:port` of a PostgreSQL URL, or the path of the socket; neither user nor password.
fn server(url: &str) -> Result<String, OpenError> {
    let options = PgConnectOptions::from_str(url).map_err(OpenError::Connect)?;
    Ok(match options.get_socket() {
        Some(directory) => directory.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    })
}

/// The one connection of SQLite that writes.
fn sole(options: &StoreOptions, url: AnyConnectOptions) -> Source {
    let pool = sqlite_pool(options, 1).connect_lazy_with(url);
    Source::kept(pool, options.acquire_timeout)
}

fn sqlite_pool(options: &StoreOptions, connections: u32) -> AnyPoolOptions {
    let busy_timeout = options.busy_timeout;
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(options.acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        // There is no other end that could have gone away.
        .test_before_acquire(false)
        // SQLite itself rolls back when the disk is full; the driver's own rollback then fails, and it would
        // take the connection for one inside a transaction for ever.
        .before_acquire(|connection, _| {
            let clean = !connection.is_in_transaction();
            Box::pin(async move { Ok(clean) })
        })
        .after_connect(move |connection, _| Box::pin(set_busy_timeout(connection, busy_timeout)))
}

async fn set_busy_timeout(connection: &mut AnyConnection, timeout: Duration) -> Result<(), sqlx::Error> {
    let statement = format!("PRAGMA busy_timeout = {}", timeout.as_millis());
    // A number that we made ourselves; a pragma takes no parameters.
    sqlx::query(sqlx::AssertSqlSafe(statement))
        .execute(connection)
        .await
        .map(|_| ())
}

/// An empty file for its owner alone, unless there is one; SQLite gives its side files the same mode. Yields the
/// path without links and dots, which a URL would resolve in its own way.
fn create_file(path: &Path) -> Result<PathBuf, OpenError> {
    let failed = |source| OpenError::Create {
        path: path.to_owned(),
        source,
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        return Err(OpenError::NoDirectory(directory.to_owned()));
    }
    match std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    path.canonicalize().map_err(failed)
}

/// A path as it stands in a database URL: every byte with a meaning of its own is escaped.
fn percent_encode(path: &Path) -> String {
    let mut encoded = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    encoded
}

/// What SQLite says of a file that is no database or a damaged one.
fn damage(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error()?;
    let code: i64 = error.code()?.parse().ok()?;
    // SQLITE_CORRUPT and SQLITE_NOTADB; the upper bytes hold details.
    matches!(code & 0xff, 11 | 26).then(|| error.message().to_owned())
}

fn migrator(sql: impl Fn(&(i64, &'static str, &'static str, &'static str)) -> &'static str) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|migration| {
        let (version, description, _, _) = *migration;
        let sql = sql(migration).into_sql_str();
        Migration::new(version, description.into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
}

fn migration_error(error: MigrateError) -> OpenError {
    match error {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            OpenError::Connect(source)
        }
        other => OpenError::Migration(other),
    }
}
