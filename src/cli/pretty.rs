//! JSON with line breaks and indentation, byte by byte: no tree, whatever the size and depth, and every number as
//! it was written.

use std::io::{self, Read, Write};

const BUFFER_BYTES: usize = 64 * 1024;

/// Lays out well-formed JSON as it comes. What is not well-formed comes out as it is, with breaks in odd places.
#[derive(Default)]
pub struct Printer {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// A container was opened and nothing stands in it yet.
    opened: bool,
}

impl Printer {
    /// Lays out the next piece, which may end anywhere.
    pub fn push(&mut self, piece: &[u8], out: &mut impl Write) -> io::Result<()> {
        for &byte in piece {
            if self.in_string {
                out.write_all(&[byte])?;
                self.in_string = self.escaped || byte != b'"';
                self.escaped = byte == b'\\' && !self.escaped;
                continue;
            }
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => {}
                b'{' | b'[' => {
                    self.value(out)?;
                    out.write_all(&[byte])?;
                    self.depth += 1;
                    self.opened = true;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if !self.opened {
                        self.new_line(out)?;
                    }
                    self.opened = false;
                    out.write_all(&[byte])?;
                }
                b',' => {
                    out.write_all(b",")?;
                    self.new_line(out)?;
                }
                b':' => out.write_all(b": ")?,
                other => {
                    self.value(out)?;
                    out.write_all(&[other])?;
                    self.in_string = other == b'"';
                }
            }
        }
        Ok(())
    }

    /// Something begins or goes on; the first thing in a container starts a line.
    fn value(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.opened {
            self.opened = false;
            self.new_line(out)?;
        }
        Ok(())
    }

    fn new_line(&self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "\n{:indent$}", "", indent = 2 * self.depth)
    }
}

/// Lays out everything that `input` holds, and ends the last line.
pub fn copy(input: &mut impl Read, out: &mut impl Write) -> io::Result<()> {
    let mut printer = Printer::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => return out.write_all(b"\n"),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        printer.push(&buffer[..count], out)?;
    }
}

/// A small document laid out.
pub fn pretty(text: &str) -> String {
    let mut out = Vec::new();
    let laid_out = Printer::default().push(text.as_bytes(), &mut out);
    laid_out
        .ok()
        .and_then(|()| String::from_utf8(out).ok())
        .unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn layout_is_that_of_everybody_else() {
        for value in [
            json!({"a": [1, 2.50, {}], "b": [], "c": {"d": "x\\\"y{[,:]}", "e": null}, "f": [[true]]}),
            json!([]),
            json!("text"),
            json!({"a": {"b": {}}}),
        ] {
            assert_eq!(
                pretty(&value.to_string()),
                serde_json::to_string_pretty(&value).unwrap()
            );
        }
        assert_eq!(
            pretty("{\"n\": 1.0e+400 , \"m\":00.10}"),
            "{\n  \"n\": 1.0e+400,\n  \"m\": 00.10\n}"
        );
    }

    proptest! {
        /// A document laid out is the same document, however it is cut.
        #[test]
        fn layout_changes_no_value(keys in prop::collection::vec("[\"\\\\a-c{}\\[\\],: ]{0,6}", 0..8), cut in 0usize..200) {
            let value: Value = keys.iter().map(|key| (key.clone(), json!([key, {"x": key}]))).collect();
            let text = value.to_string();
            let cut = cut.min(text.len());
            let mut out = Vec::new();
            let mut printer = Printer::default();
            printer.push(&text.as_bytes()[..cut], &mut out).unwrap();
            printer.push(&text.as_bytes()[cut..], &mut out).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), value);
        }
    }
}
