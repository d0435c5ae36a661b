//! Changes: as they are stored, listed, sealed and forgotten.

use super::*;

fn change(id: &str, device_id: &str, state: &str) -> ChangeRecord {
    ChangeRecord {
        id: id.to_owned(),
        device_id: device_id.to_owned(),
        device: "r1".to_owned(),
        owner: "alice".to_owned(),
        mode: "exclusive".to_owned(),
        state: state.to_owned(),
        outcome: None,
        reason: None,
        request_id: Some("req-1".to_owned()),
        created_at: START,
        updated_at: START,
        passed: Vec::new(),
        document: b"{\"diff\": \"canary-diff\"}".to_vec(),
    }
}

/// E2: a change is there from its beginning on, and every word about it replaces the one before.
#[tokio::test]
async fn a_change_comes_back_as_it_was_stored() {
    for (kind, store) in Backends::open().await.stores {
        let mut row = change(&store.new_id(), "d1", "preparing");
        store.insert_change(&mut row, None).await.unwrap();
        assert_eq!(store.get_change("d1", &row.id).await.unwrap(), row, "{kind}");
        row.state = "committed".to_owned();
        row.outcome = Some("applied".to_owned());
        row.document = b"{}".to_vec();
        store.update_change(&mut row).await.unwrap();
        assert_eq!(store.get_change("d1", &row.id).await.unwrap(), row, "{kind}");
        assert!(row.updated_at >= row.created_at, "{kind}");
        let elsewhere = store.get_change("d2", &row.id).await;
        assert!(matches!(elsewhere, Err(StoreError::NotFound)), "{kind}");
        let unknown = store.update_change(&mut change("none", "d1", "failed")).await;
        assert!(matches!(unknown, Err(StoreError::NotFound)), "{kind}");
        let found = store.changes_of_in("d1", "committed", 10).await.unwrap();
        assert_eq!(found.as_slice(), std::slice::from_ref(&row), "{kind}");
        assert_eq!(
            store.changes_of_in("d2", "committed", 10).await.unwrap(),
            [],
            "{kind}"
        );
        let found = store.changes_in("committed", "", 10).await.unwrap();
        assert_eq!(found, [row], "{kind}");
        assert_eq!(store.changes_in("failed", "", 10).await.unwrap(), [], "{kind}");
    }
}

/// H10: pages of one device's changes, the newest first; a token is bound to its list.
#[tokio::test]
async fn changes_are_listed_newest_first() {
    for (kind, store) in Backends::open().await.stores {
        let mut made = Vec::new();
        for number in 0..5 {
            let state = if number % 2 == 0 { "committed" } else { "failed" };
            let mut row = change(&store.new_id(), "d1", state);
            store.insert_change(&mut row, None).await.unwrap();
            made.insert(0, row.id);
        }
        store
            .insert_change(&mut change(&store.new_id(), "d2", "failed"), None)
            .await
            .unwrap();
        let mut seen = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = store.list_changes("d1", None, 2, token.as_deref()).await.unwrap();
            seen.extend(page.items.into_iter().map(|row| row.id));
            match page.next_page_token {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, made, "{kind}");
        let failed = store.list_changes("d1", Some("failed"), 1, None).await.unwrap();
        assert_eq!(failed.items[0].id, made[1], "{kind}");
        let token = failed.next_page_token.unwrap();
        let next = store.list_changes("d1", Some("failed"), 1, Some(&token)).await;
        assert_eq!(next.unwrap().items[0].id, made[3], "{kind}");
        let foreign = store.list_changes("d1", None, 1, Some(&token)).await;
        assert!(matches!(foreign, Err(StoreError::BadPageToken)), "{kind}");
    }
}

/// What ended long ago is forgotten, what is still to come is not.
#[tokio::test]
async fn old_changes_are_forgotten() {
    for (kind, store) in Backends::open().await.stores {
        for state in ["committed", "scheduled"] {
            let mut row = change(&store.new_id(), "d1", state);
            store.insert_change(&mut row, None).await.unwrap();
        }
        let before = START + ::time::Duration::days(1);
        let kept = ["scheduled"];
        assert_eq!(
            store.delete_changes_before(START, &kept).await.unwrap(),
            0,
            "{kind}"
        );
        assert_eq!(
            store.delete_changes_before(before, &kept).await.unwrap(),
            1,
            "{kind}"
        );
        let left = store.list_changes("d1", None, 10, None).await.unwrap().items;
        assert_eq!(left.len(), 1, "{kind}");
        assert_eq!(left[0].state, "scheduled", "{kind}");
    }
}

