//! The RPCs of each mode and dialect, byte for byte.

mod edits;

use super::*;
use crate::netconf::capability::Capability;
use crate::pool::Hold;
use crate::service::edit::commit::marker;
use crate::service::edit::request::{Action, CommitOptions, Protocol};

const OLD_JUNOS: &[&str] = &[
    "urn:ietf:params:xml:ns:netconf:base:1.0",
    "urn:ietf:params:xml:ns:netconf:capability:candidate:1.0",
    "urn:ietf:params:xml:ns:netconf:capability:validate:1.0",
    "urn:ietf:params:xml:ns:netconf:capability:url:1.0?protocol=http,ftp,file",
    "http://xml.juniper.net/netconf/junos/1.0",
];

fn junos() -> Capabilities {
    Capabilities::new(OLD_JUNOS)
}

fn rfc(more: &[Capability]) -> Capabilities {
    let mut uris = vec![Capability::Base11.uri().to_owned()];
    uris.extend(more.iter().map(|capability| capability.uri().to_owned()));
    uris.push("urn:example:system?module=sys&revision=2026-01-01".to_owned());
    Capabilities::new(uris)
}

fn json(text: &str) -> Edit {
    Edit::new(EditFormat::Json, EditBody::Config(text.to_owned()))
}

fn set(text: &str) -> Edit {
    Edit::new(EditFormat::Set, EditBody::Config(text.to_owned()))
}

fn of(edits: Vec<Edit>) -> ChangeRequest {
    ChangeRequest {
        edits,
        ..ChangeRequest::default()
    }
}

fn script(capabilities: &Capabilities, request: &ChangeRequest) -> Result<Script, Error> {
    let ground = Ground::new(
        capabilities,
        mode_of(capabilities, request),
        request.instance.as_deref(),
    )?;
    let urls = UrlPolicy::new(&["ftp://192.0.2.1"]).expect("a list");
    change(ground, capabilities, &urls, request, &marker("01J", "alice"))
}

/// Each step as `name XML`.
fn lines(capabilities: &Capabilities, request: &ChangeRequest) -> Vec<String> {
    let script = script(capabilities, request).expect("a change that can be made");
    let line = |step: &Step| format!("{} {}", step.name.as_str(), step.rpc.body.as_str());
    script.steps.iter().chain(&script.ending).map(line).collect()
}

/// The pointer of what is refused.
fn refused(capabilities: &Capabilities, request: &ChangeRequest) -> (ErrorCode, String) {
    let error = script(capabilities, request).expect_err("it cannot be made");
    let pointer = error.fields().first().map(|field| field.pointer.clone());
    (error.code(), pointer.unwrap_or_default())
}

/// E2: who has committed what.
const HISTORY: &str = "check <get-commit-information/>";
const COMPARE: &str =
    "diff <get-configuration database=\"candidate\" compare=\"rollback\" rollback=\"0\" format=\"text\"/>";

/// S21, S31, E3: the nine steps on Junos.
#[test]
fn exclusive_change_on_junos() {
    let mut request = of(vec![
        json("{\"system\":{\"host-name\":\"mx1\"}}"),
        set("delete snmp"),
    ]);
    request.commit.comment = Some("new name".to_owned());
    assert_eq!(
        lines(&junos(), &request),
        [
            "lock <lock><target><candidate/></target></lock>",
            HISTORY,
            "edit <load-configuration format=\"xml\"><configuration><system><host-name>mx1</host-name></system>\
             </configuration></load-configuration>",
            "edit <load-configuration action=\"set\" format=\"text\"><configuration-set>delete snmp</configuration-set>\
             </load-configuration>",
            "validate <commit-configuration><check/></commit-configuration>",
            COMPARE,
            "commit <commit-configuration><log>new name [ncgate 01J alice]</log></commit-configuration>",
            "unlock <unlock><target><candidate/></target></unlock>",
        ]
    );
}

/// S21: where only the Junos XML protocol is offered.
#[test]
fn exclusive_change_without_candidate_capability() {
    let capabilities = Capabilities::new(["http://xml.juniper.net/netconf/junos/1.0"]);
    let lines = lines(&capabilities, &of(vec![set("delete snmp")]));
    assert_eq!(
        lines.first().map(String::as_str),
        Some("lock <lock-configuration/>")
    );
    assert_eq!(
        lines.last().map(String::as_str),
        Some("unlock <unlock-configuration/>")
    );
}

