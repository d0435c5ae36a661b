//! Answers on standard output: tables for people, JSON and YAML for programs.

use std::io::{self, Read, Write};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::client::Answer;
use super::exit::{Exit, Failure};
use super::problem::Problem;
use super::{pretty, stdio, yaml};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people: tables and plain text
    Table,
    Json,
    Yaml,
}

/// The status of a call that goes on without its caller.
const ACCEPTED: u16 = 202;

/// Columns of a table: title, and the JSON pointer of the cell within an item.
pub type Columns = &'static [(&'static str, &'static str)];

/// Prints a JSON answer of moderate size; as a table when there are columns for the list at `list`.
pub fn value(format: Format, value: &Value, table: Option<(&str, Columns)>) -> Result<(), Failure> {
    let mut out = stdio::out();
    let text = match (format, table) {
        (Format::Json, _) => pretty::pretty(&value.to_string()) + "\n",
        (Format::Table, Some((list, columns))) => rows(
            value
                .get(list)
                .and_then(Value::as_array)
                .map_or(&[], Vec::as_slice),
            columns,
        ),
        (Format::Table, None) | (Format::Yaml, _) => yaml::emit(value),
    };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// A table with columns as wide as their widest cell, but the last.
fn rows(items: &[Value], columns: Columns) -> String {
    let mut table: Vec<Vec<String>> = vec![columns.iter().map(|(title, _)| (*title).to_owned()).collect()];
    for item in items {
        table.push(
            columns
                .iter()
                .map(|(_, pointer)| cell(item.pointer(pointer)))
                .collect(),
        );
    }
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            table
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    let mut text = String::new();
    for row in &table {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// One line; what a terminal would act on is shown as U+FFFD.
pub(super) fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(members)) => {
            let pairs = members
                .iter()
                .map(|(key, value)| format!("{key}={}", cell(Some(value))));
            pairs.collect::<Vec<_>>().join(",")
        }
        Some(other) => other.to_string(),
    };
    harmless(&text, false)
}

/// Text of a device without control characters, which could tell a terminal what to do; line ends and tabs may
/// stay.
pub(super) fn harmless(text: &str, lines: bool) -> String {
    let keep = |c: char| !c.is_control() || (lines && matches!(c, '\n' | '\t'));
    let text = if lines {
        text.replace("\r\n", "\n")
    } else {
        text.to_owned()
    };
    text.chars()
        .map(|c| if keep(c) { c } else { '\u{fffd}' })
        .collect()
}

/// The envelope around a device's data. The data may be large and deep, so it stays text.
#[derive(Deserialize)]
struct Envelope {
    data: Option<Box<RawValue>>,
    #[serde(default)]
    warnings: Vec<Value>,
    #[serde(default)]
    errors: Vec<Value>,
    errors_total: Option<u64>,
    warnings_total: Option<u64>,
    complete: Option<bool>,
    #[serde(default)]
    lossy: bool,
    rpcs: Option<Vec<String>>,
}

/// Prints what a device answered: its data alone for people, with warnings on standard error; the whole envelope
/// for programs, as it comes.
pub fn reply(format: Format, answer: Answer) -> Result<Exit, Failure> {
    if answer.status == ACCEPTED {
        value(format, &parse_answer(answer)?, None)?;
        return Ok(Exit::Ok);
    }
    let mut out = stdio::out();
    let mut reader = answer.body.into_with_config().limit(u64::MAX).reader();
    if format == Format::Json {
        pretty::copy(&mut reader, &mut out)?;
        out.flush()?;
        return Ok(Exit::Ok);
    }
    let mut text = String::new();
    reader.read_to_string(&mut text)?;
    if format == Format::Yaml {
        out.write_all(yaml::emit(&parse(&text)?).as_bytes())?;
    } else {
        let envelope: Envelope = serde_json::from_str(&text).map_err(not_json)?;
        print_envelope(&envelope, &mut out)?;
    }
    out.flush()?;
    Ok(Exit::Ok)
}

