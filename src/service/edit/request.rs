//! What callers of the write path ask for, already taken apart by the front end but not yet judged (design sections
//! 4 to 6). Words of the API are types here; their `parse` is the one place that knows how they are written.

pub use crate::device::EditMode as Mode;
use crate::netconf::datastore::Datastore;
pub use crate::netconf::operation::{ErrorOption, TestOption};
use crate::service::request::{Content, OutputOptions, RpcBody};

/// Declares an enum of words: each with its spelling in the API.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            pub const ALL: &'static [$name] = &[$(Self::$variant,)*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// `None`: no such word.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text)
            }
        }
    };
}

words! {
    /// What an edit does to what is there already (design section 6).
    Action {
        Merge = "merge",
        /// Exactly the named subtrees.
        Replace = "replace",
        /// The whole configuration.
        Override = "override",
        /// The whole configuration, of which only what differs is touched; Junos only.
        Update = "update",
        /// `set` and `delete` lines; Junos only.
        Set = "set",
        /// Only elements that carry an operation act.
        None = "none",
    }
}

words! {
    /// What the text of an edit is written in.
    EditFormat {
        Json = "json",
        Xml = "xml",
        /// Junos configuration text with braces.
        Text = "text",
        /// Junos `set` lines.
        Set = "set",
        /// JSON in the device's own mapping, passed on as it is.
        DeviceJson = "device_json",
    }
}

words! {
    /// Whose operations are sent. Absent: Junos ones where the device offers them.
    Protocol {
        Junos = "junos",
        Rfc = "rfc",
    }
}

/// One edit, in a change or in an edit session.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// Absent: `set` when the format is `set`, else `merge`.
    pub action: Option<Action>,
    pub format: EditFormat,
    /// `system/login`: the hierarchy level that the configuration is for; with `replace` what is replaced.
    pub path: Option<String>,
    pub body: EditBody,
    /// The caller knows that the whole configuration is replaced; `override` needs it.
    pub whole_configuration: bool,
    /// In mode `shared`, of an edit that takes the place of everything: what others left in the candidate goes as well.
    pub discard_others: bool,
    pub error_option: Option<ErrorOption>,
    pub test_option: Option<TestOption>,
    pub protocol: Option<Protocol>,
}

impl Edit {
    /// An edit with the defaults.
    pub fn new(format: EditFormat, body: EditBody) -> Self {
        Self {
            action: None,
            format,
            path: None,
            body,
            whole_configuration: false,
            discard_others: false,
            error_option: None,
            test_option: None,
            protocol: None,
        }
    }

    /// Whether nothing of what was there before stays.
    pub fn takes_the_place_of_all(&self) -> bool {
        match &self.body {
            EditBody::Rollback(_) | EditBody::Rescue => true,
            // At the top `delete` alone deletes everything.
            EditBody::Config(lines) if self.format == EditFormat::Set => {
                // A byte order mark is not sent.
                let lines = lines.strip_prefix('\u{feff}').unwrap_or(lines);
                lines.lines().any(|line| line.trim() == "delete")
            }
            EditBody::Config(_) | EditBody::Url(_) => {
                matches!(self.action, Some(Action::Override | Action::Update))
            }
            EditBody::ReplacePattern { .. } => false,
        }
    }
}

/// Where the configuration of an edit comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum EditBody {
    /// The text as it was written: of JSON the order, repeated names and digits matter. JSON: the text of an object
    /// (of a JSON string for `device_json` if the caller wrote one: its content). Text and set lines: the string.
    Config(String),
    /// The device fetches it (conventions X8).
    Url(String),
    /// Stored configuration N becomes the candidate; Junos only.
    Rollback(u32),
    /// The rescue configuration becomes the candidate; Junos only.
    Rescue,
    /// Text is replaced wherever the regular expression matches; Junos only.
    ReplacePattern {
        pattern: String,
        with: String,
        /// Only below this hierarchy level.
        path: Option<String>,
    },
}

impl EditBody {
    /// Whether there is something in it, or where it points, that a format describes.
    pub fn has_format(&self) -> bool {
        match self {
            Self::Config(_) | Self::Url(_) => true,
            Self::Rollback(_) | Self::Rescue | Self::ReplacePattern { .. } => false,
        }
    }
}

