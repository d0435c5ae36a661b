use super::super::builder::Builder;
use super::super::faults::Rule;
use super::super::profile::Profile;
use super::super::server::Emulator;
use super::*;

const CLIENT_HELLO: &str = "<hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><capabilities>\
    <capability>urn:ietf:params:netconf:base:1.0</capability>\
    <capability>urn:ietf:params:netconf:base:1.1</capability></capabilities></hello>";

fn record() -> SessionRecord {
    SessionRecord {
        user: "admin".into(),
        from: "192.0.2.7".into(),
        terminal: Some("pts/0".into()),
        since: 0,
    }
}

/// A session that has not begun.
fn fresh(builder: Builder) -> Session {
    Session::new(builder.build().unwrap().device().clone(), record())
}

/// A session after both hellos.
fn opened(builder: Builder) -> Session {
    let mut session = fresh(builder);
    session.open();
    session.message(CLIENT_HELLO.as_bytes());
    session
}

fn configured() -> Builder {
    Emulator::builder()
        .configuration("set interfaces ge-0/0/0 unit 0 family inet address 198.51.100.0/31\nset interfaces ge-0/0/1 disable")
        .configuration("set system domain-name example.net")
}

fn text(step: &Step) -> String {
    match step {
        Step::Message(Outgoing {
            body: Body::Whole(bytes),
            ..
        }) => String::from_utf8(bytes.clone()).unwrap(),
        other => panic!("no whole message: {other:?}"),
    }
}

/// The one message that answers `rpc`, without line feeds.
fn ask(session: &mut Session, inside: &str) -> String {
    let steps = session.message(format!("<rpc message-id=\"1\">{inside}</rpc>").as_bytes());
    assert_eq!(steps.len(), 1, "{steps:?}");
    text(&steps[0]).replace('\n', "")
}

/// What stands inside the reply to `rpc`.
fn inside(session: &mut Session, rpc: &str) -> String {
    let reply = ask(session, rpc);
    let start = reply.find('>').unwrap() + 1;
    reply[start..]
        .trim_end_matches("</rpc-reply>")
        .trim_end_matches("</nc:rpc-reply>")
        .to_owned()
}

/// S4, S5: comments, the capabilities, a session-id that looks like a process id and is another for every session.
#[test]
fn the_hello_has_comments_capabilities_and_a_session_id() {
    let emulator = Emulator::builder().build().unwrap();
    let mut first = Session::new(emulator.device().clone(), record());
    let mut second = Session::new(emulator.device().clone(), record());
    let hello = text(&first.open()[0]);
    assert!(hello.starts_with("<!-- No zombies were killed"), "{hello}");
    assert!(
        hello.contains("<!-- user admin, class j-super-user -->"),
        "{hello}"
    );
    let element = parse(hello.as_bytes()).unwrap();
    assert_eq!(element.ns.as_deref(), Some(NETCONF_BASE_NS));
    assert_eq!(element.child("capabilities").unwrap().children().count(), 12);
    let id = |hello: &Element| hello.child("session-id").unwrap().text().parse::<u32>().unwrap();
    let other = parse(text(&second.open()[0]).as_bytes()).unwrap();
    assert!(id(&element) > 1000);
    assert_ne!(id(&element), id(&other));
}

/// S6: chunks only where both hellos have base:1.1.
#[test]
fn framing_follows_from_both_hellos() {
    let steps = |profile, hello: &str| {
        let mut session = fresh(Emulator::builder().profile(profile));
        session.open();
        session.message(hello.as_bytes())
    };
    let old = CLIENT_HELLO.replace("<capability>urn:ietf:params:netconf:base:1.1</capability>", "");
    assert!(steps(Profile::Junos, CLIENT_HELLO).is_empty());
    assert!(matches!(
        steps(Profile::JunosRfc11, CLIENT_HELLO)[..],
        [Step::Framing(Framing::Chunked)]
    ));
    assert!(steps(Profile::JunosRfc11, &old).is_empty());
    // No common version, a session-id from the client, no hello at all: the session ends.
    for wrong in [
        CLIENT_HELLO.replace("base:1.", "base:2."),
        CLIENT_HELLO.replace("</hello>", "<session-id>4</session-id></hello>"),
        "<rpc message-id=\"1\"><get/></rpc>".to_owned(),
        "hello".to_owned(),
    ] {
        assert!(
            matches!(steps(Profile::Junos, &wrong)[..], [Step::Close]),
            "{wrong}"
        );
    }
}

