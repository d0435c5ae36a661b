use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, AuthResult, KeyboardInteractiveAuthResponse};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg};
use russh::{ChannelMsg, Disconnect, Pty};

use super::super::builder::Builder;
use super::super::faults::{Fault, Rule};
use super::super::gate::Gate;
use super::super::ssh::Prompt;
use super::*;

struct Client;

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _key: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

type Handle = client::Handle<Client>;

async fn connect(device: &RunningEmulator) -> Handle {
    client::connect(Arc::new(client::Config::default()), device.addr(), Client)
        .await
        .unwrap()
}

async fn listening(builder: Builder) -> RunningEmulator {
    builder
        .user("admin")
        .password("admin123")
        .listen("127.0.0.1:0")
        .await
        .unwrap()
}

async fn logged_in(device: &RunningEmulator) -> Handle {
    let mut client = connect(device).await;
    assert!(
        client
            .authenticate_password("admin", "admin123")
            .await
            .unwrap()
            .success()
    );
    client
}

/// Reads until the text holds `what`, or the channel ends.
async fn until(channel: &mut russh::Channel<client::Msg>, what: &str) -> String {
    let mut text = String::new();
    while !text.contains(what) {
        match channel.wait().await {
            Some(ChannelMsg::Data { data }) => text.push_str(&String::from_utf8_lossy(&data)),
            Some(_) => {}
            None => break,
        }
    }
    text
}

const HELLO: &[u8] =
    b"<hello><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability></capabilities></hello>]]>]]>\n";
const ASK: &[u8] = b"<rpc message-id=\"1\"><get-software-information/></rpc>]]>]]>\n";

/// S2: the subsystem; S30: the end of a session closes its channel with status 0.
#[tokio::test]
async fn the_subsystem_serves_a_session_to_its_end() {
    let device = listening(Emulator::builder()).await;
    let client = logged_in(&device).await;
    let mut channel = client.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "netconf").await.unwrap();
    assert!(until(&mut channel, "]]>]]>").await.contains("<session-id>"));
    channel.data(HELLO).await.unwrap();
    channel.data(ASK).await.unwrap();
    assert!(
        until(&mut channel, "]]>]]>")
            .await
            .contains("<host-name>mx1</host-name>")
    );
    assert_eq!(device.stats().open_sessions, 1);
    channel
        .data(&b"<rpc message-id=\"2\"><close-session/></rpc>]]>]]>"[..])
        .await
        .unwrap();
    let mut status = None;
    while let Some(message) = channel.wait().await {
        if let ChannelMsg::ExitStatus { exit_status } = message {
            status = Some(exit_status);
        }
    }
    assert_eq!(status, Some(0));
    assert_eq!(device.stats().rpcs, ["get-software-information", "close-session"]);
    client
        .disconnect(Disconnect::ByApplication, "", "")
        .await
        .unwrap();
    device.stop().await;
}

/// S3: a pseudo-terminal and the command: the motd, the echo, CR LF; with the modes turned off, none of it.
#[tokio::test]
async fn the_command_runs_on_a_terminal() {
    let device = listening(Emulator::builder().motd("--- JUNOS 21.4R3-S5.4 ---\n")).await;
    let client = logged_in(&device).await;
    let mut channel = client.channel_open_session().await.unwrap();
    channel
        .request_pty(true, "vt100", 80, 24, 0, 0, &[])
        .await
        .unwrap();
    channel.exec(true, "netconf").await.unwrap();
    let hello = until(&mut channel, "]]>]]>").await;
    assert!(hello.starts_with("--- JUNOS 21.4R3-S5.4 ---\r\n<!-- "), "{hello}");
    channel.data(HELLO).await.unwrap();
    assert!(
        until(&mut channel, "]]>]]>\r\n")
            .await
            .contains("<hello><capabilities>")
    );

    let mut channel = client.channel_open_session().await.unwrap();
    let modes = [(Pty::ECHO, 0), (Pty::ICANON, 0), (Pty::OPOST, 0)];
    channel
        .request_pty(true, "vt100", 80, 24, 0, 0, &modes)
        .await
        .unwrap();
    channel.exec(true, "netconf").await.unwrap();
    until(&mut channel, "]]>]]>\n").await;
    channel.data(HELLO.trim_ascii_end()).await.unwrap();
    channel.data(ASK.trim_ascii_end()).await.unwrap();
    let reply = until(&mut channel, "]]>]]>\n").await;
    assert!(
        reply.starts_with("<rpc-reply") && !reply.contains('\r'),
        "{reply}"
    );
}

/// S3: what a client falls back to where the subsystem is off.
#[tokio::test]
async fn without_the_subsystem_the_command_remains() {
    let device = listening(Emulator::builder().without_subsystem()).await;
    let client = logged_in(&device).await;
    let mut channel = client.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "netconf").await.unwrap();
    assert!(matches!(channel.wait().await, Some(ChannelMsg::Failure)));
    let mut channel = client.channel_open_session().await.unwrap();
    channel.exec(true, "xml-mode netconf need-trailer").await.unwrap();
    assert!(until(&mut channel, "]]>]]>").await.contains("<session-id>"));
    let mut channel = client.channel_open_session().await.unwrap();
    channel.exec(true, "rm -rf /").await.unwrap();
    assert!(matches!(channel.wait().await, Some(ChannelMsg::Failure)));
}

