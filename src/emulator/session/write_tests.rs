//! What sessions do to the configuration, and to each other.

use std::sync::Arc;

use super::super::builder::Builder;
use super::super::config::{Database, Store, set};
use super::super::console::Console;
use super::super::device::Device;
use super::super::profile::Profile;
use super::super::server::Emulator;
use super::*;
use crate::clock::Clock;

mod commits;
mod confirmed;
mod quirks;
mod restarts;

const CLIENT_HELLO: &str = "<hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><capabilities>\
    <capability>urn:ietf:params:netconf:base:1.0</capability></capabilities></hello>";
const LOCK: &str = "<lock><target><candidate/></target></lock>";
const UNLOCK: &str = "<unlock><target><candidate/></target></unlock>";
const COMMIT: &str = "<commit-configuration/>";

/// A clock that tests set forward.
fn clock() -> Clock {
    let start = time::OffsetDateTime::from_unix_timestamp(1_768_478_400).unwrap();
    Clock::simulated(start, "boot")
}

fn device(builder: Builder) -> Arc<Device> {
    builder.build().unwrap().device().clone()
}

/// A session of this user after both hellos.
fn login(device: &Arc<Device>, user: &str) -> Session {
    let record = SessionRecord {
        user: user.to_owned(),
        from: "192.0.2.7".to_owned(),
        terminal: None,
        since: device.now(),
    };
    let mut session = Session::new(device.clone(), record);
    session.open();
    session.message(CLIENT_HELLO.as_bytes());
    session
}

/// What stands inside the reply, without line feeds.
fn ask(session: &mut Session, inside: &str) -> String {
    let steps = session.message(format!("<rpc message-id=\"1\">{inside}</rpc>").as_bytes());
    let [
        Step::Message(Outgoing {
            body: Body::Whole(bytes),
            ..
        }),
        ..,
    ] = steps.as_slice()
    else {
        panic!("no whole message: {steps:?}");
    };
    let reply = String::from_utf8(bytes.clone()).unwrap().replace('\n', "");
    let start = reply.find('>').unwrap() + 1;
    let end = reply.rfind("</").unwrap();
    reply[start..end].to_owned()
}

fn ok(session: &mut Session, inside: &str) {
    let reply = ask(session, inside);
    assert!(
        reply.ends_with("<ok/>") || reply.ends_with("<ok/></load-configuration-results>"),
        "{reply}"
    );
    assert!(!reply.contains("rpc-error"), "{reply}");
}

fn set(commands: &str) -> String {
    format!(
        "<load-configuration action=\"set\" format=\"text\"><configuration-set>{commands}</configuration-set></load-configuration>"
    )
}

/// The value that `edit` gave, as it is running.
fn contact(device: &Arc<Device>) -> String {
    leaf(device, Database::Committed, &["snmp", "contact"]).unwrap_or_default()
}

/// An edit of the candidate that every kind of server takes.
fn edit(value: &str) -> String {
    format!(
        "<edit-config><target><candidate/></target><config><configuration><snmp><contact>{value}</contact></snmp>\
         </configuration></config></edit-config>"
    )
}

fn leaf(device: &Device, database: Database, path: &[&str]) -> Option<String> {
    device.tree(database).unwrap().value(path).map(str::to_owned)
}

/// S20, S25: one session has the lock; the other is told who, since when and how idle, and may not edit.
#[test]
fn a_lock_keeps_others_out() {
    let device = device(Emulator::builder());
    let (mut holder, mut other) = (login(&device, "ops"), login(&device, "noc"));
    ok(&mut holder, LOCK);
    let pid = holder.caller.session;
    let held = format!(
        "<rpc-error><error-severity>error</error-severity><error-message>configuration database locked by:  ops \
         (pid {pid}) on since 2026-01-15 12:00:00 UTC, idle 00:00:00      exclusive [edit]</error-message></rpc-error>"
    );
    assert_eq!(ask(&mut other, LOCK), held);
    assert_eq!(ask(&mut other, "<lock-configuration/>"), held);
    assert_eq!(ask(&mut other, &set("set system domain-name x")), held);
    assert_eq!(ask(&mut other, "<discard-changes/>"), held);
    assert!(ask(&mut other, COMMIT).contains("locked by:"));
    assert!(ask(&mut holder, LOCK).contains("Configuration database is already open"));
    assert_eq!(device.lock_holder(Store::Candidate).unwrap().session, pid);
    ok(&mut holder, &set("set system domain-name x"));
    ok(&mut holder, UNLOCK);
    assert!(
        !device.is_modified(),
        "what was edited under the lock is gone with it"
    );
    assert!(ask(&mut holder, UNLOCK).contains("Configuration database is not open"));
    ok(&mut other, LOCK);
}