/// S8: every attribute of the request comes back, prefixed ones with their namespace.
#[test]
fn attributes_of_the_request_come_back() {
    let mut session = opened(Emulator::builder());
    let rpc = "<rpc message-id=\"a&quot;7\" token=\"x &amp; y\" xmlns:p=\"urn:p\" p:seen=\"1\"><get-software-information/></rpc>";
    let reply = text(&session.message(rpc.as_bytes())[0]);
    let root = parse(reply.as_bytes()).unwrap();
    assert_eq!(root.attribute("message-id"), Some("a\"7"));
    assert_eq!(root.attribute("token"), Some("x & y"));
    let seen = root
        .attributes
        .iter()
        .find(|attribute| attribute.local == "seen")
        .unwrap();
    assert_eq!((seen.ns.as_deref(), seen.value.as_str()), (Some("urn:p"), "1"));
    assert!(
        reply.contains("xmlns:junos=\"http://xml.juniper.net/junos/21.4R3-S5/junos\""),
        "{reply}"
    );
}

/// S10: XML by default, text in `<output>`, JSON bare between the tags.
#[test]
fn one_request_in_three_formats() {
    let mut session = opened(Emulator::builder());
    let xml = inside(
        &mut session,
        "<get-software-information><brief/></get-software-information>",
    );
    assert_eq!(
        xml,
        "<software-information><host-name>mx1</host-name><product-model>mx240</product-model>\
         <product-name>mx240</product-name><junos-version>21.4R3-S5.4</junos-version></software-information>"
    );
    let plain = inside(
        &mut session,
        "<get-software-information format=\"text\"><brief/></get-software-information>",
    );
    assert_eq!(
        plain,
        "<output>Hostname: mx1Model: mx240Junos: 21.4R3-S5.4</output>"
    );
    let json = inside(
        &mut session,
        "<get-software-information format=\"json\"><brief/></get-software-information>",
    );
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["software-information"][0]["host-name"][0]["data"], "mx1");
}

/// S10: flags and arguments of a request; values of the short form stand between line feeds.
#[test]
fn interfaces_can_be_asked_for_by_name_and_in_short() {
    let mut session = opened(configured());
    let short = "<get-interface-information><interface-name>ge-0/0/1</interface-name><terse/></get-interface-information>";
    let steps = session.message(format!("<rpc message-id=\"1\">{short}</rpc>").as_bytes());
    assert!(text(&steps[0]).contains("<name>\nge-0/0/1\n</name>\n<admin-status>\ndown\n</admin-status>"));
    let all = inside(&mut session, "<get-interface-information/>");
    for name in ["fxp0", "ge-0/0/0", "ge-0/0/0.0", "ge-0/0/3", "lo0"] {
        assert!(all.contains(&format!("<name>{name}</name>")), "{name}: {all}");
    }
    assert!(all.contains("<ifa-local>198.51.100.0</ifa-local>"), "{all}");
    let absent =
        "<get-interface-information><interface-name>xe-9/9/9</interface-name></get-interface-information>";
    assert!(inside(&mut session, absent).contains("device xe-9/9/9 not found"));
    let unknown = "<get-interface-information><colour/></get-interface-information>";
    assert!(inside(&mut session, unknown).contains("<bad-element>colour</bad-element>"));
}

