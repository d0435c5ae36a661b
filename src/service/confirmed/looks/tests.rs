//! What is concluded from each sight of a device.

use super::*;
use crate::netconf::junos::{CommitEntry, CommitInformation};
use crate::service::evidence::standing;

fn known() -> Known {
    Known {
        overdue: None,
        perhaps_over: false,
        sent: Duration::from_secs(10),
        made: true,
        doomed: false,
        unguarded: false,
        answer: None,
        earlier: Vec::new(),
        unanswered: None,
        due: false,
        restarted: false,
        perhaps_later: Duration::ZERO,
        commit_time: Duration::from_secs(300),
        slowest: Duration::from_secs(2),
        now: 2_000,
    }
}

fn overdue(seconds: u64) -> Known {
    Known {
        overdue: Some(Duration::from_secs(seconds)),
        ..known()
    }
}

fn conclude(seen: Seen, known: &Known) -> Finding {
    judge(Ok(seen), known, Reason::SessionLost, Duration::ZERO)
}

const NEWEST: Seen = Seen::History(Standing::Newest {
    waits: false,
    entries: 1,
});
const UNDONE: Seen = Seen::OwnCommit {
    above: None,
    running: Running::AsBefore,
};
const LEFT: Seen = Seen::OwnCommit {
    above: None,
    running: Running::AsExpected,
};
const EXPECTED: Seen = Seen::Running(Running::AsExpected);
const BEFORE: Seen = Seen::Running(Running::AsBefore);

/// C5: a rollback that takes its time is waited for, and only what stays active long after is kept.
#[test]
fn active_after_its_time_is_not_confirmed() {
    for seen in [NEWEST, EXPECTED] {
        assert!(matches!(conclude(seen.clone(), &known()), Finding::Pending(_)));
        for seconds in [0, 60, 179] {
            let finding = conclude(seen.clone(), &overdue(seconds));
            assert!(matches!(finding, Finding::Wait(_)), "{seconds}: {finding:?}");
        }
        assert!(matches!(conclude(seen.clone(), &overdue(180)), Finding::Kept(_)));
        let slow = Known {
            slowest: Duration::from_secs(100),
            ..overdue(299)
        };
        assert!(matches!(conclude(seen, &slow), Finding::Wait(_)));
    }
}

/// S29: a session that was lost before its time is the reason, however late the device is seen, unless it was seen to let
/// the commit stand without it.
#[test]
fn a_lost_session_is_the_reason_unless_the_device_lets_it_stand() {
    let doomed = |known: Known| Known {
        doomed: true,
        ..known
    };
    for (stands, expected) in [(false, Reason::SessionLost), (true, Reason::Timeout)] {
        let mut looks = Looks::now(Reason::SessionLost);
        looks.judge(Err("not now".to_owned()), &doomed(known()));
        if stands {
            looks.judge(Ok(EXPECTED), &doomed(known()));
        }
        let found = looks.judge(Ok(BEFORE), &doomed(overdue(1)));
        assert!(
            matches!(&found, Finding::RolledBack(reason, _) if *reason == expected),
            "{stands}: {found:?}"
        );
    }
}

/// S29: why the device undid it: its timer, unless it was before that.
#[test]
fn a_rollback_has_its_reason() {
    for seen in [UNDONE, BEFORE] {
        let before = conclude(seen.clone(), &known());
        assert!(matches!(before, Finding::RolledBack(Reason::SessionLost, _)));
        let after = conclude(seen.clone(), &overdue(1));
        assert!(matches!(after, Finding::RolledBack(Reason::Timeout, _)));
        let due = Known { due: true, ..known() };
        let at_its_time = conclude(seen.clone(), &due);
        assert!(matches!(at_its_time, Finding::RolledBack(Reason::Timeout, _)));
        let killed = judge(Ok(seen), &overdue(1), Reason::Killed, Duration::ZERO);
        assert!(matches!(killed, Finding::RolledBack(Reason::Killed, _)));
    }
}

/// S29: a device that was started anew undid it because of that, also where its time is up by now.
#[test]
fn a_restart_is_a_reason() {
    for known in [known(), overdue(60)] {
        let restarted = Known {
            restarted: true,
            ..known
        };
        assert!(matches!(
            conclude(UNDONE, &restarted),
            Finding::RolledBack(Reason::Reboot, _)
        ));
    }
}

