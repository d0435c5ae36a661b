//! One edit as the RPC that makes it: `<load-configuration>` on Junos, `<edit-config>` elsewhere or when asked for
//! (design section 6, S12, S13). What is wrong is told with the place where the caller wrote it.

use super::ground::unbuildable;
use super::request::{Action, Edit, EditBody, EditFormat, Protocol};

use crate::error::Error;
use crate::json::{self, ConfigDialect, Target, ToXmlOptions};
use crate::netconf::capability::Capabilities;
use crate::netconf::datastore::Datastore;
use crate::netconf::junos::{self, LoadAction, LoadConfiguration, LoadData};
use crate::netconf::operation::{DefaultOperation, EditConfig, EditContent};
use crate::netconf::path::ConfigPath;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::service::prepare;
use crate::service::url_policy::{self, UrlPolicy};
use crate::xml::{Event, Fragment, Handler, Limits, NETCONF_BASE_NS, Tokenizer, Writer, XmlError};

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
        let action = action(edit);
        if action == Action::Override && !edit.whole_configuration {
            return Err(Error::invalid(
                format!("{at}/whole_configuration"),
                "override replaces the whole configuration, and must be told that it may: true",
            ));
        }
        let whole = Whole { edit, action, at };
        let rpc = match self.protocol(&whole)? {
            Protocol::Junos => self.junos(&whole)?.rpc(self.capabilities),
            Protocol::Rfc => self.rfc(&whole)?.rpc(self.capabilities),
        };
        rpc.map_err(|error| unbuildable(&error, at))
    }

    /// Whose operation makes the edit: as asked for, as what only one of them has decides, else Junos where it is
    /// offered.
    fn protocol(&self, whole: &Whole<'_>) -> Result<Protocol, Error> {
        let (junos, rfc) = (whole.junos_only(), whole.rfc_only());
        let refused = |detail: String| Err(Error::invalid(format!("{}/protocol", whole.at), detail));
        match (whole.edit.protocol, junos, rfc) {
            (_, Some(junos), Some(rfc)) => refused(format!(
                "{junos} belongs to load-configuration, {rfc} to edit-config"
            )),
            (Some(Protocol::Junos), _, Some(rfc)) => refused(format!("{rfc} belongs to edit-config")),
            (Some(Protocol::Rfc), Some(junos), _) => {
                refused(format!("{junos} belongs to load-configuration"))
            }
            (Some(protocol), ..) => Ok(protocol),
            (None, Some(_), None) => Ok(Protocol::Junos),
            (None, None, Some(_)) => Ok(Protocol::Rfc),
            (None, None, None) if self.capabilities.is_junos() => Ok(Protocol::Junos),
            (None, None, None) => Ok(Protocol::Rfc),
        }
    }

    fn junos(&self, whole: &Whole<'_>) -> Result<LoadConfiguration, Error> {
        let Whole { edit, at, .. } = whole;
        let data = match &edit.body {
            EditBody::Rollback(number) => {
                whole.refuse_action_and_path("rollback")?;
                let number = u8::try_from(*number).unwrap_or(u8::MAX);
                return Ok(LoadConfiguration::Rollback(number));
            }
            EditBody::Rescue => {
                whole.refuse_action_and_path("rescue")?;
                return Ok(LoadConfiguration::Rescue);
            }
            EditBody::ReplacePattern { pattern, with, path } => {
                whole.refuse_action_and_path("replace_pattern")?;
                return Ok(LoadConfiguration::Data {
                    action: LoadAction::Merge,
                    data: LoadData::Xml(replace_pattern(pattern, with, path.as_deref(), at)?),
                });
            }
            EditBody::Url(url) => LoadData::Url {
                url: url.clone(),
                format: match edit.format {
                    // What a file holds in the gateway's JSON no device can read: it is XML unless it is said.
                    EditFormat::Json | EditFormat::Xml => junos::Format::Xml,
                    EditFormat::Text => junos::Format::Text,
                    EditFormat::Set => junos::Format::Set,
                    EditFormat::DeviceJson => junos::Format::Json,
                },
            },
            EditBody::Config(text) => match edit.format {
                EditFormat::Json | EditFormat::Xml => {
                    let fragment = self.config(whole, text, ConfigDialect::LoadConfiguration)?;
                    LoadData::Xml(configuration(fragment).map_err(|error| unbuildable(&error, at))?)
                }
                EditFormat::Text => LoadData::Text(whole.plain(text)?),
                EditFormat::Set => LoadData::Set(whole.plain(text)?),
                EditFormat::DeviceJson => LoadData::Json(whole.plain(text)?),
            },
        };
        let marks = match &data {
            LoadData::Xml(fragment) => marks(fragment, whole)?,
            // What stands in a file, in text or in JSON of the device, the device judges.
            LoadData::Text(text) => Marks {
                any: true,
                replace: text.contains("replace:"),
            },
            LoadData::Set(_) | LoadData::Json(_) | LoadData::Url { .. } => Marks {
                any: true,
                replace: true,
            },
        };
        whole.check_marks(marks)?;
        let action = match whole.action {
            // Elements that are marked are replaced only with this action; the others are merged all the same.
            Action::Merge | Action::None if marks.replace && matches!(data, LoadData::Xml(_)) => {
                LoadAction::Replace
            }
            Action::Merge | Action::None => LoadAction::Merge,
            Action::Replace => LoadAction::Replace,
            Action::Override => LoadAction::Override,
            Action::Update => LoadAction::Update,
            Action::Set => LoadAction::Set,
        };
        Ok(LoadConfiguration::Data { action, data })
    }

    fn rfc(&self, whole: &Whole<'_>) -> Result<EditConfig, Error> {
        let edit = whole.edit;
        let content = match &edit.body {
            EditBody::Url(url) => EditContent::Url(url.clone()),
            EditBody::Config(text) => {
                let fragment = self.config(whole, text, ConfigDialect::EditConfig)?;
                whole.check_marks(marks(&fragment, whole)?)?;
                EditContent::Config(fragment)
            }
            EditBody::Rollback(_) | EditBody::Rescue | EditBody::ReplacePattern { .. } => {
                // These are Junos' own, which `protocol` has seen to.
                return Err(Error::invalid(whole.at, "edit-config has no such source"));
            }
        };
        let default_operation = match whole.action {
            Action::Merge | Action::Replace => DefaultOperation::Merge,
            Action::Override => DefaultOperation::Replace,
            Action::None => DefaultOperation::None,
            Action::Update | Action::Set => {
                return Err(Error::invalid(
                    format!("{}/action", whole.at),
                    "edit-config has no such action",
                ));
            }
        };
        Ok(EditConfig {
            target: self.target,
            default_operation: Some(default_operation),
            test_option: edit.test_option,
            error_option: edit.error_option,
            content,
        })
    }

    /// What stands in `<config>`, or is `<configuration>`: the caller's JSON or XML, in its path.
    fn config(&self, whole: &Whole<'_>, text: &str, dialect: ConfigDialect) -> Result<Fragment, Error> {
        let Whole { edit, at, .. } = whole;
        let path = match &edit.path {
            None => None,
            Some(path) => Some(
                ConfigPath::parse(path)
                    .map_err(|error| Error::invalid(format!("{at}/path"), error.to_string()))?,
            ),
        };
        let mark = (whole.action == Action::Replace && path.is_some()).then_some(dialect);
        match edit.format {
            EditFormat::Json => self.from_json(text, path.as_ref(), mark, dialect, at),
            EditFormat::Xml => {
                let content = prepare::from_xml(text, &format!("{at}/config"))?;
                let Some(path) = path else { return Ok(content) };
                let attributes: &[(&str, &str)] = match mark {
                    None => &[],
                    Some(ConfigDialect::LoadConfiguration) => &[("replace", "replace")],
                    Some(ConfigDialect::EditConfig) => {
                        &[("xmlns:nc", NETCONF_BASE_NS), ("nc:operation", "replace")]
                    }
                };
                path.enclose(&self.capabilities.namespaces(), attributes, &content)
                    .map_err(|error| Error::invalid(format!("{at}/path"), error.to_string()))
            }
            // `junos_only` keeps these away from edit-config, and `junos` takes them itself.
            EditFormat::Text | EditFormat::Set | EditFormat::DeviceJson => Err(Error::invalid(
                format!("{at}/format"),
                "edit-config has no such format",
            )),
        }
    }

    fn from_json(
        &self,
        text: &str,
        path: Option<&ConfigPath>,
        mark: Option<ConfigDialect>,
        dialect: ConfigDialect,
        at: &str,
    ) -> Result<Fragment, Error> {
        let options = ToXmlOptions {
            modules: self.capabilities.namespaces(),
            junos: self.capabilities.is_junos() || dialect == ConfigDialect::LoadConfiguration,
            ..ToXmlOptions::default()
        };
        let Some(path) = path else {
            return prepare::from_json(text, Target::Config(dialect), &format!("{at}/config"), &options);
        };
        let not_object = || {
            Error::invalid(
                format!("{at}/config"),
                "must be an object, because a path is given",
            )
        };
        let mut inner = text.trim().to_owned();
        let mut place = String::new();
        for (index, (name, keys)) in path.steps().rev().enumerate() {
            let mut members: Vec<String> = Vec::new();
            if index == 0 && mark.is_some() {
                members.push(r#""@":{"operation":"replace"}"#.to_owned());
            }
            for (key, value) in keys {
                let (key, value) = (
                    serde_json::Value::from(key.as_str()),
                    serde_json::Value::from(value.as_str()),
                );
                members.push(format!("{key}:{value}"));
            }
            let object = with_members(&inner, &members).ok_or_else(not_object)?;
            inner = format!("{{{}:{object}}}", serde_json::Value::from(name));
            place.insert_str(0, &format!("/{}", name.replace('~', "~0").replace('/', "~1")));
        }
        json::to_xml(&inner, Target::Config(dialect), &options).map_err(|error| {
            // The caller wrote what is below the path; the rest is the path's.
            match error.pointer.strip_prefix(&place) {
                Some(below) => Error::invalid(format!("{at}/config{below}"), error.detail),
                None => Error::invalid(format!("{at}/path"), error.detail),
            }
        })
    }
}

