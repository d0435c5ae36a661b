//! Byte classes: one table look-up per byte decides whether the fast path goes on.

/// An ordinary byte of text.
pub(crate) const PLAIN: u8 = 0;
const STOP: u8 = 1;

/// Bytes at which text needs a closer look: `<`, `&`, `]`, CR, control characters, and 0xEF, with which the UTF-8 of
/// U+FFFE and U+FFFF begins.
pub(crate) static TEXT: [u8; 256] = stops(b"<&]");
/// The same for attribute values in double or single quotes, where tab and newline have to become blanks too.
pub(crate) static VALUE: [u8; 256] = stops(b"<&\"'\t\n");
/// The same for comments and CDATA: only characters that XML cannot hold, and CR.
pub(crate) static RAW: [u8; 256] = stops(b"");

const fn stops(more: &[u8]) -> [u8; 256] {
    let mut table = [PLAIN; 256];
    let mut byte = 0;
    while byte < 0x20 {
        if byte != b'\t' as usize && byte != b'\n' as usize {
            table[byte] = STOP;
        }
        byte += 1;
    }
    table[0xEF] = STOP;
    let mut at = 0;
    while at < more.len() {
        table[more[at] as usize] = STOP;
        at += 1;
    }
    table
}

/// Bytes that are looked at together.
const STRETCH: usize = 64;

/// Where the plain text ends that begins at `from`: at a byte that [`TEXT`] stops at, or at the end of the input.
pub(crate) fn text_end(input: &[u8], from: usize) -> usize {
    let near = input.len().min(from + STRETCH / 2);
    let mut at = stop(input, from, near);
    if at < near {
        // Most texts are short.
        return at;
    }
    while let Some(stretch) = input.get(at..at + STRETCH)
        && is_text(stretch)
    {
        at += STRETCH;
    }
    stop(input, at, input.len())
}

fn stop(input: &[u8], from: usize, to: usize) -> usize {
    let stopped = input[from..to]
        .iter()
        .position(|byte| TEXT[usize::from(*byte)] != PLAIN);
    stopped.map_or(to, |length| from + length)
}

/// Whether [`TEXT`] has no stop for any of these. Without a branch, so that the compiler takes many bytes at once.
fn is_text(stretch: &[u8]) -> bool {
    stretch.iter().fold(true, |plain, byte| {
        let no_control = (*byte >= 0x20) | (*byte == b'\t') | (*byte == b'\n');
        plain & no_control & (*byte != b'<') & (*byte != b'&') & (*byte != b']') & (*byte != 0xEF)
    })
}

/// Classes of bytes in names.
pub(crate) const NAME_END: u8 = 0;
/// Letters and underscore.
pub(crate) const NAME_START: u8 = 1;
/// Digits, hyphen and full stop: not at the start of a name.
pub(crate) const NAME_REST: u8 = 2;
/// The colon between prefix and local name.
pub(crate) const NAME_COLON: u8 = 3;
/// Part of a longer UTF-8 sequence, looked at as a character.
pub(crate) const NAME_WIDE: u8 = 4;

/// Class of each byte in a name.
pub(crate) static NAME: [u8; 256] = name_classes();

const fn name_classes() -> [u8; 256] {
    let mut table = [NAME_END; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = if b.is_ascii_alphabetic() || b == b'_' {
            NAME_START
        } else if b.is_ascii_digit() || b == b'-' || b == b'.' {
            NAME_REST
        } else if b == b':' {
            NAME_COLON
        } else if b >= 0x80 {
            NAME_WIDE
        } else {
            NAME_END
        };
        byte += 1;
    }
    table
}

/// Blank, tab, LF, CR: the white space of XML.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// What a reference at the start of `input` (which begins with `&`) stands for.
pub(crate) enum Reference {
    /// The character, and the bytes of the reference with `&` and `;`.
    Char(char, usize),
    /// The input ends inside the reference.
    Incomplete,
    /// No reference that XML without a DOCTYPE knows.
    Bad,
}

