//! Commits that wait to be confirmed, on Junos and on servers of the RFC.

use super::super::super::config::{Cause, What};
use super::*;

const CONFIRMED: &str = "<commit-configuration><confirmed/><confirm-timeout>5</confirm-timeout><log>try</log></commit-configuration>";
const CHECK: &str = "<commit-configuration><check/></commit-configuration>";
const HISTORY: &str = "<get-commit-information/>";
const PENDING: &str = "<commit-confirmed>rollback pending</commit-confirmed>";
const IN_USE: &str = "<error-type>protocol</error-type><error-tag>in-use</error-tag>\
    <error-severity>error</error-severity><error-app-tag>outstanding-confirmed-commit</error-app-tag>";

/// A device on which `before` is running, and the clock that it goes by.
fn before(profile: Profile) -> (Arc<Device>, Clock) {
    let clock = clock();
    let builder = Emulator::builder().profile(profile).clock(clock.clone());
    (device(builder.configuration("set snmp contact before")), clock)
}

/// A Junos device on which this session has committed `tried` for five minutes.
fn tried() -> (Arc<Device>, Clock, Session) {
    let (device, clock) = before(Profile::Junos);
    let mut session = login(&device, "a");
    ok(&mut session, &edit("tried"));
    ok(&mut session, CONFIRMED);
    (device, clock, session)
}

fn pass(clock: &Clock, seconds: i64) {
    clock.jump_wall(time::Duration::seconds(seconds));
}

fn whats(device: &Device) -> Vec<What> {
    device.deeds().into_iter().map(|deed| deed.what).collect()
}

/// S28, C1: minutes on Junos; the history tells that the commit waits, and who undid it when nobody confirmed it.
#[test]
fn junos_undoes_what_nobody_confirms() {
    let (device, clock) = before(Profile::Junos);
    let mut session = login(&device, "a");
    ok(&mut session, &edit("tried"));
    let reply = ask(&mut session, CONFIRMED);
    assert!(
        reply.contains("<output>commit confirmed will be automatically rolled back in 5 minutes unless confirmed</output>"),
        "{reply}"
    );
    let told = "<comment>commit confirmed, rollback in 5mins</comment><log>try</log>";
    assert!(ask(&mut session, HISTORY).contains(&format!("{told}{PENDING}")));
    let text = ask(
        &mut session,
        "<command format=\"text\">show system commit</command>",
    );
    assert!(
        text.contains("by a via netconf commit confirmed, rollback in 5mins    try    rollback pending"),
        "{text}"
    );
    pass(&clock, 299);
    assert_eq!(contact(&device), "tried");
    assert_eq!(device.confirmed().unwrap().deadline, 1_768_478_700);
    pass(&clock, 1);
    assert_eq!(contact(&device), "before");
    let newest = device.running();
    assert_eq!((newest.user.as_str(), newest.client.as_str()), ("root", "other"));
    assert_eq!((newest.log, newest.comment), (None, None));
    let history = ask(&mut session, HISTORY);
    assert!(history.contains(told) && !history.contains(PENDING), "{history}");
    assert!(!device.is_modified());
    let deadline = 1_768_478_700;
    let extends = false;
    assert_eq!(
        whats(&device),
        [
            What::ConfirmedCommit { deadline, extends },
            What::Rollback(Cause::Timeout)
        ]
    );
    assert_eq!(device.commits_with("try").len(), 1);
}

/// C1: the seconds of RFC 6241 are the minutes of Junos, and fewer than sixty are none.
#[test]
fn junos_makes_minutes_of_seconds() {
    let (device, clock) = before(Profile::Junos);
    let mut session = login(&device, "a");
    for (seconds, stays) in [
        ("<confirm-timeout>20</confirm-timeout>", 0),
        ("<confirm-timeout>119</confirm-timeout>", 60),
        ("", 600),
    ] {
        ok(&mut session, &edit("tried"));
        ok(&mut session, &format!("<commit><confirmed/>{seconds}</commit>"));
        if stays > 0 {
            pass(&clock, stays - 1);
            assert_eq!(contact(&device), "tried", "{seconds}");
            pass(&clock, 1);
        }
        assert_eq!(contact(&device), "before", "{seconds}");
    }
    for wrong in ["0", "-1", "4294967296", "soon"] {
        let rpc = format!("<commit><confirmed/><confirm-timeout>{wrong}</confirm-timeout></commit>");
        assert!(
            ask(&mut session, &rpc).contains("<bad-element>confirm-timeout</bad-element>"),
            "{wrong}"
        );
    }
}

