//! What the device tells about its own schema: `get-schema` (RFC 6022 section 3.1) and `get-xnm-information`.

use super::netconf::MONITORING;
use super::{Answer, Outcome, Request, Show, plain_text};
use crate::emulator::config::modules::{REVISION, xsd, yang};
use crate::emulator::device_error::DeviceError;
use crate::emulator::markup::Tag;

pub(super) const XNM: Show = Show {
    name: "get-xnm-information",
    arguments: &["type", "namespace"],
    run: xnm,
    text: plain_text,
};

fn xnm(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let is = |name: &str, value: &str| request.argument(name).is_none_or(|given| given == value);
    if is("type", "xml-schema") && is("namespace", "junos-configuration") {
        Ok(vec![xsd()])
    } else {
        Err(DeviceError::new("error: no such schema").element("namespace"))
    }
}

/// `<get-schema>`
pub(super) fn get_schema(request: &Request<'_>) -> Outcome {
    let Some(module) = request.device.profile.module() else {
        return Err(DeviceError::syntax("get-schema"));
    };
    let is = |name: &str, value: &str| request.argument(name).is_none_or(|given| given == value);
    let named = request
        .argument("identifier")
        .is_some_and(|identifier| identifier == module.name);
    let format = request
        .argument("format")
        .is_none_or(|format| format.rsplit(':').next() == Some("yang"));
    if named && format && is("version", REVISION) {
        Ok(Answer::Tags(vec![
            Tag::leaf("data", yang(module)).with("xmlns", MONITORING),
        ]))
    } else {
        Err(DeviceError::new("the schema does not exist").tagged("application", "invalid-value"))
    }
}

/// `<schemas>` of `netconf-state`, where the device has any.
pub(super) fn schemas(request: &Request<'_>) -> Option<Tag> {
    let module = request.device.profile.module()?;
    let schema = Tag::parent(
        "schema",
        vec![
            Tag::leaf("identifier", module.name),
            Tag::leaf("version", REVISION),
            Tag::leaf("format", "yang"),
            Tag::leaf("namespace", module.namespace),
            Tag::leaf("location", "NETCONF"),
        ],
    );
    Some(Tag::parent("schemas", vec![schema]))
}
