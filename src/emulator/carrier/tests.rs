use std::sync::Arc;
use std::time::Duration;

use tokio::io::{DuplexStream, duplex};

use super::super::builder::Builder;
use super::super::config::Store;
use super::super::device::{Device, SessionRecord};
use super::super::faults::{Fault, Rule};
use super::super::gate::Gate;
use super::super::profile::Profile;
use super::super::pty::Terminal;
use super::super::server::Emulator;
use super::*;
use crate::netconf::framing::encode;

const HELLO_10: &str =
    "<hello><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability></capabilities></hello>";
const HELLO_11: &str =
    "<hello><capabilities><capability>urn:ietf:params:netconf:base:1.1</capability></capabilities></hello>";
const ASK: &str = "<rpc message-id=\"7\"><get-software-information/></rpc>";

/// The client's end of a session, and the task at the other end.
struct Peer {
    stream: DuplexStream,
    task: tokio::task::JoinHandle<End>,
    decoder: Decoder,
    rest: Vec<u8>,
    device: Arc<Device>,
}

fn carriage() -> Carriage {
    Carriage {
        message_bytes: 10_000,
        loses_request_with_hello: false,
        terminal: None,
        motd: String::new(),
    }
}

fn connected(builder: Builder, carriage: Carriage) -> Peer {
    let device = Arc::clone(builder.build().unwrap().device());
    let record = SessionRecord {
        user: "admin".into(),
        from: "test".into(),
        terminal: None,
        since: 0,
    };
    let (stream, other) = duplex(64 * 1024);
    let session = Session::new(device.clone(), record);
    let task = tokio::spawn(async move {
        let (end, rest) = carry(other, session, carriage, CancellationToken::new()).await;
        if let Some(rest) = rest {
            rest.carry_out(CancellationToken::new()).await;
        }
        end
    });
    Peer {
        stream,
        task,
        decoder: Decoder::new(),
        rest: Vec::new(),
        device,
    }
}

impl Peer {
    async fn send(&mut self, framing: Framing, messages: &[&str]) {
        let mut bytes = Vec::new();
        for message in messages {
            encode(framing, message, &mut bytes);
        }
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next message; nothing at the end of the stream.
    async fn message(&mut self) -> Option<String> {
        let mut message = Vec::new();
        loop {
            let mut input = self.rest.as_slice();
            while let Some(frame) = self.decoder.decode(&mut input).expect("the device frames well") {
                match frame {
                    Frame::Data(data) => message.extend_from_slice(data),
                    Frame::End => {
                        self.rest = input.to_vec();
                        return Some(String::from_utf8(message).unwrap());
                    }
                }
            }
            self.rest.clear();
            if self.stream.read_buf(&mut self.rest).await.unwrap() == 0 {
                return None;
            }
        }
    }

    /// All bytes until the device ends the stream.
    async fn all(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.rest);
        self.stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    }
}

/// S6, S8: requests that arrive together are answered in their order, in the framing of both hellos.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    for (profile, framing, hello) in [
        (Profile::Junos, Framing::EndOfMessage, HELLO_10),
        (Profile::JunosRfc11, Framing::Chunked, HELLO_11),
    ] {
        let mut peer = connected(Emulator::builder().profile(profile), carriage());
        assert!(peer.message().await.unwrap().contains("hello"));
        peer.send(Framing::EndOfMessage, &[hello]).await;
        peer.decoder.set_framing(framing);
        let ids: Vec<String> = (0..20).map(|id| ASK.replace('7', &id.to_string())).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        peer.send(framing, &ids).await;
        for id in 0..20 {
            let reply = peer.message().await.unwrap();
            assert!(reply.contains(&format!("message-id=\"{id}\"")), "{reply}");
        }
        peer.send(framing, &["<rpc message-id=\"e\"><close-session/></rpc>"])
            .await;
        assert!(peer.message().await.unwrap().contains("ok/>"));
        assert_eq!(peer.message().await, None);
        assert_eq!(peer.task.await.unwrap(), End::Closed);
    }
}

/// The quirk of some servers: what comes in one read with the hello is lost.
#[tokio::test]
async fn a_request_in_the_same_read_as_the_hello_can_be_lost() {
    let quirk = Carriage {
        loses_request_with_hello: true,
        ..carriage()
    };
    let mut peer = connected(Emulator::builder(), quirk);
    peer.message().await.unwrap();
    peer.send(Framing::EndOfMessage, &[HELLO_10, ASK]).await;
    peer.send(Framing::EndOfMessage, &[&ASK.replace('7', "8")]).await;
    // Whether the second write was a read of its own is the runtime's choice here; a third one is.
    let reply = tokio::time::timeout(Duration::from_millis(50), peer.message()).await;
    if let Ok(Some(reply)) = reply {
        assert!(reply.contains("message-id=\"8\""), "{reply}");
    }
    peer.send(Framing::EndOfMessage, &[&ASK.replace('7', "9")]).await;
    assert!(peer.message().await.unwrap().contains("message-id=\"9\""));
}

