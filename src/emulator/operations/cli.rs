//! `<command>`: what the CLI takes, and the requests that its commands stand for.

use super::{Answer, Format, Outcome, Request, SHOWS, answer, configuration, output, present, run};
use crate::emulator::device_error::DeviceError;
use crate::emulator::markup::Tag;
use crate::xml::tree::{Element, Node};

/// A command and its request.
struct Command {
    words: &'static [&'static str],
    operation: &'static str,
    /// Words that become an empty element of the same name.
    flags: &'static [&'static str],
    /// Words that become an element of this name with the next word inside.
    keywords: &'static [(&'static str, &'static str)],
    /// What any other word becomes.
    positional: Option<&'static str>,
}

/// Longer ones stand before those they begin with.
const COMMANDS: &[Command] = &[
    Command {
        words: &["show", "version"],
        operation: "get-software-information",
        flags: &["brief", "detail"],
        keywords: &[],
        positional: None,
    },
    Command {
        words: &["show", "interfaces"],
        operation: "get-interface-information",
        flags: &[
            "terse",
            "brief",
            "detail",
            "extensive",
            "media",
            "statistics",
            "descriptions",
        ],
        keywords: &[("routing-instance", "routing-instance")],
        positional: Some("interface-name"),
    },
    Command {
        words: &["show", "chassis", "hardware"],
        operation: "get-chassis-inventory",
        flags: &["detail", "extensive", "models"],
        keywords: &[],
        positional: None,
    },
    Command {
        words: &["show", "chassis", "routing-engine"],
        operation: "get-route-engine-information",
        flags: &[],
        keywords: &[],
        positional: Some("slot"),
    },
    Command {
        words: &["show", "system", "uptime"],
        operation: "get-system-uptime-information",
        flags: &[],
        keywords: &[],
        positional: None,
    },
    Command {
        words: &["show", "system", "users"],
        operation: "get-system-users-information",
        flags: &["no-resolve"],
        keywords: &[],
        positional: None,
    },
    Command {
        words: &["show", "system", "commit", "revision"],
        operation: "get-commit-revision-information",
        flags: &[],
        keywords: &[],
        positional: Some("level"),
    },
    Command {
        words: &["show", "system", "commit"],
        operation: "get-commit-information",
        flags: &["include-configuration-revision"],
        keywords: &[],
        positional: None,
    },
    Command {
        words: &["show", "system", "configuration", "database", "usage"],
        operation: "get-database-usage",
        flags: &[],
        keywords: &[],
        positional: None,
    },
    Command {
        words: &["show", "system", "rollback"],
        operation: "get-rollback-information",
        flags: &[],
        keywords: &[("compare", "compare")],
        positional: Some("rollback"),
    },
    Command {
        words: &["file", "show"],
        operation: "file-show",
        flags: &[],
        keywords: &[],
        positional: Some("filename"),
    },
    Command {
        words: &["file", "list"],
        operation: "file-list",
        flags: &["detail"],
        keywords: &[],
        positional: Some("path"),
    },
];

/// What stands behind a `|`.
enum Pipe {
    NoMore,
    DisplayRpc,
    Display(String),
    Inheritance,
    Compare(String),
    Match(String),
    Except(String),
    Count,
}

/// `<command>`
pub(super) fn command(request: &Request<'_>) -> Outcome {
    let format = Format::parse(request.operation.attribute("format"))?;
    let text = request.operation.text();
    let (words, pipes) = parse(&text)?;
    let mut answered = if pipes.iter().any(|pipe| matches!(pipe, Pipe::DisplayRpc)) {
        display_rpc(&words)?
    } else if words.starts_with(&["show".to_owned(), "configuration".to_owned()]) {
        show_configuration(request, &words[2..], &pipes, format)?
    } else {
        show(request, &words, &pipes, format)?
    };
    if let Answer::Tags(tags) = &mut answered {
        for tag in tags.iter_mut().filter(|tag| tag.local() == "output") {
            *tag = output(piped(tag.text(), &pipes));
        }
        tags.push(Tag::parent("cli", vec![Tag::leaf("banner", "")]));
    }
    Ok(answered)
}

