//! Operations and idempotency keys: stored together, listed with the changes, sealed, forgotten.

use super::*;

fn operation(id: &str, device_id: &str) -> OperationRecord {
    OperationRecord {
        id: id.to_owned(),
        kind: "copy_config".to_owned(),
        device_id: device_id.to_owned(),
        device: "r1".to_owned(),
        owner: "alice".to_owned(),
        state: "running".to_owned(),
        outcome: None,
        created_at: START,
        updated_at: START,
        document: b"{\"failure\": \"canary-failure\"}".to_vec(),
    }
}

fn change(id: &str) -> ChangeRecord {
    ChangeRecord {
        id: id.to_owned(),
        device_id: "d1".to_owned(),
        device: "r1".to_owned(),
        owner: "alice".to_owned(),
        mode: "exclusive".to_owned(),
        state: "preparing".to_owned(),
        outcome: None,
        reason: None,
        request_id: None,
        created_at: START,
        updated_at: START,
        passed: Vec::new(),
        document: b"{}".to_vec(),
    }
}

fn key(scope: &str) -> NewKey {
    NewKey {
        scope: scope.to_owned(),
        request: b"canary-request".to_vec(),
        expired: START - time::Duration::DAY,
    }
}

/// H7: an operation is there from its beginning on; its response comes with its end.
#[tokio::test]
async fn an_operation_comes_back_as_it_was_stored() {
    for (kind, store) in Backends::open().await.stores {
        let mut row = operation(&store.new_id(), "d1");
        store.insert_operation(&mut row, None).await.unwrap();
        assert_eq!(
            store.get_operation(&row.id).await.unwrap(),
            (row.clone(), None),
            "{kind}"
        );
        let mut told = store.listen();
        row.state = "succeeded".to_owned();
        row.outcome = Some("applied".to_owned());
        store
            .end_operation(&mut row, Some(b"answer"), None)
            .await
            .unwrap();
        assert_eq!(&*told.recv().await.unwrap(), row.id.as_str(), "{kind}");
        let found = store.get_operation(&row.id).await.unwrap();
        assert_eq!(found, (row, Some(b"answer".to_vec())), "{kind}");
        let unknown = store.get_operation("none").await;
        assert!(matches!(unknown, Err(StoreError::NotFound)), "{kind}");
    }
}

/// E6, H8: a change is added with its key, or, while another one of its device waits for its time, neither is, and nothing is
/// told.
#[tokio::test]
async fn a_change_is_added_unless_another_one_waits() {
    const WAITS: &str = "scheduled";
    for (kind, store) in Backends::open().await.stores {
        let mut waiting = change(&store.new_id());
        waiting.state = WAITS.to_owned();
        let added = store.insert_change_unless(&mut waiting, None, WAITS).await;
        assert!(added.unwrap(), "{kind}");
        let mut told = store.watch_events();
        told.mark_unchanged();
        let mut row = change(&store.new_id());
        let added = store.insert_change_unless(&mut row, Some(&key("s")), WAITS).await;
        assert!(!added.unwrap(), "{kind}");
        let missing = store.find_change(&row.id).await;
        assert!(matches!(missing, Err(StoreError::NotFound)), "{kind}");
        let since = START - time::Duration::DAY;
        assert_eq!(store.find_key("s", since).await.unwrap(), None, "{kind}");
        assert!(!told.has_changed().unwrap(), "{kind}");

        // On another device, or when nobody asks.
        let mut elsewhere = change(&store.new_id());
        elsewhere.device_id = "d2".to_owned();
        let added = store.insert_change_unless(&mut elsewhere, None, WAITS).await;
        assert!(added.unwrap(), "{kind}");
        store.insert_change(&mut row, Some(&key("s"))).await.unwrap();
        let found = store.find_key("s", since).await.unwrap().unwrap();
        assert_eq!(found.operation_id, row.id, "{kind}");
        assert_eq!(store.find_change(&row.id).await.unwrap(), row, "{kind}");
    }
}

