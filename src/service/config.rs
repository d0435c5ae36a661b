//! Reading configuration (S11): `<get-configuration>` on Junos, `<get-config>` elsewhere or when asked for.

use super::Gateway;
use super::call::{CallContext, Role};
use super::config_options::{check_schema, first_option};
use super::failure::Asked;
use super::output::Output;
use super::prepare;
use super::reply::Reply;
use super::request::{CompareRequest, Content, Format, GetConfigRequest, JunosConfigOptions};
use super::url_policy::{UrlPolicy, refusal};
use crate::device::{Device, Request};
use crate::error::Error;
use crate::json::{self, Target, ToXmlOptions};
use crate::netconf::capability::Capabilities;
use crate::netconf::datastore::Datastore;
use crate::netconf::junos::get_configuration::{
    CommitScripts, Compare, Database, Inherit, MAX_ROLLBACK, Objects, Selection,
};
use crate::netconf::junos::{
    self, CompareRollbacks, GetConfiguration, GetRescue, GetRollback, GetXnmInformation,
};
use crate::netconf::operation::{ConfigSource, Filter, GetConfig, WithDefaults};
use crate::netconf::path::ConfigPath;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Fragment;

impl Gateway {
    /// Configuration, or a part of it, from one of the device's sources.
    ///
    /// # Errors
    /// `invalid-argument` for options that exclude each other or that the source does not have; `capability-missing`
    /// when the device cannot; its refusal.
    pub async fn get_config(
        &self,
        ctx: &CallContext,
        name: &str,
        request: GetConfigRequest,
    ) -> Result<Reply, Error> {
        ctx.principal.require(Role::Read)?;
        let (record, device) = self.device(name).await?;
        let on_device = |error: Error| error.with_device(name);
        let output = Output::new(&request.output, record.settings.partial).map_err(on_device)?;
        check_schema(&request).map_err(on_device)?;
        let wanted = Wanted::new(&request, output.format, &self.inner.urls).map_err(on_device)?;
        let is_junos = self.is_junos(ctx, &device).await?;
        let request = wanted
            .request(is_junos, request.junos, &output)
            .map_err(on_device)?;
        self.read(ctx, name, &device, request, &output, Asked::Read).await
    }

    /// The request for a device that speaks the Junos XML protocol, or does not.
    ///
    /// # Errors
    /// As [`Self::get_config`], before anything is sent.
    pub(super) fn config_request(
        &self,
        request: GetConfigRequest,
        output: &Output,
        is_junos: bool,
    ) -> Result<Request, Error> {
        let wanted = Wanted::new(&request, output.format, &self.inner.urls)?;
        wanted.request(is_junos, request.junos, output)
    }

    /// The difference between two configurations: as text the patch that a CLI prints, otherwise the statements that
    /// differ with what becomes of each.
    ///
    /// # Errors
    /// `capability-missing` on a device without the Junos XML protocol; `invalid-argument` for sides that cannot be
    /// compared, or a format that the comparison does not come in.
    pub async fn compare_config(
        &self,
        ctx: &CallContext,
        name: &str,
        request: CompareRequest,
    ) -> Result<Reply, Error> {
        ctx.principal.require(Role::Read)?;
        let (record, device) = self.device(name).await?;
        let on_device = |error: Error| error.with_device(name);
        let output = Output::new(&request.output, record.settings.partial).map_err(on_device)?;
        let format = match output.format {
            Format::Text => junos::Format::Text,
            Format::Json | Format::Xml => junos::Format::Xml,
            Format::DeviceJson => junos::Format::Json,
            Format::Set => {
                let detail =
                    "a comparison does not come as set commands; there are text, json, xml and device_json";
                return Err(on_device(Error::invalid("?format", detail)));
            }
        };
        let from =
            Side::parse(request.from.as_deref().unwrap_or("rollback:0"), "?from").map_err(on_device)?;
        let to = Side::parse(request.to.as_deref().unwrap_or("candidate"), "?to").map_err(on_device)?;
        let read = match (from, to) {
            (Side::Rollback(_), Side::Rollback(_)) if format != junos::Format::Text => {
                let detail = "two stored configurations are compared as text only";
                return Err(on_device(Error::invalid("?format", detail)));
            }
            (Side::Rollback(from), Side::Rollback(to)) => Read::Rollbacks(CompareRollbacks {
                rollback: from,
                compare: to,
            }),
            (Side::Rollback(from), Side::Candidate) => compared(Database::Candidate, from, format),
            (Side::Rollback(from), Side::Running) => compared(Database::Committed, from, format),
            (Side::Candidate | Side::Running, _) => {
                let detail = "a comparison starts from a stored configuration, rollback:N";
                return Err(on_device(Error::invalid("?from", detail)));
            }
        };
        let request = output.request(move |caps| read.rpc(caps), Vec::new());
        self.read(ctx, name, &device, request, &output, Asked::Read).await
    }

