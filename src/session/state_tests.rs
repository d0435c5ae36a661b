use proptest::prelude::*;

use super::*;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A session whose hellos are exchanged and whose pause is over.
fn open(now: Instant) -> State {
    let mut state = State::new(now + seconds(10));
    assert_eq!(
        told(state.on(Event::Hello { ready_at: now }, now)),
        Vec::<String>::new()
    );
    state
}

fn submit(state: &mut State, ids: &[u64], deadline: Instant, now: Instant) -> Vec<String> {
    let rpcs = ids.iter().map(|id| Submitted { id: *id, deadline }).collect();
    told(state.on(
        Event::Submit {
            rpcs,
            traces: Traces::None,
        },
        now,
    ))
}

fn reply(state: &mut State, message_id: Option<&str>, now: Instant) -> Vec<String> {
    let mut actions = told(state.on(Event::MessageBegins, now));
    let event = Event::Message {
        message_id: message_id.map(str::to_owned),
        root: "rpc-reply".to_owned(),
        is_reply: true,
    };
    actions.extend(told(state.on(event, now)));
    actions
}

/// Actions as words, short enough for tables.
fn told(actions: Result<Vec<Action>, Refused>) -> Vec<String> {
    let actions = match actions {
        Ok(actions) => actions,
        Err(refused) => return vec![format!("{refused:?}")],
    };
    actions
        .iter()
        .map(|action| match action {
            Action::Send(id) => format!("send {id}"),
            Action::SendClose(id) => format!("send close {id}"),
            Action::Deliver(id) => format!("deliver {id}"),
            Action::Discard(id) => format!("discard {id}"),
            Action::Expire { id, sent } => format!("expire {id} {}", if *sent { "sent" } else { "unsent" }),
            Action::Fail { id, sent, begun } => format!(
                "fail {id} {}{}",
                if *sent { "sent" } else { "unsent" },
                if *begun { " begun" } else { "" }
            ),
            Action::End(cause) => format!("end {}", cause.label()),
        })
        .collect()
}

/// S4: without a hello in time there is no session.
#[test]
fn hello_must_come_in_time() {
    let now = Instant::now();
    let mut state = State::new(now + seconds(10));
    assert_eq!(submit(&mut state, &[1], now + seconds(30), now), ["NotOpen"]);
    assert_eq!(state.next_wake(), Some(now + seconds(10)));
    assert_eq!(
        told(state.on(Event::Tick, now + seconds(9))),
        Vec::<String>::new()
    );
    assert_eq!(
        told(state.on(Event::Tick, now + seconds(10))),
        ["end hello_timeout"]
    );
    assert_eq!(state.next_wake(), None);
}

/// netconfd quirk 3: the first RPC waits for the pause, the second does not.
#[test]
fn first_rpc_leaves_after_the_pause() {
    let now = Instant::now();
    let mut state = State::new(now + seconds(10));
    let ready_at = now + Duration::from_millis(50);
    state.on(Event::Hello { ready_at }, now).unwrap();
    assert_eq!(
        submit(&mut state, &[1], now + seconds(30), now),
        Vec::<String>::new()
    );
    assert_eq!(state.next_wake(), Some(ready_at));
    assert_eq!(told(state.on(Event::Tick, ready_at)), ["send 1"]);
    assert_eq!(reply(&mut state, Some("1"), ready_at), ["deliver 1"]);
    assert_eq!(submit(&mut state, &[2], now + seconds(30), ready_at), ["send 2"]);
}

/// S4: a second hello ends the session.
#[test]
fn hello_comes_once() {
    let now = Instant::now();
    let mut state = open(now);
    assert_eq!(
        told(state.on(Event::Hello { ready_at: now }, now)),
        ["end unexpected_message"]
    );
}