/// C3: on Junos every commit confirms, whoever makes it and wherever, and so does a check; a failed one does not.
#[test]
fn anything_confirms_on_junos() {
    type Act = fn(&Arc<Device>, &mut Session);
    let confirming: [(&str, Act, bool); 8] = [
        ("a commit", |_, own| ok(own, COMMIT), true),
        ("a check", |_, own| ok(own, CHECK), true),
        ("a commit of the RFC", |_, own| ok(own, "<commit/>"), true),
        (
            "somebody else's check",
            |device, _| ok(&mut login(device, "b"), CHECK),
            true,
        ),
        (
            "somebody else's commit",
            |device, _| {
                let mut other = login(device, "b");
                ok(&mut other, &set("set snmp location x"));
                ok(&mut other, COMMIT);
            },
            true,
        ),
        (
            "a private copy",
            |device, _| {
                let mut other = login(device, "b");
                ok(&mut other, "<open-configuration><private/></open-configuration>");
                ok(&mut other, &set("set snmp location x"));
                ok(&mut other, COMMIT);
            },
            true,
        ),
        (
            "somebody at the CLI",
            |device, _| drop(Console::login(device, "noc").commit(None).unwrap()),
            true,
        ),
        (
            "a check that fails",
            |device, own| {
                ok(own, &set("set system login user bob uid 7"));
                assert!(ask(own, CHECK).contains("rpc-error"));
                ok(own, "<discard-changes/>");
                assert!(device.confirmed().is_some());
            },
            false,
        ),
    ];
    for (what, act, confirms) in confirming {
        let (device, clock, mut session) = tried();
        act(&device, &mut session);
        assert_eq!(device.confirmed().is_none(), confirms, "{what}");
        assert_eq!(ask(&mut session, HISTORY).contains(PENDING), !confirms, "{what}");
        pass(&clock, 300);
        assert_eq!(
            contact(&device),
            if confirms { "tried" } else { "before" },
            "{what}"
        );
    }
}

/// C4: what comes after the rollback is a commit of its own, and answers ok.
#[test]
fn a_late_confirm_is_a_new_commit() {
    let (device, clock, mut session) = tried();
    pass(&clock, 301);
    ok(&mut session, COMMIT);
    assert_eq!(contact(&device), "before");
    let confirms = false;
    assert_eq!(
        whats(&device)[1..],
        [What::Rollback(Cause::Timeout), What::Commit { confirms }]
    );
}

/// C1: a confirmed commit on top of another has a new deadline, and both are undone.
#[test]
fn confirmed_again_is_extended() {
    let (device, clock, mut session) = tried();
    pass(&clock, 200);
    ok(&mut session, &edit("more"));
    ok(&mut session, CONFIRMED);
    pass(&clock, 299);
    assert_eq!(contact(&device), "more");
    pass(&clock, 1);
    assert_eq!(contact(&device), "before");
}

/// C2: on Junos the timer goes on when its session is closed or lost, and a kill undoes the commit at once.
#[test]
fn the_end_of_the_session_on_junos() {
    let (device, clock, mut session) = tried();
    ok(&mut session, "<close-session/>");
    drop(session);
    assert_eq!(contact(&device), "tried");
    ok(&mut login(&device, "b"), COMMIT);
    pass(&clock, 300);
    assert_eq!(contact(&device), "tried");

    let (device, clock, session) = tried();
    drop(session);
    pass(&clock, 299);
    assert_eq!(contact(&device), "tried");
    pass(&clock, 1);
    assert_eq!(contact(&device), "before");

    let (device, _, session) = tried();
    assert!(Console::login(&device, "noc").logout(session.caller.session));
    assert_eq!(contact(&device), "before");
    assert_eq!(whats(&device).last(), Some(&What::Rollback(Cause::Killed)));
    assert_eq!(device.commits_with("try").len(), 1);
}

