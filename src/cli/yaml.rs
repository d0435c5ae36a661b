//! JSON values as YAML 1.2: block style, and every string quoted that could be taken for anything else.

use serde_json::Value;

/// Deeper values are written in flow style, which is JSON, so that no stack is at risk.
const MOST_DEPTH: usize = 64;

/// The value as a YAML document.
pub fn emit(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(members) if !members.is_empty() => mapping(members, 0, &mut out),
        Value::Array(items) if !items.is_empty() => sequence(items, 0, &mut out),
        scalar => {
            out.push_str(&flow(scalar));
            out.push('\n');
        }
    }
    out
}

fn mapping(members: &serde_json::Map<String, Value>, depth: usize, out: &mut String) {
    for (index, (name, value)) in members.iter().enumerate() {
        // The first member of an item stands behind its dash.
        if index > 0 || out.is_empty() || out.ends_with('\n') {
            indent(depth, out);
        }
        out.push_str(&string(name));
        out.push(':');
        child(value, depth + 1, out);
    }
}

fn sequence(items: &[Value], depth: usize, out: &mut String) {
    for item in items {
        indent(depth, out);
        out.push('-');
        match item {
            Value::Object(members) if !members.is_empty() && depth < MOST_DEPTH => {
                out.push(' ');
                mapping(members, depth + 1, out);
            }
            other => child(other, depth + 1, out),
        }
    }
}

/// What follows a colon or a dash.
fn child(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() && depth < MOST_DEPTH => {
            out.push('\n');
            mapping(members, depth, out);
        }
        Value::Array(items) if !items.is_empty() && depth < MOST_DEPTH => {
            out.push('\n');
            sequence(items, depth, out);
        }
        Value::String(text) if is_block(text) => block(text, depth, out),
        other => {
            out.push(' ');
            out.push_str(&flow(other));
            out.push('\n');
        }
    }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', 2 * depth));
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        other => other.to_string(),
    }
}

/// Text of several lines that needs no escape can be shown as it is.
fn is_block(text: &str) -> bool {
    let first_is_plain = text.starts_with(|c: char| !c.is_whitespace());
    text.contains('\n') && first_is_plain && text.chars().all(|c| c == '\n' || c == '\t' || is_printable(c))
}

fn block(text: &str, depth: usize, out: &mut String) {
    let kept = text.trim_end_matches('\n');
    out.push_str(match text.len() - kept.len() {
        0 => " |-\n",
        1 => " |\n",
        _ => " |+\n",
    });
    for line in kept.split('\n') {
        if !line.is_empty() {
            indent(depth, out);
            out.push_str(line);
        }
        out.push('\n');
    }
    out.extend(std::iter::repeat_n(
        '\n',
        (text.len() - kept.len()).saturating_sub(1),
    ));
}

/// YAML 1.2 section 5.1, less the characters that a reader might drop or move.
fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Plain if nobody could mistake it, else in double quotes, where JSON's escapes mean the same.
fn string(text: &str) -> String {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let made_well = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b" _./-:@+,()".contains(&b));
    let ends_well = !text.ends_with([' ', ':']);
    let word = text.to_ascii_lowercase();
    let reserved = matches!(
        word.as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if starts_well && made_well && ends_well && !reserved && !text.contains(": ") {
        return text.to_owned();
    }
    let mut quoted = String::new();
    for c in Value::from(text).to_string().chars() {
        if is_printable(c) {
            quoted.push(c);
        } else {
            // JSON leaves these as they are; YAML wants them escaped, and all of them fit.
            quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn structure_is_block_style() {
        let value = json!({
            "name": "mx1", "port": 830, "empty": {}, "none": [], "null": null,
            "keys": ["a", ["b", {"c": 1}], {"d": 2, "e": {"f": true}}], "deep": {"a": {"b": "c"}}
        });
        let expected = "name: mx1\nport: 830\nempty: {}\nnone: []\n\"null\": null\nkeys:\n  - a\n  -\n    - b\n    \
                        - c: 1\n  - d: 2\n    e:\n      f: true\ndeep:\n  a:\n    b: c\n";
        assert_eq!(emit(&value), expected);
        assert_eq!(emit(&json!([])), "[]\n");
        assert_eq!(emit(&json!("no")), "\"no\"\n");
    }

    #[test]
    fn strings_that_look_like_something_else_are_quoted() {
        for text in [
            "", "no", "NULL", "1", "-1", "1.0", "- a", "a: b", "a:", "#x", "a #b", " a", "~", "*a", "&a",
            "{", "é\u{85}",
        ] {
            let shown = emit(&json!(text));
            assert!(shown.starts_with('"') && shown.ends_with("\"\n"), "{shown}");
        }
        assert_eq!(emit(&json!("\u{7f}\u{2028}")), "\"\\u007f\\u2028\"\n");
        for text in [
            "ge-0/0/0",
            "/v1/devices",
            "urn:ietf:params:netconf:base:1.0",
            "Juniper Networks, Inc.",
        ] {
            assert_eq!(emit(&json!(text)), format!("{text}\n"));
        }
    }

    #[test]
    fn text_of_several_lines_stays_readable() {
        let value = json!({"a": "x\n  y\n\nz\n", "b": ["p\nq", "r\n\n\n"], "c": "\n x\r\n"});
        let expected =
            "a: |\n  x\n    y\n\n  z\nb:\n  - |-\n    p\n    q\n  - |+\n    r\n\n\nc: \"\\n x\\r\\n\"\n";
        assert_eq!(emit(&value), expected);
    }

    /// X3: depth costs no stack.
    #[test]
    fn very_deep_values_are_written() {
        let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
        assert!(emit(&deep).contains("[[[1]]]"));
    }
}