/// Splits a command line into its words and its pipes.
fn parse(text: &str) -> Result<(Vec<String>, Vec<Pipe>), DeviceError> {
    let mut parts = text.split('|');
    let words: Vec<String> = parts
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let mut pipes = Vec::new();
    for part in parts {
        let pipe: Vec<&str> = part.split_whitespace().collect();
        pipes.push(match pipe.as_slice() {
            ["no-more"] => Pipe::NoMore,
            ["display", "xml", "rpc"] => Pipe::DisplayRpc,
            ["display", "inheritance"] => Pipe::Inheritance,
            ["display", what @ ("xml" | "json" | "set")] => Pipe::Display((*what).to_owned()),
            ["compare"] => Pipe::Compare("0".to_owned()),
            ["compare", "rollback", number] => Pipe::Compare((*number).to_owned()),
            ["match", pattern] => Pipe::Match(unquoted(pattern)),
            ["except", pattern] => Pipe::Except(unquoted(pattern)),
            ["count"] => Pipe::Count,
            other => return Err(DeviceError::syntax(other.first().copied().unwrap_or("|"))),
        });
    }
    Ok((words, pipes))
}

fn unquoted(word: &str) -> String {
    word.trim_matches('"').to_owned()
}

/// The request that a command stands for.
fn translate(words: &[String]) -> Result<Element, DeviceError> {
    if words.starts_with(&["show".to_owned(), "configuration".to_owned()]) {
        return Ok(configuration_request(&words[2..]));
    }
    let fits = |command: &&Command| {
        words.len() >= command.words.len()
            && command.words.iter().zip(words).all(|(known, word)| known == word)
    };
    let command = COMMANDS.iter().find(fits).ok_or_else(|| unknown(words))?;
    let mut operation = Element::new(command.operation);
    let mut rest = words[command.words.len()..].iter();
    while let Some(word) = rest.next() {
        let mut argument = if command.flags.contains(&word.as_str()) {
            Element::new(word)
        } else if let Some((_, name)) = command.keywords.iter().find(|(keyword, _)| keyword == word) {
            let value = rest
                .next()
                .ok_or_else(|| DeviceError::new("missing argument.").element(word.as_str()))?;
            let mut argument = Element::new(*name);
            argument.children.push(Node::Text(value.clone()));
            argument
        } else {
            let name = command
                .positional
                .ok_or_else(|| DeviceError::expecting_command(word.as_str()))?;
            let mut argument = Element::new(name);
            argument.children.push(Node::Text(word.clone()));
            argument
        };
        argument.self_closing = argument.children.is_empty();
        operation.children.push(Node::Element(argument));
    }
    Ok(operation)
}

/// The first word that no command has at its place.
fn unknown(words: &[String]) -> DeviceError {
    let shared = |command: &Command| {
        command
            .words
            .iter()
            .zip(words)
            .take_while(|(known, word)| known == word)
            .count()
    };
    let deepest = COMMANDS.iter().map(shared).max().unwrap_or(0);
    DeviceError::expecting_command(words.get(deepest).map_or("", String::as_str))
}

fn configuration_request(path: &[String]) -> Element {
    let mut inner: Option<Element> = None;
    for word in path.iter().rev() {
        let mut element = Element::new(word);
        element.children.extend(inner.map(Node::Element));
        inner = Some(element);
    }
    let mut operation = Element::new("get-configuration");
    if let Some(inner) = inner {
        let mut configuration = Element::new("configuration");
        configuration.children.push(Node::Element(inner));
        operation.children.push(Node::Element(configuration));
    }
    operation
}

