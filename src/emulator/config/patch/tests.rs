use super::super::pattern::Pattern;
use super::super::{patch_xml, schema, set};
use super::*;
use crate::emulator::config::{Actor, Engine, Working};
use crate::xml::Limits;
use crate::xml::tree::Element;

fn configured(commands: &str) -> Node {
    let mut root = Node::root();
    set::apply(&mut root, commands).unwrap();
    root
}

/// Loads XML on top of commands; what is there afterwards, and what was told.
fn loaded(before: &str, xml: &str, act: Act, manner: Manner) -> (String, Vec<String>) {
    let mut tree = configured(before);
    let element = Element::parse(
        &format!("<configuration>{xml}</configuration>"),
        &Limits::default(),
    )
    .unwrap();
    let (patches, mut problems) = patch_xml::patches(schema::root(), &element, act);
    problems.extend(apply(&mut tree, &patches, manner));
    let told = problems.iter().map(|problem| problem.message.to_string());
    (set::render(&tree), told.collect())
}

fn merged(before: &str, xml: &str) -> (String, Vec<String>) {
    loaded(before, xml, Act::Merge, Manner::REPLACE)
}

const RFC: Manner = Manner {
    replaces: true,
    lenient: false,
    stops: false,
};

/// Every statement of the table below the root, `groups` left out, as the words of a command: those that name it,
/// and those that make it be there, which for containers name something inside.
fn every_statement() -> Vec<(String, String)> {
    fn below(statement: &'static Statement, path: &str, out: &mut Vec<(String, String)>) {
        for child in statement.children() {
            if child.name == "groups" {
                continue;
            }
            let mut words = path.to_owned();
            if child.style != schema::Style::Unnamed {
                words.push_str(&format!(" {}", child.name));
            }
            if child.takes_argument() {
                words.push_str(" some-word");
            }
            let at = out.len();
            below(child, &words, out);
            let made = match child.kind {
                Kind::Container => out[at].1.clone(),
                Kind::Presence | Kind::List { .. } | Kind::Leaf | Kind::LeafList | Kind::Flag => {
                    words.clone()
                }
            };
            if child.style != schema::Style::Prefix {
                out.push((words, made));
            }
        }
    }
    let mut all = Vec::new();
    below(schema::root(), "", &mut all);
    all
}

/// Issue 3, item 9: every statement of the table can be set, protected, unprotected, deactivated and deleted, and
/// while it is protected nothing at or below it changes.
#[test]
fn protecting_works_for_every_statement() {
    let statements = every_statement();
    assert!(statements.len() > 60, "{}", statements.len());
    for (path, made) in &statements {
        let set = format!("set{made}");
        let before = configured(&set);
        assert_ne!(set::render(&before), "", "{set}");
        let mut tree = before.clone();
        assert_eq!(set::load(&mut tree, &format!("protect{path}")), [], "{path}");
        let guarded = tree.clone();
        assert!(set::render(&guarded).contains("\nprotect "), "{path}");
        let told = set::load(&mut tree, &format!("delete{path}"));
        assert_eq!(told.len(), 1, "{path}");
        assert!(
            told[0].message.contains("is protected, "),
            "{path}: {}",
            told[0].message
        );
        assert_eq!(told[0].severity, Severity::Warning, "{path}");
        let told = set::load(&mut tree, &format!("deactivate{path}"));
        assert_eq!(told.len(), 1, "{path}");
        assert_eq!(tree, guarded, "{path}");
        // What is deleted around it stays, too.
        set::load(&mut tree, "delete");
        assert_eq!(tree, guarded, "{path}");
        assert_eq!(set::load(&mut tree, &format!("unprotect{path}")), [], "{path}");
        assert_eq!(tree, before, "{path}");
        set::load(&mut tree, &format!("deactivate{path}\nactivate{path}"));
        assert_eq!(tree, before, "{path}");
        set::load(&mut tree, &format!("delete{path}"));
        assert!(!set::render(&tree).contains(path.trim()), "{path}");
    }
}