    /// Whether the device speaks the Junos XML protocol; connects if nobody knows yet.
    async fn is_junos(&self, ctx: &CallContext, device: &Device) -> Result<bool, Error> {
        let shown = device
            .established(ctx.principal.id(), self.deadline(ctx, device))
            .await
            .map_err(super::failure::device)?;
        Ok(shown.capabilities.is_junos())
    }
}

fn compared(database: Database, rollback: u8, format: junos::Format) -> Read {
    Read::Junos(GetConfiguration {
        database: Some(database),
        compare: Some(Compare::Rollback(rollback)),
        format,
        ..GetConfiguration::default()
    })
}

/// One side of a comparison.
enum Side {
    Candidate,
    Running,
    Rollback(u8),
}

impl Side {
    fn parse(text: &str, option: &str) -> Result<Self, Error> {
        match text {
            "candidate" => Ok(Self::Candidate),
            "running" => Ok(Self::Running),
            _ => match text.strip_prefix("rollback:") {
                Some(number) => rollback(number, option).map(Self::Rollback),
                None => Err(Error::invalid(
                    option,
                    format!("{text:?} is none of candidate, running, rollback:N"),
                )),
            },
        }
    }
}

fn rollback(number: &str, option: &str) -> Result<u8, Error> {
    match number.parse::<u8>() {
        Ok(number) if number <= MAX_ROLLBACK => Ok(number),
        _ => Err(Error::invalid(
            option,
            format!("rollback:{number} is not one of rollback:0 to rollback:{MAX_ROLLBACK}"),
        )),
    }
}

/// Where configuration is read from, by the words of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Datastore(Datastore),
    Rollback(u8),
    Rescue,
    Url(String),
}

impl Source {
    fn parse(text: &str, urls: &UrlPolicy) -> Result<Self, Error> {
        if let Some(datastore) = Datastore::from_name(text) {
            return Ok(Self::Datastore(datastore));
        }
        match text.split_once(':') {
            None if text == "rescue" => Ok(Self::Rescue),
            Some(("rollback", number)) => rollback(number, "?source").map(Self::Rollback),
            Some(("url", url)) if urls.allows(url) => Ok(Self::Url(url.to_owned())),
            Some(("url", url)) => Err(refusal("?source", url)),
            _ => Err(Error::invalid(
                "?source",
                format!("{text:?} is none of running, candidate, startup, rollback:N, rescue, url:…"),
            )),
        }
    }
}

/// What the caller wants, judged as far as that is possible without knowing the device.
struct Wanted {
    source: Source,
    selection: What,
    with_defaults: Option<WithDefaults>,
    protocol: Option<Protocol>,
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Junos,
    Rfc,
}

/// Which part of the configuration.
enum What {
    All,
    Path(ConfigPath),
    Subtree(Content),
    XPath {
        select: String,
        namespaces: Vec<(String, String)>,
    },
}

