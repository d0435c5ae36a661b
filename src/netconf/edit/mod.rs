//! A caller's edit, and the body that the device's own operation wants (design: the table of actions).
//!
//! The one place where configuration is wrapped and marked: JSON comes here as the elements it was turned into, XML
//! as it was given, text as text. Nothing here knows JSON, and nothing is sent.

mod marking;
mod places;
mod text;

use super::capability::Capabilities;
use super::datastore::Datastore;
use super::junos::{Format, LoadAction, LoadConfiguration, LoadData};
use super::operation::{DefaultOperation, EditConfig, EditContent, ErrorOption, TestOption};
use super::path::ConfigPath;
use super::rpc::{RequestError, Rpc};
use crate::xml::marks::{Dialect, Marks};
use crate::xml::{Fragment, Limits, WriteError, XmlError};
use marking::{Marking, Outline};

/// What an edit does with its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// Adds and changes.
    #[default]
    Merge,
    /// Replaces exactly the subtrees that are marked, by a path or one by one.
    Replace,
    /// Replaces the whole configuration.
    Override,
    /// As `Override`, but touches only what differs. Junos only.
    Update,
    /// Commands of configuration mode. Junos only.
    Set,
    /// Only elements that are marked do anything.
    None,
}

impl Action {
    const ALL: [Self; 6] = [
        Self::Merge,
        Self::Replace,
        Self::Override,
        Self::Update,
        Self::Set,
        Self::None,
    ];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Replace => "replace",
            Self::Override => "override",
            Self::Update => "update",
            Self::Set => "set",
            Self::None => "none",
        }
    }

    /// The action of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }
}

/// Text that takes the place of other text, wherever it stands (`replace pattern`). Junos only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacePattern {
    /// A regular expression of the device.
    pub pattern: String,
    pub with: String,
    /// The level or object that it is looked for in; everywhere without one.
    pub path: Option<ConfigPath>,
}

/// What an edit consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Elements: from JSON (`json::to_xml` with `Target::Config`) or from XML ([`configuration`]).
    Elements(Fragment),
    /// Junos text with braces.
    Text(String),
    /// Junos commands, one a line.
    Set(String),
    /// JSON in the device's own form.
    DeviceJson(String),
    /// A file or URL of the device.
    Url {
        url: String,
        format: Format,
    },
    /// A stored configuration of the device, 0 to 49.
    Rollback(u8),
    /// The rescue configuration of the device.
    Rescue,
    ReplacePattern(ReplacePattern),
}

/// Which protocol carries the edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `<load-configuration>`
    Junos,
    /// `<edit-config>`
    Rfc,
}

impl Protocol {
    /// How its operation marks changes.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Junos => Dialect::LoadConfiguration,
            Self::Rfc => Dialect::EditConfig,
        }
    }
}

/// One edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub action: Action,
    pub content: Content,
    /// With `replace`: the place, in the configuration given, of the subtrees that are replaced.
    pub path: Option<ConfigPath>,
    /// The caller knows that `override` replaces everything.
    pub whole_configuration: bool,
    pub test_option: Option<TestOption>,
    pub error_option: Option<ErrorOption>,
}