/// S24, S27: a private copy; every option of the commit.
#[test]
fn private_change_on_junos() {
    let mut request = of(vec![set("delete snmp")]);
    request.mode = Some(Mode::Private);
    request.validate = false;
    request.commit = CommitOptions {
        at: Some("23:15".to_owned()),
        synchronize: true,
        full: true,
        ..CommitOptions::default()
    };
    assert_eq!(
        lines(&junos(), &request)[..],
        [
            "open <open-configuration><private/></open-configuration>",
            "edit <load-configuration action=\"set\" format=\"text\"><configuration-set>delete snmp</configuration-set>\
             </load-configuration>",
            HISTORY,
            COMPARE,
            "commit <commit-configuration><synchronize/><at-time>23:15</at-time><full/><log>[ncgate 01J alice]</log>\
             </commit-configuration>",
            "close <close-configuration/>",
        ]
    );
}

/// S25, E5: an instance has no log, no check and no comparison, and the answer says what that means.
#[test]
fn ephemeral_change_on_junos() {
    let mut request = of(vec![json("{\"system\":{\"host-name\":\"mx1\"}}")]);
    request.mode = Some(Mode::Ephemeral);
    request.instance = Some("eph0".to_owned());
    request.commit.synchronize = true;
    assert_eq!(
        lines(&junos(), &request),
        [
            "open <open-configuration><ephemeral-instance>eph0</ephemeral-instance></open-configuration>",
            "check <get-configuration database=\"candidate\"/>",
            "edit <load-configuration format=\"xml\"><configuration><system><host-name>mx1</host-name></system>\
             </configuration></load-configuration>",
            "check <get-configuration database=\"candidate\"/>",
            "commit <commit-configuration><synchronize/></commit-configuration>",
            "close <close-configuration/>",
        ]
    );
    assert_eq!(
        script(&junos(), &request).expect("it can be made").warnings.len(),
        2
    );
    request.commit.comment = Some("x".to_owned());
    assert_eq!(
        refused(&junos(), &request),
        (ErrorCode::InvalidArgument, "/commit/comment".into())
    );
    request.commit = CommitOptions::default();
    request.edits = vec![Edit::new(EditFormat::Json, EditBody::Rollback(1))];
    assert_eq!(
        refused(&junos(), &request),
        (ErrorCode::InvalidArgument, "/edits/0/rollback".into())
    );
}

/// S20: no lock, a warning, no promise to undo; no dry run.
#[test]
fn shared_change_on_junos() {
    let mut request = of(vec![set("delete snmp")]);
    request.mode = Some(Mode::Shared);
    let made = script(&junos(), &request).expect("it can be made");
    let names: Vec<_> = made.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["edit", "check", "validate", "diff", "commit"]);
    assert!(!made.undo_guaranteed && made.warnings.len() == 1);
    request.dry_run = true;
    assert_eq!(
        refused(&junos(), &request),
        (ErrorCode::CapabilityMissing, "/dry_run".into())
    );
}

/// Design section 6: a dry run on Junos never touches the shared candidate.
#[test]
fn dry_run_on_junos_is_private() {
    let mut request = of(vec![set("delete snmp")]);
    request.dry_run = true;
    let names = |request: &ChangeRequest| -> Vec<_> {
        let made = script(&junos(), request).expect("it can be made");
        let all = made.steps.iter().chain(&made.ending);
        all.map(|step| step.name.as_str()).collect()
    };
    assert_eq!(
        names(&request),
        ["open", "edit", "check", "validate", "diff", "close"]
    );
    request.mode = Some(Mode::Exclusive);
    assert_eq!(
        names(&request),
        ["lock", "check", "edit", "validate", "diff", "discard", "unlock"]
    );
}