/// `POST …/edit-sessions`
#[derive(Debug, Clone, PartialEq)]
pub struct OpenEditSession {
    pub mode: Mode,
    /// What is locked or edited; `running` and `startup` in the modes `exclusive` and `shared` only.
    pub datastore: Datastore,
    /// The ephemeral instance; absent: the default one.
    pub instance: Option<String>,
    /// 1 to 3600.
    pub ttl_seconds: u64,
    /// How long to wait for a lock that another holds, or for a session while others hold all that may be held; 0: not
    /// at all.
    pub wait_seconds: u64,
    /// Show the XML that would be sent, and send nothing.
    pub plan: bool,
}

impl Default for OpenEditSession {
    fn default() -> Self {
        Self {
            mode: Mode::Exclusive,
            datastore: Datastore::Candidate,
            instance: None,
            ttl_seconds: 60,
            wait_seconds: 0,
            plan: false,
        }
    }
}

/// `POST …/edit-sessions/{id}/edit`
#[derive(Debug, Clone, PartialEq)]
pub struct EditRequest {
    pub edit: Edit,
    pub plan: bool,
}

/// `POST …/edit-sessions/{id}/validate`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidateRequest {
    /// Also when somebody else's confirmed commit is pending, which a check may confirm; admins only.
    pub confirm_others: bool,
    pub plan: bool,
}

/// `POST …/edit-sessions/{id}/discard`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiscardRequest {
    /// In mode `shared`: what others left in the candidate goes as well.
    pub discard_others: bool,
    pub plan: bool,
}

/// How a commit is made (S27). All of it optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitOptions {
    /// Stands in the device's history; Junos only.
    pub comment: Option<String>,
    /// The device commits at this time, in its own notation (`23:15`, `2026-01-02 23:15`, `reboot`); Junos only.
    pub at: Option<String>,
    /// On all routing engines; Junos only.
    pub synchronize: bool,
    /// Even if another routing engine holds uncommitted changes; Junos only.
    pub force_synchronize: bool,
    /// All daemons read the configuration again, changed or not; Junos only.
    pub full: bool,
    /// Copy running to startup afterwards, also when there was nothing to commit; of a confirmed commit, when it is
    /// confirmed. Absent: what was committed, where the device has a startup datastore.
    pub save: Option<bool>,
    /// The device undoes it unless it is confirmed within so many seconds (S28).
    pub confirm_timeout_seconds: Option<u64>,
    /// Also when somebody else's confirmed commit is pending, which this one confirms; admins only.
    pub confirm_others: bool,
}

/// What tells whether a commit that has to be confirmed is good: a read that is repeated until it shows what is expected
/// (design section 6).
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeRequest {
    /// One that only reads.
    pub rpc: RpcBody,
    /// All of these have to hold. None: it is enough that the device answers.
    pub expect: Vec<Expect>,
    /// From the commit to the first attempt.
    pub delay_seconds: Option<u64>,
    /// From the end of an attempt to the next one.
    pub interval_seconds: Option<u64>,
    /// From the first attempt to the last.
    pub give_up_seconds: Option<u64>,
}

/// What a place of a reply has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// A JSON pointer (RFC 6901) into the `data` that a caller of the RPC sees.
    pub pointer: String,
    /// JSON, as text.
    pub equals: String,
}

/// `POST …/edit-sessions/{id}/commit`
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommitRequest {
    pub options: CommitOptions,
    /// Confirms or cancels it.
    pub probe: Option<ProbeRequest>,
    pub plan: bool,
}

/// `POST …/changes`: the nine steps in one call (S31).
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeRequest {
    /// Absent: `exclusive`; for a dry run on Junos `private`.
    pub mode: Option<Mode>,
    /// The ephemeral instance; absent: the default one.
    pub instance: Option<String>,
    /// 1 to 64, in order.
    pub edits: Vec<Edit>,
    /// Whether the device checks before it commits; the default is yes.
    pub validate: bool,
    pub commit: CommitOptions,
    /// Confirms or cancels a commit that has to be confirmed.
    pub probe: Option<ProbeRequest>,
    /// Refuse (412) when the device's configuration revision is another one; Junos only.
    pub if_revision: Option<String>,
    /// How long to wait for a lock that another holds, or for a session while others hold all that may be held; 0: not
    /// at all.
    pub wait_seconds: u64,
    /// Everything but the commit; the device is left as it was.
    pub dry_run: bool,
    /// Show the XML that would be sent, and send nothing.
    pub plan: bool,
}

