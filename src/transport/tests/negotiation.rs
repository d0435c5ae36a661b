//! Algorithms: what is used, what is refused, and that keys are renewed.

use std::time::Duration;

use bytes::Bytes;
use russh::{Limits, cipher, kex, mac};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::server::{OnStart, Plan};
use super::support::{connect_to, failure, pair, read_bytes, target};
use crate::transport::{Loss, Negotiated, Phase, SshProfile, SshTarget, Timeouts, TransportError, connect};

fn profile(profile: SshProfile) -> SshTarget {
    let mut target = target();
    target.host.profile = profile;
    target
}

fn only_kex(names: &[kex::Name]) -> Plan {
    let mut plan = Plan::default();
    plan.preferred.kex = names.to_vec().into();
    plan
}

/// S1
#[tokio::test]
async fn negotiated_algorithms_and_steps_are_told() {
    let connected = connect_to(&Plan::default(), &target()).await.unwrap();
    assert_eq!(
        connected.negotiated,
        Negotiated {
            kex: "mlkem768x25519-sha256".to_owned(),
            cipher: "aes256-gcm@openssh.com".to_owned(),
            mac: "implicit".to_owned(),
            host_key_algorithm: "ssh-ed25519".to_owned(),
        }
    );
    let names: Vec<&str> = connected.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["resolve", "tcp", "kex", "hostkey", "auth", "subsystem"]);
    assert!(connected.steps.iter().all(|step| step.jump.is_none()));
}