/// C2, C6: a token lets other sessions extend, confirm and cancel; without it the end of the session undoes.
#[test]
fn tokens_of_the_rfc() {
    for profile in [Profile::Rfc, Profile::RfcNoStartup] {
        let (device, clock) = before(profile);
        let mut first = login(&device, "a");
        ok(&mut first, &edit("lost"));
        ok(&mut first, "<commit><confirmed/></commit>");
        drop(first);
        assert_eq!(contact(&device), "before");
        assert_eq!(whats(&device).last(), Some(&What::Rollback(Cause::SessionEnded)));

        let mut second = login(&device, "a");
        ok(&mut second, &edit("token"));
        ok(
            &mut second,
            "<commit><confirmed/><confirm-timeout>30</confirm-timeout><persist>t1</persist></commit>",
        );
        drop(second);
        assert_eq!(contact(&device), "token");
        let mut third = login(&device, "a");
        assert!(
            ask(&mut third, "<commit><persist-id>t2</persist-id></commit>")
                .contains("<bad-element>persist-id")
        );
        assert!(ask(&mut third, "<cancel-commit/>").contains("<error-tag>invalid-value</error-tag>"));
        pass(&clock, 29);
        // Extended by a third session, under a new token.
        let extend = "<commit><confirmed/><confirm-timeout>30</confirm-timeout><persist>t3</persist>\
                      <persist-id>t1</persist-id></commit>";
        ok(&mut third, extend);
        pass(&clock, 29);
        assert_eq!(contact(&device), "token");
        ok(
            &mut login(&device, "b"),
            "<cancel-commit><persist-id>t3</persist-id></cancel-commit>",
        );
        assert_eq!(contact(&device), "before");
        assert_eq!(whats(&device).last(), Some(&What::Rollback(Cause::Cancelled)));

        ok(&mut third, &edit("kept"));
        ok(&mut third, "<commit><confirmed/><persist>t4</persist></commit>");
        let mut fourth = login(&device, "b");
        ok(&mut fourth, "<commit><persist-id>t4</persist-id></commit>");
        pass(&clock, 600);
        assert_eq!(contact(&device), "kept");
        let late = ask(&mut fourth, "<commit><persist-id>t4</persist-id></commit>");
        assert!(late.contains("<error-tag>invalid-value</error-tag>"), "{late}");
    }
}

/// E2: while a commit waits, a server of the RFC refuses commits of others, and the lock of what is running.
#[test]
fn others_wait_for_the_rfc() {
    for profile in [Profile::Rfc, Profile::Rfc10] {
        let (device, _) = before(profile);
        let (mut own, mut other) = (login(&device, "a"), login(&device, "b"));
        ok(&mut own, &edit("tried"));
        ok(&mut own, "<commit><confirmed/></commit>");
        let running = "<lock><target><running/></target></lock>";
        for refused in ["<commit/>", "<commit><confirmed/></commit>", running] {
            let reply = ask(&mut other, refused);
            assert!(reply.contains(IN_USE), "{refused}: {reply}");
        }
        let console = Console::login(&device, "noc").commit(None).unwrap_err();
        assert_eq!(console[0].app_tag, Some("outstanding-confirmed-commit"));
        // What is edited meanwhile goes out with the commit that confirms.
        ok(&mut other, &edit("theirs"));
        ok(&mut own, "<commit/>");
        assert_eq!(contact(&device), "theirs");
        ok(&mut other, running);
    }
}

/// A server of RFC 4741 knows seconds, and neither tokens nor a way to cancel.
#[test]
fn the_rfc_before_tokens() {
    let (device, clock) = before(Profile::Rfc10);
    let mut session = login(&device, "a");
    ok(&mut session, &edit("tried"));
    let token = ask(&mut session, "<commit><confirmed/><persist>t</persist></commit>");
    assert!(
        token.contains("<error-tag>unknown-element</error-tag>") && token.contains("<bad-element>persist<"),
        "{token}"
    );
    let cancel = ask(&mut session, "<cancel-commit/>");
    assert!(
        cancel.contains("<error-tag>operation-not-supported</error-tag>"),
        "{cancel}"
    );
    let confirmed = "<commit><confirmed/><confirm-timeout>7</confirm-timeout></commit>";
    ok(&mut session, confirmed);
    pass(&clock, 6);
    assert_eq!(contact(&device), "tried");
    pass(&clock, 1);
    assert_eq!(contact(&device), "before");
    ok(&mut session, &edit("again"));
    ok(&mut session, confirmed);
    ok(&mut session, "<close-session/>");
    assert_eq!(contact(&device), "before");
}

/// The chronicle knows who did what, when the history tells less.
#[test]
fn the_chronicle_names_sessions() {
    let (device, clock, session) = tried();
    pass(&clock, 10);
    let noc = Console::login(&device, "noc");
    noc.commit_check().unwrap();
    noc.edit("set snmp contact noc").unwrap();
    noc.commit(Some("mine")).unwrap();
    let deeds = device.deeds();
    let told: Vec<_> = deeds
        .iter()
        .map(|deed| {
            (
                deed.at - 1_768_478_400,
                deed.session,
                deed.client.as_str(),
                deed.log.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (0, Some(session.caller.session), "netconf", Some("try")),
            (10, Some(noc.pid()), "cli", None),
            (10, Some(noc.pid()), "cli", Some("mine")),
        ]
    );
    assert_eq!(deeds[1].what, What::Confirmation);
    assert_eq!(deeds[2].revision, device.running().identifier());
    assert_eq!(device.commits_with("").len(), 2);
}
