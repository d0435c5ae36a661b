//! The contract of the store, held against SQLite always and against PostgreSQL when `NCGATE_TEST_POSTGRES`
//! names a server (`postgres://USER@HOST/NAME`), and the faults of a SQLite file.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::*;
use crate::device::model::{DeviceSecrets, DeviceSettings, apply_merge_patch, read_device};

mod changes;
mod confirmed_commits;
mod edit_sessions;
mod events;
mod operations;
mod unreachable;

const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::days(20_000));

fn device(name: &str, labels: &[(&str, &str)]) -> (DeviceSettings, DeviceSecrets) {
    let labels: BTreeMap<&str, &str> = labels.iter().copied().collect();
    read_device(&json!({
        "name": name, "address": "192.0.2.1", "username": "admin", "labels": labels,
        "host_key": {"policy": "tofu"},
        "auth": {"password": "canary-password",
                 "keyboard_interactive": [{"prompt": "Token:", "answer": "canary-answer"}]},
        "proxy_jump": [{"address": "j", "username": "u", "auth": {"password": "canary-jump"}}]
    }))
    .unwrap()
}

async fn open(location: Location, key: KeySource) -> Result<Store, OpenError> {
    let mut options = StoreOptions::new(location, key);
    options.busy_timeout = Duration::from_millis(50);
    Store::open(options, Clock::simulated(START, "boot"), Ids::from_entropy()).await
}

async fn open_file(path: &Path) -> Result<Store, OpenError> {
    open(Location::File(path.to_owned()), KeySource::BesideDatabase).await
}

/// One store on each kind of database, empty. The directory lives as long as the test.
struct Backends {
    stores: Vec<(&'static str, Store)>,
    _directory: tempfile::TempDir,
}

impl Backends {
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut stores = vec![
            (
                "memory",
                open(Location::Memory, KeySource::Ephemeral).await.unwrap(),
            ),
            (
                "sqlite",
                open_file(&directory.path().join("ncgate.db")).await.unwrap(),
            ),
        ];
        let still = StoreOptions::still(directory.path().join("still.db"), KeySource::Ephemeral);
        let clock = Clock::simulated(START, "boot");
        stores.push((
            "still",
            Store::open(still, clock, Ids::from_entropy()).await.unwrap(),
        ));
        if let Some(url) = postgres_schema().await {
            stores.push((
                "postgres",
                open(Location::Postgres(url), KeySource::Ephemeral).await.unwrap(),
            ));
        }
        Self {
            stores,
            _directory: directory,
        }
    }
}

/// The URL of an empty schema, if there is a server to test with.
async fn postgres_schema() -> Option<String> {
    let Ok(server) = std::env::var("NCGATE_TEST_POSTGRES") else {
        eprintln!("skipped: PostgreSQL, because NCGATE_TEST_POSTGRES is not set");
        return None;
    };
    sqlx::any::install_default_drivers();
    let schema = format!("t_{:032x}", rand::random::<u128>());
    let mut connection = AnyConnection::connect(&server)
        .await
        .expect("the server of NCGATE_TEST_POSTGRES answers");
    sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA {schema}")))
        .execute(&mut connection)
        .await
        .unwrap();
    let joint = if server.contains('?') { '&' } else { '?' };
    Some(format!("{server}{joint}options[search_path]={schema}"))
}

fn no_labels() -> BTreeMap<String, String> {
    BTreeMap::new()
}

/// H2: a name or an id that a caller made up is that of nothing, whatever characters it has.
#[tokio::test]
async fn nothing_is_found_under_impossible_names() {
    for (kind, store) in Backends::open().await.stores {
        for name in ["", "a\0b", "\0", "\u{1f980}", "'; DROP TABLE devices; --"] {
            let none = [
                store.get_device(name).await.map(drop),
                store.find_change(name).await.map(drop),
                store.get_change(name, name).await.map(drop),
                store.get_operation(name).await.map(drop),
                store.get_edit_session(name, name).await.map(drop),
                store.get_confirmed_commit(name).await.map(drop),
            ];
            for found in none {
                assert!(
                    matches!(found, Err(StoreError::NotFound)),
                    "{kind}: {name:?}: {found:?}"
                );
            }
        }
    }
}

/// Issue 2, item 2: what is added is there as it was given, and its name is taken.
#[tokio::test]
async fn a_device_comes_back_as_it_was_stored() {
    for (kind, store) in Backends::open().await.stores {
        let (settings, secrets) = device("r1", &[("site", "fra")]);
        let added = store
            .insert_device(settings.clone(), secrets.clone())
            .await
            .unwrap();
        assert_eq!((added.version, added.updated_at), (1, added.created_at), "{kind}");
        assert_eq!(added.created_at.date(), START.date(), "{kind}");
        assert_eq!(added.etag(), format!("\"{}.1\"", added.id));
        let read = store.get_device("r1").await.unwrap();
        assert_eq!(read, added, "{kind}");
        assert_eq!((&read.settings, &read.secrets), (&settings, &secrets), "{kind}");
        let again = store.insert_device(settings, secrets).await.unwrap_err();
        assert!(
            matches!(&again, StoreError::AlreadyExists { name } if name == "r1"),
            "{kind}: {again:?}"
        );
        assert!(
            matches!(store.get_device("R1").await, Err(StoreError::NotFound)),
            "{kind}"
        );
        store.check_health().await.unwrap();
    }
}