fn print_envelope(envelope: &Envelope, out: &mut impl Write) -> Result<(), Failure> {
    for xml in envelope.rpcs.iter().flatten() {
        writeln!(out, "{}", harmless(xml, true))?;
    }
    if let Some(data) = &envelope.data {
        let data = data.get();
        if data.starts_with('"') {
            let text: String = serde_json::from_str(data).map_err(not_json)?;
            let text = harmless(&text, true);
            out.write_all(text.as_bytes())?;
            if !text.ends_with('\n') {
                out.write_all(b"\n")?;
            }
        } else {
            pretty::copy(&mut data.as_bytes(), out)?;
        }
    }
    out.flush()?;
    for (kind, list) in [("warning", &envelope.warnings), ("error", &envelope.errors)] {
        for entry in list {
            warn(kind, entry)?;
        }
    }
    if let (Some(errors), Some(warnings)) = (envelope.errors_total, envelope.warnings_total) {
        stdio::tell(&format!(
            "the device sent {errors} errors and {warnings} warnings; not all of them are shown, or not whole\n"
        ))?;
    }
    if envelope.complete == Some(false) {
        stdio::tell("the data is not complete\n")?;
    }
    if envelope.lossy {
        stdio::tell("the device sent bytes that are no text; they are shown as \u{fffd}\n")?;
    }
    Ok(())
}

/// Prints a difference: the text alone for people.
pub fn diff(format: Format, answer: &Value) -> Result<(), Failure> {
    if format != Format::Table {
        return value(format, answer, None);
    }
    let mut out = stdio::out();
    print_text(answer.get("diff"), &mut out)?;
    Ok(())
}

/// Prints a change: what it changed, and what came of it, for people.
pub fn change(format: Format, answer: &Value) -> Result<(), Failure> {
    if format != Format::Table {
        return value(format, answer, None);
    }
    let mut out = stdio::out();
    print_text(answer.get("diff"), &mut out)?;
    let word = |name: &str| {
        harmless(
            answer.get(name).and_then(Value::as_str).unwrap_or_default(),
            false,
        )
    };
    match word("outcome") {
        // It runs (`--async`).
        outcome if outcome.is_empty() => writeln!(out, "{} {}", word("id"), word("state"))?,
        outcome => writeln!(out, "{} {} ({outcome})", word("id"), word("state"))?,
    }
    if let Some(commit) = answer.get("confirmed_commit") {
        writeln!(out, "{}", confirmed_commit(commit))?;
    }
    out.flush()?;
    for warning in answer
        .get("warnings")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        warn("warning", warning)?;
    }
    let failed = answer.pointer("/confirmed_commit/probe/last_failure/detail");
    if let Some(detail) = failed.and_then(Value::as_str) {
        stdio::tell(&format!("probe: {}\n", harmless(detail, true)))?;
    }
    Ok(())
}

/// What is to be done about a commit that has to be confirmed, in one line.
fn confirmed_commit(commit: &Value) -> String {
    let word = |name: &str| {
        let text = commit.get(name).and_then(Value::as_str);
        harmless(text.unwrap_or_default(), false)
    };
    let (id, state) = (word("id"), word("state"));
    if state != "pending" {
        return format!("confirmed commit {id}: {state}");
    }
    let deadline = word("deadline");
    format!("undone at {deadline} unless confirmed: ncgate confirmed-commit confirm {id}")
}