/// Q2: one caller's RPC at a time; a batch goes out whole, and strangers wait for its end.
#[test]
fn strangers_are_never_in_flight_together() {
    let now = Instant::now();
    let late = now + seconds(30);
    let mut state = open(now);
    assert_eq!(submit(&mut state, &[1, 2], late, now), ["send 1", "send 2"]);
    assert_eq!(submit(&mut state, &[3], late, now), Vec::<String>::new());
    assert_eq!(state.outstanding(), 3);
    assert_eq!(reply(&mut state, Some("2"), now), ["deliver 2"]);
    assert_eq!(reply(&mut state, Some("1"), now), ["deliver 1", "send 3"]);
    assert!(!state.is_clean());
    assert_eq!(reply(&mut state, Some("3"), now), ["deliver 3"]);
    assert!(state.is_clean());
}

/// Q5: an unknown message-id ends the session, and what it answers is nobody's.
#[test]
fn unknown_message_id_ends_the_session() {
    for wrong in ["2", "", " 1", "01", "1 ", "x"] {
        let now = Instant::now();
        let mut state = open(now);
        submit(&mut state, &[1], now + seconds(30), now);
        assert_eq!(
            reply(&mut state, Some(wrong), now),
            ["fail 1 sent begun", "end unknown_message_id"],
            "{wrong:?}"
        );
        assert_eq!(submit(&mut state, &[2], now + seconds(30), now), ["NotOpen"]);
    }
}

/// Q5: a missing message-id is accepted if exactly one RPC is outstanding.
#[test]
fn missing_message_id_needs_a_single_rpc() {
    let now = Instant::now();
    let late = now + seconds(30);
    let mut state = open(now);
    submit(&mut state, &[1], late, now);
    assert_eq!(reply(&mut state, None, now), ["deliver 1"]);
    submit(&mut state, &[2, 3], late, now);
    assert_eq!(
        reply(&mut state, None, now),
        ["fail 2 sent begun", "fail 3 sent", "end missing_message_id"]
    );
}

/// Q5: what nobody asked for, and what is no reply, ends the session.
#[test]
fn unsolicited_and_foreign_messages_end_the_session() {
    let now = Instant::now();
    let mut state = open(now);
    assert_eq!(told(state.on(Event::MessageBegins, now)), ["end unsolicited"]);
    let mut state = open(now);
    submit(&mut state, &[1], now + seconds(30), now);
    let event = Event::Message {
        message_id: Some("1".to_owned()),
        root: "notification".to_owned(),
        is_reply: false,
    };
    assert_eq!(
        told(state.on(event, now)),
        ["fail 1 sent", "end unexpected_message"]
    );
}

/// Q7: the caller hears of its deadline, the reply is drained, and the session goes on.
#[test]
fn late_reply_is_drained_and_the_session_lives() {
    let now = Instant::now();
    let mut state = open(now);
    submit(&mut state, &[1], now + seconds(10), now);
    submit(&mut state, &[2], now + seconds(60), now);
    assert_eq!(told(state.on(Event::Tick, now + seconds(10))), ["expire 1 sent"]);
    assert_eq!(
        reply(&mut state, Some("1"), now + seconds(15)),
        ["discard 1", "send 2"]
    );
    assert_eq!(reply(&mut state, Some("2"), now + seconds(16)), ["deliver 2"]);
    assert!(state.is_clean());
}

/// Q7: twice the deadline over, the session is closed; what waits behind was not sent.
#[test]
fn session_ends_at_twice_the_deadline() {
    let now = Instant::now();
    let mut state = open(now);
    submit(&mut state, &[1], now + seconds(10), now);
    submit(&mut state, &[2], now + seconds(60), now);
    state.on(Event::Tick, now + seconds(10)).unwrap();
    assert_eq!(state.next_wake(), Some(now + seconds(20)));
    assert_eq!(
        told(state.on(Event::Tick, now + seconds(20))),
        ["fail 2 unsent", "end reply_overdue"]
    );
}

