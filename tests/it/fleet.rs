//! Many devices at once, and one device for many: how reconnects are spread, and who is served when one caller asks for
//! everything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use ncgate::clock::Clock;
use ncgate::device::{
    ConnectRate, Device, DeviceError, Failure, Outcome, Registry, Request, Settings, SshConnector,
    Surroundings,
};
use ncgate::emulator::{Fault, Rule, RunningEmulator};
use ncgate::ids::Ids;
use ncgate::metrics::Metrics;
use ncgate::netconf::rpc::Rpc;
use ncgate::session::spool::{Spool, SpoolLimits};
use ncgate::transport::{
    BoxFuture, Credentials, Dialed, Dialer, HostKey, HostKeyPolicy, NetworkPolicy, SshHost, SshProfile,
    SshTarget, TcpDialer, Timeouts, TransportError,
};
use ncgate::xml::{Fragment, Limits};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::{PASSWORD, USER, eventually, junos, listen};

const UPTIME: &str = "get-system-uptime-information";

/// Dials, and notes when.
struct Watched {
    inner: TcpDialer,
    dials: Mutex<Vec<Instant>>,
}

impl Watched {
    /// Takes what was noted so far.
    fn take(&self) -> Vec<Instant> {
        std::mem::take(&mut *self.dials.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Dialer for Watched {
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Dialed, TransportError>> {
        let mut dials = self.dials.lock().unwrap_or_else(PoisonError::into_inner);
        dials.push(Instant::now());
        self.inner.dial(host, port, limit)
    }
}

struct World {
    registry: Arc<Registry>,
    dialer: Arc<Watched>,
    _spool: tempfile::TempDir,
}

impl World {
    fn new(rate: ConnectRate) -> Self {
        let spool = tempfile::tempdir().expect("a directory");
        let around = Surroundings {
            spool: Spool::open(spool.path(), SpoolLimits::default()).expect("a spool"),
            metrics: Arc::new(Metrics::new()),
            clock: Clock::system(),
            ids: Ids::seeded(1),
            tracker: TaskTracker::new(),
            cut: CancellationToken::new(),
        };
        let loopback = vec!["127.0.0.0/8".parse().expect("a network")];
        Self {
            registry: Registry::new(around, rate),
            dialer: Arc::new(Watched {
                inner: TcpDialer::new(NetworkPolicy::new(loopback, Vec::new())),
                dials: Mutex::default(),
            }),
            _spool: spool,
        }
    }

    fn add(&self, settings: Settings, emulator: &RunningEmulator) -> Arc<Device> {
        let key = emulator.host_public_key().to_openssh().expect("a key line");
        let mut target = SshTarget::new(SshHost {
            address: "127.0.0.1".to_owned(),
            port: emulator.addr().port(),
            username: USER.to_owned(),
            auth: Credentials::password(PASSWORD),
            host_key: HostKeyPolicy::Pinned(vec![HostKey::parse(&key).expect("a host key")]),
            profile: SshProfile::Modern,
        });
        // A busy machine is no failure.
        target.timeouts = Timeouts::total(Duration::from_secs(60));
        let connector = SshConnector::new(target, self.dialer.clone(), None);
        self.registry.upsert(settings, Arc::new(connector))
    }
}

async fn read(device: &Device, who: &str) -> Result<(), DeviceError> {
    let fragment = Fragment::parse_one(&format!("<{UPTIME}/>"), &Limits::default()).expect("well-formed");
    let request = Request::new(move |_| Ok(Rpc::new(fragment)));
    let deadline = Instant::now() + Duration::from_secs(60);
    device.read(who, deadline, request).await.map(drop)
}

/// Q4, quality row 32: a fleet that was lost at once, and is asked for at once, comes back at the pace of its
/// credential domain, whatever the callers do; those that could not be reached wait for different times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleet_reconnects_at_the_pace_of_its_domain() {
    const FLEET: usize = 30;
    let rate = ConnectRate {
        per_second: 20,
        burst: 3,
    };
    let world = World::new(rate);
    // Five devices of the fleet are one emulated box with ten names: it is the gateway that is looked at.
    let boxes = join_all((0..6).map(|_| listen(junos()))).await;
    let fleet: Vec<_> = (0..FLEET)
        .map(|index| {
            let settings = Settings {
                max_sessions: 2,
                credential_domain: Some("tacacs".to_owned()),
                ..Settings::new(format!("r{index}"))
            };
            world.add(settings, &boxes[index % boxes.len()])
        })
        .collect();
    let answers = join_all(fleet.iter().map(|device| read(device, "start"))).await;
    assert!(answers.iter().all(Result::is_ok), "the fleet is up");
    paced(&world.dialer.take(), rate);

    for emulator in &boxes {
        emulator.faults().add(Rule::always(Fault::RefuseConnection));
        emulator.drop_connections();
    }
    eventually("the fleet is lost", async || {
        fleet.iter().all(|device| device.status().sessions.is_empty())
    })
    .await;
    let answers = join_all(fleet.iter().map(|device| read(device, "outage"))).await;
    let mut waits = Vec::new();
    for answer in answers {
        let error = answer.expect_err("nothing is there");
        assert_eq!(error.outcome, Outcome::NotSent);
        waits.extend(error.retry_after());
    }
    waits.sort_unstable();
    assert_eq!(waits.len(), FLEET);
    assert!(
        waits[FLEET - 1] <= Duration::from_millis(500)
            && waits[FLEET - 1] - waits[0] >= Duration::from_millis(250),
        "full jitter: {waits:?}"
    );
    paced(&world.dialer.take(), rate);

    for emulator in &boxes {
        emulator.faults().clear();
    }
    let started = Instant::now();
    join_all(fleet.iter().map(|device| async {
        while let Err(error) = read(device, "return").await {
            let wait = error.retry_after().unwrap_or(Duration::from_millis(10));
            tokio::time::sleep(wait).await;
        }
    }))
    .await;
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
    let dials = world.dialer.take();
    assert_eq!(dials.len(), FLEET, "each device connects once");
    paced(&dials, rate);
    assert!(world.registry.shutdown(Duration::from_secs(60)).await);
}

/// No dial started before its time: after the burst, one at every interval. Late is no fault of the pace.
fn paced(dials: &[Instant], rate: ConnectRate) {
    let burst = usize::try_from(rate.burst).expect("small");
    for (index, dial) in dials.iter().enumerate().skip(burst) {
        let intervals = u32::try_from(index + 1 - burst).expect("small");
        let earliest = Duration::from_secs(1) / rate.per_second * intervals;
        let started = *dial - dials[0];
        // The first one may itself have been late.
        assert!(
            started + Duration::from_millis(100) >= earliest,
            "dial {index} after {started:?}, not {earliest:?}"
        );
    }
}

/// Q1, quality row 33: one principal floods a device; another is served all the same, and other devices do not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_one_principal_leaves_others_their_turns() {
    let world = World::new(ConnectRate::default());
    let (flooded, quiet) = (listen(junos()).await, listen(junos()).await);
    let delay = Duration::from_millis(100);
    flooded.faults().add(Rule::on(UPTIME, Fault::Delay(delay)));
    let device = world.add(Settings::new("flooded"), &flooded);
    let other = world.add(Settings::new("quiet"), &quiet);
    for device in [&device, &other] {
        read(device, "calm").await.expect("a reply");
    }
    let ended = CancellationToken::new();
    let flood: Vec<_> = (0..150)
        .map(|_| {
            let (device, ended) = (device.clone(), ended.clone());
            tokio::spawn(async move {
                let mut refused = 0_u32;
                while !ended.is_cancelled() {
                    match read(&device, "flood").await {
                        Ok(()) => {}
                        Err(DeviceError {
                            outcome: Outcome::NotSent,
                            failure: Failure::QueueFull { .. },
                            ..
                        }) => {
                            refused += 1;
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
                refused
            })
        })
        .collect();
    let full = device.settings().queue_length;
    eventually("the queue is full", async || device.status().queued >= full).await;

    // Told in requests and not in seconds, which a busy machine stretches: those who wait are more by far.
    let served = || flooded.stats().count(UPTIME);
    for _ in 0..10 {
        let before = served();
        read(&device, "calm").await.expect("a turn of its own");
        let meanwhile = served() - before;
        assert!(meanwhile < full as u64 / 2, "{meanwhile} of the flood came first");
        let before = served();
        read(&other, "calm").await.expect("a reply");
        let meanwhile = served() - before;
        assert!(
            meanwhile < full as u64 / 2,
            "the other device waited for {meanwhile}"
        );
    }
    ended.cancel();
    let mut refused = 0;
    for task in flood {
        refused += task.await.expect("no panic");
    }
    assert!(refused >= 150 - 3, "the flood itself is refused: {refused}");
    assert!(world.registry.shutdown(Duration::from_secs(60)).await);
}
