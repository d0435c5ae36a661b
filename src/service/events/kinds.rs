//! What events there are. `docs/events.md` tells when each comes; a test holds the two together.

use crate::service::changes::State as ChangeState;
use crate::service::confirmed::State as ConfirmedState;
use crate::service::operations::State as OperationState;

/// The kinds that have no state of their own behind them, with what they say.
const OTHERS: [&str; 10] = [
    // A NETCONF session with a device was opened, ended (with its reason), or could not be opened (told once for each
    // reason in a row).
    "session.up",
    "session.down",
    "session.failed",
    // An edit session.
    "edit_session.opened",
    "edit_session.closed",
    "edit_session.expired",
    "edit_session.lost",
    // The deadline of a confirmed commit was moved; or the device turned out never to have made it.
    "confirmed_commit.extended",
    "confirmed_commit.never_made",
    // The configuration of a device was changed past this gateway.
    "config.changed_elsewhere",
];

/// Every kind of event.
pub fn all() -> Vec<String> {
    let of = |family: &str, states: &[&str]| -> Vec<String> {
        states.iter().map(|state| format!("{family}.{state}")).collect()
    };
    let mut kinds: Vec<String> = OTHERS.map(str::to_owned).into();
    kinds.extend(of("change", &ChangeState::ALL.map(ChangeState::as_str)));
    kinds.extend(of(
        "confirmed_commit",
        &ConfirmedState::ALL.map(ConfirmedState::as_str),
    ));
    kinds.extend(of("operation", &OperationState::ALL.map(OperationState::as_str)));
    kinds
}

/// Whether there are events of this kind, or of kinds that begin with these words.
pub fn is_known(wanted: &str) -> bool {
    all().iter().any(|kind| {
        let rest = kind.strip_prefix(wanted);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Issue 4, item 9: the page for operators names them all.
    #[test]
    fn every_kind_is_documented() {
        let page = include_str!("../../../docs/events.md");
        for kind in all() {
            let (family, word) = kind.split_once('.').expect("two words");
            let whole = page.contains(&format!("`{kind}`"));
            let short = page
                .lines()
                .any(|line| line.contains(&format!("`{family}.")) && line.contains(&format!("`.{word}`")));
            let by_state = page.contains(&format!("`{family}.STATE`"));
            assert!(whole || short || by_state, "{kind}");
        }
    }

    #[test]
    fn kinds_are_known_by_whole_words() {
        for known in [
            "change",
            "change.committed",
            "confirmed_commit",
            "operation.unknown",
            "session",
        ] {
            assert!(is_known(known), "{known}");
        }
        for unknown in ["", "chan", "change.", "change.done", "edit", "reset"] {
            assert!(!is_known(unknown), "{unknown}");
        }
    }
}