/// S20: a candidate that somebody changed cannot be locked, until it is discarded.
#[test]
fn leftovers_refuse_a_lock() {
    let device = device(Emulator::builder().uncommitted("noc", "set system domain-name theirs"));
    let mut session = login(&device, "ops");
    assert!(
        ask(&mut session, LOCK).contains("<error-message>configuration database modified</error-message>")
    );
    let compare = "<get-configuration compare=\"rollback\" rollback=\"0\" format=\"text\"/>";
    assert!(ask(&mut session, compare).contains("[edit system]+   domain-name theirs;"));
    ok(&mut session, "<discard-changes/>");
    ok(&mut session, LOCK);
}

/// S20, S23: whatever ends a session, its lock is free and its edits are gone; without a lock they stay.
#[test]
fn the_end_of_a_session_frees_what_it_held() {
    let device = device(Emulator::builder());
    let edit = set("set system domain-name x");
    for end in ["close", "lose", "kill"] {
        let mut session = login(&device, "ops");
        ok(&mut session, LOCK);
        ok(&mut session, &edit);
        match end {
            "close" => ok(&mut session, "<close-session/>"),
            "lose" => drop(session),
            _ => {
                let pid = session.caller.session;
                let mut other = login(&device, "noc");
                ok(
                    &mut other,
                    &format!("<kill-session><session-id>{pid}</session-id></kill-session>"),
                );
                assert!(session.killed().is_cancelled());
                assert!(matches!(session.message(b"<rpc/>")[..], [Step::Drop]));
            }
        }
        assert_eq!(device.lock_holder(Store::Candidate), None, "{end}");
        assert!(!device.is_modified(), "{end}");
    }
    let mut session = login(&device, "ops");
    ok(&mut session, &edit);
    ok(&mut session, "<close-session/>");
    assert!(device.is_modified());
}

/// S26: what cannot be killed is told.
#[test]
fn kill_session_wants_another_session_that_is_there() {
    let device = device(Emulator::builder().configuring_exclusively("noc"));
    let mut session = login(&device, "ops");
    let own = session.caller.session;
    for (id, message) in [
        (own, "cannot kill own session".to_owned()),
        (4, "session 4 not found".to_owned()),
    ] {
        let reply = ask(
            &mut session,
            &format!("<kill-session><session-id>{id}</session-id></kill-session>"),
        );
        assert!(reply.contains(&format!("<error-tag>invalid-value</error-tag><error-severity>error</error-severity><error-message>{message}")), "{reply}");
    }
    // The process of a user at the CLI is a session, too.
    let pid = device.lock_holder(Store::Candidate).unwrap().session;
    ok(
        &mut session,
        &format!("<kill-session><session-id>{pid}</session-id></kill-session>"),
    );
    ok(&mut session, LOCK);
}

/// S24: private copies live beside each other, refuse shared edits meanwhile, and vanish unless committed.
#[test]
fn private_copies_are_merged_when_they_are_committed() {
    let device = device(Emulator::builder().warns_of_private_copies());
    let (mut one, mut two, mut shared) = (login(&device, "a"), login(&device, "b"), login(&device, "c"));
    let open = "<open-configuration><private/></open-configuration>";
    assert_eq!(
        ask(&mut one, open),
        "<rpc-error><error-severity>warning</error-severity><error-message>uncommitted changes will be discarded on \
         exit</error-message></rpc-error><ok/>"
    );
    ask(&mut two, open);
    assert!(ask(&mut one, open).contains("already open"));
    assert!(ask(&mut shared, &set("set snmp contact c")).contains("private edits in use"));
    assert_eq!(
        ask(&mut one, COMMIT),
        "<commit-results/>",
        "there is nothing to commit"
    );
    ok(&mut one, &set("set snmp contact one"));
    ok(&mut two, &set("set snmp location two"));
    assert!(!device.is_modified());
    assert!(ask(&mut one, COMMIT).contains("<commit-success/>"));
    assert!(ask(&mut two, COMMIT).contains("<commit-success/>"));
    for session in [&mut one, &mut two] {
        ok(session, "<close-configuration/>");
        assert!(ask(session, "<close-configuration/>").contains("not open"));
    }
    let running = device.tree(Database::Committed).unwrap();
    assert!(set::render(&running).ends_with("set snmp location two\nset snmp contact one\n"));
    ask(&mut one, open);
    ok(&mut one, &set("set snmp contact lost"));
    drop(one);
    assert_eq!(
        leaf(&device, Database::Candidate, &["snmp", "contact"]).as_deref(),
        Some("one")
    );
}

