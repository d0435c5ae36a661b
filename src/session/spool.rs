//! Where replies lie while they are read: in memory as long as they are short and there is room, then in a file
//! (Q8). A file has its name only for the instant of its creation, so that it is gone with the last reader,
//! whatever ends the process; what a crash in that instant leaves is removed when the spool is opened.
//!
//! Memory and disk of all sessions together are bounded: memory by going to a file early, disk by refusing. Beside
//! that, the buffer of one large reply is kept for the next one, because fresh memory costs about as much as reading
//! a reply as XML.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::xml::Source;

const PREFIX: &str = "reply-";
const SUFFIX: &str = ".spool";

/// Bytes gathered before they are written to the file in one go.
const WRITE_SIZE: usize = 128 * 1024;
/// Room for them, with what the last piece may hold beyond.
const WRITE_BUFFER: usize = WRITE_SIZE + 64 * 1024;

/// From this size on, in bytes, a buffer is worth keeping for another reply.
const LARGE: usize = 1 << 20;

/// How much may lie where, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolLimits {
    /// One reply in memory; the rest of it goes to a file.
    pub memory_per_reply: u64,
    /// All replies in memory together; beyond it a reply goes to a file as soon as it exceeds `small`.
    pub memory_total: u64,
    /// A reply up to this size stays in memory in any case.
    pub small: u64,
    /// One reply, wherever it lies.
    pub reply: u64,
    /// All files together.
    pub files_total: u64,
}

impl Default for SpoolLimits {
    fn default() -> Self {
        Self {
            memory_per_reply: 8 << 20,
            memory_total: 64 << 20,
            small: 64 << 10,
            reply: 1 << 30,
            files_total: 8 << 30,
        }
    }
}

/// Why a reply cannot be stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SpoolError {
    #[error("the reply is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the spool files take more than {limit} bytes together")]
    Full { limit: u64 },
    #[error("cannot write the spool file")]
    Io(#[from] Arc<io::Error>),
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// The place for replies of all sessions.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    limits: SpoolLimits,
    memory: Counter,
    files: Counter,
    /// An empty buffer that a large reply has left.
    spare: Mutex<Option<Vec<u8>>>,
}

type Counter = Arc<AtomicU64>;

impl Spool {
    /// Makes the directory, for this user alone, if it is not there, and removes what a crash left in it. Blocking.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn open(dir: &Path, limits: SpoolLimits) -> io::Result<Arc<Self>> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)?;
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let ours = name
                .to_str()
                .is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
            if ours && entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            limits,
            memory: Counter::default(),
            files: Counter::default(),
            spare: Mutex::default(),
        }))
    }

    pub fn limits(&self) -> &SpoolLimits {
        &self.limits
    }

    /// Bytes of replies in memory now.
    pub fn memory_used(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// Bytes of replies in files now.
    pub fn files_used(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Makes room for `added` more bytes of a reply in memory.
    fn make_room(&self, bytes: &mut Vec<u8>, added: usize) {
        let needed = bytes.len() + added;
        if needed <= bytes.capacity() || needed < LARGE {
            return;
        }
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut spare) = spare {
            spare.extend_from_slice(bytes);
            *bytes = spare;
        }
    }

    /// Takes back the buffer of a reply that nobody reads any more. One is kept, with no more memory than one reply
    /// may take.
    fn take_back(&self, mut bytes: Vec<u8>) {
        let most = self.limits.memory_per_reply.saturating_mul(2);
        if bytes.capacity() >= LARGE && bytes.capacity() as u64 <= most {
            bytes.clear();
            let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
            if spare.is_none() {
                *spare = Some(bytes);
            }
        }
    }

    /// A file without a name, readable and writable by this process only (0600 until its name is gone).
    fn file(&self) -> io::Result<File> {
        let named = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            .tempfile_in(&self.dir)?;
        let (file, path) = named.into_parts();
        path.close()?;
        Ok(file)
    }
}

/// A share of a counter, given back when dropped.
#[derive(Debug)]
struct Share {
    counter: Counter,
    bytes: u64,
}

impl Share {
    fn new(counter: &Counter) -> Self {
        Self {
            counter: counter.clone(),
            bytes: 0,
        }
    }