/// S31, L4, E7: running is locked first and given back last; the difference is made of two reads; startup is saved.
#[test]
fn exclusive_change_on_an_rfc_server() {
    let capabilities = rfc(&[
        Capability::Candidate,
        Capability::WritableRunning,
        Capability::Validate11,
        Capability::Startup,
    ]);
    let request = of(vec![json("{\"sys:system\":{\"name\":\"r1\"}}")]);
    assert_eq!(
        lines(&capabilities, &request),
        [
            "lock <lock><target><running/></target></lock>",
            "lock <lock><target><candidate/></target></lock>",
            "check <get-config><source><running/></source></get-config>",
            "check <get-config><source><candidate/></source></get-config>",
            "edit <edit-config><target><candidate/></target><default-operation>merge</default-operation>\
             <config><system xmlns=\"urn:example:system\"><name>r1</name></system></config></edit-config>",
            "validate <validate><source><candidate/></source></validate>",
            "diff <get-config><source><candidate/></source></get-config>",
            "commit <commit/>",
            "verify <get-config><source><running/></source></get-config>",
            "save <copy-config><target><startup/></target><source><running/></source></copy-config>",
            "unlock <unlock><target><candidate/></target></unlock>",
            "unlock <unlock><target><running/></target></unlock>",
        ]
    );
    let mut quirky = Ground::new(&capabilities, Mode::Exclusive, None).expect("a ground");
    quirky.skip_validate = true;
    quirky.verify = Verify::Whole;
    let made = change(quirky, &capabilities, &UrlPolicy::default(), &request, "m").expect("it can be made");
    let all = made.steps[5..].iter().chain(&made.ending);
    let names: Vec<_> = all.map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["diff", "commit", "verify", "save", "unlock", "unlock"]);
}

/// Design section 6: without a candidate an edit acts at once; only one that rolls itself back can be undone.
#[test]
fn change_of_running_alone() {
    let capabilities = rfc(&[Capability::WritableRunning, Capability::RollbackOnError]);
    let edit = json("{\"sys:system\":{\"name\":\"r1\"}}");
    let request = of(vec![edit.clone()]);
    assert_eq!(
        lines(&capabilities, &request),
        [
            "lock <lock><target><running/></target></lock>",
            "check <get-config><source><running/></source></get-config>",
            "edit <edit-config><target><running/></target><default-operation>merge</default-operation>\
             <error-option>rollback-on-error</error-option><config><system xmlns=\"urn:example:system\">\
             <name>r1</name></system></config></edit-config>",
            "diff <get-config><source><running/></source></get-config>",
            "unlock <unlock><target><running/></target></unlock>",
        ]
    );
    assert!(
        script(&capabilities, &request)
            .expect("it can be made")
            .undo_guaranteed
    );
    let two = of(vec![edit.clone(), edit]);
    assert!(
        !script(&capabilities, &two)
            .expect("it can be made")
            .undo_guaranteed
    );
    let dry = ChangeRequest {
        dry_run: true,
        ..request
    };
    assert_eq!(
        refused(&capabilities, &dry),
        (ErrorCode::CapabilityMissing, "/dry_run".into())
    );
    let neither = rfc(&[]);
    assert_eq!(refused(&neither, &dry).0, ErrorCode::CapabilityMissing);
}

/// S7: what only Junos has is refused elsewhere, by name.
#[test]
fn what_a_device_lacks_is_refused() {
    let capabilities = rfc(&[Capability::Candidate]);
    let refused = |change: &dyn Fn(&mut ChangeRequest)| {
        let mut request = of(vec![json("{\"sys:system\":{\"name\":\"r1\"}}")]);
        change(&mut request);
        refused(&capabilities, &request).0
    };
    assert_eq!(
        refused(&|r| r.mode = Some(Mode::Private)),
        ErrorCode::CapabilityMissing
    );
    assert_eq!(
        refused(&|r| r.edits[0] = set("delete x")),
        ErrorCode::CapabilityMissing
    );
    assert_eq!(
        refused(&|r| r.edits[0].body = EditBody::Rescue),
        ErrorCode::CapabilityMissing
    );
    assert_eq!(
        refused(&|r| {
            r.edits[0].action = Some(Action::Update);
            r.edits[0].whole_configuration = true;
        }),
        ErrorCode::CapabilityMissing
    );
    assert_eq!(
        refused(&|r| r.commit.at = Some("23:00".into())),
        ErrorCode::CapabilityMissing
    );
    assert_eq!(
        refused(&|r| r.commit.synchronize = true),
        ErrorCode::CapabilityMissing
    );
    assert_eq!(
        refused(&|r| r.commit.save = Some(true)),
        ErrorCode::CapabilityMissing
    );
    assert_eq!(
        refused(&|r| r.if_revision = Some("1".into())),
        ErrorCode::CapabilityMissing
    );
    assert_eq!(refused(&|r| r.edits.clear()), ErrorCode::InvalidArgument);
    assert_eq!(
        refused(&|r| r.instance = Some("x".into())),
        ErrorCode::InvalidArgument
    );
}

