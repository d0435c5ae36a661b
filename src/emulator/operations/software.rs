//! `get-software-information`: `show version`.

use super::{Request, Show};
use crate::emulator::device_error::DeviceError;
use crate::emulator::markup::Tag;

pub(super) const SOFTWARE: Show = Show {
    name: "get-software-information",
    arguments: &["brief", "detail", "invoke-on"],
    run,
    text,
};

/// Packages of a release: name, and what the comment says before the version.
const PACKAGES: &[(&str, &str)] = &[
    ("os-kernel", "JUNOS OS Kernel 64-bit"),
    ("os-libs", "JUNOS OS libs"),
    ("os-runtime", "JUNOS OS runtime"),
    ("junos-runtime", "JUNOS runtime"),
    ("junos-routing-mpls-oam-basic", "JUNOS routing MPLS Oam Basic"),
    ("junos-dp-crypto-support", "JUNOS Data Plane Crypto Support"),
];

fn run(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let facts = &request.device.facts;
    let mut tags = vec![
        Tag::leaf("host-name", request.device.hostname()),
        Tag::leaf("product-model", facts.model.clone()),
        Tag::leaf("product-name", facts.model.clone()),
        Tag::leaf("junos-version", facts.version.clone()),
    ];
    if !request.has("brief") {
        tags.extend(PACKAGES.iter().map(|(name, comment)| {
            let comment = format!("{comment} [{}]", facts.version);
            Tag::parent(
                "package-information",
                vec![Tag::leaf("name", *name), Tag::leaf("comment", comment)],
            )
        }));
    }
    Ok(vec![Tag::parent("software-information", tags)])
}

fn text(tags: &[Tag]) -> String {
    let mut out = String::new();
    for info in tags {
        out.push_str(&format!("Hostname: {}\n", info.child_text("host-name")));
        out.push_str(&format!("Model: {}\n", info.child_text("product-model")));
        out.push_str(&format!("Junos: {}\n", info.child_text("junos-version")));
        for package in info
            .tags()
            .iter()
            .filter(|tag| tag.local() == "package-information")
        {
            out.push_str(package.child_text("comment"));
            out.push('\n');
        }
    }
    out
}