/// H9: a change is refused when somebody else was first, and raises the version when not.
#[tokio::test]
async fn a_stale_change_is_refused() {
    for (kind, store) in Backends::open().await.stores {
        let (settings, secrets) = device("r1", &[("site", "fra")]);
        let first = store.insert_device(settings, secrets).await.unwrap();
        let patch = json!({"port": 22, "labels": {"site": "ams"}, "auth": {"password": "canary-new"}});
        let (settings, secrets) = apply_merge_patch(&first.settings, &first.secrets, &patch).unwrap();
        let second = store
            .update_device(&first, settings.clone(), secrets.clone())
            .await
            .unwrap();
        assert_eq!((second.version, second.settings.port), (2, 22), "{kind}");
        assert_ne!(second.etag(), first.etag());
        assert_eq!(store.get_device("r1").await.unwrap(), second, "{kind}");
        let stale = store
            .update_device(&first, settings.clone(), secrets.clone())
            .await
            .unwrap_err();
        assert!(
            matches!(stale, StoreError::VersionMismatch { current: 2 }),
            "{kind}: {stale:?}"
        );
        let filter = BTreeMap::from([("site".to_owned(), "ams".to_owned())]);
        assert_eq!(
            store.list_devices(&filter, 10, None).await.unwrap().items,
            std::slice::from_ref(&second),
            "{kind}"
        );

        let stale = store.delete_device(&first.id, Some(1)).await.unwrap_err();
        assert!(
            matches!(stale, StoreError::VersionMismatch { current: 2 }),
            "{kind}: {stale:?}"
        );
        store.delete_device(&first.id, Some(2)).await.unwrap();
        let gone = store.delete_device(&first.id, None).await.unwrap_err();
        assert!(matches!(gone, StoreError::NotFound), "{kind}");
        let gone = store
            .update_device(&second, settings.clone(), secrets.clone())
            .await
            .unwrap_err();
        assert!(matches!(gone, StoreError::NotFound), "{kind}");
        let again = store.insert_device(settings, secrets).await.unwrap();
        assert_ne!(
            again.etag(),
            first.etag(),
            "{kind}: a new device never has an old tag"
        );
        store.delete_device(&again.id, None).await.unwrap();
        assert!(
            store
                .list_devices(&no_labels(), 10, None)
                .await
                .unwrap()
                .items
                .is_empty(),
            "{kind}"
        );
    }
}