/// C2, Q7: a session that something depends on is not given up for a late reply; its callers are told in time all the same,
/// and whoever closes it is not kept waiting.
#[test]
fn what_something_depends_on_is_not_given_up() {
    let now = Instant::now();
    let mut state = open(now);
    submit(&mut state, &[1], now + seconds(10), now);
    let until = now + seconds(100);
    state.on(Event::Endure { until }, now).unwrap();
    // An earlier end does not take it back.
    let sooner = now + seconds(50);
    state.on(Event::Endure { until: sooner }, now).unwrap();
    assert_eq!(told(state.on(Event::Tick, now + seconds(10))), ["expire 1 sent"]);
    assert_eq!(state.next_wake(), Some(until));
    assert_eq!(
        told(state.on(Event::Tick, now + seconds(99))),
        Vec::<String>::new()
    );
    let mut closed = state.clone();
    assert_eq!(told(state.on(Event::Tick, until)), ["end reply_overdue"]);

    let deadline = now + seconds(200);
    closed
        .on(Event::Close { id: 9, deadline }, now + seconds(60))
        .unwrap();
    assert_eq!(
        told(closed.on(Event::Tick, now + seconds(60))),
        ["end reply_overdue"]
    );
}

/// Q7: a caller who leaves before sending takes its RPC along; after sending the reply is dropped.
#[test]
fn caller_may_leave_at_any_time() {
    let now = Instant::now();
    let late = now + seconds(30);
    let mut state = open(now);
    submit(&mut state, &[1], late, now);
    submit(&mut state, &[2], late, now);
    submit(&mut state, &[3], late, now);
    state.on(Event::CallerGone { id: 1 }, now).unwrap();
    state.on(Event::CallerGone { id: 2 }, now).unwrap();
    state.on(Event::CallerGone { id: 77 }, now).unwrap();
    assert_eq!(reply(&mut state, Some("1"), now), ["discard 1", "send 3"]);
}

/// Q7: what expires in line was not sent.
#[test]
fn deadline_in_line_means_not_sent() {
    let now = Instant::now();
    let mut state = open(now);
    submit(&mut state, &[1], now + seconds(30), now);
    submit(&mut state, &[2], now + seconds(5), now);
    assert_eq!(state.next_wake(), Some(now + seconds(5)));
    assert_eq!(told(state.on(Event::Tick, now + seconds(5))), ["expire 2 unsent"]);
    assert_eq!(reply(&mut state, Some("1"), now + seconds(6)), ["deliver 1"]);
}

/// The line in a session is bounded.
#[test]
fn line_is_bounded() {
    let now = Instant::now();
    let late = now + seconds(30);
    let mut state = open(now);
    submit(&mut state, &[0], late, now);
    for id in 1..=LINE_LENGTH as u64 {
        assert_eq!(submit(&mut state, &[id], late, now), Vec::<String>::new());
    }
    assert_eq!(submit(&mut state, &[1000], late, now), ["LineFull"]);
}

/// Q2: after anything but a reviewed read the session is never clean again.
#[test]
fn traces_stay() {
    let now = Instant::now();
    let mut state = open(now);
    assert!(state.is_clean());
    let rpcs = vec![Submitted {
        id: 1,
        deadline: now + seconds(30),
    }];
    state
        .on(
            Event::Submit {
                rpcs,
                traces: Traces::Possible,
            },
            now,
        )
        .unwrap();
    reply(&mut state, Some("1"), now);
    assert_eq!(state.outstanding(), 0);
    assert!(!state.is_clean());
}

/// S30: outstanding replies are read first, then close-session goes out, and its answer is the end.
#[test]
fn polite_end_waits_for_replies() {
    let now = Instant::now();
    let late = now + seconds(30);
    let mut state = open(now);
    submit(&mut state, &[1], late, now);
    submit(&mut state, &[2], late, now);
    let close = Event::Close {
        id: 3,
        deadline: now + seconds(5),
    };
    assert_eq!(told(state.on(close, now)), ["fail 2 unsent"]);
    assert_eq!(submit(&mut state, &[4], late, now), ["NotOpen"]);
    assert_eq!(reply(&mut state, Some("1"), now), ["deliver 1", "send close 3"]);
    assert_eq!(reply(&mut state, Some("3"), now), ["end closed"]);
}

