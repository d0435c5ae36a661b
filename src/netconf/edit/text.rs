//! Junos text with braces, as far as it must be understood: where statements begin.

/// Whether a statement is marked with `replace:`. What stands in comments (`/* … */`, `# …`), in quotes or as a value
/// marks nothing.
pub(super) fn marks_replace(text: &str) -> bool {
    let mut rest = text;
    // Nothing of a statement has come yet, tags such as `inactive:` apart.
    let mut begins = true;
    while let Some(next) = rest.chars().next() {
        rest = match next {
            '{' | '}' | ';' => {
                begins = true;
                &rest[1..]
            }
            _ if next.is_whitespace() => &rest[next.len_utf8()..],
            '#' => rest.split_once('\n').map_or("", |(_, after)| after),
            '/' if rest.starts_with("/*") => rest[2..].split_once("*/").map_or("", |(_, after)| after),
            '"' => {
                begins = false;
                after_quoted(&rest[1..])
            }
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "{};\"".contains(c));
                let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
                if begins && word.starts_with("replace:") {
                    return true;
                }
                begins &= word.ends_with(':');
                after
            }
        };
    }
    false
}

/// What follows a quoted string, whose own quotes are escaped.
fn after_quoted(text: &str) -> &str {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            '"' if !escaped => return &text[at + 1..],
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S12: only a mark that the device sees is one; without it, it would merge.
    #[test]
    fn marks_stand_before_statements() {
        for text in [
            "replace: system { host-name a; }",
            "system {\n    replace:\n    login { class a; }\n}",
            "system{replace:login{class a;}}",
            "/* new */ replace: system { }",
            "# new\nreplace: system { }",
            "inactive: replace: system { }",
            "system { location \"a \\\" b\"; } replace: snmp { }",
        ] {
            assert!(marks_replace(text), "{text}");
        }
        for text in [
            "",
            "system { host-name a; }",
            "/* replace: */ system { host-name a; }",
            "# replace: all of it\nsystem { host-name a; }",
            "system { /* replace: login */ login { class a; } }",
            "snmp { description \"replace: the old one\"; }",
            "snmp { description \"a \\\" replace: b\"; }",
            "snmp { contact replace:; }",
            "/* never closed replace: system",
            "snmp { description \"never closed replace: ",
        ] {
            assert!(!marks_replace(text), "{text}");
        }
    }
}
