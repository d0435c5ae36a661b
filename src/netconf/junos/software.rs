//! `<get-software-information/>` and its answer: who the device is and what it runs (S7).

use super::version::JunosVersion;
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::tree::Element;
use crate::xml::{Limits, Writer, XmlError};

/// The request.
///
/// # Errors
/// No Junos device.
pub fn rpc(capabilities: &Capabilities) -> Result<Rpc, RequestError> {
    capabilities.require(
        Capability::JunosXml,
        "get-software-information",
        "get-software-information",
    )?;
    let mut writer = Writer::new();
    writer.empty("get-software-information")?;
    Ok(Rpc::new(writer.finish()?))
}

/// What one routing engine or member says of itself. What it does not say is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Software {
    /// `re0`, `fpc0`, `node0`; none when the device has one routing engine.
    pub member: Option<String>,
    pub host_name: Option<String>,
    pub product_model: Option<String>,
    pub product_name: Option<String>,
    /// The release, in the device's spelling.
    pub version: Option<String>,
    /// `YYYY-MM-DD`.
    pub build_date: Option<String>,
}

impl Software {
    /// The release as a number that can be compared.
    pub fn junos_version(&self) -> Option<JunosVersion> {
        JunosVersion::parse(self.version.as_deref()?).ok()
    }
}

/// The whole answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SoftwareInformation {
    /// One for each member that answered, in the device's order.
    pub members: Vec<Software>,
}

impl SoftwareInformation {
    /// Reads a reply, with or without `<multi-routing-engine-results>` and the envelope.
    ///
    /// # Errors
    /// A document that is not well-formed.
    pub fn parse(reply: &str) -> Result<Self, XmlError> {
        let root = Element::parse(reply, &Limits::default())?;
        let mut members = Vec::new();
        collect(&root, None, &mut members);
        Ok(Self { members })
    }

    /// The member that stands for the device: the first that says which release it runs, or else the first.
    pub fn primary(&self) -> Option<&Software> {
        self.members
            .iter()
            .find(|software| software.version.is_some())
            .or(self.members.first())
    }
}

fn collect(element: &Element, member: Option<&str>, members: &mut Vec<Software>) {
    if element.local == "software-information" {
        members.push(software(element, member));
        return;
    }
    let name = element.child("re-name").map(Element::text);
    for child in element.children() {
        collect(child, name.as_deref().or(member), members);
    }
}

fn software(element: &Element, member: Option<&str>) -> Software {
    let text = |name: &str| {
        element
            .child(name)
            .map(Element::text)
            .filter(|text| !text.is_empty())
    };
    let version = text("junos-version").or_else(|| packaged_version(element));
    let build_date = element
        .path(&["version-information", "build-date"])
        .and_then(|built| date(&built.text()))
        .or_else(|| version.as_deref().and_then(date))
        .or_else(|| packages(element).find_map(|(_, comment)| date(bracketed(&comment)?)));
    Software {
        member: member.map(str::to_owned),
        host_name: text("host-name"),
        product_model: text("product-model"),
        product_name: text("product-name"),
        version,
        build_date,
    }
}

fn packages(element: &Element) -> impl Iterator<Item = (String, String)> {
    element.children_named("package-information").map(|package| {
        let text = |name| package.child(name).map(Element::text).unwrap_or_default();
        (text("name"), text("comment"))
    })
}

/// Releases before 15.1 say it only in the names of their packages: by the package that is the version, by the
/// base system, or by the first package that has a release in brackets.
fn packaged_version(element: &Element) -> Option<String> {
    let release = |comment: &str| {
        let text = bracketed(comment).or_else(|| Some(comment.rsplit_once(':')?.1.trim()))?;
        JunosVersion::parse(text).is_ok().then(|| text.to_owned())
    };
    let named = |wanted: &[&str]| {
        packages(element)
            .filter(|(name, _)| wanted.iter().any(|wanted| name.eq_ignore_ascii_case(wanted)))
            .find_map(|(_, comment)| release(&comment))
    };
    named(&["junos-version", "junos version"])
        .or_else(|| named(&["junos"]))
        // Scripts and documentation have releases of their own.
        .or_else(|| {
            packages(element)
                .filter(|(_, comment)| comment.to_ascii_uppercase().starts_with("JUNOS"))
                .find_map(|(_, comment)| release(&comment))
        })
}

fn bracketed(comment: &str) -> Option<&str> {
    comment
        .rsplit_once('[')?
        .1
        .split_once(']')
        .map(|(inside, _)| inside.trim())
}

/// The first day in a text, written `YYYYMMDD` or `YYYY-MM-DD`.
fn date(text: &str) -> Option<String> {
    let starts = (0..text.len()).filter(|at| text.is_char_boundary(*at));
    starts
        .filter(|at| *at == 0 || !text.as_bytes()[at - 1].is_ascii_digit())
        .find_map(|at| day_at(&text[at..]))
}

