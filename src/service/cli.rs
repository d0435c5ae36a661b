//! CLI text through Junos `<command>` (S10).

use super::Gateway;
use super::call::{CallContext, Role};
use super::failure::{self, Asked};
use super::output::Output;
use super::prepare;
use super::reply::{RpcAnswer, unreadable};
use super::request::{CliRequest, Format};
use super::rpc::use_resource;
use super::told;
use super::view::CliRpc;
use crate::error::Error;
use crate::json;
use crate::netconf::junos;
use crate::netconf::junos::classify::{OperationClass, classify_command};
use crate::netconf::junos::command::{Command, Display, OtherPipes, mapped_request, take_display};
use crate::xml::tree::{Element, Node};
use crate::xml::{Fragment, NETCONF_BASE_NS, Source, WriteError, Writer};

/// The longest command, in bytes.
const LONGEST_COMMAND: usize = 8192;

impl Gateway {
    /// Runs one CLI command. `show …` runs in a pooled session; anything else needs the role `configure` and a session
    /// of its own.
    ///
    /// # Errors
    /// `capability-missing` on a device without the Junos XML protocol; `use-resource` for configuration mode, and for what
    /// is refused as an RPC, too (Q9).
    pub async fn run_cli(
        &self,
        ctx: &CallContext,
        name: &str,
        request: CliRequest,
    ) -> Result<RpcAnswer, Error> {
        ctx.principal.require(Role::Read)?;
        let (record, device) = self.device(name).await?;
        let mut output = Output::new(&request.output, record.settings.partial)?;
        let command = checked(&request.command)?;
        let command = displayed(command, &mut output.format).map_err(|error| error.with_device(name))?;
        self.check_urls(&as_request(&command)?, "/command")
            .map_err(|error| error.with_device(name))?;
        let wire = Command {
            text: command,
            format: prepare::wire_format(output.format)?,
        };
        match classify_command(&wire.text) {
            OperationClass::ReadOnly if request.plan => Err(Error::invalid(
                "?plan",
                "the command changes nothing, so there is nothing to plan",
            )),
            OperationClass::ReadOnly => {
                let request = output.request(move |caps| wire.rpc(caps), Vec::new());
                self.read(ctx, name, &device, request, &output, Asked::Read)
                    .await
                    .map(RpcAnswer::Reply)
            }
            OperationClass::Configuration { resource } | OperationClass::Session { resource } => {
                Err(use_resource("the command", resource, "/command").with_device(name))
            }
            class @ (OperationClass::Operational | OperationClass::EndsSession) => {
                ctx.principal.require(Role::Configure)?;
                if request.plan {
                    return self
                        .plan(ctx, name, &device, move |caps| Ok(vec![wire.rpc(caps)?]))
                        .await
                        .map(RpcAnswer::Plan);
                }
                let request = output.request(move |caps| wire.rpc(caps), Vec::new());
                self.change(ctx, &record, &device, request, &output, Asked::Read)
                    .await
                    .map(RpcAnswer::Reply)
                    .map_err(|error| match class {
                        OperationClass::EndsSession => failure::ended_as_asked(error),
                        OperationClass::ReadOnly
                        | OperationClass::Operational
                        | OperationClass::Configuration { .. }
                        | OperationClass::Session { .. } => error,
                    })
            }
        }
    }

