//! Commits of every kind, and what goes wrong with them.

use super::super::super::faults::Rule;
use super::super::super::when;
use super::*;

/// S27: what a commit says: the member, the revisions, warnings; the history has comment, user and client.
#[test]
fn commits_are_reported_and_kept() {
    let device = device(
        Emulator::builder()
            .member("re0")
            .member("re1")
            .commit_warning("requires 'bgp' license"),
    );
    let mut session = login(&device, "ops");
    ok(&mut session, &set("set snmp contact x"));
    let warning = "<rpc-error><error-severity>warning</error-severity><error-message>requires 'bgp' license</error-message></rpc-error>";
    assert_eq!(
        ask(
            &mut session,
            "<commit-configuration><check/></commit-configuration>"
        ),
        format!(
            "<commit-results><routing-engine junos:style=\"show-name\"><name>re0</name>{warning}<commit-check-success/>\
             </routing-engine></commit-results><ok/>"
        )
    );
    assert_eq!(device.history().len(), 1);
    let member = |name: &str, warning: &str| {
        format!(
            "<routing-engine junos:style=\"show-name\"><name>{name}</name>{warning}<commit-success/>\
             <commit-revision-information><new-db-revision>{name}-1768478400-1</new-db-revision>\
             <old-db-revision>{name}-1768392000-0</old-db-revision></commit-revision-information></routing-engine>"
        )
    };
    assert_eq!(
        ask(
            &mut session,
            "<commit-configuration><synchronize/><log>why</log></commit-configuration>"
        ),
        format!(
            "<commit-results>{}{}</commit-results><ok/>",
            member("re0", warning),
            member("re1", "")
        )
    );
    let newest = device.running();
    assert_eq!(
        (
            newest.user.as_str(),
            newest.client.as_str(),
            newest.log.as_deref()
        ),
        ("ops", "netconf", Some("why"))
    );
    assert!(
        ask(
            &mut session,
            "<commit-configuration><nonsense/></commit-configuration>"
        )
        .contains("<bad-element>nonsense</bad-element>")
    );
}

/// M1, S27: members fail one by one; what is left open by a cluster is no XML.
#[test]
fn members_can_fail_and_be_left_open() {
    let failing = device(
        Emulator::builder()
            .member("node0")
            .failing_member("node1", "connection lost"),
    );
    let mut session = login(&failing, "a");
    ok(&mut session, &set("set snmp contact x"));
    let reply = ask(&mut session, COMMIT);
    assert!(reply.contains("<name>node0</name><commit-success/>"), "{reply}");
    assert!(reply.contains("<name>node1</name><rpc-error>"), "{reply}");
    assert!(reply.ends_with("</commit-results>"), "{reply}");
    assert_eq!(
        leaf(&failing, Database::Committed, &["snmp", "contact"]).as_deref(),
        Some("x")
    );
    let open = device(
        Emulator::builder()
            .member("node0")
            .member("node1")
            .leaves_members_unclosed(),
    );
    let reply = ask(
        &mut login(&open, "a"),
        "<commit-configuration><check/></commit-configuration>",
    );
    assert_eq!(reply.matches("<routing-engine").count(), 2);
    assert!(!reply.contains("</routing-engine>"));
    assert!(reply.ends_with("<commit-check-success/><ok/>"), "{reply}");
}

/// S27: a commit that fails keeps every error in order, and changes nothing.
#[test]
fn a_failed_commit_tells_everything() {
    let device = device(Emulator::builder());
    let mut session = login(&device, "a");
    ok(
        &mut session,
        &set("set system login user bob uid 7\nset protocols bgp group g export gone"),
    );
    let reply = ask(&mut session, COMMIT);
    let at = |text: &str| {
        reply
            .find(text)
            .unwrap_or_else(|| panic!("{text} is not in {reply}"))
    };
    assert!(
        at("<error-path>[edit system login]</error-path>")
            < at("<error-message>Missing mandatory statement: 'class'")
    );
    assert!(at("'class'") < at("Policy error: Policy gone referenced but not defined"));
    assert!(at("<source-daemon>rpd</source-daemon>") < at("Policy gone"));
    assert!(at("Policy gone") < at("configuration check-out failed: (missing mandatory statements)"));
    assert!(!reply.contains("<ok/>"));
    assert_eq!(device.history().len(), 1);
    assert!(device.is_modified());
}

