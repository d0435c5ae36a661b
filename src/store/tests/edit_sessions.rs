//! The contract of edit sessions, on each database.

use super::*;

pub(super) fn edit_session(store: &Store, device_id: &str) -> EditSessionRecord {
    EditSessionRecord {
        id: store.new_id(),
        device_id: device_id.to_owned(),
        device: "r1".to_owned(),
        owner: "alice".to_owned(),
        mode: "ephemeral".to_owned(),
        datastore: "candidate".to_owned(),
        instance: Some("blue".to_owned()),
        session_id: u64::from(u32::MAX),
        ttl_seconds: 60,
        state: OPENING.to_owned(),
        reason: None,
        request_id: Some("req-1".to_owned()),
        created_at: START,
        expires_at: START + time::Duration::minutes(1),
        ended_at: None,
        warnings: "[]".to_owned(),
    }
}

/// Issue 3, item 1: an edit session comes back as it was stored, at its device only; one that is being opened is not
/// listed.
#[tokio::test]
async fn an_edit_session_comes_back_as_it_was_stored() {
    for (kind, store) in Backends::open().await.stores {
        let mut session = edit_session(&store, "d1");
        store.insert_edit_session(&session).await.unwrap();
        assert_eq!(
            store.list_edit_sessions("d1", 10, None).await.unwrap().items,
            [],
            "{kind}"
        );
        session.state = "closed".to_owned();
        session.reason = Some("released".to_owned());
        session.session_id = 4711;
        session.ended_at = Some(START + time::Duration::seconds(7));
        session.expires_at = START + time::Duration::minutes(2);
        session.warnings = "[{}]".to_owned();
        store.update_edit_session(&session).await.unwrap();
        assert_eq!(
            store.get_edit_session("d1", &session.id).await.unwrap(),
            session,
            "{kind}"
        );
        assert_eq!(
            store.list_edit_sessions("d1", 10, None).await.unwrap().items,
            std::slice::from_ref(&session),
            "{kind}"
        );
        let other = store.get_edit_session("d2", &session.id).await;
        assert!(matches!(other, Err(StoreError::NotFound)), "{kind}: {other:?}");
        store.delete_edit_session(&session.id).await.unwrap();
        let gone = store.update_edit_session(&session).await;
        assert!(matches!(gone, Err(StoreError::NotFound)), "{kind}: {gone:?}");
    }
}

/// H10: the newest first, in pages that belong to one device.
#[tokio::test]
async fn edit_sessions_are_listed_in_pages() {
    for (kind, store) in Backends::open().await.stores {
        let mut ids = Vec::new();
        for _ in 0..5 {
            let mut session = edit_session(&store, "d1");
            session.state = "open".to_owned();
            store.insert_edit_session(&session).await.unwrap();
            ids.insert(0, session.id);
        }
        let first = store.list_edit_sessions("d1", 3, None).await.unwrap();
        let token = first.next_page_token.as_deref();
        let second = store.list_edit_sessions("d1", 3, token).await.unwrap();
        assert_eq!(second.next_page_token, None, "{kind}");
        let listed: Vec<String> = first
            .items
            .into_iter()
            .chain(second.items)
            .map(|item| item.id)
            .collect();
        assert_eq!(listed, ids, "{kind}");
        let foreign = store.list_edit_sessions("d2", 3, token).await;
        assert!(matches!(foreign, Err(StoreError::BadPageToken)), "{kind}");
    }
}

/// L3: what was open when the gateway ended is lost; what was being opened never was. L2: what has ended is forgotten
/// in time, and nothing else.
#[tokio::test]
async fn edit_sessions_are_settled_and_forgotten() {
    for (kind, store) in Backends::open().await.stores {
        let mut kept = Vec::new();
        for (state, ended) in [(OPENING, None), ("open", None), ("closed", Some(START))] {
            let mut session = edit_session(&store, "d1");
            session.state = state.to_owned();
            session.ended_at = ended;
            store.insert_edit_session(&session).await.unwrap();
            kept.push(session.id);
        }
        assert_eq!(
            store
                .lose_edit_sessions("gateway_restarted", |_| {})
                .await
                .unwrap(),
            1,
            "{kind}"
        );
        assert_eq!(
            store
                .lose_edit_sessions("gateway_restarted", |_| {})
                .await
                .unwrap(),
            0,
            "{kind}"
        );
        let lost = store.get_edit_session("d1", &kept[1]).await.unwrap();
        assert_eq!(
            (lost.state.as_str(), lost.reason.as_deref()),
            ("lost", Some("gateway_restarted"))
        );
        assert_eq!(
            lost.ended_at.map(OffsetDateTime::date),
            Some(START.date()),
            "{kind}"
        );
        assert!(store.get_edit_session("d1", &kept[0]).await.is_err(), "{kind}");
        let open = {
            let mut session = edit_session(&store, "d1");
            session.state = "open".to_owned();
            store.insert_edit_session(&session).await.unwrap();
            session.id
        };
        let just_after = START + time::Duration::microseconds(1);
        assert_eq!(store.forget_edit_sessions(START).await.unwrap(), 0, "{kind}");
        assert_eq!(store.forget_edit_sessions(just_after).await.unwrap(), 1, "{kind}");
        let later = START + time::Duration::days(1);
        assert_eq!(store.forget_edit_sessions(later).await.unwrap(), 1, "{kind}");
        assert!(store.get_edit_session("d1", &open).await.is_ok(), "{kind}");
    }
}
