//! A JSON reader of our own for bodies that become XML (W1 to W3): it keeps the order of members and the digits of
//! numbers, refuses a member that is there twice, and says where.

use std::borrow::Cow;
use std::collections::HashSet;

use super::pointer::child;
use super::to_xml::ToXmlError;

/// A JSON value that borrows from its text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    /// The digits as written.
    Number(&'a str),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// From this many members on, doubles are looked for with a hash set.
const FEW: usize = 16;

/// Parses a whole JSON text, at most `depth` arrays and objects deep.
pub(super) fn parse(text: &str, depth: usize) -> Result<Json<'_>, ToXmlError> {
    let mut parser = Parser {
        text,
        at: 0,
        depth,
        path: Vec::new(),
    };
    parser.blanks();
    let value = parser.value()?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(parser.error("more text behind the value"));
    }
    Ok(value)
}

/// One step of a JSON pointer.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Member(String),
    Index(usize),
}

/// The path as a JSON pointer (RFC 6901).
pub(super) fn pointer(path: &[Place]) -> String {
    let mut out = String::new();
    for place in path {
        out = match place {
            Place::Member(name) => child(&out, name),
            Place::Index(index) => child(&out, &index.to_string()),
        };
    }
    out
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Levels that may still be opened.
    depth: usize,
    path: Vec<Place>,
}