/// H10: pages by keyset, in order, with tokens bound to the filter.
#[tokio::test]
async fn pages_cover_the_list_once_and_in_order() {
    for (kind, store) in Backends::open().await.stores {
        for index in 0..7 {
            let name = format!("{}{index}", ["b", "B", "a-", "_"][index % 4]);
            let labels = [("site", ["fra", "ams"][index % 2]), ("role", "pe")];
            let (settings, secrets) = device(&name, &labels[..1 + index % 2]);
            store.insert_device(settings, secrets).await.unwrap();
        }
        let mut names = Vec::new();
        let mut token = None;
        loop {
            let page = store
                .list_devices(&no_labels(), 3, token.as_deref())
                .await
                .unwrap();
            names.extend(page.items.iter().map(|record| record.name().to_owned()));
            token = page.next_page_token;
            if token.is_none() {
                break;
            }
            assert_eq!(page.items.len(), 3, "{kind}");
        }
        assert_eq!(names, ["B1", "B5", "_3", "a-2", "a-6", "b0", "b4"], "{kind}");

        let filter = |labels: &[(&str, &str)]| -> BTreeMap<String, String> {
            labels
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        let ams = store
            .list_devices(&filter(&[("site", "ams")]), 2, None)
            .await
            .unwrap();
        assert_eq!(
            ams.items.iter().map(DeviceRecord::name).collect::<Vec<_>>(),
            ["B1", "B5"],
            "{kind}"
        );
        let both = filter(&[("site", "ams"), ("role", "pe")]);
        assert_eq!(
            store.list_devices(&both, 10, None).await.unwrap().items.len(),
            3,
            "{kind}"
        );
        let neither = filter(&[("site", "fra"), ("role", "pe")]);
        assert!(
            store
                .list_devices(&neither, 10, None)
                .await
                .unwrap()
                .items
                .is_empty(),
            "{kind}"
        );

        let token = ams.next_page_token.unwrap();
        for (filter, token) in [
            (no_labels(), token.as_str()),
            (filter(&[("site", "ams")]), "not-a-token"),
        ] {
            let refused = store.list_devices(&filter, 2, Some(token)).await;
            assert!(matches!(refused, Err(StoreError::BadPageToken)), "{kind}");
        }
        let exact = store.list_devices(&no_labels(), 7, None).await.unwrap();
        assert_eq!((exact.items.len(), exact.next_page_token), (7, None), "{kind}");
    }
}

/// X7: under `tofu` the first key of an endpoint stays, until the host key settings change.
#[tokio::test]
async fn the_first_host_key_stays() {
    for (kind, store) in Backends::open().await.stores {
        let (settings, secrets) = device("r1", &[]);
        let id = store.insert_device(settings, secrets).await.unwrap().id;
        let learn = async |key: &str| store.learn_host_key(&id, "192.0.2.1:830", key).await.unwrap();
        assert_eq!(learn("ssh-ed25519 one").await, Learned::Stored, "{kind}");
        assert_eq!(learn("ssh-ed25519 one").await, Learned::Known, "{kind}");
        assert_eq!(
            learn("ssh-ed25519 two").await,
            Learned::Other("ssh-ed25519 one".to_owned()),
            "{kind}"
        );
        assert_eq!(
            store
                .learn_host_key(&id, "j:22", "ssh-ed25519 two")
                .await
                .unwrap(),
            Learned::Stored
        );
        let gone = store.learn_host_key("nobody", "j:22", "ssh-ed25519 two").await;
        assert!(matches!(gone, Err(StoreError::NotFound)), "{kind}");

        let record = store.get_device("r1").await.unwrap();
        let expected = [("192.0.2.1:830", "ssh-ed25519 one"), ("j:22", "ssh-ed25519 two")];
        let expected = BTreeMap::from(expected.map(|(at, key)| (at.to_owned(), key.to_owned())));
        assert_eq!(record.learned_host_keys, expected, "{kind}");

        let change = async |record: &DeviceRecord, patch: serde_json::Value| {
            let (settings, secrets) = apply_merge_patch(&record.settings, &record.secrets, &patch).unwrap();
            store.update_device(record, settings, secrets).await.unwrap();
            store.get_device("r1").await.unwrap()
        };
        let moved = change(&record, json!({"port": 2022})).await;
        assert_eq!(moved.learned_host_keys, expected, "{kind}");
        let pinned = change(&moved, json!({"host_key": {"policy": "pinned"}})).await;
        let tofu = change(&pinned, json!({"host_key": {"policy": "tofu"}})).await;
        assert_eq!(tofu.learned_host_keys, BTreeMap::new(), "{kind}");
    }
}

/// X6, quality §3 row 20: ciphertexts of two rows swapped do not open.
#[tokio::test]
async fn swapped_ciphertexts_do_not_open() {
    for (kind, store) in Backends::open().await.stores {
        for name in ["r1", "r2"] {
            let (settings, secrets) = device(name, &[]);
            store.insert_device(settings, secrets).await.unwrap();
        }
        let mut tx = store.database.begin("swapping").await.unwrap();
        let rows = sqlx::query("SELECT device_id, credentials FROM device_secrets ORDER BY device_id")
            .fetch_all(&mut *tx)
            .await
            .unwrap();
        let row = |index: usize| -> (String, Vec<u8>) {
            (rows[index].try_get(0).unwrap(), rows[index].try_get(1).unwrap())
        };
        for (to, from) in [(0, 1), (1, 0)] {
            sqlx::query("UPDATE device_secrets SET credentials = $1 WHERE device_id = $2")
                .bind(row(from).1)
                .bind(row(to).0)
                .execute(&mut *tx)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
        let refused = store.get_device("r1").await.unwrap_err();
        assert!(
            matches!(&refused, StoreError::Sealed { device, source: SealError::Broken } if device == "r1"),
            "{kind}: {refused:?}"
        );
    }
}

/// Concurrent changes of one device: each is applied exactly once or refused, none is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_changes_are_serialised() {
    for (kind, store) in Backends::open().await.stores {
        let (settings, secrets) = device("r1", &[]);
        let first = store.insert_device(settings, secrets).await.unwrap();
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let (store, first) = (store.clone(), first.clone());
                tokio::spawn(async move {
                    store
                        .update_device(&first, first.settings.clone(), first.secrets.clone())
                        .await
                })
            })
            .collect();
        let mut applied = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(record) => {
                    assert_eq!(record.version, 2);
                    applied += 1;
                }
                Err(error) => assert!(
                    matches!(error, StoreError::VersionMismatch { current: 2 }),
                    "{kind}: {error:?}"
                ),
            }
        }
        assert_eq!(applied, 1, "{kind}");
    }
}

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
    let key = |byte: u8| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode([byte; 32])
    };
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