/// Issue 3, item 9: `replace pattern` finds keys and values of every statement that has one, and of no other.
#[test]
fn replacing_a_pattern_works_for_every_statement() {
    for (_, path) in every_statement() {
        let mut tree = configured(&format!("set{path}"));
        let pattern = Pattern::new("some-(word)", r"other-\1", None).unwrap();
        assert_eq!(pattern.apply(&mut tree), []);
        assert_eq!(
            set::render(&tree).trim_end(),
            set::render(&configured(&format!(
                "set{}",
                path.replace("some-word", "other-word")
            )))
            .trim_end()
        );
    }
}

/// Issue 3, item 9: every statement can be edited in the default instance and in a named one, and nowhere else
/// shows.
#[test]
fn ephemeral_instances_take_every_statement() {
    let change = "set system configuration-database ephemeral instance fast";
    let actor = Actor {
        session: 7,
        user: "admin".to_owned(),
        client: "netconf",
        terminal: None,
        since: 0,
    };
    for instance in ["", "fast"] {
        let mut engine = Engine::new(&[super::super::Change {
            commands: change.to_owned(),
            user: "root".to_owned(),
            client: "cli".to_owned(),
            seconds: 0,
            log: None,
        }])
        .unwrap();
        for (_, path) in every_statement() {
            engine.open_ephemeral(actor.session, instance).unwrap();
            let told = engine
                .edit(&actor, 0, |root| set::load(root, &format!("set{path}")))
                .unwrap();
            assert_eq!(told, [], "{path}");
            engine.commit(&actor, &Default::default(), 0).unwrap();
            assert_eq!(engine.close(actor.session), Some(false));
            let kept = engine.ephemeral(instance);
            assert!(
                set::render(&kept).contains(&format!("set{path}")),
                "{path} is not in {}",
                set::render(&kept)
            );
        }
        assert_eq!(engine.working(actor.session), Working::Shared);
        assert_eq!(set::render(&engine.running().tree), format!("{change}\n"));
        assert_eq!(engine.history().count(), 1);
    }
}

/// S12, RFC 6241 section 7.2: the operations, each with and without the data being there.
#[test]
fn the_operations_of_the_rfc_mean_what_they_say() {
    let before = "set system host-name a\nset system ntp server 192.0.2.1\nset system services ssh";
    let op = |inside: &str| format!("<system>{inside}</system>");
    let kept = "set system host-name a\nset system services ssh\n";
    // delete and remove
    for operation in ["delete", "remove"] {
        let xml = op(&format!("<ntp operation=\"{operation}\"/>"));
        assert_eq!(loaded(before, &xml, Act::Merge, RFC), (kept.to_owned(), vec![]));
    }
    let gone = op("<time-zone operation=\"delete\"/>");
    let (tree, told) = loaded(kept, &gone, Act::Merge, RFC);
    assert_eq!(
        (tree.as_str(), told),
        (kept, vec!["statement not found".to_owned()])
    );
    let gone = op("<time-zone operation=\"remove\"/>");
    assert_eq!(loaded(kept, &gone, Act::Merge, RFC), (kept.to_owned(), vec![]));
    // create
    let xml = op("<ntp operation=\"create\"><server><name>192.0.2.9</name></server></ntp>");
    assert_eq!(
        loaded(before, &xml, Act::Merge, RFC).1,
        ["statement already exists"]
    );
    let (tree, told) = loaded(kept, &xml, Act::Merge, RFC);
    assert_eq!(told, [] as [&str; 0]);
    assert_eq!(tree, format!("{kept}set system ntp server 192.0.2.9\n"));
    // replace
    let xml = op("<ntp operation=\"replace\"><server><name>192.0.2.9</name></server></ntp>");
    let (tree, _) = loaded(before, &xml, Act::Merge, RFC);
    assert_eq!(tree, format!("{kept}set system ntp server 192.0.2.9\n"));
    // default-operation none: only what carries an operation acts.
    let xml =
        op("<host-name operation=\"merge\">b</host-name><ntp><server><name>192.0.2.1</name></server></ntp>");
    let (tree, told) = loaded(before, &xml, Act::Touch, RFC);
    assert_eq!(told, [] as [&str; 0]);
    assert_eq!(
        tree,
        before.replace("host-name a", "host-name b").replace(
            "set system ntp server 192.0.2.1\nset system services ssh",
            "set system services ssh\nset system ntp server 192.0.2.1\n"
        )
    );
    let (_, told) = loaded(before, &op("<ntp operation=\"explode\"/>"), Act::Merge, RFC);
    assert_eq!(told, ["invalid value 'explode' for attribute operation"]);
}