/// S10: commands, with what stands behind the pipe; a banner beside the payload.
#[test]
fn commands_are_answered_as_the_cli_would() {
    let mut session = opened(configured());
    let terse = inside(
        &mut session,
        "<command format=\"text\">show interfaces ge-0/0/0 terse</command>",
    );
    assert!(terse.starts_with("<output>Interface"), "{terse}");
    assert!(
        terse.contains("ge-0/0/0.0              up    up   inet     198.51.100.0/31"),
        "{terse}"
    );
    assert!(
        terse.ends_with("</output><cli><banner></banner></cli>"),
        "{terse}"
    );
    assert_eq!(
        inside(
            &mut session,
            "<command>show interfaces terse | display xml rpc</command>"
        ),
        "<rpc><get-interface-information><terse/></get-interface-information></rpc><cli><banner></banner></cli>"
    );
    let set = inside(
        &mut session,
        "<command format=\"text\">show configuration system | display set</command>",
    );
    assert!(
        set.contains("set system host-name mx1set system domain-name example.net"),
        "{set}"
    );
    let version = inside(
        &mut session,
        "<command format=\"text\">show version | match Junos:</command>",
    );
    assert!(
        version.contains("<output>Junos: 21.4R3-S5.4</output>"),
        "{version}"
    );
    let patch = inside(
        &mut session,
        "<command format=\"text\">show configuration | compare rollback 1</command>",
    );
    assert!(
        patch.contains("[edit system]+   domain-name example.net;"),
        "{patch}"
    );
    let json = inside(&mut session, "<command>show version | display json</command>");
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
}

/// S18: an unknown request in the device's words: no type, no tag, the offending element.
#[test]
fn an_unknown_request_is_a_syntax_error() {
    let mut session = opened(Emulator::builder());
    assert_eq!(
        inside(&mut session, "<get-nothing/>"),
        "<rpc-error><error-severity>error</error-severity><error-message>syntax error</error-message>\
         <error-info><bad-element>get-nothing</bad-element></error-info></rpc-error>"
    );
    assert!(
        inside(&mut session, "<command>show bridge</command>")
            .contains("syntax error, expecting &lt;command&gt;")
    );
    let mut session = opened(Emulator::builder().profile(Profile::Rfc));
    let reply = inside(&mut session, "<get-software-information/>");
    assert!(
        reply.contains("<error-tag>operation-not-supported</error-tag>"),
        "{reply}"
    );
}

/// S16: with `rfc-compliant` the NETCONF elements carry a prefix, and the payload has no default namespace.
#[test]
fn rfc_compliant_replies_are_prefixed() {
    let mut session = opened(configured().profile(Profile::JunosRfc));
    let filter =
        "<filter type=\"subtree\"><configuration><system><host-name/></system></configuration></filter>";
    let rpc = format!("<get-config><source><running/></source>{filter}</get-config>");
    let reply = ask(&mut session, &rpc);
    assert!(
        reply.starts_with("<nc:rpc-reply xmlns:nc=\"urn:ietf:params:xml:ns:netconf:base:1.0\""),
        "{reply}"
    );
    let root = parse(reply.as_bytes()).unwrap();
    let data = root.child("data").unwrap();
    assert_eq!(data.ns.as_deref(), Some(NETCONF_BASE_NS));
    assert_eq!(
        data.path(&["configuration", "system", "host-name"])
            .unwrap()
            .text(),
        "mx1"
    );
    let none = rpc.replace("<system><host-name/></system>", "<snmp/>");
    assert_eq!(inside(&mut session, &none), "<nc:data/>");
}

/// S11: get-config of the datastores that the capabilities name.
#[test]
fn datastores_are_those_of_the_capabilities() {
    let asked = |profile: Profile, source: &str| {
        let mut session = opened(configured().profile(profile));
        inside(
            &mut session,
            &format!("<get-config><source><{source}/></source></get-config>"),
        )
    };
    assert!(asked(Profile::Junos, "candidate").contains("<host-name>mx1</host-name>"));
    assert!(asked(Profile::Junos, "startup").contains("<bad-element>startup</bad-element>"));
    assert!(asked(Profile::Rfc, "startup").contains("<host-name>mx1</host-name>"));
    assert!(asked(Profile::RfcRunning, "candidate").contains("<error-tag>invalid-value</error-tag>"));
}

