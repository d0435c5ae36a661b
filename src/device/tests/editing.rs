//! Edit sessions at run time: how they end, what is undone then, and that they serve one piece of work at a time.

use std::collections::BTreeMap;

use super::router::{Router, router};
use super::*;
use crate::netconf::datastore::Datastore;
use crate::pool::{Hold, Touch};

const CANDIDATE: Hold = Hold::Lock(Datastore::Candidate);
const LOCK: Touch = Touch::Acquires(CANDIDATE);
const TTL: Duration = Duration::from_secs(60);

/// Discard what was edited, then unlock.
fn release() -> Release {
    Arc::new(|_, held| {
        let mut steps = Vec::new();
        if held.contains(&Hold::Edits) {
            steps.push((rpc("discard-changes"), Touch::Releases(Hold::Edits)));
        }
        if held.contains(&CANDIDATE) {
            steps.push((rpc("unlock"), Touch::Releases(CANDIDATE)));
        }
        Ok(steps)
    })
}

fn facts(id: &str) -> EditFacts {
    EditFacts {
        id: id.to_owned(),
        device: "mx1".to_owned(),
        who: "a".to_owned(),
        mode: EditMode::Exclusive,
        datastore: Datastore::Candidate,
        instance: None,
        ttl: TTL,
        created_at: time::OffsetDateTime::UNIX_EPOCH,
    }
}

/// An exclusive edit session with its lock.
async fn open(device: &Device, id: &str) -> EditHandle {
    let claim = Occupant {
        id: Some(id.to_owned()),
        who: "a".to_owned(),
    };
    let held = device
        .hold_as(claim, Duration::ZERO, within(30), Way::Candidate)
        .await;
    let mut held = held.unwrap();
    held.call(within(30), request("lock"), LOCK).await.unwrap();
    let terms = Terms {
        facts: facts(id),
        release: release(),
    };
    device.lease(held, terms)
}

fn work(operation: &'static str, touch: Touch) -> Work {
    Work {
        start: Start::default(),
        counts: None,
        look: None,
        steps: vec![(request(operation), touch)],
        lane: None,
        admit: None,
    }
}

async fn edit(handle: &EditHandle) {
    let answers = handle
        .run(within(30), work("load-configuration", Touch::Edits))
        .await
        .unwrap();
    assert!(!answers[0].as_ref().unwrap().scan.is_error());
}

fn ended(handle: &EditHandle) -> (EditState, Option<EditReason>) {
    let status = handle.status();
    (status.state, status.reason)
}

/// What the device saw last, without the end of the session.
fn last(router: &Router, count: usize) -> Vec<String> {
    let operations = router.operations();
    operations[operations.len() - count..].to_vec()
}

/// L2: what is given back is undone and unlocked first, and only then is the next one's turn; the session is pooled.
#[tokio::test(start_paused = true)]
async fn released_session_is_undone_and_unlocked() {
    let world = World::new();
    let (device, router) = router(&world, settings());
    let handle = open(&device, "e1").await;
    edit(&handle).await;
    assert!(handle.status().uncommitted());
    assert_eq!(device.edit_sessions().len(), 1);
    handle.stop(EditReason::Released);
    assert_eq!(ended(&handle), (EditState::Closed, Some(EditReason::Released)));
    handle.finished().await;
    assert_eq!(last(&router, 2), ["discard-changes", "unlock"]);
    assert!(router.state().locks.is_empty() && router.state().edited.is_none());
    assert_eq!(device.candidate_occupant(), None);
    assert!(device.edit_sessions().is_empty() && device.edit_session("e1").is_some());
    let next = open(&device, "e2").await;
    assert_eq!(next.session_id(), handle.session_id());
}

/// L2: nothing is discarded that this session did not do.
#[tokio::test(start_paused = true)]
async fn session_without_edits_discards_nothing() {
    let world = World::new();
    let (device, router) = router(&world, settings());
    let handle = open(&device, "e1").await;
    handle.stop(EditReason::Released);
    handle.finished().await;
    assert_eq!(router.operations(), ["lock", "unlock"]);
}

/// L2: not used for its time to live it expires; use and renewal push that, and while an RPC runs the clock stands.
#[tokio::test(start_paused = true)]
async fn unused_session_expires_and_is_undone() {
    let world = World::new();
    let (device, router) = router(&world, settings());
    let handle = open(&device, "e1").await;
    tokio::time::sleep(TTL - Duration::from_secs(1)).await;
    handle.renew().unwrap();
    tokio::time::sleep(TTL - Duration::from_secs(1)).await;
    edit(&handle).await;
    // Longer than it lives: nothing but the RPC's own end pushes it.
    let answers = handle
        .run(within(600), work("wait-300", Touch::Nothing))
        .await
        .unwrap();
    assert!(says(&answers[0], "wait-300"));
    assert_eq!(handle.status().state, EditState::Open);
    let started = Instant::now();
    handle.finished().await;
    assert_eq!(started.elapsed().as_secs(), TTL.as_secs());
    assert_eq!(ended(&handle), (EditState::Expired, Some(EditReason::TtlExpired)));
    assert_eq!(last(&router, 2), ["discard-changes", "unlock"]);
    assert!(matches!(handle.renew(), Err(RunError::Ended(_))));
    let refused = handle.run(within(30), work("get", Touch::Nothing)).await;
    assert!(matches!(refused, Err(RunError::Ended(status)) if status.state == EditState::Expired));
}

