//! The data of a reply on its way to a caller: pulled from the converter in slices, handed on at the caller's speed,
//! and given up when the caller takes next to nothing (conventions Q8). The device is long done by then.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where data comes from, slice by slice. Filling may block on a file.
pub trait Source: Send + 'static {
    /// Appends the next slice, at most about 256 KiB, and says whether there is more.
    fn fill(&mut self, out: &mut Vec<u8>) -> io::Result<bool>;

    /// How much there is in all, in bytes; what comes out is of the same order.
    fn bytes(&self) -> u64;
}

/// Up to this size, a slice is made at once: handing it to another thread would take longer.
const SMALL_BYTES: u64 = 16 * 1024;

/// Which callers are too slow.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Bytes per second.
    pub least: u32,
    /// How long a caller may stay below that.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { least: 1024, patience: Duration::from_secs(30) }
    }
}

/// The patience left with one caller: spent while it is waited for, earned by every byte that it takes.
#[derive(Debug)]
struct Patience {
    pace: Pace,
    left: Duration,
}

impl Patience {
    fn new(pace: Pace) -> Self {
        Self { pace, left: pace.patience }
    }

    /// Accounts for `bytes` taken after a wait. Whoever is faster than the least pace gains more than the wait took.
    fn taken(&mut self, bytes: usize, waited: Duration) {
        let earned = Duration::from_secs_f64(bytes as f64 / f64::from(self.pace.least.max(1)));
        self.left = (self.left.saturating_sub(waited) + earned).min(self.pace.patience);
    }
}

/// Sources one after the other, with text between them.
pub struct Chain<S>(VecDeque<Link<S>>);

enum Link<S> {
    Text(Vec<u8>),
    Data(S),
}

impl<S> Default for Chain<S> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<S: Source> Chain<S> {
    pub fn text(&mut self, text: impl Into<Vec<u8>>) {
        self.0.push_back(Link::Text(text.into()));
    }

    pub fn data(&mut self, source: S) {
        self.0.push_back(Link::Data(source));
    }
}

impl<S: Source> Source for Chain<S> {
    /// One slice of data at most, with all the text around it.
    fn fill(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let mut filled = false;
        while let Some(link) = self.0.front_mut() {
            match link {
                Link::Text(text) => out.append(text),
                Link::Data(_) if filled => return Ok(true),
                Link::Data(source) => {
                    filled = true;
                    if source.fill(out)? {
                        return Ok(true);
                    }
                }
            }
            self.0.pop_front();
        }
        Ok(false)
    }

    fn bytes(&self) -> u64 {
        let link = |link: &Link<S>| match link {
            Link::Text(_) => 0,
            Link::Data(source) => source.bytes(),
        };
        self.0.iter().map(link).fold(0, u64::saturating_add)
    }
}

/// Runs one `fill` where blocking is allowed. The buffer comes back with what was appended.
///
/// # Errors
/// The source's own, or a panic inside it.
pub async fn fill<S: Source>(mut source: S, mut buffer: Vec<u8>) -> io::Result<(S, Vec<u8>, bool)> {
    if source.bytes() <= SMALL_BYTES {
        let more = source.fill(&mut buffer)?;
        return Ok((source, buffer, more));
    }
    tokio::task::spawn_blocking(move || {
        let more = source.fill(&mut buffer)?;
        Ok((source, buffer, more))
    })
    .await
    .map_err(io::Error::other)?
}

enum Piece {
    Data(Bytes),
    End,
}

/// Data on its way. Ends with an error, never quietly, if the source failed or the caller was cut.
pub struct Pieces {
    receiver: mpsc::Receiver<Piece>,
    ended: bool,
}

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = ready!(self.receiver.poll_recv(context));
        self.ended = !matches!(piece, Some(Piece::Data(_)));
        Poll::Ready(match piece {
            Some(Piece::Data(data)) => Some(Ok(data)),
            Some(Piece::End) => None,
            None => Some(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the rest of the reply is not available"))),
        })
    }
}

/// What a pump needs beside its source.
pub struct Pump {
    pub pace: Pace,
    /// The largest piece handed on, in bytes.
    pub piece: usize,
    /// Cancelled when the caller is too slow, so that its connection can be closed.
    pub cut: Option<CancellationToken>,
}

impl Pump {
    /// Hands on `first` and then all that `source` still has, from a task of its own. Nothing is read ahead but one
    /// slice; the task ends when the caller goes away.
    pub fn start<S: Source>(self, first: Vec<u8>, source: S, tasks: &TaskTracker) -> Pieces {
        let (sender, receiver) = mpsc::channel(1);
        tasks.spawn(self.run(first, source, sender));
        Pieces { receiver, ended: false }
    }

    async fn run<S: Source>(self, first: Vec<u8>, mut source: S, sender: mpsc::Sender<Piece>) {
        let mut patience = Patience::new(self.pace);
        let mut slice = first;
        let mut more = true;
        loop {
            let mut rest = Bytes::from(slice);
            while !rest.is_empty() {
                let piece = rest.split_to(rest.len().min(self.piece));
                if !self.hand_on(piece, &mut patience, &sender).await {
                    return;
                }
            }
            if !more {
                break;
            }
            match fill(source, Vec::new()).await {
                Ok((back, filled, further)) => {
                    source = back;
                    slice = filled;
                    more = further;
                }
                Err(error) => {
                    tracing::error!(%error, "the reply cannot be read to its end");
                    return;
                }
            }
        }
        // The receiver may be gone; then nobody needs the end.
        let _ = sender.send(Piece::End).await;
    }

