use std::time::Duration;

use tokio::time::Instant;

use super::fake::{
    BASE10, BASE11, FakeDevice, JUNOS, React, Received, call, config, hello, reply, rpc, spool,
};
use super::spool::{SpoolError, SpoolLimits};
use super::{Call, Config, EndCause, FirstRpc, RawReply, SessionError, Traces};
use crate::netconf::framing::Framing;
use crate::netconf::hello::HelloError;

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

fn text(reply: &RawReply) -> String {
    reply.source.read_to_string(1 << 20).unwrap()
}

fn says(reply: &RawReply, operation: &str) -> bool {
    text(reply).contains(&format!("<{operation}/>"))
}

/// S6, S8: both framings, every byte in a read of its own.
#[tokio::test(start_paused = true)]
async fn call_gets_its_reply_in_both_framings_cut_anywhere() {
    for (capabilities, framing) in [
        (&[BASE10][..], Framing::EndOfMessage),
        (&[BASE10, BASE11][..], Framing::Chunked),
    ] {
        for cut in [1, 7, usize::MAX] {
            let mut device = FakeDevice::new(capabilities, echo);
            device.cut = cut;
            let session = device.session().await;
            assert_eq!((session.session_id(), session.framing()), (7, framing));
            for operation in ["get-one", "get-two"] {
                let reply = session.call(call(operation)).await.unwrap();
                assert_eq!(
                    text(&reply),
                    super::fake::reply(&reply.message_id, &format!("<{operation}/>"))
                );
                assert_eq!(reply.bytes, text(&reply).len() as u64);
                assert!(reply.index.as_ref().is_some_and(Result::is_ok));
            }
            assert!(session.is_clean());
        }
    }
}

/// S6: the end marker inside a chunk is no boundary.
#[tokio::test(start_paused = true)]
async fn end_marker_inside_a_chunk_is_text() {
    let device = FakeDevice::new(&[BASE10, BASE11], |rpc| match rpc.operation.as_str() {
        "close-session" => Vec::new(),
        _ => vec![React::Reply("<a b=\"]]>]]>\"/>".to_owned())],
    });
    let session = device.session().await;
    let reply = session.call(call("get")).await.unwrap();
    assert!(text(&reply).contains("]]>]]>"));
    assert!(session.is_clean());
}

/// Two callers at once, with different delays, each get their own reply; nothing of one is in flight with the other.
#[tokio::test(start_paused = true)]
async fn two_callers_get_their_own_replies() {
    let device = FakeDevice::new(&[BASE10], echo);
    let session = device.session().await;
    let (slow, fast) = tokio::join!(session.call(call("wait-9")), session.call(call("wait-1")));
    assert!(says(&slow.unwrap(), "wait-9"));
    assert!(says(&fast.unwrap(), "wait-1"));
}

/// Q7, quality row 12: a caller who leaves in the middle of its reply leaves the session usable.
#[tokio::test(start_paused = true)]
async fn caller_who_leaves_mid_reply_leaves_the_session_usable() {
    let device = FakeDevice::new(&[BASE10], |rpc| match rpc.operation.as_str() {
        "get-long" => {
            let message = reply(&rpc.message_id, &"<x/>".repeat(1000)) + "]]>]]>";
            let (begin, end) = message.split_at(500);
            vec![
                React::Raw(begin.as_bytes().to_vec()),
                React::Wait(Duration::from_secs(5)),
                React::Raw(end.as_bytes().to_vec()),
            ]
        }
        _ => echo(rpc),
    });
    let session = device.session().await;
    let left = tokio::time::timeout(Duration::from_secs(1), session.call(call("get-long"))).await;
    assert!(left.is_err());
    assert_eq!(session.status().outstanding, 1);
    assert!(!session.is_clean());
    assert!(says(&session.call(call("get-next")).await.unwrap(), "get-next"));
    assert!(session.is_clean());
}

