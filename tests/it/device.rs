//! Devices over real SSH, against the emulator on loopback: sessions, pool, queue and what failures look like.

use std::sync::Arc;
use std::time::Duration;

use ncgate::clock::Clock;
use ncgate::device::{
    ConnectError, ConnectRate, ConnectionState, Device, DeviceError, Failure, Outcome, Registry, Request, Settings,
    SshConnector, Surroundings,
};
use ncgate::emulator::{Emulator, Fault, Profile, Rule, RunningEmulator};
use ncgate::ids::Ids;
use ncgate::metrics::Metrics;
use ncgate::netconf::rpc::Rpc;
use ncgate::session::spool::{Spool, SpoolLimits};
use ncgate::session::{EndCause, SessionError};
use ncgate::transport::{
    ChannelKind, Credentials, HostKey, HostKeyPolicy, NetworkPolicy, SshHost, SshProfile, SshTarget, TcpDialer,
    TransportError,
};
use ncgate::xml::{Fragment, Limits};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

struct World {
    registry: Arc<Registry>,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let around = Surroundings {
            spool: Spool::open(dir.path(), SpoolLimits::default()).expect("a spool"),
            metrics: Arc::new(Metrics::new()),
            clock: Clock::system(),
            ids: Ids::seeded(1),
            tracker: TaskTracker::new(),
            cut: CancellationToken::new(),
        };
        Self { registry: Registry::new(around, ConnectRate::default()), dir }
    }

    fn add(&self, target: SshTarget) -> Arc<Device> {
        self.add_with(Settings::new("mx1"), target)
    }

    fn add_with(&self, settings: Settings, target: SshTarget) -> Arc<Device> {
        let networks = vec!["127.0.0.0/8".parse().expect("a network")];
        let dialer = TcpDialer::new(NetworkPolicy::new(networks, Vec::new()));
        self.registry.upsert(settings, Arc::new(SshConnector::new(target, Arc::new(dialer), None)))
    }
}

async fn emulator(profile: Profile) -> RunningEmulator {
    let builder = Emulator::builder().hostname("mx1").user("gw").password("secret").profile(profile);
    builder.listen("127.0.0.1:0").await.expect("the emulator listens")
}

fn target(emulator: &RunningEmulator) -> SshTarget {
    let key = HostKey::parse(&emulator.host_public_key().to_openssh().expect("a key line")).expect("a host key");
    SshTarget::new(SshHost {
        address: "127.0.0.1".to_owned(),
        port: emulator.addr().port(),
        username: "gw".to_owned(),
        auth: Credentials::password("secret"),
        host_key: HostKeyPolicy::Pinned(vec![key]),
        profile: SshProfile::Modern,
    })
}

fn request(xml: &'static str) -> Request {
    let fragment = Fragment::parse_one(xml, &Limits::default()).expect("well-formed");
    Request::new(move |_| Ok(Rpc::new(fragment)))
}

async fn read(device: &Device, xml: &'static str) -> Result<String, DeviceError> {
    let reply = device.read("tester", Instant::now() + Duration::from_secs(20), request(xml)).await?;
    Ok(reply.source.read_to_string(64 << 20).expect("a readable reply"))
}

const SYSTEM: &str = "<get-system-uptime-information/>";
const INTERFACES: &str = "<get-interface-information><terse/></get-interface-information>";

/// S2, S3, S6, S7: the subsystem and the pseudo-terminal, both framings.
#[tokio::test]
async fn every_way_in_reads_and_tells_its_software() {
    let world = World::new();
    for profile in [Profile::Junos, Profile::JunosRfc11, Profile::JunosOld] {
        for channel in [ChannelKind::Subsystem, ChannelKind::Pty] {
            let emulator = emulator(profile).await;
            let device = world.add(SshTarget { channel, ..target(&emulator) });
            let text = read(&device, INTERFACES).await.expect("a reply");
            assert!(text.contains("<interface-information"), "{profile:?} {channel:?}: {text}");
            let status = device.status();
            let established = status.established.expect("a session was opened");
            assert_eq!(established.software.members()[0].host_name.as_deref(), Some("mx1"));
            assert_eq!(established.link.host_key_fingerprint.as_deref(), Some(&*emulator.host_key_fingerprint()));
            assert_eq!((status.state, status.sessions.len()), (ConnectionState::Connected, 1));
        }
    }
}

