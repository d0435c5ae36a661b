//! Stores what devices tell of their sessions. Those who tell do not wait for the database: what does not fit into the
//! queue meanwhile is dropped and counted.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::device::{News, SessionNews};
use crate::service::Gateway;
use crate::store::{EventFacts, NewEvent};

/// Stored in one transaction.
const SOME: usize = 100;
/// How long to wait before events are stored again that could not be.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs until all sessions have ended, so that the end of each is told.
pub(super) async fn run(gateway: Gateway, mut news: mpsc::Receiver<News>) {
    let inner = &gateway.inner;
    let mut some = Vec::with_capacity(SOME);
    loop {
        let came = tokio::select! {
            came = news.recv_many(&mut some, SOME) => came,
            () = inner.ended.cancelled() => {
                news.close();
                news.recv_many(&mut some, SOME).await
            }
        };
        if came == 0 {
            return;
        }
        let mut events = Vec::with_capacity(some.len());
        for news in some.drain(..) {
            if let SessionNews::Up { .. } = news.what {
                gateway.look_after_connecting(&news.device);
            }
            events.push(event(&gateway, news));
        }
        while let Err(error) = inner.store.insert_events(&events).await {
            tracing::error!(error = %error, "events of sessions were not stored");
            if inner.ended.is_cancelled() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

fn event(gateway: &Gateway, news: News) -> NewEvent {
    let (word, session_id, reason) = match news.what {
        SessionNews::Up { session_id } => ("up", Some(session_id), None),
        SessionNews::Down { session_id, cause } => ("down", Some(session_id), Some(cause)),
        SessionNews::Failed { cause } => ("failed", None, Some(cause)),
    };
    NewEvent {
        kind: format!("session.{word}"),
        device_id: gateway.inner.records.id_of(&news.device),
        device: Some(news.device),
        facts: EventFacts {
            session_id,
            reason: reason.map(|label| label.replace('-', "_")),
            ..EventFacts::default()
        },
    }
}