/// S30: the end of the stream after close-session is as good as an answer; no answer ends the session, too.
#[test]
fn polite_end_is_bounded() {
    let now = Instant::now();
    let close = || Event::Close {
        id: 1,
        deadline: now + seconds(5),
    };
    let mut state = open(now);
    assert_eq!(told(state.on(close(), now)), ["send close 1"]);
    let lost = Event::Lost(EndCause::EndOfStream { told: String::new() });
    assert_eq!(told(state.on(lost, now)), ["end closed"]);
    let mut state = open(now);
    state.on(close(), now).unwrap();
    assert_eq!(state.next_wake(), Some(now + seconds(5)));
    assert_eq!(
        told(state.on(Event::Tick, now + seconds(5))),
        ["end close_unanswered"]
    );
}

/// The end of the stream that nobody asked for is a loss, and every caller is told how far its RPC came (Q3).
#[test]
fn loss_tells_every_caller_how_far_it_came() {
    let now = Instant::now();
    let late = now + seconds(30);
    let mut state = open(now);
    submit(&mut state, &[1, 2], late, now);
    submit(&mut state, &[3], late, now);
    state.on(Event::MessageBegins, now).unwrap();
    let lost = Event::Lost(EndCause::EndOfStream { told: String::new() });
    assert_eq!(
        told(state.on(lost, now)),
        [
            "fail 1 sent begun",
            "fail 2 sent",
            "fail 3 unsent",
            "end end_of_stream"
        ]
    );
    assert!(!state.is_clean());
}

#[derive(Debug, Clone)]
enum Input {
    Submit(usize),
    Reply(usize),
    ReplyWithoutId,
    Gone(usize),
    Wait(u64),
    Close,
    Lost,
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => (1..4_usize).prop_map(Input::Submit),
        4 => (0..4_usize).prop_map(Input::Reply),
        1 => Just(Input::ReplyWithoutId),
        2 => (0..6_usize).prop_map(Input::Gone),
        2 => (1..15_u64).prop_map(Input::Wait),
        1 => Just(Input::Close),
        1 => Just(Input::Lost),
    ]
}