/// The action of an edit that names none (design section 6).
pub(super) fn action(edit: &Edit) -> Action {
    match (edit.action, edit.format) {
        (Some(action), _) => action,
        (None, EditFormat::Set) => Action::Set,
        (None, EditFormat::Json | EditFormat::Xml | EditFormat::Text | EditFormat::DeviceJson) => {
            Action::Merge
        }
    }
}

/// An edit, what it comes to, and where it stands in the request.
struct Whole<'a> {
    edit: &'a Edit,
    action: Action,
    at: &'a str,
}

impl Whole<'_> {
    /// The first thing about it that only `<load-configuration>` has.
    fn junos_only(&self) -> Option<&'static str> {
        match self.action {
            Action::Update => return Some("update"),
            Action::Set => return Some("set"),
            Action::Merge | Action::Replace | Action::Override | Action::None => {}
        }
        match &self.edit.body {
            EditBody::Rollback(_) => return Some("rollback"),
            EditBody::Rescue => return Some("rescue"),
            EditBody::ReplacePattern { .. } => return Some("replace_pattern"),
            EditBody::Config(_) | EditBody::Url(_) => {}
        }
        match self.edit.format {
            EditFormat::Text => Some("the format text"),
            EditFormat::Set => Some("the format set"),
            EditFormat::DeviceJson => Some("the format device_json"),
            EditFormat::Json | EditFormat::Xml => None,
        }
    }

    fn rfc_only(&self) -> Option<&'static str> {
        match (self.edit.error_option, self.edit.test_option) {
            (Some(_), _) => Some("error_option"),
            (None, Some(_)) => Some("test_option"),
            (None, None) => None,
        }
    }

    fn refuse_action_and_path(&self, with: &str) -> Result<(), Error> {
        for (name, given) in [
            ("action", self.edit.action.is_some()),
            ("path", self.edit.path.is_some()),
        ] {
            if given {
                return Err(Error::invalid(
                    format!("{}/{name}", self.at),
                    format!("does not go with {with}"),
                ));
            }
        }
        Ok(())
    }

    /// A text that is passed on as it is.
    fn plain(&self, text: &str) -> Result<String, Error> {
        if self.edit.path.is_some() {
            return Err(Error::invalid(
                format!("{}/path", self.at),
                "goes with the formats json and xml only",
            ));
        }
        Ok(text.to_owned())
    }

    /// What is replaced must be said by somebody: an edit without a mark would merge, and nobody would notice.
    fn check_marks(&self, marks: Marks) -> Result<(), Error> {
        let missing = match self.action {
            Action::Replace if !marks.replace => {
                "replace needs a path, or elements that are marked with the operation replace"
            }
            Action::None if !marks.any => "none needs elements that are marked with an operation",
            Action::Merge
            | Action::Replace
            | Action::Override
            | Action::Update
            | Action::Set
            | Action::None => return Ok(()),
        };
        Err(Error::invalid(format!("{}/action", self.at), missing))
    }
}

