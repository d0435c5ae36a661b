//! `<get-system-uptime-information/>`: since when a device is up (S29).

use super::require;
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::tree::Element;
use crate::xml::{Limits, Writer, XmlError};

/// The request.
///
/// # Errors
/// No Junos device.
pub fn rpc(capabilities: &Capabilities) -> Result<Rpc, RequestError> {
    require(capabilities, "get-system-uptime-information")?;
    let mut writer = Writer::new();
    writer.empty("get-system-uptime-information")?;
    Ok(Rpc::new(writer.finish()?))
}

/// When the device was started, in seconds since 1970 by its own clock: the first of its members where it has several.
/// `None`: it does not say.
///
/// # Errors
/// A document that is not well-formed.
pub fn booted(reply: &str) -> Result<Option<i64>, XmlError> {
    let root = Element::parse(reply, &Limits::default())?;
    let seconds = root
        .find("system-booted-time")
        .and_then(|moment| moment.child("date-time"))
        .and_then(|date| date.attribute("seconds"));
    Ok(seconds.and_then(|seconds| seconds.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S29: since when a device is up, whichever member says so.
    #[test]
    fn the_time_of_the_start_is_found() {
        let alone = "<system-uptime-information xmlns:junos=\"http://xml.juniper.net/junos/21.4R0/junos\">\
                     <current-time><date-time junos:seconds=\"1700000500\">2023-11-14 22:21:40 UTC</date-time></current-time>\
                     <system-booted-time><date-time junos:seconds=\"1700000000\">2023-11-14 22:13:20 UTC</date-time>\
                     <time-length junos:seconds=\"500\">00:08:20</time-length></system-booted-time>\
                     </system-uptime-information>";
        assert_eq!(booted(alone).unwrap(), Some(1_700_000_000));
        let members = format!(
            "<multi-routing-engine-results><multi-routing-engine-item><re-name>re0</re-name>{alone}\
             </multi-routing-engine-item></multi-routing-engine-results>"
        );
        assert_eq!(booted(&members).unwrap(), Some(1_700_000_000));
        assert_eq!(booted("<system-uptime-information/>").unwrap(), None);
    }
}