/// S1: a wrong password and an unknown user are refused at once; the methods on offer are those that exist.
#[tokio::test]
async fn wrong_passwords_are_refused_and_counted() {
    let device = listening(Emulator::builder()).await;
    let started = std::time::Instant::now();
    for (user, password) in [("admin", "wrong"), ("nobody", "admin123")] {
        let mut client = connect(&device).await;
        match client.authenticate_password(user, password).await.unwrap() {
            AuthResult::Failure {
                remaining_methods, ..
            } => {
                let names: Vec<&str> = remaining_methods.iter().map(|method| method.into()).collect();
                assert_eq!(names, ["password"]);
            }
            AuthResult::Success => panic!("{user} got in"),
        }
    }
    let mut client = connect(&device).await;
    assert!(
        !client
            .authenticate_password("admin", "wrong")
            .await
            .unwrap()
            .success()
    );
    assert!(
        client
            .authenticate_password("admin", "admin123")
            .await
            .unwrap()
            .success()
    );
    assert!(started.elapsed() < Duration::from_millis(900));
    let stats = device.stats();
    assert_eq!((stats.auth_attempts, stats.auth_successes), (4, 1));
}

fn ed25519(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

async fn key_login(client: &mut Handle, key: PrivateKey) -> bool {
    let hash = client.best_supported_rsa_hash().await.unwrap().flatten();
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
    client
        .authenticate_publickey("admin", key)
        .await
        .unwrap()
        .success()
}

/// S1: keys that are known let in, others do not.
#[tokio::test]
async fn known_keys_let_in() {
    let known = ed25519(1);
    let device = listening(
        Emulator::builder()
            .user("admin")
            .authorized_key(known.public_key().clone()),
    )
    .await;
    assert!(!key_login(&mut connect(&device).await, ed25519(2)).await);
    assert!(key_login(&mut connect(&device).await, known).await);
    assert_eq!(device.stats().auth_successes, 1);
}

/// S1: rounds of questions, all of which must be answered rightly.
#[tokio::test]
async fn keyboard_interactive_asks_in_rounds() {
    let prompt = |text: &str, answer: &str| Prompt {
        text: text.into(),
        echo: false,
        answer: answer.into(),
    };
    let builder = Emulator::builder()
        .user("admin")
        .keyboard_interactive(vec![prompt("Password: ", "p"), prompt("Colour: ", "blue")])
        .keyboard_interactive(vec![prompt("Code: ", "4711")]);
    let device = builder.listen("127.0.0.1:0").await.unwrap();
    for (code, accepted) in [("4711", true), ("0000", false)] {
        let mut client = connect(&device).await;
        let mut response = client
            .authenticate_keyboard_interactive_start("admin", None)
            .await
            .unwrap();
        for answers in [vec!["p".to_owned(), "blue".to_owned()], vec![code.to_owned()]] {
            let KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } = &response else {
                panic!("no questions: {response:?}")
            };
            assert_eq!(prompts.len(), answers.len());
            response = client
                .authenticate_keyboard_interactive_respond(answers)
                .await
                .unwrap();
        }
        assert_eq!(
            matches!(response, KeyboardInteractiveAuthResponse::Success),
            accepted
        );
    }
}

/// The host key follows from its seed, or from the name.
#[tokio::test]
async fn the_host_key_is_the_same_every_time() {
    let print = async |builder: Builder| listening(builder).await.host_key_fingerprint();
    let first = print(Emulator::builder()).await;
    assert!(first.starts_with("SHA256:"));
    assert_eq!(first, print(Emulator::builder()).await);
    assert_ne!(first, print(Emulator::builder().hostname("mx2")).await);
    assert_ne!(first, print(Emulator::builder().host_key_seed([9; 32])).await);
}

/// Faults before a session.
#[tokio::test]
async fn connections_logins_and_the_subsystem_can_be_refused() {
    let device = listening(Emulator::builder()).await;
    device.faults().add(Rule::always(Fault::RefuseConnection).once());
    assert!(
        client::connect(Arc::new(client::Config::default()), device.addr(), Client)
            .await
            .is_err()
    );
    device
        .faults()
        .add(Rule::always(Fault::RefuseAuthentication).once());
    let mut client = connect(&device).await;
    assert!(
        !client
            .authenticate_password("admin", "admin123")
            .await
            .unwrap()
            .success()
    );
    device.faults().add(Rule::always(Fault::RefuseSubsystem).once());
    let client = logged_in(&device).await;
    let mut channel = client.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "netconf").await.unwrap();
    assert!(matches!(channel.wait().await, Some(ChannelMsg::Failure)));
}

