//! Events: told with what they tell of or not at all, in order, for a time and a number, also to other processes.

use super::*;

fn event(kind: &str, device: Option<&str>) -> NewEvent {
    NewEvent {
        kind: kind.to_owned(),
        device_id: device.map(|name| format!("id-{name}")),
        device: device.map(str::to_owned),
        facts: EventFacts {
            session_id: Some(7),
            reason: Some("why".to_owned()),
            ..EventFacts::default()
        },
    }
}

/// What is told of a row that the other tests of this store write.
fn kinds(run: &EventRun) -> Vec<&str> {
    run.events.iter().map(|found| found.event.kind.as_str()).collect()
}

async fn all(store: &Store) -> EventRun {
    let begun = store.events_after(0, &EventFilter::default(), 1).await.unwrap();
    let first = begun.events.first().map_or(begun.last, |first| first.id - 1);
    store
        .events_after(first, &EventFilter::default(), 1000)
        .await
        .unwrap()
}

/// H11: events come back as they were told, in order, without gaps, and a reader goes on where it was.
#[tokio::test]
async fn events_come_back_in_order() {
    for (kind, store) in Backends::open().await.stores {
        let mut told = store.watch_events();
        let start = all(&store).await.last;
        let first = [event("session.up", Some("r1")), event("session.down", Some("r2"))];
        store.insert_events(&first).await.unwrap();
        let last = [event("config.changed_elsewhere", None)];
        store.insert_events(&last).await.unwrap();
        assert_eq!(*told.borrow_and_update(), start + 3, "{kind}");

        let run = store
            .events_after(start, &EventFilter::default(), 2)
            .await
            .unwrap();
        let found: Vec<_> = run.events.iter().map(|found| found.event.clone()).collect();
        assert_eq!(found, first, "{kind}");
        assert_eq!(run.events[0].at.date(), START.date(), "{kind}");
        assert_eq!(
            (run.through, run.last, run.gap),
            (start + 2, start + 3, false),
            "{kind}"
        );
        let run = store
            .events_after(run.through, &EventFilter::default(), 2)
            .await
            .unwrap();
        assert_eq!(run.events[0].event, last[0], "{kind}");
        assert_eq!((run.events[0].id, run.through), (start + 3, start + 3), "{kind}");
        let end = store
            .events_after(run.through, &EventFilter::default(), 2)
            .await
            .unwrap();
        assert_eq!(
            (end.events.len(), end.through, end.gap),
            (0, start + 3, false),
            "{kind}"
        );
    }
}

/// H10, H11: only what is wanted is given, and a reader goes past the rest.
#[tokio::test]
async fn events_are_filtered_by_device_and_kind() {
    for (kind, store) in Backends::open().await.stores {
        let told = [
            event("change.failed", Some("r1")),
            event("change.failed", Some("r2")),
            event("change.committed", Some("r1")),
            event("changed.never", Some("r1")),
        ];
        store.insert_events(&told).await.unwrap();
        let start = all(&store).await.last - 4;
        for (device, wanted, expected) in [
            (None, Some("change"), vec![1, 2, 3]),
            (Some("r1"), None, vec![1, 3, 4]),
            (Some("r1"), Some("change.failed"), vec![1]),
            (Some("r3"), None, vec![]),
        ] {
            let filter = EventFilter {
                device: device.map(str::to_owned),
                kind: wanted.map(str::to_owned),
            };
            let run = store.events_after(start, &filter, 1000).await.unwrap();
            let ids: Vec<i64> = run.events.iter().map(|found| found.id - start).collect();
            assert_eq!(ids, expected, "{kind}: {filter:?}");
            assert_eq!(
                (run.through, run.last),
                (start + 4, start + 4),
                "{kind}: {filter:?}"
            );
            let takes: Vec<i64> = (1..)
                .zip(&told)
                .filter(|(_, event)| filter.takes(event))
                .map(|(place, _)| place)
                .collect();
            assert_eq!(takes, expected, "{kind}: {filter:?}");

            let mut listed = Vec::new();
            let mut token = None;
            loop {
                let page = store.list_events(&filter, 2, token.as_deref()).await.unwrap();
                listed.extend(page.items.into_iter().map(|found| found.id - start));
                match page.next_page_token {
                    Some(next) => token = Some(next),
                    None => break,
                }
            }
            listed.reverse();
            assert_eq!(listed, expected, "{kind}: {filter:?}");
        }
        let page = store.list_events(&EventFilter::default(), 2, None).await.unwrap();
        let filter = EventFilter {
            device: Some("r1".to_owned()),
            kind: None,
        };
        for token in [page.next_page_token.as_deref().unwrap(), "AAAA"] {
            let foreign = store.list_events(&filter, 2, Some(token)).await;
            assert!(matches!(foreign, Err(StoreError::BadPageToken)), "{kind}");
        }
    }
}