/// S11, S12, S27: ephemeral instances have data of their own, no checks and no history.
#[test]
fn ephemeral_instances_are_kept_apart() {
    let device = device(
        Emulator::builder().configuration("set system configuration-database ephemeral instance fast"),
    );
    let mut session = login(&device, "a");
    let none = "<open-configuration><ephemeral-instance>none</ephemeral-instance></open-configuration>";
    assert!(ask(&mut session, none).contains("ephemeral instance 'none' is not configured"));
    for (name, open) in [
        ("", "<ephemeral/>"),
        ("fast", "<ephemeral-instance>fast</ephemeral-instance>"),
    ] {
        ok(
            &mut session,
            &format!("<open-configuration>{open}</open-configuration>"),
        );
        ok(&mut session, &set(&format!("set snmp contact in-{name}")));
        for option in [
            "<check/>",
            "<log>why</log>",
            "<confirmed/>",
            "<at-time>23:00</at-time>",
        ] {
            let reply = ask(
                &mut session,
                &format!("<commit-configuration>{option}</commit-configuration>"),
            );
            assert!(
                reply.contains("is not supported for the ephemeral database"),
                "{option}: {reply}"
            );
        }
        ok(
            &mut session,
            "<commit-configuration><synchronize/></commit-configuration>",
        );
        let shown = ask(&mut session, "<get-configuration format=\"set\"/>");
        assert_eq!(
            shown,
            format!("<configuration-set>set snmp contact in-{name}</configuration-set>")
        );
        ok(&mut session, "<close-configuration/>");
        assert_eq!(
            device.ephemeral(name).value(&["snmp", "contact"]),
            Some(format!("in-{name}").as_str())
        );
    }
    assert_eq!(leaf(&device, Database::Committed, &["snmp", "contact"]), None);
    assert_eq!(device.history().len(), 1);
}

/// S12: every form of data, and the files of the device.
#[test]
fn every_form_of_data_is_loaded() {
    let device = device(Emulator::builder().file("/var/tmp/x.conf", "snmp { contact file; }"));
    let mut session = login(&device, "a");
    let load = |attributes: &str, inside: &str| {
        format!("<load-configuration {attributes}>{inside}</load-configuration>")
    };
    for (attributes, inside, wanted) in [
        (
            "",
            "<configuration><snmp><contact>xml</contact></snmp></configuration>",
            "xml",
        ),
        (
            "format=\"text\" action=\"merge\"",
            "<configuration-text>snmp { contact text; }</configuration-text>",
            "text",
        ),
        (
            "format=\"json\"",
            "<configuration-json>{\"configuration\": {\"snmp\": {\"contact\": \"json\"}}}</configuration-json>",
            "json",
        ),
        (
            "action=\"set\" format=\"text\"",
            "<configuration-set>set snmp contact set</configuration-set>",
            "set",
        ),
        (
            "action=\"patch\" format=\"text\"",
            "<configuration-patch>[edit snmp]\n-  contact set;\n+  contact patch;\n</configuration-patch>",
            "patch",
        ),
        ("url=\"/var/tmp/x.conf\" format=\"text\"", "", "file"),
    ] {
        ok(&mut session, &load(attributes, inside));
        assert_eq!(
            leaf(&device, Database::Candidate, &["snmp", "contact"]).as_deref(),
            Some(wanted)
        );
    }
    ok(&mut session, &load("rollback=\"0\"", ""));
    assert!(!device.is_modified());
    for (attributes, inside, message) in [
        (
            "action=\"explode\"",
            "<configuration/>",
            "invalid value 'explode' for attribute action",
        ),
        ("rollback=\"50\"", "", "invalid rollback number '50' (0..49)"),
        ("rollback=\"7\"", "", "rollback 7 not found"),
        ("rescue=\"rescue\"", "", "error: No rescue configuration is set."),
        (
            "url=\"/none\" format=\"text\"",
            "",
            "could not open /none: No such file or directory",
        ),
        (
            "format=\"json\"",
            "<configuration-json>{</configuration-json>",
            "json input syntax error",
        ),
        ("", "", "missing mandatory element configuration"),
        ("", "<configuration/><configuration/>", "syntax error"),
    ] {
        let reply = ask(&mut session, &load(attributes, inside));
        assert!(
            reply.contains(&format!("<error-message>{message}</error-message>")),
            "{attributes}: {reply}"
        );
    }
}

