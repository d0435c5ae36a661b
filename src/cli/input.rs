//! What a command reads beside its arguments: files and standard input.

use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use super::exit::Failure;

/// More than any body that the gateway takes.
const MOST_BYTES: u64 = 256 << 20;

/// The text of a file, or of standard input when it is named `-`.
pub fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let result = if path == Path::new("-") {
        std::io::stdin().take(MOST_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text))
    };
    match result {
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::Usage(format!("cannot read {}: {error}", path.display()))),
    }
}

/// A secret from a file: its first line end and what follows are not part of it.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = read(path)?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// `key=value`
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be name=value".to_owned()),
    }
}