/// A reply that is cut has exactly as many bytes as were asked for, framing included.
#[tokio::test]
async fn a_cut_reply_has_the_bytes_asked_for() {
    for (profile, framing, hello) in [
        (Profile::Junos, Framing::EndOfMessage, HELLO_10),
        (Profile::JunosRfc11, Framing::Chunked, HELLO_11),
    ] {
        let rule = Rule::on("get-software-information", Fault::DropAfter(123));
        let mut peer = connected(Emulator::builder().profile(profile).fault_rule(rule), carriage());
        peer.message().await.unwrap();
        let line = std::mem::take(&mut peer.rest).len();
        peer.send(Framing::EndOfMessage, &[hello]).await;
        peer.send(framing, &[ASK]).await;
        let bytes = peer.all().await;
        // The line feed after the marker of the hello may not have been read with it.
        assert_eq!(bytes.len() + line, 123 + usize::from(profile == Profile::Junos));
        assert_eq!(peer.task.await.unwrap(), End::Dropped);
    }
}

#[tokio::test]
async fn a_bad_frame_cannot_be_decoded() {
    let rule = Rule::on("get-software-information", Fault::BadChunk);
    let mut peer = connected(
        Emulator::builder().profile(Profile::JunosRfc11).fault_rule(rule),
        carriage(),
    );
    peer.message().await.unwrap();
    peer.send(Framing::EndOfMessage, &[HELLO_11]).await;
    peer.send(Framing::Chunked, &[ASK]).await;
    let mut bytes = [0; 4];
    peer.stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"\n#x\n");
}

/// One byte at a time, on a clock that runs by itself.
#[tokio::test(start_paused = true)]
async fn a_trickling_reply_takes_its_time() {
    let pause = Duration::from_millis(10);
    let rule = Rule::on("get-software-information", Fault::Trickle { bytes: 1, pause });
    let mut peer = connected(Emulator::builder().fault_rule(rule), carriage());
    peer.message().await.unwrap();
    let start = tokio::time::Instant::now();
    peer.send(Framing::EndOfMessage, &[HELLO_10, ASK]).await;
    let reply = peer.message().await.unwrap();
    assert!(start.elapsed() >= pause * u32::try_from(reply.len()).unwrap());
}

/// Requests behind a late reply wait; a peer that goes away ends the wait.
#[tokio::test(start_paused = true)]
async fn a_late_reply_holds_up_those_behind_it() {
    let rule = Rule::on("get-software-information", Fault::Delay(Duration::from_secs(30))).once();
    let mut peer = connected(Emulator::builder().fault_rule(rule), carriage());
    peer.message().await.unwrap();
    let start = tokio::time::Instant::now();
    peer.send(Framing::EndOfMessage, &[HELLO_10, ASK, &ASK.replace('7', "8")])
        .await;
    assert!(peer.message().await.unwrap().contains("message-id=\"7\""));
    assert!(start.elapsed() >= Duration::from_secs(30));
    assert!(peer.message().await.unwrap().contains("message-id=\"8\""));

    let rule = Rule::on(
        "get-software-information",
        Fault::Delay(Duration::from_secs(3600)),
    );
    let mut peer = connected(Emulator::builder().fault_rule(rule), carriage());
    peer.message().await.unwrap();
    peer.send(Framing::EndOfMessage, &[HELLO_10, ASK]).await;
    let start = tokio::time::Instant::now();
    drop(peer.stream);
    assert_eq!(peer.task.await.unwrap(), End::Closed);
    assert!(start.elapsed() < Duration::from_secs(3600));
}

const LOCK: &str = "<rpc message-id=\"1\"><lock><target><candidate/></target></lock></rpc>";
const LOAD: &str = "<rpc message-id=\"2\"><load-configuration action=\"set\" format=\"text\">\
    <configuration-set>set snmp contact x</configuration-set></load-configuration></rpc>";
const COMMIT: &str =
    "<rpc message-id=\"3\"><commit-configuration><log>why</log></commit-configuration></rpc>";

