//! Where a stored message lies: in memory, or in a file when it is too long for that.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

/// A stored message, read as often as needed. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Source {
    /// In memory.
    Memory(Bytes),
    /// Spooled to a file, whose first `len` bytes are the message.
    File {
        /// Open for reading; the position is never used, so clones do not disturb each other.
        file: Arc<File>,
        /// Bytes of the message.
        len: u64,
    },
}

impl Source {
    /// Bytes of the message.
    pub fn len(&self) -> u64 {
        match self {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::File { len, .. } => *len,
        }
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` from `offset` on, as far as the message goes. Returns the bytes read; fewer than asked for only at
    /// the end.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::Memory(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let count = buf.len().min(bytes.len() - from);
                buf[..count].copy_from_slice(&bytes[from..from + count]);
                Ok(count)
            }
            Source::File { file, len } => {
                let left = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX);
                let want = buf.len().min(left);
                let mut done = 0;
                while done < want {
                    match file_read_at(file, &mut buf[done..want], offset + done as u64) {
                        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                        Ok(count) => done += count,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(done)
            }
        }
    }

    /// The bytes, if they are in memory.
    pub fn as_memory(&self) -> Option<&Bytes> {
        match self {
            Source::Memory(bytes) => Some(bytes),
            Source::File { .. } => None,
        }
    }

    /// The whole message as text; refused (`FileTooLarge`) beyond `max` bytes, and when it is not UTF-8 (`InvalidData`).
    pub fn read_to_string(&self, max: u64) -> io::Result<String> {
        if self.len() > max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = vec![0; usize::try_from(self.len()).map_err(|_| io::ErrorKind::FileTooLarge)?];
        self.read_at(0, &mut bytes)?;
        String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

#[cfg(unix)]
fn file_read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(windows)]
fn file_read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

impl From<String> for Source {
    fn from(text: String) -> Self {
        Source::Memory(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn memory_and_file_read_alike() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789 beyond").unwrap();
        let spooled = Source::File {
            file: Arc::new(file),
            len: 10,
        };
        let memory = Source::Memory(Bytes::from_static(b"0123456789"));
        for source in [spooled, memory] {
            let mut buf = [0; 4];
            assert_eq!(source.read_at(8, &mut buf).unwrap(), 2);
            assert_eq!(&buf[..2], b"89");
            assert_eq!(source.read_at(10, &mut buf).unwrap(), 0);
            assert_eq!(source.read_at(u64::MAX, &mut buf).unwrap(), 0);
            assert_eq!(source.read_to_string(10).unwrap(), "0123456789");
            assert_eq!(
                source.read_to_string(9).unwrap_err().kind(),
                io::ErrorKind::FileTooLarge
            );
        }
    }
}
