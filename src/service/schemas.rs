//! The YANG modules of a device and their texts (S5; RFC 6022).

use super::Gateway;
use super::call::{CallContext, Role};
use super::failure::{self, Asked};
use super::output::Output;
use super::reply::Reply;
use super::request::{Format, OutputOptions};
use super::told::{self, text_of};
use super::view::{SchemaList, SchemaView};
use crate::error::Error;
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::operation::{Filter, Get, GetSchema};
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// At most this much of a list of schemas is looked at, in bytes.
const MOST_SCHEMAS: u64 = 32 << 20;

impl Gateway {
    /// The schemas that the device offers: as its monitoring tells, or else the modules of its hello.
    ///
    /// # Errors
    /// Why there is no session; the device's refusal.
    pub async fn list_schemas(&self, ctx: &CallContext, name: &str) -> Result<SchemaList, Error> {
        ctx.principal.require(Role::Read)?;
        let (_, device) = self.device(name).await?;
        let shown = device
            .established(ctx.principal.id(), self.deadline(ctx, &device))
            .await
            .map_err(failure::device)?;
        if !shown.capabilities.has(Capability::Monitoring) {
            let schemas = shown.capabilities.modules().map(|module| SchemaView {
                identifier: module.name,
                version: module.revision,
                format: Some("yang".to_owned()),
                namespace: Some(module.namespace),
            });
            return Ok(SchemaList {
                schemas: schemas.collect(),
                source: "hello".to_owned(),
            });
        }
        let raw = self
            .told(ctx, name, &device, |caps| monitored("schemas", caps))
            .await?;
        let reply = told::tree(name, &raw, MOST_SCHEMAS)?;
        let list = reply.path(&["data", "netconf-state", "schemas"]);
        let schemas = list
            .into_iter()
            .flat_map(|list| list.children_named("schema"))
            .map(|schema| {
                let leaf = |name: &str| text_of(schema, name);
                SchemaView {
                    identifier: leaf("identifier").unwrap_or_default(),
                    version: leaf("version"),
                    // An identityref: the prefix says nothing that its name does not.
                    format: leaf("format")
                        .map(|format| format.rsplit(':').next().unwrap_or_default().to_owned()),
                    namespace: leaf("namespace"),
                }
            });
        Ok(SchemaList {
            schemas: schemas.collect(),
            source: "monitoring".to_owned(),
        })
    }

    /// The text of one schema (RFC 6022 section 3.1).
    ///
    /// # Errors
    /// `capability-missing` where the device has no monitoring; the device's refusal.
    pub async fn get_schema(
        &self,
        ctx: &CallContext,
        name: &str,
        identifier: &str,
        version: Option<&str>,
        format: Option<&str>,
        output: OutputOptions,
    ) -> Result<Reply, Error> {
        ctx.principal.require(Role::Read)?;
        let (record, device) = self.device(name).await?;
        let mut output =
            Output::new(&output, record.settings.partial).map_err(|error| error.with_device(name))?;
        if output.format == Format::Json {
            // A schema is a text; there is nothing in it to turn into JSON.
            output.format = Format::Text;
        }
        let wanted = GetSchema {
            identifier: identifier.to_owned(),
            version: version.map(str::to_owned),
            format: format.map(str::to_owned),
        };
        let request = output.request(move |caps| wanted.rpc(caps), Vec::new());
        self.read(ctx, name, &device, request, &output, Asked::Read).await
    }
}

/// `<get>` of one list below `netconf-state` (RFC 6022 section 2.1).
pub(super) fn monitored(list: &str, caps: &Capabilities) -> Result<Rpc, RequestError> {
    let mut writer = Writer::new();
    writer
        .open("netconf-state")?
        .attr("xmlns", Capability::Monitoring.uri())?
        .empty(list)?
        .close()?;
    let filter = Filter::Subtree(writer.finish()?);
    Get {
        filter: Some(filter),
        with_defaults: None,
    }
    .rpc(caps)
}
