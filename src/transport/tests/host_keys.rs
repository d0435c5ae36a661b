//! X7: no key, no login.

use super::server::{Plan, ed25519_key, rsa_key};
use super::support::{connect_to, failure, pinned, target};
use crate::transport::{HostKey, HostKeyPolicy, TransportError};

/// X7
#[tokio::test]
async fn unknown_key_stops_before_authentication() {
    let plan = Plan::default();
    let mut target = target();
    target.host.host_key = HostKeyPolicy::Pinned(Vec::new());
    match failure(&plan, &target).await {
        TransportError::HostKeyUnknown {
            fingerprint,
            algorithm,
            public_key,
        } => {
            assert_eq!(algorithm, "ssh-ed25519");
            assert_eq!(public_key, plan.host_key_line());
            // What the error tells can be pinned as it is.
            target.host.host_key = HostKeyPolicy::Pinned(vec![HostKey::parse(&fingerprint).unwrap()]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(plan.log.auth_attempts(), 0);
    let connected = connect_to(&plan, &target).await.unwrap();
    assert_eq!(connected.host_key, plan.host_key_line());
    assert!(connected.learned.is_empty());
}

/// X7, quality section 1 row 30
#[tokio::test]
async fn changed_key_stops_before_authentication() {
    let plan = Plan {
        host_keys: vec![ed25519_key(66)],
        ..Plan::default()
    };
    for policy in [
        pinned(&Plan::default()),
        learned(&Plan::default().host_key_line()),
    ] {
        let mut target = target();
        target.host.host_key = policy;
        match failure(&plan, &target).await {
            TransportError::HostKeyChanged { expected, actual, .. } => {
                assert_eq!(expected.len(), 1);
                assert!(expected[0].starts_with("SHA256:") && actual.starts_with("SHA256:"));
                assert_ne!(expected[0], actual);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(plan.log.auth_attempts(), 0, "{:?}", plan.log.all());
}

fn learned(line: &str) -> HostKeyPolicy {
    HostKeyPolicy::Tofu {
        learned: vec![HostKey::parse(line).unwrap()],
    }
}

/// X7
#[tokio::test]
async fn first_use_is_trusted_and_reported_once() {
    let plan = Plan::default();
    let mut target = target();
    target.host.host_key = HostKeyPolicy::Tofu { learned: Vec::new() };
    let connected = connect_to(&plan, &target).await.unwrap();
    assert_eq!(connected.learned, [(None, plan.host_key_line())]);
    target.host.host_key = learned(&connected.learned[0].1);
    assert!(connect_to(&plan, &target).await.unwrap().learned.is_empty());
}

/// X7
#[tokio::test]
async fn server_is_asked_for_the_kind_of_key_that_is_known() {
    let plan = Plan {
        host_keys: vec![ed25519_key(1), rsa_key()],
        ..Plan::default()
    };
    let mut target = target();
    let rsa = rsa_key().public_key().to_openssh().unwrap();
    target.host.host_key = HostKeyPolicy::Pinned(vec![HostKey::parse(&rsa).unwrap()]);
    let connected = connect_to(&plan, &target).await.unwrap();
    assert_eq!(connected.negotiated.host_key_algorithm, "rsa-sha2-512");
    let by_print = format!("2048 {} x (RSA)", connected.host_key_fingerprint);
    target.host.host_key = HostKeyPolicy::Pinned(vec![HostKey::parse(&by_print).unwrap()]);
    connect_to(&plan, &target).await.unwrap();
}