/// H8: key and operation are stored together or not at all.
#[tokio::test]
async fn a_key_begins_one_operation() {
    for (kind, store) in Backends::open().await.stores {
        let mut first = operation(&store.new_id(), "d1");
        store.insert_operation(&mut first, Some(&key("s"))).await.unwrap();
        let mut second = operation(&store.new_id(), "d1");
        let taken = store.insert_operation(&mut second, Some(&key("s"))).await;
        assert!(matches!(taken, Err(StoreError::KeyTaken)), "{kind}: {taken:?}");
        let missing = store.get_operation(&second.id).await;
        assert!(matches!(missing, Err(StoreError::NotFound)), "{kind}");
        let mut changed = change(&store.new_id());
        let taken = store.insert_change(&mut changed, Some(&key("s"))).await;
        assert!(matches!(taken, Err(StoreError::KeyTaken)), "{kind}");
        let missing = store.find_change(&changed.id).await;
        assert!(matches!(missing, Err(StoreError::NotFound)), "{kind}");
        let found = store
            .find_key("s", START - time::Duration::DAY)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (
                found.operation_id.as_str(),
                found.request.as_slice(),
                found.answer
            ),
            (first.id.as_str(), &b"canary-request"[..], None),
            "{kind}"
        );
        let end = KeyEnd {
            scope: "s".to_owned(),
            operation_id: first.id.clone(),
            answer: Some(b"answer".to_vec()),
        };
        store.end_operation(&mut first, None, Some(&end)).await.unwrap();
        let found = store
            .find_key("s", START - time::Duration::DAY)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.answer.as_deref(), Some(&b"answer"[..]), "{kind}");
        assert_eq!(store.count_keys().await.unwrap(), 1, "{kind}");
        // One that has expired is in nobody's way, and is not found.
        let later = START + time::Duration::DAY;
        assert_eq!(store.find_key("s", later).await.unwrap(), None, "{kind}");
        let renewed = NewKey {
            expired: later,
            ..key("s")
        };
        store.insert_operation(&mut second, Some(&renewed)).await.unwrap();
        // The end of the first one comes late: the key is another's by now, and stays it.
        let late = KeyEnd { answer: None, ..end };
        let answered = KeyEnd {
            answer: Some(b"late".to_vec()),
            ..late.clone()
        };
        for end in [&answered, &late] {
            store.end_key(end).await.unwrap();
            let found = store.find_key("s", START - time::Duration::DAY).await;
            let found = found.unwrap().unwrap();
            assert_eq!(
                (found.operation_id, found.answer),
                (second.id.clone(), None),
                "{kind}"
            );
        }
        let free = KeyEnd {
            operation_id: second.id.clone(),
            ..late
        };
        store.end_key(&free).await.unwrap();
        assert_eq!(store.count_keys().await.unwrap(), 0, "{kind}");
    }
}

/// H10: changes are operations, in one list by age.
#[tokio::test]
async fn operations_and_changes_are_one_list() {
    for (kind, store) in Backends::open().await.stores {
        let mut made = Vec::new();
        for number in 0..7 {
            let id = store.new_id();
            match number % 3 {
                0 => store.insert_change(&mut change(&id), None).await.unwrap(),
                1 => store
                    .insert_operation(&mut operation(&id, "d1"), None)
                    .await
                    .unwrap(),
                _ => store
                    .insert_operation(&mut operation(&id, "d2"), None)
                    .await
                    .unwrap(),
            }
            made.insert(0, id);
        }
        let (mut seen, mut token): (Vec<String>, Option<String>) = (Vec::new(), None);
        loop {
            let page = store.list_operations(None, 2, token.as_deref()).await.unwrap();
            assert!(page.items.len() <= 2, "{kind}");
            seen.extend(page.items.iter().map(|item| item.id().to_owned()));
            token = page.next_page_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, made, "{kind}");
        let of_device = store.list_operations(Some("d2"), 10, None).await.unwrap();
        assert_eq!(of_device.items.len(), 2, "{kind}");
        let first = store.list_operations(None, 2, None).await.unwrap();
        let other = store
            .list_operations(Some("d1"), 2, first.next_page_token.as_deref())
            .await;
        assert!(matches!(other, Err(StoreError::BadPageToken)), "{kind}");
    }
}

