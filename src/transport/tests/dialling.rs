//! X8: what is dialled is what was checked.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;

use super::server::Plan;
use super::support::{listen, target};
use crate::transport::{
    BoxFuture, Dialer, NetworkPolicy, Phase, Resolve, SshTarget, TcpDialer, TransportError, connect,
};

/// Answers from a list, another one each time.
struct Answers {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Answers {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
        let answers = answers.iter().rev().map(parse).collect();
        Arc::new(Self {
            answers: Mutex::new(answers),
            asked: AtomicUsize::new(0),
        })
    }
}

impl Resolve for Answers {
    fn resolve<'a>(&'a self, _host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers.lock().unwrap().pop().unwrap_or_default();
        Box::pin(async move { Ok(answer) })
    }
}

fn loopback() -> NetworkPolicy {
    NetworkPolicy::new(vec!["127.0.0.0/8".parse().unwrap()], Vec::new())
}

fn at(address: &str, port: u16) -> SshTarget {
    let mut target = target();
    target.host.address = address.to_owned();
    target.host.port = port;
    target
}

const SECOND: Duration = Duration::from_secs(1);

/// X8, S2
#[tokio::test]
async fn real_sockets_connect_where_the_network_is_named() {
    let port = listen(Plan::default()).await;
    let connected = connect(&at("127.0.0.1", port), &TcpDialer::new(loopback()))
        .await
        .unwrap();
    assert!(!connected.connection.is_closed());
    let denied = connect(&at("127.0.0.1", port), &TcpDialer::new(NetworkPolicy::default()))
        .await
        .err()
        .unwrap();
    assert_eq!(
        denied.to_string(),
        format!("address of 127.0.0.1 is not in the allowed networks: 127.0.0.1 port {port}")
    );
}

/// X8
#[tokio::test]
async fn addresses_are_denied_however_they_are_spelt() {
    let dialer = TcpDialer::new(NetworkPolicy::default());
    for spelling in [
        "127.0.0.1",
        "::1",
        "[::1]",
        "::ffff:127.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "localhost",
    ] {
        let error = dialer.dial(spelling, 830, SECOND).await.err().unwrap();
        // A resolver need not take the odd forms; if it does, the answer is checked.
        let denied = matches!(error, TransportError::AddressDenied { .. });
        let unknown = matches!(error, TransportError::Resolve { .. });
        assert!(
            denied || (unknown && spelling.contains(['2', '7'])),
            "{spelling}: {error}"
        );
    }
}

/// X8, quality section 3 row 7
#[tokio::test]
async fn name_is_resolved_once_and_the_checked_address_dialled() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // A rebinding name: allowed when checked, something else when asked again.
    let names = Answers::new(&[&["127.0.0.1"], &["10.9.9.9"]]);
    let dialed = TcpDialer::with_resolver(loopback(), names.clone())
        .dial("rebind.example", port, SECOND)
        .await;
    assert_eq!(
        dialed.unwrap().address.unwrap().to_string(),
        format!("127.0.0.1:{port}")
    );
    assert_eq!(names.asked.load(Ordering::Relaxed), 1);

    let names = Answers::new(&[&["127.0.0.1", "::1", "169.254.0.1"]]);
    let error = TcpDialer::with_resolver(NetworkPolicy::default(), names)
        .dial("in.example", port, SECOND)
        .await;
    match error.err().unwrap() {
        TransportError::AddressDenied { addresses, .. } => assert_eq!(addresses.len(), 3),
        other => panic!("{other:?}"),
    }
}

/// X8
#[tokio::test]
async fn denied_addresses_of_a_name_are_passed_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let names = Answers::new(&[&["::1", "0.0.0.0", "127.0.0.1"]]);
    let dialed = TcpDialer::with_resolver(loopback(), names)
        .dial("two.example", port, SECOND)
        .await
        .unwrap();
    assert_eq!(dialed.address.unwrap().ip().to_string(), "127.0.0.1");
}

/// Quality section 1 row 1
#[tokio::test]
async fn refused_connection_is_told_with_its_address() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = connect(&at("127.0.0.1", port), &TcpDialer::new(loopback()))
        .await
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        format!("connection refused by 127.0.0.1:{port}")
    );
}

/// S1
#[tokio::test]
async fn name_without_address_is_told() {
    let names = Answers::new(&[&[]]);
    let error = TcpDialer::with_resolver(loopback(), names)
        .dial("empty.example", 830, SECOND)
        .await
        .err()
        .unwrap();
    assert!(matches!(error, TransportError::Resolve { .. }), "{error}");
}

struct NeverResolves;

impl Resolve for NeverResolves {
    fn resolve<'a>(&'a self, _host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::pending())
    }
}

/// S1
#[tokio::test(start_paused = true)]
async fn slow_resolver_times_out_in_its_own_phase() {
    let dialer = TcpDialer::with_resolver(loopback(), Arc::new(NeverResolves));
    match connect(&at("slow.example", 830), &dialer).await.err().unwrap() {
        TransportError::Timeout {
            phase: Phase::Resolve,
            after,
        } => assert_eq!(after, Duration::from_secs(60)),
        other => panic!("{other:?}"),
    }
}
