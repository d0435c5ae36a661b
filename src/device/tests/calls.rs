//! Reads, batches and single-use calls: queue, deadlines, retries.

use super::*;

/// A session is opened once and used again.
#[tokio::test(start_paused = true)]
async fn reads_share_a_pooled_session() {
    let world = World::new();
    let (device, connector) = world.add(settings(), &echo_device());
    for operation in ["get-one", "get-two", "get-three"] {
        assert!(says(
            &device.read("a", within(30), request(operation)).await,
            operation
        ));
    }
    assert_eq!(connector.connects().len(), 1);
    let status = device.status();
    assert_eq!(status.state, ConnectionState::Connected);
    assert_eq!(status.sessions.len(), 1);
    assert!(status.sessions[0].idle && status.sessions[0].session_id == 7);
    assert!(world.metric("ncgate_sessions_open 1"));
}

/// A caller who reads again and again needs one session, however quickly it asks.
#[tokio::test]
async fn one_caller_after_the_other_needs_one_session() {
    let world = World::new();
    let (device, connector) = world.add(settings(), &echo_device());
    for _ in 0..200 {
        device.read("a", within(30), request("get")).await.unwrap();
    }
    assert_eq!(connector.connects().len(), 1);
}

/// Q1: 60 reads at once over two sessions all succeed.
#[tokio::test(start_paused = true)]
async fn sixty_reads_over_two_sessions_all_succeed() {
    let world = World::new();
    let (device, connector) = world.add(
        Settings {
            max_sessions: 2,
            ..settings()
        },
        &echo_device(),
    );
    let reads = (0..60).map(|_| device.read("a", within(300), request("wait-1")));
    let answers = futures_util::future::join_all(reads).await;
    assert!(answers.iter().all(|answer| says(answer, "wait-1")));
    assert_eq!(connector.connects().len(), 2);
}