    fn grow(&mut self, bytes: u64) -> u64 {
        self.bytes += bytes;
        self.counter.fetch_add(bytes, Ordering::Relaxed) + bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.counter.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Keeps the disk space of a stored reply accounted for as long as it is held.
#[derive(Debug, Clone, Default)]
pub struct Stored(#[allow(dead_code, reason = "held for its Drop")] Option<Arc<Share>>);

/// The bytes of a reply in memory, whose share of the memory ends with the last clone of them.
struct Counted {
    bytes: Vec<u8>,
    spool: Arc<Spool>,
    _share: Share,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.spool.take_back(std::mem::take(&mut self.bytes));
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[derive(Debug)]
enum Place {
    Memory {
        bytes: Vec<u8>,
        share: Share,
    },
    File {
        file: Arc<File>,
        buffer: Vec<u8>,
        share: Share,
    },
}

/// One reply on its way in.
#[derive(Debug)]
pub struct Body {
    spool: Arc<Spool>,
    place: Place,
    len: u64,
}

impl Body {
    pub fn new(spool: &Arc<Spool>) -> Self {
        let place = Place::Memory {
            bytes: Vec::new(),
            share: Share::new(&spool.memory),
        };
        Self {
            spool: spool.clone(),
            place,
            len: 0,
        }
    }

    /// What has come so far, if it is all in memory.
    pub fn as_memory(&self) -> Option<&[u8]> {
        match &self.place {
            Place::Memory { bytes, .. } => Some(bytes),
            Place::File { .. } => None,
        }
    }

    /// Adds bytes. Waits for the disk at most, never for a caller.
    ///
    /// # Errors
    /// When a limit is reached or the disk fails; the body is then useless.
    pub async fn append(&mut self, data: &[u8]) -> Result<(), SpoolError> {
        let added = data.len() as u64;
        let limits = self.spool.limits;
        self.len += added;
        if self.len > limits.reply {
            return Err(SpoolError::TooLarge { limit: limits.reply });
        }
        match &mut self.place {
            Place::Memory { bytes, share } => {
                let total = share.grow(added);
                self.spool.make_room(bytes, data.len());
                bytes.extend_from_slice(data);
                let crowded = total > limits.memory_total && self.len > limits.small;
                if self.len > limits.memory_per_reply || crowded {
                    self.move_to_file().await?;
                }
                Ok(())
            }
            Place::File { buffer, .. } => {
                buffer.extend_from_slice(data);
                if buffer.len() >= WRITE_SIZE {
                    self.flush().await
                } else {
                    Ok(())
                }
            }
        }
    }

    async fn move_to_file(&mut self) -> Result<(), SpoolError> {
        let Place::Memory { bytes, .. } = &mut self.place else {
            return Ok(());
        };
        let buffer = std::mem::take(bytes);
        let spool = self.spool.clone();
        let file = blocking(move || spool.file()).await?;
        let share = Share::new(&self.spool.files);
        self.place = Place::File {
            file: Arc::new(file),
            buffer,
            share,
        };
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), SpoolError> {
        let Place::File { file, buffer, share } = &mut self.place else {
            return Ok(());
        };
        let limit = self.spool.limits.files_total;
        if share.grow(buffer.len() as u64) > limit {
            return Err(SpoolError::Full { limit });
        }
        let (target, mut data) = (file.clone(), std::mem::take(buffer));
        let mut data = blocking(move || {
            (&*target).write_all(&data)?;
            data.clear();
            Ok(data)
        })
        .await?;
        if data.capacity() >= LARGE {
            // It is from before the reply moved to the file.
            self.spool.take_back(std::mem::take(&mut data));
        }
        // No buffer that grows by being copied.
        data.shrink_to(WRITE_BUFFER);
        data.reserve_exact(WRITE_BUFFER);
        *buffer = data;
        Ok(())
    }

    /// The whole reply, ready to be read.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn finish(mut self) -> Result<(Source, Stored), SpoolError> {
        self.flush().await?;
        Ok(match self.place {
            Place::Memory { mut bytes, share } => {
                // Of a large buffer only what was written takes memory, unless another reply had more of it.
                if bytes.len() < LARGE || bytes.capacity() > 2 * bytes.len() {
                    bytes.shrink_to_fit();
                }
                let counted = Counted {
                    bytes,
                    spool: self.spool,
                    _share: share,
                };
                (Source::Memory(Bytes::from_owner(counted)), Stored(None))
            }
            Place::File { file, share, .. } => (
                Source::File { file, len: self.len },
                Stored(Some(Arc::new(share))),
            ),
        })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> SpoolLimits {
        SpoolLimits {
            memory_per_reply: 1000,
            memory_total: 1500,
            small: 100,
            reply: 1 << 20,
            files_total: 1 << 20,
        }
    }

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    fn read_all(source: &Source) -> Vec<u8> {
        let mut bytes = vec![0; source.len() as usize];
        assert_eq!(source.read_at(0, &mut bytes).unwrap(), bytes.len());
        bytes
    }

    /// Q8: short replies in memory, long ones in a file that nobody finds by name.
    #[tokio::test]
    async fn long_reply_moves_to_a_nameless_file() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), limits()).unwrap();
        let mut body = Body::new(&spool);
        let mut expected = Vec::new();
        for round in 0..600_u32 {
            let piece = format!("piece {round} ").repeat(100);
            expected.extend_from_slice(piece.as_bytes());
            body.append(piece.as_bytes()).await.unwrap();
        }
        assert_eq!(names(dir.path()), Vec::<String>::new());
        assert_eq!(spool.memory_used(), 0);
        let (source, stored) = body.finish().await.unwrap();
        assert!(source.as_memory().is_none());
        assert_eq!(read_all(&source), expected);
        assert_eq!(spool.files_used(), expected.len() as u64);
        drop((source, stored));
        assert_eq!(spool.files_used(), 0);
    }

    #[tokio::test]
    async fn short_reply_stays_in_memory_until_the_last_reader_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), limits()).unwrap();
        let mut body = Body::new(&spool);
        body.append(b"<rpc-").await.unwrap();
        body.append(b"reply/>").await.unwrap();
        let (source, _) = body.finish().await.unwrap();
        assert_eq!(&source.as_memory().unwrap()[..], b"<rpc-reply/>");
        assert_eq!(spool.memory_used(), 12);
        let other = source.clone();
        drop(source);
        assert_eq!(spool.memory_used(), 12);
        drop(other);
        assert_eq!(spool.memory_used(), 0);
    }

    /// The buffer of a large reply serves the next one, once nobody reads it any more.
    #[tokio::test]
    async fn buffer_of_a_large_reply_is_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), SpoolLimits::default()).unwrap();
        let read = async |bytes: &[u8]| {
            let mut body = Body::new(&spool);
            for piece in bytes.chunks(30_000) {
                body.append(piece).await.unwrap();
            }
            body.finish().await.unwrap().0
        };
        let spare = || spool.spare.lock().unwrap().as_ref().map(Vec::capacity);
        let [a, b, c] = [b'a', b'b', b'c'].map(|byte| vec![byte; 3 * LARGE]);
        let (first, second) = (read(&a).await, read(&b).await);
        drop(first.clone());
        assert_eq!(spare(), None, "one still reads it");
        drop(first);
        assert!(spare().is_some_and(|capacity| capacity >= a.len()));
        let third = read(&c).await;
        assert_eq!(spare(), None);
        assert_eq!(read_all(&second), b);
        assert_eq!(read_all(&third), c);
        assert_eq!(spool.memory_used(), 6 * LARGE as u64);
        drop((second, third));
        assert!(spare().is_some());
        assert_eq!(spool.memory_used(), 0);
        // A short one needs none.
        assert_eq!(read_all(&read(&a[..1000]).await), a[..1000]);
        assert!(spare().is_some());
    }

    /// Q8: many replies at once do not take more memory than there is.
    #[tokio::test]
    async fn replies_go_to_files_early_when_memory_is_short() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), limits()).unwrap();
        let mut bodies = Vec::new();
        for _ in 0..4 {
            let mut body = Body::new(&spool);
            body.append(&[b'x'; 900]).await.unwrap();
            bodies.push(body);
        }
        assert_eq!(spool.memory_used(), 900);
        let mut small = Body::new(&spool);
        small.append(&[b'y'; 700]).await.unwrap();
        assert!(small.as_memory().is_none());
        let mut tiny = Body::new(&spool);
        tiny.append(&[b'z'; 90]).await.unwrap();
        assert!(tiny.as_memory().is_some());
    }

    /// Q8: a reply beyond the limit is refused, and so are files beyond theirs.
    #[tokio::test]
    async fn limits_hold() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(
            dir.path(),
            SpoolLimits {
                reply: 5000,
                files_total: 3000,
                ..limits()
            },
        )
        .unwrap();
        let mut body = Body::new(&spool);
        body.append(&[b'x'; 2900]).await.unwrap();
        let error = body.append(&[b'x'; 2900]).await.unwrap_err();
        assert!(matches!(error, SpoolError::TooLarge { limit: 5000 }), "{error}");
        drop(body);
        let mut body = Body::new(&spool);
        body.append(&[b'x'; 2900]).await.unwrap();
        body.append(&[b'x'; 200]).await.unwrap();
        let error = body.finish().await.unwrap_err();
        assert!(matches!(error, SpoolError::Full { limit: 3000 }), "{error}");
        assert_eq!(spool.files_used(), 0);
    }

    /// Q8: deleted at start-up.
    #[test]
    fn leftovers_of_a_crash_are_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("reply-abc.spool"), "left").unwrap();
        fs::write(dir.path().join("notes.txt"), "keep").unwrap();
        Spool::open(dir.path(), limits()).unwrap();
        assert_eq!(names(dir.path()), ["notes.txt"]);
    }
}