    /// Which RPC a command maps to, as the device says (`| display xml rpc`). The command itself is not run.
    ///
    /// # Errors
    /// `invalid-argument` when the device knows no RPC for it.
    pub async fn get_cli_rpc(&self, ctx: &CallContext, name: &str, command: &str) -> Result<CliRpc, Error> {
        ctx.principal.require(Role::Read)?;
        let (_, device) = self.device(name).await?;
        let command = checked(command)?;
        if command.contains('|') {
            return Err(Error::invalid("?command", "give the command without a pipe").with_device(name));
        }
        let wire = Command {
            text: command.clone(),
            format: junos::Format::Xml,
        };
        let raw = self
            .told(ctx, name, &device, move |caps| wire.mapping_rpc(caps))
            .await?;
        let reply = told::tree(name, &raw, LONGEST_RPC)?;
        let broken = |detail: String| unreadable(name, raw.session_id, &raw.message_id, &detail);
        let mapped = mapped_request(&reply).ok_or_else(|| {
            Error::invalid("?command", format!("the device maps {command:?} to no RPC"))
                .with_device(name)
                .with_message(Some(raw.session_id), Some(raw.message_id.clone()))
        })?;
        let mut mapped = mapped.clone();
        forget_base_namespace(&mut mapped);
        let mut writer = Writer::new();
        mapped
            .write(&mut writer)
            .map_err(|error| broken(error.to_string()))?;
        let rpc_xml = writer.finish().map_err(|error| broken(error.to_string()))?;
        let json = json::to_json(
            &Source::Memory(rpc_xml.as_str().to_owned().into()),
            json::Selection::Document,
            &json::Options::api_default(),
        )
        .map_err(|error| broken(error.to_string()))?;
        let rpc = serde_json::from_str(&json).map_err(|error| broken(error.to_string()))?;
        Ok(CliRpc {
            command,
            rpc_xml: rpc_xml.as_str().to_owned(),
            rpc,
        })
    }
}

/// The request stands in the reply's namespace only because of where it was quoted.
fn forget_base_namespace(element: &mut Element) {
    if element.ns.as_deref() == Some(NETCONF_BASE_NS) && element.prefix.is_none() {
        element.ns = None;
    }
    for child in &mut element.children {
        if let Node::Element(child) = child {
            forget_base_namespace(child);
        }
    }
}

/// The command without the pipe that says in which form it shows its output; the format of the answer says so instead.
fn displayed(command: String, format: &mut Format) -> Result<String, Error> {
    let Some((bare, display)) = take_display(&command) else {
        return Ok(command);
    };
    let wanted = match display {
        Ok(Display::Json) => Format::DeviceJson,
        Ok(Display::Xml) => Format::Xml,
        Err(OtherPipes) => {
            return Err(Error::invalid(
                "/command",
                "`| display xml` and `| display json` cannot stand with pipes that work on lines",
            )
            .with_hint("leave it out, and ask for the format: json, xml or device_json"));
        }
    };
    match (*format, wanted) {
        // Not asked for by name, or by both names: then it is the command that knows.
        (Format::Json, Format::DeviceJson) => *format = wanted,
        // The XML that was asked for becomes the JSON of the answer, as always.
        (Format::Json, _) => {}
        (asked, _) if asked == wanted => {}
        (asked, _) => {
            let detail = format!(
                "its pipe asks for another form of output than format={}",
                asked.as_str()
            );
            return Err(Error::invalid("/command", detail).with_hint("leave the pipe out"));
        }
    }
    Ok(bare.to_owned())
}

/// More than any request has, in bytes.
const LONGEST_RPC: u64 = 1 << 20;

fn checked(command: &str) -> Result<String, Error> {
    let command = command.trim();
    if command.is_empty() {
        return Err(Error::invalid("/command", "must not be empty"));
    }
    if command.len() > LONGEST_COMMAND {
        return Err(Error::invalid(
            "/command",
            format!("is longer than {LONGEST_COMMAND} bytes"),
        ));
    }
    if let Some(control) = command.chars().find(|c| c.is_control()) {
        let detail = format!(
            "holds the control character U+{:04X}; give one command on one line",
            u32::from(control)
        );
        return Err(Error::invalid("/command", detail));
    }
    Ok(command.to_owned())
}

/// The command as the request that holds it, to be looked at.
fn as_request(command: &str) -> Result<Fragment, Error> {
    let unwritable = |error: WriteError| Error::invalid("/command", error.to_string());
    let mut writer = Writer::new();
    writer.leaf("command", command).map_err(unwritable)?;
    writer.finish().map_err(unwritable)
}