/// S30, D1: sessions end with close-session, and nothing stays behind.
#[tokio::test]
async fn shutdown_closes_sessions_politely() {
    let world = World::new();
    let emulator = emulator(Profile::Junos).await;
    let device = world.add(target(&emulator));
    read(&device, SYSTEM).await.expect("a reply");
    assert!(world.registry.shutdown(Duration::from_secs(10)).await);
    assert!(device.status().sessions.is_empty());
    assert!(device.status().last_loss.is_none());
    assert!(matches!(read(&device, SYSTEM).await.expect_err("draining").failure, Failure::Draining));
}

/// Q1: 60 reads at once over two sessions all succeed.
#[tokio::test]
async fn sixty_reads_over_two_sessions() {
    let world = World::new();
    let emulator = emulator(Profile::Junos).await;
    let device = world.add_with(Settings { max_sessions: 2, ..Settings::new("mx1") }, target(&emulator));
    let reads = futures_util::future::join_all((0..60).map(|_| read(&device, INTERFACES)));
    assert!(reads.await.iter().all(Result::is_ok));
    assert!(device.status().sessions.len() <= 2);
}

/// Q3: connections that are cut while nothing is under way, and before a byte of the reply, do no harm to reads.
#[tokio::test]
async fn read_survives_a_lost_session() {
    let world = World::new();
    let emulator = emulator(Profile::Junos).await;
    let device = world.add(target(&emulator));
    read(&device, SYSTEM).await.expect("a reply");
    emulator.drop_connections();
    read(&device, SYSTEM).await.expect("a reply from a new session");
    emulator.faults().add(Rule::on("get-system-uptime-information", Fault::DropBeforeReply).times(2));
    read(&device, SYSTEM).await.expect("a reply from the third session");
    emulator.faults().add(Rule::on("get-system-uptime-information", Fault::DropAfter(40)).once());
    let error = read(&device, SYSTEM).await.expect_err("the reply had begun");
    assert!(matches!(error.failure, Failure::Session(SessionError::Lost { reply_begun: true, .. })), "{error:?}");
    assert_eq!(error.outcome, Outcome::NotApplied);
}

/// Q5, quality rows 14 to 16: each fault of the protocol has its own cause, and the next read works.
#[tokio::test]
async fn broken_replies_are_told_apart() {
    let world = World::new();
    for (profile, fault, label) in [
        (Profile::Junos, Fault::WrongMessageId, "unknown_message_id"),
        (Profile::Junos, Fault::MalformedXml, "xml"),
        (Profile::Junos, Fault::DeepXml(1000), "xml"),
        (Profile::Junos, Fault::GarbageBefore(b"lorem".to_vec()), "xml"),
        (Profile::JunosRfc11, Fault::BadChunk, "framing"),
        (Profile::JunosRfc11, Fault::GarbageBefore(b"lorem".to_vec()), "framing"),
    ] {
        let emulator = emulator(profile).await;
        let device = world.add(target(&emulator));
        emulator.faults().add(Rule::on("get-system-uptime-information", fault.clone()).once());
        let error = read(&device, SYSTEM).await.expect_err("a broken reply");
        let Failure::Session(SessionError::Lost { cause, .. }) = &error.failure else { panic!("{fault:?}: {error:?}") };
        assert_eq!(cause.label(), label, "{fault:?}: {cause:?}");
        read(&device, SYSTEM).await.expect("the next read has a session of its own");
    }
}

/// Q7: a timeout leaves the session alone.
#[tokio::test]
async fn timeout_leaves_the_session_alone() {
    let world = World::new();
    let emulator = emulator(Profile::Junos).await;
    let device = world.add(target(&emulator));
    let first = device.established("tester", Instant::now() + Duration::from_secs(10)).await.expect("a session");
    emulator.faults().add(Rule::on("get-system-uptime-information", Fault::Delay(Duration::from_millis(600))).once());
    let deadline = Instant::now() + Duration::from_millis(400);
    let error = device.read("tester", deadline, request(SYSTEM)).await.expect_err("late");
    assert!(matches!(error.failure, Failure::Session(SessionError::Timeout { .. })), "{error:?}");
    read(&device, SYSTEM).await.expect("a reply");
    let sessions = device.status().sessions;
    assert!(sessions.iter().any(|session| session.session_id == first.session_id), "{sessions:?}");
}

