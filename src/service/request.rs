//! What callers ask for, already taken apart by the front end but not yet judged.

/// How the caller wants the data of a reply (design section 4, "format").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// XML from the device, our JSON mapping.
    #[default]
    Json,
    /// The reply as the device sent it.
    Xml,
    /// Formatted ASCII, as the CLI shows it.
    Text,
    /// `set` lines; configuration only.
    Set,
    /// The device's own JSON, an opaque string.
    DeviceJson,
}

impl Format {
    pub const ALL: &'static [Format] = &[Self::Json, Self::Xml, Self::Text, Self::Set, Self::DeviceJson];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Xml => "xml",
            Self::Text => "text",
            Self::Set => "set",
            Self::DeviceJson => "device_json",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.as_str() == text)
    }
}

/// What becomes of data that came before or beside an error (S19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partial {
    Discard,
    Keep,
}

/// How a reply is returned: the options of design section 4 and `json-mapping`, unparsed where the
/// service decides what is allowed.
#[derive(Debug, Clone, Default)]
pub struct OutputOptions {
    pub format: Format,
    /// `ncj` (default) or `junos`.
    pub mapping: Option<String>,
    /// `hints` (default), `all`, or a comma-separated list of element names.
    pub arrays: Option<String>,
    /// `trimmed` (default) or `exact`.
    pub text: Option<String>,
    /// `off` (default) or `on`.
    pub ns: Option<String>,
    /// The version of the list table.
    pub hints: Option<String>,
    /// Absent: as the device's settings say.
    pub partial: Option<Partial>,
    /// The whole `<rpc-reply>` is wanted (`Accept: application/xml`).
    pub whole_reply: bool,
}

/// Structured data from a caller, as text: JSON is kept as written, because order, duplicates and digits matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Json(String),
    Xml(String),
}

/// One RPC as a caller writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RpcBody {
    /// One element: as JSON `{"get-interface-information": {"terse": null}}`, or as XML.
    Whole(Content),
    /// A request tag and its arguments.
    Named { name: String, arguments: Arguments },
}

/// The arguments of a named RPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    None,
    /// A JSON object, or XML: the arguments side by side, or the operation with them inside.
    Content(Content),
    /// From a query string, in order; without a value an empty element.
    Pairs(Vec<(String, Option<String>)>),
}

#[derive(Debug, Clone)]
pub struct RpcRequest {
    pub rpc: RpcBody,
    /// Further attributes of `<rpc>`, which the device returns (S8).
    pub attributes: Vec<(String, String)>,
    pub output: OutputOptions,
    /// The front end can only carry what cannot change a device (GET, HEAD; conventions H15).
    pub safe_only: bool,
    /// Show the XML that would be sent, and send nothing.
    pub plan: bool,
}

/// What a batch does when one of its RPCs fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    Stop,
    Continue,
}

#[derive(Debug, Clone)]
pub struct BatchRequest {
    pub rpcs: Vec<BatchItem>,
    pub on_error: OnError,
    pub output: OutputOptions,
}

#[derive(Debug, Clone)]
pub struct BatchItem {
    pub rpc: RpcBody,
    /// The caller wrote the operation as the item itself, not in its member `rpc`.
    pub bare: bool,
    pub attributes: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub struct CliRequest {
    pub command: String,
    pub output: OutputOptions,
    pub plan: bool,
}

/// A read of configuration (S11). Which of the options a device can serve is decided by its capabilities.
#[derive(Debug, Clone, Default)]
pub struct GetConfigRequest {
    /// `running` (default), `candidate`, `startup`, `rollback:N`, `rescue`, or `url:…`.
    pub source: Option<String>,
    /// `system/login`: a hierarchy level; `module:name` where the device needs namespaces.
    pub path: Option<String>,
    /// A subtree filter.
    pub filter: Option<Content>,
    pub xpath: Option<String>,
    /// Prefixes used in `xpath`, as `prefix=uri`.
    pub xpath_namespaces: Vec<(String, String)>,
    /// RFC 6243: `report-all`, `report-all-tagged`, `trim`, `explicit`.
    pub with_defaults: Option<String>,
    /// `junos` or `rfc`: which operation reads. Absent: what the device offers.
    pub protocol: Option<String>,
    pub junos: JunosConfigOptions,
    pub output: OutputOptions,
}

/// The options of Junos `<get-configuration>`, named as they are on the wire.
#[derive(Debug, Clone, Default)]
pub struct JunosConfigOptions {
    /// `inherit` or `defaults`.
    pub inherit: Option<String>,
    pub groups: bool,
    pub interface_ranges: bool,
    /// Mark what differs between candidate and running.
    pub changed: bool,
    /// `apply`, `apply-no-transients` or `view`.
    pub commit_scripts: Option<String>,
    /// Mark the identifiers of list entries (`junos:key`).
    pub key: bool,
    /// `false`: identifiers only.
    pub recurse: Option<bool>,
    pub count: Option<u64>,
    pub start: Option<u64>,
    /// A regular expression over configuration statements.
    pub matching: Option<String>,
    /// The XML schema of the hierarchy instead of the data.
    pub schema: bool,
}

#[derive(Debug, Clone)]
pub struct CompareRequest {
    /// `rollback:N` (default `rollback:0`).
    pub from: Option<String>,
    /// `candidate` (default), `running` or `rollback:N`.
    pub to: Option<String>,
    /// The front ends ask for [`Format::Text`] unless their callers say otherwise.
    pub output: OutputOptions,
}

/// Which version of a thing a change may meet (conventions H9): RFC 9110 section 13.1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: any.
    Any,
    /// One of these, without their quotes. Weak tags never match, so they are not among them.
    OneOf(Vec<String>),
}

impl IfMatch {
    /// A single tag as an answer showed it.
    pub fn one(etag: &str) -> Self {
        let etag = etag.trim();
        match etag {
            "*" => Self::Any,
            weak if weak.starts_with("W/") => Self::OneOf(Vec::new()),
            tag => Self::OneOf(vec![tag.trim_matches('"').to_owned()]),
        }
    }
}

#[derive(Debug, Clone)]
pub struct ListRequest {
    /// At most this many; 0 = the default of 50, never above 1000.
    pub page_size: u32,
    pub page_token: Option<String>,
    /// All of these labels with these values.
    pub labels: Vec<(String, String)>,
}
