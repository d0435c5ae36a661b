//! What an operation may do to a device, by its name and, for CLI text, by its words (Q9, H15).
//!
//! The list of what only reads is reviewed and errs on the side of caution: a wrong "it may change something" costs
//! a permission and a session, a wrong "it only reads" costs a network.

use crate::netconf::rpc::Rpc;
use crate::xml::tree::Element;
use crate::xml::{Limits, NETCONF_BASE_NS};

/// Where and how an operation may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationClass {
    /// Reads. Any pooled session will do.
    ReadOnly,
    /// May change something besides the configuration, or is not known: on a session that is closed afterwards.
    Operational,
    /// Edits, locks or commits: only through the resource named.
    Configuration { resource: &'static str },
    /// Concerns sessions themselves: only through the resource named.
    Session { resource: &'static str },
    /// Ends the session when it succeeds: reboot, halt, power-off.
    EndsSession,
}

/// Operations that read, besides the `get-` ones.
const READ_ONLY: &[&str] = &["get", "get-config", "get-configuration", "get-data", "get-schema"];

/// Operations that read in namespaces of their own: RFC 6022 section 3 and RFC 8526 section 3.
const READ_ONLY_ELSEWHERE: &[(&str, &str)] = &[
    (
        "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring",
        "get-schema",
    ),
    ("urn:ietf:params:xml:ns:yang:ietf-netconf-nmda", "get-data"),
];

/// Namespaces in which names keep the promise that `get-` reads: all of Juniper's begin with these.
const JUNOS_NAMESPACES: [&str; 2] = ["http://xml.juniper.net/", "http://yang.juniper.net/"];

/// Words that no reading operation has in its name.
const CHANGING_WORDS: &[&str] = &[
    "clear", "delete", "remove", "erase", "reset", "restart", "save", "write", "upload", "install", "and",
];

/// Configuration operations, and the resource that stands for each.
const CONFIGURATION: &[(&str, &str)] = &[
    ("lock", "edit-sessions"),
    ("unlock", "edit-sessions"),
    ("partial-lock", "edit-sessions"),
    ("partial-unlock", "edit-sessions"),
    ("lock-configuration", "edit-sessions"),
    ("unlock-configuration", "edit-sessions"),
    ("open-configuration", "edit-sessions"),
    ("close-configuration", "edit-sessions"),
    ("discard-changes", "edit-sessions"),
    ("edit-config", "changes"),
    ("edit-data", "changes"),
    ("load-configuration", "changes"),
    ("commit", "changes"),
    ("commit-configuration", "changes"),
    ("clear-system-commit", "changes"),
    ("cancel-commit", "confirmed-commits"),
    ("copy-config", "config/copy"),
    ("delete-config", "config/delete"),
    ("validate", "config/validate"),
    ("request-save-rescue-configuration", "config/rescue"),
];

/// Operations on sessions.
const SESSION: &[(&str, &str)] = &[
    ("close-session", "sessions"),
    ("kill-session", "sessions"),
    ("request-end-session", "sessions"),
    ("abort", "sessions"),
    ("create-subscription", "events"),
    ("establish-subscription", "events"),
    ("modify-subscription", "events"),
    ("delete-subscription", "events"),
    ("kill-subscription", "events"),
];

/// Whole names, and words of `request-` names, after which the device is gone.
const ENDING: &[&str] = &[
    "reboot",
    "reload",
    "system-restart",
    "system-shutdown",
    "factory-reset",
];
const ENDING_WORDS: &[&str] = &["reboot", "halt", "poweroff", "zeroize"];
const ENDING_PHRASES: &[&str] = &["-power-off", "-power-cycle"];

/// What a request may do.
pub fn classify(rpc: &Rpc) -> OperationClass {
    if rpc.operation == "command" {
        return match Element::parse(rpc.body.as_str(), &Limits::default()) {
            // Text in several pieces may be read in another way there than here.
            Ok(command) if command.children().next().is_none() => classify_command(&command.text()),
            Ok(_) | Err(_) => OperationClass::Operational,
        };
    }
    match (classify_operation(&rpc.operation), rpc.body.root_namespace()) {
        (OperationClass::ReadOnly, Ok(namespace)) if reads(namespace.as_deref(), &rpc.operation) => {
            OperationClass::ReadOnly
        }
        // What other vendors' `get-` does is not known.
        (OperationClass::ReadOnly, Ok(_) | Err(_)) => OperationClass::Operational,
        (class, _) => class,
    }
}

/// Whether a name that reads does so in this namespace, too.
fn reads(namespace: Option<&str>, name: &str) -> bool {
    let Some(namespace) = namespace else { return true };
    namespace == NETCONF_BASE_NS
        || JUNOS_NAMESPACES.iter().any(|start| namespace.starts_with(start))
        || READ_ONLY_ELSEWHERE.contains(&(namespace, name))
}

/// Whether a request only reads.
pub fn read_only(rpc: &Rpc) -> bool {
    classify(rpc) == OperationClass::ReadOnly
}

/// What an operation of NETCONF or Junos may do, by its local name. `command` is a matter of its text: see [`classify_command`].
pub fn classify_operation(name: &str) -> OperationClass {
    let resource =
        |table: &[(&str, &'static str)]| table.iter().find(|(listed, _)| *listed == name).map(|row| row.1);
    if let Some(resource) = resource(CONFIGURATION) {
        return OperationClass::Configuration { resource };
    }
    if let Some(resource) = resource(SESSION) {
        return OperationClass::Session { resource };
    }
    let mut words = name.split('-');
    if READ_ONLY.contains(&name)
        || name.starts_with("get-") && !words.any(|word| CHANGING_WORDS.contains(&word))
    {
        return OperationClass::ReadOnly;
    }
    let ends = ENDING.contains(&name)
        || name.starts_with("request-")
            && (name.split('-').any(|word| ENDING_WORDS.contains(&word))
                || ENDING_PHRASES.iter().any(|phrase| name.contains(phrase)));
    if ends {
        OperationClass::EndsSession
    } else {
        OperationClass::Operational
    }
}

/// Commands that are an operation of the tables above: the words that they begin with, with the letters that tell them
/// from others. What follows only says it more exactly.
const COMMANDS: &[(&[(&str, usize)], &str)] = &[
    (&[("configure", 2)], "open-configuration"),
    (&[("edit", 2)], "open-configuration"),
    (
        &[("clear", 2), ("system", 2), ("commit", 1)],
        "clear-system-commit",
    ),
    (
        &[
            ("request", 3),
            ("system", 2),
            ("configuration", 1),
            ("rescue", 1),
            ("save", 1),
        ],
        "request-save-rescue-configuration",
    ),
];

/// What a CLI command of operational mode may do. The CLI takes any unambiguous beginning of a word.
pub fn classify_command(text: &str) -> OperationClass {
    if is_show(text) {
        return OperationClass::ReadOnly;
    }
    // Whatever a device may take for a further command counts, too.
    let parts = text.split([';', '\n']);
    match parts.filter_map(listed_operation).next() {
        Some(operation) => classify_operation(operation),
        None => classify_other(text),
    }
}

/// The operation of [`COMMANDS`] that a command is.
fn listed_operation(command: &str) -> Option<&'static str> {
    // Quotes change nothing about a word that needs none.
    let bare = command.split('|').next().unwrap_or_default().replace('"', " ");
    let words: Vec<&str> = bare.split_whitespace().collect();
    let begins = |beginning: &[(&str, usize)]| {
        words.len() >= beginning.len()
            && words
                .iter()
                .zip(beginning)
                .all(|(word, (whole, least))| abbreviates(word, whole, *least))
    };
    COMMANDS
        .iter()
        .find(|(beginning, _)| begins(beginning))
        .map(|(_, operation)| *operation)
}

/// What only reads, and what is in the table of commands, is not looked at.
fn classify_other(text: &str) -> OperationClass {
    let mut words = text.split_whitespace();
    let mut next = || words.next().unwrap_or_default();
    match next() {
        word if abbreviates(word, "request", 3) => {
            let ending = ["reboot", "halt", "power-off", "power-cycle", "zeroize"];
            let (target, action) = (next(), next());
            let system = abbreviates(target, "system", 2) || abbreviates(target, "vmhost", 2);
            if system && ending.iter().any(|ending| abbreviates(action, ending, 3)) {
                OperationClass::EndsSession
            } else {
                OperationClass::Operational
            }
        }
        _ => OperationClass::Operational,
    }
}

/// What may stand behind a pipe: it only changes what is shown. `request`, `refresh` and `hold` are left out with
/// `save`, `append` and `tee`: the first sends, the others never end.
const FILTERS: &[&str] = &[
    "compare", "count", "display", "except", "find", "last", "match", "no-more", "resolve", "trim",
];
const OTHER_FILTERS: &[&str] = &["append", "hold", "refresh", "request", "save", "tee"];

/// `show …`, with filters that only change what is shown.
fn is_show(text: &str) -> bool {
    // Whatever could begin another command, or be read in another way there than here.
    if text
        .chars()
        .any(|c| c.is_control() || matches!(c, ';' | '\\' | '`'))
    {
        return false;
    }
    let Some(stages) = stages(text) else { return false };
    let mut stages = stages.into_iter();
    let command = stages.next().unwrap_or_default();
    // `sh` is the least that is not also `set`, `ssh` or `start`.
    let show = command
        .split_whitespace()
        .next()
        .is_some_and(|word| abbreviates(word, "show", 2));
    show && stages.all(is_filter) && !hides_filter(text)
}

/// The text between pipes that stand outside of quotes. `None`: a quote is left open.
fn stages(text: &str) -> Option<Vec<&str>> {
    let (mut stages, mut from, mut quoted) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'|' if !quoted => {
                stages.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    stages.push(&text[from..]);
    (!quoted).then_some(stages)
}

/// Whether a stage begins with a word that can only mean a harmless filter.
fn is_filter(stage: &str) -> bool {
    let word = stage.split_whitespace().next().unwrap_or_default();
    let means = |filters: &[&str]| filters.iter().any(|filter| abbreviates(word, filter, 1));
    means(FILTERS) && !means(OTHER_FILTERS)
}

/// Quotes may mean something else to the device: a pipe inside them counts too when a file is written behind it.
fn hides_filter(text: &str) -> bool {
    text.split('|').skip(1).any(|after| {
        let word = after
            .trim_start()
            .split(|c: char| c.is_whitespace() || c == '"')
            .next()
            .unwrap_or_default();
        word.len() > 1
            && ["append", "save", "tee", "request"]
                .iter()
                .any(|filter| abbreviates(word, filter, 2))
    })
}

/// Whether `word` is `whole`, or at least its first `least` letters. The CLI knows no capitals.
fn abbreviates(word: &str, whole: &str, least: usize) -> bool {
    word.len() >= least && whole.starts_with(&word.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Fragment;

    fn of(xml: &str) -> OperationClass {
        classify(&Rpc::new(
            Fragment::parse_one(xml, &Limits::default()).expect("well-formed"),
        ))
    }

    /// Q9, H15: what reads.
    #[test]
    fn reading_operations_are_listed() {
        for name in [
            "get",
            "get-config",
            "get-data",
            "get-schema",
            "get-configuration",
            "get-interface-information",
            "get-software-information",
            "get-commit-information",
            "get-rollback-information",
            "get-rescue-information",
            "get-xnm-information",
            "get-system-uptime-information",
            "get-route-engine-information",
        ] {
            assert_eq!(classify_operation(name), OperationClass::ReadOnly, "{name}");
        }
    }

    /// Q9: everything else may change something, unknown names included.
    #[test]
    fn other_operations_do_not_read() {
        for name in [
            "clear-arp-table",
            "request-package-add",
            "request-snapshot",
            "restart-routing-process",
            "ping",
            "traceroute",
            "file-show",
            "file-delete",
            "file-get",
            "get-and-clear-counters",
            "get-clear-statistics",
            "getconfig",
            "GET-config",
            "show",
            "command",
            "unknown",
            "",
        ] {
            assert_eq!(classify_operation(name), OperationClass::Operational, "{name}");
        }
    }

    /// Q9: names read in the namespaces that are known to keep that promise, and nowhere else.
    #[test]
    fn get_reads_in_known_namespaces_only() {
        for xml in [
            "<get-interface-information/>",
            "<get-config xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"/>",
            "<nc:get xmlns:nc=\"urn:ietf:params:xml:ns:netconf:base:1.0\"/>",
            "<get-x xmlns=\"http://yang.juniper.net/junos/rpc/x\"/>",
            "<get-x xmlns=\"http://xml.juniper.net/junos/23.4R1/junos-x\"/>",
            "<get-schema xmlns=\"urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring\"/>",
            "<get-data xmlns=\"urn:ietf:params:xml:ns:yang:ietf-netconf-nmda\"/>",
        ] {
            assert_eq!(of(xml), OperationClass::ReadOnly, "{xml}");
        }
        for xml in [
            "<get-ready xmlns=\"urn:example:vendor\"/>",
            "<v:get-ready xmlns:v=\"urn:example:vendor\"/>",
            "<get xmlns=\"urn:example:vendor\"/>",
            "<get-schema xmlns=\"urn:example:vendor\"/>",
            "<get-x xmlns=\"http://xml.juniper.net.example/\"/>",
            "<v:get-x xmlns=\"http://xml.juniper.net/a\" xmlns:v=\"urn:v\"/>",
        ] {
            assert_eq!(of(xml), OperationClass::Operational, "{xml}");
        }
    }

    /// Q9: configuration and session operations name their resource.
    #[test]
    fn resources_are_named() {
        for (name, resource) in [
            ("lock", "edit-sessions"),
            ("open-configuration", "edit-sessions"),
            ("load-configuration", "changes"),
            ("edit-config", "changes"),
            ("commit-configuration", "changes"),
            ("commit", "changes"),
            ("cancel-commit", "confirmed-commits"),
            ("copy-config", "config/copy"),
            ("delete-config", "config/delete"),
            ("validate", "config/validate"),
            ("request-save-rescue-configuration", "config/rescue"),
        ] {
            assert_eq!(
                classify_operation(name),
                OperationClass::Configuration { resource },
                "{name}"
            );
        }
        for (name, resource) in [
            ("kill-session", "sessions"),
            ("close-session", "sessions"),
            ("create-subscription", "events"),
        ] {
            assert_eq!(
                classify_operation(name),
                OperationClass::Session { resource },
                "{name}"
            );
        }
        assert_eq!(
            of("<nc:commit xmlns:nc=\"urn:a\"/>"),
            OperationClass::Configuration { resource: "changes" }
        );
    }

    /// H6: what ends the session when it succeeds.
    #[test]
    fn ending_operations_are_known() {
        for name in [
            "request-reboot",
            "request-halt",
            "request-power-off",
            "request-power-cycle",
            "request-vmhost-reboot",
            "request-vmhost-poweroff",
            "request-system-zeroize",
            "system-restart",
            "factory-reset",
        ] {
            assert_eq!(classify_operation(name), OperationClass::EndsSession, "{name}");
        }
        for text in [
            "request system reboot",
            "REQUEST  sys  reb at now",
            "req vmhost zeroize",
            "request system power-off",
        ] {
            assert_eq!(classify_command(text), OperationClass::EndsSession, "{text}");
        }
        assert_eq!(
            of("<command>request system halt</command>"),
            OperationClass::EndsSession
        );
    }

    /// Q9: show commands, abbreviated or not, with filters that only change what is shown.
    #[test]
    fn show_commands_read() {
        for text in [
            "show version",
            "  show   interfaces   terse  ",
            "sh ver",
            "SHOW version",
            "show configuration | display set | no-more",
            "show log messages | match \"up|down\" | last 10",
            "show interfaces|mat ge-|c",
            "show configuration | compare rollback 1",
            "show interfaces | tr 3",
        ] {
            assert_eq!(classify_command(text), OperationClass::ReadOnly, "{text}");
        }
        assert_eq!(
            of("<command format=\"text\"> show version </command>"),
            OperationClass::ReadOnly
        );
    }

    /// Q9: a command that is not plain text.
    #[test]
    fn commands_with_elements_do_not_read() {
        assert_eq!(
            of("<command>show version<x/>| save y</command>"),
            OperationClass::Operational
        );
        assert_eq!(of("<command/>"), OperationClass::Operational);
    }

    /// Q9: files written, messages sent, endless output, other commands, and what could be read in two ways.
    #[test]
    fn other_commands_do_not_read() {
        for text in [
            "",
            "s version",
            "set cli timestamp",
            "show configuration | save x",
            "show configuration|  sa   x",
            "show configuration | SAVE x",
            "show configuration | s x",
            "show configuration | append x",
            "show configuration | a x",
            "show configuration | tee x",
            "show configuration | t x",
            "show configuration | request message all",
            "show configuration | re x",
            "show configuration | refresh 1",
            "show configuration | hold",
            "show configuration | display xml | save x",
            "show configuration | match \"a | save x\"",
            "show configuration | match \"a|sav x\"",
            "show configuration | match \"a | save x",
            "show configuration | match a\\\" | save x",
            "show configuration |",
            "show configuration | | save x",
            "show version; request system reboot",
            "show version\nclear arp",
            "file show /etc/passwd",
            "clear arp",
            "ping 192.0.2.1",
            "start shell",
            "restart routing",
            "op script",
        ] {
            assert_eq!(classify_command(text), OperationClass::Operational, "{text:?}");
        }
    }

    /// Q9: what is refused as an RPC is refused as a command, however it is written.
    #[test]
    fn commands_are_judged_as_their_operations() {
        for (text, resource) in [
            ("configure exclusive", "edit-sessions"),
            ("CONF", "edit-sessions"),
            ("edit system", "edit-sessions"),
            ("clear system commit", "changes"),
            ("clear  SYS com | no-more", "changes"),
            ("clear \"system\" commit", "changes"),
            ("show version; clear system commit", "changes"),
            ("request system configuration rescue save", "config/rescue"),
            ("req sys conf resc sa", "config/rescue"),
        ] {
            let class = OperationClass::Configuration { resource };
            assert_eq!(classify_command(text), class, "{text:?}");
            let request = format!("<command>{}</command>", text.replace('"', "&quot;"));
            assert_eq!(of(&request), class, "{text:?}");
        }
        for text in [
            "clear system",
            "clear system login lockout",
            "clear services commit",
            "request system configuration rescue delete",
            "request message all message commit",
        ] {
            assert_eq!(classify_command(text), OperationClass::Operational, "{text:?}");
        }
        for (_, operation) in COMMANDS {
            let class = classify_operation(operation);
            assert!(
                matches!(class, OperationClass::Configuration { .. }),
                "{operation} is in no table"
            );
        }
    }
}
