//! What a device looks at before it commits.

use super::compare::banner;
use super::tree::Node;
use crate::emulator::device_error::DeviceError;

/// Everything that is wrong with a configuration, in the order in which a device tells.
pub fn check(root: &Node) -> Vec<DeviceError> {
    let mut problems = Vec::new();
    let mut path = Vec::new();
    level(root, &mut path, &mut problems);
    problems
}

fn level(node: &Node, path: &mut Vec<String>, problems: &mut Vec<DeviceError>) {
    for child in node
        .children
        .iter()
        .filter(|child| !child.inactive && child.statement.name != "groups")
    {
        let depth = path.len();
        path.extend(child.words().into_iter().map(str::to_owned));
        level(child, path, problems);
        path.truncate(depth);
    }
    let _ = banner(path);
}
