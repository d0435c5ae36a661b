//! Events on their way to a caller who follows them, at the caller's speed. A caller who stops is let go: one who takes
//! nothing for too long, or for whom too many events wait (conventions H11). Both doors do it here.

use std::time::Duration;

use futures_util::Stream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::error::{Error, ErrorCode};
use crate::service::events::{Following, Told};

/// Tells a caller what happens, from a task of its own, each piece made by `render`, `first` before all. The last piece
/// is why it ends, if the caller can still be told. `cut` is cancelled for a caller who cannot, so that its connection can
/// be closed.
pub fn start<T: Send + 'static>(
    app: &App,
    following: Following,
    first: T,
    render: impl Fn(Told) -> T + Send + 'static,
    cut: Option<CancellationToken>,
) -> impl Stream<Item = Result<T, Error>> + Send + 'static {
    // One piece waits for the caller, the others where they are.
    let (sender, receiver) = mpsc::channel(1);
    let pump = Pump {
        patience: app.settings.pace.patience,
        shutdown: app.shutdown.clone(),
        sender,
        cut,
    };
    app.tasks.spawn(pump.run(following, first, render));
    tokio_stream::wrappers::ReceiverStream::new(receiver)
}

struct Pump<T> {
    patience: Duration,
    shutdown: CancellationToken,
    sender: mpsc::Sender<Result<T, Error>>,
    cut: Option<CancellationToken>,
}

/// The caller gets nothing more.
struct Over;

impl<T: Send + 'static> Pump<T> {
    async fn run(self, following: Following, first: T, render: impl Fn(Told) -> T) {
        // Who leaves has left; who was cut is in the log.
        let Err(Over) = self.tell_all(following, first, render).await;
    }

    async fn tell_all(
        &self,
        mut following: Following,
        first: T,
        render: impl Fn(Told) -> T,
    ) -> Result<std::convert::Infallible, Over> {
        self.hand_on(&following, first).await?;
        loop {
            let told = tokio::select! {
                () = self.shutdown.cancelled() => return Err(self.draining()),
                () = self.sender.closed() => return Err(Over),
                told = following.next() => told,
            };
            match told {
                Ok(told) => self.hand_on(&following, render(told)).await?,
                Err(error) => return Err(self.last(error)),
            }
        }
    }

    /// Hands a piece on, as soon as the caller takes it.
    async fn hand_on(&self, following: &Following, piece: T) -> Result<(), Over> {
        tokio::select! {
            sent = self.sender.send(Ok(piece)) => sent.map_err(|_| Over),
            () = self.shutdown.cancelled() => Err(self.draining()),
            () = following.overrun() => Err(self.cut("too many events wait for it")),
            () = tokio::time::sleep(self.patience) => Err(self.cut("it takes nothing")),
        }
    }

    /// D1: what is told meanwhile can be had after the next start.
    fn draining(&self) -> Over {
        self.last(Error::new(ErrorCode::Draining, "the gateway is shutting down").with_retry_after(1))
    }

    fn last(&self, error: Error) -> Over {
        // A caller who takes nothing now learns from the end of the stream.
        let _ = self.sender.try_send(Err(error));
        Over
    }

    fn cut(&self, why: &str) -> Over {
        tracing::info!(why, "a caller who follows events was cut");
        if let Some(cut) = &self.cut {
            cut.cancel();
        }
        Over
    }
}
