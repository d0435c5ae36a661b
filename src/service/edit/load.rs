//! One edit as the RPC that makes it: `<load-configuration>` on Junos, `<edit-config>` elsewhere or when asked for
//! (design section 6, S12, S13). What is wrong is told with the place where the caller wrote it.

use super::ground::unbuildable;
use super::request::{Action, Edit, EditBody, EditFormat, Protocol};
use crate::error::Error;
use crate::json::{Target, ToXmlOptions};
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::datastore::Datastore;
use crate::netconf::edit::{self, Content, EditError, ReplacePattern};
use crate::netconf::junos;
use crate::netconf::path::ConfigPath;
use crate::netconf::rpc::Rpc;
use crate::service::url_policy::{self, UrlPolicy};
use crate::service::{failure, prepare};
use crate::xml::Limits;

/// Where an edit goes to and by what it is judged.
pub(super) struct Loader<'a> {
    pub capabilities: &'a Capabilities,
    /// What `<edit-config>` names; `<load-configuration>` goes to what the session has open.
    pub target: Datastore,
    pub urls: &'a UrlPolicy,
}

impl Loader<'_> {
    /// The RPC of an edit that stands at `at` in the request (`/edits/0`, or nothing).
    ///
    /// # Errors
    /// `invalid-argument` with the member's pointer; `capability-missing`.
    pub fn rpc(&self, edit: &Edit, at: &str) -> Result<Rpc, Error> {
        if let EditBody::Url(url) = &edit.body
            && !self.urls.allows(url)
        {
            return Err(url_policy::refusal(&format!("{at}/url"), url));
        }
        let protocol = self.protocol(edit, at)?;
        if protocol == edit::Protocol::Junos {
            let parameter = junos_only(edit).unwrap_or("protocol");
            self.capabilities
                .require(Capability::JunosXml, "load-configuration", parameter)
                .map_err(|missing| failure::capability_missing(&missing))?;
        }
        let wire = edit::Edit {
            action: action(edit),
            content: self.content(edit, protocol, at)?,
            path: path(edit.path.as_deref(), &format!("{at}/path"))?,
            whole_configuration: edit.whole_configuration,
            test_option: edit.test_option,
            error_option: edit.error_option,
        };
        wire.rpc(protocol, self.target, self.capabilities, &Limits::default())
            .map_err(|error| refused(&error, at))
    }

    /// Whose operation makes the edit: as asked for, as what only one of them has decides, else Junos where it is
    /// offered.
    fn protocol(&self, edit: &Edit, at: &str) -> Result<edit::Protocol, Error> {
        let refused = |detail: String| Err(Error::invalid(format!("{at}/protocol"), detail));
        // `<load-configuration>` knows no other target.
        let elsewhere = self.target != Datastore::Candidate;
        match (edit.protocol, junos_only(edit), rfc_only(edit)) {
            (Some(Protocol::Junos), ..) if elsewhere && self.capabilities.is_junos() => refused(format!(
                "load-configuration does not edit {}",
                self.target.as_str()
            )),
            (_, Some(junos), _) if elsewhere && self.capabilities.is_junos() => refused(format!(
                "{junos} belongs to load-configuration, which does not edit {}",
                self.target.as_str()
            )),
            (_, Some(junos), Some(rfc)) => refused(format!(
                "{junos} belongs to load-configuration, {rfc} to edit-config"
            )),
            (Some(Protocol::Junos), _, Some(rfc)) => refused(format!("{rfc} belongs to edit-config")),
            (Some(Protocol::Rfc), Some(junos), _) => {
                refused(format!("{junos} belongs to load-configuration"))
            }
            (Some(Protocol::Junos), _, None) | (None, Some(_), None) => Ok(edit::Protocol::Junos),
            (Some(Protocol::Rfc), None, _) | (None, None, Some(_)) => Ok(edit::Protocol::Rfc),
            (None, None, None) if self.capabilities.is_junos() && !elsewhere => Ok(edit::Protocol::Junos),
            (None, None, None) => Ok(edit::Protocol::Rfc),
        }
    }

    fn content(&self, edit: &Edit, protocol: edit::Protocol, at: &str) -> Result<Content, Error> {
        // Some editors put a byte order mark before a text, which is none of its characters.
        let plain = |text: &str| text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        Ok(match (&edit.body, edit.format) {
            (EditBody::Config(text), EditFormat::Json) => {
                let options = ToXmlOptions {
                    modules: self.capabilities.namespaces(),
                    junos: self.capabilities.is_junos(),
                    ..ToXmlOptions::default()
                };
                let target = Target::Config(protocol.dialect());
                Content::Elements(prepare::from_json(
                    text,
                    target,
                    &format!("{at}/config"),
                    &options,
                )?)
            }
            (EditBody::Config(text), EditFormat::Xml) => Content::Elements(
                edit::configuration(text, &prepare::limits()).map_err(|error| refused(&error, at))?,
            ),
            (EditBody::Config(text), EditFormat::Text) => Content::Text(plain(text)),
            (EditBody::Config(text), EditFormat::Set) => Content::Set(plain(text)),
            (EditBody::Config(text), EditFormat::DeviceJson) => {
                let text = plain(text);
                prepare::check_device_json(&text, &format!("{at}/config"))?;
                Content::DeviceJson(text)
            }
            (EditBody::Url(url), format) => Content::Url {
                url: url.clone(),
                format: match format {
                    // No device reads the gateway's JSON from a file: unless it is said, the file is XML.
                    EditFormat::Json | EditFormat::Xml => junos::Format::Xml,
                    EditFormat::Text => junos::Format::Text,
                    EditFormat::Set => junos::Format::Set,
                    EditFormat::DeviceJson => junos::Format::Json,
                },
            },
            (EditBody::Rollback(number), _) => Content::Rollback(u8::try_from(*number).unwrap_or(u8::MAX)),
            (EditBody::Rescue, _) => Content::Rescue,
            (
                EditBody::ReplacePattern {
                    pattern,
                    with,
                    path: level,
                },
                _,
            ) => Content::ReplacePattern(ReplacePattern {
                pattern: pattern.clone(),
                with: with.clone(),
                path: path(level.as_deref(), &format!("{at}/replace_pattern/path"))?,
            }),
        })
    }
}