/// Q7: what waits in line for a caller who left is never sent.
#[tokio::test(start_paused = true)]
async fn queued_call_of_a_gone_caller_is_not_sent() {
    let device = FakeDevice::new(&[BASE10], echo);
    let session = device.session().await;
    let other = session.clone();
    let first = tokio::spawn(async move { other.call(call("wait-5")).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        tokio::time::timeout(Duration::from_secs(1), session.call(call("get-gone")))
            .await
            .is_err()
    );
    assert!(first.await.unwrap().is_ok());
    session.call(call("get-last")).await.unwrap();
    assert_eq!(device.operations(), ["wait-5", "get-last"]);
}

/// Q5, quality row 14: a wrong message-id closes the session and its reply reaches nobody.
#[tokio::test(start_paused = true)]
async fn wrong_message_id_closes_the_session() {
    let device = FakeDevice::new(&[BASE10], |_| vec![React::Message(reply("4711", "<secret/>"))]);
    let session = device.session().await;
    let error = session.call(call("get")).await.unwrap_err();
    let SessionError::Lost {
        message_id,
        cause: EndCause::UnknownMessageId { got },
        reply_begun: true,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((message_id.as_str(), got.as_str()), ("1", "4711"));
    assert!(error.sent() && !error.allows_another_try());
    let later = session.call(call("get")).await.unwrap_err();
    assert!(
        matches!(
            &later,
            SessionError::NotOpen {
                cause: Some(EndCause::UnknownMessageId { .. })
            }
        ),
        "{later:?}"
    );
    assert_eq!(session.closed().await.label(), "unknown_message_id");
}

/// E2, Q5: a session that is dropped with a call in its hands has perhaps sent it, and never says that it has not.
#[tokio::test(start_paused = true)]
async fn a_call_in_a_dropped_session_may_have_been_sent() {
    let device = FakeDevice::new(&[BASE10], |_| vec![React::Wait(Duration::from_secs(60))]);
    let (session, task) = device.session_and_task(config()).await.unwrap();
    let other = session.clone();
    let calling = tokio::spawn(async move { other.call(call("commit")).await });
    while device.received().is_empty() {
        tokio::task::yield_now().await;
    }
    task.abort();
    let error = calling.await.unwrap().unwrap_err();
    let SessionError::Lost {
        message_id,
        cause: EndCause::Closed,
        reply_begun: true,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(message_id, "1");
    assert!(error.sent() && !error.allows_another_try());
    let later = session.call(call("get")).await.unwrap_err();
    assert!(matches!(later, SessionError::NotOpen { .. }) && !later.sent());
}

/// Q5: a missing message-id is accepted when one RPC is outstanding, and ends the session when several are.
#[tokio::test(start_paused = true)]
async fn missing_message_id_is_accepted_for_a_single_rpc() {
    let device = FakeDevice::new(&[BASE10], |_| {
        vec![React::Message("<rpc-reply><ok/></rpc-reply>".to_owned())]
    });
    let session = device.session().await;
    assert!(session.call(call("get")).await.unwrap().scan.ok);
    let results = session.call_all(vec![call("get"), call("get")]).await.unwrap();
    for result in results {
        let Err(SessionError::Lost {
            cause: EndCause::MissingMessageId,
            ..
        }) = result
        else {
            panic!("{result:?}")
        };
    }
}

/// A batch is pipelined: all of it is at the device before the first reply is written, and replies keep their order.
#[tokio::test(start_paused = true)]
async fn batch_is_sent_without_waiting() {
    let device = FakeDevice::new(&[BASE10, BASE11], |rpc| match rpc.operation.as_str() {
        // The replies come in the opposite order, when the last request is there.
        "get-1" | "get-2" => Vec::new(),
        "get-3" => (1..=3)
            .rev()
            .map(|id| React::Message(reply(&id.to_string(), &format!("<get-{id}/>"))))
            .collect(),
        _ => echo(rpc),
    });
    let session = device.session().await;
    let calls = ["get-1", "get-2", "get-3"].map(call).to_vec();
    let results = session.call_all(calls).await.unwrap();
    for (result, operation) in results.into_iter().zip(["get-1", "get-2", "get-3"]) {
        assert!(says(&result.unwrap(), operation));
    }
    assert!(session.is_clean());
}

/// A device that stops reading until its replies are read does not block the session: reading and writing go on
/// side by side.
#[tokio::test(start_paused = true)]
async fn pipelined_writes_do_not_block_reads() {
    let long = "<x>".to_owned() + &"y".repeat(20_000) + "</x>";
    let device = FakeDevice::new(&[BASE10, BASE11], move |rpc| match rpc.operation.as_str() {
        "close-session" => Vec::new(),
        _ => vec![React::Reply(long.clone())],
    });
    let session = device.session().await;
    let calls: Vec<Call> = (0..20)
        .map(|_| Call {
            attributes: vec![("padding".to_owned(), "z".repeat(10_000))],
            ..call("get")
        })
        .collect();
    let results = session.call_all(calls).await.unwrap();
    assert!(
        results
            .iter()
            .all(|reply| reply.as_ref().is_ok_and(|reply| reply.bytes > 20_000))
    );
}

/// Q7: the caller hears of its deadline, the session lives, and the late reply reaches nobody.
#[tokio::test(start_paused = true)]
async fn timeout_does_not_end_the_session() {
    let device = FakeDevice::new(&[BASE10], echo);
    let session = device.session().await;
    let started = Instant::now();
    let error = session.call(call("wait-40")).await.unwrap_err();
    assert!(
        matches!(&error, SessionError::Timeout { message_id } if message_id == "1"),
        "{error:?}"
    );
    assert_eq!(started.elapsed(), Duration::from_secs(30));
    session.idle().await;
    assert_eq!(started.elapsed(), Duration::from_secs(40));
    assert!(says(&session.call(call("get-next")).await.unwrap(), "get-next"));
}

/// Q7, quality row 7: at twice the deadline the session is closed.
#[tokio::test(start_paused = true)]
async fn session_is_closed_at_twice_the_deadline() {
    let device = FakeDevice::new(&[BASE10], |_| Vec::new());
    let session = device.session().await;
    let started = Instant::now();
    assert!(matches!(
        session.call(call("get")).await.unwrap_err(),
        SessionError::Timeout { .. }
    ));
    assert_eq!(session.closed().await.label(), "reply_overdue");
    assert_eq!(started.elapsed(), Duration::from_secs(60));
}

/// Quality row 9: a reply that trickles in does not outlive its deadline.
#[tokio::test(start_paused = true)]
async fn trickling_reply_does_not_outlive_its_deadline() {
    let device = FakeDevice::new(&[BASE10], |rpc| {
        let message = reply(&rpc.message_id, "<x/>") + "]]>]]>";
        message
            .bytes()
            .flat_map(|byte| [React::Raw(vec![byte]), React::Wait(Duration::from_secs(1))])
            .collect()
    });
    let session = device.session().await;
    let started = Instant::now();
    assert!(matches!(
        session.call(call("get")).await.unwrap_err(),
        SessionError::Timeout { .. }
    ));
    assert_eq!(started.elapsed(), Duration::from_secs(30));
}

/// Q3: how far a lost reply had come decides whether a read may be repeated.
#[tokio::test(start_paused = true)]
async fn loss_tells_whether_the_reply_had_begun() {
    for (begin, another_try) in [("", true), ("<rpc-reply message-id=\"1\"><da", false)] {
        let device = FakeDevice::new(&[BASE10], move |_| {
            vec![React::Raw(begin.as_bytes().to_vec()), React::HangUp]
        });
        let session = device.session().await;
        let error = session.call(call("get")).await.unwrap_err();
        let SessionError::Lost {
            cause: EndCause::EndOfStream { .. },
            reply_begun,
            ..
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!(*reply_begun, !another_try);
        assert_eq!(error.allows_another_try(), another_try);
    }
}

/// Q5, quality rows 15 and 16: garbage, bad chunks and XML that is none end the session, and the cause says which.
#[tokio::test(start_paused = true)]
async fn broken_protocol_ends_the_session_with_its_cause() {
    let deep = "<a>".repeat(200);
    let cases: [(&[&str], String, &str); 8] = [
        (&[BASE10], "garbage]]>]]>".to_owned(), "xml"),
        (
            &[BASE10],
            "<rpc-reply message-id=\"1\"><a></b></rpc-reply>]]>]]>".to_owned(),
            "xml",
        ),
        (
            &[BASE10],
            "<!DOCTYPE x><rpc-reply message-id=\"1\"/>]]>]]>".to_owned(),
            "xml",
        ),
        (&[BASE10], format!("<rpc-reply message-id=\"1\">{deep}"), "xml"),
        (&[BASE10], "]]>]]>".to_owned(), "xml"),
        (
            &[BASE10],
            "<notification/>]]>]]>".to_owned(),
            "unexpected_message",
        ),
        (&[BASE10, BASE11], "\n#0\n".to_owned(), "framing"),
        (&[BASE10, BASE11], "\n#05\nhello\n##\n".to_owned(), "framing"),
    ];
    for (capabilities, bytes, label) in cases {
        let raw = bytes.clone().into_bytes();
        let device = FakeDevice::new(capabilities, move |_| vec![React::Raw(raw.clone())]);
        let session = device.session().await;
        let error = session.call(call("get")).await.unwrap_err();
        let SessionError::Lost { cause, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(cause.label(), label, "{bytes}: {cause:?}");
        assert!(cause.is_protocol_error() && !error.allows_another_try());
    }
}

/// Q5: bytes that nobody asked for end the session before anybody gets them as a reply; line ends do not.
#[tokio::test(start_paused = true)]
async fn unsolicited_bytes_end_the_session() {
    let device = FakeDevice::new(&[BASE10], |rpc| {
        let mut reactions = echo(rpc);
        reactions.push(React::Raw(b"\n \r\n".to_vec()));
        if rpc.operation == "get-noise" {
            reactions.push(React::Raw(b"<".to_vec()));
        }
        reactions
    });
    let session = device.session().await;
    session.call(call("get-one")).await.unwrap();
    session.call(call("get-two")).await.unwrap();
    session.call(call("get-noise")).await.unwrap();
    assert_eq!(session.closed().await.label(), "unsolicited");
}

/// S8: the caller's attributes go out on the rpc; what is reserved or not XML is refused before sending.
#[tokio::test(start_paused = true)]
async fn attributes_travel_and_come_back() {
    let device = FakeDevice::new(&[BASE10], |rpc| {
        let message = format!(
            "<rpc-reply message-id=\"{}\" ticket=\"a&lt;b\"><ok/></rpc-reply>",
            rpc.message_id
        );
        vec![React::Message(message)]
    });
    let session = device.session().await;
    let ticket = ("ticket".to_owned(), "a<b".to_owned());
    let reply = session
        .call(Call {
            attributes: vec![ticket.clone()],
            ..call("get")
        })
        .await
        .unwrap();
    assert_eq!(reply.scan.attributes, [ticket]);
    assert!(device.received()[0].text.contains("ticket=\"a&lt;b\""));
    let reserved = vec![("message-id".to_owned(), "9".to_owned())];
    let error = session
        .call(Call {
            attributes: reserved,
            ..call("get")
        })
        .await
        .unwrap_err();
    assert!(matches!(error, SessionError::Write(_)) && !error.sent());
    assert_eq!(device.received().len(), 1);
}

/// Q6: message-ids of one session never repeat.
#[tokio::test(start_paused = true)]
async fn message_ids_are_unique() {
    let device = FakeDevice::new(&[BASE10], echo);
    let session = device.session().await;
    for _ in 0..5 {
        session.call(call("get")).await.unwrap();
    }
    session.call_all(vec![call("get"); 3]).await.unwrap();
    let ids: Vec<_> = device.received().into_iter().map(|rpc| rpc.message_id).collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6", "7", "8"]);
}

/// Q8, X3: a long reply lies in a file without a name, a short one in memory; control characters are replaced and told.
#[tokio::test(start_paused = true)]
async fn long_reply_is_spooled_and_repaired() {
    let content = format!("<text>{}\u{1}</text>", "0123456789".repeat(20_000));
    let device = FakeDevice::new(&[BASE10, BASE11], move |rpc| match rpc.operation.as_str() {
        "get-long" => vec![React::Reply(content.clone())],
        _ => echo(rpc),
    });
    let limits = SpoolLimits {
        memory_per_reply: 10_000,
        ..SpoolLimits::default()
    };
    let spool = spool(limits);
    let session = device
        .try_session(Config {
            spool: spool.clone(),
            ..config()
        })
        .await
        .unwrap();
    let long = session.call(call("get-long")).await.unwrap();
    assert!(long.source.as_memory().is_none() && long.lossy);
    assert!(text(&long).ends_with("789\u{fffd}</text></rpc-reply>"));
    assert_eq!(spool.files_used(), long.source.len());
    drop(long);
    assert_eq!(spool.files_used(), 0);
    let short = session.call(call("get-short")).await.unwrap();
    assert!(short.source.as_memory().is_some() && !short.lossy);
}

/// Q8: a reply beyond the limit is an error of its own, and the session lives.
#[tokio::test(start_paused = true)]
async fn too_long_reply_is_refused_and_drained() {
    let device = FakeDevice::new(&[BASE10, BASE11], |rpc| match rpc.operation.as_str() {
        "get-long" => vec![React::Reply("<x/>".repeat(50_000))],
        _ => echo(rpc),
    });
    let spool = spool(SpoolLimits {
        reply: 100_000,
        ..SpoolLimits::default()
    });
    let session = device
        .try_session(Config {
            spool: spool.clone(),
            ..config()
        })
        .await
        .unwrap();
    let error = session.call(call("get-long")).await.unwrap_err();
    let SessionError::Storage {
        source: SpoolError::TooLarge { limit: 100_000 },
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(spool.memory_used(), 0);
    assert!(says(&session.call(call("get-next")).await.unwrap(), "get-next"));
}

/// Junos leaves a routing-engine open in replies to commits; it is closed for those and for nothing else.
#[tokio::test(start_paused = true)]
async fn routing_engine_is_closed_for_commits_only() {
    let broken = "<commit-results><routing-engine><name>re0</name><commit-success/></commit-results>";
    let device = FakeDevice::new(&[BASE10], move |_| vec![React::Reply(broken.to_owned())]);
    let session = device.session().await;
    let commit = Call {
        rpc: rpc("commit-configuration"),
        ..call("commit-configuration")
    };
    let reply = session.call(commit).await.unwrap();
    assert!(text(&reply).contains("<commit-success/></routing-engine></commit-results>"));
    let error = session.call(call("get")).await.unwrap_err();
    let SessionError::Lost {
        cause: EndCause::Xml(_),
        ..
    } = error
    else {
        panic!("{error:?}")
    };
}

/// S30: close-session, its ok, and then the end; also when the last handle is dropped.
#[tokio::test(start_paused = true)]
async fn session_ends_politely() {
    let device = FakeDevice::new(&[BASE10], echo);
    let session = device.session().await;
    assert_eq!(session.close(Duration::from_secs(5)).await.label(), "closed");
    assert_eq!(device.operations(), ["close-session"]);
    let session = device.session().await;
    let mut watch = session.watch();
    drop(session);
    let ended = watch
        .wait_for(|status| status.ended.is_some())
        .await
        .unwrap()
        .ended
        .clone()
        .unwrap();
    assert!(ended.is_wanted());
    assert_eq!(device.operations(), ["close-session", "close-session"]);
}

/// S30: an end that the device does not answer is bounded.
#[tokio::test(start_paused = true)]
async fn polite_end_is_bounded() {
    let device = FakeDevice::new(&[BASE10], |_| vec![React::Wait(Duration::from_secs(600))]);
    let session = device.session().await;
    let started = Instant::now();
    assert_eq!(
        session.close(Duration::from_secs(5)).await.label(),
        "close_unanswered"
    );
    assert_eq!(started.elapsed(), Duration::from_secs(5));
}

/// Q2: after an RPC that may leave traces the session is not clean, however it ended.
#[tokio::test(start_paused = true)]
async fn traces_make_a_session_unclean() {
    let device = FakeDevice::new(&[BASE10], echo);
    let session = device.session().await;
    session
        .call(Call {
            traces: Traces::Possible,
            ..call("request-something")
        })
        .await
        .unwrap();
    assert!(!session.is_clean());
}

/// netconfd quirk 3: the first RPC leaves 50 ms after our hello, at once on Junos or when told so.
#[tokio::test(start_paused = true)]
async fn first_rpc_waits_for_servers_that_need_it() {
    let pause = Duration::from_millis(50);
    for (capabilities, first_rpc, expected) in [
        (&[BASE10][..], FirstRpc::Auto, pause),
        (&[BASE10, JUNOS][..], FirstRpc::Auto, Duration::ZERO),
        (&[BASE10, JUNOS][..], FirstRpc::AfterPause, pause),
        (&[BASE10][..], FirstRpc::AtOnce, Duration::ZERO),
    ] {
        let device = FakeDevice::new(capabilities, echo);
        let session = device
            .try_session(Config {
                first_rpc,
                ..config()
            })
            .await
            .unwrap();
        let started = Instant::now();
        session.call(call("get")).await.unwrap();
        assert_eq!(
            started.elapsed().as_millis(),
            expected.as_millis(),
            "{capabilities:?} {first_rpc:?}"
        );
        let started = Instant::now();
        session.call(call("get")).await.unwrap();
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}

/// S4: no hello, a malformed one, one without session-id or without a common base: no session, and the cause says so.
#[tokio::test(start_paused = true)]
async fn bad_hellos_open_no_session() {
    let without_id = hello(7, &[BASE10]).replace("<session-id>7</session-id>", "");
    for (hello, expected) in [
        (without_id, HelloError::NoSessionId),
        (hello(7, &["urn:example:other"]), HelloError::NoCommonBase),
    ] {
        let device = FakeDevice {
            hello: Some(hello),
            ..FakeDevice::new(&[BASE10], echo)
        };
        let cause = device.try_session(config()).await.unwrap_err();
        let EndCause::Hello(error) = &cause else {
            panic!("{cause:?}")
        };
        assert_eq!(**error, expected);
    }
    let silent = FakeDevice {
        hello: None,
        ..FakeDevice::new(&[BASE10], echo)
    };
    let started = Instant::now();
    assert_eq!(
        silent.try_session(config()).await.unwrap_err().label(),
        "hello_timeout"
    );
    assert_eq!(started.elapsed(), Duration::from_secs(10));
}