/// S27: a scheduled commit waits, is told, refuses others, is made in time, and can be cleared.
#[test]
fn scheduled_commits_wait_for_their_time() {
    let clock = clock();
    let device = device(Emulator::builder().clock(clock.clone()));
    let mut session = login(&device, "a");
    let at = when::date_time(device.now() + 3_600);
    let at = at.trim_end_matches(" UTC");
    let schedule = format!("<commit-configuration><at-time>{at}</at-time></commit-configuration>");
    ok(&mut session, &set("set snmp contact later"));
    let reply = ask(&mut session, &schedule);
    assert!(
        reply.contains(&format!(
            "<commit-check-success/><output>commit at will be executed at {at} UTC</output>"
        )),
        "{reply}"
    );
    let history = ask(&mut session, "<get-commit-information/>");
    assert!(
        history.contains(&format!(
            "<output>commit requested by a via netconf at {at} UTC</output>"
        )),
        "{history}"
    );
    assert!(ask(&mut session, COMMIT).contains("is scheduled at"));
    assert!(ask(&mut session, "<clear-system-commit/>").contains("Pending commit cleared."));
    assert!(ask(&mut session, "<clear-system-commit/>").contains("No commit scheduled."));
    ask(&mut session, &schedule);
    assert_eq!(leaf(&device, Database::Committed, &["snmp", "contact"]), None);
    clock.jump_wall(time::Duration::seconds(3_601));
    assert_eq!(
        leaf(&device, Database::Committed, &["snmp", "contact"]).as_deref(),
        Some("later")
    );
    for wrong in ["2001-01-01 00:00", "noon"] {
        let rpc = format!("<commit-configuration><at-time>{wrong}</at-time></commit-configuration>");
        assert!(
            ask(&mut session, &rpc).contains("<bad-element>at-time</bad-element>"),
            "{wrong}"
        );
    }
}

/// S14: the rescue configuration is saved, loaded and deleted.
#[test]
fn the_rescue_configuration_comes_and_goes() {
    let device = device(Emulator::builder().configuration("set snmp contact kept"));
    let mut session = login(&device, "a");
    assert!(ask(&mut session, "<request-save-rescue-configuration/>").contains("<success/>"));
    ok(&mut session, &set("delete snmp"));
    ok(&mut session, "<load-configuration rescue=\"rescue\"/>");
    assert!(!device.is_modified());
    assert!(ask(&mut session, "<request-delete-rescue-configuration/>").contains("<success/>"));
    assert!(device.tree(Database::Rescue).is_none());
}

/// Every failure point of a change can be scripted: refused, lost before or after it was done, or only pretended.
#[test]
fn faults_strike_writes_as_they_say() {
    let refusal = Fault::Errors(vec![DeviceError::new("no")]);
    for (fault, done) in [
        (refusal, false),
        (Fault::Pretend, false),
        (Fault::DropBeforeOperation, false),
        (Fault::DropBeforeReply, true),
        (Fault::NeverReply, true),
    ] {
        let device = device(Emulator::builder());
        device
            .faults
            .add(Rule::on("commit-configuration", fault.clone()).after(1).once());
        let mut session = login(&device, "a");
        ok(&mut session, &set("set snmp contact x"));
        ask(
            &mut session,
            "<commit-configuration><check/></commit-configuration>",
        );
        let steps = session.message(format!("<rpc message-id=\"1\">{COMMIT}</rpc>").as_bytes());
        let committed = leaf(&device, Database::Committed, &["snmp", "contact"]).is_some();
        assert_eq!(committed, done, "{fault:?}");
        match fault {
            Fault::DropBeforeOperation | Fault::DropBeforeReply => assert!(matches!(steps[..], [Step::Drop])),
            Fault::NeverReply => assert!(steps.is_empty()),
            _ => assert!(matches!(steps[..], [Step::Message(_)])),
        }
    }
}

/// A device whose commits drop what was validated, and say that all is well.
#[test]
fn a_validated_commit_may_do_nothing() {
    let device = device(Emulator::builder().validate_loses_edits());
    let mut session = login(&device, "a");
    let validate = "<validate><source><candidate/></source></validate>";
    ok(&mut session, &set("set snmp contact x"));
    ok(&mut session, validate);
    assert!(!ask(&mut session, "<commit/>").contains("rpc-error"));
    assert_eq!(leaf(&device, Database::Committed, &["snmp", "contact"]), None);
    assert!(!device.is_modified());
    ok(&mut session, &set("set snmp contact x"));
    ask(&mut session, "<commit/>");
    assert_eq!(
        leaf(&device, Database::Committed, &["snmp", "contact"]).as_deref(),
        Some("x")
    );
}

/// S24: where private copies want a clean shared candidate, leftovers are in their way.
#[test]
fn private_copies_may_want_a_clean_candidate() {
    let device = device(
        Emulator::builder()
            .refuses_private_copies_beside_changes()
            .uncommitted("noc", "set snmp location theirs"),
    );
    let mut session = login(&device, "a");
    let open = "<open-configuration><private/></open-configuration>";
    assert!(
        ask(&mut session, open)
            .contains("<error-message>shared configuration database modified</error-message>")
    );
    ok(&mut session, "<discard-changes/>");
    ok(&mut session, open);
}
