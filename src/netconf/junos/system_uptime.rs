//! `<get-system-uptime-information/>`: a cheap sign of life, the device's clock, and when it booted.

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
        "get-system-uptime-information",
        "get-system-uptime-information",
    )?;
    let mut writer = Writer::new();
    writer.empty("get-system-uptime-information")?;
    Ok(Rpc::new(writer.finish()?))
}

/// A moment, as the device tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceTime {
    /// In the device's words and time zone: `2026-01-02 09:31:02 UTC`.
    pub text: String,
    /// Seconds since 1970, where the device adds them.
    pub unix_seconds: Option<u64>,
}

impl DeviceTime {
    /// The last word, where it is the name of a time zone.
    pub fn time_zone(&self) -> Option<&str> {
        let zone = self.text.split_whitespace().nth(2)?;
        zone.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '+' | '-'))
            .then_some(zone)
    }
}

/// What one routing engine or member says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemUptime {
    pub member: Option<String>,
    pub current_time: Option<DeviceTime>,
    pub booted: Option<DeviceTime>,
    /// When the configuration was last changed, and by whom.
    pub last_configured: Option<DeviceTime>,
    pub last_configured_by: Option<String>,
}

/// Reads a reply, one entry for each member, with or without `<multi-routing-engine-results>` and the envelope.
///
/// # Errors
/// A document that is not well-formed.
pub fn parse(reply: &str) -> Result<Vec<SystemUptime>, XmlError> {
    let root = Element::parse(reply, &Limits::default())?;
    let mut members = Vec::new();
    collect(&root, None, &mut members);
    Ok(members)
}

fn collect(element: &Element, member: Option<&str>, members: &mut Vec<SystemUptime>) {
    if element.local == "system-uptime-information" {
        members.push(SystemUptime {
            member: member.map(str::to_owned),
            current_time: time(element, "current-time"),
            booted: time(element, "system-booted-time"),
            last_configured: time(element, "last-configured-time"),
            last_configured_by: element
                .path(&["last-configured-time", "user"])
                .map(Element::text)
                .filter(|user| !user.is_empty()),
        });
        return;
    }
    let name = element.child("re-name").map(Element::text);
    for child in element.children() {
        collect(child, name.as_deref().or(member), members);
    }
}

fn time(element: &Element, name: &str) -> Option<DeviceTime> {
    let time = element.path(&[name, "date-time"])?;
    Some(DeviceTime {
        text: time.text(),
        unix_seconds: time
            .attribute("seconds")
            .and_then(|seconds| seconds.trim().parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPTIME: &str = "<system-uptime-information><current-time>\
        <date-time junos:seconds=\"1767346262\">2026-01-02 09:31:02 UTC</date-time></current-time>\
        <system-booted-time><date-time>\n2026-01-01 09:00:00 UTC\n</date-time></system-booted-time>\
        <last-configured-time><date-time>x</date-time><user>alice</user></last-configured-time>\
        </system-uptime-information>";

    fn parsed(content: &str) -> Vec<SystemUptime> {
        let reply = format!(
            "<rpc-reply xmlns:junos=\"http://xml.juniper.net/junos/21.4R1/junos\">{content}</rpc-reply>"
        );
        parse(&reply).expect("the example is well-formed")
    }

    /// S10: the device's clock, with and without members.
    #[test]
    fn times_are_read() {
        let found = parsed(UPTIME);
        let now = found[0].current_time.clone().expect("it is told");
        assert_eq!(
            (now.unix_seconds, now.time_zone()),
            (Some(1_767_346_262), Some("UTC"))
        );
        let booted = found[0].booted.clone().expect("it is told");
        assert_eq!(
            (booted.text.as_str(), booted.unix_seconds),
            ("2026-01-01 09:00:00 UTC", None)
        );
        assert_eq!(found[0].last_configured_by.as_deref(), Some("alice"));
        assert_eq!(
            found[0].last_configured.as_ref().and_then(DeviceTime::time_zone),
            None
        );
        let members = parsed(&format!(
            "<multi-routing-engine-results><multi-routing-engine-item><re-name>re0</re-name>{UPTIME}\
             </multi-routing-engine-item></multi-routing-engine-results>"
        ));
        assert_eq!(members[0].member.as_deref(), Some("re0"));
        assert_eq!(parsed("<ok/>"), []);
    }

    /// S7: asked only where the Junos capability is offered.
    #[test]
    fn request_needs_junos() {
        let junos = Capabilities::new([Capability::JunosXml.uri()]);
        assert_eq!(
            rpc(&junos).expect("it can be asked").body.as_str(),
            "<get-system-uptime-information/>"
        );
        assert!(rpc(&Capabilities::default()).is_err());
    }
}
