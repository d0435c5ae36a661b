//! Devices that do not do what their protocol says: junos.md of the field, one by one.

use std::time::Duration;

use super::super::super::config::{Cause, Restart, UndoneBy, What};
use super::super::super::quirk::Quirk;
use super::*;

const CHECK: &str = "<commit-configuration><check/></commit-configuration>";
const CONFIRMED: &str = "<commit><confirmed/><confirm-timeout>60</confirm-timeout></commit>";
const TOKEN: &str = "<commit><confirmed/><confirm-timeout>60</confirm-timeout><persist>t</persist></commit>";
const BY_TOKEN: &str = "<commit><persist-id>t</persist-id></commit>";

/// A device of this kind, and the clock that it goes by.
fn quirky(profile: Profile, quirk: Quirk) -> (Arc<Device>, Clock) {
    let clock = clock();
    let builder = Emulator::builder()
        .profile(profile)
        .clock(clock.clone())
        .quirk(quirk);
    (device(builder.configuration("set snmp contact before")), clock)
}

/// The same, with a session that has committed `tried` by this request.
fn tried(profile: Profile, quirk: Quirk, commit: &str) -> (Arc<Device>, Clock, Session) {
    let (device, clock) = quirky(profile, quirk);
    let mut session = login(&device, "a");
    ok(&mut session, &edit("tried"));
    ok(&mut session, commit);
    (device, clock, session)
}

fn pass(clock: &Clock, seconds: i64) {
    clock.jump_wall(time::Duration::seconds(seconds));
}

/// C3, C4: a rollback takes as long as a commit; until its end what was committed is running, and others wait.
#[test]
fn a_rollback_can_be_slow() {
    let quirk = Quirk::SlowRollback(Duration::from_secs(90));
    let (device, clock, mut session) = tried(Profile::Junos, quirk, CONFIRMED);
    pass(&clock, 100);
    assert_eq!(contact(&device), "tried");
    assert!(ask(&mut session, "<get-commit-information/>").contains("rollback pending"));
    let steps = session.message(format!("<rpc message-id=\"1\">{COMMIT}</rpc>").as_bytes());
    let [
        Step::Work {
            until, drops: false, ..
        },
    ] = &steps[..]
    else {
        panic!("a commit does not wait: {steps:?}");
    };
    assert_eq!(*until, Until::Passed(Duration::from_secs(50)));
    assert!(Console::login(&device, "noc").commit(None).is_err());
    pass(&clock, 50);
    assert_eq!(contact(&device), "before");
    assert_eq!(device.running().seconds, 1_768_478_400 + 60 + 90);
    assert_eq!(
        device.deeds().last().unwrap().what,
        What::Rollback(Cause::Timeout)
    );
    for step in steps {
        if let Step::Work { work, .. } = step {
            assert!(matches!(session.carry_out(work)[..], [Step::Message(_)]));
        }
    }
    assert_eq!(
        device.deeds().last().unwrap().what,
        What::Commit { confirms: false }
    );
}

#[test]
fn a_check_may_not_confirm() {
    let (device, _, mut session) = tried(Profile::Junos, Quirk::CheckDoesNotConfirm, CONFIRMED);
    ok(&mut session, CHECK);
    assert!(device.confirmed().is_some());
    ok(&mut session, COMMIT);
    assert!(device.confirmed().is_none());
}

/// C3: whether a validation confirms is open for Junos, so a device may do either.
#[test]
fn a_validation_may_confirm() {
    let validate = "<validate><source><candidate/></source></validate>";
    for (quirk, confirms) in [(Quirk::ValidateConfirms, true), (Quirk::HidesPending, false)] {
        let (device, _, _session) = tried(Profile::Junos, quirk, CONFIRMED);
        let mut other = login(&device, "b");
        ok(&mut other, &validate.replace("candidate", "running"));
        assert!(device.confirmed().is_some());
        ok(&mut other, validate);
        assert_eq!(device.confirmed().is_none(), confirms, "{quirk:?}");
    }
}

/// The error is answered, and the rollback comes all the same, over what was committed since.
#[test]
fn a_failed_confirmed_commit_may_wait() {
    let (device, clock) = quirky(Profile::RfcNoStartup, Quirk::FailedCommitsWait);
    let mut session = login(&device, "a");
    let user = "<system><login><user><name>bob</name></user></login></system>";
    let wrong = edit("x").replace("<snmp>", &format!("{user}<snmp>"));
    ok(&mut session, &wrong);
    assert!(ask(&mut session, TOKEN).contains("Missing mandatory statement"));
    assert!(device.deeds().is_empty());
    ok(&mut session, "<discard-changes/>");
    ok(&mut session, &edit("since"));
    assert!(ask(&mut session, "<commit/>").contains("outstanding-confirmed-commit"));
    let more = TOKEN.replace("</commit>", "<persist-id>t</persist-id></commit>");
    ok(&mut session, &more);
    pass(&clock, 60);
    assert_eq!(contact(&device), "before");
}

#[test]
fn a_later_confirmed_commit_may_confirm_the_earlier() {
    let (device, clock, mut session) = tried(Profile::Junos, Quirk::LaterConfirmsEarlier, CONFIRMED);
    ok(&mut session, &edit("more"));
    ok(&mut session, CONFIRMED);
    pass(&clock, 60);
    assert_eq!(contact(&device), "tried");
}

/// C5: the time passes, and what nobody confirmed is kept.
#[test]
fn a_rollback_may_never_come() {
    let (device, clock, _session) = tried(Profile::Rfc, Quirk::NeverRollsBack, CONFIRMED);
    pass(&clock, 61);
    assert_eq!(contact(&device), "tried");
    assert_eq!(device.deeds().last().unwrap().what, What::Kept);
}