/// A session that has locked, loaded and sent a commit, which this fault strikes.
async fn committing(fault: Fault) -> Peer {
    let rule = Rule::on("commit-configuration", fault).once();
    let mut peer = connected(Emulator::builder().fault_rule(rule), carriage());
    peer.message().await.unwrap();
    peer.send(Framing::EndOfMessage, &[HELLO_10, LOCK, LOAD]).await;
    for _ in 0..2 {
        assert!(peer.message().await.unwrap().contains("ok/>"));
    }
    peer.send(Framing::EndOfMessage, &[COMMIT]).await;
    peer
}

/// Matrix row 6: the connection is lost, and the device commits later; until then the session holds what it held.
#[tokio::test(start_paused = true)]
async fn a_commit_can_be_done_after_its_connection_is_lost() {
    let late = Duration::from_secs(20);
    for (fault, drops) in [
        (Fault::DropThenOperation(late.into()), true),
        (Fault::Late(late.into()), false),
    ] {
        let mut peer = committing(fault).await;
        let start = tokio::time::Instant::now();
        if drops {
            assert_eq!(peer.message().await, None);
        } else {
            tokio::time::sleep(late / 2).await;
        }
        let Peer {
            stream, task, device, ..
        } = peer;
        drop(stream);
        tokio::task::yield_now().await;
        assert!(device.deeds().is_empty() && device.lock_holder(Store::Candidate).is_some());
        task.await.unwrap();
        assert_eq!(start.elapsed(), late);
        assert_eq!(device.commits_with("why").len(), 1);
        assert!(device.lock_holder(Store::Candidate).is_none() && device.sessions().is_empty());
    }
}

/// What a session is about to do is not done when it is killed, or when the device goes down.
#[tokio::test(start_paused = true)]
async fn a_killed_session_does_nothing_more() {
    for off in [false, true] {
        let mut peer = committing(Fault::DropThenOperation(Duration::from_secs(20).into())).await;
        assert_eq!(peer.message().await, None);
        let id = *peer.device.sessions().keys().next().unwrap();
        if off {
            peer.device.power_off();
        } else {
            assert!(peer.device.kill(id));
        }
        peer.task.await.unwrap();
        assert!(peer.device.deeds().is_empty() && !peer.device.is_modified());
    }
}

/// An operation or its reply can be held until a test lets it go.
#[tokio::test(start_paused = true)]
async fn operations_and_replies_can_be_held() {
    for reply_only in [false, true] {
        let gate = Gate::new();
        let fault = if reply_only {
            Fault::HoldReply(gate.clone())
        } else {
            Fault::Late((&gate).into())
        };
        let mut peer = committing(fault).await;
        gate.reached().await;
        assert_eq!(peer.device.commits_with("why").len(), usize::from(reply_only));
        let waits = tokio::time::timeout(Duration::from_secs(3600), peer.message()).await;
        assert!(waits.is_err(), "{waits:?}");
        gate.open();
        assert!(peer.message().await.unwrap().contains("<commit-success/>"));
        assert_eq!(peer.device.commits_with("why").len(), 1);
    }
}

/// Nobody can make the device hold more than it should.
#[tokio::test]
async fn a_message_beyond_the_limit_ends_the_session() {
    let mut peer = connected(Emulator::builder(), carriage());
    peer.message().await.unwrap();
    peer.send(Framing::EndOfMessage, &[HELLO_10]).await;
    let long = format!("<rpc>{}</rpc>", "x".repeat(20_000));
    peer.send(Framing::EndOfMessage, &[&long]).await;
    assert_eq!(peer.message().await, None);
}

/// S3: a terminal: the message of the day before the hello, everything typed comes back, lines end with CR LF.
#[tokio::test]
async fn a_terminal_shows_the_motd_and_echoes() {
    let terminal = Carriage {
        terminal: Some(Terminal::default()),
        motd: "--- welcome ---\n".into(),
        ..carriage()
    };
    let mut peer = connected(Emulator::builder(), terminal);
    let hello = peer.message().await.unwrap();
    assert!(hello.starts_with("--- welcome ---\r\n<!-- No zombies"), "{hello}");
    peer.stream
        .write_all(format!("{HELLO_10}]]>]]>\n").as_bytes())
        .await
        .unwrap();
    assert_eq!(peer.message().await.unwrap().trim_start(), HELLO_10);
    peer.stream
        .write_all(format!("{ASK}]]>]]>\n").as_bytes())
        .await
        .unwrap();
    assert_eq!(peer.message().await.unwrap().trim_start(), ASK);
    let reply = peer.message().await.unwrap();
    assert!(
        reply.contains("<software-information>\r\n<host-name>mx1</host-name>"),
        "{reply}"
    );
}