/// What elements of a configuration are marked with.
#[derive(Clone, Copy, Default)]
struct Marks {
    /// Any operation at all.
    any: bool,
    replace: bool,
}

impl Handler for Marks {
    type Error = XmlError;

    fn event(&mut self, event: Event<'_>) -> Result<(), XmlError> {
        if let Event::Start(start) = event {
            for attribute in start.attributes() {
                let (any, replace) = match (attribute.prefix, attribute.local) {
                    (None, "replace") => (true, true),
                    (
                        None,
                        "delete" | "inactive" | "active" | "protect" | "unprotect" | "insert" | "rename"
                        | "replace-pattern",
                    ) => (true, false),
                    (Some(_), "operation") if attribute.ns == Some(NETCONF_BASE_NS) => {
                        (true, attribute.value == "replace")
                    }
                    _ => (false, false),
                };
                self.any |= any;
                self.replace |= replace;
            }
        }
        Ok(())
    }
}

fn marks(fragment: &Fragment, whole: &Whole<'_>) -> Result<Marks, Error> {
    let mut marks = Marks::default();
    if !matches!(whole.action, Action::Override | Action::Update) && !fragment.is_empty() {
        let mut tokenizer = Tokenizer::new(Limits::default());
        // Several roots side by side are read as one document.
        let document = format!("<config>{}</config>", fragment.as_str());
        tokenizer
            .push(document.as_bytes(), &mut marks)
            .and_then(|()| tokenizer.finish(&mut marks))
            .map_err(|error| Error::invalid(format!("{}/config", whole.at), error.to_string()))?;
    }
    Ok(marks)
}

