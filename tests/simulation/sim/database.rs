//! The trouble of the gateway's database: for a while what is written is refused, as on a disk that is full. What is read
//! is there.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// Those that the gateway writes while it works.
pub const TABLES: &[&str] = &[
    "changes",
    "confirmed_commits",
    "edit_sessions",
    "events",
    "idempotency_keys",
    "operations",
];

const WRITES: [&str; 3] = ["INSERT", "UPDATE", "DELETE"];

/// From now on this table takes nothing, or none does.
pub fn fail(directory: &Path, table: Option<&str>) {
    let tables = table.as_slice();
    let tables = if tables.is_empty() { TABLES } else { tables };
    let triggers = tables.iter().flat_map(|table| {
        WRITES.iter().map(move |write| {
            format!(
                "CREATE TRIGGER trouble_{table}_{write} BEFORE {write} ON {table} \
                 BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
            )
        })
    });
    run(directory, triggers.collect());
}

/// Everything is taken again.
pub fn mend(directory: &Path) {
    let triggers = TABLES.iter().flat_map(|table| {
        WRITES
            .iter()
            .map(move |write| format!("DROP TRIGGER IF EXISTS trouble_{table}_{write}"))
    });
    run(directory, triggers.collect());
}

/// Over a connection of its own, in a thread of its own: nobody in the simulation waits for it meanwhile.
fn run(directory: &Path, statements: Vec<String>) {
    let file = directory.join("ncgate.db");
    let running = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(&file);
            let mut connection = options.connect().await.expect("the database opens");
            for statement in statements {
                // Nothing but names that stand here.
                sqlx::raw_sql(AssertSqlSafe(statement))
                    .execute(&mut connection)
                    .await
                    .expect("the statement is taken");
            }
            connection.close().await.expect("the database closes");
        });
    };
    std::thread::scope(|scope| scope.spawn(running).join()).expect("a database that can be opened");
}