/// Longest reference looked at: enough for leading zeros, short enough to be held back.
const REFERENCE_BYTES: usize = 64;

/// Decodes the five predefined entities and numeric references to legal characters.
pub(crate) fn reference(input: &[u8]) -> Reference {
    let window = &input[1..input.len().min(REFERENCE_BYTES)];
    let Some(end) = window
        .iter()
        .position(|b| !b.is_ascii_alphanumeric() && *b != b'#')
    else {
        return if input.len() < REFERENCE_BYTES {
            Reference::Incomplete
        } else {
            Reference::Bad
        };
    };
    if window[end] != b';' {
        return Reference::Bad;
    }
    let known = match &window[..end] {
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"amp" => Some('&'),
        b"apos" => Some('\''),
        b"quot" => Some('"'),
        [b'#', b'x', hex @ ..] => number(hex, 16),
        [b'#', decimal @ ..] => number(decimal, 10),
        _ => None,
    };
    match known {
        Some(c) => Reference::Char(c, end + 2),
        None => Reference::Bad,
    }
}

fn number(digits: &[u8], radix: u32) -> Option<char> {
    if digits.is_empty() {
        return None;
    }
    let mut code = 0u32;
    for digit in digits {
        code = code
            .checked_mul(radix)?
            .checked_add(char::from(*digit).to_digit(radix)?)?;
        if code > 0x10FFFF {
            return None;
        }
    }
    char::from_u32(code).filter(|c| super::name::is_xml_char(*c))
}

/// Whether `bytes` begins with the UTF-8 of U+FFFE or U+FFFF; `None` if too short to tell.
pub(crate) fn is_noncharacter(bytes: &[u8]) -> Option<bool> {
    match bytes {
        [0xEF, 0xBF, third, ..] => Some(*third >= 0xBE),
        [0xEF, 0xBF] | [0xEF] => None,
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<(char, usize)> {
        match reference(text.as_bytes()) {
            Reference::Char(c, len) => Some((c, len)),
            Reference::Incomplete | Reference::Bad => None,
        }
    }

    /// Every stop is found, wherever it stands, and nothing else stops.
    #[test]
    fn text_ends_at_the_first_stop() {
        for byte in 0..=u8::MAX {
            for at in [0, 1, 31, 32, 33, 63, 95, 96, 97, 159, 160, 200] {
                let mut input = [b'x'; 256];
                input[at] = byte;
                let end = if TEXT[usize::from(byte)] == PLAIN { 256 } else { at };
                assert_eq!(text_end(&input, 0), end, "{byte:#04x} at {at}");
                assert_eq!(text_end(&input[..at], 0), at);
                assert_eq!(text_end(&input, at), end, "{byte:#04x} from {at}");
            }
        }
    }

    #[test]
    fn references_are_the_five_entities_and_legal_characters() {
        assert_eq!(decoded("&lt;x"), Some(('<', 4)));
        assert_eq!(decoded("&quot;"), Some(('"', 6)));
        assert_eq!(decoded("&#65;"), Some(('A', 5)));
        assert_eq!(decoded("&#x1F600;"), Some(('\u{1F600}', 9)));
        for bad in [
            "&nbsp;",
            "&#0;",
            "&#x1;",
            "&#xD800;",
            "&#xFFFF;",
            "&#x110000;",
            "&;",
            "&#;",
            "&#x;",
            "& ",
        ] {
            assert!(matches!(reference(bad.as_bytes()), Reference::Bad), "{bad}");
        }
    }

    #[test]
    fn a_cut_reference_waits_but_not_for_ever() {
        assert!(matches!(reference(b"&am"), Reference::Incomplete));
        assert!(matches!(reference(b"&"), Reference::Incomplete));
        let long = [b"&#".as_slice(), &[b'0'; 100]].concat();
        assert!(matches!(reference(&long), Reference::Bad));
    }
}