/// An object with members before its own; `None`: it is no object.
fn with_members(object: &str, members: &[String]) -> Option<String> {
    let own = object.trim().strip_prefix('{')?.trim_start();
    let joint = match (members.is_empty(), own.starts_with('}')) {
        (true, _) | (_, true) => "",
        (false, false) => ",",
    };
    Some(format!("{{{}{joint}{own}", members.join(",")))
}

/// The root that `<load-configuration>` takes.
fn configuration(fragment: Fragment) -> Result<Fragment, RequestError> {
    if fragment.root_name() == "configuration" {
        return Ok(fragment);
    }
    let mut writer = Writer::new();
    writer.open("configuration")?.fragment(&fragment)?.close()?;
    Ok(writer.finish()?)
}

fn replace_pattern(pattern: &str, with: &str, path: Option<&str>, at: &str) -> Result<Fragment, Error> {
    let place = |name: &str| format!("{at}/replace_pattern/{name}");
    if pattern.is_empty() {
        return Err(Error::invalid(place("pattern"), "is empty"));
    }
    let attributes = [("replace-pattern", pattern), ("with", with)];
    let unwritable = |error: crate::xml::WriteError| Error::invalid(place("pattern"), error.to_string());
    let mut writer = Writer::new();
    writer.open("configuration").map_err(unwritable)?;
    match path {
        None => {
            for (name, value) in attributes {
                writer.attr(name, value).map_err(unwritable)?;
            }
        }
        Some(path) => {
            let path =
                ConfigPath::parse(path).map_err(|error| Error::invalid(place("path"), error.to_string()))?;
            let inner = path
                .enclose(
                    &std::collections::BTreeMap::new(),
                    &attributes,
                    &Fragment::default(),
                )
                .map_err(unwritable)?;
            writer.fragment(&inner).map_err(unwritable)?;
        }
    }
    writer.close().map_err(unwritable)?;
    writer.finish().map_err(unwritable)
}
