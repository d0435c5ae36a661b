//! `<command>`: operational CLI text, and the request tag that a command stands for (S10).

use super::Format;
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;
use crate::xml::tree::Element;

/// One CLI command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// As typed: `show interfaces terse`.
    pub text: String,
    pub format: Format,
}

impl Command {
    /// The request.
    ///
    /// # Errors
    /// No Junos device; a command that is empty or holds more than one line.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        capabilities.require(Capability::JunosXml, "command", "command")?;
        if self.format == Format::Set {
            return Err(RequestError::invalid(
                "format",
                "set is a format of configuration only",
            ));
        }
        write(checked(&self.text)?, self.format)
    }

    /// The question which request tag the command stands for (`| display xml rpc`).
    ///
    /// # Errors
    /// As `rpc`; a command with a pipe of its own.
    pub fn mapping_rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        capabilities.require(Capability::JunosXml, "command", "command")?;
        let text = checked(&self.text)?;
        if text.contains('|') {
            return Err(RequestError::invalid(
                "command",
                "a command with a pipe stands for no request tag",
            ));
        }
        // Some devices answer this in XML only when asked for it.
        write(&format!("{text} | display xml rpc"), Format::Xml)
    }
}

fn write(text: &str, format: Format) -> Result<Rpc, RequestError> {
    let mut writer = Writer::new();
    writer
        .open("command")?
        .attr("format", format.as_str())?
        .text(text)?
        .close()?;
    Ok(Rpc::new(writer.finish()?))
}

/// One line of text: what follows a line break would be a command of its own.
fn checked(text: &str) -> Result<&str, RequestError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(RequestError::invalid("command", "the command is empty"));
    }
    if let Some(control) = text.chars().find(|c| c.is_control()) {
        let detail = format!(
            "the command holds the control character U+{:04X}",
            u32::from(control)
        );
        return Err(RequestError::invalid("command", detail));
    }
    Ok(text)
}

/// In which form a command asks for its output by itself: `| display xml`, `| display json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    Xml,
    Json,
}

/// Takes `| display xml` or `| display json` off a command, with `| no-more`, which means nothing here. Over NETCONF
/// the form is asked for by an attribute; the pipe would put the text of the one into the other.
///
/// `None`: the command asks for neither, or in a way that only the device understands.
pub fn take_display(text: &str) -> Option<(&str, Result<Display, OtherPipes>)> {
    if text.contains('"') {
        return None;
    }
    let (command, pipes) = text.split_once('|')?;
    let (mut display, mut others) = (None, false);
    for pipe in pipes.split('|') {
        let mut words = pipe.split_whitespace().map(str::to_ascii_lowercase);
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let abbreviates = |word: &str, whole: &str| !word.is_empty() && whole.starts_with(word);
        match (first.as_str(), second.as_str(), words.next()) {
            ("no-more", "", None) => {}
            (filter, "json", None) if abbreviates(filter, "display") => display = Some(Display::Json),
            (filter, "xml", None) if abbreviates(filter, "display") => display = Some(Display::Xml),
            _ => others = true,
        }
    }
    let display = display?;
    Some((command.trim(), if others { Err(OtherPipes) } else { Ok(display) }))
}

/// Further pipes work on lines of text, which XML and JSON are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherPipes;

/// The request element in the reply to `mapping_rpc`: the content of `<rpc>`, wherever that stands.
pub fn mapped_request(reply: &Element) -> Option<&Element> {
    if reply.local == "rpc" {
        return reply.children().next();
    }
    reply.children().find_map(mapped_request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Limits;

    fn junos() -> Capabilities {
        Capabilities::new([Capability::JunosXml.uri()])
    }

    fn command(text: &str, format: Format) -> Command {
        Command {
            text: text.into(),
            format,
        }
    }

    /// S10: CLI text in each format.
    #[test]
    fn requests_are_byte_exact() {
        for (format, expected) in [
            (
                Format::Text,
                "<command format=\"text\">show log x | match \"a&gt;b\"</command>",
            ),
            (
                Format::Xml,
                "<command format=\"xml\">show log x | match \"a&gt;b\"</command>",
            ),
            (
                Format::Json,
                "<command format=\"json\">show log x | match \"a&gt;b\"</command>",
            ),
        ] {
            let rpc = command(" show log x | match \"a>b\" ", format)
                .rpc(&junos())
                .expect("a command");
            assert_eq!(rpc.body.as_str(), expected);
        }
        let mapping = command("show version", Format::Text)
            .mapping_rpc(&junos())
            .expect("a command");
        assert_eq!(
            mapping.body.as_str(),
            "<command format=\"xml\">show version | display xml rpc</command>"
        );
    }

    /// X1: one line, no control characters; Junos only (S7).
    #[test]
    fn bad_commands_are_refused() {
        for text in ["", "  ", "show version\nrequest system reboot", "show \u{1b}[2J"] {
            let refused = command(text, Format::Text).rpc(&junos());
            assert!(matches!(refused, Err(RequestError::Invalid { .. })), "{text:?}");
        }
        assert!(
            command("show version | count", Format::Text)
                .mapping_rpc(&junos())
                .is_err()
        );
        assert!(command("show version", Format::Set).rpc(&junos()).is_err());
        let elsewhere = command("show version", Format::Text).rpc(&Capabilities::default());
        assert!(matches!(elsewhere, Err(RequestError::MissingCapability(_))));
    }

    /// S10: the form of the output is asked for in one way.
    #[test]
    fn display_pipes_are_taken_off() {
        for (text, expected) in [
            (
                "show version | display json",
                Some(("show version", Ok(Display::Json))),
            ),
            (
                "show version|DISP json | no-more",
                Some(("show version", Ok(Display::Json))),
            ),
            (
                "show version | no-more | display xml",
                Some(("show version", Ok(Display::Xml))),
            ),
            (
                "show version | display json | match x",
                Some(("show version", Err(OtherPipes))),
            ),
            ("show version", None),
            ("show version | display xml rpc", None),
            ("show configuration | display set", None),
            ("show log x | match \"| display json\"", None),
            ("show version | match json", None),
        ] {
            assert_eq!(take_display(text), expected, "{text}");
        }
    }

    /// S10: the request tag, with and without an envelope around `<rpc>`.
    #[test]
    fn mapping_is_read() {
        for xml in [
            "<rpc-reply><rpc><get-software-information><detail/></get-software-information></rpc><cli/></rpc-reply>",
            "<rpc><get-software-information/></rpc>",
        ] {
            let reply = Element::parse(xml, &Limits::default()).expect("well-formed");
            assert_eq!(
                mapped_request(&reply).map(|request| request.local.as_str()),
                Some("get-software-information")
            );
        }
        let none = Element::parse("<rpc-reply><output>x</output></rpc-reply>", &Limits::default())
            .expect("well-formed");
        assert_eq!(mapped_request(&none), None);
    }
}
