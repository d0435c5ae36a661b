//! Configuration, read (S11).

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use utoipa::{IntoParams, ToSchema};

use super::context::Context;
use super::envelope::{self, Envelope};
use super::extract::{OfConnection, PathArgs};
use super::negotiate::{self, Answer};
use super::openapi::Problems;
use super::output::OutputQuery;
use super::places::{self, Places};
use super::problem::ApiError;
use super::query::Query;
use crate::api::App;
use crate::service::request::{CompareRequest, Content, Format, GetConfigRequest, JunosConfigOptions};

#[derive(Debug, ToSchema)]
#[schema(rename_all = "kebab-case")]
pub enum WithDefaultsName {
    ReportAll,
    ReportAllTagged,
    Trim,
    Explicit,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum ProtocolName {
    Junos,
    Rfc,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum InheritName {
    Inherit,
    Defaults,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "kebab-case")]
pub enum CommitScriptsName {
    Apply,
    ApplyNoTransients,
    View,
}

/// What to read, beside the source. A device that does not offer an option refuses it with `capability-missing`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConfigParameters {
    /// A level of the hierarchy.
    #[param(example = "system/login")]
    pub path: Option<String>,
    /// A subtree filter, as JSON or as XML.
    pub filter: Option<String>,
    /// An XPath filter, where the device offers it.
    pub xpath: Option<String>,
    /// A prefix that `xpath` uses: `prefix=uri`; may stand several times.
    pub xpath_namespace: Option<Vec<String>>,
    /// RFC 6243.
    #[param(inline)]
    pub with_defaults: Option<WithDefaultsName>,
    /// Which operation reads: Junos `<get-configuration>` or `<get-config>`. Default: what the device offers.
    #[param(inline)]
    pub protocol: Option<ProtocolName>,
    /// Junos: expand groups into what inherits from them, or show the defaults too.
    #[param(inline)]
    pub inherit: Option<InheritName>,
    /// Junos: say which group an element comes from.
    pub groups: Option<bool>,
    /// Junos: expand interface ranges.
    pub interface_ranges: Option<bool>,
    /// Junos: mark what differs between candidate and running.
    pub changed: Option<bool>,
    /// Junos: show the configuration as commit scripts see it.
    #[param(inline)]
    pub commit_scripts: Option<CommitScriptsName>,
    /// Junos: mark the identifiers of list entries.
    pub key: Option<bool>,
    /// Junos: `false` = identifiers only.
    pub recurse: Option<bool>,
    /// Junos: at most this many entries of a list.
    pub count: Option<u64>,
    /// Junos: the first entry of a list to return, counted from 1.
    pub start: Option<u64>,
    /// Junos: a regular expression over configuration statements.
    pub matching: Option<String>,
    /// Junos: the XML schema of the hierarchy instead of the data.
    pub schema: Option<bool>,
}

/// Read configuration.
#[utoipa::path(get, path = "/v1/devices/{device}/config", operation_id = "getConfig", tag = "config",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("source" = Option<String>, Query, example = "running",
            description = "`running` (default), `candidate`, `startup`, `rollback:N`, `rescue` or `url:…`"),
        ConfigParameters, OutputQuery),
    responses(
        (status = 200, description = "The configuration stands under `data`", content(
            (Envelope = "application/json"), (String = "application/xml"),
        )),
        Problems,
    ))]
pub async fn get(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    OfConnection(connection): OfConnection,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let answer = negotiate::answer(&headers)?;
    let places = Places::of(&query, places::Body::None);
    let request = read_get(query, answer)?;
    let reply = app.gateway.get_config(&context, &device, request).await;
    let reply = reply.map_err(|error| places.tell(error))?;
    envelope::respond(&app, &context, connection.as_ref(), answer, reply).await
}

