//! The options that say how a reply is returned, as the OpenAPI document describes them. `Query::output`
//! reads them from a query string.

use utoipa::{IntoParams, ToSchema};

/// How the caller wants the data of a reply.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum FormatName {
    /// XML from the device, mapped to JSON by the gateway.
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

#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum MappingName {
    Ncj,
    Junos,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum TextName {
    Trimmed,
    Exact,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum NamespaceName {
    Off,
    On,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum PartialName {
    Discard,
    Keep,
}

/// Options of every call that returns device data.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OutputQuery {
    /// What is asked of the device, and what `data` is. Default `json`.
    #[param(inline)]
    pub format: Option<FormatName>,
    /// The rules from XML to JSON. Default `ncj`.
    #[param(inline)]
    pub mapping: Option<MappingName>,
    /// `hints` (default), `all`, or a comma-separated list of elements that are always lists.
    #[param(example = "hints")]
    pub arrays: Option<String>,
    /// Whether one line break is taken off each end of text. Default `trimmed`.
    #[param(inline)]
    pub text: Option<TextName>,
    /// Whether namespaces and display hints are kept. Default `off`.
    #[param(inline)]
    pub ns: Option<NamespaceName>,
    /// The version of the list table. Default: the newest.
    pub hints: Option<String>,
    /// Whether data beside an error is kept. Default: as the device's settings say.
    #[param(inline)]
    pub partial: Option<PartialName>,
}
