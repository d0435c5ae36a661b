//! Confirmed commits: stored together with the journal of their change, listed, sealed and forgotten.

use super::*;

fn change(id: &str) -> ChangeRecord {
    ChangeRecord {
        id: id.to_owned(),
        device_id: "d1".to_owned(),
        device: "r1".to_owned(),
        owner: "alice".to_owned(),
        mode: "exclusive".to_owned(),
        state: "committing".to_owned(),
        outcome: None,
        reason: None,
        request_id: Some("req-1".to_owned()),
        created_at: START,
        updated_at: START,
        passed: Vec::new(),
        document: b"{}".to_vec(),
    }
}

fn commit(id: &str, change_id: &str, device_id: &str) -> ConfirmedCommitRecord {
    ConfirmedCommitRecord {
        id: id.to_owned(),
        device_id: device_id.to_owned(),
        device: "r1".to_owned(),
        owner: "alice".to_owned(),
        change_id: change_id.to_owned(),
        state: STARTING.to_owned(),
        by: None,
        reason: None,
        request_id: Some("req-1".to_owned()),
        timeout_seconds: 120,
        deadline_earliest: START,
        deadline: START,
        created_at: START,
        updated_at: START,
        document: b"{\"persist\": \"canary-token\"}".to_vec(),
    }
}

pub(super) async fn journalled(store: &Store, device_id: &str) -> (ChangeRecord, ConfirmedCommitRecord) {
    let mut row = change(&store.new_id());
    store.insert_change(&mut row, None).await.unwrap();
    let mut made = commit(&store.new_id(), &row.id, device_id);
    store.journal_confirmed_commit(&mut row, &mut made).await.unwrap();
    (row, made)
}

/// E2: a row allows one send, by construction, with and without a confirmed commit; what is refused stores nothing.
#[tokio::test]
async fn a_row_allows_one_send() {
    for (kind, store) in Backends::open().await.stores {
        let (mut row, _) = journalled(&store, "d1").await;
        let mut second = commit(&store.new_id(), &row.id, "d1");
        let again = store.journal_confirmed_commit(&mut row, &mut second).await;
        assert!(again.is_err(), "{kind}");
        let found = store.get_confirmed_commit(&second.id).await;
        assert!(matches!(found, Err(StoreError::NotFound)), "{kind}");
        assert!(store.journal_commit(&mut row).await.is_err(), "{kind}");

        let mut plain = change(&store.new_id());
        store.insert_change(&mut plain, None).await.unwrap();
        store.journal_commit(&mut plain).await.unwrap();
        assert!(store.journal_commit(&mut plain).await.is_err(), "{kind}");
        // What becomes of it can be stored as often as need be.
        plain.state = "committed".to_owned();
        for _ in 0..2 {
            store.update_change(&mut plain).await.unwrap();
        }
        assert_eq!(store.get_change("d1", &plain.id).await.unwrap(), plain, "{kind}");
    }
}

/// S29: what becomes of one is stored with what that means for its change; what was never made is gone.
#[tokio::test]
async fn a_confirmed_commit_comes_back_as_it_was_stored() {
    for (kind, store) in Backends::open().await.stores {
        let (mut row, mut made) = journalled(&store, "d1").await;
        assert_eq!(
            store.get_confirmed_commit(&made.id).await.unwrap(),
            made,
            "{kind}"
        );
        made.state = "confirmed".to_owned();
        made.by = Some("us".to_owned());
        made.timeout_seconds = 300;
        row.state = "confirmed".to_owned();
        store
            .update_confirmed_commit(&mut made, Some(&mut row))
            .await
            .unwrap();
        assert_eq!(
            store.get_confirmed_commit(&made.id).await.unwrap(),
            made,
            "{kind}"
        );
        assert_eq!(
            store.get_change("d1", &row.id).await.unwrap().state,
            "confirmed",
            "{kind}"
        );
        store.delete_confirmed_commit(&made.id, None).await.unwrap();
        let gone = store.update_confirmed_commit(&mut made, None).await;
        assert!(matches!(gone, Err(StoreError::NotFound)), "{kind}");
    }
}