fn print_text(text: Option<&Value>, out: &mut impl Write) -> Result<(), Failure> {
    let text = harmless(text.and_then(Value::as_str).unwrap_or_default(), true);
    out.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

/// One warning or error of the device, on standard error.
fn warn(kind: &str, entry: &Value) -> io::Result<()> {
    let message = entry
        .get("error_message")
        .or(entry.get("error_tag"))
        .and_then(Value::as_str);
    let message = harmless(message.unwrap_or("the device does not say more").trim(), true);
    stdio::tell(&format!("{kind}: {message}\n"))
}

/// The results of a batch, one below the other.
#[derive(Deserialize)]
struct Results {
    results: Vec<Box<RawValue>>,
}

/// Prints the results of a batch. Failed ones are problems among the results; the first decides the exit code.
pub fn batch(format: Format, answer: Answer) -> Result<Exit, Failure> {
    let mut out = stdio::out();
    let mut text = String::new();
    answer
        .body
        .into_with_config()
        .limit(u64::MAX)
        .reader()
        .read_to_string(&mut text)?;
    let results: Results = serde_json::from_str(&text).map_err(not_json)?;
    match format {
        Format::Json => pretty::copy(&mut text.as_bytes(), &mut out)?,
        Format::Yaml => out.write_all(yaml::emit(&parse(&text)?).as_bytes())?,
        Format::Table => {}
    }
    let mut exit = Exit::Ok;
    for result in &results.results {
        let problem = serde_json::from_str(result.get()).ok().and_then(Problem::new);
        if let Some(problem) = problem {
            out.flush()?;
            if format == Format::Table {
                stdio::tell(&problem.render(format))?;
            }
            if exit == Exit::Ok {
                exit = problem.exit();
            }
        } else if format == Format::Table {
            print_envelope(&serde_json::from_str(result.get()).map_err(not_json)?, &mut out)?;
        }
    }
    out.flush()?;
    Ok(exit)
}

/// Reads a JSON answer of moderate size.
pub fn parse_answer(mut answer: Answer) -> Result<Value, Failure> {
    let text = answer
        .body
        .read_to_string()
        .map_err(|error| Failure::Output(error.into_io()))?;
    parse(&text)
}

fn parse(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(not_json)
}

fn not_json(error: serde_json::Error) -> Failure {
    let deep = "the answer is too deep for this form of output; use -o json";
    let detail = if error.to_string().contains("recursion limit") {
        deep.to_owned()
    } else {
        error.to_string()
    };
    Failure::Output(io::Error::new(io::ErrorKind::InvalidData, detail))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_are_aligned_and_harmless() {
        let items = [
            json!({"name": "mx1", "connection": {"state": "connected"}, "labels": {"site": "fra", "rack": "7"}}),
            json!({"name": "a-long-name\u{1b}[31m", "connection": {}, "labels": {}}),
        ];
        let columns: Columns = &[
            ("NAME", "/name"),
            ("STATE", "/connection/state"),
            ("LABELS", "/labels"),
        ];
        let expected = "NAME              STATE      LABELS\n\
                        mx1               connected  site=fra,rack=7\n\
                        a-long-name\u{fffd}[31m\n";
        assert_eq!(rows(&items, columns), expected);
        assert_eq!(rows(&[], columns), "NAME  STATE  LABELS\n");
    }

    /// Quality §3 row 15: what a device says cannot steer the terminal.
    #[test]
    fn text_of_a_device_is_harmless() {
        let envelope = json!({"data": "a\r\n\u{1b}]0;x\u{7}b", "warnings": [], "complete": true});
        let envelope: Envelope = serde_json::from_str(&envelope.to_string()).unwrap();
        let mut out = Vec::new();
        print_envelope(&envelope, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a\n\u{fffd}]0;x\u{fffd}b\n");
    }

    /// X3: data deeper than any parser takes is printed all the same.
    #[test]
    fn deep_data_is_printed() {
        let deep = format!(
            "{{\"data\":{}1{},\"complete\":true}}",
            "[".repeat(500),
            "]".repeat(500)
        );
        let envelope: Envelope = serde_json::from_str(&deep).unwrap();
        let mut out = Vec::new();
        print_envelope(&envelope, &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().starts_with("[\n  [\n    ["));
        let refused = parse(&deep).unwrap_err();
        assert!(refused.to_string().contains("use -o json"), "{refused}");
    }
}
