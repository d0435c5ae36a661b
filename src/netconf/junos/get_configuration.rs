//! `<get-configuration>` with all its options (S11).

use super::Format;
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::path::ConfigPath;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::{Fragment, JUNOS_NS, Writer};

/// Stored configurations are numbered from 0, the active one.
pub const MAX_ROLLBACK: u8 = 49;

/// Which configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Candidate,
    Committed,
}

/// Whether inherited elements stand where they apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inherit {
    /// From the groups that people made.
    Groups,
    /// From the device's own defaults, too.
    Defaults,
}

/// How commit scripts see the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitScripts {
    /// With all their changes applied.
    Apply,
    /// Without the transient ones.
    ApplyNoTransients,
    /// As they get it.
    View,
}

/// What the configuration is compared to. As text the answer is a patch; as xml or json it is the statements that
/// differ, marked with what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compare {
    /// A stored configuration, 0 to 49.
    Rollback(u8),
    /// A revision identifier.
    Revision(String),
}

/// What of the configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Selection {
    #[default]
    All,
    /// One place: a level, one object by its keys, or all objects of a type; with what is to be said of those.
    Path { path: ConfigPath, objects: Objects },
    /// Several elements at once: `<configuration>` with what is wanted in it, or the one element below it.
    Elements(Fragment),
}

/// What is wanted of the objects that a path leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objects {
    /// Their identifiers only (`recurse="false"`).
    pub identifiers_only: bool,
    /// So many of them.
    pub count: Option<u32>,
    /// From this one on, counted from 1.
    pub start: Option<u32>,
    /// Only those that fit `object-type[name='regular-expression']`, relative to the path.
    pub matching: Option<String>,
}

impl Objects {
    fn attributes(&self) -> Result<Vec<(&'static str, String)>, RequestError> {
        let mut attributes = Vec::new();
        if let Some(matching) = &self.matching {
            if matching.trim().is_empty() {
                return Err(RequestError::invalid("matching", "the expression is empty"));
            }
            attributes.push(("matching", matching.clone()));
        }
        if self.identifiers_only {
            attributes.push(("recurse", "false".to_owned()));
        }
        for (name, value) in [("count", self.count), ("start", self.start)] {
            match value {
                Some(0) => return Err(RequestError::invalid(name, "objects are counted from 1")),
                Some(value) => attributes.push((name, value.to_string())),
                None => {}
            }
        }
        Ok(attributes)
    }
}

/// `<get-configuration>`. Which private copy or ephemeral instance it reads is a matter of the session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GetConfiguration {
    /// The candidate when absent.
    pub database: Option<Database>,
    pub format: Format,
    pub inherit: Option<Inherit>,
    /// Say which group an element is inherited from; with `inherit` only.
    pub groups: bool,
    /// Show interface ranges where they apply, as `inherit` does with groups.
    pub interface_ranges: bool,
    /// Mark what differs from the active configuration (`junos:changed`).
    pub changed: bool,
    pub commit_scripts: Option<CommitScripts>,
    pub compare: Option<Compare>,
    /// Mark identifiers (`junos:key`).
    pub identifiers: bool,
    pub selection: Selection,
}

