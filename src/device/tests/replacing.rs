//! A device that gets other settings while callers wait for a connect with the old ones.

use super::*;

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
    assert!(matches!(error.failure, Failure::DeadlineInQueue), "{error}");
    assert_eq!(error.outcome, Outcome::NotSent);
    assert_eq!(started.elapsed(), Duration::from_secs(10));
}