impl Wanted {
    fn new(request: &GetConfigRequest, format: Format, urls: &UrlPolicy) -> Result<Self, Error> {
        let given = [
            request.path.is_some(),
            request.filter.is_some(),
            request.xpath.is_some(),
        ];
        if given.iter().filter(|given| **given).count() > 1 {
            return Err(Error::invalid(
                "?filter",
                "path, filter and xpath exclude each other",
            ));
        }
        if request.xpath.is_none() && !request.xpath_namespaces.is_empty() {
            return Err(Error::invalid("?xpath_namespace", "belongs to xpath"));
        }
        let selection = if let Some(path) = &request.path {
            What::Path(ConfigPath::parse(path).map_err(|error| Error::invalid("?path", error.to_string()))?)
        } else if let Some(filter) = &request.filter {
            What::Subtree(filter.clone())
        } else if let Some(select) = &request.xpath {
            if select.trim().is_empty() {
                return Err(Error::invalid("?xpath", "must not be empty"));
            }
            What::XPath {
                select: select.clone(),
                namespaces: request.xpath_namespaces.clone(),
            }
        } else {
            What::All
        };
        let with_defaults = match &request.with_defaults {
            None => None,
            Some(mode) => Some(WithDefaults::from_name(mode).ok_or_else(|| {
                let words = "report-all, report-all-tagged, trim, explicit";
                Error::invalid("?with_defaults", format!("{mode:?} is none of {words}"))
            })?),
        };
        let protocol = match request.protocol.as_deref() {
            None => None,
            Some("junos") => Some(Protocol::Junos),
            Some("rfc") => Some(Protocol::Rfc),
            Some(other) => {
                return Err(Error::invalid(
                    "?protocol",
                    format!("{other:?} is none of junos, rfc"),
                ));
            }
        };
        let source = Source::parse(request.source.as_deref().unwrap_or("running"), urls)?;
        Ok(Self {
            source,
            selection,
            with_defaults,
            protocol,
            format,
        })
    }

    fn request(self, is_junos: bool, options: JunosConfigOptions, output: &Output) -> Result<Request, Error> {
        let read = self.plan(is_junos, options)?;
        let selection = read.selection();
        let mut request = output.request(move |caps| read.rpc(caps), Vec::new());
        // Wherever it was kept, what callers get is `data.configuration`.
        request.selection = request.selection.map(|_| selection);
        Ok(request)
    }

    /// Chooses the operation. What only one of the two protocols has decides; otherwise Junos devices are asked in
    /// their own.
    fn plan(self, is_junos: bool, options: JunosConfigOptions) -> Result<Read, Error> {
        let rfc_only = match (&self.selection, self.with_defaults, &self.source) {
            (What::XPath { .. }, ..) => Some("xpath"),
            (_, Some(_), _) => Some("with_defaults"),
            (.., Source::Datastore(Datastore::Startup)) => Some("source=startup"),
            (.., Source::Url(_)) => Some("source=url"),
            _ => None,
        };
        let junos_only = match (&self.source, self.format) {
            (Source::Rollback(_), _) => Some("source=rollback"),
            (Source::Rescue, _) => Some("source=rescue"),
            (_, Format::Text | Format::Set | Format::DeviceJson) => Some("format"),
            _ => first_option(&options),
        };
        if let (Some(rfc), Some(junos)) = (rfc_only, junos_only) {
            let detail = format!("{rfc} belongs to get-config, {junos} to get-configuration of Junos");
            return Err(Error::invalid("?protocol", detail));
        }
        match (self.protocol, rfc_only, junos_only) {
            (Some(Protocol::Junos), Some(option), _) => Err(Error::invalid(
                "?protocol",
                format!("{option} belongs to get-config, protocol=rfc"),
            )),
            (Some(Protocol::Rfc), _, Some(option)) => Err(Error::invalid(
                "?protocol",
                format!("{option} belongs to get-configuration, protocol=junos"),
            )),
            (Some(Protocol::Rfc), ..) | (None, Some(_), _) => self.rfc(is_junos),
            (Some(Protocol::Junos), ..) | (None, _, Some(_)) => self.junos(options),
            (None, None, None) if is_junos => self.junos(options),
            (None, None, None) => self.rfc(is_junos),
        }
    }