/// Quality section 3 row 19
#[tokio::test]
async fn sha1_key_exchange_is_for_legacy_only() {
    let plan = only_kex(&[kex::DH_G14_SHA1, kex::DH_GEX_SHA1]);
    for strict in [SshProfile::Modern, SshProfile::Compat] {
        match failure(&plan, &profile(strict)).await {
            TransportError::Negotiation { kind, ours, theirs } => {
                assert_eq!(kind, "key exchange");
                assert!(ours.iter().any(|name| name == "curve25519-sha256"), "{ours:?}");
                assert_eq!(
                    theirs,
                    [
                        "diffie-hellman-group14-sha1",
                        "diffie-hellman-group-exchange-sha1"
                    ]
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(plan.log.auth_attempts(), 0);
    let connected = connect_to(&plan, &profile(SshProfile::Legacy)).await.unwrap();
    assert_eq!(connected.negotiated.kex, "diffie-hellman-group14-sha1");
}

/// Quality section 3 row 19
#[tokio::test]
async fn old_ciphers_and_macs_need_their_profile() {
    let mut cbc = Plan::default();
    cbc.preferred.cipher = vec![cipher::TRIPLE_DES_CBC, cipher::AES_128_CBC].into();
    cbc.preferred.mac = vec![mac::HMAC_SHA1].into();
    match failure(&cbc, &profile(SshProfile::Compat)).await {
        TransportError::Negotiation {
            kind: "cipher",
            theirs,
            ..
        } => {
            assert_eq!(theirs, ["3des-cbc", "aes128-cbc"]);
        }
        other => panic!("{other:?}"),
    }
    let connected = connect_to(&cbc, &profile(SshProfile::Legacy)).await.unwrap();
    assert_eq!(connected.negotiated.cipher, "aes128-cbc");
    assert_eq!(connected.negotiated.mac, "hmac-sha1");
    let mut ctr = Plan::default();
    ctr.preferred.cipher = vec![cipher::AES_128_CTR].into();
    ctr.preferred.mac = vec![mac::HMAC_SHA1].into();
    let error = failure(&ctr, &profile(SshProfile::Modern)).await;
    assert!(
        matches!(error, TransportError::Negotiation { kind: "mac", .. }),
        "{error:?}"
    );
    connect_to(&ctr, &profile(SshProfile::Compat)).await.unwrap();
}

/// S1
#[tokio::test]
async fn nist_curves_are_modern() {
    for name in [
        kex::ECDH_SHA2_NISTP256,
        kex::ECDH_SHA2_NISTP384,
        kex::ECDH_SHA2_NISTP521,
    ] {
        let connected = connect_to(&only_kex(&[name]), &target()).await.unwrap();
        assert_eq!(connected.negotiated.kex, name.as_ref());
    }
}

/// S1
#[tokio::test]
async fn peer_that_does_not_speak_ssh_is_told_apart() {
    let (dialer, mut peer) = pair();
    let talk = tokio::spawn(async move {
        peer.write_all("HTTP/1.1 400 Bad Request\r\n".repeat(30).as_bytes())
            .await
            .unwrap();
        peer
    });
    let error = connect(&target(), &dialer).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "ssh handshake failed: invalid SSH version string"
    );
    drop(talk.await.unwrap());

    let (dialer, peer) = pair();
    drop(peer);
    match connect(&target(), &dialer).await.err().unwrap() {
        TransportError::Closed {
            phase: Phase::Kex,
            loss: Loss::Closed | Loss::Io { .. },
        } => {}
        other => panic!("{other:?}"),
    }
}

/// S1
#[tokio::test(start_paused = true)]
async fn silent_peer_times_out_and_its_socket_is_freed() {
    let (dialer, mut peer) = pair();
    let mut target = target();
    target.timeouts = Timeouts {
        kex: Duration::from_secs(3),
        ..Timeouts::default()
    };
    match connect(&target, &dialer).await.err().unwrap() {
        TransportError::Timeout {
            phase: Phase::Kex,
            after,
        } => assert_eq!(after, Duration::from_secs(3)),
        other => panic!("{other:?}"),
    }
    let mut seen = Vec::new();
    peer.read_to_end(&mut seen).await.unwrap();
    assert!(seen.starts_with(b"SSH-2.0-ncgate_"), "then the end of the stream");
}

/// S1
#[tokio::test(start_paused = true)]
async fn stall_in_the_key_exchange_frees_the_socket_too() {
    let (dialer, mut peer) = pair();
    let connecting = tokio::spawn(async move { connect(&target(), &dialer).await });
    // With a version but no key exchange, the library's own task runs and waits for ever.
    peer.write_all(b"SSH-2.0-mute\r\n").await.unwrap();
    let mut seen = Vec::new();
    peer.read_to_end(&mut seen).await.unwrap();
    let error = connecting.await.unwrap().err().unwrap();
    assert!(
        matches!(
            error,
            TransportError::Timeout {
                phase: Phase::Kex,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        seen.len() > 500,
        "our key exchange offer was sent: {}",
        seen.len()
    );
}

/// Key renewal limits of 256 KiB, ours or the server's.
fn renewing(ours: bool, on_start: OnStart) -> (Plan, SshTarget) {
    let (mut plan, mut target) = (Plan::start(on_start), target());
    match ours {
        true => target.settings.rekey_bytes = 256 << 10,
        false => plan.limits = Limits::new(256 << 10, 256 << 10, Duration::from_secs(3600)),
    }
    (plan, target)
}

/// S2
#[tokio::test]
async fn keys_are_renewed_by_either_side_between_messages() {
    for ours in [true, false] {
        let (plan, target) = renewing(ours, OnStart::Echo);
        let mut connected = connect_to(&plan, &target).await.unwrap();
        for round in 0..64u8 {
            connected
                .writer
                .write(Bytes::from(vec![round; 64 << 10]))
                .await
                .unwrap();
            let back = read_bytes(&mut connected.reader, 64 << 10).await;
            assert!(back.iter().all(|byte| *byte == round) && back.len() == 64 << 10);
        }
    }
}

/// S2
#[tokio::test]
async fn keys_are_renewed_by_either_side_in_the_middle_of_a_reply() {
    const TOTAL: usize = 8 << 20;
    for ours in [true, false] {
        let (plan, target) = renewing(ours, OnStart::Flood(TOTAL));
        let mut connected = connect_to(&plan, &target).await.unwrap();
        assert_eq!(read_bytes(&mut connected.reader, TOTAL).await.len(), TOTAL);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever a peer sends instead of SSH, the answer is an error and the socket is freed.
    #[test]
    fn hostile_bytes_end_in_an_error(
        greeting in proptest::bool::ANY,
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let (dialer, mut peer) = pair();
            let connecting = tokio::spawn(async move { connect(&target(), &dialer).await });
            if greeting {
                peer.write_all(b"SSH-2.0-x\r\n").await.unwrap();
            }
            peer.write_all(&bytes).await.unwrap();
            let mut seen = Vec::new();
            peer.read_to_end(&mut seen).await.unwrap();
            let error = connecting.await.unwrap().err().unwrap();
            let expected = matches!(
                error,
                TransportError::Timeout { phase: Phase::Kex, .. }
                    | TransportError::Handshake { .. }
                    | TransportError::Negotiation { .. }
                    | TransportError::Closed { phase: Phase::Kex, .. }
            );
            assert!(expected, "{error:?}");
        });
    }
}