fn path(text: Option<&str>, at: &str) -> Result<Option<ConfigPath>, Error> {
    text.map(ConfigPath::parse)
        .transpose()
        .map_err(|error| Error::invalid(at, error.to_string()))
}

/// The action of an edit; without one `set` for set lines, else `merge` (design section 6).
fn action(edit: &Edit) -> edit::Action {
    match (edit.action, edit.format, &edit.body) {
        (Some(Action::Merge), ..) => edit::Action::Merge,
        (Some(Action::Replace), ..) => edit::Action::Replace,
        (Some(Action::Override), ..) => edit::Action::Override,
        (Some(Action::Update), ..) => edit::Action::Update,
        (Some(Action::Set), ..) => edit::Action::Set,
        (Some(Action::None), ..) => edit::Action::None,
        (None, EditFormat::Set, EditBody::Config(_) | EditBody::Url(_)) => edit::Action::Set,
        (None, ..) => edit::Action::Merge,
    }
}

/// The first thing about an edit that only `<load-configuration>` has.
fn junos_only(edit: &Edit) -> Option<&'static str> {
    match (edit.action, &edit.body, edit.format) {
        (Some(Action::Update), ..) => Some("action update"),
        (Some(Action::Set), ..) => Some("action set"),
        (_, EditBody::Rollback(_), _) => Some("rollback"),
        (_, EditBody::Rescue, _) => Some("rescue"),
        (_, EditBody::ReplacePattern { .. }, _) => Some("replace_pattern"),
        (_, EditBody::Config(_) | EditBody::Url(_), EditFormat::Text) => Some("format text"),
        (_, EditBody::Config(_) | EditBody::Url(_), EditFormat::Set) => Some("format set"),
        (_, EditBody::Config(_) | EditBody::Url(_), EditFormat::DeviceJson) => Some("format device_json"),
        (_, EditBody::Config(_) | EditBody::Url(_), EditFormat::Json | EditFormat::Xml) => None,
    }
}

fn rfc_only(edit: &Edit) -> Option<&'static str> {
    match (edit.error_option, edit.test_option) {
        (Some(_), _) => Some("error_option"),
        (None, Some(_)) => Some("test_option"),
        (None, None) => None,
    }
}

fn refused(error: &EditError, at: &str) -> Error {
    let config = || format!("{at}/config");
    match error {
        EditError::Invalid { member, detail } => Error::invalid(format!("{at}/{member}"), detail.clone()),
        EditError::Element { .. } | EditError::Write(_) => Error::invalid(config(), error.to_string()),
        EditError::Xml(cause) => Error::invalid(config(), format!("the XML cannot be sent: {cause}")),
        EditError::JunosOnly { .. } => Error::invalid(format!("{at}/protocol"), error.to_string()),
        EditError::Request(error) => unbuildable(error, at),
    }
}