/// Compare two configurations.
///
/// `format` is `text` unless given: the patch that the device's CLI prints. With `json`, `xml` and `device_json` the
/// statements that differ come with what becomes of each (`operation`), from devices that can say so; others still
/// answer with a text inside. There is no `set`, and two stored configurations come as text only.
#[utoipa::path(get, path = "/v1/devices/{device}/config/compare", operation_id = "compareConfig", tag = "config",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("from" = Option<String>, Query, description = "`rollback:N`; default `rollback:0`", example = "rollback:1"),
        ("to" = Option<String>, Query, description = "`candidate` (default), `running` or `rollback:N`"), OutputQuery),
    responses(
        (status = 200, description = "The difference stands under `data`", content(
            (Envelope = "application/json"), (String = "application/xml"),
        )),
        Problems,
    ))]
pub async fn compare(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    OfConnection(connection): OfConnection,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let answer = negotiate::answer(&headers)?;
    let request = CompareRequest {
        from: query.value("from")?,
        to: query.value("to")?,
        output: query.output_or(answer, Format::Text)?,
    };
    query.finish()?;
    let reply = app.gateway.compare_config(&context, &device, request).await?;
    envelope::respond(&app, &context, connection.as_ref(), answer, reply).await
}

/// Reads the options of a read.
pub fn read_get(mut query: Query, answer: Answer) -> Result<GetConfigRequest, ApiError> {
    let request = GetConfigRequest {
        source: query.value("source")?,
        path: query.value("path")?,
        filter: query.value("filter")?.map(|text| {
            if text.trim_start().starts_with('<') {
                Content::Xml(text)
            } else {
                Content::Json(text)
            }
        }),
        xpath: query.value("xpath")?,
        xpath_namespaces: query.pairs("xpath_namespace")?,
        with_defaults: query.value("with_defaults")?,
        protocol: query.value("protocol")?,
        junos: JunosConfigOptions {
            inherit: query.value("inherit")?,
            groups: query.switch("groups")?.unwrap_or(false),
            interface_ranges: query.switch("interface_ranges")?.unwrap_or(false),
            changed: query.switch("changed")?.unwrap_or(false),
            commit_scripts: query.value("commit_scripts")?,
            key: query.switch("key")?.unwrap_or(false),
            recurse: query.switch("recurse")?,
            count: query.number("count")?,
            start: query.number("start")?,
            matching: query.value("matching")?,
            schema: query.switch("schema")?.unwrap_or(false),
        },
        output: query.output(answer)?,
    };
    query.finish()?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S11
    #[test]
    fn every_option_of_a_read_is_taken_from_the_query() {
        let raw = "source=candidate&path=system/login&filter=%3Csystem/%3E&xpath=/a:b&xpath_namespace=a=urn:a\
                   &with_defaults=trim&protocol=junos&inherit=inherit&groups&interface_ranges=true&changed=true\
                   &commit_scripts=view&key&recurse=false&count=5&start=2&matching=ge-.*&schema=false&format=set";
        let request = read_get(Query::parse(raw).expect("well-formed"), Answer::Json).expect("all are known");
        assert_eq!(request.source.as_deref(), Some("candidate"));
        assert_eq!(request.path.as_deref(), Some("system/login"));
        assert!(matches!(request.filter, Some(Content::Xml(text)) if text == "<system/>"));
        assert_eq!(request.xpath_namespaces, [("a".to_owned(), "urn:a".to_owned())]);
        let junos = request.junos;
        assert!(junos.groups && junos.interface_ranges && junos.changed && junos.key && !junos.schema);
        assert_eq!(
            (junos.recurse, junos.count, junos.start),
            (Some(false), Some(5), Some(2))
        );
        assert_eq!(junos.matching.as_deref(), Some("ge-.*"));
        assert_eq!(request.output.format, Format::Set);
        assert!(!request.output.whole_reply);

        let refused = read_get(Query::parse("sauce=running").expect("well-formed"), Answer::Xml);
        assert_eq!(refused.expect_err("H1").error.fields()[0].pointer, "?sauce");
    }
}
