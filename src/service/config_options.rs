//! Which options of a read of configuration go together.

use super::request::{Format, GetConfigRequest, JunosConfigOptions};
use crate::error::Error;

/// The first option that only Junos has.
pub(super) fn first_option(options: &JunosConfigOptions) -> Option<&'static str> {
    let JunosConfigOptions {
        inherit,
        groups,
        interface_ranges,
        changed,
        commit_scripts,
        key,
        recurse,
        count,
        start,
        matching,
        schema,
    } = options;
    [
        (inherit.is_some(), "inherit"),
        (*groups, "groups"),
        (*interface_ranges, "interface_ranges"),
        (*changed, "changed"),
        (commit_scripts.is_some(), "commit_scripts"),
        (*key, "key"),
        (recurse.is_some(), "recurse"),
        (count.is_some(), "count"),
        (start.is_some(), "start"),
        (matching.is_some(), "matching"),
        (*schema, "schema"),
    ]
    .into_iter()
    .find_map(|(given, name)| given.then_some(name))
}

/// The schema is what it is, whatever is configured: with it goes nothing that says which configuration is wanted, which
/// part of it, or how the device is to write it.
///
/// # Errors
/// `?schema`, with the option that does not go with it.
pub(super) fn check_schema(request: &GetConfigRequest) -> Result<(), Error> {
    if !request.junos.schema {
        return Ok(());
    }
    let others = JunosConfigOptions {
        schema: false,
        ..request.junos.clone()
    };
    let of_the_device = matches!(
        request.output.format,
        Format::Text | Format::Set | Format::DeviceJson
    );
    let given = [
        (request.source.is_some(), "source"),
        (request.path.is_some(), "path"),
        (request.filter.is_some(), "filter"),
        (request.xpath.is_some(), "xpath"),
        (request.with_defaults.is_some(), "with_defaults"),
        (of_the_device, "format"),
    ];
    let given = given.into_iter().find_map(|(given, name)| given.then_some(name));
    match given.or_else(|| first_option(&others)) {
        None => Ok(()),
        Some(option) => Err(Error::invalid(
            "?schema",
            format!("the schema comes whole, in XML; {option} does not apply"),
        )),
    }
}
