//! What a start of the device forgets, and what it still knows.

use super::super::super::config::{Cause, Restart, What};
use super::*;

/// A device of this kind with a session that has committed `tried` by this request.
fn tried(profile: Profile, commit: &str) -> (Arc<Device>, Clock, Session) {
    let clock = clock();
    let builder = Emulator::builder().profile(profile).clock(clock.clone());
    let device = device(builder.configuration("set snmp contact before"));
    let mut session = login(&device, "a");
    ok(&mut session, &edit("tried"));
    ok(&mut session, commit);
    (device, clock, session)
}

const CONFIRMED: &str = "<commit><confirmed/></commit>";
const TOKEN: &str = "<commit><confirmed/><persist>t</persist></commit>";

/// C5: a start of a Junos device inside the window keeps what nobody confirmed: the timer is lost, the remark stays.
#[test]
fn a_start_keeps_on_junos() {
    let (device, clock, mut session) = tried(Profile::Junos, CONFIRMED);
    let (id, booted) = (session.caller.session, device.booted());
    ok(&mut session, LOCK);
    ok(&mut session, &edit("typed"));
    let noc = Console::login(&device, "noc");
    device.power_off();
    assert!(!device.is_up() && !noc.is_logged_in());
    assert!(matches!(session.message(b"<rpc><get/></rpc>")[..], [Step::Drop]));
    assert!(noc.edit("set snmp contact noc").is_err() && !noc.logout(id));
    clock.jump_wall(time::Duration::seconds(900));
    device.power_on();
    assert_eq!(
        (device.booted() - device.facts.booted, device.is_up()),
        (3_600_900, true)
    );
    assert!(device.booted() > booted);
    assert_eq!(contact(&device), "tried");
    assert!(!device.is_modified() && device.lock_holder(Store::Candidate).is_none());
    assert_eq!(device.deeds().last().unwrap().what, What::Kept);
    // The same session-id may be somebody else's now; the one who had it ends without harm to him.
    let mut next = login(&device, "b");
    assert_eq!(next.caller.session, id);
    drop(session);
    assert!(device.is_logged_in(id));
    let history = ask(&mut next, "<get-commit-information/>");
    assert!(
        history.contains("commit confirmed, rollback in 10mins") && !history.contains("rollback pending")
    );
}

/// RFC 6241 section 8.4.1: a start inside the window undoes, also under a token; with a startup datastore, that runs.
#[test]
fn a_start_undoes_on_the_rfc() {
    for (profile, commit) in [
        (Profile::RfcNoStartup, TOKEN),
        (Profile::Rfc10, CONFIRMED),
        (Profile::Rfc, TOKEN),
    ] {
        let (device, _, _session) = tried(profile, commit);
        device.reboot();
        assert_eq!(contact(&device), "before", "{profile:?}");
        assert!(device.confirmed().is_none());
        assert_eq!(
            device.deeds().last().unwrap().what,
            What::Rollback(Cause::Restarted)
        );
    }
}

/// E7: what was committed and not saved is gone with the device that starts with its startup datastore.
#[test]
fn what_was_not_saved_is_lost() {
    let (device, _, mut session) = tried(Profile::Rfc, "<commit/>");
    let save = "<copy-config><target><startup/></target><source><running/></source></copy-config>";
    ok(&mut session, save);
    ok(&mut session, &edit("unsaved"));
    ok(&mut session, "<commit/>");
    device.reboot();
    assert_eq!(contact(&device), "tried");
    // What was saved inside the window stays, though nobody confirmed it.
    let mut next = login(&device, "b");
    ok(&mut next, &edit("saved"));
    ok(&mut next, TOKEN);
    ok(&mut next, save);
    device.reboot();
    assert_eq!(contact(&device), "saved");
    assert_eq!(device.deeds().last().unwrap().what, What::Kept);
}

/// C5: each way that a start can go, asked for by name.
#[test]
fn a_start_does_what_it_is_told() {
    let wait = |device: &Arc<Device>, clock: &Clock| {
        clock.jump_wall(time::Duration::seconds(601));
        contact(device)
    };
    for (restart, after, later) in [
        (Restart::Keeps, "tried", "tried"),
        (Restart::Reverts, "before", "before"),
        (Restart::Remembers, "tried", "before"),
        (Restart::ForgetsToken, "tried", "before"),
    ] {
        let (device, clock, _session) = tried(Profile::RfcNoStartup, TOKEN);
        device.reboot_as(restart);
        assert_eq!(contact(&device), after, "{restart:?}");
        assert_eq!(wait(&device, &clock), later, "{restart:?}");
    }
    let (device, clock, _session) = tried(Profile::RfcNoStartup, TOKEN);
    device.reboot_as(Restart::Remembers);
    ok(
        &mut login(&device, "b"),
        "<commit><persist-id>t</persist-id></commit>",
    );
    assert_eq!(wait(&device, &clock), "tried");
    // Its time may have passed while the device was down; what was bound to a session ends with it.
    let (device, clock, _session) = tried(Profile::Junos, CONFIRMED);
    device.power_off();
    assert_eq!(wait(&device, &clock), "tried");
    device.power_on_as(Restart::Remembers);
    assert_eq!(contact(&device), "before");
    let (device, _, _session) = tried(Profile::RfcNoStartup, CONFIRMED);
    device.reboot_as(Restart::Remembers);
    assert_eq!(contact(&device), "before");
}

/// E6: a commit that waits for the next start is made by it.
#[test]
fn a_start_makes_the_commit_that_waits_for_it() {
    let device = device(Emulator::builder());
    let mut session = login(&device, "a");
    ok(&mut session, &edit("later"));
    ask(
        &mut session,
        "<commit-configuration><at-time>reboot</at-time></commit-configuration>",
    );
    assert_eq!(contact(&device), "");
    device.reboot();
    assert_eq!(contact(&device), "later");
    assert_eq!(device.running().user, "a");
}