/// S11: the formats of `get-configuration`, each with its wrapper.
#[test]
fn the_configuration_comes_in_four_formats() {
    let mut session = opened(configured());
    let mut asked = |attributes: &str| {
        let filter = "<configuration><system><domain-name/></system></configuration>";
        inside(
            &mut session,
            &format!("<get-configuration {attributes}>{filter}</get-configuration>"),
        )
    };
    assert_eq!(
        asked("database=\"committed\""),
        "<configuration xmlns=\"http://xml.juniper.net/xnm/1.1/xnm\" junos:commit-seconds=\"1768392600\" \
         junos:commit-localtime=\"2026-01-14 12:10:00 UTC\" junos:commit-user=\"admin\">\
         <system><domain-name>example.net</domain-name></system></configuration>"
    );
    assert!(asked("").contains("junos:changed-seconds=\"1768392600\""));
    let text = "<configuration-text>system {    domain-name example.net;}</configuration-text>";
    assert_eq!(asked("format=\"text\""), text);
    assert_eq!(
        asked("format=\"set\""),
        "<configuration-set>set system domain-name example.net</configuration-set>"
    );
    let json: serde_json::Value = serde_json::from_str(&asked("format=\"json\"")).unwrap();
    assert_eq!(json["configuration"]["system"]["domain-name"], "example.net");
}

/// S11: rollback, compare in both directions of time, revision, rescue; and what does not exist.
#[test]
fn earlier_configurations_can_be_read_and_compared() {
    let mut session = opened(configured().rescue());
    let first = inside(&mut session, "<get-configuration rollback=\"1\" format=\"set\"/>");
    assert!(
        first.contains("set system host-name mx1") && !first.contains("domain-name"),
        "{first}"
    );
    assert_eq!(
        inside(
            &mut session,
            "<get-configuration compare=\"rollback\" rollback=\"1\" format=\"text\"/>"
        ),
        "<configuration-information><configuration-output>[edit system]+   domain-name example.net;\
         </configuration-output></configuration-information>"
    );
    let back =
        "<get-rollback-information><rollback>1</rollback><compare>0</compare></get-rollback-information>";
    assert_eq!(
        inside(&mut session, back),
        "<rollback-information><ok/><configuration-information><configuration-output>[edit system]\
         +   domain-name example.net;</configuration-output></configuration-information></rollback-information>"
    );
    let rescue = inside(
        &mut session,
        "<get-rescue-information><format>text</format></get-rescue-information>",
    );
    assert!(rescue.contains("domain-name example.net;"), "{rescue}");
    let revision = inside(&mut session, "<get-commit-revision-information/>");
    assert_eq!(
        revision,
        "<commit-revision-information><revision>re0-1768392600-1</revision></commit-revision-information>"
    );
    assert!(inside(&mut session, "<get-configuration rollback=\"2\"/>").contains("rollback 2 not found"));
    assert!(inside(&mut session, "<get-configuration rollback=\"50\"/>").contains("(0..49)"));
    assert!(inside(&mut session, "<get-configuration database=\"secret\"/>").contains("invalid value"));
    assert!(
        inside(&mut session, "<get-configuration><config/></get-configuration>").contains("syntax error")
    );
}

/// S30: an orderly end has its `<ok/>`, and nothing is answered after it.
#[test]
fn close_session_is_answered_and_ends_the_session() {
    let mut session = opened(Emulator::builder());
    let steps = session.message(b"<rpc message-id=\"9\"><close-session/></rpc>");
    assert!(text(&steps[0]).contains("<ok/>"));
    assert!(matches!(steps[1], Step::Close));
    assert!(session.message(b"<rpc message-id=\"10\"><get/></rpc>").is_empty());
}

#[test]
fn what_is_no_rpc_gets_an_error_and_the_end() {
    let mut session = opened(Emulator::builder());
    let steps = session.message(b"<rpc message-id=\"9\"><get></rpc>");
    assert!(text(&steps[0]).contains("malformed-message"));
    assert!(matches!(steps[1], Step::Close));
}

fn struck(fault: Fault) -> Vec<Step> {
    let mut session = opened(Emulator::builder().fault_rule(Rule::on("get-software-information", fault)));
    session.message(b"<rpc message-id=\"5\"><get-software-information/></rpc>")
}