fn display_rpc(words: &[String]) -> Outcome {
    Ok(Answer::Tags(vec![Tag::parent(
        "rpc",
        vec![tag_of(&translate(words)?)],
    )]))
}

fn tag_of(element: &Element) -> Tag {
    let text = element.text();
    if text.is_empty() {
        Tag::parent(element.local.clone(), element.children().map(tag_of).collect())
    } else {
        Tag::leaf(element.local.clone(), text)
    }
}

fn show(request: &Request<'_>, words: &[String], pipes: &[Pipe], format: Format) -> Outcome {
    let format = pipes.iter().fold(format, |format, pipe| match pipe {
        Pipe::Display(what) if what == "xml" => Format::Xml,
        Pipe::Display(what) if what == "json" => Format::Json,
        Pipe::Match(_) | Pipe::Except(_) | Pipe::Count => Format::Text,
        Pipe::NoMore | Pipe::DisplayRpc | Pipe::Display(_) | Pipe::Inheritance | Pipe::Compare(_) => format,
    });
    let operation = translate(words)?;
    let inner = Request {
        operation: &operation,
        ..*request
    };
    match SHOWS.iter().find(|show| show.name == operation.local) {
        Some(show) => Ok(present(show, run(show, &inner)?, format)),
        None => answer(&inner),
    }
}

fn show_configuration(request: &Request<'_>, path: &[String], pipes: &[Pipe], format: Format) -> Outcome {
    let mut display = None;
    let mut inherited = false;
    let mut format = format;
    for pipe in pipes {
        match pipe {
            Pipe::Compare(number) => return configuration::show_compare(request, number, format),
            Pipe::Display(what) => display = Some(what.as_str()),
            Pipe::Inheritance => inherited = true,
            Pipe::Match(_) | Pipe::Except(_) | Pipe::Count => format = Format::Text,
            Pipe::NoMore | Pipe::DisplayRpc => {}
        }
    }
    configuration::show_configuration(request, path, display, inherited, format)
}

/// Applies what works on lines of text.
fn piped(text: &str, pipes: &[Pipe]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for pipe in pipes {
        match pipe {
            Pipe::Match(pattern) => lines.retain(|line| line.contains(pattern.as_str())),
            Pipe::Except(pattern) => lines.retain(|line| !line.contains(pattern.as_str())),
            Pipe::Count => lines = vec![format!("Count: {} lines", lines.len())],
            Pipe::NoMore | Pipe::DisplayRpc | Pipe::Display(_) | Pipe::Inheritance | Pipe::Compare(_) => {}
        }
    }
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(line: &str) -> String {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match translate(&words) {
            Ok(element) => tag_of(&element).to_xml().replace('\n', ""),
            Err(error) => format!("{} at {}", error.message, error.bad_element.unwrap_or_default()),
        }
    }

    /// S10: the mapping from a command to its request tag.
    #[test]
    fn commands_stand_for_requests() {
        assert_eq!(translated("show version"), "<get-software-information/>");
        assert_eq!(
            translated("show interfaces ge-0/0/0 terse"),
            "<get-interface-information><interface-name>ge-0/0/0</interface-name><terse/></get-interface-information>"
        );
        assert_eq!(
            translated("show configuration system login"),
            "<get-configuration><configuration><system><login/></system></configuration></get-configuration>"
        );
        assert_eq!(
            translated("show system rollback 1 compare 2"),
            "<get-rollback-information><rollback>1</rollback><compare>2</compare></get-rollback-information>"
        );
    }

    #[test]
    fn the_first_word_that_fits_nowhere_is_named() {
        assert_eq!(
            translated("show bridge mac-table"),
            "syntax error, expecting <command> at bridge"
        );
        assert_eq!(
            translated("shew version"),
            "syntax error, expecting <command> at shew"
        );
        assert_eq!(
            translated("show version nonsense"),
            "syntax error, expecting <command> at nonsense"
        );
    }
}
