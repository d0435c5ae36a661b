//! Operations on the hardware: inventory, routing engines, and the clusters that this device is not part of.

use super::{Request, Show, plain_text};
use crate::emulator::device_error::DeviceError;
use crate::emulator::markup::Tag;
use crate::emulator::when::{date_time, span};

pub(super) const INVENTORY: Show = Show {
    name: "get-chassis-inventory",
    arguments: &["detail", "extensive", "models"],
    run: inventory,
    text: inventory_text,
};

pub(super) const ROUTE_ENGINES: Show = Show {
    name: "get-route-engine-information",
    arguments: &["slot"],
    run: route_engines,
    text: route_engines_text,
};

pub(super) const VIRTUAL_CHASSIS: Show = Show {
    name: "get-virtual-chassis-information",
    arguments: &[],
    run: not_here,
    text: plain_text,
};

pub(super) const CLUSTER: Show = Show {
    name: "get-chassis-cluster-status",
    arguments: &[],
    run: not_here,
    text: plain_text,
};

/// A router of this family knows neither virtual chassis nor cluster.
fn not_here(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    Err(DeviceError::syntax(request.operation.local.clone()))
}

/// Name, version, part number, and description of the modules; the serial number is made from the chassis' one.
const MODULES: &[(&str, &str, &str, &str)] = &[
    ("Midplane", "REV 07", "760-021404", "MX240 Backplane"),
    ("FPM Board", "REV 03", "760-021392", "Front Panel Display"),
    ("PEM 0", "Rev 03", "740-029970", "PS 1.4-2.6kW; 90-264V AC in"),
    ("Routing Engine 0", "REV 06", "740-031116", "RE-S-1800x4"),
    ("CB 0", "REV 22", "750-031391", "Enhanced MX SCB"),
    ("FPC 0", "REV 16", "750-054564", "MPC 3D 16x1GE"),
];

fn inventory(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let facts = &request.device.facts;
    let mut chassis = vec![
        Tag::leaf("name", "Chassis"),
        Tag::leaf("serial-number", facts.serial.clone()),
        Tag::leaf("description", facts.model.to_uppercase()),
    ];
    chassis.extend(
        MODULES
            .iter()
            .enumerate()
            .map(|(number, (name, version, part, description))| {
                let mut module = vec![
                    Tag::leaf("name", *name),
                    Tag::leaf("version", *version),
                    Tag::leaf("part-number", *part),
                    Tag::leaf("serial-number", format!("{}{number:02}", facts.serial)),
                    Tag::leaf(
                        "description",
                        description.replace("MX240", &facts.model.to_uppercase()),
                    ),
                ];
                if *name == "FPC 0" {
                    module.push(Tag::parent(
                        "chassis-sub-module",
                        vec![
                            Tag::leaf("name", "PIC 0"),
                            Tag::leaf("part-number", "BUILTIN"),
                            Tag::leaf("serial-number", "BUILTIN"),
                            Tag::leaf("description", "4x 1GE(LAN) SFP"),
                        ],
                    ));
                }
                Tag::parent("chassis-module", module)
            }),
    );
    let chassis = Tag::parent("chassis", chassis).with("junos:style", "inventory");
    let inventory = Tag::parent("chassis-inventory", vec![chassis]);
    Ok(vec![inventory.with("xmlns", request.device.namespace("chassis"))])
}

fn inventory_text(tags: &[Tag]) -> String {
    let mut out = String::from("Hardware inventory:\n");
    out.push_str("Item             Version  Part number  Serial number     Description\n");
    fn row(tag: &Tag, level: usize, out: &mut String) {
        let value = |name: &str| tag.child_text(name);
        let name = format!("{:level$}{}", "", value("name"));
        let (version, part, serial) = (value("version"), value("part-number"), value("serial-number"));
        out.push_str(&format!(
            "{name:<16} {version:<8} {part:<12} {serial:<17} {}\n",
            value("description")
        ));
        let inside = |tag: &&Tag| matches!(tag.local(), "chassis-module" | "chassis-sub-module");
        for module in tag.tags().iter().filter(inside) {
            row(module, if tag.local() == "chassis" { 0 } else { level + 2 }, out);
        }
    }
    for chassis in tags.iter().flat_map(Tag::tags) {
        row(chassis, 0, &mut out);
    }
    out
}

fn route_engines(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let device = request.device;
    let facts = &device.facts;
    let uptime = device.now() - device.booted();
    let engine = vec![
        Tag::leaf("slot", "0"),
        Tag::leaf("mastership-state", "master"),
        Tag::leaf("mastership-priority", "master"),
        Tag::leaf("status", "OK"),
        Tag::leaf("temperature", "38 degrees C / 100 degrees F").with("junos:celsius", "38"),
        Tag::leaf("memory-dram-size", "16349 MB"),
        Tag::leaf("memory-buffer-utilization", "9"),
        Tag::leaf("cpu-user", "3"),
        Tag::leaf("cpu-background", "0"),
        Tag::leaf("cpu-system", "4"),
        Tag::leaf("cpu-interrupt", "1"),
        Tag::leaf("cpu-idle", "92"),
        Tag::leaf("model", "RE-S-1800x4"),
        Tag::leaf("serial-number", format!("{}03", facts.serial)),
        Tag::leaf("start-time", date_time(device.booted()))
            .with("junos:seconds", device.booted().to_string()),
        Tag::leaf("up-time", span(uptime)).with("junos:seconds", uptime.to_string()),
        Tag::leaf("last-reboot-reason", "Router rebooted after a normal shutdown."),
        Tag::leaf("load-average-one", "0.24"),
        Tag::leaf("load-average-five", "0.31"),
        Tag::leaf("load-average-fifteen", "0.29"),
    ];
    let information = Tag::parent(
        "route-engine-information",
        vec![Tag::parent("route-engine", engine)],
    );
    Ok(vec![information.with("xmlns", device.namespace("chassis"))])
}

fn route_engines_text(tags: &[Tag]) -> String {
    let labels = [
        ("Current state", "mastership-state"),
        ("Temperature", "temperature"),
        ("DRAM", "memory-dram-size"),
        ("Memory utilization", "memory-buffer-utilization"),
        ("Model", "model"),
        ("Serial ID", "serial-number"),
        ("Start time", "start-time"),
        ("Uptime", "up-time"),
        ("Last reboot reason", "last-reboot-reason"),
    ];
    let mut out = String::from("Routing Engine status:\n");
    for engine in tags.iter().flat_map(Tag::tags) {
        out.push_str(&format!("  Slot {}:\n", engine.child_text("slot")));
        for (label, name) in labels {
            out.push_str(&format!("    {label:<27} {}\n", engine.child_text(name)));
        }
    }
    out
}