impl Default for ChangeRequest {
    fn default() -> Self {
        Self {
            mode: None,
            instance: None,
            edits: Vec::new(),
            validate: true,
            commit: CommitOptions::default(),
            probe: None,
            if_revision: None,
            wait_seconds: 0,
            dry_run: false,
            plan: false,
        }
    }
}

/// `GET …/changes`: the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListChanges {
    /// At most this many; 0 = the default of 50, never above 1000.
    pub page_size: u32,
    pub page_token: Option<String>,
    /// Only changes in this state (conventions E1).
    pub state: Option<String>,
}

/// `GET /v1/confirmed-commits`: the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListConfirmedCommits {
    /// At most this many; 0 = the default of 50, never above 1000.
    pub page_size: u32,
    pub page_token: Option<String>,
    /// Only those of this device.
    pub device: Option<String>,
    /// Only those in this state.
    pub state: Option<String>,
}

/// `POST /v1/confirmed-commits/{id}/confirm`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfirmRequest {
    /// Whatever has come into the candidate since is committed as well; admins only.
    pub accept_candidate: bool,
    pub plan: bool,
}

/// `POST /v1/confirmed-commits/{id}/extend`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendRequest {
    /// Counted from now.
    pub confirm_timeout_seconds: u64,
    pub plan: bool,
}

/// A configuration as a whole, as source or target of an operation.
#[derive(Debug, Clone)]
pub enum Endpoint {
    Datastore(Datastore),
    /// The device goes there (conventions X8).
    Url(String),
    /// The configuration itself; as a source only.
    Config(Content),
}

/// `POST …/config/copy`
#[derive(Debug, Clone)]
pub struct CopyConfigRequest {
    pub source: Endpoint,
    pub target: Endpoint,
    /// To the candidate: what others left in it goes as well.
    pub discard_others: bool,
    pub output: OutputOptions,
    pub plan: bool,
}

/// `POST …/config/delete`
#[derive(Debug, Clone)]
pub struct DeleteConfigRequest {
    pub target: Endpoint,
    /// Of the candidate: what others left in it goes as well.
    pub discard_others: bool,
    pub output: OutputOptions,
    pub plan: bool,
}

/// `POST …/config/validate`
#[derive(Debug, Clone)]
pub struct ValidateConfigRequest {
    pub source: Endpoint,
    /// Also when somebody else's confirmed commit is pending, which a check may confirm; admins only.
    pub confirm_others: bool,
    pub output: OutputOptions,
    pub plan: bool,
}

/// `POST …/config/rescue`: what is committed now becomes the rescue configuration.
#[derive(Debug, Clone, Default)]
pub struct SaveRescueRequest {
    pub output: OutputOptions,
    pub plan: bool,
}

/// `POST …/candidate/discard`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiscardCandidateRequest {
    /// SHA-256, hexadecimal, of the difference that the caller has looked at. The `lock-denied` that names a modified
    /// candidate shows both.
    pub expect_diff_sha256: String,
    pub plan: bool,
}

/// `POST …/sessions/{session-id}/kill` (S26, L5)
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KillRequest {
    /// Why, for the log.
    pub reason: Option<String>,
    /// Refuse (412) unless the session is this user's.
    pub if_user: Option<String>,
    /// Refuse (412) unless the session was idle for so long.
    pub if_idle_seconds_at_least: Option<u64>,
    /// Also a session that holds a pending confirmed commit.
    pub force: bool,
    pub plan: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L2, S20: lines that delete everything are seen as the device sees them.
    #[test]
    fn lines_that_delete_everything_are_seen() {
        let takes_all = |lines: &str| {
            let edit = Edit::new(EditFormat::Set, EditBody::Config(lines.to_owned()));
            edit.takes_the_place_of_all()
        };
        for lines in [
            "delete",
            "set a b\n  delete \n",
            "\u{feff}delete",
            "\u{feff} delete\r\n",
        ] {
            assert!(takes_all(lines), "{lines:?}");
        }
        for lines in ["delete snmp", "set snmp contact delete", ""] {
            assert!(!takes_all(lines), "{lines:?}");
        }
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for mode in Mode::ALL {
            assert_eq!(Mode::parse(mode.as_str()), Some(*mode));
        }
        assert_eq!(Action::parse("none"), Some(Action::None));
        assert_eq!(EditFormat::parse("device_json"), Some(EditFormat::DeviceJson));
        assert_eq!(Protocol::parse("Junos"), None);
    }
}
