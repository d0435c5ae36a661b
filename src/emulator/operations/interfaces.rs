//! `get-interface-information`: the ports of the device and what is configured on them.

use regex::Regex;

use super::{Request, Show};
use crate::emulator::config::{Database, Node};
use crate::emulator::device::Device;
use crate::emulator::device_error::DeviceError;
use crate::emulator::markup::Tag;
use crate::emulator::when::{ago, date_time};

pub(super) const INTERFACES: Show = Show {
    name: "get-interface-information",
    arguments: &[
        "interface-name",
        "terse",
        "brief",
        "detail",
        "extensive",
        "media",
        "statistics",
        "descriptions",
        "routing-instance",
    ],
    run,
    text,
};

/// Ports that are there whether configured or not.
const PORTS: &[&str] = &["ge-0/0/0", "ge-0/0/1", "ge-0/0/2", "ge-0/0/3", "fxp0", "lo0"];
/// The routing instance over which the routing engines talk to each other.
const PRIVATE_INSTANCE: &str = "__juniper_private1__";
/// Packets that have passed a port that is up; its number is added, so that no two ports say the same.
const PACKETS: u64 = 1_048_576;

/// How much is said about a port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Terse,
    Brief,
    Normal,
    Detail,
    Extensive,
}

/// A port and its configuration.
struct Port<'a> {
    name: String,
    /// Position among all ports of the device.
    number: usize,
    configured: Option<&'a Node>,
}

impl Port<'_> {
    fn disabled(&self) -> bool {
        self.configured
            .is_some_and(|port| port.inactive || port.child("disable").is_some())
    }

    fn up(&self) -> bool {
        !self.disabled() && (self.configured.is_some() || self.name == "lo0")
    }

    fn ethernet(&self) -> bool {
        self.name != "lo0"
    }

    fn status(&self) -> (&'static str, &'static str) {
        (
            if self.disabled() { "down" } else { "up" },
            if self.up() { "up" } else { "down" },
        )
    }
}

fn run(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let device = request.device;
    if let Some(instance) = request.argument("routing-instance") {
        return if instance == PRIVATE_INSTANCE {
            Ok(vec![
                information(device, Level::Terse, vec![private_port()]).padded(),
            ])
        } else {
            Err(DeviceError::new(format!("error: instance {instance} not found")))
        };
    }
    let tree = device.tree(Database::Committed).unwrap_or_default();
    let ports = ports(&tree);
    if request.has("descriptions") {
        return Ok(vec![descriptions(device, &ports)]);
    }
    let level = level(request);
    let wanted = request.argument("interface-name");
    let tags = match &wanted {
        None => ports.iter().map(|port| physical(device, port, level)).collect(),
        Some(pattern) if pattern.contains(['*', '?', '[']) => {
            let fits = glob(pattern)?;
            ports
                .iter()
                .filter(|port| fits.is_match(&port.name))
                .map(|port| physical(device, port, level))
                .collect()
        }
        Some(name) => vec![named(device, &ports, name, level)?],
    };
    let information = information(device, level, tags);
    // The short forms come with a line feed before and after every value.
    Ok(vec![if level == Level::Terse {
        information.padded()
    } else {
        information
    }])
}

/// A shell pattern (`[gx]e-*`) as an expression.
fn glob(pattern: &str) -> Result<Regex, DeviceError> {
    let mut expression = String::from("^");
    for c in pattern.chars() {
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '[' | ']' => expression.push(c),
            other => expression.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    expression.push('$');
    Regex::new(&expression).map_err(|_| DeviceError::new(format!("invalid interface name {pattern}")))
}

fn level(request: &Request<'_>) -> Level {
    let levels = [
        ("terse", Level::Terse),
        ("brief", Level::Brief),
        ("extensive", Level::Extensive),
        ("detail", Level::Detail),
        ("statistics", Level::Detail),
    ];
    levels
        .iter()
        .find(|(name, _)| request.has(name))
        .map_or(Level::Normal, |(_, level)| *level)
}

fn information(device: &Device, level: Level, tags: Vec<Tag>) -> Tag {
    let style = match level {
        Level::Terse => "terse",
        Level::Brief => "brief",
        Level::Normal => "normal",
        Level::Detail | Level::Extensive => "detail",
    };
    Tag::parent("interface-information", tags)
        .with("xmlns", device.namespace("interface"))
        .with("junos:style", style)
}

/// All ports: the built-in ones and those that are only configured, in the order of their names.
fn ports(tree: &Node) -> Vec<Port<'_>> {
    let configured: Vec<&Node> = tree.child("interfaces").map_or_else(Vec::new, |interfaces| {
        interfaces.children_named("interface").collect()
    });
    let mut names: Vec<&str> = PORTS.to_vec();
    names.extend(
        configured
            .iter()
            .map(|port| port.argument.as_str())
            .filter(|name| !PORTS.contains(name)),
    );
    names.sort_unstable();
    let find = |name: &str| configured.iter().find(|port| port.argument == name).copied();
    let ports = names.into_iter().enumerate();
    ports
        .map(|(number, name)| Port {
            name: name.to_owned(),
            number,
            configured: find(name),
        })
        .collect()
}