/// Everything that is open ends when the cable is pulled, and everything else when the device stops.
#[tokio::test]
async fn dropped_connections_and_a_stopped_device_leave_nothing_behind() {
    let device = listening(Emulator::builder()).await;
    let client = logged_in(&device).await;
    let mut channel = client.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "netconf").await.unwrap();
    until(&mut channel, "]]>]]>").await;
    device.drop_connections();
    assert_eq!(until(&mut channel, "never").await.trim(), "");
    let again = logged_in(&device).await;
    let mut channel = again.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "netconf").await.unwrap();
    until(&mut channel, "]]>]]>").await;
    let (shared, address) = (device.emulator.shared.clone(), device.addr());
    device.stop().await;
    let stats = shared.device.stats.snapshot();
    assert_eq!(
        (stats.open_connections, stats.open_sessions, stats.connections),
        (0, 0, 2)
    );
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// A reply cut short arrives as far as it goes, and then the connection is lost.
#[tokio::test]
async fn a_cut_reply_arrives_before_the_connection_is_lost() {
    let rule = Rule::on("get-software-information", Fault::DropAfter(20));
    let device = listening(Emulator::builder().fault_rule(rule)).await;
    let client = logged_in(&device).await;
    let mut channel = client.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "netconf").await.unwrap();
    until(&mut channel, "]]>]]>\n").await;
    channel.data(HELLO).await.unwrap();
    channel.data(ASK).await.unwrap();
    assert_eq!(until(&mut channel, "never").await, "<rpc-reply xmlns=\"ur");
    assert!(client.is_closed() || client.channel_open_session().await.is_err());
}

/// Sessions beyond the bound are refused; 500 at once are cheap.
#[tokio::test]
async fn sessions_are_bounded_and_many_are_cheap() {
    let device = listening(Emulator::builder().max_sessions(1)).await;
    let client = logged_in(&device).await;
    let mut first = client.channel_open_session().await.unwrap();
    first.request_subsystem(true, "netconf").await.unwrap();
    until(&mut first, "]]>]]>").await;
    let mut second = client.channel_open_session().await.unwrap();
    second.request_subsystem(true, "netconf").await.unwrap();
    assert!(matches!(second.wait().await, Some(ChannelMsg::Failure)));

    let emulator = Emulator::builder().build().unwrap();
    let mut streams = Vec::new();
    for _ in 0..500 {
        let (stream, other) = tokio::io::duplex(4096);
        let served = emulator.clone();
        emulator
            .shared
            .tasks
            .spawn(async move { served.serve_netconf(other, "admin", "192.0.2.1").await });
        streams.push(stream);
    }
    while emulator.device().stats.snapshot().open_sessions < 500 {
        tokio::task::yield_now().await;
    }
    emulator.stop().await;
    assert_eq!(emulator.device().stats.snapshot().open_sessions, 0);
}

/// SSH over any stream, and a device that goes down and comes up: who was logged in is not, and nothing is served
/// meanwhile.
#[tokio::test]
async fn a_stream_is_served_unless_the_device_is_down() {
    let emulator = Emulator::builder()
        .user("admin")
        .password("admin123")
        .build()
        .unwrap();
    let connect = async || {
        let (stream, other) = tokio::io::duplex(64 * 1024);
        let served = emulator.clone();
        let tasks = &emulator.shared.tasks;
        tasks.spawn(async move { served.serve_ssh(other, "192.0.2.1").await });
        client::connect_stream(Arc::new(client::Config::default()), stream, Client).await
    };
    let mut client = connect().await.unwrap();
    let login = client.authenticate_password("admin", "admin123").await.unwrap();
    assert!(login.success());
    let mut channel = client.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "netconf").await.unwrap();
    until(&mut channel, "]]>]]>").await;
    assert_eq!(
        emulator.device().sessions().values().next().unwrap().from,
        "192.0.2.1"
    );
    emulator.device().power_off();
    assert_eq!(until(&mut channel, "never").await.trim(), "");
    assert!(connect().await.is_err());
    let (stream, other) = tokio::io::duplex(64);
    emulator.serve_netconf(other, "admin", "192.0.2.1").await;
    drop(stream);
    emulator.device().power_on();
    assert!(connect().await.is_ok());
    emulator.stop().await;
    assert_eq!(emulator.device().stats.snapshot().open_connections, 0);
}

/// Matrix row 6: SSH is gone at once, and the device commits when it is let.
#[tokio::test]
async fn a_commit_outlives_its_ssh_connection() {
    let gate = Gate::new();
    let rule = Rule::on("commit-configuration", Fault::DropThenOperation((&gate).into()));
    let device = listening(Emulator::builder().fault_rule(rule)).await;
    let client = logged_in(&device).await;
    let mut channel = client.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "netconf").await.unwrap();
    until(&mut channel, "]]>]]>\n").await;
    channel.data(HELLO).await.unwrap();
    let commit = &b"<rpc message-id=\"1\"><commit-configuration/></rpc>]]>]]>\n"[..];
    channel.data(commit).await.unwrap();
    assert_eq!(until(&mut channel, "never").await, "");
    gate.reached().await;
    assert!(device.device().deeds().is_empty());
    assert_eq!(device.stats().open_sessions, 1);
    gate.open();
    while device.stats().open_sessions > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(device.device().commits_with("").len(), 1);
    device.stop().await;
}