impl GetConfiguration {
    /// The request.
    ///
    /// # Errors
    /// No Junos device; options that exclude each other; values out of range.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        capabilities.require(Capability::JunosXml, "get-configuration", "get-configuration")?;
        self.check()?;
        let mut writer = Writer::new();
        writer.open("get-configuration")?;
        self.write_attributes(&mut writer)?;
        match &self.selection {
            Selection::All => {}
            Selection::Path { path, objects } => {
                writer
                    .open("configuration")?
                    .fragment(&path.fragment(&objects.attributes()?)?)?
                    .close()?;
            }
            Selection::Elements(fragment) if fragment.root_name() == "configuration" => {
                writer.fragment(fragment)?;
            }
            Selection::Elements(fragment) => {
                writer.open("configuration")?.fragment(fragment)?.close()?;
            }
        }
        writer.close()?;
        Ok(Rpc::new(writer.finish()?))
    }

    fn check(&self) -> Result<(), RequestError> {
        let tagged = matches!(self.format, Format::Xml | Format::Json);
        if self.groups && self.inherit.is_none() {
            return Err(RequestError::invalid(
                "groups",
                "needs inherit: only inherited elements have a group",
            ));
        }
        if self.identifiers && !tagged {
            return Err(RequestError::invalid(
                "key",
                "only xml and json can mark identifiers",
            ));
        }
        if self.changed && !tagged {
            return Err(RequestError::invalid(
                "changed",
                "only xml and json can mark changes",
            ));
        }
        match &self.compare {
            Some(Compare::Rollback(number)) if *number > MAX_ROLLBACK => Err(RequestError::invalid(
                "compare",
                format!("stored configurations are numbered from 0 to {MAX_ROLLBACK}"),
            )),
            Some(Compare::Revision(revision)) if revision.trim().is_empty() => {
                Err(RequestError::invalid("compare", "the revision is empty"))
            }
            Some(_) if self.format == Format::Set => Err(RequestError::invalid(
                "compare",
                "there is no comparison in set commands",
            )),
            Some(_) if self.commit_scripts.is_some() => Err(RequestError::invalid(
                "compare",
                "cannot be combined with commit_scripts",
            )),
            Some(Compare::Rollback(_) | Compare::Revision(_)) | None => Ok(()),
        }
    }

    fn write_attributes(&self, writer: &mut Writer) -> Result<(), RequestError> {
        if let Some(database) = self.database {
            let name = match database {
                Database::Candidate => "candidate",
                Database::Committed => "committed",
            };
            writer.attr("database", name)?;
        }
        match &self.compare {
            Some(Compare::Rollback(number)) => {
                writer
                    .attr("compare", "rollback")?
                    .attr("rollback", &number.to_string())?;
            }
            Some(Compare::Revision(revision)) => {
                writer
                    .attr("compare", "configuration-revision")?
                    .attr("configuration-revision", revision)?;
            }
            None => {}
        }
        // A comparison comes as text, unless another form is asked for; anything else comes as xml.
        if self.format != Format::Xml || self.compare.is_some() {
            writer.attr("format", self.format.as_str())?;
        }
        if let Some(inherit) = self.inherit {
            let name = match inherit {
                Inherit::Groups => "inherit",
                Inherit::Defaults => "defaults",
            };
            writer.attr("inherit", name)?;
        }
        for (wanted, name) in [
            (self.groups, "groups"),
            (self.interface_ranges, "interface-ranges"),
            (self.changed, "changed"),
        ] {
            if wanted {
                writer.attr(name, name)?;
            }
        }
        if let Some(scripts) = self.commit_scripts {
            let name = match scripts {
                CommitScripts::Apply => "apply",
                CommitScripts::ApplyNoTransients => "apply-no-transients",
                CommitScripts::View => "view",
            };
            writer.attr("commit-scripts", name)?;
        }
        if self.identifiers {
            writer.attr("xmlns:junos", JUNOS_NS)?.attr("junos:key", "key")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Limits;

    fn asked(get: &GetConfiguration) -> Result<String, RequestError> {
        let junos = Capabilities::new([Capability::JunosXml.uri()]);
        Ok(get.rpc(&junos)?.body.as_str().to_owned())
    }

    fn at(path: &str, objects: Objects) -> GetConfiguration {
        GetConfiguration {
            selection: Selection::Path {
                path: ConfigPath::parse(path).expect("a path"),
                objects,
            },
            ..GetConfiguration::default()
        }
    }

    /// S11: each attribute by itself and together.
    #[test]
    fn attributes_are_byte_exact() {
        let plain = GetConfiguration::default;
        for (get, attributes) in [
            (plain(), ""),
            (
                GetConfiguration {
                    database: Some(Database::Committed),
                    ..plain()
                },
                " database=\"committed\"",
            ),
            (
                GetConfiguration {
                    database: Some(Database::Candidate),
                    format: Format::Set,
                    ..plain()
                },
                " database=\"candidate\" format=\"set\"",
            ),
            (
                GetConfiguration {
                    format: Format::Text,
                    ..plain()
                },
                " format=\"text\"",
            ),
            (
                GetConfiguration {
                    format: Format::Json,
                    ..plain()
                },
                " format=\"json\"",
            ),
            (
                GetConfiguration {
                    inherit: Some(Inherit::Groups),
                    groups: true,
                    interface_ranges: true,
                    changed: true,
                    ..plain()
                },
                " inherit=\"inherit\" groups=\"groups\" interface-ranges=\"interface-ranges\" changed=\"changed\"",
            ),
            (
                GetConfiguration {
                    inherit: Some(Inherit::Defaults),
                    ..plain()
                },
                " inherit=\"defaults\"",
            ),
            (
                GetConfiguration {
                    commit_scripts: Some(CommitScripts::Apply),
                    ..plain()
                },
                " commit-scripts=\"apply\"",
            ),
            (
                GetConfiguration {
                    commit_scripts: Some(CommitScripts::ApplyNoTransients),
                    ..plain()
                },
                " commit-scripts=\"apply-no-transients\"",
            ),
            (
                GetConfiguration {
                    commit_scripts: Some(CommitScripts::View),
                    ..plain()
                },
                " commit-scripts=\"view\"",
            ),
            (
                GetConfiguration {
                    compare: Some(Compare::Rollback(49)),
                    format: Format::Text,
                    ..plain()
                },
                " compare=\"rollback\" rollback=\"49\" format=\"text\"",
            ),
            (
                GetConfiguration {
                    compare: Some(Compare::Rollback(0)),
                    ..plain()
                },
                " compare=\"rollback\" rollback=\"0\" format=\"xml\"",
            ),
            (
                GetConfiguration {
                    compare: Some(Compare::Revision("re0-1-2".into())),
                    format: Format::Json,
                    ..plain()
                },
                " compare=\"configuration-revision\" configuration-revision=\"re0-1-2\" format=\"json\"",
            ),
            (
                GetConfiguration {
                    identifiers: true,
                    ..plain()
                },
                " xmlns:junos=\"http://xml.juniper.net/junos/*/junos\" junos:key=\"key\"",
            ),
        ] {
            assert_eq!(asked(&get), Ok(format!("<get-configuration{attributes}/>")));
        }
    }

    /// S11: one object, all of a type, identifiers only, some by number, some by expression, several elements.
    #[test]
    fn selections_are_byte_exact() {
        let fragment = |xml: &str| Fragment::parse_one(xml, &Limits::default()).expect("well-formed");
        let elements = |xml: &str| GetConfiguration {
            selection: Selection::Elements(fragment(xml)),
            ..GetConfiguration::default()
        };
        for (get, content) in [
            (
                at("system/login", Objects::default()),
                "<system><login/></system>",
            ),
            (
                at("interfaces/interface[name=ge-0/0/0]", Objects::default()),
                "<interfaces><interface><name>ge-0/0/0</name></interface></interfaces>",
            ),
            (
                at(
                    "interfaces/interface",
                    Objects {
                        identifiers_only: true,
                        ..Objects::default()
                    },
                ),
                "<interfaces><interface recurse=\"false\"/></interfaces>",
            ),
            (
                at(
                    "interfaces/interface",
                    Objects {
                        count: Some(2),
                        start: Some(3),
                        ..Objects::default()
                    },
                ),
                "<interfaces><interface count=\"2\" start=\"3\"/></interfaces>",
            ),
            (
                at(
                    "interfaces",
                    Objects {
                        matching: Some("interface[name='ge-.*']".into()),
                        ..Objects::default()
                    },
                ),
                "<interfaces matching=\"interface[name='ge-.*']\"/>",
            ),
            (
                elements("<system><services/></system>"),
                "<system><services/></system>",
            ),
            (
                elements("<configuration><system/><snmp/></configuration>"),
                "<system/><snmp/>",
            ),
        ] {
            let expected =
                format!("<get-configuration><configuration>{content}</configuration></get-configuration>");
            assert_eq!(asked(&get), Ok(expected));
        }
    }

    /// S11: what makes no sense is refused before it is sent.
    #[test]
    fn bad_combinations_are_refused() {
        let plain = GetConfiguration::default;
        for (get, parameter) in [
            (
                GetConfiguration {
                    groups: true,
                    ..plain()
                },
                "groups",
            ),
            (
                GetConfiguration {
                    identifiers: true,
                    format: Format::Text,
                    ..plain()
                },
                "key",
            ),
            (
                GetConfiguration {
                    changed: true,
                    format: Format::Set,
                    ..plain()
                },
                "changed",
            ),
            (
                GetConfiguration {
                    compare: Some(Compare::Rollback(50)),
                    ..plain()
                },
                "compare",
            ),
            (
                GetConfiguration {
                    compare: Some(Compare::Revision(" ".into())),
                    ..plain()
                },
                "compare",
            ),
            (
                at(
                    "a/b",
                    Objects {
                        count: Some(0),
                        ..Objects::default()
                    },
                ),
                "count",
            ),
            (
                at(
                    "a/b",
                    Objects {
                        start: Some(0),
                        ..Objects::default()
                    },
                ),
                "start",
            ),
            (
                at(
                    "a/b",
                    Objects {
                        matching: Some(String::new()),
                        ..Objects::default()
                    },
                ),
                "matching",
            ),
        ] {
            let refused = asked(&get);
            assert!(
                matches!(&refused, Err(RequestError::Invalid { parameter: found, .. }) if *found == parameter),
                "{refused:?}"
            );
        }
        let elsewhere = plain().rpc(&Capabilities::default());
        assert!(matches!(elsewhere, Err(RequestError::MissingCapability(_))));
    }
}
