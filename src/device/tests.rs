use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::clock::Clock;
use crate::ids::Ids;
use crate::metrics::Metrics;
use crate::netconf::capability::Capability;
use crate::netconf::rpc::RequestError;
use crate::session::fake::{BASE10, BASE11, FakeDevice, JUNOS, React, Received, reply, rpc, spool};
use crate::session::spool::SpoolLimits;
use crate::session::{self, EndCause, RawReply, SessionError};
use crate::transport::{BoxFuture, Loss as LinkLoss, Phase};

/// Connects to a fake device; before that, fails as scripted.
struct FakeConnector {
    device: FakeDevice,
    failures: Mutex<VecDeque<ConnectError>>,
    connects: Mutex<Vec<Instant>>,
    /// How long a connect takes.
    takes: Duration,
}

impl FakeConnector {
    fn connects(&self) -> Vec<Instant> {
        self.connects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn open(&self, config: session::Config) -> Result<Opened, ConnectError> {
        self.connects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Instant::now());
        tokio::time::sleep(self.takes).await;
        let failure = self
            .failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        if let Some(failure) = failure {
            return Err(failure);
        }
        let (incoming, outgoing) = self.device.connect();
        let (handle, actor) = session::open(incoming, outgoing, config)
            .await
            .map_err(ConnectError::Hello)?;
        Ok(Opened {
            handle,
            run: Box::pin(actor.run()),
            link: Link::default(),
        })
    }
}

impl Connector for FakeConnector {
    fn connect(&self, config: session::Config) -> BoxFuture<'_, Result<Opened, ConnectError>> {
        Box::pin(self.open(config))
    }
}

struct World {
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    tracker: TaskTracker,
}

impl World {
    fn new() -> Self {
        Self::paced(ConnectRate::default())
    }

    fn paced(rate: ConnectRate) -> Self {
        let metrics = Arc::new(Metrics::new());
        let tracker = TaskTracker::new();
        let around = Surroundings {
            spool: spool(SpoolLimits::default()),
            metrics: metrics.clone(),
            clock: Clock::system(),
            ids: Ids::seeded(1),
            tracker: tracker.clone(),
            cut: CancellationToken::new(),
        };
        Self {
            registry: Registry::new(around, rate),
            metrics,
            tracker,
        }
    }

    fn add(&self, settings: Settings, device: &FakeDevice) -> (Arc<Device>, Arc<FakeConnector>) {
        self.add_failing(settings, device, Vec::new())
    }

    fn add_failing(
        &self,
        settings: Settings,
        device: &FakeDevice,
        failures: Vec<ConnectError>,
    ) -> (Arc<Device>, Arc<FakeConnector>) {
        let connector = Arc::new(FakeConnector {
            device: device.clone(),
            failures: Mutex::new(failures.into()),
            connects: Mutex::default(),
            takes: Duration::ZERO,
        });
        (self.registry.upsert(settings, connector.clone()), connector)
    }

    fn metric(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|found| found == line)
    }
}

fn settings() -> Settings {
    named("mx1")
}

/// A device without the pause before the first RPC.
fn named(name: impl Into<String>) -> Settings {
    Settings {
        profile: Profile::Junos,
        ..Settings::new(name)
    }
}

/// Answers every RPC with an element of its name, after as many seconds as the name says behind `wait-`.
fn echo(rpc: &Received) -> Vec<React> {
    if rpc.operation == "close-session" {
        return Vec::new();
    }
    let wait = rpc
        .operation
        .strip_prefix("wait-")
        .map_or(0, |seconds| seconds.parse().unwrap());
    vec![
        React::Wait(Duration::from_secs(wait)),
        React::Reply(format!("<{}/>", rpc.operation)),
    ]
}

fn echo_device() -> FakeDevice {
    FakeDevice::new(&[BASE10, BASE11], echo)
}

fn request(operation: &'static str) -> Request {
    Request::new(move |_| Ok(rpc(operation)))
}

fn within(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

fn text(reply: &RawReply) -> String {
    reply.source.read_to_string(1 << 20).unwrap()
}

fn says(answer: &Answer, operation: &str) -> bool {
    answer
        .as_ref()
        .is_ok_and(|reply| text(reply).contains(&format!("<{operation}/>")))
}

fn refused() -> ConnectError {
    ConnectError::Transport(TransportError::Closed {
        phase: Phase::Tcp,
        loss: LinkLoss::Closed,
    })
}

fn auth() -> ConnectError {
    ConnectError::Transport(TransportError::Auth {
        user: "gw".to_owned(),
        offered: vec!["password".to_owned()],
        tried: Vec::new(),
        partial_success: false,
    })
}

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

/// H6: a deadline that passes while connecting is told as such, with nothing sent.
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
    assert!(matches!(error.failure, Failure::DeadlineInQueue), "{error}");
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
    assert!(matches!(
        first
            .read("a", within(30), request("get"))
            .await
            .unwrap_err()
            .failure,
        Failure::Draining
    ));
    assert!(Arc::ptr_eq(&world.registry.get("mx1").unwrap(), &second));
    assert!(world.registry.remove("mx1") && !world.registry.remove("mx1"));
    assert!(world.registry.get("mx1").is_none());
}