/// Quality row 33: whoever floods the queue of a device gets refused itself; another principal is never refused, and
/// waits no longer than for one turn of the flood before its own.
#[tokio::test(start_paused = true)]
async fn flood_of_one_principal_does_not_shut_out_another() {
    let world = World::new();
    let (device, _) = world.add(settings(), &echo_device());
    let ended = CancellationToken::new();
    let flood: Vec<_> = (0..300)
        .map(|_| {
            let (device, ended) = (device.clone(), ended.clone());
            tokio::spawn(async move {
                let mut refused = 0;
                while !ended.is_cancelled() {
                    if device
                        .read("flood", within(300), request("wait-1"))
                        .await
                        .is_err()
                    {
                        refused += 1;
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
                refused
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(device.status().queued, settings().queue_length);
    let mut slowest = Duration::ZERO;
    for _ in 0..30 {
        let started = Instant::now();
        let answer = device.read("calm", within(300), request("wait-1")).await;
        assert!(says(&answer, "wait-1"), "{:?}", answer.err());
        slowest = slowest.max(started.elapsed());
    }
    assert!(
        slowest <= Duration::from_millis(2050),
        "alone it takes 1 s: {slowest:?}"
    );
    ended.cancel();
    let mut refused = 0;
    for task in flood {
        refused += task.await.unwrap();
    }
    assert!(refused > 300, "{refused}");
}

/// Q1: of 200 reads at once, those beyond the queue are refused at once, and nothing of them is sent.
#[tokio::test(start_paused = true)]
async fn reads_beyond_the_queue_are_refused_at_once() {
    let world = World::new();
    let fake = echo_device();
    let (device, _) = world.add(
        Settings {
            max_sessions: 2,
            ..settings()
        },
        &fake,
    );
    let started = Instant::now();
    let reads = (0..200).map(|_| async {
        let answer = device.read("a", within(300), request("wait-1")).await;
        (answer, started.elapsed())
    });
    let answers = futures_util::future::join_all(reads).await;
    let (served, rest): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|(answer, _)| says(answer, "wait-1"));
    assert_eq!((served.len(), rest.len()), (66, 134));
    for (answer, after) in rest {
        let error = answer.unwrap_err();
        assert!(
            matches!(error.failure, Failure::QueueFull { limit: 64 }),
            "{error}"
        );
        assert_eq!(
            (error.outcome, error.step, after),
            (Outcome::NotSent, Step::Queue, Duration::ZERO)
        );
    }
    assert_eq!(
        fake.operations()
            .iter()
            .filter(|operation| *operation == "wait-1")
            .count(),
        66
    );
    assert!(world.metric("ncgate_queue_rejected_total{reason=\"full\"} 134"));
}

/// Q1, quality row 33: a principal who floods the queue does not delay another by more than its own turn.
#[tokio::test(start_paused = true)]
async fn queue_is_fair_among_principals() {
    let world = World::new();
    let (device, _) = world.add(
        Settings {
            max_sessions: 1,
            ..settings()
        },
        &echo_device(),
    );
    let flood = (0..40).map(|_| device.read("a", within(600), request("wait-1")));
    let second = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let answer = device.read("b", within(600), request("get")).await;
        assert!(says(&answer, "get"));
        Instant::now()
    };
    let started = Instant::now();
    let (_, served_at) = tokio::join!(futures_util::future::join_all(flood), second);
    assert!(
        served_at - started <= Duration::from_secs(3),
        "{:?}",
        served_at - started
    );
}

/// Q7, quality row 12: a caller who hangs up mid-reply keeps the session busy until the reply is read, and usable then.
#[tokio::test(start_paused = true)]
async fn caller_who_hangs_up_leaves_the_session_usable() {
    let world = World::new();
    let (device, connector) = world.add(
        Settings {
            max_sessions: 1,
            ..settings()
        },
        &echo_device(),
    );
    let left = tokio::time::timeout(
        Duration::from_secs(1),
        device.read("a", within(30), request("wait-9")),
    )
    .await;
    assert!(left.is_err());
    let started = Instant::now();
    assert!(says(
        &device.read("a", within(30), request("get-next")).await,
        "get-next"
    ));
    assert_eq!(started.elapsed(), Duration::from_secs(8));
    assert_eq!(connector.connects().len(), 1);
    assert!(world.metric("ncgate_replies_abandoned_total 1"));
}

/// Q7: a caller who leaves while its session is being opened does not lose it for the next one.
#[tokio::test(start_paused = true)]
async fn cancelled_checkout_keeps_the_session() {
    let world = World::new();
    let connector = Arc::new(FakeConnector {
        device: echo_device(),
        failures: Mutex::default(),
        connects: Mutex::default(),
        takes: Duration::from_secs(3),
    });
    let device = world.registry.upsert(settings(), connector.clone());
    let left = tokio::time::timeout(
        Duration::from_secs(1),
        device.read("a", within(30), request("get")),
    )
    .await;
    assert!(left.is_err());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(says(&device.read("a", within(30), request("get")).await, "get"));
    assert_eq!(connector.connects().len(), 1);
    let late = device.read("a", within(30), request("get")).await;
    assert!(late.is_ok());
}

/// H6: a deadline that passes while connecting is told as such, with the phase that was under way and nothing sent.
#[tokio::test(start_paused = true)]
async fn deadline_while_connecting_means_not_sent() {
    let world = World::new();
    let fake = echo_device();
    let connector = Arc::new(FakeConnector {
        device: fake.clone(),
        failures: Mutex::default(),
        connects: Mutex::default(),
        takes: Duration::from_secs(9),
    });
    let device = world.registry.upsert(settings(), connector);
    let error = device.read("a", within(2), request("get")).await.unwrap_err();
    assert!(
        matches!(error.failure, Failure::DeadlineConnecting { phase: "tcp" }),
        "{error}"
    );
    assert_eq!((error.step, error.outcome), (Step::Connect, Outcome::NotSent));
    assert_eq!(fake.operations(), Vec::<String>::new());
}

/// H6, Q7: no reply in time; a read was sent and changed nothing, the session stays.
#[tokio::test(start_paused = true)]
async fn timeout_of_a_read_is_not_applied_and_keeps_the_session() {
    let world = World::new();
    let (device, connector) = world.add(settings(), &echo_device());
    let error = device
        .read("a", within(10), request("wait-12"))
        .await
        .unwrap_err();
    assert!(
        matches!(error.failure, Failure::Session(SessionError::Timeout { .. })),
        "{error}"
    );
    assert_eq!((error.step, error.outcome), (Step::Reply, Outcome::NotApplied));
    assert_eq!(
        (error.session_id, error.message_id.as_deref()),
        (Some(7), Some("1"))
    );
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(device.read("a", within(10), request("get")).await.is_ok());
    assert_eq!(connector.connects().len(), 1);
}

/// Q3, quality row 3: a read whose session is lost before any byte of the reply is sent again, on a new session.
#[tokio::test(start_paused = true)]
async fn lost_read_is_sent_again() {
    let world = World::new();
    let losses = Arc::new(Mutex::new(2));
    let left = losses.clone();
    let fake = FakeDevice::new(&[BASE10], move |rpc| {
        let mut left = left.lock().unwrap();
        if rpc.operation == "get" && *left > 0 {
            *left -= 1;
            return vec![React::HangUp];
        }
        echo(rpc)
    });
    let (device, connector) = world.add(settings(), &fake);
    assert!(says(&device.read("a", within(30), request("get")).await, "get"));
    assert_eq!(connector.connects().len(), 3);
    assert!(world.metric("ncgate_retries_total 2"));
    *losses.lock().unwrap() = 3;
    let error = device.read("a", within(30), request("get")).await.unwrap_err();
    let Failure::Session(SessionError::Lost {
        cause: EndCause::EndOfStream { .. },
        ..
    }) = &error.failure
    else {
        panic!("{error:?}");
    };
    assert_eq!(error.outcome, Outcome::NotApplied);
    assert!(matches!(
        device.status().last_loss.unwrap().cause,
        LossCause::Session { session_id: 7, .. }
    ));
}

/// Q3: once a byte of the reply has come, nothing is sent again; neither after a broken protocol.
#[tokio::test(start_paused = true)]
async fn begun_replies_and_broken_protocol_are_not_repeated() {
    for (bytes, hang_up) in [("<rpc-reply", true), ("garbage]]>]]>", false)] {
        let world = World::new();
        let fake = FakeDevice::new(&[BASE10], move |_| {
            let mut reactions = vec![React::Raw(bytes.as_bytes().to_vec())];
            if hang_up {
                reactions.push(React::HangUp);
            }
            reactions
        });
        let (device, _) = world.add(settings(), &fake);
        device.read("a", within(30), request("get")).await.unwrap_err();
        assert_eq!(fake.operations(), ["get"]);
    }
}

/// Q9, Q3: any other RPC has a session that is closed afterwards, is sent once, and a loss leaves its outcome unknown.
#[tokio::test(start_paused = true)]
async fn single_use_session_is_closed_and_its_rpc_sent_once() {
    let world = World::new();
    let fake = FakeDevice::new(&[BASE10], |rpc| match rpc.operation.as_str() {
        "request-reboot" => vec![React::HangUp],
        _ => echo(rpc),
    });
    let (device, connector) = world.add(settings(), &fake);
    assert!(says(
        &device
            .single_use("a", within(30), request("clear-something"))
            .await,
        "clear-something"
    ));
    assert!(device.read("a", within(30), request("get")).await.is_ok());
    assert_eq!(connector.connects().len(), 2);
    let error = device
        .single_use("a", within(30), request("request-reboot"))
        .await
        .unwrap_err();
    assert_eq!(error.outcome, Outcome::Unknown);
    let mut operations = fake.operations();
    operations.sort();
    assert_eq!(
        operations,
        ["clear-something", "close-session", "get", "request-reboot"]
    );
}

/// Q9: an RPC with a session of its own leaves the one that waits in the pool to the next read; only where the device
/// may have no further one, it takes that.
#[tokio::test(start_paused = true)]
async fn single_use_leaves_the_pool_its_warm_session() {
    let world = World::new();
    for (max_sessions, connects) in [(2, 2), (1, 2)] {
        let fake = echo_device();
        let (device, connector) = world.add(
            Settings {
                max_sessions,
                ..settings()
            },
            &fake,
        );
        device.read("a", within(30), request("get-a")).await.unwrap();
        device
            .single_use("a", within(30), request("clear-b"))
            .await
            .unwrap();
        let warm = device
            .status()
            .sessions
            .iter()
            .filter(|session| session.idle)
            .count();
        assert_eq!(warm, max_sessions - 1);
        device.read("a", within(30), request("get-c")).await.unwrap();
        assert_eq!(connector.connects().len(), connects, "{max_sessions}");
    }
}

/// What a request needs is checked before anything is sent; `ignore` lets everything pass (S7).
#[tokio::test(start_paused = true)]
async fn missing_capability_is_named_before_sending() {
    let needs_startup = || {
        Request::new(|capabilities| {
            capabilities.require(Capability::Startup, "get-config", "source")?;
            Ok(rpc("get-config"))
        })
    };
    let world = World::new();
    let fake = echo_device();
    let (device, _) = world.add(settings(), &fake);
    let error = device.read("a", within(30), needs_startup()).await.unwrap_err();
    let Failure::Request(RequestError::MissingCapability(missing)) = &error.failure else {
        panic!("{error:?}")
    };
    assert_eq!(missing.operation, "get-config");
    assert_eq!((error.step, error.outcome), (Step::Request, Outcome::NotSent));
    assert_eq!(fake.operations(), Vec::<String>::new());
    let compatibility = Compatibility {
        policy: Policy::Ignore,
        ..Compatibility::default()
    };
    let (device, _) = world.add(
        Settings {
            compatibility,
            ..settings()
        },
        &fake,
    );
    assert!(device.read("a", within(30), needs_startup()).await.is_ok());
}

/// S8: attributes that cannot be sent are refused before the queue.
#[tokio::test(start_paused = true)]
async fn bad_attributes_are_refused_before_the_queue() {
    let world = World::new();
    let (device, connector) = world.add(settings(), &echo_device());
    let attributes = vec![("message-id".to_owned(), "1".to_owned())];
    let error = device
        .read(
            "a",
            within(30),
            Request {
                attributes,
                ..request("get")
            },
        )
        .await
        .unwrap_err();
    assert!(matches!(error.failure, Failure::Attribute(_)), "{error}");
    assert_eq!(connector.connects(), []);
}

fn batch_device() -> FakeDevice {
    FakeDevice::new(&[BASE10, BASE11], |rpc| match rpc.operation.as_str() {
        "fail" => vec![React::Reply(
            "<rpc-error><error-severity>error</error-severity></rpc-error>".to_owned(),
        )],
        _ => echo(rpc),
    })
}

/// A batch that stops sends nothing behind the RPC that failed; one that continues sends all.
#[tokio::test(start_paused = true)]
async fn batch_stops_or_continues() {
    for (on_error, pipelining, expected) in [
        (OnError::Stop, true, &["one", "fail"][..]),
        (OnError::Continue, true, &["one", "fail", "two"][..]),
        (OnError::Continue, false, &["one", "fail", "two"][..]),
    ] {
        let world = World::new();
        let fake = batch_device();
        let (device, _) = world.add(
            Settings {
                pipelining,
                ..settings()
            },
            &fake,
        );
        let requests = ["one", "fail", "two"].map(request).into_iter().collect();
        let answers = device.batch("a", within(30), requests, on_error).await.unwrap();
        assert_eq!(fake.operations(), expected);
        assert_eq!(answers.len(), expected.len());
        assert!(answers[1].as_ref().unwrap().scan.is_error());
    }
}

/// Q2: pipelined only where the device's settings allow it.
#[tokio::test(start_paused = true)]
async fn batch_is_pipelined_only_if_allowed() {
    for (pipelining, on_error, seconds) in [
        (true, OnError::Continue, 0),
        (false, OnError::Continue, 2),
        (true, OnError::Stop, 2),
    ] {
        let world = World::new();
        let waited = Arc::new(Mutex::new(None));
        let last = waited.clone();
        // The last RPC is seen before the first ones are answered only if it was sent without waiting.
        let fake = FakeDevice::new(&[BASE10, BASE11], move |rpc| {
            if rpc.operation == "last" {
                *last.lock().unwrap() = Some(Instant::now());
                return (1..=3)
                    .filter(|id| pipelined(pipelining, on_error) || *id == 3)
                    .map(|id| React::Message(reply(&id.to_string(), "<ok/>")))
                    .collect();
            }
            if pipelined(pipelining, on_error) {
                Vec::new()
            } else {
                echo(rpc)
            }
        });
        let (device, _) = world.add(
            Settings {
                pipelining,
                ..settings()
            },
            &fake,
        );
        device.established("a", within(30)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let started = Instant::now();
        let requests = ["wait-1", "wait-1", "last"].map(request).into_iter().collect();
        let answers = device.batch("a", within(30), requests, on_error).await.unwrap();
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(
            waited.lock().unwrap().unwrap() - started,
            Duration::from_secs(seconds)
        );
    }
}

fn pipelined(pipelining: bool, on_error: OnError) -> bool {
    pipelining && on_error == OnError::Continue
}

/// Q3: of a batch, only what was not begun is sent again.
#[tokio::test(start_paused = true)]
async fn lost_rest_of_a_batch_is_sent_again() {
    let world = World::new();
    let lost = Arc::new(Mutex::new(false));
    let fake = FakeDevice::new(&[BASE10, BASE11], move |rpc| {
        let mut lost = lost.lock().unwrap();
        if rpc.operation == "two" && !*lost {
            *lost = true;
            return vec![React::HangUp];
        }
        echo(rpc)
    });
    let (device, _) = world.add(settings(), &fake);
    let requests = ["one", "two", "three"].map(request).into_iter().collect();
    let answers = device
        .batch("a", within(30), requests, OnError::Continue)
        .await
        .unwrap();
    assert!(
        ["one", "two", "three"]
            .iter()
            .zip(&answers)
            .all(|(operation, answer)| says(answer, operation))
    );
    assert_eq!(
        fake.operations()
            .iter()
            .filter(|operation| *operation == "one")
            .count(),
        1
    );
}
