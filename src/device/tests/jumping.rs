//! Devices behind one jump host.

use super::*;

fn behind(name: &str, login: u64) -> Settings {
    let hop = |name: &str, login| JumpHost {
        name: name.to_owned(),
        login,
    };
    Settings {
        jump_hosts: vec![hop("gw@gate:22", login), hop("gw@inner:22", login)],
        ..named(name)
    }
}

/// The jump host with this index says no.
fn refused_at(index: usize) -> ConnectError {
    let ConnectError::Transport(source) = auth() else {
        unreachable!("it is one of the transport");
    };
    ConnectError::Transport(TransportError::Jump {
        index,
        host: "gate".to_owned(),
        source: Box::new(source),
    })
}

async fn fail(device: &Device) -> Failure {
    let failed = device.read("a", within(30), request("get")).await;
    failed.unwrap_err().failure
}

/// Q4: what a jump host refuses is counted once for all devices behind it; then one of them tries for all.
#[tokio::test(start_paused = true)]
async fn refusals_of_a_jump_host_count_for_all_behind_it() {
    let world = World::new();
    let fake = echo_device();
    let devices: Vec<_> = (0..6)
        .map(|index| world.add_failing(behind(&format!("r{index}"), 1), &fake, vec![refused_at(0)]))
        .collect();
    let connects = || {
        let counts = devices.iter().map(|(_, connector)| connector.connects().len());
        counts.sum::<usize>()
    };
    for (device, _) in &devices[..3] {
        assert!(matches!(fail(device).await, Failure::Connect { .. }));
    }
    for (device, _) in &devices[3..] {
        let failure = fail(device).await;
        let Failure::JumpSuspended {
            host,
            refused,
            retry_after,
        } = &failure
        else {
            panic!("{failure}");
        };
        assert_eq!((host.as_str(), *refused), ("gw@gate:22", 3));
        assert!(*retry_after > Duration::from_secs(890), "{retry_after:?}");
    }
    assert_eq!(connects(), 3);
    // With other credentials it is another login.
    let (other, _) = world.add(behind("other", 2), &fake);
    assert!(other.read("a", within(30), request("get")).await.is_ok());
    assert!(matches!(fail(&devices[3].0).await, Failure::JumpSuspended { .. }));
    tokio::time::sleep(Duration::from_secs(901)).await;
    // The first one is let in now; that frees those that were refused as well as those that never tried.
    for (device, _) in [&devices[0], &devices[1]] {
        assert!(device.read("a", within(30), request("get")).await.is_ok());
    }
    assert_eq!(connects(), 5);
}

/// Q4: a jump host that lets us in is not blamed for what is behind it.
#[tokio::test(start_paused = true)]
async fn refusals_behind_a_jump_host_stay_where_they_are() {
    let world = World::new();
    let fake = echo_device();
    for index in 0..4 {
        let (device, _) = world.add_failing(behind(&format!("r{index}"), 1), &fake, vec![auth()]);
        assert!(matches!(fail(&device).await, Failure::Connect { .. }));
    }
    for index in 0..3 {
        let (device, _) = world.add_failing(behind(&format!("s{index}"), 1), &fake, vec![refused_at(1)]);
        assert!(matches!(fail(&device).await, Failure::Connect { .. }));
    }
    let (device, _) = world.add(behind("last", 1), &fake);
    let failure = fail(&device).await;
    assert!(
        matches!(&failure, Failure::JumpSuspended { host, refused: 3, .. } if host == "gw@inner:22"),
        "{failure}"
    );
}

/// Q4: `check` tries at once, and its success frees all that wait.
#[tokio::test(start_paused = true)]
async fn a_person_ends_the_wait_for_a_jump_host() {
    let world = World::new();
    let fake = echo_device();
    let failures = || (0..3).map(|_| refused_at(0)).collect();
    let (refused, _) = world.add_failing(behind("r1", 1), &fake, failures());
    let (other, _) = world.add(behind("r2", 1), &fake);
    for _ in 0..3 {
        assert!(matches!(fail(&refused).await, Failure::Connect { .. }));
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(matches!(fail(&other).await, Failure::JumpSuspended { .. }));
    assert!(other.check("a", within(30)).await.is_ok());
    assert!(other.read("a", within(30), request("get")).await.is_ok());
    assert!(refused.read("a", within(30), request("get")).await.is_ok());
}