    fn rfc(self, is_junos: bool) -> Result<Read, Error> {
        let source = match self.source {
            Source::Datastore(datastore) => ConfigSource::Datastore(datastore),
            Source::Url(url) => ConfigSource::Url(url),
            Source::Rollback(_) | Source::Rescue => {
                return Err(Error::invalid("?source", "only Junos keeps such configurations"));
            }
        };
        let filter = match self.selection {
            What::All => RfcFilter::None,
            What::Path(path) if is_junos => RfcFilter::Ready(Filter::Subtree(configuration_of(&path)?)),
            What::Path(path) => RfcFilter::Path(path),
            What::Subtree(Content::Xml(text)) => {
                RfcFilter::Ready(Filter::Subtree(prepare::from_xml(&text, "/filter")?))
            }
            What::Subtree(Content::Json(text)) => RfcFilter::Json(text),
            What::XPath { select, namespaces } => RfcFilter::Ready(Filter::XPath { select, namespaces }),
        };
        Ok(Read::Rfc {
            source,
            filter,
            with_defaults: self.with_defaults,
        })
    }

    fn junos(self, options: JunosConfigOptions) -> Result<Read, Error> {
        let format = match self.format {
            Format::Json | Format::Xml => junos::Format::Xml,
            Format::Text => junos::Format::Text,
            Format::Set => junos::Format::Set,
            Format::DeviceJson => junos::Format::Json,
        };
        if options.schema {
            return Ok(Read::Schema(GetXnmInformation));
        }
        let whole = matches!(self.selection, What::All) && first_option(&options).is_none();
        let database = match self.source {
            Source::Datastore(Datastore::Candidate) => Database::Candidate,
            Source::Datastore(Datastore::Running) => Database::Committed,
            Source::Rollback(number) if whole => return Ok(Read::Rollback(GetRollback { number, format })),
            Source::Rescue if whole => return Ok(Read::Rescue(GetRescue { format })),
            Source::Rollback(_) | Source::Rescue => {
                let detail =
                    "a stored configuration comes whole; path, filter and the other options do not apply";
                return Err(Error::invalid("?source", detail));
            }
            Source::Datastore(Datastore::Startup) | Source::Url(_) => {
                return Err(Error::invalid(
                    "?source",
                    "get-configuration of Junos knows running and candidate",
                ));
            }
        };
        let objects = Objects {
            identifiers_only: options.recurse == Some(false),
            count: small(options.count, "?count")?,
            start: small(options.start, "?start")?,
            matching: options.matching.clone(),
        };
        let selection = match self.selection {
            What::Path(path) => Selection::Path { path, objects },
            other if objects != Objects::default() => {
                let _ = other;
                return Err(Error::invalid(
                    "?path",
                    "recurse, count, start and matching need a path to the objects",
                ));
            }
            What::All => Selection::All,
            What::Subtree(Content::Xml(text)) => Selection::Elements(prepare::from_xml(&text, "/filter")?),
            What::Subtree(Content::Json(text)) => Selection::Elements(prepare::from_json(
                &text,
                Target::Filter,
                "/filter",
                &ToXmlOptions::default(),
            )?),
            What::XPath { .. } => {
                return Err(Error::invalid(
                    "?xpath",
                    "get-configuration of Junos knows no XPath",
                ));
            }
        };
        Ok(Read::Junos(GetConfiguration {
            database: Some(database),
            format,
            inherit: match options.inherit.as_deref() {
                None => None,
                Some("inherit") => Some(Inherit::Groups),
                Some("defaults") => Some(Inherit::Defaults),
                Some(other) => {
                    return Err(Error::invalid(
                        "?inherit",
                        format!("{other:?} is none of inherit, defaults"),
                    ));
                }
            },
            groups: options.groups,
            interface_ranges: options.interface_ranges,
            changed: options.changed,
            commit_scripts: match options.commit_scripts.as_deref() {
                None => None,
                Some("apply") => Some(CommitScripts::Apply),
                Some("apply-no-transients") => Some(CommitScripts::ApplyNoTransients),
                Some("view") => Some(CommitScripts::View),
                Some(other) => {
                    let detail = format!("{other:?} is none of apply, apply-no-transients, view");
                    return Err(Error::invalid("?commit_scripts", detail));
                }
            },
            compare: None,
            identifiers: options.key,
            selection,
        }))
    }
}

