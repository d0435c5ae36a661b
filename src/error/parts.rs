//! What an error carries beside its words.

use sha2::{Digest, Sha256};

use crate::netconf::rpc_error::RpcError;

/// What was not found, or is there already, if that is not the device itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// By its id.
    EditSession(String),
    /// By its id.
    Change(String),
    /// By its id.
    ConfirmedCommit(String),
    /// By its id.
    Operation(String),
}

/// One thing wrong with a request: where (a JSON pointer into the body, or `?name` for a query
/// option) and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    pub pointer: String,
    pub detail: String,
}

/// The difference between two configurations, as text, and what names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    pub text: String,
    /// SHA-256 of the text, hexadecimal.
    pub sha256: String,
}

impl Diff {
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let digest = Sha256::digest(text.as_bytes());
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { text, sha256 }
    }

    /// Whether the two configurations are the same.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// What one routing engine or cluster member said to a commit (conventions M1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberResult {
    pub name: String,
    /// Whether it reported success in so many words; with neither that nor errors it was silent.
    pub succeeded: bool,
    pub errors: Vec<RpcError>,
}

/// What is known of a confirmed commit that keeps others out (conventions C3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingCommit {
    /// Of the gateway's own; one of somebody else has none.
    pub id: Option<String>,
    /// `us` or `other`.
    pub by: String,
    pub owner: Option<String>,
    /// RFC 3339 in UTC.
    pub deadline: Option<String>,
}
