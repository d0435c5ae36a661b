//! A device that gets other settings while callers wait for a connect with the old ones.

use super::*;
use crate::pool::Touch;

/// A device whose connects end in a refusal after a minute, and what is asked of it.
fn stuck(world: &World) -> Arc<Device> {
    let connector = Arc::new(FakeConnector {
        device: echo_device(),
        failures: Mutex::new((0..10).map(|_| auth()).collect()),
        connects: Mutex::default(),
        takes: Duration::from_secs(60),
    });
    world.registry.upsert(settings(), connector)
}

/// The same device with settings that are right, a second later.
async fn mend(world: &World) -> Arc<FakeConnector> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.add(settings(), &echo_device()).1
}

/// H9: who waits for a connect when the settings change is served with the new ones at once, and never hears of what the
/// old ones ended in.
#[tokio::test(start_paused = true)]
async fn callers_that_wait_for_a_connect_move_to_the_new_settings() {
    let world = World::new();
    let started = Instant::now();
    let device = stuck(&world);
    let reads = (0..8).map(|_| device.read("a", within(30), request("get")));
    let (answers, single, checked, established, connector) = tokio::join!(
        futures_util::future::join_all(reads),
        device.single_use("b", within(30), request("ping")),
        device.check("c", within(30)),
        device.established("d", within(30)),
        mend(&world),
    );
    assert!(answers.iter().all(|answer| says(answer, "get")), "{answers:?}");
    assert!(says(&single, "ping"), "{single:?}");
    assert!(
        checked.is_ok() && established.is_ok(),
        "{checked:?} {established:?}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert!(!connector.connects().is_empty());
}

/// H9, Q1: so is who wants to hold a session, for the candidate or beside it.
#[tokio::test(start_paused = true)]
async fn holders_that_wait_for_a_connect_move_to_the_new_settings() {
    let world = World::new();
    let started = Instant::now();
    let device = stuck(&world);
    let (candidate, beside, connector) = tokio::join!(
        device.hold("a", within(30), Way::Candidate),
        device.hold("b", within(30), Way::Beside),
        mend(&world),
    );
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    for held in [candidate, beside] {
        let mut held = held.unwrap();
        let answer = held.call(within(30), request("get"), Touch::Nothing).await;
        assert!(says(&answer, "get"), "{answer:?}");
        held.finish().await;
    }
    assert_eq!(connector.connects().len(), 2);
}

/// H9, Q1: who waits for the candidate when the settings change waits on for the one who has it, and then has that of the
/// device with the new settings, before whoever comes later.
#[tokio::test(start_paused = true)]
async fn who_waits_for_the_candidate_moves_to_the_new_settings() {
    let world = World::new();
    let (old, _) = world.add(settings(), &echo_device());
    let first = old.hold("a", within(30), Way::Candidate).await.unwrap();
    let waits = |who: &'static str| {
        let device = old.clone();
        tokio::spawn(async move { device.hold(who, within(30), Way::Candidate).await })
    };
    let next = waits("b");
    while old.status().queued == 0 {
        tokio::task::yield_now().await;
    }
    let (new, connector) = world.add(settings(), &echo_device());
    first.finish().await;
    let mut held = next.await.unwrap().unwrap();
    let who = |device: &Device| device.candidate_occupant().map(|occupant| occupant.who);
    assert_eq!((who(&old), who(&new)), (None, Some("b".to_owned())));
    let answer = held.call(within(30), request("get"), Touch::Nothing).await;
    assert!(says(&answer, "get"), "{answer:?}");
    assert_eq!(connector.connects().len(), 1);
    // Also who has the old device in his hands still.
    let later = waits("c");
    held.finish().await;
    let later = later.await.unwrap().unwrap();
    assert_eq!((who(&old), who(&new)), (None, Some("c".to_owned())));
    assert_eq!(connector.connects().len(), 1);
    later.finish().await;
}

/// H3, L1: the wait for other holders, and the deadline, are one over a change of the settings.
#[tokio::test(start_paused = true)]
async fn the_wait_for_a_holder_holds_over_a_change() {
    let world = World::new();
    let device = stuck(&world);
    let started = Instant::now();
    let (held, _) = tokio::join!(device.hold("a", within(10), Way::Beside), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stuck(&world)
    });
    let error = held.err().expect("no session in time");
    assert!(
        matches!(error.failure, Failure::DeadlineConnecting { .. }),
        "{error}"
    );
    assert_eq!(error.outcome, Outcome::NotSent);
    assert_eq!(started.elapsed(), Duration::from_secs(10));
}

/// A connect that failed before the settings changed is told, and the next call finds the new ones.
#[tokio::test(start_paused = true)]
async fn failures_from_before_stay_failures() {
    let world = World::new();
    let device = stuck(&world);
    let error = device.read("a", within(90), request("get")).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Connect { .. }), "{error}");
    mend(&world).await;
    let answer = device.read("a", within(30), request("get")).await;
    assert!(says(&answer, "get"), "{answer:?}");
}

/// H3: a deadline that passes while the new settings are tried is the caller's, and nothing was sent.
#[tokio::test(start_paused = true)]
async fn the_deadline_holds_over_a_change() {
    let world = World::new();
    let device = stuck(&world);
    let started = Instant::now();
    let (answer, _) = tokio::join!(device.read("a", within(10), request("get")), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stuck(&world)
    });
    let error = answer.unwrap_err();
    assert!(
        matches!(error.failure, Failure::DeadlineConnecting { .. }),
        "{error}"
    );
    assert_eq!(error.outcome, Outcome::NotSent);
    assert_eq!(started.elapsed(), Duration::from_secs(10));
}
