//! A SQLite file: what it holds, its key, and its faults.

use std::os::unix::fs::PermissionsExt;

use base64::Engine;

use super::*;

/// Issue 2, item 2: the inventory is there after a restart, and no secret is readable in any file of it.
#[tokio::test]
async fn files_hold_no_secret_and_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("with space & %41?.db");
    let store = open_file(&path).await.unwrap();
    let (settings, secrets) = device("r1", &[]);
    let added = store.insert_device(settings, secrets).await.unwrap();
    let grep = || {
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.path());
            let bytes = std::fs::read(entry.path()).unwrap();
            assert_eq!(
                memchr::memmem::find(&bytes, b"canary"),
                None,
                "{:?}",
                entry.path()
            );
        }
    };
    grep();
    store.close().await;
    grep();
    assert!(path.exists());
    let reopened = open_file(&path).await.unwrap();
    assert_eq!(reopened.get_device("r1").await.unwrap(), added);
}

/// X6: the wrong key is a clear error at start; a new one in front takes over, and the old one may go.
#[tokio::test]
async fn keys_are_checked_at_start_and_rotated() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ncgate.db");
    let location = || Location::File(path.clone());
    let key = |byte: u8| base64::engine::general_purpose::STANDARD.encode([byte; 32]);
    let text = |text: String| KeySource::Text(Zeroizing::new(text));
    let store = open(location(), text(key(1))).await.unwrap();
    let (settings, secrets) = device("r1", &[]);
    let added = store.insert_device(settings, secrets).await.unwrap();
    store.close().await;

    assert!(matches!(
        open(location(), text(key(2))).await,
        Err(OpenError::KeyMissing { .. })
    ));
    let missing = open(location(), KeySource::BesideDatabase).await.unwrap_err();
    assert!(
        matches!(missing, OpenError::Key(KeyError::Missing(_))),
        "{missing:?}"
    );
    let rotated = open(location(), text(format!("{},{}", key(2), key(1))))
        .await
        .unwrap();
    assert_eq!(rotated.get_device("r1").await.unwrap(), added);
    rotated.close().await;
    let after = open(location(), text(key(2))).await.unwrap();
    assert_eq!(after.get_device("r1").await.unwrap(), added);
    assert!(matches!(
        open(location(), text(key(1))).await,
        Err(OpenError::KeyMissing { .. })
    ));
}

/// Quality §1 row 25: a database that is locked fails with a typed error and works again afterwards.
#[tokio::test]
async fn a_locked_database_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ncgate.db");
    let store = open_file(&path).await.unwrap();
    let mut holder = AnyConnection::connect(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut holder).await.unwrap();
    let (settings, secrets) = device("r1", &[]);
    let refused = store
        .insert_device(settings.clone(), secrets.clone())
        .await
        .unwrap_err();
    assert!(
        matches!(
            refused,
            StoreError::Unavailable {
                doing: "adding a device",
                ..
            }
        ),
        "{refused:?}"
    );
    assert!(
        store
            .list_devices(&no_labels(), 10, None)
            .await
            .unwrap()
            .items
            .is_empty(),
        "reads go on"
    );
    sqlx::query("COMMIT").execute(&mut holder).await.unwrap();
    store.insert_device(settings, secrets).await.unwrap();
}

/// Quality §1 row 25: neither a write that is not allowed nor a full disk leaves anything behind.
#[tokio::test]
async fn a_full_or_read_only_database_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_file(&directory.path().join("ncgate.db")).await.unwrap();
    // The writer is one connection, so a pragma holds for all writes.
    let pragma = async |statement: &'static str| {
        sqlx::query(statement)
            .execute(store.database.writer())
            .await
            .unwrap();
    };
    let (settings, secrets) = device("r1", &[]);
    for (on, off) in [
        ("PRAGMA query_only = ON", "PRAGMA query_only = OFF"),
        ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 100000"),
    ] {
        pragma(on).await;
        let mut refused = None;
        for index in 0..200 {
            let mut settings = settings.clone();
            settings.name = format!("{on}-{index}");
            if let Err(error) = store.insert_device(settings, secrets.clone()).await {
                refused = Some((error, format!("{on}-{index}")));
                break;
            }
        }
        let (error, name) = refused.expect("the database is full or read-only");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(matches!(store.get_device(&name).await, Err(StoreError::NotFound)));
        store.check_health().await.unwrap();
        pragma(off).await;
    }
    store.insert_device(settings, secrets).await.unwrap();
}

/// Quality §1 row 25: a damaged file is refused at start, in words; so is a directory that is not there.
#[tokio::test]
async fn a_damaged_file_is_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ncgate.db");
    std::fs::write(
        &path,
        "this is no database, but it is long enough to look at".repeat(100),
    )
    .unwrap();
    let refused = open_file(&path).await.unwrap_err();
    assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused:?}");
    assert!(
        refused.to_string().contains("restore it from a backup"),
        "{refused}"
    );

    let path = directory.path().join("damaged.db");
    let store = open_file(&path).await.unwrap();
    let (settings, secrets) = device("r1", &[]);
    store.insert_device(settings, secrets).await.unwrap();
    store.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in bytes.iter_mut().skip(4096) {
        *byte = 0x55;
    }
    std::fs::write(&path, bytes).unwrap();
    let refused = open_file(&path).await.unwrap_err();
    assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused:?}");

    let refused = open_file(&directory.path().join("none/ncgate.db"))
        .await
        .unwrap_err();
    assert!(matches!(refused, OpenError::NoDirectory(_)), "{refused:?}");
}

/// A database of a later release is not touched.
#[tokio::test]
async fn a_later_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ncgate.db");
    let store = open_file(&path).await.unwrap();
    let mut tx = store.database.begin("testing").await.unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET version = 9000 WHERE version = 1")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    let refused = open_file(&path).await.unwrap_err();
    assert!(matches!(refused, OpenError::Migration(_)), "{refused:?}");
}

#[test]
fn locations_are_recognised() {
    let location = |url: &str| url.parse::<Location>().ok();
    let file = |path: &str| Some(Location::File(path.into()));
    assert_eq!(location("sqlite://ncgate.db"), file("ncgate.db"));
    assert_eq!(
        location("sqlite:///var/lib/ncgate/ncgate.db"),
        file("/var/lib/ncgate/ncgate.db")
    );
    assert_eq!(location("sqlite:x.db"), file("x.db"));
    assert_eq!(location("sqlite::memory:"), Some(Location::Memory));
    assert_eq!(
        location("postgres://u:p@h/n"),
        Some(Location::Postgres("postgres://u:p@h/n".to_owned()))
    );
    for other in ["", "sqlite://", "mysql://h", "ncgate.db", "sqlite://x?mode=ro"] {
        assert_eq!(location(other), None, "{other}");
    }
    assert_eq!(
        format!("{:?}", Location::Postgres("postgres://u:canary@h/n".to_owned())),
        "Postgres"
    );
}