/// RFC 6241 section 7.2: with `stop-on-error`, what stands behind the first error is left alone.
#[test]
fn the_first_error_stops_where_it_should() {
    let xml = "<system><time-zone operation=\"delete\"/><host-name>b</host-name></system>";
    let stops = Manner { stops: true, ..RFC };
    assert_eq!(
        loaded("set system domain-name d", xml, Act::Merge, stops).0,
        "set system domain-name d\n"
    );
    assert_eq!(
        loaded("set system domain-name d", xml, Act::Merge, RFC).0,
        "set system host-name b\nset system domain-name d\n"
    );
}

/// S12: Junos's own attributes.
#[test]
fn the_attributes_of_junos_mean_what_they_say() {
    let terms = "set policy-options policy-statement p term a then accept
set policy-options policy-statement p term b then accept
set policy-options policy-statement p term c then accept";
    let policy = |term: &str| {
        format!("<policy-options><policy-statement><name>p</name>{term}</policy-statement></policy-options>")
    };
    let order = |xml: &str| {
        let (tree, told) = merged(terms, &policy(xml));
        assert_eq!(told, [] as [&str; 0]);
        let names = tree
            .lines()
            .filter_map(|line| line.split(' ').nth(5).map(str::to_owned));
        names.collect::<String>()
    };
    assert_eq!(order("<term insert=\"first\"><name>c</name></term>"), "cab");
    assert_eq!(order("<term insert=\"last\"><name>a</name></term>"), "bca");
    assert_eq!(
        order("<term insert=\"before\" name=\"b\"><name>c</name></term>"),
        "acb"
    );
    assert_eq!(
        order("<term insert=\"after\" name=\"b\"><name>a</name></term>"),
        "bac"
    );
    assert_eq!(
        order("<term rename=\"rename\" name=\"z\"><name>a</name></term>"),
        "zbc"
    );
    assert_eq!(order("<term delete=\"delete\"><name>b</name></term>"), "ac");
    let (tree, told) = merged(
        terms,
        &policy("<term inactive=\"inactive\"><name>b</name><then><reject/></then></term>"),
    );
    assert_eq!(told, [] as [&str; 0]);
    assert!(
        tree.contains("term b then reject\ndeactivate policy-options policy-statement p term b\n"),
        "{tree}"
    );
    let (tree, _) = merged(&tree, &policy("<term active=\"active\"><name>b</name></term>"));
    assert!(!tree.contains("deactivate"), "{tree}");
    let replaced = policy("<term replace=\"replace\"><name>b</name><then><reject/></then></term>");
    assert!(
        merged(terms, &replaced)
            .0
            .contains("term b then reject\nset policy"),
        "replace replaces"
    );
    let as_merge = loaded(terms, &replaced, Act::Merge, Manner::MERGE).0;
    assert!(
        as_merge.contains("term b then accept\nset policy-options policy-statement p term b then reject")
    );
    let (_, told) = merged(terms, &policy("<term delete=\"delete\"><name>x</name></term>"));
    assert_eq!(told, ["statement not found"]);
    let (tree, told) = merged(
        "set system host-name a",
        "<system protect=\"protect\"><host-name>b</host-name></system>",
    );
    assert_eq!(told, [] as [&str; 0]);
    assert_eq!(tree, "set system host-name b\nprotect system\n");
    let (tree, told) = merged(&tree, "<system><host-name>c</host-name></system>");
    assert_eq!(told, ["[system] is protected, 'host-name c' cannot be changed"]);
    assert_eq!(tree, "set system host-name b\nprotect system\n");
}