/// L2: a reply that comes after its caller's deadline still counts as the RPC's end.
#[tokio::test(start_paused = true)]
async fn clock_stands_until_a_late_reply_is_there() {
    let world = World::new();
    let (device, _router) = router(&world, settings());
    let handle = open(&device, "e1").await;
    let started = Instant::now();
    let late = handle
        .run(within(100), work("wait-150", Touch::Nothing))
        .await
        .unwrap();
    let error = late.into_iter().next().unwrap().unwrap_err();
    assert!(matches!(
        error.failure,
        Failure::Session(SessionError::Timeout { .. })
    ));
    handle.finished().await;
    assert_eq!(started.elapsed().as_secs(), 150 + TTL.as_secs());
    assert_eq!(handle.status().state, EditState::Expired);
}

/// L3: a session that is lost takes lock and edits with it; nothing is locked again.
#[tokio::test(start_paused = true)]
async fn lost_session_is_told_with_its_reason() {
    let world = World::new();
    let (device, router) = router(&world, settings());
    let handle = open(&device, "e1").await;
    edit(&handle).await;
    router.kill(handle.session_id());
    handle.finished().await;
    assert_eq!(ended(&handle), (EditState::Lost, Some(EditReason::SessionLost)));
    assert_eq!(router.operations(), ["lock", "load-configuration"]);
    assert_eq!(device.candidate_occupant(), None);
}

/// S26: killed by a call of the gateway, it is lost at once, also while an RPC of it runs.
#[tokio::test(start_paused = true)]
async fn killed_session_is_lost_at_once() {
    let world = World::new();
    let (device, router) = router(&world, settings());
    let handle = open(&device, "e1").await;
    let running = {
        let handle = handle.clone();
        tokio::spawn(async move { handle.run(within(600), work("wait-300", Touch::Edits)).await })
    };
    while !router.operations().contains(&"wait-300".to_owned()) {
        tokio::task::yield_now().await;
    }
    assert!(device.killing(9).is_none());
    assert_eq!(device.killing(handle.session_id()).unwrap().done(), "e1");
    assert_eq!(ended(&handle), (EditState::Lost, Some(EditReason::Killed)));
    router.kill(handle.session_id());
    // Before the RPC that runs is over.
    assert!(matches!(handle.renew(), Err(RunError::Ended(_))));
    // This device ends the session between two RPCs only.
    running.await.unwrap().unwrap();
    handle.finished().await;
    assert_eq!(ended(&handle), (EditState::Lost, Some(EditReason::Killed)));
    assert_eq!(router.operations(), ["lock", "wait-300"]);
}

/// S26: the device may end the victim before it says that it does; what it refuses to kill goes on.
#[tokio::test(start_paused = true)]
async fn session_that_ends_while_it_is_killed_counts_as_killed() {
    let world = World::new();
    let (device, router) = router(&world, settings());
    for (refused, reason) in [(true, EditReason::SessionLost), (false, EditReason::Killed)] {
        let handle = open(&device, "e1").await;
        let killing = device.killing(handle.session_id()).unwrap();
        let killing = (!refused).then_some(killing);
        router.kill(handle.session_id());
        handle.finished().await;
        assert_eq!(ended(&handle), (EditState::Lost, Some(reason)));
        assert_eq!(killing.map(Killing::done), (!refused).then(|| "e1".to_owned()));
        device.forget_edit_session("e1");
    }
}

/// L2: if the device does not let go, the NETCONF session is closed, which has the same effect.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_released_is_closed() {
    let world = World::new();
    let (device, router) = router(&world, settings());
    let handle = open(&device, "e1").await;
    router.state().stubborn = true;
    handle.stop(EditReason::Released);
    handle.finished().await;
    assert!(router.state().locks.is_empty());
    let log = router.state().log.clone();
    assert_eq!(log.last().unwrap().1, "close-session");
}

/// Q2: pieces of work of one session never mix, and who leaves the line has nothing sent.
#[tokio::test(start_paused = true)]
async fn work_is_served_one_piece_at_a_time() {
    let world = World::new();
    let (device, router) = router(&world, settings());
    let handle = open(&device, "e1").await;
    let pair = |first: &'static str, second: &'static str| {
        let handle = handle.clone();
        tokio::spawn(async move {
            let steps = vec![
                (request(first), Touch::Nothing),
                (request(second), Touch::Nothing),
            ];
            handle
                .run(
                    within(60),
                    Work {
                        steps,
                        lane: None,
                        start: Start::default(),
                        counts: None,
                        look: None,
                        admit: None,
                    },
                )
                .await
                .map(|answers| answers.len())
        })
    };
    let first = pair("wait-2", "get-a");
    while router.operations().len() < 2 {
        tokio::task::yield_now().await;
    }
    let second = pair("wait-1", "get-b");
    let third = pair("wait-3", "get-c");
    tokio::task::yield_now().await;
    third.abort();
    assert_eq!(first.await.unwrap().unwrap(), 2);
    assert_eq!(second.await.unwrap().unwrap(), 2);
    assert_eq!(
        router.operations(),
        ["lock", "wait-2", "get-a", "wait-1", "get-b"]
    );
}

