//! The database of a gateway, from outside of it.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor, SqliteConnection};

pub async fn open(database: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(database)
        .connect()
        .await
        .expect("the database opens")
}

/// From now on nothing of this table is changed in the database.
pub async fn freeze(database: &mut SqliteConnection, table: &'static str) {
    let trigger = format!(
        "CREATE TRIGGER frozen_{table} BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'frozen'); END"
    );
    database
        .execute(sqlx::AssertSqlSafe(trigger))
        .await
        .expect("it is frozen");
}

pub async fn thaw(database: &mut SqliteConnection, table: &'static str) {
    let trigger = format!("DROP TRIGGER frozen_{table}");
    database
        .execute(sqlx::AssertSqlSafe(trigger))
        .await
        .expect("it is thawed");
}
