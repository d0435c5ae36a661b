//! Jump hosts: each with its own address, login and host key.

use super::server::{Plan, ed25519_key};
use super::support::{connect_to, listen, pinned, read_bytes, target};
use crate::transport::{Credentials, HostKeyPolicy, Phase, SshTarget, TransportError};

use bytes::Bytes;

/// A jump host with password `gate`, and a target behind it.
async fn behind_jump(address: &str) -> (Plan, Plan, SshTarget) {
    let jump_plan = Plan {
        host_keys: vec![ed25519_key(7)],
        password: Some("gate"),
        accept_forward: true,
        ..Plan::default()
    };
    let device_plan = Plan::default();
    let mut target = target();
    let mut jump = target.host.clone();
    jump.address = "gate.example".to_owned();
    jump.auth = Credentials::password("gate");
    jump.host_key = pinned(&jump_plan);
    target.proxy_jump.push(jump);
    target.host.address = address.to_owned();
    target.host.port = listen(device_plan.clone()).await;
    (jump_plan, device_plan, target)
}

/// S1
#[tokio::test]
async fn device_is_reached_through_its_jump_host_which_resolves_its_name() {
    let (jump, device, target) = behind_jump("inner.example").await;
    let mut connected = connect_to(&jump, &target).await.unwrap();
    connected
        .writer
        .write(Bytes::from_static(b"through"))
        .await
        .unwrap();
    assert_eq!(read_bytes(&mut connected.reader, 7).await, "through");
    assert_eq!(
        jump.log.all()[3],
        format!("forward inner.example:{}", target.host.port)
    );
    assert_eq!(
        device.log.all()[1..],
        ["methods asked", "auth password u", "subsystem netconf"]
    );
    let steps: Vec<(Phase, Option<usize>)> = connected.steps.iter().map(|s| (s.name, s.jump)).collect();
    assert_eq!(steps[1], (Phase::Tcp, Some(0)));
    assert_eq!(steps[5], (Phase::Tcp, None));
    assert_eq!(steps.len(), 10);
    assert_eq!(connected.host_key, device.host_key_line());
}

/// X7
#[tokio::test]
async fn jump_host_key_is_checked_before_its_login() {
    let (jump, _, mut target) = behind_jump("127.0.0.1").await;
    target.proxy_jump[0].host_key = HostKeyPolicy::Pinned(Vec::new());
    let error = connect_to(&jump, &target).await.err().unwrap();
    match &error {
        TransportError::Jump { index: 0, host, .. } => assert_eq!(host, "gate.example"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(error.innermost(), TransportError::HostKeyUnknown { .. }));
    assert_eq!(jump.log.auth_attempts(), 0);
}

/// S1
#[tokio::test]
async fn jump_host_that_cannot_go_on_says_so() {
    let (jump, _, mut target) = behind_jump("127.0.0.1").await;
    target.host.port = 1;
    let error = connect_to(&jump, &target).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "jump host cannot connect to 127.0.0.1 port 1: ConnectFailed"
    );
    let forbidden = Plan {
        accept_forward: false,
        ..jump
    };
    let error = connect_to(&forbidden, &target).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "jump host cannot connect to 127.0.0.1 port 1: AdministrativelyProhibited"
    );
}

/// S1
#[tokio::test]
async fn tofu_reports_the_keys_of_every_hop() {
    let (jump, device, mut target) = behind_jump("127.0.0.1").await;
    target.proxy_jump[0].host_key = HostKeyPolicy::Tofu { learned: Vec::new() };
    target.host.host_key = HostKeyPolicy::Tofu { learned: Vec::new() };
    let connected = connect_to(&jump, &target).await.unwrap();
    assert_eq!(
        connected.learned,
        [(Some(0), jump.host_key_line()), (None, device.host_key_line())]
    );
}