/// S19: the faults that concern what a reply says.
#[test]
fn replies_can_say_too_much_and_too_little() {
    let id = |steps: &[Step]| {
        parse(text(&steps[0]).as_bytes())
            .unwrap()
            .attribute("message-id")
            .map(str::to_owned)
    };
    assert_eq!(id(&struck(Fault::WrongMessageId)).as_deref(), Some("not-5"));
    assert_eq!(id(&struck(Fault::MissingMessageId)), None);
    let errors = vec![DeviceError::new("one").at("[edit]"), DeviceError::new("two")];
    let reply = text(&struck(Fault::Errors(errors))[0]);
    assert!(
        reply.find("one") < reply.find("two") && !reply.contains("host-name"),
        "{reply}"
    );
    let reply = text(&struck(Fault::ErrorBesideData(DeviceError::new("late")))[0]);
    assert!(reply.find("host-name") < reply.find("late"), "{reply}");
    let reply = text(&struck(Fault::Warnings(vec!["mind".into()]))[0]);
    assert!(
        reply.find("<error-severity>warning") < reply.find("host-name"),
        "{reply}"
    );
    let reply = text(&struck(Fault::OneMemberFails)[0]);
    assert!(
        reply.contains("<re-name>re0</re-name>") && reply.contains("Could not connect to re1"),
        "{reply}"
    );
    let reply = text(&struck(Fault::ReplyWith("<mine/>".into()))[0]);
    assert!(reply.ends_with(">\n<mine/></rpc-reply>\n"), "{reply}");
    assert_eq!(
        text(&struck(Fault::MessageText("nonsense".into()))[0]),
        "nonsense"
    );
    let reply = text(&struck(Fault::DeepXml(500))[0]);
    assert_eq!(reply.matches("<x>").count(), 500);
}

/// S19: a reply of the test's own making, with a warning beside its `<ok/>`.
#[test]
fn a_reply_can_be_written_beforehand() {
    let warned = Rule::on("commit", Fault::Warnings(vec!["license".into()]));
    let mut session = opened(
        Emulator::builder()
            .reply_with("commit", "<ok/>")
            .fault_rule(warned),
    );
    let reply = inside(&mut session, "<commit/>");
    assert!(
        reply.starts_with("<rpc-error><error-severity>warning") && reply.ends_with("<ok/>"),
        "{reply}"
    );
}

/// The faults that make a reply no XML.
#[test]
fn replies_can_be_broken() {
    let bytes = |steps: &[Step]| match &steps[0] {
        Step::Message(Outgoing {
            body: Body::Whole(bytes),
            ..
        }) => bytes.clone(),
        other => panic!("no message: {other:?}"),
    };
    assert!(parse(&bytes(&struck(Fault::MalformedXml))).is_none());
    assert!(parse(&bytes(&struck(Fault::ControlCharacters))).is_none());
    assert!(String::from_utf8(bytes(&struck(Fault::BadUtf8))).is_err());
}

/// The faults that concern when and whether a reply comes.
#[test]
fn replies_can_be_late_lost_and_doubled() {
    let second = Duration::from_secs(1);
    assert!(
        matches!(struck(Fault::Delay(second))[..], [Step::Wait(ref until), Step::Message(_)] if *until == Until::Passed(second))
    );
    assert!(matches!(struck(Fault::DropBeforeReply)[..], [Step::Drop]));
    assert!(struck(Fault::NeverReply).is_empty());
    let steps = struck(Fault::DuplicateReply);
    assert_eq!(text(&steps[0]), text(&steps[1]));
    assert!(matches!(
        struck(Fault::GarbageBefore(b"x".to_vec()))[..],
        [Step::Raw(_), Step::Message(_)]
    ));
    assert!(matches!(
        struck(Fault::GarbageAfter(b"x".to_vec()))[..],
        [Step::Message(_), Step::Raw(_)]
    ));
    assert!(matches!(
        struck(Fault::DropAfter(9))[..],
        [Step::Message(Outgoing {
            cut_after: Some(9),
            ..
        })]
    ));
    assert!(matches!(
        struck(Fault::BadChunk)[..],
        [Step::Message(Outgoing { bad_frame: true, .. })]
    ));
    assert!(matches!(
        struck(Fault::HugeReply(1))[..],
        [Step::Message(Outgoing {
            body: Body::Huge(_),
            ..
        })]
    ));
}

