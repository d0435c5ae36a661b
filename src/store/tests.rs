//! The contract of the store, held against SQLite always and against PostgreSQL when `NCGATE_TEST_POSTGRES`
//! names a server (`postgres://USER@HOST/NAME`).

use std::collections::BTreeMap;
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
mod files;
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
