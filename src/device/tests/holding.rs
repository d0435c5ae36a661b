//! Holding a session: turns of the candidate, books, and the way back to the pool.

use super::router::{Router, router};
use super::*;
use crate::netconf::datastore::Datastore;
use crate::pool::{Hold, Touch};

const LOCK: Touch = Touch::Acquires(Hold::Lock(Datastore::Candidate));
const UNLOCK: Touch = Touch::Releases(Hold::Lock(Datastore::Candidate));

fn claim(who: &str) -> Occupant {
    Occupant {
        id: None,
        who: who.to_owned(),
    }
}

/// Q2: a session that gave everything back goes to the pool; who holds it is told meanwhile.
#[tokio::test(start_paused = true)]
async fn session_that_gave_everything_back_is_pooled() {
    let world = World::new();
    let (device, router) = router(&world, settings());
    let mut held = device.hold("a", within(30), Way::Candidate).await.unwrap();
    let session = held.session_id();
    held.call(within(30), request("lock"), LOCK).await.unwrap();
    let holders = device.holders();
    assert_eq!((holders[0].who.as_str(), holders[0].session_id), ("a", session));
    assert!(holders[0].holds.contains(Hold::Lock(Datastore::Candidate)));
    assert!(!device.status().sessions[0].idle);
    assert_eq!(device.candidate_occupant(), Some(claim("a")));
    held.call(within(30), request("unlock"), UNLOCK).await.unwrap();
    held.finish().await;
    assert!(device.holders().is_empty() && device.candidate_occupant().is_none());
    device.read("b", within(30), request("get")).await.unwrap();
    let log = router.state().log.clone();
    assert!(log.contains(&(101, "get".to_owned())), "{log:?}");
    assert!(device.status().sessions[0].idle);
}

/// Q2: what still holds a lock is closed, and the next holder finds the device free.
#[tokio::test(start_paused = true)]
async fn session_with_a_lock_is_closed_before_the_next_turn() {
    let world = World::new();
    let (device, _router) = router(&world, settings());
    let mut first = device.hold("a", within(30), Way::Candidate).await.unwrap();
    first.call(within(30), request("lock"), LOCK).await.unwrap();
    let refused = device
        .hold_as(claim("b"), Duration::ZERO, within(30), Way::Candidate)
        .await;
    let Err(HoldError::HeldHere(occupant)) = refused else {
        panic!("the candidate is held");
    };
    assert_eq!(occupant, Some(claim("a")));
    let next = {
        let device = device.clone();
        tokio::spawn(async move { device.hold("b", within(30), Way::Candidate).await })
    };
    while device.status().queued == 0 {
        tokio::task::yield_now().await;
    }
    // Not finished, only dropped.
    drop(first);
    let mut second = next.await.unwrap().unwrap();
    let reply = second.call(within(30), request("lock"), LOCK).await.unwrap();
    assert!(!reply.scan.is_error());
    assert_eq!(second.session_id(), 102);
}

/// Q1: private copies work beside the holder of the candidate; to commit, they wait for the lane.
#[tokio::test(start_paused = true)]
async fn private_copies_work_beside_and_commit_in_the_lane() {
    let world = World::new();
    let (device, _router) = router(&world, settings());
    let exclusive = device.hold("a", within(30), Way::Candidate).await.unwrap();
    let mut private = device.hold("b", within(30), Way::Beside).await.unwrap();
    let refused = private.enter_candidate(Duration::ZERO, within(30)).await;
    assert!(matches!(refused, Err(HoldError::HeldHere(Some(who))) if who == claim("a")));
    let (entered, ()) = tokio::join!(
        private.enter_candidate(Duration::from_secs(20), within(30)),
        exclusive.finish(),
    );
    entered.unwrap();
    assert_eq!(device.candidate_occupant(), Some(claim("b")));
    private.leave_candidate();
    assert_eq!(device.candidate_occupant(), None);
    // Sessions that were not used went back to the pool, or will.
    private.finish().await;
    assert_eq!(device.status().sessions.len(), 2);
}

