//! Opening and ending sessions: failures, pace, compatibility, idle time, shutdown.

use super::*;

/// Q1: a device that takes fewer sessions than it is configured for serves all reads over those that it takes.
#[tokio::test(start_paused = true)]
async fn reads_share_what_sessions_the_device_takes() {
    let world = World::new();
    let (device, connector) = world.add(settings(), &echo_device());
    device.established("a", within(30)).await.unwrap();
    connector
        .failures
        .lock()
        .unwrap()
        .extend((0..100).map(|_| refused()));
    let reads = (0..20).map(|_| device.read("a", within(300), request("wait-1")));
    let answers = futures_util::future::join_all(reads).await;
    assert!(answers.iter().all(|answer| says(answer, "wait-1")), "{answers:?}");
    assert!(connector.connects().len() < 20);
}

/// Q4, quality row 1: failures are told at once, then the device is left alone, and the circuit opens after five.
#[tokio::test(start_paused = true)]
async fn failing_device_is_left_alone() {
    let world = World::new();
    let failures = (0..6).map(|_| refused()).collect();
    let (device, connector) = world.add_failing(settings(), &echo_device(), failures);
    let mut seen = 0;
    for _ in 0..200 {
        let started = Instant::now();
        let result = device.read("a", within(30), request("get")).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
        let Err(error) = result else { break };
        assert_eq!((error.step, error.outcome), (Step::Connect, Outcome::NotSent));
        assert!(error.retry_after().is_some());
        if connector.connects().len() >= 5 && matches!(error.failure, Failure::CircuitOpen { .. }) {
            seen += 1;
            assert_eq!(device.status().state, ConnectionState::CircuitOpen);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(seen > 0);
    assert_eq!(connector.connects().len(), 7);
    assert_eq!(device.status().state, ConnectionState::Connected);
    assert!(device.status().retry_after.is_none());
}

/// Q4, quality row 31: three refusals, then one try per `auth_retry`; `check` asks at once.
#[tokio::test(start_paused = true)]
async fn refused_credentials_are_not_hammered() {
    let world = World::new();
    let failures = (0..4).map(|_| auth()).collect();
    let (device, connector) = world.add_failing(settings(), &echo_device(), failures);
    for _ in 0..600 {
        let error = device.read("a", within(30), request("get")).await.unwrap_err();
        assert!(matches!(&error.failure, Failure::Connect { .. }), "{error}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(connector.connects().len(), 3);
    assert_eq!(device.status().state, ConnectionState::AuthFailed);
    assert!(device.check("a", within(30)).await.is_err());
    assert!(device.check("a", within(30)).await.is_ok());
    assert_eq!(connector.connects().len(), 5);
    assert!(device.read("a", within(30), request("get")).await.is_ok());
}

/// Q4, quality row 31: a password that is changed while a session is open is refused no more often than one that was
/// always wrong, however many logins are wanted at that moment; the session serves everybody.
#[tokio::test(start_paused = true)]
async fn password_changed_under_an_open_session_is_not_hammered() {
    let world = World::new();
    let settings = Settings {
        max_sessions: 32,
        ..settings()
    };
    let connector = Arc::new(FakeConnector {
        device: echo_device(),
        failures: Mutex::default(),
        connects: Mutex::default(),
        takes: Duration::from_secs(1),
    });
    let device = world.registry.upsert(settings, connector.clone());
    device.established("a", within(30)).await.unwrap();
    connector
        .failures
        .lock()
        .unwrap()
        .extend((0..100).map(|_| auth()));
    for _ in 0..2 {
        let reads = (0..60).map(|_| device.read("a", within(300), request("wait-1")));
        let answers = futures_util::future::join_all(reads).await;
        assert!(answers.iter().all(|answer| says(answer, "wait-1")), "{answers:?}");
    }
    assert_eq!(connector.connects().len(), 1 + 3);
}

/// Q4: when many devices of a credential domain are refused, one probes for all, and its success frees the others.
#[tokio::test(start_paused = true)]
async fn one_device_probes_for_its_credential_domain() {
    let world = World::new();
    let fake = echo_device();
    let mut devices = Vec::new();
    for index in 0..6 {
        let settings = Settings {
            credential_domain: Some("tacacs".to_owned()),
            ..named(format!("r{index}"))
        };
        devices.push(world.add_failing(settings, &fake, vec![auth()]));
    }
    for (device, _) in &devices {
        device.read("a", within(30), request("get")).await.unwrap_err();
    }
    let connects = || {
        devices
            .iter()
            .map(|(_, connector)| connector.connects().len())
            .sum::<usize>()
    };
    assert_eq!(connects(), 3);
    let error = devices[5]
        .0
        .read("a", within(30), request("get"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error.failure, Failure::DomainSuspended { refused: 3, .. }),
        "{error}"
    );
    tokio::time::sleep(Duration::from_secs(901)).await;
    // The first one asks with credentials that are right now.
    assert!(devices[0].0.read("a", within(30), request("get")).await.is_ok());
    assert!(devices[1].0.read("a", within(30), request("get")).await.is_ok());
    assert_eq!(connects(), 5);
}

/// Q4: that one device of a domain is let in ends the wait of another that was refused too often.
#[tokio::test(start_paused = true)]
async fn success_in_the_domain_ends_waiting() {
    let world = World::new();
    let fake = echo_device();
    let in_domain = |name: &str| Settings {
        credential_domain: Some("tacacs".to_owned()),
        ..named(name)
    };
    let failures = (0..3).map(|_| auth()).collect();
    let (refused, connector) = world.add_failing(in_domain("r1"), &fake, failures);
    let (other, _) = world.add(in_domain("r2"), &fake);
    for _ in 0..5 {
        refused.read("a", within(30), request("get")).await.unwrap_err();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(connector.connects().len(), 3);
    assert!(other.read("a", within(30), request("get")).await.is_ok());
    assert!(refused.read("a", within(30), request("get")).await.is_ok());
}

/// Q4, X7: a changed host key waits for a person.
#[tokio::test(start_paused = true)]
async fn changed_host_key_waits_for_a_person() {
    let world = World::new();
    let changed = ConnectError::Transport(TransportError::HostKeyChanged {
        expected: vec!["SHA256:a".to_owned()],
        actual: "SHA256:b".to_owned(),
        algorithm: "ssh-ed25519".to_owned(),
        public_key: String::new(),
    });
    let (device, connector) = world.add_failing(settings(), &echo_device(), vec![changed]);
    for _ in 0..3 {
        device.read("a", within(30), request("get")).await.unwrap_err();
        tokio::time::sleep(Duration::from_secs(86_400)).await;
    }
    assert_eq!(connector.connects().len(), 1);
    assert_eq!(device.status().state, ConnectionState::HostKeyRejected);
    assert!(device.check("a", within(30)).await.is_ok());
    assert!(device.read("a", within(30), request("get")).await.is_ok());
}

/// Quality row 32: many devices of one domain do not connect all at once.
#[tokio::test(start_paused = true)]
async fn connects_of_a_domain_are_paced() {
    let world = World::paced(ConnectRate {
        per_second: 10,
        burst: 5,
    });
    let fake = echo_device();
    let devices: Vec<_> = (0..25)
        .map(|index| world.add(named(format!("r{index}")), &fake))
        .collect();
    let started = Instant::now();
    let reads = devices
        .iter()
        .map(|(device, _)| device.read("a", within(30), request("get")));
    assert!(
        futures_util::future::join_all(reads)
            .await
            .iter()
            .all(Result::is_ok)
    );
    let mut starts: Vec<_> = devices
        .iter()
        .map(|(_, connector)| (connector.connects()[0] - started).as_millis())
        .collect();
    starts.sort_unstable();
    assert_eq!(starts[4], 0);
    assert!(
        (99..=101).contains(&starts[5]) && (1990..=2010).contains(&starts[24]),
        "{starts:?}"
    );
}

/// Quality row 32: by default, of 500 devices that are asked for at once no more than a tenth connects in any second,
/// and all are back within a minute.
#[tokio::test(start_paused = true)]
async fn fleet_of_500_is_back_in_time_and_not_at_once() {
    const FLEET: usize = 500;
    let world = World::new();
    let fake = echo_device();
    let devices: Vec<_> = (0..FLEET)
        .map(|index| world.add(named(format!("r{index}")), &fake))
        .collect();
    let started = Instant::now();
    let reads = devices
        .iter()
        .map(|(device, _)| device.read("a", within(60), request("get")));
    let answers = futures_util::future::join_all(reads).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
    let mut starts: Vec<_> = devices
        .iter()
        .flat_map(|(_, connector)| connector.connects())
        .collect();
    starts.sort_unstable();
    assert_eq!(starts.len(), FLEET);
    for (index, start) in starts.iter().enumerate().skip(FLEET / 10) {
        let span = *start - starts[index - FLEET / 10];
        assert!(span >= Duration::from_secs(1), "connect {index}: {span:?}");
    }
}

const SOFTWARE: &str = "<software-information><host-name>mx1</host-name><product-model>mx240</product-model>\
    <product-name>mx240</product-name><junos-version>24.4R1.9</junos-version></software-information>";

fn junos_device() -> FakeDevice {
    FakeDevice::new(&[BASE10, JUNOS], |rpc| match rpc.operation.as_str() {
        "get-software-information" => vec![React::Reply(SOFTWARE.to_owned())],
        _ => echo(rpc),
    })
}

/// S7: Junos is asked for its software after the hello, once; others are not.
#[tokio::test(start_paused = true)]
async fn software_is_asked_of_junos() {
    let world = World::new();
    let fake = junos_device();
    let (device, _) = world.add(settings(), &fake);
    let established = device.established("a", within(30)).await.unwrap();
    assert_eq!(established.software.versions(), ["24.4R1.9"]);
    assert_eq!(
        established.software.members()[0].host_name.as_deref(),
        Some("mx1")
    );
    let second = device.single_use("a", within(30), request("clear")).await;
    assert!(second.is_ok());
    assert!(device.read("a", within(30), request("get")).await.is_ok());
    let asked = |fake: &FakeDevice| {
        fake.operations()
            .iter()
            .filter(|operation| *operation == "get-software-information")
            .count()
    };
    assert_eq!(asked(&fake), 1);
    let report = device.check("a", within(30)).await.unwrap();
    assert_eq!(asked(&fake), 2);
    assert_eq!(report.link.steps.last().map(|step| step.name), Some("software"));
    let other = echo_device();
    let (device, _) = world.add(named("other"), &other);
    assert_eq!(
        device.established("a", within(30)).await.unwrap().software,
        Software::NotAsked
    );
    assert_eq!(other.operations(), Vec::<String>::new());
}

/// S7: a device that is not what is required is refused, its session ended, and told what is missing.
#[tokio::test(start_paused = true)]
async fn refused_device_is_not_used() {
    let world = World::new();
    let fake = junos_device();
    let compatibility = Compatibility {
        policy: Policy::Refuse,
        capabilities: vec!["urn:ietf:params:netconf:capability:startup:1.0".to_owned()],
        min_version: Some("25.1".to_owned()),
        max_version: None,
    };
    let (device, _) = world.add(
        Settings {
            compatibility,
            ..settings()
        },
        &fake,
    );
    let error = device.read("a", within(30), request("get")).await.unwrap_err();
    let Failure::Connect { error: cause, .. } = &error.failure else {
        panic!("{error:?}")
    };
    let ConnectError::Incompatible(verdict) = &**cause else {
        panic!("{cause:?}")
    };
    assert_eq!(verdict.missing.len(), 2);
    assert_eq!(device.status().state, ConnectionState::Incompatible);
    let report = device.check("a", within(30)).await.unwrap();
    assert!(report.verdict.refuses());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        fake.operations(),
        [
            "get-software-information",
            "close-session",
            "get-software-information",
            "close-session"
        ]
    );
}

/// Idle sessions are ended politely after their time.
#[tokio::test(start_paused = true)]
async fn idle_sessions_are_ended() {
    let world = World::new();
    let fake = echo_device();
    let (device, _) = world.add(
        Settings {
            idle_timeout: Duration::from_secs(60),
            ..settings()
        },
        &fake,
    );
    device.read("a", within(30), request("get")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(device.status().sessions.len(), 1);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(device.status().sessions.len(), 0);
    assert_eq!(device.status().state, ConnectionState::Idle);
    assert_eq!(fake.operations(), ["get", "close-session"]);
}

/// A session that dies while it lies idle is noticed at once, and the next read opens another.
#[tokio::test(start_paused = true)]
async fn dead_idle_session_is_noticed() {
    let world = World::new();
    let fake = FakeDevice::new(&[BASE10], |rpc| {
        let mut reactions = echo(rpc);
        reactions.push(React::Wait(Duration::from_secs(5)));
        reactions.push(React::HangUp);
        reactions
    });
    let (device, connector) = world.add(settings(), &fake);
    device.read("a", within(30), request("get")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let status = device.status();
    assert_eq!((status.state, status.sessions.len()), (ConnectionState::Idle, 0));
    let loss = status.last_loss.unwrap();
    assert!(
        matches!(
            loss.cause,
            LossCause::Session {
                cause: EndCause::EndOfStream { .. },
                ..
            }
        ),
        "{loss:?}"
    );
    assert!(device.read("a", within(30), request("get")).await.is_ok());
    assert_eq!(connector.connects().len(), 2);
}

/// Q1: with all sessions lying idle, `check` still gets one.
#[tokio::test(start_paused = true)]
async fn check_makes_room_for_its_session() {
    let world = World::new();
    let (device, connector) = world.add(
        Settings {
            max_sessions: 1,
            ..settings()
        },
        &echo_device(),
    );
    device.read("a", within(30), request("get")).await.unwrap();
    device.check("a", within(30)).await.unwrap();
    assert_eq!(connector.connects().len(), 2);
    device.read("a", within(30), request("get")).await.unwrap();
    assert!(device.status().sessions.len() <= 1);
}

/// D1, S30: calls under way finish, new ones are refused, sessions end politely, no task is left.
#[tokio::test(start_paused = true)]
async fn shutdown_is_polite() {
    let world = World::new();
    let fake = echo_device();
    let (device, _) = world.add(settings(), &fake);
    let reader = device.clone();
    let read = tokio::spawn(async move { reader.read("a", within(30), request("wait-5")).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let registry = world.registry.clone();
    let shutdown = tokio::spawn(async move { registry.shutdown(Duration::from_secs(30)).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let refused = device.read("a", within(30), request("get")).await.unwrap_err();
    assert!(matches!(refused.failure, Failure::Draining), "{refused}");
    assert!(says(&read.await.unwrap(), "wait-5"));
    assert!(shutdown.await.unwrap());
    assert_eq!(fake.operations(), ["wait-5", "close-session"]);
    world.tracker.close();
    world.tracker.wait().await;
}

/// D1: what does not end in time is cut.
#[tokio::test(start_paused = true)]
async fn shutdown_is_bounded() {
    let world = World::new();
    let fake = FakeDevice::new(&[BASE10], |_| vec![React::Wait(Duration::from_secs(86_400))]);
    let (device, _) = world.add(settings(), &fake);
    let reader = device.clone();
    let read = tokio::spawn(async move { reader.read("a", within(600), request("get")).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    assert!(!world.registry.shutdown(Duration::from_secs(30)).await);
    assert_eq!(started.elapsed(), Duration::from_secs(30));
    read.await.unwrap().unwrap_err();
    world.tracker.close();
    world.tracker.wait().await;
}

/// Design section 4: who waits for a device while its settings change is served with the new ones, also when the new
/// queue is shorter than the one that let them in.
#[tokio::test(start_paused = true)]
async fn waiting_readers_go_on_with_the_new_settings() {
    let world = World::new();
    let (before, after) = (echo_device(), echo_device());
    let narrow = Settings {
        max_sessions: 1,
        ..settings()
    };
    let (old, _) = world.add(narrow.clone(), &before);
    let reads: Vec<_> = (0..5)
        .map(|n| {
            let reader = old.clone();
            let operation = if n == 0 { "wait-5" } else { "get" };
            tokio::spawn(async move { (operation, reader.read("a", within(30), request(operation)).await) })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(old.status().queued, 4);
    let shorter = Settings {
        queue_length: 1,
        ..narrow
    };
    let (new, connector) = world.add(shorter, &after);
    for read in reads {
        let (operation, answer) = read.await.unwrap();
        assert!(says(&answer, operation), "{answer:?}");
    }
    assert_eq!(before.operations(), ["wait-5", "close-session"]);
    assert_eq!(after.operations(), ["get"; 4]);
    assert_eq!((connector.connects().len(), new.status().queued), (1, 0));
}

/// A device that is taken out, or replaced, ends its sessions in its own time.
#[tokio::test(start_paused = true)]
async fn replaced_and_removed_devices_end_politely() {
    let world = World::new();
    let fake = echo_device();
    let (first, _) = world.add(settings(), &fake);
    first.read("a", within(30), request("get")).await.unwrap();
    let (second, _) = world.add(settings(), &fake);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fake.operations(), ["get", "close-session"]);
    assert!(Arc::ptr_eq(&world.registry.get("mx1").unwrap(), &second));
    assert!(world.registry.remove("mx1") && !world.registry.remove("mx1"));
    assert!(world.registry.get("mx1").is_none());
    tokio::time::sleep(Duration::from_secs(1)).await;
    for gone in [first, second] {
        let refused = gone.read("a", within(30), request("get")).await.unwrap_err();
        assert!(matches!(refused.failure, Failure::Draining), "{refused}");
    }
}
