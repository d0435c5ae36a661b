//! Streams that would go on for ever, of health and reflection, end with the gateway: they are no work in flight that is
//! worth waiting for (conventions D1).

use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use futures_util::StreamExt;
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyStream, StreamBody};
use tokio_util::sync::CancellationToken;

/// From the beginning of the end on, for whoever watches to be told of it first.
const LAST_WORDS: Duration = Duration::from_millis(100);

type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The body, until a little after `shutdown`; then it ends with the status UNAVAILABLE.
pub(super) fn with(body: Body, shutdown: CancellationToken) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let end: End = Box::pin(async move {
        shutdown.cancelled().await;
        tokio::time::sleep(LAST_WORDS).await;
    });
    let frames = unfold(Some((BodyStream::new(body), end)), |state| async move {
        let (mut frames, mut end) = state?;
        tokio::select! {
            biased;
            frame = frames.next() => frame.map(|frame| (frame, Some((frames, end)))),
            () = &mut end => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from(tonic::Code::Unavailable as i32));
                trailers.insert("grpc-message", HeaderValue::from_static("the gateway is shutting down"));
                Some((Ok(Frame::trailers(trailers)), None))
            }
        }
    });
    Body::new(StreamBody::new(Box::pin(frames)))
}
