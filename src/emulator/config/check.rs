//! What a device looks at before it commits.

use super::compare::banner;
use super::groups::inherit;
use super::tree::Node;
use crate::emulator::device_error::DeviceError;

/// Everything that is wrong with a configuration, in the order in which a device tells.
pub fn check(root: &Node) -> Vec<DeviceError> {
    let applied = inherit(root, false);
    let mut problems = Vec::new();
    missing(&applied, &mut Vec::new(), &mut problems);
    for reference in REFERENCES {
        dangling(reference, &applied, &applied, 0, &mut Vec::new(), &mut problems);
    }
    problems
}

/// What a device says of an empty configuration: nobody could log in any more.
pub fn nothing_left() -> DeviceError {
    DeviceError::new("Missing mandatory statement: 'root-authentication'")
        .tagged("application", "invalid-value")
        .at("[edit]")
        .element("system")
}

/// Tells statements without what they must hold.
fn missing(node: &Node, path: &mut Vec<String>, problems: &mut Vec<DeviceError>) {
    for child in active(node) {
        if !child.statement.holds_statements() {
            continue;
        }
        let needed = child.statement.children().iter().filter(|below| below.mandatory);
        for below in needed.filter(|below| !active(child).any(|there| there.statement.name == below.name)) {
            problems.push(
                DeviceError::new(format!("Missing mandatory statement: '{}'", below.name))
                    .tagged("protocol", "operation-failed")
                    .at(banner(path))
                    .element(child.words().join(" ")),
            );
        }
        let depth = path.len();
        path.extend(child.words().into_iter().map(str::to_owned));
        missing(child, path, problems);
        path.truncate(depth);
    }
}

fn active(node: &Node) -> impl Iterator<Item = &Node> {
    node.children.iter().filter(|child| !child.inactive)
}

/// Statements that name others, which must be there.
struct Reference {
    /// Names of statements from the root to the one that refers.
    from: &'static [&'static str],
    /// Names of statements from the root to the ones that may be named.
    to: &'static [&'static str],
    /// What the device says, with the name where `{}` stands.
    message: &'static str,
    daemon: &'static str,
}

const POLICY: &str = "Policy error: Policy {} referenced but not defined";
const POLICIES: &[&str] = &["policy-options", "policy-statement"];
const FILTER: &str = "Referenced filter '{}' is not defined";
const FILTERS: &[&str] = &["firewall", "family", "inet", "filter"];

const fn reference(
    from: &'static [&'static str],
    to: &'static [&'static str],
    message: &'static str,
    daemon: &'static str,
) -> Reference {
    Reference {
        from,
        to,
        message,
        daemon,
    }
}

const REFERENCES: &[Reference] = &[
    reference(
        &[
            "interfaces",
            "interface",
            "unit",
            "family",
            "inet",
            "filter",
            "input",
            "filter-name",
        ],
        FILTERS,
        FILTER,
        "dfwc",
    ),
    reference(
        &[
            "interfaces",
            "interface",
            "unit",
            "family",
            "inet",
            "filter",
            "output",
            "filter-name",
        ],
        FILTERS,
        FILTER,
        "dfwc",
    ),
    reference(&["protocols", "bgp", "group", "import"], POLICIES, POLICY, "rpd"),
    reference(&["protocols", "bgp", "group", "export"], POLICIES, POLICY, "rpd"),
    reference(
        &["protocols", "bgp", "group", "neighbor", "import"],
        POLICIES,
        POLICY,
        "rpd",
    ),
    reference(
        &["protocols", "bgp", "group", "neighbor", "export"],
        POLICIES,
        POLICY,
        "rpd",
    ),
    reference(&["protocols", "ospf", "export"], POLICIES, POLICY, "rpd"),
];

/// Tells what refers to something that is not there.
fn dangling(
    reference: &Reference,
    root: &Node,
    node: &Node,
    depth: usize,
    path: &mut Vec<String>,
    problems: &mut Vec<DeviceError>,
) {
    let Some(name) = reference.from.get(depth) else {
        return;
    };
    for child in active(node).filter(|child| child.statement.name == *name) {
        if depth + 1 == reference.from.len() {
            if !exists(root, reference.to, &child.argument) {
                problems.push(
                    DeviceError::new(reference.message.replace("{}", &child.argument))
                        .tagged("protocol", "operation-failed")
                        .at(banner(path))
                        .element(child.full_words().join(" "))
                        .from_daemon(reference.daemon),
                );
            }
            continue;
        }
        let before = path.len();
        path.extend(child.words().into_iter().map(str::to_owned));
        dangling(reference, root, child, depth + 1, path, problems);
        path.truncate(before);
    }
}

/// Whether there is an entry of this name at the path.
fn exists(node: &Node, path: &[&str], argument: &str) -> bool {
    match path {
        [] => false,
        [last] => active(node).any(|child| child.statement.name == *last && child.argument == argument),
        [first, rest @ ..] => {
            active(node).any(|child| child.statement.name == *first && exists(child, rest, argument))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::set;
    use super::*;

    fn checked(commands: &str) -> Vec<(String, String, String)> {
        let mut root = Node::root();
        set::apply(&mut root, commands).unwrap();
        let text = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().to_owned();
        check(&root)
            .iter()
            .map(|problem| {
                (
                    problem.message.to_string(),
                    text(&problem.path),
                    text(&problem.bad_element),
                )
            })
            .collect()
    }

    fn problem(message: &str, path: &str, element: &str) -> (String, String, String) {
        (message.to_owned(), path.to_owned(), element.to_owned())
    }

    /// S27: what must be there is told with the level and the statement that lacks it.
    #[test]
    fn missing_statements_are_told() {
        assert_eq!(
            checked(
                "set system login user a uid 2000
                 set system login user b class operator
                 set policy-options community c"
            ),
            [
                problem(
                    "Missing mandatory statement: 'class'",
                    "[edit system login]",
                    "user a"
                ),
                problem(
                    "Missing mandatory statement: 'members'",
                    "[edit policy-options]",
                    "community c"
                ),
            ]
        );
    }

    /// S27: what is inactive counts for nothing, what comes from a group counts.
    #[test]
    fn inactive_statements_and_groups_are_seen() {
        assert_eq!(
            checked(
                "set groups all system login user a class operator
                 set apply-groups all
                 set system login user a uid 2000
                 set system login user b uid 2001
                 deactivate system login user b"
            ),
            []
        );
    }

    /// S27: references to nothing are told by the daemon that needs them.
    #[test]
    fn references_to_nothing_are_told() {
        assert_eq!(
            checked(
                "set interfaces ge-0/0/0 unit 0 family inet filter input f
                 set protocols bgp group g export [ known gone ]
                 set policy-options policy-statement known then accept"
            ),
            [
                problem(
                    "Referenced filter 'f' is not defined",
                    "[edit interfaces ge-0/0/0 unit 0 family inet filter input]",
                    "f"
                ),
                problem(
                    "Policy error: Policy gone referenced but not defined",
                    "[edit protocols bgp group g]",
                    "export gone"
                ),
            ]
        );
    }
}