#[test]
fn a_swallowing_session_is_silent_from_then_on() {
    let rule = Rule::on("get", Fault::Swallow).once();
    let mut session = opened(Emulator::builder().fault_rule(rule));
    assert!(session.message(b"<rpc message-id=\"1\"><get/></rpc>").is_empty());
    assert!(
        session
            .message(b"<rpc message-id=\"2\"><get-software-information/></rpc>")
            .is_empty()
    );
}

/// S4: everything that can be wrong with a hello.
#[test]
fn hellos_can_be_wrong_late_and_missing() {
    let open = |fault| fresh(Emulator::builder().fault(fault)).open();
    assert!(open(Fault::NoHello).is_empty());
    assert!(matches!(open(Fault::CloseBeforeHello)[..], [Step::Drop]));
    assert!(matches!(
        open(Fault::LateHello(Duration::from_secs(3)))[..],
        [Step::Wait(_), Step::Message(_)]
    ));
    for profile in [Profile::Junos, Profile::JunosRfc11] {
        let builder = Emulator::builder().profile(profile).fault(Fault::MalformedHello);
        let malformed = fresh(builder).open();
        assert!(parse(text(&malformed[0]).as_bytes()).is_none(), "{profile:?}");
    }
    let hello = parse(text(&open(Fault::HelloWithoutSessionId)[0]).as_bytes()).unwrap();
    assert!(hello.child("session-id").is_none());
    let both = text(&open(Fault::ErrorBeforeHello)[0]);
    assert!(
        both.starts_with("<rpc-reply>") && both.ends_with("</hello>\n"),
        "{both}"
    );
    let steps = open(Fault::BannerBeforeHello("*** welcome ***\n".into()));
    assert!(matches!(&steps[..], [Step::Raw(banner), Step::Message(_)] if banner == b"*** welcome ***\n"));
    assert_eq!(text(&open(Fault::HelloText("<hello/>".into()))[0]), "<hello/>");
}

/// S3: sessions with a terminal are among the users; they leave when they end.
#[test]
fn sessions_are_among_the_users_while_they_last() {
    let emulator = Emulator::builder().build().unwrap();
    let other = Session::new(emulator.device().clone(), record());
    let mut session = Session::new(emulator.device().clone(), record());
    session.open();
    session.message(CLIENT_HELLO.as_bytes());
    let users = inside(&mut session, "<get-system-users-information/>");
    assert_eq!(users.matches("<user>admin</user>").count(), 2);
    drop(other);
    let users = inside(&mut session, "<get-system-users-information/>");
    assert_eq!(users.matches("<user>admin</user>").count(), 1);
    assert_eq!(
        emulator
            .device()
            .stats
            .snapshot()
            .count("get-system-users-information"),
        2
    );
}

/// S11: schemas, where the capabilities say that the device has any.
#[test]
fn schemas_are_handed_out_where_they_are_announced() {
    let ask_for = "<get-schema xmlns=\"urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring\">\
        <identifier>example-router</identifier><version>2026-01-01</version><format>yang</format></get-schema>";
    let mut session = opened(Emulator::builder().profile(Profile::Rfc));
    assert!(inside(&mut session, ask_for).contains("module example-router {"));
    assert!(inside(&mut session, &ask_for.replace("example", "other")).contains("invalid-value"));
    let listed = inside(
        &mut session,
        "<get><filter><netconf-state><schemas/></netconf-state></filter></get>",
    );
    assert!(
        listed.contains("<schema><identifier>example-router</identifier>"),
        "{listed}"
    );
    let mut session = opened(Emulator::builder());
    assert!(inside(&mut session, ask_for).contains("<bad-element>get-schema</bad-element>"));
    let xsd = inside(
        &mut session,
        "<get-xnm-information><type>xml-schema</type></get-xnm-information>",
    );
    assert!(xsd.starts_with("<xsd:schema"), "{xsd}");
}