/// C5: a commit of the device's own that left it in place has not undone it.
#[test]
fn what_the_device_left_is_kept() {
    for seconds in [0, 179] {
        assert!(matches!(conclude(LEFT, &overdue(seconds)), Finding::Wait(_)));
    }
    assert!(matches!(conclude(LEFT, &known()), Finding::Wait(_)));
    assert!(matches!(conclude(LEFT, &overdue(180)), Finding::Kept(_)));
}

/// C5: what was sent, not answered and carried out late is ours all the same, and is looked for meanwhile.
#[tokio::test(start_paused = true)]
async fn a_late_confirm_is_ours() {
    let sent = |cancels| Answer {
        marker: "[ncgate 02 alice]".to_owned(),
        cancels,
        sent: None,
        operation_id: None,
    };
    let late = |cancels| Known {
        earlier: vec![sent(cancels)],
        unanswered: Some(Duration::from_secs(20)),
        ..known()
    };
    let entry = |marker: &str| CommitEntry {
        log: Some(marker.to_owned()),
        ..CommitEntry::default()
    };
    let history = CommitInformation {
        entries: vec![entry("[ncgate 02 alice]"), entry("[ncgate 01 alice]")],
        scheduled: None,
        shown: true,
    };
    let followed = || Seen::History(standing(&history, "[ncgate 01 alice]"));
    let by_us = conclude(followed(), &late(false));
    assert!(matches!(by_us, Finding::Confirmed(By::Us, _)));
    assert!(matches!(conclude(followed(), &late(true)), Finding::Cancelled(_)));
    assert!(matches!(conclude(BEFORE, &late(true)), Finding::Cancelled(_)));
    // The device itself did that, or the end of a killed session.
    assert!(matches!(
        conclude(UNDONE, &late(true)),
        Finding::RolledBack(Reason::SessionLost, _)
    ));
    let killed = judge(Ok(BEFORE), &late(true), Reason::Killed, Duration::ZERO);
    assert!(matches!(killed, Finding::RolledBack(Reason::Killed, _)));
    let by_another = conclude(followed(), &known());
    assert!(matches!(by_another, Finding::Confirmed(By::Other, _)));

    let mut looks = Looks::now(Reason::SessionLost);
    looks.judge(Ok(NEWEST), &late(false));
    assert!(looks.next().is_some(), "it may come yet");
    let over = |since| Known {
        unanswered: Some(Duration::from_secs(300) + since),
        ..late(false)
    };
    looks.judge(Ok(NEWEST), &over(Duration::ZERO));
    assert!(
        looks.next().is_some(),
        "once more, when it does not come any more"
    );
    looks.judge(Ok(NEWEST), &over(LONGEST_PAUSE));
    assert!(looks.next().is_none());
}

/// C2: what depended on a session that has ended is not pending, and is undone for that reason.
#[test]
fn without_its_session_it_is_not_pending() {
    let doomed = Known {
        doomed: true,
        ..known()
    };
    assert!(matches!(conclude(EXPECTED, &doomed), Finding::Wait(_)));
    assert!(matches!(
        conclude(BEFORE, &doomed),
        Finding::RolledBack(Reason::SessionLost, _)
    ));
}

/// C5, C6: with a confirm or a cancel that nobody answered the same sight means something else.
#[test]
fn an_unanswered_order_is_taken_into_account() {
    let confirm = Answer {
        marker: "[ncgate 02 alice]".to_owned(),
        cancels: false,
        sent: None,
        operation_id: None,
    };
    let cancel = Answer {
        cancels: true,
        ..confirm.clone()
    };
    let after = |answer: &Answer, seen: &Seen| {
        let known = Known {
            answer: Some(Answer::clone(answer)),
            ..overdue(200)
        };
        conclude(seen.clone(), &known)
    };
    assert!(
        matches!(after(&confirm, &NEWEST), Finding::Unknown(_)),
        "perhaps it arrived"
    );
    assert!(matches!(
        after(&confirm, &BEFORE),
        Finding::RolledBack(Reason::Timeout, _)
    ));
    assert!(matches!(after(&cancel, &BEFORE), Finding::Cancelled(_)));
    assert!(matches!(after(&cancel, &EXPECTED), Finding::Kept(_)));
}

/// S29: what a kill undoes may be undone a moment later.
#[test]
fn a_kill_is_given_time() {
    let at = |seconds| {
        judge(
            Ok(EXPECTED),
            &known(),
            Reason::Killed,
            Duration::from_secs(seconds),
        )
    };
    assert!(matches!(at(29), Finding::Wait(_)));
    assert!(matches!(at(30), Finding::Pending(_)));
}

