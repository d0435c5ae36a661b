//! Standard output and standard error: whatever the program prints passes here, because `print!` and its kin panic
//! where a stream cannot be written (a full disk, a closed pipe).
//!
//! That nobody reads any more, as behind `| head`, is no failure: who went away has seen enough.

use std::io::{self, BufWriter, StdoutLock, Write};

/// Standard output for what is written piece by piece. Whoever writes must flush, or a failure goes unseen.
pub fn out() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// Writes to standard output.
///
/// # Errors
/// It cannot be written, though somebody still reads.
pub fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    unless_closed(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Writes lines, with their line ends, to standard error.
///
/// # Errors
/// As [`print()`].
pub fn tell(lines: &str) -> io::Result<()> {
    unless_closed(io::stderr().lock().write_all(lines.as_bytes()))
}

/// The same result, but that a closed pipe is none.
///
/// # Errors
/// Any other failure.
pub fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