/// Q2: a session that lost its lock is no edit session any more, whatever took it.
#[tokio::test(start_paused = true)]
async fn session_without_its_lock_is_lost() {
    let world = World::new();
    let (device, _router) = router(&world, settings());
    let handle = open(&device, "e1").await;
    let unlock = work("unlock", Touch::Releases(CANDIDATE));
    handle.run(within(30), unlock).await.unwrap();
    handle.finished().await;
    assert_eq!(ended(&handle), (EditState::Lost, Some(EditReason::SessionLost)));
}

/// D1: when the gateway ends, what runs may finish, then everything is undone and unlocked; nothing is opened any more.
#[tokio::test(start_paused = true)]
async fn shutdown_ends_edit_sessions_politely() {
    let world = World::new();
    let (device, router) = router(&world, settings());
    let handle = open(&device, "e1").await;
    edit(&handle).await;
    let running = {
        let handle = handle.clone();
        tokio::spawn(async move { handle.run(within(30), work("wait-3", Touch::Nothing)).await })
    };
    while router.operations().len() < 3 {
        tokio::task::yield_now().await;
    }
    assert!(world.registry.shutdown(Duration::from_secs(20)).await);
    assert!(says(&running.await.unwrap().unwrap()[0], "wait-3"));
    assert_eq!(
        ended(&handle),
        (EditState::Lost, Some(EditReason::GatewayRestarted))
    );
    assert_eq!(last(&router, 2), ["discard-changes", "unlock"]);
    assert!(router.state().locks.is_empty());
}

/// L3: a device that is taken out ends its edit sessions; one that is changed does not.
#[tokio::test(start_paused = true)]
async fn removed_device_ends_its_edit_sessions() {
    let world = World::new();
    let (device, router) = router(&world, settings());
    let handle = open(&device, "e1").await;
    let changed = world.registry.upsert(settings(), Arc::new(router.clone()));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(
        changed.edit_session("e1").unwrap().status().state,
        EditState::Open
    );
    edit(&handle).await;
    assert!(world.registry.remove("mx1"));
    handle.finished().await;
    assert_eq!(ended(&handle), (EditState::Lost, Some(EditReason::DeviceRemoved)));
    assert!(router.state().locks.is_empty());
}

/// Q1: the commit of a private copy waits for whoever has the candidate, and learns who that is.
#[tokio::test(start_paused = true)]
async fn work_in_the_lane_waits_for_its_holder() {
    let world = World::new();
    let (device, _router) = router(&world, settings());
    let exclusive = open(&device, "e1").await;
    let mut held = device.hold("b", within(30), Way::Beside).await.unwrap();
    let copy = Touch::Acquires(Hold::Private);
    held.call(within(30), request("open-configuration"), copy)
        .await
        .unwrap();
    let terms = Terms {
        facts: EditFacts {
            mode: EditMode::Private,
            ..facts("e2")
        },
        release: release(),
    };
    let private = device.lease(held, terms);
    let commit = |wait: u64| Work {
        start: Start::default(),
        counts: None,
        look: None,
        steps: vec![(request("commit-configuration"), Touch::Releases(Hold::Edits))],
        lane: Some(Duration::from_secs(wait)),
        admit: None,
    };
    let refused = private.run(within(30), commit(0)).await.unwrap_err();
    assert!(
        matches!(refused, RunError::NotHeld(HoldError::HeldHere(Some(who))) if who.id.as_deref() == Some("e1"))
    );
    exclusive.stop(EditReason::Released);
    private.run(within(30), commit(10)).await.unwrap();
    assert_eq!(device.candidate_occupant(), None);
}

/// Q1, L1: of many that want the candidate at once one gets it, and all others learn who has it.
#[tokio::test(start_paused = true)]
async fn everybody_learns_who_holds_the_candidate() {
    let world = World::new();
    let (device, _router) = router(&world, settings());
    for _ in 0..200 {
        let mut tries = Vec::new();
        for who in ["a", "b", "c"] {
            let device = device.clone();
            let claim = Occupant {
                id: None,
                who: who.to_owned(),
            };
            tries.push(tokio::spawn(async move {
                device
                    .hold_as(claim, Duration::ZERO, within(30), Way::Candidate)
                    .await
            }));
        }
        let mut winners = BTreeMap::new();
        let mut told = Vec::new();
        for (who, result) in ["a", "b", "c"].into_iter().zip(tries) {
            match result.await.unwrap() {
                Ok(held) => drop(winners.insert(who.to_owned(), held)),
                Err(HoldError::HeldHere(occupant)) => told.push(occupant.unwrap().who),
                Err(error) => panic!("{error}"),
            }
        }
        let (winner, held) = winners.pop_first().unwrap();
        assert!(winners.is_empty());
        assert_eq!(told, [winner.clone(), winner]);
        held.finish().await;
    }
}