/// C5: a confirm that nobody answered may have arrived, unless the device says that it waits still.
#[test]
fn an_unanswered_confirm_is_not_pending() {
    let sent = Known {
        answer: Some(Answer {
            marker: "[ncgate 02 alice]".to_owned(),
            cancels: false,
            sent: None,
            operation_id: None,
        }),
        ..known()
    };
    for seen in [NEWEST, EXPECTED] {
        assert!(matches!(conclude(seen, &sent), Finding::Wait(_)));
    }
    let waits = Seen::History(Standing::Newest {
        waits: true,
        entries: 1,
    });
    assert!(matches!(conclude(waits, &sent), Finding::Pending(_)));
}

/// E4: what was never seen is not taken for gone before the device has had its time.
#[test]
fn a_commit_that_is_not_there_yet_may_come() {
    let fresh = |seconds| Known {
        made: false,
        sent: Duration::from_secs(seconds),
        ..known()
    };
    for seen in [Seen::History(Standing::Absent), BEFORE] {
        assert!(matches!(conclude(seen.clone(), &fresh(299)), Finding::Wait(_)));
        assert!(matches!(conclude(seen, &fresh(300)), Finding::NeverMade(_)));
    }
    assert!(matches!(conclude(NEWEST, &fresh(5)), Finding::Pending(_)));
}

/// E4, C5: without a history what is not there when it may have been undone by itself may have been made.
#[test]
fn what_may_be_undone_by_now_is_not_called_never_made() {
    let up = Known {
        sent: Duration::from_secs(300),
        made: false,
        ..overdue(1)
    };
    let due = Known {
        due: true,
        overdue: None,
        ..up.clone()
    };
    let doomed = Known {
        doomed: true,
        overdue: None,
        ..up.clone()
    };
    for known in [up, due, doomed] {
        assert!(
            matches!(conclude(BEFORE, &known), Finding::AsBefore(_)),
            "{known:?}"
        );
        let at_work = Known {
            sent: Duration::from_secs(299),
            ..known.clone()
        };
        assert!(
            matches!(conclude(BEFORE, &at_work), Finding::Wait(_)),
            "{known:?}"
        );
        let absent = conclude(Seen::History(Standing::Absent), &known);
        assert!(matches!(absent, Finding::NeverMade(_)), "{known:?}");
    }
}

/// E4: what another history does not hold says nothing.
#[test]
fn another_history_tells_nothing() {
    for made in [true, false] {
        for (seconds, is_over) in [(1, false), (359, false), (360, true)] {
            let known = Known {
                made,
                sent: Duration::from_secs(600),
                ..overdue(seconds)
            };
            let finding = conclude(Seen::AnotherHistory, &known);
            let ended = matches!(finding, Finding::Unknown(_));
            assert_eq!(ended, is_over, "{made}, {seconds}: {finding:?}");
        }
    }
}

/// C5: a device that cannot be asked is asked again, but not for ever.
#[test]
fn a_silent_device_is_given_up_in_the_end() {
    let silent = |known: &Known| {
        judge(
            Err("no answer".to_owned()),
            known,
            Reason::Timeout,
            Duration::ZERO,
        )
    };
    assert_eq!(silent(&known()), Finding::Wait("no answer".to_owned()));
    assert_eq!(silent(&overdue(359)), Finding::Wait("no answer".to_owned()));
    assert_eq!(silent(&overdue(360)), Finding::Unknown("no answer".to_owned()));
}

/// C4, C5: while an unanswered extension may have shortened its time, what stands is not told as pending, and what is undone
/// was not by an order of before.
#[test]
fn what_may_be_over_is_not_guessed_about() {
    let doubtful = |earlier: Vec<Answer>| Known {
        perhaps_over: true,
        due: true,
        earlier,
        ..known()
    };
    let waiting = Seen::History(Standing::Newest {
        waits: true,
        entries: 1,
    });
    for seen in [EXPECTED, NEWEST, waiting] {
        let finding = conclude(seen.clone(), &doubtful(Vec::new()));
        assert!(matches!(finding, Finding::Wait(_)), "{seen:?}: {finding:?}");
    }
    let cancel = Answer {
        marker: "[ncgate o1 alice]".to_owned(),
        cancels: true,
        sent: None,
        operation_id: None,
    };
    assert!(matches!(
        conclude(BEFORE, &doubtful(vec![cancel.clone()])),
        Finding::RolledBack(Reason::Timeout, _)
    ));
    let sure = Known {
        earlier: vec![cancel],
        ..known()
    };
    assert!(matches!(conclude(BEFORE, &sure), Finding::Cancelled(_)));
}