/// Q1: who waits for a session with the candidate's turn in hand lets a private copy commit first.
#[tokio::test(start_paused = true)]
async fn waiting_for_a_session_does_not_block_the_candidate() {
    let world = World::new();
    // Four sessions: two of them for holders.
    let (device, _router) = router(&world, settings());
    let mut private = device.hold("p", within(30), Way::Beside).await.unwrap();
    let other = device.hold("q", within(30), Way::Beside).await.unwrap();
    let waiting = {
        let device = device.clone();
        tokio::spawn(async move { device.hold("x", within(30), Way::Candidate).await })
    };
    while device.candidate_occupant() != Some(claim("x")) {
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    private
        .enter_candidate(Duration::from_secs(5), within(30))
        .await
        .unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
    private.finish().await;
    let held = waiting.await.unwrap().unwrap();
    assert_eq!(device.candidate_occupant(), Some(claim("x")));
    held.finish().await;
    other.finish().await;
}

/// Q1: holders are waited for no longer than asked, and named then.
#[tokio::test(start_paused = true)]
async fn holders_of_all_places_are_named_when_the_wait_is_over() {
    let world = World::new();
    // Four sessions: two of them for holders.
    let (device, _router) = router(&world, settings());
    let _first = device.hold("p", within(30), Way::Beside).await.unwrap();
    let second = device.hold("q", within(30), Way::Beside).await.unwrap();
    for way in [Way::Beside, Way::Candidate] {
        for wait in [0, 5] {
            let started = Instant::now();
            let refused = device
                .hold_as(claim("x"), Duration::from_secs(wait), within(30), way)
                .await;
            let Err(HoldError::NoPlace(holders)) = refused else {
                panic!("all places are held");
            };
            let who: Vec<&str> = holders.iter().map(|holder| holder.who.as_str()).collect();
            assert_eq!(
                (started.elapsed().as_secs(), who),
                (wait, vec!["p", "q"]),
                "{way:?}"
            );
        }
    }
    assert_eq!(device.candidate_occupant(), None);
    second.finish().await;
    let held = device
        .hold_as(claim("x"), Duration::ZERO, within(30), Way::Candidate)
        .await
        .unwrap();
    held.finish().await;
}

/// Q1: a single call ends by itself, so it is waited for.
#[tokio::test(start_paused = true)]
async fn places_of_single_calls_are_waited_for() {
    let world = World::new();
    let (device, _router) = router(&world, settings());
    let _held = device.hold("p", within(30), Way::Beside).await.unwrap();
    let call = {
        let device = device.clone();
        tokio::spawn(async move { device.single_use("q", within(30), request("wait-3")).await })
    };
    while device.status().sessions.len() < 2 {
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    let held = device
        .hold_as(claim("x"), Duration::ZERO, within(30), Way::Beside)
        .await
        .unwrap();
    assert_eq!(started.elapsed().as_secs(), 3);
    call.await.unwrap().unwrap();
    held.finish().await;
}

/// Q3: a session that died in the pool is replaced as long as nothing was sent; afterwards it is not.
#[tokio::test(start_paused = true)]
async fn only_an_untouched_session_is_replaced() {
    let world = World::new();
    let (device, router) = router(&world, settings());
    let mut held = device.hold("a", within(30), Way::Candidate).await.unwrap();
    let mut watch = held.watch();
    router.kill(held.session_id());
    watch.wait_for(|status| status.ended.is_some()).await.unwrap();
    held.call(within(30), request("lock"), LOCK).await.unwrap();
    assert_eq!(held.session_id(), 102);
    let mut watch = held.watch();
    router.kill(102);
    watch.wait_for(|status| status.ended.is_some()).await.unwrap();
    let error = held
        .call(within(30), request("unlock"), UNLOCK)
        .await
        .unwrap_err();
    assert_eq!(error.outcome, Outcome::NotSent);
}

/// H3: an RPC that may change something and was not answered has an unknown outcome; a read has not.
#[tokio::test(start_paused = true)]
async fn unanswered_rpc_is_told_by_its_touch() {
    let world = World::new();
    let (device, _router) = router(&world, settings());
    for (touch, outcome) in [
        (Touch::Nothing, Outcome::NotApplied),
        (Touch::Edits, Outcome::Unknown),
    ] {
        let mut held = device.hold("a", within(30), Way::Candidate).await.unwrap();
        let error = held.call(within(30), request("die"), touch).await.unwrap_err();
        assert_eq!(error.outcome, outcome);
        held.finish().await;
    }
}

/// D1: a device that is drained refuses new holders and waits for those that there are.
#[tokio::test(start_paused = true)]
async fn draining_waits_for_holders() {
    let world = World::new();
    let (device, _router) = router(&world, settings());
    let held = device.hold("a", within(30), Way::Candidate).await.unwrap();
    let registry = world.registry.clone();
    let shutdown = tokio::spawn(async move { registry.shutdown(Duration::from_secs(20)).await });
    let refused = loop {
        match device.hold("b", within(1), Way::Beside).await {
            Err(error) if matches!(error.failure, Failure::Draining) => break error,
            Ok(_) | Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(refused.outcome, Outcome::NotSent);
    held.finish().await;
    assert!(shutdown.await.unwrap());
}

/// Q2: over random schedules of several holders at a time nobody is ever lent a session that holds something on the
/// device, whatever was killed or dropped. The pool alone runs a hundred thousand (`pool::schedules`).
#[tokio::test(start_paused = true)]
async fn lent_sessions_hold_nothing_on_the_device() {
    const HOLDERS: u64 = 4;
    const ROUNDS: u64 = 400;
    let world = World::new();
    let (device, router) = router(&world, settings());
    let holders = (0..HOLDERS).map(|seed| {
        let (device, router) = (device.clone(), router.clone());
        tokio::spawn(async move {
            let dice = Ids::seeded(seed);
            for round in 0..ROUNDS {
                schedule(&device, &router, &dice, &format!("holder {seed}, round {round}")).await;
            }
        })
    });
    for holder in holders.collect::<Vec<_>>() {
        holder.await.unwrap();
    }
    let state = router.state();
    let sessions = state.log.iter().map(|(session, _)| *session).max();
    assert!(
        sessions < Some(100 + u32::try_from(HOLDERS * ROUNDS).unwrap()),
        "none was used twice"
    );
    for operation in OPERATIONS {
        assert!(state.log.iter().any(|(_, done)| done == operation), "{operation}");
    }
}

/// From having a session to giving it back.
async fn schedule(device: &Device, router: &Router, dice: &Ids, what: &str) {
    let [way, steps, how, ..] = dice.bytes::<12>();
    let way = if way % 2 == 0 { Way::Candidate } else { Way::Beside };
    let mut held = device.hold("a", within(3600), way).await.unwrap();
    assert_holds_nothing(router, held.session_id(), what);
    for _ in 0..steps % 6 {
        let [which, fate] = dice.bytes::<2>();
        if fate % 16 == 0 {
            router.kill(held.session_id());
        }
        let (operation, touch) = step(which);
        let asked = held.call(within(30), request(operation), touch);
        // What the device refuses, or does not answer, is part of the game, and so is a caller who leaves.
        match fate % 16 {
            1 => drop(tokio::time::timeout(Duration::ZERO, asked).await),
            _ => drop(asked.await),
        }
    }
    if how % 3 == 0 {
        drop(held);
    } else {
        held.finish().await;
    }
}

const OPERATIONS: [&str; 9] = [
    "lock",
    "unlock",
    "open-configuration",
    "close-configuration",
    "load-configuration",
    "discard-changes",
    "commit-confirmed",
    "cancel-commit",
    "die",
];

fn step(dice: u8) -> (&'static str, Touch) {
    match dice % 18 {
        0 | 1 => ("lock", LOCK),
        2..=5 => ("unlock", UNLOCK),
        6 => ("open-configuration", Touch::Acquires(Hold::Private)),
        7 => ("open-configuration", Touch::Acquires(Hold::Ephemeral)),
        8 | 9 => ("close-configuration", Touch::Releases(Hold::Private)),
        10 => ("close-configuration", Touch::Releases(Hold::Ephemeral)),
        11 => ("load-configuration", Touch::Edits),
        12 => ("discard-changes", Touch::Releases(Hold::Edits)),
        13 => ("commit-confirmed", Touch::CommitsConfirmed),
        14 | 15 => ("cancel-commit", Touch::Releases(Hold::ConfirmedCommit)),
        16 => ("die", Touch::Nothing),
        _ => ("get", Touch::Nothing),
    }
}

fn assert_holds_nothing(router: &Router, session: u64, what: &str) {
    let state = router.state();
    let session = u32::try_from(session).unwrap();
    assert!(!state.locks.values().any(|holder| *holder == session), "{what}");
    assert!(!state.copies.contains(&session), "{what}");
    assert!(!state.armed.contains(&session), "{what}");
    assert_ne!(state.edited, Some(session), "{what}");
}