/// D1: what was under way is settled, and old things are forgotten, but none that runs.
#[tokio::test]
async fn operations_are_settled_and_forgotten() {
    for (kind, store) in Backends::open().await.stores {
        let mut row = operation(&store.new_id(), "d1");
        store.insert_operation(&mut row, Some(&key("s"))).await.unwrap();
        let later = START + time::Duration::DAY;
        assert_eq!(
            store.delete_operations_before(later, "running").await.unwrap(),
            0,
            "{kind}"
        );
        let settled = store.settle_operations("running", "unknown", "unknown").await;
        assert_eq!(settled.unwrap(), 1, "{kind}");
        let (found, _) = store.get_operation(&row.id).await.unwrap();
        assert_eq!(
            (found.state.as_str(), found.outcome.as_deref()),
            ("unknown", Some("unknown"))
        );
        assert_eq!(
            store.delete_operations_before(later, "running").await.unwrap(),
            1,
            "{kind}"
        );
        assert_eq!(store.delete_keys_before(later).await.unwrap(), 1, "{kind}");
    }
}

/// D1: those in one state are found page by page, and more can be noted of one without a word about its state.
#[tokio::test]
async fn operations_are_found_by_their_state() {
    for (kind, store) in Backends::open().await.stores {
        let mut ids = Vec::new();
        for _ in 0..3 {
            let mut row = operation(&store.new_id(), "d1");
            store.insert_operation(&mut row, None).await.unwrap();
            ids.push(row.id);
        }
        let found = async |state: &str, after: &str| {
            let rows = store.operations_in(state, after, 2).await.unwrap();
            rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
        };
        assert_eq!(found("running", "").await, ids[..2], "{kind}");
        assert_eq!(found("running", &ids[1]).await, ids[2..], "{kind}");
        assert!(found("unknown", "").await.is_empty(), "{kind}");
        store.note_operation(&ids[0], b"more").await.unwrap();
        let (noted, _) = store.get_operation(&ids[0]).await.unwrap();
        assert_eq!(
            (noted.state.as_str(), &noted.document[..]),
            ("running", &b"more"[..])
        );
        let nobody = store.note_operation("none", b"more").await;
        assert!(matches!(nobody, Err(StoreError::NotFound)), "{kind}");
    }
}

/// X6: what is stored is sealed, and another key seals it anew.
#[tokio::test]
async fn operations_and_keys_are_sealed_and_sealed_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ncgate.db");
    let key_of = |byte: u8| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode([byte; 32])
    };
    let (old, new) = (key_of(1), key_of(2));
    let text = |keys: &str| KeySource::Text(Zeroizing::new(keys.to_owned()));
    let store = open(Location::File(path.clone()), text(&old)).await.unwrap();
    let mut row = operation(&store.new_id(), "d1");
    store.insert_operation(&mut row, Some(&key("s"))).await.unwrap();
    let end = KeyEnd {
        scope: "s".to_owned(),
        operation_id: row.id.clone(),
        answer: Some(b"canary-answer".to_vec()),
    };
    store
        .end_operation(&mut row, Some(b"canary-response"), Some(&end))
        .await
        .unwrap();
    store.close().await;
    let bytes = std::fs::read(&path).unwrap();
    assert!(memchr::memmem::find(&bytes, b"canary").is_none());
    let both = open(Location::File(path.clone()), text(&format!("{new},{old}"))).await;
    both.unwrap().close().await;
    let store = open(Location::File(path), text(&new)).await.unwrap();
    let (_, response) = store.get_operation(&row.id).await.unwrap();
    assert_eq!(response.as_deref(), Some(&b"canary-response"[..]));
    let found = store
        .find_key("s", START - time::Duration::DAY)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.answer.as_deref(), Some(&b"canary-answer"[..]));
    assert_eq!(found.request, b"canary-request");
}