fn small(value: Option<u64>, option: &str) -> Result<Option<u32>, Error> {
    value
        .map(|value| {
            u32::try_from(value)
                .map_err(|_| Error::invalid(option, format!("{value} is more than {}", u32::MAX)))
        })
        .transpose()
}

/// The path as an element of `<configuration>`, for a subtree filter of a Junos device.
fn configuration_of(path: &ConfigPath) -> Result<Fragment, Error> {
    let unwritable = |error: crate::xml::WriteError| Error::invalid("?path", error.to_string());
    let inner = path.fragment(&[]).map_err(unwritable)?;
    let mut writer = crate::xml::Writer::new();
    writer
        .open("configuration")
        .map_err(unwritable)?
        .fragment(&inner)
        .map_err(unwritable)?;
    writer.close().map_err(unwritable)?;
    writer.finish().map_err(unwritable)
}

/// A filter whose namespaces may depend on the device's modules.
enum RfcFilter {
    None,
    Ready(Filter),
    Path(ConfigPath),
    Json(String),
}

/// The operation that reads.
enum Read {
    Rfc {
        source: ConfigSource,
        filter: RfcFilter,
        with_defaults: Option<WithDefaults>,
    },
    Junos(GetConfiguration),
    Rollback(GetRollback),
    Rollbacks(CompareRollbacks),
    Rescue(GetRescue),
    Schema(GetXnmInformation),
}

impl Read {
    /// What of the reply is the configuration.
    fn selection(&self) -> json::Selection {
        match self {
            Self::Rollback(_) | Self::Rescue(_) => json::Selection::StoredConfiguration,
            Self::Rfc { .. } | Self::Junos(_) | Self::Rollbacks(_) | Self::Schema(_) => {
                json::Selection::ReplyPayload
            }
        }
    }

    fn rpc(self, caps: &Capabilities) -> Result<Rpc, RequestError> {
        match self {
            Self::Rfc {
                source,
                filter,
                with_defaults,
            } => {
                let filter = filter.resolve(caps)?;
                GetConfig {
                    source,
                    filter,
                    with_defaults,
                }
                .rpc(caps)
            }
            Self::Junos(get) => get.rpc(caps),
            Self::Rollback(get) => get.rpc(caps),
            Self::Rollbacks(get) => get.rpc(caps),
            Self::Rescue(get) => get.rpc(caps),
            Self::Schema(get) => get.rpc(caps),
        }
    }
}

impl RfcFilter {
    fn resolve(self, caps: &Capabilities) -> Result<Option<Filter>, RequestError> {
        let invalid = |parameter: &'static str, detail: String| RequestError::Invalid { parameter, detail };
        match self {
            Self::None => Ok(None),
            Self::Ready(filter) => Ok(Some(filter)),
            Self::Path(path) => path
                .qualified_fragment(&caps.namespaces())
                .map(|fragment| Some(Filter::Subtree(fragment)))
                .map_err(|error| invalid("path", error.to_string())),
            Self::Json(text) => {
                let options = ToXmlOptions {
                    modules: caps.namespaces(),
                    ..ToXmlOptions::default()
                };
                crate::json::to_xml(&text, Target::Filter, &options)
                    .map(|fragment| Some(Filter::Subtree(fragment)))
                    .map_err(|error| invalid("filter", format!("{}: {}", error.pointer, error.detail)))
            }
        }
    }
}