/// Why an edit cannot become a request. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A member of the edit, by its name in the API, is wrong or does not go with another one.
    #[error("{member}: {detail}")]
    Invalid { member: &'static str, detail: String },
    /// An element of the configuration, by its path from the root, is not where it can be, or has marks that cannot be.
    #[error("{element}: {detail}")]
    Element { element: String, detail: String },
    /// The device, or the protocol asked for, has nothing like it.
    #[error("{what} needs a Junos device and its load-configuration")]
    JunosOnly { what: &'static str },
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The configuration is not well-formed, or over a limit.
    #[error("the configuration cannot be read")]
    Xml(#[from] XmlError),
    #[error("the configuration cannot be written as XML")]
    Write(#[from] WriteError),
}

impl EditError {
    fn invalid(member: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid {
            member,
            detail: detail.into(),
        }
    }
}

/// The elements of a caller's raw XML (X2, W10): strictly parsed and written anew, out of a `<config>` around them.
///
/// # Errors
/// What is not well-formed, holds a DOCTYPE, a processing instruction or the end-of-message marker; no element.
pub fn configuration(text: &str, limits: &Limits) -> Result<Fragment, EditError> {
    let fragment = Fragment::parse_one(text, limits)?;
    if fragment.root_name() != "config" {
        return Ok(fragment);
    }
    match marking::inner(&fragment, limits)? {
        Some(inner) if inner.is_empty() => Err(EditError::invalid("config", "there is no configuration")),
        Some(inner) => Ok(inner),
        None => Ok(fragment),
    }
}

impl Edit {
    /// An edit without options.
    pub fn new(action: Action, content: Content) -> Self {
        Self {
            action,
            content,
            path: None,
            whole_configuration: false,
            test_option: None,
            error_option: None,
        }
    }

    /// The request, by the protocol. `target` is what edit-config writes to; load-configuration goes to what the
    /// session has open.
    ///
    /// # Errors
    /// What the action, the protocol or the device cannot do.
    pub fn rpc(
        &self,
        protocol: Protocol,
        target: Datastore,
        capabilities: &Capabilities,
        limits: &Limits,
    ) -> Result<Rpc, EditError> {
        match protocol {
            Protocol::Junos => Ok(self.load_configuration(limits)?.rpc(capabilities)?),
            Protocol::Rfc => {
                let junos = capabilities.is_junos();
                Ok(self.edit_config(target, junos, limits)?.rpc(capabilities)?)
            }
        }
    }

    /// The edit as `<load-configuration>`.
    ///
    /// # Errors
    /// What the action does not go with, and marks that it cannot carry out.
    pub fn load_configuration(&self, limits: &Limits) -> Result<LoadConfiguration, EditError> {
        for (given, member) in [
            (self.test_option.is_some(), "test_option"),
            (self.error_option.is_some(), "error_option"),
        ] {
            if given {
                return Err(EditError::invalid(member, "goes with protocol rfc only"));
            }
        }
        self.check()?;
        // Here `none` is a merge of which each element was looked at. Only edit-config knows a default operation `none`.
        if self.action == Action::None && matches!(self.content, Content::Url { .. }) {
            return Err(EditError::invalid(
                "action",
                "none needs elements that are marked, those of a url are not seen, and load-configuration would merge \
                 what is not marked: send this edit with edit-config (protocol rfc)",
            ));
        }
        let data = match &self.content {
            Content::Rollback(number) => return Ok(LoadConfiguration::Rollback(*number)),
            Content::Rescue => return Ok(LoadConfiguration::Rescue),
            Content::ReplacePattern(pattern) => LoadData::Xml(pattern.configuration()?),
            Content::Text(text) => LoadData::Text(text.clone()),
            Content::Set(commands) => LoadData::Set(commands.clone()),
            Content::DeviceJson(json) => LoadData::Json(json.clone()),
            Content::Url { url, format } => LoadData::Url {
                url: url.clone(),
                format: *format,
            },
            Content::Elements(elements) => {
                let marks = Marks {
                    dialect: Dialect::LoadConfiguration,
                    junos: true,
                };
                let (elements, outline) = self.marked(elements, marks, limits)?;
                return Ok(LoadConfiguration::Data {
                    action: self.load_action(outline.replaced),
                    data: LoadData::Xml(wrapped(elements, &outline)?),
                });
            }
        };
        let action = self.load_action(0);
        Ok(LoadConfiguration::Data { action, data })
    }

    /// The edit as `<edit-config>`. On a Junos device the elements may carry its own marks, too.
    ///
    /// # Errors
    /// What the action does not go with, and what only load-configuration can do.
    pub fn edit_config(
        &self,
        target: Datastore,
        junos: bool,
        limits: &Limits,
    ) -> Result<EditConfig, EditError> {
        let default_operation = match self.action {
            Action::Merge | Action::Replace => DefaultOperation::Merge,
            Action::Override => DefaultOperation::Replace,
            Action::None => DefaultOperation::None,
            Action::Update => {
                return Err(EditError::JunosOnly {
                    what: "action update",
                });
            }
            Action::Set => return Err(EditError::JunosOnly { what: "action set" }),
        };
        let junos_only = |what| Err(EditError::JunosOnly { what });
        let content = match &self.content {
            Content::Text(_) => return junos_only("format text"),
            Content::Set(_) => return junos_only("format set"),
            Content::DeviceJson(_) => return junos_only("format device_json"),
            Content::Rollback(_) => return junos_only("rollback"),
            Content::Rescue => return junos_only("rescue"),
            Content::ReplacePattern(_) => return junos_only("replace_pattern"),
            Content::Url { format, .. } if *format != Format::Xml => {
                return junos_only("a url with another format than xml");
            }
            Content::Url { url, .. } => {
                self.check()?;
                EditContent::Url(url.clone())
            }
            Content::Elements(elements) => {
                self.check()?;
                let marks = Marks {
                    dialect: Dialect::EditConfig,
                    junos,
                };
                let (elements, outline) = self.marked(elements, marks, limits)?;
                EditContent::Config(rooted(elements, &outline, junos)?)
            }
        };
        Ok(EditConfig {
            target,
            default_operation: Some(default_operation),
            test_option: self.test_option,
            error_option: self.error_option,
            content,
        })
    }

    /// What can be told without looking into the configuration.
    fn check(&self) -> Result<(), EditError> {
        if self.path.is_some() && (self.action != Action::Replace || !self.is_elements()) {
            return Err(EditError::invalid(
                "path",
                "goes with action replace and formats json and xml; it names what is replaced",
            ));
        }
        let refused = |detail: &str| Err(EditError::invalid("action", detail));
        match (self.action, &self.content) {
            (_, Content::Rollback(_) | Content::Rescue | Content::ReplacePattern(_))
                if self.action != Action::Merge =>
            {
                refused("rollback, rescue and replace_pattern take no action")
            }
            (Action::Override | Action::Update, _) if !self.whole_configuration => Err(EditError::invalid(
                "whole_configuration",
                "override and update replace the whole configuration, and must be told so with true",
            )),
            // At the top `delete` alone deletes everything.
            (_, Content::Set(lines))
                if !self.whole_configuration && lines.lines().any(|line| line.trim() == "delete") =>
            {
                Err(EditError::invalid(
                    "whole_configuration",
                    "delete alone deletes the whole configuration, and must be told so with true",
                ))
            }
            (Action::Set, Content::Elements(_) | Content::Text(_) | Content::DeviceJson(_)) => {
                refused("set goes with format set")
            }
            (
                Action::Merge | Action::Replace | Action::Override | Action::Update | Action::None,
                Content::Set(_)
                | Content::Url {
                    format: Format::Set, ..
                },
            ) => refused("format set goes with action set"),
            (Action::None, Content::Text(_) | Content::DeviceJson(_)) => {
                refused("none goes with formats json and xml, whose elements can be marked")
            }
            // What it marks nobody here sees, and what it does not mark would be merged.
            (Action::Replace, Content::Url { .. }) => {
                refused("replace needs elements that are marked, and those of a url are not seen")
            }
            // The device ignores "replace:" in anything else, and so replaces nothing.
            (Action::Replace, Content::Text(text)) if !text::marks_replace(text) => {
                refused("replace needs \"replace:\" before each statement that is replaced")
            }
            (
                Action::Merge
                | Action::Replace
                | Action::Override
                | Action::Update
                | Action::Set
                | Action::None,
                Content::Elements(_)
                | Content::Text(_)
                | Content::Set(_)
                | Content::DeviceJson(_)
                | Content::Url { .. }
                | Content::Rollback(_)
                | Content::Rescue
                | Content::ReplacePattern(_),
            ) => Ok(()),
        }
    }

    fn is_elements(&self) -> bool {
        matches!(self.content, Content::Elements(_))
    }

    /// The elements with their marks translated, and those of `path` marked.
    fn marked(
        &self,
        elements: &Fragment,
        marks: Marks,
        limits: &Limits,
    ) -> Result<(Fragment, Outline), EditError> {
        if elements.is_empty() {
            return Err(EditError::invalid("config", "there is no configuration"));
        }
        let targets = match &self.path {
            Some(path) => places::at(elements, path, limits)?,
            None => Vec::new(),
        };
        if self.path.is_some() && targets.is_empty() {
            return Err(EditError::invalid(
                "path",
                "there is nothing in config at this path",
            ));
        }
        let only_marked = self.action == Action::None && marks.dialect == Dialect::LoadConfiguration;
        let mut marking = Marking::new(elements, marks, targets, only_marked);
        let elements = elements.rewritten(limits, &mut marking)?;
        let outline = marking.outline();
        match self.action {
            Action::Replace if outline.replaced == 0 => Err(EditError::invalid(
                "path",
                "replace needs a path, or elements marked with operation replace",
            )),
            Action::None if outline.marked == 0 => Err(EditError::invalid(
                "config",
                "with action none only marked elements do anything, and none is marked",
            )),
            Action::Merge
            | Action::Replace
            | Action::Override
            | Action::Update
            | Action::Set
            | Action::None => Ok((elements, outline)),
        }
    }

    /// The device heeds `replace="replace"` only under the action replace, which otherwise merges.
    fn load_action(&self, replaced: usize) -> LoadAction {
        match self.action {
            Action::Merge | Action::None if replaced > 0 => LoadAction::Replace,
            Action::Merge | Action::None => LoadAction::Merge,
            Action::Replace => LoadAction::Replace,
            Action::Override => LoadAction::Override,
            Action::Update => LoadAction::Update,
            Action::Set => LoadAction::Set,
        }
    }
}

impl ReplacePattern {
    /// `<configuration>` with the attributes at the level or object that is meant.
    fn configuration(&self) -> Result<Fragment, EditError> {
        if self.pattern.is_empty() {
            return Err(EditError::invalid("replace_pattern", "the pattern is empty"));
        }
        let attributes = [
            ("replace-pattern", self.pattern.clone()),
            ("with", self.with.clone()),
        ];
        Ok(match &self.path {
            Some(path) => path.fragment(&attributes)?.inside("configuration"),
            None => ConfigPath::parse("configuration")
                .map_err(|error| EditError::invalid("replace_pattern", error.to_string()))?
                .fragment(&attributes)?,
        })
    }
}

/// W8 for load-configuration: everything stands in one `<configuration>`.
fn wrapped(elements: Fragment, outline: &Outline) -> Result<Fragment, EditError> {
    if outline.is_beside_others() {
        return Err(beside_others("configuration"));
    }
    Ok(if outline.is_configuration() {
        elements
    } else {
        elements.inside("configuration")
    })
}

fn beside_others(root: &str) -> EditError {
    EditError::Element {
        element: format!("/{root}"),
        detail: "stands beside other roots".to_owned(),
    }
}

/// W8 for edit-config: a root without a namespace means something on Junos only, and there inside `<configuration>`.
fn rooted(elements: Fragment, outline: &Outline, junos: bool) -> Result<Fragment, EditError> {
    match (&outline.bare_root, junos) {
        (None, _) => Ok(elements),
        (Some(_), true) if outline.is_configuration() => Ok(elements),
        (Some(_), true) if outline.is_beside_others() => Err(beside_others("configuration")),
        (Some(root), true) if outline.named_roots > 0 => Err(beside_others(root)),
        (Some(_), true) => Ok(elements.inside("configuration")),
        (Some(root), false) => Err(EditError::Element {
            element: format!("/{root}"),
            detail: "a root needs a namespace".to_owned(),
        }),
    }
}
