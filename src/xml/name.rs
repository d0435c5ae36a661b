//! Which strings are XML names, and which characters XML 1.0 can hold.
//!
//! One character that the recommendation allows in a name is not taken: U+FFFD. It stands for bytes that were no text
//! (X3), and those are repaired in text only, never in a name.

/// A name without a colon (Namespaces in XML, `NCName`).
pub fn is_ncname(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(is_start) && chars.all(is_rest)
}

/// An `NCName`, or two of them with a colon between.
pub fn is_qname(name: &str) -> bool {
    match name.split_once(':') {
        Some((prefix, local)) => is_ncname(prefix) && is_ncname(local),
        None => is_ncname(name),
    }
}

/// The production `Char` of XML 1.0: no control characters but tab, LF and CR, no surrogates, not U+FFFE or U+FFFF.
pub fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

fn is_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
        | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFC}' | '\u{10000}'..='\u{EFFFF}')
}

fn is_rest(c: char) -> bool {
    is_start(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// X1
    #[test]
    fn names_follow_the_recommendation() {
        for good in ["a", "_a", "ieee-802.3ad", "inet.3", "été", "a\u{B7}"] {
            assert!(is_ncname(good), "{good}");
        }
        for bad in [
            "",
            "1a",
            "-a",
            "a b",
            "a:b",
            "a<",
            "@a",
            "#text",
            "a\u{0}",
            "\u{D7}",
            "a\u{FFFD}",
            "\u{FFFD}",
        ] {
            assert!(!is_ncname(bad), "{bad:?}");
        }
        assert!(is_qname("junos:style"));
        for bad in [":a", "a:", "a:b:c", "a:1"] {
            assert!(!is_qname(bad), "{bad}");
        }
    }

    #[test]
    fn characters_follow_the_recommendation() {
        for bad in ['\0', '\u{1}', '\u{1b}', '\u{FFFE}', '\u{FFFF}'] {
            assert!(!is_xml_char(bad));
        }
        for good in ['\t', '\n', '\r', ' ', '\u{7f}', '\u{FFFD}', '\u{1F600}'] {
            assert!(is_xml_char(good));
        }
    }
}