/// H11: the log is bounded by number and by age, and a reader learns that what it asks for is gone, or never was.
#[tokio::test]
async fn the_log_is_bounded_and_says_what_is_gone() {
    for (kind, mut store) in Backends::open().await.stores {
        store.events_kept = 150;
        let start = all(&store).await.last;
        for _ in 0..30 {
            let ten: Vec<_> = (0..10).map(|_| event("session.up", None)).collect();
            store.insert_events(&ten).await.unwrap();
        }
        let run = all(&store).await;
        assert!(
            (150..250).contains(&run.events.len()),
            "{kind}: {}",
            run.events.len()
        );
        assert_eq!(run.last, start + 300, "{kind}");
        let oldest = run.events[0].id;
        let after = async |id| store.events_after(id, &EventFilter::default(), 1).await.unwrap();
        assert!(!after(oldest - 1).await.gap, "{kind}");
        assert!(after(oldest - 2).await.gap, "{kind}");
        assert!(after(start).await.gap, "{kind}");
        assert!(after(run.last + 1).await.gap, "{kind}: there was no such event");
        assert!(!after(run.last).await.gap, "{kind}");

        let deleted = store.delete_events_before(START).await.unwrap();
        assert_eq!(deleted, 0, "{kind}");
        let later = START + ::time::Duration::days(1);
        assert!(store.delete_events_before(later).await.unwrap() > 0, "{kind}");
        assert!(!after(run.last).await.gap, "{kind}: nothing was missed");
        assert!(after(run.last - 1).await.gap, "{kind}");
        store.insert_events(&[event("session.up", None)]).await.unwrap();
        assert_eq!(after(run.last).await.events[0].id, run.last + 1, "{kind}");
    }
}

/// H11: what one process tells, another one on the same database sees, in the order of the ids, none of them twice and
/// none left out, however many tell at a time.
#[tokio::test]
async fn ids_become_visible_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ncgate.db");
    let mut pairs = vec![(
        "sqlite",
        open_file(&path).await.unwrap(),
        open_file(&path).await.unwrap(),
    )];
    if let Some(url) = postgres_schema().await {
        let one = async || {
            open(Location::Postgres(url.clone()), KeySource::Ephemeral)
                .await
                .unwrap()
        };
        pairs.push(("postgres", one().await, one().await));
    }
    for (kind, teller, reader) in pairs {
        let start = all(&reader).await.last;
        let telling = (0..20).map(|_| {
            let teller = teller.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    teller.insert_events(&[event("session.up", None)]).await.unwrap();
                }
            })
        });
        let telling: Vec<_> = telling.collect();
        let mut seen = start;
        while seen < start + 100 {
            let run = reader
                .events_after(seen, &EventFilter::default(), 1000)
                .await
                .unwrap();
            for found in &run.events {
                assert_eq!(found.id, seen + 1, "{kind}");
                seen = found.id;
            }
            assert_eq!(run.through, seen, "{kind}");
            tokio::task::yield_now().await;
        }
        for task in telling {
            task.await.unwrap();
        }
    }
}

