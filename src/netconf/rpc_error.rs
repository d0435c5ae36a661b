//! The rpc-error of RFC 6241 section 4.3, with what Junos adds to it or leaves out.

/// One `<rpc-error>`, `<xnm:error>` or `<xnm:warning>`. What the device did not say is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RpcError {
    pub error_type: Option<String>,
    pub error_tag: Option<String>,
    pub error_severity: Option<String>,
    pub error_app_tag: Option<String>,
    pub error_path: Option<String>,
    pub error_message: Option<String>,
    /// The content of `<error-info>`, as XML.
    pub error_info: Option<String>,
    pub bad_element: Option<String>,
    pub source_daemon: Option<String>,
    /// The routing engine or cluster member that reported it.
    pub member: Option<String>,
}
