//! Where the sealing keys come from: the environment, a file, or a file made at the first start.
//!
//! Text form, in a file or a variable: one key of 32 bytes in base64 per line or between commas; `#` starts a
//! comment. The first key seals. To rotate, put a new key in front; at the next start everything is sealed anew,
//! and the old key may go.

use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::seal::{KEY_BYTES, Keyring};
use crate::ids::Ids;

/// Larger than any file of keys somebody would write.
const MOST_BYTES: u64 = 64 * 1024;

/// Where to take the keys from.
#[derive(Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The text itself, from the environment.
    Text(Zeroizing<String>),
    /// This file, made if it does not exist and nothing is sealed yet.
    File(PathBuf),
    /// A file beside the database, made if it does not exist and nothing is sealed yet.
    BesideDatabase,
    /// A new key that is gone with the process, for a database that is too.
    Ephemeral,
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text([redacted])"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::BesideDatabase => f.write_str("BesideDatabase"),
            Self::Ephemeral => f.write_str("Ephemeral"),
        }
    }
}

/// Why there is no usable key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "the key file {} may be read by others (mode {mode:03o}); `chmod 600` it, and consider the key known",
        .path.display()
    )]
    Readable { path: PathBuf, mode: u32 },
    #[error("the key file {} is missing, and the database holds credentials sealed with a key", .0.display())]
    Missing(PathBuf),
    #[error("a PostgreSQL database needs a key: set NCGATE_KEY or NCGATE_KEY_FILE")]
    NotGiven,
    #[error("key {number} of {origin} is not 32 bytes in base64; `openssl rand -base64 32` makes one")]
    Malformed { origin: String, number: usize },
    #[error("{origin} holds no key")]
    Empty { origin: String },
    #[error("cannot read the key file {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot make the key file {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Finds the keys, or makes one. `sealed`: whether the database needs a key that exists already.
pub(super) fn load(
    source: &KeySource,
    beside: Option<&Path>,
    sealed: bool,
    ids: &Ids,
) -> Result<Keyring, KeyError> {
    match (source, beside) {
        (KeySource::Text(text), _) => parse(text, "NCGATE_KEY"),
        (KeySource::File(path), _) => load_file(path, sealed, ids),
        (KeySource::BesideDatabase, Some(path)) => load_file(path, sealed, ids),
        (KeySource::BesideDatabase, None) => Err(KeyError::NotGiven),
        (KeySource::Ephemeral, _) => Ok(Keyring::new(vec![Zeroizing::new(ids.bytes())])),
    }
}

fn load_file(path: &Path, sealed: bool, ids: &Ids) -> Result<Keyring, KeyError> {
    let unreadable = |source| KeyError::Read {
        path: path.to_owned(),
        source,
    };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && sealed => {
            return Err(KeyError::Missing(path.to_owned()));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return make_file(path, ids),
        Err(error) => return Err(unreadable(error)),
    };
    // The file that was opened is judged, not whatever bears its name by then.
    let metadata = file.metadata().map_err(unreadable)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Readable {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::with_capacity(1024));
    file.take(MOST_BYTES)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    parse(&text, &format!("the key file {}", path.display()))
}

fn make_file(path: &Path, ids: &Ids) -> Result<Keyring, KeyError> {
    let unwritable = |source| KeyError::Write {
        path: path.to_owned(),
        source,
    };
    let key = Zeroizing::new(ids.bytes::<KEY_BYTES>());
    let encoded = Zeroizing::new(STANDARD.encode(*key));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(unwritable)?;
    let head =
        "# Opens the credentials in ncgate's database. Keep a copy apart from the database's backups.\n";
    writeln!(file, "{head}{}", *encoded)
        .and_then(|()| file.sync_all())
        .map_err(unwritable)?;
    Ok(Keyring::new(vec![key]))
}

fn parse(text: &str, origin: &str) -> Result<Keyring, KeyError> {
    let mut keys = Vec::new();
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    for word in lines
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        let malformed = || KeyError::Malformed {
            origin: origin.to_owned(),
            number: keys.len() + 1,
        };
        let bytes = Zeroizing::new(STANDARD.decode(word).map_err(|_| malformed())?);
        keys.push(Zeroizing::new(
            <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| malformed())?,
        ));
    }
    if keys.is_empty() {
        return Err(KeyError::Empty {
            origin: origin.to_owned(),
        });
    }
    Ok(Keyring::new(keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path, sealed: bool) -> Result<Keyring, KeyError> {
        load(&KeySource::File(path.to_owned()), None, sealed, &Ids::seeded(1))
    }

    /// X6: a key is made once, for its owner alone, and found again.
    #[test]
    fn key_file_is_made_once_with_mode_600() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("k");
        let made = file(&path, false).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(file(&path, true).unwrap().current_id(), made.current_id());
    }

    /// X6: a key that others may read is refused, and so is making up a new one for a sealed database.
    #[test]
    fn readable_and_missing_key_files_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("k");
        assert!(matches!(file(&path, true), Err(KeyError::Missing(_))));
        assert!(!path.exists());
        file(&path, false).unwrap();
        for mode in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let refused = file(&path, false).unwrap_err();
            assert!(
                matches!(refused, KeyError::Readable { mode: seen, .. } if seen == mode),
                "{refused}"
            );
        }
    }

    #[test]
    fn several_keys_in_order_with_comments() {
        let (a, b) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
        let first = parse(&a, "x").unwrap();
        for text in [
            format!("# new\n{a} # first\n\n{b}\n"),
            format!("{a},{b}"),
            format!(" {a} , {b} "),
        ] {
            let keys = parse(&text, "x").unwrap();
            assert_eq!(keys.current_id(), first.current_id());
            assert!(keys.knows(parse(&b, "x").unwrap().current_id()));
        }
    }

    #[test]
    fn malformed_keys_are_told_without_showing_them() {
        let short = STANDARD.encode([1; 31]);
        let good = STANDARD.encode([1; 32]);
        for (text, number) in [(short.clone(), 1), (format!("{good},hunter2"), 2)] {
            let error = parse(&text, "NCGATE_KEY").unwrap_err();
            assert!(
                matches!(&error, KeyError::Malformed { number: n, .. } if *n == number),
                "{error}"
            );
            assert!(!error.to_string().contains(&short) && !error.to_string().contains("hunter2"));
        }
        assert!(matches!(parse("# nothing\n", "x"), Err(KeyError::Empty { .. })));
        assert!(matches!(
            load(&KeySource::BesideDatabase, None, false, &Ids::seeded(1)),
            Err(KeyError::NotGiven)
        ));
    }
}
