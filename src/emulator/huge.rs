//! A reply of any size, made while it is sent and never held.

use super::device::Device;
use super::markup::Tag;

/// Bytes made at once, about.
const PIECE: usize = 32 * 1024;

/// An interface reply that goes on until it has the size asked for.
#[derive(Debug)]
pub struct HugeReply {
    head: Option<String>,
    tail: Option<String>,
    next: u64,
    made: u64,
    wanted: u64,
}

impl HugeReply {
    /// At least `wanted` bytes between the given start and end tag of the reply.
    pub fn new(start: String, end: String, device: &Device, wanted: u64) -> Self {
        let root = format!(
            "<interface-information xmlns=\"{}\" junos:style=\"terse\">\n",
            device.namespace("interface")
        );
        Self {
            head: Some(start + &root),
            tail: Some(format!("</interface-information>\n{end}")),
            next: 0,
            made: 0,
            wanted,
        }
    }

    /// The next piece; nothing when all is said.
    pub fn piece(&mut self) -> Option<Vec<u8>> {
        let mut out = self.head.take().unwrap_or_default();
        while out.len() < PIECE && self.made < self.wanted {
            let before = out.len();
            interface(self.next, &mut out);
            self.next += 1;
            self.made += (out.len() - before) as u64;
        }
        if self.made >= self.wanted && out.len() < PIECE {
            out.push_str(&self.tail.take().unwrap_or_default());
        }
        (!out.is_empty()).then(|| out.into_bytes())
    }
}

fn interface(number: u64, out: &mut String) {
    let name = format!("ge-{}/{}/{}", number / 4096, number / 64 % 64, number % 64);
    let port = Tag::parent(
        "physical-interface",
        vec![
            Tag::leaf("name", name),
            Tag::leaf("admin-status", "up"),
            Tag::leaf(
                "oper-status",
                if number.is_multiple_of(3) { "down" } else { "up" },
            ),
            Tag::leaf("snmp-index", (500 + number).to_string()),
        ],
    );
    port.write(out);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::config::Engine;
    use super::super::device::Facts;
    use super::super::profile::Profile;
    use super::super::when::DeviceTime;
    use super::*;
    use crate::xml::Limits;
    use crate::xml::tree::Element;

    fn device() -> Device {
        let facts = Facts {
            model: "mx240".into(),
            version: "21.4R3-S5.4".into(),
            serial: "JN1".into(),
            booted: 0,
            mac: [0; 4],
        };
        Device::new(
            facts,
            Profile::Junos,
            DeviceTime::Fixed(1),
            Engine::new(&[]).unwrap(),
        )
    }

    /// S17: a reply larger than anyone would hold comes in small pieces, and is one well-formed document.
    #[test]
    fn pieces_are_small_and_make_a_document_of_the_size_asked_for() {
        let start = "<rpc-reply xmlns:junos=\"j\">".to_owned();
        let mut huge = HugeReply::new(start, "</rpc-reply>".to_owned(), &device(), 300_000);
        let mut all = Vec::new();
        while let Some(piece) = huge.piece() {
            assert!(piece.len() < 2 * PIECE);
            all.extend(piece);
        }
        assert!((300_000..310_000).contains(&all.len()), "{}", all.len());
        let root = Element::parse(std::str::from_utf8(&all).unwrap(), &Limits::default()).unwrap();
        let ports = root.child("interface-information").unwrap().children().count();
        assert_eq!(ports as u64, huge.next);
    }
}
