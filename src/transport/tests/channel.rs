//! S2, S3: the channel, its data and its end.

use std::time::Duration;

use bytes::Bytes;

use super::server::{OnStart, Plan};
use super::support::{connect_to, failure, read_bytes, target};
use crate::transport::{ChannelKind, ChannelRequest, Ending, Phase, SshTarget, TransportError};

fn pty() -> SshTarget {
    SshTarget {
        channel: ChannelKind::Pty,
        ..target()
    }
}

/// S2
#[tokio::test]
async fn subsystem_carries_bytes_both_ways() {
    let plan = Plan::default();
    let mut connected = connect_to(&plan, &target()).await.unwrap();
    connected
        .writer
        .write(Bytes::from_static(b"hello"))
        .await
        .unwrap();
    assert_eq!(read_bytes(&mut connected.reader, 5).await, "hello");
    assert_eq!(
        plan.log.all(),
        [
            "connected",
            "methods asked",
            "auth password u",
            "subsystem netconf"
        ]
    );
}

/// S2
#[tokio::test]
async fn data_before_the_answer_is_kept() {
    let mut connected = connect_to(&Plan::start(OnStart::Early("first ")), &target())
        .await
        .unwrap();
    connected
        .writer
        .write(Bytes::from_static(b"second"))
        .await
        .unwrap();
    assert_eq!(read_bytes(&mut connected.reader, 12).await, "first second");
}

/// S2
#[tokio::test]
async fn refused_subsystem_is_told_with_what_the_server_said() {
    let plan = Plan::start(OnStart::Refuse {
        stderr: "subsystem request\x07 failed\n",
        status: Some(127),
    });
    let error = failure(&plan, &target()).await;
    match &error {
        TransportError::NoSubsystem {
            request: ChannelRequest::Subsystem,
            exit_status,
            message,
        } => {
            assert_eq!(*exit_status, Some(127));
            assert_eq!(message, "subsystem request  failed");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        error.to_string(),
        "server refuses the netconf subsystem (exit status 127): subsystem request  failed"
    );
    let no_channel = Plan {
        accept_channel: false,
        ..Plan::default()
    };
    let error = failure(&no_channel, &target()).await;
    assert_eq!(
        error.to_string(),
        "server refuses a session channel: AdministrativelyProhibited"
    );
}

/// S3
#[tokio::test]
async fn pseudo_terminal_runs_the_command_without_echo() {
    let plan = Plan::default();
    let mut connected = connect_to(&plan, &pty()).await.unwrap();
    connected
        .writer
        .write(Bytes::from_static(b"hello"))
        .await
        .unwrap();
    assert_eq!(read_bytes(&mut connected.reader, 5).await, "hello");
    assert_eq!(plan.log.all()[3..], ["pty vt100 echo Some(0)", "exec netconf"]);
}

/// S3
#[tokio::test]
async fn refused_terminal_and_command_are_told_apart() {
    let plan = Plan {
        accept_pty: false,
        ..Plan::default()
    };
    let error = failure(&plan, &pty()).await;
    assert_eq!(error.to_string(), "server refuses a pseudo-terminal");
    let plan = Plan::start(OnStart::Refuse {
        stderr: "",
        status: None,
    });
    let error = failure(&plan, &pty()).await;
    assert_eq!(error.to_string(), "server refuses the netconf command");
}

/// S2
#[tokio::test]
async fn end_of_data_comes_with_exit_status_and_standard_error() {
    let plan = Plan::start(OnStart::Exit {
        stdout: "bye",
        stderr: "no such command",
        status: 127,
    });
    let mut connected = connect_to(&plan, &target()).await.unwrap();
    assert_eq!(connected.reader.next().await.unwrap().unwrap(), "bye");
    assert_eq!(connected.reader.next().await.unwrap(), None);
    let ending = connected.reader.ending(Duration::from_secs(5)).await;
    let expected = Ending {
        exit_status: Some(127),
        exit_signal: None,
        stderr: "no such command".to_owned(),
    };
    assert_eq!(ending, expected);
    assert_eq!(connected.reader.next().await.unwrap(), None, "and stays so");
}

/// S1
#[tokio::test(start_paused = true)]
async fn unanswered_subsystem_request_times_out_in_its_phase() {
    let error = failure(&Plan::start(OnStart::Silent), &target()).await;
    assert!(
        matches!(
            error,
            TransportError::Timeout {
                phase: Phase::Subsystem,
                ..
            }
        ),
        "{error:?}"
    );
}

/// S2
#[tokio::test]
async fn large_data_arrives_whole() {
    const TOTAL: usize = 24 << 20;
    let mut connected = connect_to(&Plan::start(OnStart::Flood(TOTAL)), &target())
        .await
        .unwrap();
    let mut seen = 0;
    while seen < TOTAL {
        let piece = connected.reader.next().await.unwrap().unwrap();
        assert!(piece.iter().all(|byte| *byte == b'x'));
        seen += piece.len();
    }
    assert_eq!(seen, TOTAL);
}