fn day_at(text: &str) -> Option<String> {
    let dashed = text.as_bytes().get(4) == Some(&b'-') && text.as_bytes().get(7) == Some(&b'-');
    let (month, day, end) = if dashed { (5, 8, 10) } else { (4, 6, 8) };
    let year = text.get(0..4)?;
    let month = text.get(month..month + 2)?;
    let day = text.get(day..day + 2)?;
    let number = |digits: &str| {
        let all = digits.bytes().all(|byte| byte.is_ascii_digit());
        all.then(|| digits.parse::<u32>().ok()).flatten()
    };
    let plausible = (1990..2100).contains(&number(year)?)
        && (1..=12).contains(&number(month)?)
        && (1..=31).contains(&number(day)?)
        && !text.as_bytes().get(end).is_some_and(u8::is_ascii_digit);
    plausible.then(|| format!("{year}-{month}-{day}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(content: &str) -> SoftwareInformation {
        let reply = format!(
            "<rpc-reply xmlns:junos=\"http://xml.juniper.net/junos/21.4R1/junos\">{content}</rpc-reply>"
        );
        SoftwareInformation::parse(&reply).expect("the example is well-formed")
    }

    fn version_of(content: &str) -> Option<String> {
        let found = parsed(&format!("<software-information>{content}</software-information>"));
        found.members[0].version.clone()
    }

    /// S7: a device with one routing engine.
    #[test]
    fn one_routing_engine_is_read() {
        let found = parsed(
            "<software-information><host-name>r1</host-name><product-model>mx240</product-model>\
             <product-name>mx240</product-name><junos-version>21.4R3.15</junos-version>\
             <package-information><name>os-kernel</name>\
             <comment>JUNOS OS Kernel 64-bit  [20220923.2049a1c_builder_stable_12_214]</comment></package-information>\
             </software-information>",
        );
        let software = Software {
            member: None,
            host_name: Some("r1".into()),
            product_model: Some("mx240".into()),
            product_name: Some("mx240".into()),
            version: Some("21.4R3.15".into()),
            build_date: Some("2022-09-23".into()),
        };
        assert_eq!(found.primary(), Some(&software));
        assert_eq!(
            software
                .junos_version()
                .map(|version| version.to_string())
                .as_deref(),
            Some("21.4R3.15")
        );
    }

    /// S7: members, of which one says nothing.
    #[test]
    fn members_are_read() {
        let found = parsed(
            "<multi-routing-engine-results><multi-routing-engine-item><re-name>re0</re-name>\
             <software-information><host-name>r1-re0</host-name></software-information></multi-routing-engine-item>\
             <multi-routing-engine-item><re-name>re1</re-name><software-information>\
             <junos-version>18.3R1.9</junos-version></software-information></multi-routing-engine-item>\
             </multi-routing-engine-results>",
        );
        let names: Vec<_> = found
            .members
            .iter()
            .map(|software| software.member.as_deref())
            .collect();
        assert_eq!(names, [Some("re0"), Some("re1")]);
        assert_eq!(
            found.primary().and_then(|software| software.member.as_deref()),
            Some("re1")
        );
        assert_eq!(parsed("<ok/>").primary(), None);
        assert!(SoftwareInformation::parse("<rpc-reply>").is_err());
    }

    /// S7: releases that old systems put into the names of their packages.
    #[test]
    fn packaged_versions_are_read() {
        let package = |name: &str, comment: &str| {
            format!(
                "<package-information><name>{name}</name><comment>{comment}</comment></package-information>"
            )
        };
        let scripts = package("jais", "AI-Scripts [6.0R2-THIN.0]");
        for (packages, version) in [
            (
                package("junos", "JUNOS Base OS boot [12.3R6.6]"),
                Some("12.3R6.6"),
            ),
            (
                package("junos", "JUNOS Software Release [12.1X46-D10.2]"),
                Some("12.1X46-D10.2"),
            ),
            (
                scripts.clone() + &package("junos", "JUNOS Base OS boot [8.2-20070112.1]"),
                Some("8.2-20070112.1"),
            ),
            (package("junos-version", "Junos: 14.2R4"), Some("14.2R4")),
            (
                package(
                    "JUNOS version",
                    "JUNOS version : 17.4-20170718_dev_common.1-secure",
                ),
                Some("17.4-20170718_dev_common.1-secure"),
            ),
            (
                package(
                    "Junos Host Software package[2]",
                    "JUNOS Host platform package [15.1X53-D45.3]",
                ),
                Some("15.1X53-D45.3"),
            ),
            (scripts.clone(), None),
            (
                "<package-information><name>junos</name></package-information>".to_owned() + &scripts,
                None,
            ),
        ] {
            assert_eq!(version_of(&packages).as_deref(), version, "{packages}");
        }
    }

    /// S7: the day it was built, in every place where it is said.
    #[test]
    fn build_dates_are_read() {
        for (text, day) in [
            ("8.2-20070112.1", Some("2007-01-12")),
            ("18.3I20180716_1639", Some("2018-07-16")),
            ("17.3-2017-07-02.0_RELEASE_173_THROTTLE", Some("2017-07-02")),
            ("2016-11-16 14:01:02 UTC", Some("2016-11-16")),
            ("21.4R1-S2.3", None),
            ("20181341", None),
            ("201801011", None),
            ("ü20180101", Some("2018-01-01")),
        ] {
            assert_eq!(date(text).as_deref(), day, "{text}");
        }
        let found = parsed(
            "<software-information><junos-version>15.1X53-D45.3</junos-version><version-information>\
             <component>MGD</component><build-date>2016-11-16 14:01:02 UTC</build-date></version-information>\
             </software-information>",
        );
        assert_eq!(found.members[0].build_date.as_deref(), Some("2016-11-16"));
    }

    /// S7: asked only where the Junos capability is offered.
    #[test]
    fn request_needs_junos() {
        let junos = Capabilities::new([Capability::JunosXml.uri()]);
        assert_eq!(
            rpc(&junos).expect("it can be asked").body.as_str(),
            "<get-software-information/>"
        );
        assert!(rpc(&Capabilities::default()).is_err());
    }
}