impl<'a> Parser<'a> {
    fn value(&mut self) -> Result<Json<'a>, ToXmlError> {
        match self.peek() {
            Some(b'{') => self.nested(Parser::object),
            Some(b'[') => self.nested(Parser::array),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.error("not a JSON value")),
            None => Err(self.error("unexpected end of JSON")),
        }
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Json<'a>, ToXmlError>,
    ) -> Result<Json<'a>, ToXmlError> {
        if self.depth == 0 {
            return Err(self.error("nested too deeply"));
        }
        self.depth -= 1;
        self.at += 1;
        self.blanks();
        let value = read(self)?;
        self.depth += 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Json<'a>, ToXmlError> {
        let mut members: Vec<(Cow<'a, str>, Json<'a>)> = Vec::new();
        let mut names: HashSet<Cow<'a, str>> = HashSet::new();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.error("a member name was expected"));
            }
            let name = self.string()?;
            self.path.push(Place::Member(name.clone().into_owned()));
            let known = match members.len() {
                ..FEW => members.iter().any(|(known, _)| *known == name),
                FEW.. => {
                    if names.is_empty() {
                        names.extend(members.iter().map(|(known, _)| known.clone()));
                    }
                    !names.insert(name.clone())
                }
            };
            if known {
                return Err(self.error("the member is there twice"));
            }
            self.blanks();
            if !self.take(b':') {
                return Err(self.error("\":\" was expected"));
            }
            self.blanks();
            let value = self.value()?;
            self.path.pop();
            members.push((name, value));
            self.blanks();
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.take(b',') {
                return Err(self.error("\",\" or \"}\" was expected"));
            }
            self.blanks();
        }
    }

    fn array(&mut self) -> Result<Json<'a>, ToXmlError> {
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            self.path.push(Place::Index(items.len()));
            let value = self.value()?;
            self.path.pop();
            items.push(value);
            self.blanks();
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return Err(self.error("\",\" or \"]\" was expected"));
            }
            self.blanks();
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, ToXmlError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.error("not a JSON value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Json<'a>, ToXmlError> {
        let from = self.at;
        self.take(b'-');
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            Some(_) | None => return Err(self.error("a digit was expected")),
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(Json::Number(&self.text[from..self.at]))
    }

    fn digits(&mut self) -> Result<(), ToXmlError> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from {
            Err(self.error("a digit was expected"))
        } else {
            Ok(())
        }
    }

    /// The string whose opening quote comes next.
    fn string(&mut self) -> Result<Cow<'a, str>, ToXmlError> {
        self.at += 1;
        let mut from = self.at;
        let mut decoded = String::new();
        loop {
            match self.peek() {
                None => return Err(self.error("unexpected end of JSON in a string")),
                Some(b'"') => {
                    let rest = &self.text[from..self.at];
                    self.at += 1;
                    if decoded.is_empty() {
                        return Ok(Cow::Borrowed(rest));
                    }
                    decoded.push_str(rest);
                    return Ok(Cow::Owned(decoded));
                }
                Some(b'\\') => {
                    decoded.push_str(&self.text[from..self.at]);
                    self.at += 1;
                    let c = self.escape()?;
                    decoded.push(c);
                    from = self.at;
                }
                Some(0..0x20) => return Err(self.error("a control character in a string")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, ToXmlError> {
        let Some(byte) = self.peek() else {
            return Err(self.error("unexpected end of JSON in a string"));
        };
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(self.error("an unknown escape in a string")),
        })
    }

    fn unicode(&mut self) -> Result<char, ToXmlError> {
        let first = self.hex4()?;
        if !(0xD800..0xDC00).contains(&first) {
            // W4: a low surrogate alone is no character either.
            return char::from_u32(first).ok_or_else(|| self.error("a lone surrogate in a string"));
        }
        if !(self.take(b'\\') && self.take(b'u')) {
            return Err(self.error("a lone surrogate in a string"));
        }
        let second = self.hex4()?;
        if !(0xDC00..0xE000).contains(&second) {
            return Err(self.error("a lone surrogate in a string"));
        }
        let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        char::from_u32(code).ok_or_else(|| self.error("a lone surrogate in a string"))
    }

    fn hex4(&mut self) -> Result<u32, ToXmlError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let code = digits.and_then(|digits| {
            digits.iter().try_fold(0, |code, digit| {
                Some(code * 16 + char::from(*digit).to_digit(16)?)
            })
        });
        match code {
            Some(code) => {
                self.at += 4;
                Ok(code)
            }
            None => Err(self.error("four hexadecimal digits were expected")),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn error(&self, detail: &str) -> ToXmlError {
        ToXmlError {
            pointer: pointer(&self.path),
            detail: format!("{detail} (byte {})", self.at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (String, String) {
        let error = parse(text, 10).expect_err(text);
        (error.pointer, error.detail)
    }

    /// W1, W2: order and digits stay.
    #[test]
    fn order_and_digits_are_kept() {
        let text = r#" {"b":18446744073709551616,"a":[1e308,-0.10,"\u00e9\ud83d\ude00\n",null,true,{}]} "#;
        let expected = Json::Object(vec![
            ("b".into(), Json::Number("18446744073709551616")),
            (
                "a".into(),
                Json::Array(vec![
                    Json::Number("1e308"),
                    Json::Number("-0.10"),
                    Json::String("é😀\n".into()),
                    Json::Null,
                    Json::Bool(true),
                    Json::Object(vec![]),
                ]),
            ),
        ]);
        assert_eq!(parse(text, 10).unwrap(), expected);
    }

    /// W3: also among many members, and by what the name means, not how it is written.
    #[test]
    fn a_member_twice_is_refused_with_its_pointer() {
        assert_eq!(refused(r#"{"a":[{"b/c":1,"b\u002fc":2}]}"#).0, "/a/0/b~1c");
        let many: String = (0..100).map(|n| format!("\"m{n}\":0,")).collect();
        assert_eq!(refused(&format!("{{{many}\"m7\":1}}")).0, "/m7");
        assert!(parse(&format!("{{{many}\"m100\":1}}"), 10).is_ok());
    }

    /// W4
    #[test]
    fn lone_surrogates_and_control_characters_are_refused() {
        for text in [
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800\u0041""#,
            "\"\u{1}\"",
            "\"a\nb\"",
        ] {
            parse(text, 10).expect_err(text);
        }
    }

    /// A body may be as deep as it likes without harm.
    #[test]
    fn depth_is_limited_without_recursion() {
        let deep = "[".repeat(1_000_000);
        assert_eq!(
            refused(&deep),
            (
                "/0/0/0/0/0/0/0/0/0/0".into(),
                "nested too deeply (byte 10)".into()
            )
        );
        let objects = "{\"a\":".repeat(1_000_000);
        assert_eq!(refused(&objects).0, "/a/a/a/a/a/a/a/a/a/a");
        assert!(parse(&format!("{}{}", "[".repeat(10), "]".repeat(10)), 10).is_ok());
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            "1e",
            "-",
            "+1",
            ".5",
            "nul",
            "tru",
            "NaN",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "1 2",
            "[1}",
            "{\"a\" 1}",
            "'a'",
            "\u{feff}1",
        ] {
            parse(text, 10).expect_err(text);
        }
    }
}