/// S12: `replace-pattern` acts at its level and below, on keys and values, and adds nothing.
#[test]
fn patterns_are_replaced_at_their_level() {
    let before =
        "set interfaces ge-0/0/0 description ge\nset interfaces ge-0/0/1 description ge\nset snmp contact ge";
    let (tree, told) = merged(before, "<interfaces replace-pattern=\"ge\" with=\"xe\"/>");
    assert_eq!(told, [] as [&str; 0]);
    assert_eq!(
        tree,
        "set interfaces xe-0/0/0 description xe\nset interfaces xe-0/0/1 description xe\nset snmp contact ge\n"
    );
    let one = "<interfaces><interface replace-pattern=\"^g\" with=\"G\"><name>ge-0/0/1</name></interface></interfaces>";
    let (tree, _) = merged(before, one);
    assert_eq!(
        tree,
        "set interfaces ge-0/0/0 description ge\nset interfaces Ge-0/0/1 description Ge\nset snmp contact ge\n"
    );
    let mut tree = configured(before);
    let text = "<configuration replace-pattern=\"ge\" with=\"xe\"/>";
    let element = Element::parse(text, &Limits::default()).unwrap();
    let (patches, _) = patch_xml::patches(schema::root(), &element, Act::Merge);
    assert_eq!(apply(&mut tree, &patches, Manner::MERGE), []);
    assert!(!set::render(&tree).contains("ge"), "{}", set::render(&tree));
    assert_eq!(
        merged(before, "<snmp replace-pattern=\"(\" with=\"\"/>").1,
        ["invalid regular expression"]
    );
}

/// RFC 7950 section 7.8.6: where an entry is put, as other servers say it.
#[test]
fn entries_are_inserted_as_yang_says() {
    let terms = "set policy-options policy-statement p term a then accept
set policy-options policy-statement p term b then accept";
    let xml = "<policy-options xmlns:y=\"urn:ietf:params:xml:ns:yang:1\"><policy-statement><name>p</name>\
        <term y:insert=\"after\" y:key=\"[name='b']\"><name>a</name></term></policy-statement></policy-options>";
    let (tree, told) = loaded(terms, xml, Act::Merge, RFC);
    assert_eq!(told, [] as [&str; 0]);
    assert!(
        tree.starts_with("set policy-options policy-statement p term b"),
        "{tree}"
    );
}

/// S12: the commands of configuration mode.
#[test]
fn the_commands_of_configuration_mode_mean_what_they_say() {
    let mut tree = configured(
        "set system host-name a
         set policy-options policy-statement p term a then accept
         set policy-options policy-statement p term b then accept",
    );
    let told = set::load(
        &mut tree,
        "rename policy-options policy-statement p term a to x
         insert policy-options policy-statement p term x after b
         copy policy-options policy-statement p to q
         deactivate system host-name
         replace pattern accept with reject
         delete system domain-name
         annotate system \"why\"
         set system nonsense",
    );
    let told: Vec<_> = told.iter().map(|problem| &*problem.message).collect();
    assert_eq!(told, ["statement not found", "unknown command.", "syntax error"]);
    assert_eq!(
        set::render(&tree),
        "set system host-name a
deactivate system host-name
set policy-options policy-statement p term b then accept
set policy-options policy-statement p term x then accept
set policy-options policy-statement q term b then accept
set policy-options policy-statement q term x then accept
"
    );
}