/// Q8, quality row 10: a reply of 50 MB goes through a file and arrives whole.
#[tokio::test]
async fn huge_reply_is_spooled() {
    let world = World::new();
    let emulator = emulator(Profile::JunosRfc11).await;
    let device = world.add(target(&emulator));
    emulator.faults().add(Rule::on("get-interface-information", Fault::HugeReply(50_000_000)).once());
    let deadline = Instant::now() + Duration::from_secs(120);
    let reply = device.read("tester", deadline, request(INTERFACES)).await.expect("a reply");
    assert!(reply.source.as_memory().is_none());
    assert!(reply.bytes >= 50_000_000 && reply.source.len() == reply.bytes);
    let mut end = [0; 12];
    assert_eq!(reply.source.read_at(reply.bytes - 12, &mut end).expect("readable"), 12);
    assert!(end.trim_ascii_end().ends_with(b"rpc-reply>"));
    let files = std::fs::read_dir(world.dir.path()).expect("the spool").count();
    assert_eq!(files, 0);
}

/// S1, X7, M3: what fails while connecting is told apart.
#[tokio::test]
async fn failed_connects_are_told_apart() {
    let world = World::new();
    let emulator = emulator(Profile::Junos).await;
    let connect_error = async |target: SshTarget| {
        let error = read(&world.add(target), SYSTEM).await.expect_err("no session");
        assert_eq!(error.outcome, Outcome::NotSent);
        let Failure::Connect { error, .. } = error.failure else { panic!("{error:?}") };
        error
    };
    let mut wrong = target(&emulator);
    wrong.host.auth = Credentials::password("wrong");
    let error = connect_error(wrong).await;
    assert!(matches!(&*error, ConnectError::Transport(TransportError::Auth { .. })), "{error:?}");
    let mut unknown = target(&emulator);
    unknown.host.host_key = HostKeyPolicy::Pinned(Vec::new());
    let error = connect_error(unknown).await;
    assert!(matches!(&*error, ConnectError::Transport(TransportError::HostKeyUnknown { .. })), "{error:?}");
    let mut closed = target(&emulator);
    closed.host.port = 1;
    let error = connect_error(closed).await;
    assert!(matches!(&*error, ConnectError::Transport(TransportError::Refused { .. })), "{error:?}");
    for (fault, expected) in [
        (Fault::RefuseSubsystem, None),
        (Fault::MalformedHello, Some("bad_hello")),
        (Fault::HelloWithoutSessionId, Some("bad_hello")),
        (Fault::ErrorBeforeHello, Some("bad_hello")),
        (Fault::CloseBeforeHello, Some("bad_hello")),
    ] {
        emulator.faults().clear();
        emulator.faults().add(Rule::always(fault.clone()));
        let error = connect_error(target(&emulator)).await;
        match (&*error, expected) {
            (ConnectError::Transport(TransportError::NoSubsystem { .. }), None) => {}
            (ConnectError::Hello(cause @ (EndCause::Hello(_) | EndCause::EndOfStream { .. })), Some(_)) => {
                assert!(!cause.is_wanted());
            }
            (other, _) => panic!("{fault:?}: {other:?}"),
        }
    }
}

/// X7: with trust on first use the first key is the only one from then on.
#[tokio::test]
async fn first_host_key_is_kept() {
    let world = World::new();
    let first = emulator(Profile::Junos).await;
    let mut trusting = target(&first);
    trusting.host.host_key = HostKeyPolicy::Tofu { learned: Vec::new() };
    let device = world.add(trusting);
    read(&device, SYSTEM).await.expect("a reply");
    let port = first.addr().port();
    first.stop().await;
    let builder = Emulator::builder().user("gw").password("secret").host_key_seed([9; 32]);
    let _second = builder.listen(&format!("127.0.0.1:{port}")).await.expect("the same port");
    let error = read(&device, SYSTEM).await.expect_err("another key");
    let Failure::Connect { error, retry_after: None } = &error.failure else { panic!("{error:?}") };
    assert!(matches!(&**error, ConnectError::Transport(TransportError::HostKeyChanged { .. })), "{error:?}");
    assert_eq!(device.status().state, ConnectionState::HostKeyRejected);
}