/// S12, S16: a load that fails tells each error with its level; what could be loaded stays. Old releases count only.
#[test]
fn a_failed_load_leaves_what_it_could_load() {
    let text = "<load-configuration format=\"text\"><configuration-text>system { domain-name x; nonsense y; }\
        </configuration-text></load-configuration>";
    let modern = device(Emulator::builder());
    assert_eq!(
        ask(&mut login(&modern, "a"), text),
        "<load-configuration-results><rpc-error><error-severity>error</error-severity><error-path>[edit system]\
         </error-path><error-message>syntax error</error-message><error-info><bad-element>nonsense</bad-element>\
         </error-info></rpc-error></load-configuration-results>"
    );
    let old = device(Emulator::builder().counts_load_errors());
    assert_eq!(
        ask(&mut login(&old, "a"), text),
        "<load-configuration-results><load-error-count>1</load-error-count></load-configuration-results>"
    );
    for device in [modern, old] {
        assert_eq!(
            leaf(&device, Database::Candidate, &["system", "domain-name"]).as_deref(),
            Some("x")
        );
    }
}

/// RFC 6241: a plain server has tags, session ids of locks, and says what it does not do.
#[test]
fn a_plain_server_speaks_the_rfc() {
    let device = device(Emulator::builder().profile(Profile::Rfc));
    let (mut holder, mut other) = (login(&device, "a"), login(&device, "b"));
    ok(&mut holder, LOCK);
    let denied = ask(&mut other, LOCK);
    let pid = holder.caller.session;
    assert!(
        denied.contains("<error-type>protocol</error-type><error-tag>lock-denied</error-tag>"),
        "{denied}"
    );
    assert!(
        denied.contains(&format!(
            "<error-info><session-id>{pid}</session-id></error-info>"
        )),
        "{denied}"
    );
    let edit = |inside: &str| {
        format!("<edit-config><target><candidate/></target><config>{inside}</config></edit-config>")
    };
    let reply = ask(&mut holder, &edit("<configuration><nonsense/></configuration>"));
    assert!(
        reply.contains("<error-type>application</error-type><error-tag>unknown-element</error-tag>"),
        "{reply}"
    );
    assert!(!reply.contains("error-path"), "{reply}");
    ok(
        &mut holder,
        &edit("<configuration><snmp><contact>x</contact></snmp></configuration>"),
    );
    ok(&mut holder, "<validate><source><candidate/></source></validate>");
    assert_eq!(ask(&mut holder, "<commit/>"), "<ok/>");
    assert_eq!(leaf(&device, Database::Startup, &["snmp", "contact"]), None);
    ok(
        &mut holder,
        "<copy-config><target><startup/></target><source><running/></source></copy-config>",
    );
    assert_eq!(
        leaf(&device, Database::Startup, &["snmp", "contact"]).as_deref(),
        Some("x")
    );
    for unknown in [
        "<load-configuration/>",
        "<get-configuration/>",
        "<lock-configuration/>",
    ] {
        assert!(
            ask(&mut holder, unknown).contains("operation-not-supported"),
            "{unknown}"
        );
    }
    let running = "<edit-config><target><running/></target><config/></edit-config>";
    assert!(ask(&mut holder, running).contains("operation-not-supported"));
}