/// C4: a confirm that comes too late answers ok, and is a commit of whatever is in the candidate.
#[test]
fn a_stale_token_may_commit() {
    let (device, clock, mut session) = tried(Profile::Rfc, Quirk::UnknownTokensCommit, TOKEN);
    pass(&clock, 61);
    assert_eq!(contact(&device), "before");
    ok(&mut session, &edit("by accident"));
    ok(&mut session, BY_TOKEN);
    assert_eq!(contact(&device), "by accident");
}

#[test]
fn private_copies_may_take_confirmed_commits() {
    let (device, clock) = quirky(Profile::Junos, Quirk::PrivateConfirmed);
    let mut session = login(&device, "a");
    ok(
        &mut session,
        "<open-configuration><private/></open-configuration>",
    );
    ok(&mut session, &set("set snmp contact private"));
    ok(&mut session, CONFIRMED);
    assert_eq!(contact(&device), "private");
    pass(&clock, 60);
    assert_eq!(contact(&device), "before");
}

/// Tokens without a capability: other sessions confirm, cancelling wants the id, and a kill undoes all the same.
#[test]
fn junos_may_take_tokens() {
    let plain = device(Emulator::builder());
    let refused = ask(&mut login(&plain, "a"), TOKEN);
    assert!(
        refused.contains("syntax error") && refused.contains("<bad-element>persist<"),
        "{refused}"
    );

    let (device, _, session) = tried(Profile::Junos, Quirk::TakesPersist, TOKEN);
    let mut other = login(&device, "b");
    assert!(ask(&mut other, &BY_TOKEN.replace(">t<", ">u<")).contains("rpc-error"));
    ok(&mut other, BY_TOKEN);
    assert!(device.confirmed().is_none());
    drop(session);

    let (device, _, mut session) = tried(Profile::Junos, Quirk::TakesPersist, TOKEN);
    assert!(ask(&mut session, "<cancel-commit/>").contains("rpc-error"));
    ok(
        &mut session,
        "<cancel-commit><persist-id>t</persist-id></cancel-commit>",
    );
    assert_eq!(contact(&device), "before");

    let (device, _, session) = tried(Profile::Junos, Quirk::TakesPersist, TOKEN);
    assert!(device.kill(session.caller.session));
    assert_eq!(contact(&device), "before");
}

#[test]
fn old_releases_do_not_say_that_a_commit_waits() {
    let (_, _, mut session) = tried(Profile::Junos, Quirk::HidesPending, CONFIRMED);
    let history = ask(&mut session, "<get-commit-information/>");
    assert!(history.contains("commit confirmed, rollback in 1mins") && !history.contains("rollback pending"));
}

/// C2: which end of the session undoes is a matter of the device.
#[test]
fn the_end_of_a_session_may_do_other_things() {
    let (device, _, session) = tried(Profile::Junos, Quirk::UndoneBy(UndoneBy::Loss), CONFIRMED);
    drop(session);
    assert_eq!(contact(&device), "before");
    let (device, _, session) = tried(Profile::Rfc10, Quirk::UndoneBy(UndoneBy::Nothing), CONFIRMED);
    assert!(device.kill(session.caller.session));
    assert_eq!(contact(&device), "tried");
}

/// C5: a token that is forgotten at a start leaves a commit that nobody can confirm.
#[test]
fn a_restart_may_forget_the_token() {
    let (device, clock, _session) = tried(
        Profile::RfcNoStartup,
        Quirk::OnRestart(Restart::ForgetsToken),
        TOKEN,
    );
    device.reboot();
    let mut next = login(&device, "b");
    assert_eq!(contact(&device), "tried");
    assert!(ask(&mut next, BY_TOKEN).contains("<error-tag>invalid-value</error-tag>"));
    assert!(ask(&mut next, "<commit/>").contains("outstanding-confirmed-commit"));
    pass(&clock, 60);
    assert_eq!(contact(&device), "before");
}

/// A lock that nobody holds and nobody can give back.
#[test]
fn a_lock_may_be_stuck() {
    let (device, _) = quirky(Profile::Rfc, Quirk::LocksStay);
    let mut session = login(&device, "a");
    let id = session.caller.session;
    ok(&mut session, LOCK);
    drop(session);
    let mut next = login(&device, "b");
    let denied = ask(&mut next, LOCK);
    assert!(
        denied.contains("lock-denied") && denied.contains(&format!("<session-id>{id}</session-id>")),
        "{denied}"
    );
    let kill = format!("<kill-session><session-id>{id}</session-id></kill-session>");
    assert!(ask(&mut next, &kill).contains("not found"));
    assert!(device.clear_lock(Store::Candidate));
    assert!(!device.clear_lock(Store::Candidate));
    ok(&mut next, LOCK);
}

/// One candidate for everybody, for ever: what was staged rides along.
#[test]
fn a_candidate_may_outlive_locks_and_sessions() {
    let (device, _) = quirky(Profile::Rfc, Quirk::CandidateStays);
    let mut session = login(&device, "a");
    ok(&mut session, LOCK);
    ok(&mut session, &edit("staged"));
    drop(session);
    let mut next = login(&device, "b");
    ok(&mut next, LOCK);
    ok(&mut next, "<commit/>");
    assert_eq!(contact(&device), "staged");
    ok(&mut next, &edit("left"));
    ok(&mut next, UNLOCK);
    assert!(device.is_modified());
}

#[test]
fn what_is_running_may_have_no_lock() {
    let (device, _) = quirky(Profile::Rfc, Quirk::NoRunningLock);
    let mut session = login(&device, "a");
    let denied = ask(&mut session, "<lock><target><running/></target></lock>");
    assert!(
        denied.contains("<error-tag>operation-not-supported</error-tag>"),
        "{denied}"
    );
    ok(&mut session, LOCK);
}
