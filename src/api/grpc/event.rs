//! `EventService`: what happened, as pages and as it comes.

use futures_util::StreamExt;
use tonic::{Request, Response, Status};

use super::convert::some;
use super::stream::Messages;
use super::{Services, context, proto, status};
use crate::api::follow;
use crate::service::events::{EventView, FollowEvents, ListEvents, Told};

use proto::stream_list_events_response::Item;

#[tonic::async_trait]
impl proto::event_service_server::EventService for Services {
    type StreamListEventsStream = Messages<proto::StreamListEventsResponse>;

    async fn list_events(
        &self,
        request: Request<proto::ListEventsRequest>,
    ) -> Result<Response<proto::ListEventsResponse>, Status> {
        let name = "EventService/ListEvents";
        context::call(&self.0, name, request, async |ctx, input| {
            let request = ListEvents {
                device: some(input.device),
                kind: some(input.r#type),
                page_size: input.page_size,
                page_token: some(input.page_token),
            };
            let page = self.0.gateway.list_events(&ctx, request).await?;
            Ok(proto::ListEventsResponse {
                events: page.events.into_iter().map(event).collect(),
                next_page_token: page.next_page_token.unwrap_or_default(),
            })
        })
        .await
    }

    async fn stream_list_events(
        &self,
        request: Request<proto::StreamListEventsRequest>,
    ) -> Result<Response<Self::StreamListEventsStream>, Status> {
        let name = "EventService/StreamListEvents";
        context::call(&self.0, name, request, async |ctx, input| {
            let request = FollowEvents {
                device: some(input.device),
                kind: some(input.r#type),
                last_event_id: some(input.last_event_id),
            };
            let following = self.0.gateway.follow_events(&ctx, request).await?;
            let id = following.position();
            let first = message(Item::Position(proto::EventPosition { id }));
            // Other calls share the connection, so it is not cut: only this one ends.
            let messages = follow::start(&self.0, following, first, told, None);
            let messages: Self::StreamListEventsStream = Box::pin(
                messages.map(move |message| message.map_err(|error| status::of(&error, &ctx.request_id))),
            );
            Ok(messages)
        })
        .await
    }
}

fn told(told: Told) -> proto::StreamListEventsResponse {
    message(match told {
        Told::Event(view) => Item::Event(event(*view)),
        Told::Reset { id } => Item::Reset(proto::EventReset { id }),
        Told::Heartbeat { id } => Item::Position(proto::EventPosition { id }),
    })
}

fn message(item: Item) -> proto::StreamListEventsResponse {
    proto::StreamListEventsResponse { item: Some(item) }
}

fn event(event: EventView) -> proto::Event {
    proto::Event {
        id: event.id,
        r#type: event.kind,
        time: event.time,
        device: event.device,
        session_id: event.session_id,
        edit_session_id: event.edit_session_id,
        change_id: event.change_id,
        confirmed_commit_id: event.confirmed_commit_id,
        operation_id: event.operation_id,
        state: event.state,
        outcome: event.outcome,
        reason: event.reason,
        by: event.by,
        deadline: event.deadline,
        revision: event.revision,
        owner: event.owner,
        request_id: event.request_id,
    }
}
