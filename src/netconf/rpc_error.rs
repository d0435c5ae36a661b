//! The rpc-error of RFC 6241 section 4.3, with what Junos adds to it or leaves out (S18).
//!
//! Nothing is required: two thirds of the errors of real Junos devices have neither error-type nor error-tag.

use super::error_class::{self, ErrorClass};
use super::lock_refusal::{self, LockHolder, LockRefusal};

/// One `<rpc-error>`, `<xnm:error>` or `<xnm:warning>`. What the device did not say is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RpcError {
    pub error_type: Option<String>,
    pub error_tag: Option<String>,
    pub error_severity: Option<String>,
    pub error_app_tag: Option<String>,
    /// An XPath by the RFC; on Junos a place in the CLI hierarchy, `[edit interfaces ge-0/0/2]`.
    pub error_path: Option<String>,
    /// The prefixes in `error_path` and what they stand for.
    pub error_path_namespaces: Vec<(String, String)>,
    /// Without the newlines that Junos wraps it in.
    pub error_message: Option<String>,
    /// The content of `<error-info>`, as XML that declares its prefixes.
    pub error_info: Option<String>,
    pub bad_element: Option<String>,
    pub source_daemon: Option<String>,
    /// The routing engine or cluster member that reported it.
    pub member: Option<String>,
}

impl RpcError {
    /// M1: only what calls itself a warning is one; absent and unknown severities are errors.
    pub fn is_warning(&self) -> bool {
        self.error_severity
            .as_deref()
            .is_some_and(|severity| severity.eq_ignore_ascii_case("warning"))
    }

    /// What kind of failure this is: by its tag, and by its text where the tag says nothing.
    pub fn class(&self) -> ErrorClass {
        error_class::classify(self)
    }

    /// As `class`, for an error that session `own` got: a lock that this very session holds is told apart.
    pub fn class_in_session(&self, own: u64) -> ErrorClass {
        error_class::in_session(self.class(), own)
    }

    /// Why session `own` was refused a lock that it asked for, and who holds it. `None` when the error is about
    /// something else. Only for answers to a lock: elsewhere `in-use` need not be about one.
    pub fn lock_refusal(&self, own: u64) -> Option<LockRefusal> {
        lock_refusal::lock_refusal(self, own)
    }

    /// Who holds the lock, as far as the error says. `None` when it is not about a held lock.
    pub fn lock_holder(&self) -> Option<LockHolder> {
        match self.class() {
            ErrorClass::LockHeld { holder } => Some(holder),
            _ => None,
        }
    }
}

/// M2: of several errors, the one with the most specific path; the first when none has a path.
pub fn headline(errors: &[RpcError]) -> Option<&RpcError> {
    let mut best: Option<(&RpcError, usize)> = None;
    for error in errors {
        let specific = error.error_path.as_deref().map_or(0, path_length);
        if best.is_none_or(|(_, most)| specific > most) {
            best = Some((error, specific));
        }
    }
    best.map(|(error, _)| error)
}

/// How many steps a path has, in either notation.
fn path_length(path: &str) -> usize {
    match path.trim().strip_prefix('[') {
        Some(hierarchy) => hierarchy.split_whitespace().count(),
        None => path.split('/').filter(|step| !step.trim().is_empty()).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: Option<&str>, message: &str) -> RpcError {
        RpcError {
            error_path: path.map(str::to_owned),
            error_message: Some(message.to_owned()),
            ..RpcError::default()
        }
    }

    /// M1
    #[test]
    fn missing_severity_is_an_error() {
        let with = |severity: &str| RpcError {
            error_severity: Some(severity.to_owned()),
            ..RpcError::default()
        };
        assert!(!RpcError::default().is_warning());
        assert!(!with("error").is_warning() && !with("notice").is_warning());
        assert!(with("warning").is_warning() && with("Warning").is_warning());
    }

    /// M2: Junos puts the summary last and the cause first; either way the cause is the headline.
    #[test]
    fn headline_has_the_most_specific_path() {
        let errors = [
            at(None, "summary"),
            at(Some("[edit]"), "near"),
            at(Some("[edit interfaces ge-0/0/2]"), "cause"),
            at(Some("[edit interfaces ge-0/0/3]"), "another"),
        ];
        assert_eq!(headline(&errors), Some(&errors[2]));
        assert_eq!(headline(&errors[..1]), Some(&errors[0]));
        let errors = [
            at(Some("/nc:rpc"), "near"),
            at(Some("/a:b/a:c[a:n='x']"), "cause"),
        ];
        assert_eq!(headline(&errors), Some(&errors[1]));
        assert_eq!(headline(&[]), None);
    }
}