    /// Whether the caller took the piece in time.
    async fn hand_on(&self, piece: Bytes, patience: &mut Patience, sender: &mpsc::Sender<Piece>) -> bool {
        let (bytes, since) = (piece.len(), Instant::now());
        match tokio::time::timeout(patience.left, sender.send(Piece::Data(piece))).await {
            Ok(Ok(())) => {
                patience.taken(bytes, since.elapsed());
                true
            }
            Ok(Err(_)) => false,
            Err(_) => {
                tracing::info!(
                    least_bytes_per_second = self.pace.least,
                    patience_seconds = self.pace.patience.as_secs(),
                    "a caller took its answer too slowly and was cut"
                );
                if let Some(cut) = &self.cut {
                    cut.cancel();
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    /// Slices of one byte value each.
    struct Slices(Vec<(u8, usize)>);

    impl Source for Slices {
        fn fill(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
            match self.0.pop() {
                Some((0, _)) => return Err(io::Error::other("broken")),
                Some((byte, count)) => out.extend(std::iter::repeat_n(byte, count)),
                None => {}
            }
            Ok(!self.0.is_empty())
        }

        fn bytes(&self) -> u64 {
            1 << 20
        }
    }

    fn pump(cut: Option<CancellationToken>) -> Pump {
        Pump { pace: Pace::default(), piece: 1000, cut }
    }

    #[tokio::test]
    async fn all_slices_arrive_in_order_and_small_pieces() {
        let source = Slices(vec![(b'c', 10), (b'b', 2500)]);
        let pieces = pump(None).start(b"a".to_vec(), source, &TaskTracker::new());
        let pieces: Vec<Bytes> = pieces.map(|piece| piece.expect("no failure")).collect().await;
        assert!(pieces.iter().all(|piece| piece.len() <= 1000), "{pieces:?}");
        let whole = pieces.concat();
        assert_eq!(whole.len(), 1 + 2500 + 10);
        assert_eq!((whole[0], whole[1], whole[2501]), (b'a', b'b', b'c'));
    }

    #[test]
    fn chain_keeps_order_and_gives_one_slice_at_a_time() {
        let mut chain = Chain::default();
        chain.text("<");
        chain.data(Slices(vec![(b'b', 1), (b'a', 2)]));
        chain.text(",");
        chain.data(Slices(vec![]));
        chain.data(Slices(vec![(b'c', 3)]));
        chain.text(">");
        let mut out = Vec::new();
        let mut calls = 1;
        while chain.fill(&mut out).expect("no failure") {
            calls += 1;
        }
        assert_eq!(out, b"<aab,ccc>");
        assert_eq!(calls, 4);
    }

    /// A reply that ends early must not look complete.
    #[tokio::test]
    async fn failure_of_the_source_is_an_error_at_the_end() {
        let source = Slices(vec![(0, 0), (b'b', 5)]);
        let mut pieces = pump(None).start(Vec::new(), source, &TaskTracker::new());
        assert_eq!(pieces.next().await.and_then(Result::ok).as_deref(), Some(&b"bbbbb"[..]));
        assert!(pieces.next().await.is_some_and(|piece| piece.is_err()));
    }

    /// Q8
    #[tokio::test(start_paused = true)]
    async fn a_caller_that_takes_nothing_is_cut_after_its_patience() {
        let cut = CancellationToken::new();
        let tasks = TaskTracker::new();
        let begun = Instant::now();
        let pieces = pump(Some(cut.clone())).start(vec![b'x'; 100_000], Slices(vec![]), &tasks);
        cut.cancelled().await;
        let waited = begun.elapsed();
        assert!((Duration::from_secs(30)..Duration::from_secs(32)).contains(&waited), "{waited:?}");
        let end = pieces.collect::<Vec<_>>().await;
        assert!(end.last().is_some_and(Result::is_err));
        tasks.close();
        tasks.wait().await;
    }

    /// Q8
    #[test]
    fn patience_is_earned_by_taking_and_never_grows_beyond_its_start() {
        let mut patience = Patience::new(Pace::default());
        patience.taken(1024 * 100, Duration::from_secs(1));
        assert_eq!(patience.left, Duration::from_secs(30));
        // 10 KiB every 5 s is twice the least pace: for ever all right.
        for _ in 0..1000 {
            patience.taken(10 * 1024, Duration::from_secs(5));
        }
        assert_eq!(patience.left, Duration::from_secs(30));
        // 512 bytes a second loses half a second every second.
        for _ in 0..59 {
            patience.taken(512, Duration::from_secs(1));
        }
        assert_eq!(patience.left, Duration::from_millis(500));
    }

    #[tokio::test]
    async fn pump_ends_when_the_caller_goes_away() {
        let tasks = TaskTracker::new();
        drop(pump(None).start(vec![b'x'; 100_000], Slices(vec![]), &tasks));
        tasks.close();
        tasks.wait().await;
    }
}
