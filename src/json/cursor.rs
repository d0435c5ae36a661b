//! A window that moves over a stored message.

use std::io;

use bytes::Bytes;

use super::ConvertError;
use crate::xml::Source;

/// Bytes that a window of a file holds.
const WINDOW: usize = 512 << 10;

/// Reads a [`Source`] forwards, with jumps. What lies in memory is its own window.
#[derive(Debug)]
pub(super) struct Cursor {
    source: Source,
    window: Bytes,
    /// Offset of the window in the source.
    base: u64,
    /// Position in the window.
    at: usize,
    /// The window begins where a jump led: only what is asked for is read, since the next jump may follow soon.
    jumped: bool,
}

impl Cursor {
    pub(super) fn new(source: Source) -> Self {
        let window = source.as_memory().cloned().unwrap_or_default();
        Cursor {
            source,
            window,
            base: 0,
            at: 0,
            jumped: false,
        }
    }

    /// Offset of the next byte.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// What the window holds from the next byte on.
    pub(super) fn rest(&self) -> &[u8] {
        &self.window[self.at..]
    }

    /// Whether the window reaches to the end of the source.
    pub(super) fn at_end(&self) -> bool {
        self.base + self.window.len() as u64 >= self.source.len()
    }

    pub(super) fn advance(&mut self, count: usize) {
        self.at = (self.at + count).min(self.window.len());
    }

    /// Goes to an offset.
    pub(super) fn seek(&mut self, offset: u64) {
        match offset.checked_sub(self.base) {
            Some(inside) if inside <= self.window.len() as u64 => self.at = inside as usize,
            Some(_) | None => {
                self.window = Bytes::new();
                self.base = offset;
                self.at = 0;
                self.jumped = true;
            }
        }
    }

    /// Sees to it that at least `count` bytes can be seen, if the source has as many.
    pub(super) fn ensure(&mut self, count: usize) -> Result<(), ConvertError> {
        if self.rest().len() >= count || self.at_end() {
            return Ok(());
        }
        let mut window = vec![
            0;
            match std::mem::take(&mut self.jumped) {
                true => count,
                false => WINDOW.max(count),
            }
        ];
        let base = self.offset();
        let read = self
            .source
            .read_at(base, &mut window)
            .map_err(ConvertError::Read)?;
        if read == 0 {
            return Err(ConvertError::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        window.truncate(read);
        self.window = window.into();
        self.base = base;
        self.at = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Arc;

    #[test]
    fn memory_and_file_move_alike() {
        let content: Vec<u8> = (0..2_000_000u32).map(|n| (n % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let spooled = Source::File {
            file: Arc::new(file),
            len: content.len() as u64,
        };
        for source in [spooled, Source::Memory(content.clone().into())] {
            let mut cursor = Cursor::new(source);
            for offset in [0, 1_000_000, 10, 1_999_990, 600_000] {
                cursor.seek(offset as u64);
                cursor.ensure(100).unwrap();
                let seen = cursor.rest().len().min(100);
                assert_eq!(cursor.rest()[..seen], content[offset..offset + seen]);
                assert!(seen == 100 || cursor.at_end());
                cursor.advance(5);
                assert_eq!(cursor.offset(), offset as u64 + 5);
            }
        }
    }
}