/// X6: what a change says of the device's configuration is sealed, and sealed anew when the key changes.
#[tokio::test]
async fn documents_of_changes_are_sealed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ncgate.db");
    let key = |byte: u8| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode([byte; 32])
    };
    let text = |text: String| KeySource::Text(Zeroizing::new(text));
    let at = || Location::File(path.clone());
    let store = open(at(), text(key(1))).await.unwrap();
    let mut row = change(&store.new_id(), "d1", "committed");
    store.insert_change(&mut row, None).await.unwrap();
    store.close().await;
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(11).any(|window| window == b"canary-diff"));
    assert!(matches!(
        open(at(), text(key(2))).await,
        Err(OpenError::KeyMissing { .. })
    ));
    let both = text(format!("{},{}", key(2), key(1)));
    let store = open(at(), both).await.unwrap();
    assert_eq!(store.get_change("d1", &row.id).await.unwrap(), row);
    store.close().await;
    let store = open(at(), text(key(2))).await.unwrap();
    assert_eq!(store.get_change("d1", &row.id).await.unwrap(), row);
}

/// H11, E1: states that were gone before they were stored are told in their order with the one that is; what is refused
/// leaves nothing behind, and the next one is stored.
#[tokio::test]
async fn states_that_a_change_went_through_are_told() {
    for (kind, store) in Backends::open().await.stores {
        let mut row = change(&store.new_id(), "d1", "preparing");
        store.insert_change(&mut row, None).await.unwrap();
        row.state = "committing".to_owned();
        row.passed = vec!["editing".to_owned(), "validated".to_owned()];
        store.journal_commit(&mut row).await.unwrap();
        assert!(store.journal_commit(&mut row).await.is_err(), "{kind}");
        row.state = "committed".to_owned();
        row.outcome = Some("applied".to_owned());
        row.passed = Vec::new();
        store.update_change(&mut row).await.unwrap();
        // The same state again tells of nothing.
        store.update_change(&mut row).await.unwrap();
        let run = store.events_after(0, &EventFilter::default(), 10).await.unwrap();
        let told: Vec<_> = run
            .events
            .iter()
            .map(|found| (found.event.kind.as_str(), found.event.facts.outcome.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("change.preparing", None),
                ("change.editing", None),
                ("change.validated", None),
                ("change.committing", None),
                ("change.committed", Some("applied")),
            ],
            "{kind}"
        );
        assert_eq!(store.get_change("d1", &row.id).await.unwrap(), row, "{kind}");
    }
}

/// E2: a transaction that nobody waits for any more is made whole or not at all, and is in nobody's way.
#[tokio::test]
async fn a_write_that_is_given_up_is_whole_or_nothing() {
    for (kind, store) in Backends::open().await.stores {
        for _ in 0..20 {
            let mut row = change(&store.new_id(), "d1", "preparing");
            let insert = store.insert_change(&mut row, None);
            let given_up = tokio::time::timeout(Duration::ZERO, insert).await.is_err();
            let id = row.id.clone();
            let mut next = change(&store.new_id(), "d1", "preparing");
            store.insert_change(&mut next, None).await.unwrap();
            let stored = store.get_change("d1", &id).await.is_ok();
            let run = store
                .events_after(0, &EventFilter::default(), 1000)
                .await
                .unwrap();
            let of = |id: &str| {
                let facts = run.events.iter().map(|found| &found.event.facts);
                facts
                    .filter(|facts| facts.change_id.as_deref() == Some(id))
                    .count()
            };
            assert_eq!(
                (of(&id), of(&next.id)),
                (usize::from(stored), 1),
                "{kind}: {given_up}"
            );
            assert!(stored || given_up, "{kind}");
        }
    }
}