/// H11: each state of a change, a confirmed commit and an edit session is told once, with what is stored of it.
#[tokio::test]
async fn records_tell_of_their_states() {
    for (kind, store) in Backends::open().await.stores {
        let (mut row, mut made) = super::confirmed_commits::journalled(&store, "d1").await;
        for _ in 0..2 {
            made.state = "pending".to_owned();
            row.state = "pending_confirm".to_owned();
            row.outcome = Some("applied".to_owned());
            store
                .update_confirmed_commit(&mut made, Some(&mut row))
                .await
                .unwrap();
        }
        made.deadline += ::time::Duration::minutes(1);
        store.update_confirmed_commit(&mut made, None).await.unwrap();
        made.state = "unknown".to_owned();
        store.update_confirmed_commit(&mut made, None).await.unwrap();
        store.delete_confirmed_commit(&made.id, None).await.unwrap();
        let run = all(&store).await;
        assert_eq!(
            kinds(&run),
            [
                "change.committing",
                "change.pending_confirm",
                "confirmed_commit.pending",
                "confirmed_commit.extended",
                "confirmed_commit.unknown",
                "confirmed_commit.never_made",
            ],
            "{kind}"
        );
        let told = &run.events[1].event;
        assert_eq!(told.device.as_deref(), Some("r1"), "{kind}");
        assert_eq!(told.device_id.as_deref(), Some("d1"), "{kind}");
        let expected = EventFacts {
            change_id: Some(row.id.clone()),
            confirmed_commit_id: Some(made.id.clone()),
            operation_id: Some(row.id.clone()),
            state: Some("pending_confirm".to_owned()),
            outcome: Some("applied".to_owned()),
            owner: Some("alice".to_owned()),
            request_id: Some("req-1".to_owned()),
            ..EventFacts::default()
        };
        assert_eq!(told.facts, expected, "{kind}");
        let extended = &run.events[3].event.facts;
        assert_eq!(extended.state.as_deref(), Some("pending"), "{kind}");
        assert_eq!(extended.deadline, Some(START.unix_timestamp() + 60), "{kind}");

        // What is refused tells of nothing.
        assert!(store.journal_commit(&mut row).await.is_err(), "{kind}");
        assert_eq!(all(&store).await.last, run.last, "{kind}");
    }
}

/// L3, D1: the edit sessions that a gateway left behind are told as lost, those that were never opened not at all.
#[tokio::test]
async fn edit_sessions_tell_of_their_ends() {
    for (kind, store) in Backends::open().await.stores {
        let mut ids = Vec::new();
        for state in [OPENING, "open", "open"] {
            let mut session = super::edit_sessions::edit_session(&store, "d1");
            store.insert_edit_session(&session).await.unwrap();
            session.state = state.to_owned();
            store.update_edit_session(&session).await.unwrap();
            store.update_edit_session(&session).await.unwrap();
            ids.push(session.id);
        }
        store
            .lose_edit_sessions("gateway_restarted", |_| {})
            .await
            .unwrap();
        let run = all(&store).await;
        let told: Vec<_> = run
            .events
            .iter()
            .map(|found| {
                (
                    found.event.kind.as_str(),
                    found.event.facts.edit_session_id.clone(),
                )
            })
            .collect();
        let id = |index: usize| Some(ids[index].clone());
        assert_eq!(
            told,
            [
                ("edit_session.opened", id(1)),
                ("edit_session.opened", id(2)),
                ("edit_session.lost", id(1)),
                ("edit_session.lost", id(2)),
            ],
            "{kind}"
        );
        let last = &run.events[3].event.facts;
        assert_eq!(last.reason.as_deref(), Some("gateway_restarted"), "{kind}");
        assert_eq!(last.state.as_deref(), Some("lost"), "{kind}");
    }
}