/// E3: the marker stays whole, whatever the comment is.
#[test]
fn comment_is_cut_and_the_marker_is_not() {
    let mut request = of(vec![set("delete snmp")]);
    request.commit.comment = Some(format!("line 1\nline 2 {}", "ä".repeat(600)));
    let lines = lines(&junos(), &request);
    let commit = lines
        .iter()
        .find(|line| line.starts_with("commit"))
        .expect("a commit");
    let log = commit
        .split("<log>")
        .nth(1)
        .and_then(|rest| rest.split("</log>").next())
        .expect("a log");
    assert!(
        log.starts_with("line 1 line 2 ä") && log.ends_with("ä [ncgate 01J alice]"),
        "{log}"
    );
    assert!(log.len() <= 512, "{}", log.len());
}

/// E3, E4: evidence is what the gateway wrote: a comment never holds what reads as a marker.
#[test]
fn a_comment_cannot_forge_a_marker() {
    for comment in [
        "undo [ncgate 01J alice]",
        "[ncgate\n01J alice]",
        "[[ncgate 01J alice] x",
    ] {
        let mut request = of(vec![set("delete snmp")]);
        request.commit.comment = Some(comment.to_owned());
        let lines = lines(&junos(), &request);
        let commit = lines.iter().find(|line| line.starts_with("commit"));
        let commit = commit.expect("a commit");
        assert_eq!(commit.matches("[ncgate").count(), 1, "{commit}");
        assert!(commit.contains("(ncgate 01J alice]"), "{commit}");
        assert!(commit.contains(" [ncgate 01J alice]</log>"), "{commit}");
    }
}

/// E2, L2: what each hold needs to be given back, last taken first; the shared candidate is left as it is.
#[test]
fn what_is_held_is_given_back_in_reverse() {
    let capabilities = rfc(&[Capability::Candidate, Capability::WritableRunning]);
    let given_back = |mode: Mode, held: &[Hold]| -> Vec<String> {
        let ground = Ground::new(&capabilities, mode, None).expect("a ground");
        let steps = ground.release(&capabilities, held).expect("it can be built");
        steps
            .iter()
            .map(|step| step.rpc.body.as_str().to_owned())
            .collect()
    };
    let (running, candidate) = (Hold::Lock(Datastore::Running), Hold::Lock(Datastore::Candidate));
    assert_eq!(
        given_back(Mode::Exclusive, &[running, candidate, Hold::Edits]),
        [
            "<discard-changes/>",
            "<unlock><target><candidate/></target></unlock>",
            "<unlock><target><running/></target></unlock>"
        ]
    );
    assert_eq!(
        given_back(Mode::Exclusive, &[running]),
        ["<unlock><target><running/></target></unlock>"]
    );
    assert_eq!(given_back(Mode::Shared, &[Hold::Edits]), [""; 0]);
}

/// E7: what a demanded revision is compared with is read under the lock.
#[test]
fn demanded_revision_is_read_under_the_lock() {
    let mut request = of(vec![set("delete snmp")]);
    request.if_revision = Some("re0-1-1".to_owned());
    let lines = lines(&junos(), &request);
    assert_eq!(
        lines[..2],
        [
            "lock <lock><target><candidate/></target></lock>",
            "check <get-commit-information><include-configuration-revision/></get-commit-information>",
        ]
    );
}