/// RFC 6241 section 8.2: a server without candidate changes running at once, whole or not at all where it can.
#[test]
fn a_server_without_candidate_edits_running() {
    let device = device(Emulator::builder().profile(Profile::RfcRunning));
    let mut session = login(&device, "a");
    let edit = |inside: &str| {
        format!(
            "<edit-config><target><running/></target><config><configuration>{inside}</configuration></config></edit-config>"
        )
    };
    ok(&mut session, &edit("<snmp><contact>x</contact></snmp>"));
    assert_eq!(
        leaf(&device, Database::Committed, &["snmp", "contact"]).as_deref(),
        Some("x")
    );
    let invalid = edit("<system><login><user><name>bob</name></user></login></system>");
    assert!(ask(&mut session, &invalid).contains("Missing mandatory statement"));
    assert_eq!(device.history().len(), 2);
    for unknown in [
        "<commit/>",
        "<discard-changes/>",
        "<validate><source><running/></source></validate>",
    ] {
        assert!(
            ask(&mut session, unknown).contains("operation-not-supported"),
            "{unknown}"
        );
    }
}

/// A user at the CLI and a session see each other's edits of the shared candidate.
#[test]
fn the_cli_and_a_session_share_the_candidate() {
    let device = device(Emulator::builder());
    let mut session = login(&device, "a");
    let console = Console::login(&device, "noc");
    ok(&mut session, &set("set snmp contact session"));
    console.edit("set snmp location cli").unwrap();
    console.commit(None).unwrap();
    let running = device.tree(Database::Committed).unwrap();
    assert!(set::render(&running).ends_with("set snmp location cli\nset snmp contact session\n"));
    assert!(!device.is_modified());
}

/// RFC 6241 section 7.2: what `test-option` and `error-option` keep from happening.
#[test]
fn the_options_of_an_edit_hold() {
    let device = device(Emulator::builder().profile(Profile::Rfc));
    let mut session = login(&device, "a");
    let edit = |options: &str, inside: &str| {
        format!(
            "<edit-config><target><candidate/></target>{options}<config><configuration>{inside}</configuration>\
             </config></edit-config>"
        )
    };
    let half = "<snmp><contact>x</contact><location operation=\"delete\"/></snmp>";
    let contact = || leaf(&device, Database::Candidate, &["snmp", "contact"]);
    let rolls_back = "<error-option>rollback-on-error</error-option>";
    assert!(ask(&mut session, &edit(rolls_back, half)).contains("<error-tag>data-missing</error-tag>"));
    assert_eq!(contact(), None);
    assert!(ask(&mut session, &edit("", half)).contains("data-missing"));
    assert_eq!(
        contact().as_deref(),
        Some("x"),
        "stop-on-error leaves what was done before"
    );
    let valid = "<snmp><contact>y</contact></snmp>";
    ok(&mut session, &edit("<test-option>test-only</test-option>", valid));
    assert_eq!(contact().as_deref(), Some("x"));
    let invalid = "<system><login><user><name>bob</name></user></login></system>";
    let tested = edit("<test-option>test-then-set</test-option>", invalid);
    assert!(ask(&mut session, &tested).contains("Missing mandatory statement: 'class'"));
    assert!(leaf(&device, Database::Candidate, &["system", "login"]).is_none());
    ok(&mut session, &edit("<test-option>set</test-option>", invalid));
    for wrong in [
        "<test-option>perhaps</test-option>",
        "<error-option>perhaps</error-option>",
        "<default-operation>perhaps</default-operation>",
    ] {
        assert!(
            ask(&mut session, &edit(wrong, valid)).contains("<error-tag>invalid-value</error-tag>"),
            "{wrong}"
        );
    }
}

/// S5, RFC 6022 section 2.1.2: locks are among what can be looked at.
#[test]
fn locks_can_be_looked_at() {
    let device = device(Emulator::builder().profile(Profile::Rfc));
    let (mut holder, mut other) = (login(&device, "a"), login(&device, "b"));
    ok(&mut holder, LOCK);
    let filter = "<get><filter type=\"subtree\"><netconf-state><datastores/></netconf-state></filter></get>";
    let pid = holder.caller.session;
    assert!(ask(&mut other, filter).contains(&format!(
        "<datastores><datastore><name>candidate</name><locks><global-lock><locked-by-session>{pid}</locked-by-session>\
         <locked-time>2026-01-15T12:00:00Z</locked-time></global-lock></locks></datastore><datastore>\
         <name>running</name></datastore><datastore><name>startup</name></datastore></datastores>"
    )));
}
