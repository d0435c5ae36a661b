//! A call on a device runs in its caller's own task, which saves a task for each call and two wake-ups; but it has to
//! come to its end whatever the caller does, or the session that it uses or opens would be lost. So a call whose
//! caller leaves goes on in a task of its own from where it stands.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio_util::task::TaskTracker;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A job on its way. Dropping it before it is done moves it into a task.
struct Errand {
    /// Absent once it is done.
    job: Option<Job>,
    /// The caller may be dropped where there is no runtime to ask for.
    runtime: Handle,
}

impl Errand {
    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(job) = &mut self.job
            && job.as_mut().poll(cx).is_ready()
        {
            self.job = None;
        }
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            self.runtime.spawn(job);
        }
    }
}

/// Runs the job, which belongs to the tracker and alone holds the other side of the channel, until it has answered;
/// what it does behind its answer, or when the caller leaves, goes on without the caller. `None`: it ended without an answer, by a panic for example, which ends
/// with the job as it would with a task.
///
/// # Cancel safety
/// Safe; the job goes on, and its side of the channel tells it that nobody waits.
pub(crate) async fn run<T>(
    tracker: &TaskTracker,
    job: impl Future<Output = ()> + Send + 'static,
    mut answer: oneshot::Receiver<T>,
) -> Option<T> {
    // A job that panicked is dropped and never polled again, so nobody sees it as the panic left it.
    let job = AssertUnwindSafe(tracker.track_future(job)).catch_unwind();
    let mut errand = Errand {
        job: Some(Box::pin(job.map(drop))),
        runtime: Handle::current(),
    };
    poll_fn(|cx| {
        errand.poll(cx);
        // Only the job answers, and it was just asked. Waiting for the answer in the usual way would have this task
        // wake itself up for it, which wakes another thread as well.
        match answer.try_recv() {
            Ok(answer) => Poll::Ready(Some(answer)),
            Err(TryRecvError::Closed) => Poll::Ready(None),
            Err(TryRecvError::Empty) => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;
    use tokio::time::{sleep, timeout};

    use super::*;

    /// Tells its steps, and answers between the second and the third.
    async fn job(steps: mpsc::Sender<&'static str>, answer: oneshot::Sender<&'static str>) {
        steps.send("begun").await.unwrap();
        sleep(Duration::from_secs(5)).await;
        steps.send("going on").await.unwrap();
        let heard = answer.send("answer").is_ok();
        sleep(Duration::from_secs(5)).await;
        steps
            .send(if heard { "heard" } else { "not heard" })
            .await
            .unwrap();
    }

    async fn all(mut steps: mpsc::Receiver<&'static str>) -> Vec<&'static str> {
        let mut told = Vec::new();
        while let Some(step) = steps.recv().await {
            told.push(step);
        }
        told
    }

    /// Q7: what a caller began ends in good order when the caller leaves.
    #[tokio::test(start_paused = true)]
    async fn a_job_goes_on_when_its_caller_leaves() {
        let tracker = TaskTracker::new();
        let (steps, told) = mpsc::channel(8);
        let (answer, receiver) = oneshot::channel();
        let running = run(&tracker, job(steps, answer), receiver);
        assert!(timeout(Duration::from_secs(1), running).await.is_err());
        assert_eq!(tracker.len(), 1);
        assert_eq!(all(told).await, ["begun", "going on", "not heard"]);
        tracker.close();
        tracker.wait().await;
    }

    /// The caller has its answer at once; what is left to do is done behind it.
    #[tokio::test(start_paused = true)]
    async fn the_answer_does_not_wait_for_the_end_of_the_job() {
        let tracker = TaskTracker::new();
        let (steps, told) = mpsc::channel(8);
        let (answer, receiver) = oneshot::channel();
        let started = tokio::time::Instant::now();
        let got = run(&tracker, job(steps, answer), receiver).await;
        assert_eq!(got, Some("answer"));
        assert_eq!(started.elapsed(), Duration::from_secs(5));
        assert_eq!(all(told).await, ["begun", "going on", "heard"]);
    }

    #[tokio::test]
    async fn a_job_without_an_answer_is_told() {
        let tracker = TaskTracker::new();
        let (answer, receiver) = oneshot::channel::<()>();
        assert_eq!(run(&tracker, async move { drop(answer) }, receiver).await, None);
    }

    /// A fault in one call is that call's alone, and it is told.
    #[tokio::test]
    async fn a_job_that_panics_is_told() {
        let tracker = TaskTracker::new();
        let (answer, receiver) = oneshot::channel::<()>();
        let job = async move {
            let _answer = answer;
            panic!("on purpose");
        };
        assert_eq!(run(&tracker, job, receiver).await, None);
        assert!(tracker.is_empty());
    }
}