/// `quirks.verify_after_commit`: candidate before and running after a commit, where both must be the same.
#[test]
fn verified_change_reads_running_after_the_commit() {
    let made = |mode: Mode, at: Option<&str>| -> Vec<String> {
        let capabilities = junos();
        let mut ground = Ground::new(&capabilities, mode, None).expect("a ground");
        ground.verify = Verify::Whole;
        ground.skip_validate = true;
        let mut request = of(vec![set("delete snmp")]);
        request.commit.at = at.map(str::to_owned);
        let made =
            change(ground, &capabilities, &UrlPolicy::default(), &request, "m").expect("it can be made");
        made.plan().split_off(3)
    };
    let compare = COMPARE.strip_prefix("diff ").expect("a step").to_owned();
    let unlock = "<unlock><target><candidate/></target></unlock>".to_owned();
    assert_eq!(
        made(Mode::Exclusive, None),
        [
            compare.clone(),
            "<get-config><source><running/></source></get-config>".to_owned(),
            "<get-config><source><candidate/></source></get-config>".to_owned(),
            "<commit-configuration><log>m</log></commit-configuration>".to_owned(),
            "<get-config><source><running/></source></get-config>".to_owned(),
            unlock.clone(),
        ]
    );
    let later =
        "<commit-configuration><at-time>23:15</at-time><log>m</log></commit-configuration>".to_owned();
    assert_eq!(
        made(Mode::Exclusive, Some("23:15")),
        [compare.clone(), later, unlock]
    );
    // What a private copy becomes in running depends on what others committed meanwhile.
    assert_eq!(
        made(Mode::Private, None),
        [
            compare,
            "<commit-configuration><log>m</log></commit-configuration>".to_owned(),
            "<close-configuration/>".to_owned(),
        ]
    );
}

/// L2: taking edits back while going on to hold what is held, by mode.
#[test]
fn discarding_depends_on_what_is_edited() {
    let discards = |capabilities: &Capabilities, mode: Mode| -> Vec<(String, Touch)> {
        let ground = Ground::new(capabilities, mode, None).expect("a ground");
        let steps = ground.discard(capabilities).expect("it can be built");
        steps
            .into_iter()
            .map(|step| (step.rpc.body.as_str().to_owned(), step.touch))
            .collect()
    };
    let edits = Touch::Releases(Hold::Edits);
    let owned = |xml: &str, touch: Touch| (xml.to_owned(), touch);
    assert_eq!(
        discards(&junos(), Mode::Exclusive),
        [owned("<discard-changes/>", edits)]
    );
    assert_eq!(
        discards(&junos(), Mode::Private),
        [owned("<load-configuration rollback=\"0\"/>", edits)]
    );
    assert_eq!(
        discards(&junos(), Mode::Ephemeral),
        [
            owned("<close-configuration/>", Touch::Releases(Hold::Ephemeral)),
            owned(
                "<open-configuration><ephemeral/></open-configuration>",
                Touch::Acquires(Hold::Ephemeral)
            ),
        ]
    );
    let old = Capabilities::new(["http://xml.juniper.net/netconf/junos/1.0"]);
    assert_eq!(
        discards(&old, Mode::Exclusive),
        [owned("<load-configuration rollback=\"0\"/>", edits)]
    );
    let running = rfc(&[Capability::WritableRunning]);
    assert_eq!(discards(&running, Mode::Exclusive), []);
}

/// Q2: each step books what it does to its session; an edit of running stays nowhere.
#[test]
fn steps_say_what_they_do_to_their_session() {
    let touches = |capabilities: &Capabilities, request: &ChangeRequest| -> Vec<Touch> {
        let made = script(capabilities, request).expect("it can be made");
        let all = made.steps.iter().chain(&made.ending);
        all.map(|step| step.touch).collect()
    };
    let candidate = Hold::Lock(Datastore::Candidate);
    assert_eq!(
        touches(&junos(), &of(vec![set("delete snmp")])),
        [
            Touch::Acquires(candidate),
            Touch::Nothing,
            Touch::Edits,
            Touch::Nothing,
            Touch::Nothing,
            Touch::Releases(Hold::Edits),
            Touch::Releases(candidate),
        ]
    );
    let running = Hold::Lock(Datastore::Running);
    let edit = json("{\"sys:system\":{\"name\":\"r1\"}}");
    assert_eq!(
        touches(&rfc(&[Capability::WritableRunning]), &of(vec![edit])),
        [
            Touch::Acquires(running),
            Touch::Nothing,
            Touch::Applies,
            Touch::Nothing,
            Touch::Releases(running),
        ]
    );
}

/// E6: a scheduled commit is called off.
#[test]
fn scheduled_commit_is_cleared() {
    let step = crate::service::edit::ground::clear_scheduled(&junos()).expect("it can be built");
    assert_eq!(step.rpc.body.as_str(), "<clear-system-commit/>");
    assert!(crate::service::edit::ground::clear_scheduled(&rfc(&[])).is_err());
}