proptest! {
    /// Whatever happens in whatever order: every RPC is sent at most once and after those before it, every caller
    /// hears exactly one thing unless it left, a reply goes to the RPC it names, nothing is sent after the end, and
    /// the end comes once.
    #[test]
    fn every_caller_hears_exactly_one_thing(inputs in proptest::collection::vec(input(), 1..60)) {
        let start = Instant::now();
        let mut now = start;
        let mut state = open(now);
        let mut next = 1_u64;
        let mut sent: Vec<u64> = Vec::new();
        let mut answered: Vec<u64> = Vec::new();
        let mut heard: Vec<u64> = Vec::new();
        let mut submitted: Vec<u64> = Vec::new();
        let mut gone: Vec<u64> = Vec::new();
        let mut ended = 0;
        for input in inputs {
            let mut expected = None;
            let result = match input {
                Input::Submit(count) => {
                    let ids: Vec<u64> = (next..next + count as u64).collect();
                    next += count as u64;
                    let rpcs = ids.iter().map(|id| Submitted { id: *id, deadline: now + seconds(10) }).collect();
                    let result = state.on(Event::Submit { rpcs, traces: Traces::None }, now);
                    if result.is_ok() {
                        submitted.extend(ids);
                    }
                    result
                }
                Input::Reply(which) => {
                    let open: Vec<u64> = sent.iter().copied().filter(|id| !answered.contains(id)).collect();
                    let Some(id) = open.get(which).copied() else { continue };
                    if ended > 0 {
                        continue;
                    }
                    answered.push(id);
                    expected = Some(id);
                    let event = Event::Message {
                        message_id: Some(id.to_string()),
                        root: "rpc-reply".to_owned(),
                        is_reply: true,
                    };
                    state.on(event, now)
                }
                Input::ReplyWithoutId => {
                    let open: Vec<u64> = sent.iter().copied().filter(|id| !answered.contains(id)).collect();
                    if open.len() == 1 {
                        answered.push(open[0]);
                        expected = Some(open[0]);
                    }
                    let event = Event::Message { message_id: None, root: "rpc-reply".to_owned(), is_reply: true };
                    state.on(event, now)
                }
                Input::Gone(which) => {
                    let open: Vec<u64> = submitted.iter().copied().filter(|id| !heard.contains(id)).collect();
                    let Some(id) = open.get(which).copied() else { continue };
                    gone.push(id);
                    state.on(Event::CallerGone { id }, now)
                }
                Input::Wait(time) => {
                    now += seconds(time);
                    state.on(Event::Tick, now)
                }
                Input::Close => {
                    next += 1;
                    state.on(Event::Close { id: next - 1, deadline: now + seconds(5) }, now)
                }
                Input::Lost => state.on(Event::Lost(EndCause::EndOfStream { told: String::new() }), now),
            };
            for action in result.unwrap_or_default() {
                prop_assert!(ended == 0 || !matches!(action, Action::Send(_) | Action::SendClose(_)));
                match action {
                    Action::Send(id) => {
                        prop_assert!(!sent.contains(&id) && sent.iter().all(|other| *other < id));
                        prop_assert!(!gone.contains(&id));
                        sent.push(id);
                    }
                    Action::SendClose(id) => sent.push(id),
                    Action::Deliver(id) => {
                        prop_assert_eq!(Some(id), expected);
                        prop_assert!(!heard.contains(&id));
                        heard.push(id);
                    }
                    Action::Discard(id) => {
                        prop_assert_eq!(Some(id), expected);
                        prop_assert!(gone.contains(&id) || heard.contains(&id));
                    }
                    Action::Expire { id, .. } | Action::Fail { id, .. } => {
                        prop_assert!(!heard.contains(&id), "{} heard twice", id);
                        heard.push(id);
                    }
                    Action::End(_) => ended += 1,
                }
            }
            prop_assert!(ended <= 1);
            if let Some(wake) = state.next_wake() {
                prop_assert!(wake > now || !matches!(state.phase(), Phase::Closed(_)));
            }
            prop_assert_eq!(ended == 1, matches!(state.phase(), Phase::Closed(_)));
        }
        // Twice every deadline later, nobody waits any more.
        let mut late = now;
        for _ in 0..200 {
            late += seconds(5);
            for action in state.on(Event::Tick, late).unwrap_or_default() {
                if let Action::Expire { id, .. } | Action::Fail { id, .. } = action {
                    prop_assert!(!heard.contains(&id));
                    heard.push(id);
                }
            }
        }
        for id in submitted {
            prop_assert!(heard.contains(&id) || gone.contains(&id), "{} never heard anything", id);
        }
    }
}

/// S3: on a terminal our own words come back and are no reply; elsewhere they end the session.
#[test]
fn echo_is_no_reply() {
    let now = Instant::now();
    let echo = |state: &mut State, root: &str| {
        let mut actions = told(state.on(Event::MessageBegins, now));
        let event = Event::Message {
            message_id: Some("1".to_owned()),
            root: root.to_owned(),
            is_reply: false,
        };
        actions.extend(told(state.on(event, now)));
        actions
    };
    let mut state = State::new(now + seconds(10)).with_echo(true);
    state.on(Event::Hello { ready_at: now }, now).unwrap();
    assert_eq!(echo(&mut state, "hello"), Vec::<String>::new());
    assert_eq!(submit(&mut state, &[1], now + seconds(30), now), ["send 1"]);
    assert_eq!(echo(&mut state, "rpc"), Vec::<String>::new());
    assert_eq!(reply(&mut state, Some("1"), now), ["deliver 1"]);
    assert_eq!(echo(&mut state, "notification"), ["end unexpected_message"]);

    let mut state = open(now);
    submit(&mut state, &[1], now + seconds(30), now);
    assert_eq!(
        echo(&mut state, "rpc"),
        ["fail 1 sent begun", "end unexpected_message"]
    );
}