/// C3, E1: a change that came to nothing leaves nothing behind that would keep others out, whoever stores its end; what
/// the device is known to have made stays.
#[tokio::test]
async fn what_failed_waits_for_nothing() {
    for (kind, store) in Backends::open().await.stores {
        let (mut row, made) = journalled(&store, "d1").await;
        row.state = FAILED.to_owned();
        store.update_change(&mut row).await.unwrap();
        let found = store.get_confirmed_commit(&made.id).await;
        assert!(matches!(found, Err(StoreError::NotFound)), "{kind}");

        let (mut row, mut made) = journalled(&store, "d1").await;
        made.state = "pending".to_owned();
        store.update_confirmed_commit(&mut made, None).await.unwrap();
        row.state = FAILED.to_owned();
        store.update_change(&mut row).await.unwrap();
        assert!(store.get_confirmed_commit(&made.id).await.is_ok(), "{kind}");

        // The device never made it: both are told in one transaction.
        let (mut row, made) = journalled(&store, "d1").await;
        row.state = FAILED.to_owned();
        let forgotten = store.delete_confirmed_commit(&made.id, Some(&mut row)).await;
        assert!(forgotten.is_ok(), "{kind}");
        let found = store.get_change("d1", &row.id).await.unwrap();
        assert_eq!(found.state, FAILED, "{kind}");
    }
}

/// C5: what was to be stored long ago does not put back what has become of it since.
#[tokio::test]
async fn what_has_ended_does_not_begin_again() {
    for (kind, store) in Backends::open().await.stores {
        for (since, then) in [(STARTING, "pending"), ("rolled_back", "rolled_back")] {
            let (mut row, mut made) = journalled(&store, "d1").await;
            made.state = since.to_owned();
            store.update_confirmed_commit(&mut made, None).await.unwrap();
            made.state = "pending".to_owned();
            store.begin_confirmed_commit(&mut made, &mut row).await.unwrap();
            let found = store.get_confirmed_commit(&made.id).await.unwrap();
            assert_eq!(found.state, then, "{kind}");
        }
    }
}

/// H10: pages of all devices or of one, the newest first; one that is being sent is not listed, but found at a start.
#[tokio::test]
async fn confirmed_commits_are_listed_newest_first() {
    for (kind, store) in Backends::open().await.stores {
        let mut made = Vec::new();
        for (device, state) in [
            ("d1", "pending"),
            ("d2", "pending"),
            ("d1", "confirmed"),
            ("d1", STARTING),
        ] {
            let (_, mut one) = journalled(&store, device).await;
            one.state = state.to_owned();
            store.update_confirmed_commit(&mut one, None).await.unwrap();
            made.push(one.id);
        }
        let list = async |device_id, state, size, token: Option<&str>| {
            let filter = ConfirmedCommitFilter { device_id, state };
            store.list_confirmed_commits(&filter, size, token).await
        };
        let first = list(None, None, 2, None).await.unwrap();
        let ids = |page: &Page<ConfirmedCommitRecord>| -> Vec<String> {
            page.items.iter().map(|row| row.id.clone()).collect()
        };
        assert_eq!(ids(&first), [made[2].clone(), made[1].clone()], "{kind}");
        let token = first.next_page_token.as_deref();
        let rest = list(None, None, 2, token).await.unwrap();
        assert_eq!(ids(&rest), [made[0].clone()], "{kind}");
        let foreign = list(Some("d1"), None, 2, token).await;
        assert!(matches!(foreign, Err(StoreError::BadPageToken)), "{kind}");
        let one = list(Some("d1"), Some("pending"), 10, None).await.unwrap();
        assert_eq!(ids(&one), [made[0].clone()], "{kind}");
        let open = store
            .confirmed_commits_in(&[STARTING, "pending"], &made[0], 10)
            .await
            .unwrap();
        let found: Vec<String> = open.into_iter().map(|row| row.id).collect();
        assert_eq!(found, [made[1].clone(), made[3].clone()], "{kind}");
        let later = START + ::time::Duration::days(1);
        let forgotten = store
            .delete_confirmed_commits_before(later, &[STARTING, "pending"])
            .await;
        assert_eq!(forgotten.unwrap(), 1, "{kind}");
    }
}

/// X6: the token is sealed, and sealed anew when the key changes.
#[tokio::test]
async fn documents_of_confirmed_commits_are_sealed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ncgate.db");
    let key = |byte: u8| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode([byte; 32])
    };
    let text = |text: String| KeySource::Text(Zeroizing::new(text));
    let at = || Location::File(path.clone());
    let store = open(at(), text(key(1))).await.unwrap();
    let (_, made) = journalled(&store, "d1").await;
    store.close().await;
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(memchr::memmem::find(&bytes, b"canary").is_none());
    }
    let store = open(at(), text(format!("{},{}", key(2), key(1)))).await.unwrap();
    store.close().await;
    let store = open(at(), text(key(2))).await.unwrap();
    assert_eq!(store.get_confirmed_commit(&made.id).await.unwrap(), made);
}
