//! The line discipline of a pseudo-terminal, as far as a NETCONF client meets it: echo, line feeds, lines.

use russh::Pty;

/// Longest line in canonical mode; a terminal drops what is beyond.
const MAX_LINE: usize = 4096;
const CTRL_D: u8 = 4;

/// The modes that matter, and the line being typed.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// Input is sent back.
    pub echo: bool,
    /// Control characters are sent back as `^X`.
    pub echo_control: bool,
    /// Input is handed over line by line.
    pub canonical: bool,
    /// CR in the input becomes LF.
    pub cr_to_lf: bool,
    /// LF in the output becomes CR LF.
    pub lf_to_crlf: bool,
    line: Vec<u8>,
}

/// What a piece of input came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// What the terminal shows.
    pub echo: Vec<u8>,
    /// What the program reads.
    pub input: Vec<u8>,
    /// Whether it then reads the end of its input.
    pub end: bool,
}

impl Default for Terminal {
    /// What a terminal is like when nobody asks for anything else.
    fn default() -> Self {
        Self {
            echo: true,
            echo_control: true,
            canonical: true,
            cr_to_lf: true,
            lf_to_crlf: true,
            line: Vec::new(),
        }
    }
}

impl Terminal {
    /// A terminal with the modes that the client asked for (RFC 4254 section 8).
    pub fn new(modes: &[(Pty, u32)]) -> Self {
        let mut terminal = Self::default();
        let mut output_processing = true;
        for (mode, value) in modes {
            let on = *value != 0;
            match mode {
                Pty::ECHO => terminal.echo = on,
                Pty::ECHOCTL => terminal.echo_control = on,
                Pty::ICANON => terminal.canonical = on,
                Pty::ICRNL => terminal.cr_to_lf = on,
                Pty::ONLCR => terminal.lf_to_crlf = on,
                Pty::OPOST => output_processing = on,
                _ => {}
            }
        }
        terminal.lf_to_crlf &= output_processing;
        terminal
    }

    /// A terminal that echoes and converts line feeds, whatever the client asked for.
    pub fn stubborn() -> Self {
        Self {
            canonical: false,
            ..Self::default()
        }
    }

    /// Takes what the client typed.
    pub fn input(&mut self, bytes: &[u8]) -> Typed {
        let mut typed = Typed::default();
        for &byte in bytes {
            let byte = if byte == b'\r' && self.cr_to_lf {
                b'\n'
            } else {
                byte
            };
            if !self.canonical {
                self.show(byte, &mut typed.echo);
                typed.input.push(byte);
                continue;
            }
            if byte == CTRL_D {
                typed.end |= self.line.is_empty();
                typed.input.append(&mut self.line);
                continue;
            }
            if self.line.len() < MAX_LINE || byte == b'\n' {
                self.show(byte, &mut typed.echo);
                self.line.push(byte);
            }
            if byte == b'\n' {
                typed.input.append(&mut self.line);
            }
        }
        typed
    }

    fn show(&self, byte: u8, echo: &mut Vec<u8>) {
        if !self.echo {
            return;
        }
        match byte {
            b'\n' if self.lf_to_crlf => echo.extend_from_slice(b"\r\n"),
            b'\n' | b'\t' => echo.push(byte),
            control if control < 0x20 && self.echo_control => echo.extend_from_slice(&[b'^', control ^ 0x40]),
            other => echo.push(other),
        }
    }

    /// What the terminal makes of output.
    pub fn output(&self, bytes: &[u8]) -> Vec<u8> {
        if !self.lf_to_crlf {
            return bytes.to_vec();
        }
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 32);
        for &byte in bytes {
            if byte == b'\n' {
                out.push(b'\r');
            }
            out.push(byte);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S3: a terminal as it comes echoes, holds lines back until they end, and sends CR LF.
    #[test]
    fn an_unchanged_terminal_echoes_and_hands_over_lines() {
        let mut terminal = Terminal::default();
        let typed = terminal.input(b"<hello/>]]>");
        assert_eq!(
            (typed.echo.as_slice(), typed.input.as_slice()),
            (&b"<hello/>]]>"[..], &b""[..])
        );
        let typed = terminal.input(b"]]>\r\x01");
        assert_eq!(typed.echo, b"]]>\r\n^A");
        assert_eq!(typed.input, b"<hello/>]]>]]>\n");
        assert_eq!(terminal.output(b"a\nb"), b"a\r\nb");
    }

    /// S3: the client may turn everything off.
    #[test]
    fn modes_of_the_request_are_honoured() {
        let off = [Pty::ECHO, Pty::ICANON, Pty::ONLCR].map(|mode| (mode, 0));
        let mut terminal = Terminal::new(&off);
        let typed = terminal.input(b"<rpc/>]]>]]>");
        assert_eq!(
            (typed.echo.as_slice(), typed.input.as_slice()),
            (&b""[..], &b"<rpc/>]]>]]>"[..])
        );
        assert_eq!(terminal.output(b"a\nb"), b"a\nb");
    }

    #[test]
    fn an_over_long_line_is_cut_and_control_d_ends_the_input() {
        let mut terminal = Terminal::default();
        let mut long = vec![b'a'; MAX_LINE + 10];
        long.push(b'\n');
        assert_eq!(terminal.input(&long).input.len(), MAX_LINE + 1);
        assert!(terminal.input(&[CTRL_D]).end);
    }
}