/// A port by its name, or one of its units by `port.unit`.
fn named(device: &Device, ports: &[Port<'_>], name: &str, level: Level) -> Result<Tag, DeviceError> {
    if let Some(port) = ports.iter().find(|port| port.name == name) {
        return Ok(physical(device, port, level));
    }
    let unit = name.split_once('.').and_then(|(port, unit)| {
        let port = ports.iter().find(|known| known.name == port)?;
        let units = port.configured?;
        units
            .children_named("unit")
            .find(|known| known.argument == unit)
            .map(|unit| logical(port, unit, level))
    });
    unit.ok_or_else(|| DeviceError::new(format!("device {name} not found")).from_daemon("ifinfo"))
}

fn mac(device: &Device, port: &Port<'_>) -> String {
    let [a, b, c, d] = device.facts.mac;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:00:{:02x}", port.number)
}

fn physical(device: &Device, port: &Port<'_>, level: Level) -> Tag {
    let (admin, oper) = port.status();
    let mut tags = vec![Tag::leaf("name", port.name.clone())];
    let admin_status = Tag::leaf("admin-status", admin);
    let enabled = if admin == "up" { "Enabled" } else { "Disabled" };
    tags.push(if level == Level::Terse {
        admin_status
    } else {
        admin_status.with("junos:format", enabled)
    });
    tags.push(Tag::leaf("oper-status", oper));
    let description = port.configured.and_then(|node| node.child("description"));
    tags.extend(description.map(|text| Tag::leaf("description", text.argument.clone())));
    if level != Level::Terse {
        physical_details(device, port, level, &mut tags);
    }
    if let Some(node) = port.configured.filter(|node| !node.inactive) {
        tags.extend(node.children_named("unit").map(|unit| logical(port, unit, level)));
    }
    Tag::parent("physical-interface", tags)
}

fn physical_details(device: &Device, port: &Port<'_>, level: Level, tags: &mut Vec<Tag>) {
    let configured = |name: &str| {
        port.configured
            .and_then(|node| node.child(name))
            .map(|leaf| leaf.argument.clone())
    };
    tags.push(Tag::leaf("local-index", (128 + port.number).to_string()));
    tags.push(Tag::leaf("snmp-index", (512 + port.number).to_string()));
    if matches!(level, Level::Detail | Level::Extensive) {
        tags.push(Tag::leaf("generation", (131 + port.number).to_string()));
    }
    if port.ethernet() {
        tags.push(Tag::leaf("link-level-type", "Ethernet"));
        tags.push(Tag::leaf(
            "mtu",
            configured("mtu").unwrap_or_else(|| "1514".to_owned()),
        ));
        tags.push(Tag::leaf("speed", "1000mbps"));
        tags.push(Tag::leaf("loopback", "disabled"));
        tags.push(Tag::leaf("if-flow-control", "enabled"));
    } else {
        tags.push(Tag::leaf("if-type", "Loopback"));
        tags.push(Tag::leaf("mtu", "Unlimited"));
    }
    let mut flags = vec![Tag::empty("ifdf-present")];
    flags.push(Tag::empty(if port.up() { "ifdf-running" } else { "ifdf-down" }));
    tags.push(Tag::parent("if-device-flags", flags));
    tags.push(Tag::parent("if-config-flags", vec![Tag::empty("iff-snmp-traps")]));
    if port.ethernet() {
        tags.push(Tag::leaf("current-physical-address", mac(device, port)));
        tags.push(Tag::leaf("hardware-physical-address", mac(device, port)));
    }
    if port.up() {
        let at = device.booted() + 95;
        let since = device.now() - at;
        let text = format!("{} ({} ago)", date_time(at), ago(since));
        tags.push(Tag::leaf("interface-flapped", text).with("junos:seconds", since.to_string()));
    } else {
        tags.push(Tag::leaf("interface-flapped", "Never").with("junos:seconds", "0"));
    }
    tags.push(traffic(port, level));
    if level == Level::Extensive {
        let none = |name: &'static str| Tag::leaf(name, "0");
        let names = [
            "input-errors",
            "input-drops",
            "framing-errors",
            "input-runts",
            "input-discards",
        ];
        tags.push(Tag::parent(
            "input-error-list",
            names.iter().map(|name| none(name)).collect(),
        ));
        let names = [
            "carrier-transitions",
            "output-errors",
            "output-collisions",
            "output-drops",
            "mtu-errors",
        ];
        tags.push(Tag::parent(
            "output-error-list",
            names.iter().map(|name| none(name)).collect(),
        ));
    }
}

fn traffic(port: &Port<'_>, level: Level) -> Tag {
    let packets = if port.up() {
        PACKETS + port.number as u64
    } else {
        0
    };
    let rate = if port.up() {
        8 * (port.number as u64 + 1)
    } else {
        0
    };
    let count = |name: &'static str, number: u64| Tag::leaf(name, number.to_string());
    match level {
        Level::Detail | Level::Extensive => Tag::parent(
            "traffic-statistics",
            vec![
                count("input-bytes", packets * 64),
                count("input-bps", rate * 64),
                count("output-bytes", packets * 96),
                count("output-bps", rate * 96),
                count("input-packets", packets),
                count("input-pps", rate / 8),
                count("output-packets", packets + 7),
                count("output-pps", rate / 8),
            ],
        )
        .with("junos:style", "verbose"),
        Level::Terse | Level::Brief | Level::Normal => Tag::parent(
            "traffic-statistics",
            vec![
                count("input-bps", rate * 64),
                count("input-pps", rate / 8),
                count("output-bps", rate * 96),
                count("output-pps", rate / 8),
            ],
        )
        .with("junos:style", "brief"),
    }
}

fn logical(port: &Port<'_>, unit: &Node, level: Level) -> Tag {
    let down = unit.inactive || unit.child("disable").is_some() || !port.up();
    let mut tags = vec![Tag::leaf("name", format!("{}.{}", port.name, unit.argument))];
    if level == Level::Terse {
        tags.push(Tag::leaf("admin-status", if down { "down" } else { "up" }));
        tags.push(Tag::leaf("oper-status", if down { "down" } else { "up" }));
    } else {
        tags.push(Tag::leaf("local-index", (330 + port.number).to_string()));
        tags.push(Tag::leaf("snmp-index", (530 + port.number).to_string()));
        let state = if down { "iff-down" } else { "iff-up" };
        tags.push(Tag::parent(
            "if-config-flags",
            vec![Tag::empty(state), Tag::empty("iff-snmp-traps")],
        ));
        if port.ethernet() {
            tags.push(Tag::leaf("encapsulation", "ENET2"));
        }
    }
    let description = unit
        .child("description")
        .map(|text| Tag::leaf("description", text.argument.clone()));
    tags.extend(description);
    if let Some(family) = unit.child("family") {
        tags.extend(family.children.iter().map(|family| address_family(family, level)));
    }
    Tag::parent("logical-interface", tags)
}

fn address_family(family: &Node, level: Level) -> Tag {
    let mut tags = vec![Tag::leaf("address-family-name", family.statement.name)];
    if level != Level::Terse {
        let mtu = family
            .child("mtu")
            .map_or_else(|| "1500".to_owned(), |leaf| leaf.argument.clone());
        tags.push(Tag::leaf("mtu", mtu));
    }
    for address in family.children_named("address") {
        let host = address.argument.split('/').next().unwrap_or_default();
        let mut inside = Vec::new();
        if level == Level::Terse {
            inside.push(Tag::leaf("ifa-local", address.argument.clone()).with("junos:emit", "emit"));
        } else {
            let flags = ["ifaf-current-preferred", "ifaf-current-primary"];
            inside.push(Tag::parent(
                "ifa-flags",
                flags.iter().map(|flag| Tag::empty(*flag)).collect(),
            ));
            inside.push(Tag::leaf("ifa-destination", address.argument.clone()));
            inside.push(Tag::leaf("ifa-local", host));
        }
        tags.push(Tag::parent("interface-address", inside));
    }
    Tag::parent("address-family", tags)
}

/// The port that leads to the other routing engine.
fn private_port() -> Tag {
    let address = |text: &'static str| Tag::parent("interface-address", vec![Tag::leaf("ifa-local", text)]);
    let family = Tag::parent(
        "address-family",
        vec![
            Tag::leaf("address-family-name", "inet"),
            address("10.0.0.4/8"),
            address("128.0.0.4/2"),
        ],
    );
    let status = || vec![Tag::leaf("admin-status", "up"), Tag::leaf("oper-status", "up")];
    let mut unit = vec![Tag::leaf("name", "em0.0")];
    unit.extend(status());
    unit.push(family);
    let mut port = vec![Tag::leaf("name", "em0")];
    port.extend(status());
    port.push(Tag::parent("logical-interface", unit));
    Tag::parent("physical-interface", port)
}

fn descriptions(device: &Device, ports: &[Port<'_>]) -> Tag {
    let described = ports.iter().filter_map(|port| {
        let text = port.configured?.child("description")?;
        let (admin, oper) = port.status();
        Some(Tag::parent(
            "physical-interface",
            vec![
                Tag::leaf("name", port.name.clone()),
                Tag::leaf("admin-status", admin),
                Tag::leaf("oper-status", oper),
                Tag::leaf("description", text.argument.clone()),
            ],
        ))
    });
    Tag::parent("interface-information", described.collect())
        .with("xmlns", device.namespace("interface"))
        .with("junos:style", "description")
}

fn text(tags: &[Tag]) -> String {
    let mut out = String::new();
    for information in tags {
        let style = information
            .attributes
            .iter()
            .find(|(name, _)| name == "junos:style");
        match style.map(|(_, value)| value.as_str()) {
            Some("terse") => terse_text(information, &mut out),
            Some("description") => {
                out.push_str("Interface       Admin Link Description\n");
                for port in information.tags() {
                    let value = |name: &str| port.child_text(name);
                    let (admin, oper) = (value("admin-status"), value("oper-status"));
                    out.push_str(&format!(
                        "{:<15} {admin:<5} {oper:<4} {}\n",
                        value("name"),
                        value("description")
                    ));
                }
            }
            _ => long_text(information, &mut out),
        }
    }
    out
}

fn terse_text(information: &Tag, out: &mut String) {
    out.push_str("Interface               Admin Link Proto    Local                 Remote\n");
    for port in information.tags() {
        let row = |tag: &Tag| {
            let value = |name: &str| tag.child_text(name);
            format!(
                "{:<23} {:<5} {:<4}",
                value("name"),
                value("admin-status"),
                value("oper-status")
            )
        };
        if port.local() == "physical-interface" {
            out.push_str(row(port).trim_end());
            out.push('\n');
        }
        let own = (port.local() == "logical-interface").then_some(port);
        let units = port
            .tags()
            .iter()
            .filter(|tag| tag.local() == "logical-interface")
            .chain(own);
        for unit in units {
            let mut head = row(unit);
            let families = unit.tags().iter().filter(|tag| tag.local() == "address-family");
            let mut any = false;
            for family in families {
                let addresses = family
                    .tags()
                    .iter()
                    .filter(|tag| tag.local() == "interface-address");
                let mut addresses = addresses.map(|address| address.child_text("ifa-local"));
                let first = addresses.next().unwrap_or_default();
                let line = format!("{head} {:<8} {first}", family.child_text("address-family-name"));
                out.push_str(line.trim_end());
                out.push('\n');
                for more in addresses {
                    out.push_str(&format!("{:<43} {more}\n", ""));
                }
                head = format!("{:<34}", "");
                any = true;
            }
            if !any {
                out.push_str(head.trim_end());
                out.push('\n');
            }
        }
    }
}

fn long_text(information: &Tag, out: &mut String) {
    for port in information.tags() {
        let value = |name: &str| port.child_text(name);
        if port.local() == "physical-interface" {
            let enabled = if value("admin-status") == "up" {
                "Enabled"
            } else {
                "Administratively down"
            };
            let link = if value("oper-status") == "up" {
                "Up"
            } else {
                "Down"
            };
            out.push_str(&format!(
                "Physical interface: {}, {enabled}, Physical link is {link}\n  Interface index: {}, SNMP ifIndex: {}\n",
                value("name"),
                value("local-index"),
                value("snmp-index")
            ));
            if !value("description").is_empty() {
                out.push_str(&format!("  Description: {}\n", value("description")));
            }
            out.push_str(&format!(
                "  Link-level type: {}, MTU: {}",
                value("link-level-type"),
                value("mtu")
            ));
            out.push_str(&format!(", Speed: {}\n", value("speed")));
            out.push_str(&format!("  Last flapped   : {}\n", value("interface-flapped")));
        }
        let own = (port.local() == "logical-interface").then_some(port);
        for unit in port
            .tags()
            .iter()
            .filter(|tag| tag.local() == "logical-interface")
            .chain(own)
        {
            out.push_str(&format!("\n  Logical interface {}\n", unit.child_text("name")));
            for family in unit.tags().iter().filter(|tag| tag.local() == "address-family") {
                let value = |name: &str| family.child_text(name);
                out.push_str(&format!(
                    "    Protocol {}, MTU: {}\n",
                    value("address-family-name"),
                    value("mtu")
                ));
                for address in family
                    .tags()
                    .iter()
                    .filter(|tag| tag.local() == "interface-address")
                {
                    let value = |name: &str| address.child_text(name);
                    out.push_str(&format!(
                        "        Destination: {}, Local: {}\n",
                        value("ifa-destination"),
                        value("ifa-local")
                    ));
                }
            }
        }
        out.push('\n');
    }
}
