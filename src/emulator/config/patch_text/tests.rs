use super::super::Node;
use super::super::compare::compare;
use super::super::patch::{self, Manner};
use super::super::{schema, set, text};
use super::*;

fn configured(commands: &str) -> Node {
    let mut root = Node::root();
    set::apply(&mut root, commands).unwrap();
    root
}

fn loaded(before: &str, text: &str, manner: Manner) -> (String, Vec<DeviceError>) {
    let mut tree = configured(before);
    let (patches, mut problems) = patches(schema::root(), text);
    problems.extend(patch::apply(&mut tree, &patches, manner));
    (set::render(&tree), problems)
}

/// Statements of every style.
pub(crate) const EVERY_STYLE: &str = "set version 21.4R3-S5.4
set system host-name mx1
set system name-server 192.0.2.53
set system name-server 192.0.2.54
set system login message \"keep; out {\"
set system services ssh
set system services netconf ssh port 830
set system syslog file messages any notice
set system syslog file messages daemon info
set interfaces ge-0/0/0 description \"to mx2\"
set interfaces ge-0/0/0 unit 0 family inet address 198.51.100.1/31
set interfaces ge-0/0/0 unit 0 family inet6
deactivate interfaces ge-0/0/0 unit 0 family inet6
set interfaces ge-0/0/1 disable
deactivate interfaces ge-0/0/1
set routing-options autonomous-system 65001
set routing-options static route 0.0.0.0/0 next-hop 192.0.2.1
protect routing-options static
set policy-options prefix-list own 203.0.113.0/24
set policy-options policy-statement out term 1 from protocol [ static direct ]
set policy-options policy-statement out term 1 from route-filter 10.0.0.0/8 exact
set policy-options policy-statement out term 1 then accept
set firewall family inet filter f term 1 from source-address 10.0.0.0/8
set firewall family inet filter f term 1 then accept
";

/// S12: what is shown as text can be loaded as text.
#[test]
fn text_survives_a_round_trip() {
    let before = configured(EVERY_STYLE);
    let (patches, problems) = patches(schema::root(), &text::render(&before));
    assert_eq!(problems, []);
    let mut after = Node::root();
    assert_eq!(patch::apply(&mut after, &patches, Manner::REPLACE), []);
    assert_eq!(set::render(&after), set::render(&before));
}

/// S12: `replace:` takes the place of what was there where the action is replace, and is merged where it is merge;
/// `delete:`, `inactive:` and `protect:` do what they say.
#[test]
fn words_in_front_of_a_statement_act() {
    let before = "set system ntp server 192.0.2.1\nset system services ssh\nset system host-name a";
    let text = "system { /* new */ replace: ntp { server 192.0.2.2; } delete: services; inactive: host-name b;\n\
                # and that\n protect: login { user x { class operator; } } }";
    let (tree, problems) = loaded(before, text, Manner::REPLACE);
    assert_eq!(problems, []);
    assert_eq!(
        tree,
        "set system host-name b\ndeactivate system host-name\nset system login user x class operator\n\
         protect system login\nset system ntp server 192.0.2.2\n"
    );
    let (tree, _) = loaded(
        before,
        "system { replace: ntp { server 192.0.2.2; } }",
        Manner::MERGE,
    );
    assert!(
        tree.contains("ntp server 192.0.2.1\nset system ntp server 192.0.2.2\n"),
        "{tree}"
    );
}

/// S12, S16: an unknown statement is told by its word and its level; what stands beside it is loaded.
#[test]
fn unknown_statements_are_told_and_the_rest_is_loaded() {
    let text = "system { hostname mx1; domain-name example.net; nonsense { a { b; } } }\ninterfaces { }";
    let (tree, problems) = loaded("", text, Manner::MERGE);
    assert_eq!(tree, "set system domain-name example.net\n");
    let told: Vec<_> = problems
        .iter()
        .map(|problem| {
            (
                &*problem.message,
                problem.path.as_deref(),
                problem.bad_element.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("syntax error", Some("[edit system]"), Some("hostname")),
            ("syntax error", Some("[edit system]"), Some("nonsense")),
        ]
    );
}

/// Hostile text is told, and never a panic.
#[test]
fn broken_text_is_told() {
    for text in [
        "system {",
        "}",
        "system { host-name \"a; }",
        "/* never ends",
        "system { host-name }",
        "{",
        "a",
    ] {
        let (_, problems) = patches(schema::root(), text);
        assert!(!problems.is_empty(), "{text}");
    }
    let deep = "system { ".repeat(5_000);
    assert!(!patches(schema::root(), &deep).1.is_empty());
}

/// S12: a difference, loaded as a patch, leads from the one configuration to the other.
#[test]
fn a_difference_can_be_loaded() {
    let old = configured(EVERY_STYLE);
    let new = configured(
        "set version 21.4R3-S5.4
set system host-name mx2
set system name-server 192.0.2.54
set system services netconf ssh port 831
set system ntp server 192.0.2.99
set interfaces ge-0/0/0 unit 0 family inet address 198.51.100.3/31
set interfaces ge-0/0/1 disable
set routing-options autonomous-system 65001
set routing-options static route 0.0.0.0/0 next-hop 192.0.2.2
set policy-options policy-statement out term 1 from protocol [ static bgp ]
set policy-options policy-statement out term 1 then reject
set firewall family inet filter f term 2 then accept",
    );
    let (patches, problems) = differences(schema::root(), &compare(&old, &new));
    assert_eq!(problems, []);
    let mut tree = old;
    tree.children
        .iter_mut()
        .find(|child| child.statement.name == "routing-options")
        .unwrap()
        .children[1]
        .protected = false;
    assert_eq!(patch::apply(&mut tree, &patches, Manner::REPLACE), []);
    assert_eq!(set::render(&tree), set::render(&new));
}
