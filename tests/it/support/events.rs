//! Those who follow events: by server-sent events and by gRPC, brought into the same shape.

use std::path::Path;
use std::time::Duration;

use ncgate::api::grpc::proto;
use proto::event_service_client::EventServiceClient;
use proto::stream_list_events_response::Item;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::TestGateway;
use super::doors::{Answered, Door, refused};
use super::grpc::given;

/// How long anything that is to come may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a follower is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    Event(Value),
    Reset(String),
    /// All was told up to here: at the beginning and with every heartbeat.
    Position(String),
}

/// Somebody who follows events.
pub enum Follower {
    Rest { response: Response, text: String },
    Grpc(tonic::Streaming<proto::StreamListEventsResponse>),
}

/// What is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    pub device: &'a str,
    pub kind: &'a str,
    pub last: &'a str,
}

impl Wanted<'_> {
    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("device", self.device), ("type", self.kind)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

impl TestGateway {
    pub async fn follow(&self, door: Door, wanted: Wanted<'_>) -> Follower {
        match door {
            Door::Rest => {
                let path = format!("/v1/events?{}", wanted.query());
                let mut request = self.request(Method::GET, &path);
                if !wanted.last.is_empty() {
                    request = request.header("Last-Event-ID", wanted.last);
                }
                let response = request.header("Accept-Encoding", "gzip").send().await;
                let response = response.expect("an answer");
                assert_eq!(response.status(), 200);
                assert_eq!(response.headers()["content-type"], "text/event-stream");
                // H14
                assert!(!response.headers().contains_key("content-encoding"));
                Follower::Rest {
                    response,
                    text: String::new(),
                }
            }
            Door::Grpc => {
                let request = proto::StreamListEventsRequest {
                    device: wanted.device.to_owned(),
                    r#type: wanted.kind.to_owned(),
                    last_event_id: wanted.last.to_owned(),
                };
                let answer = EventServiceClient::new(self.channel())
                    .stream_list_events(request)
                    .await;
                Follower::Grpc(answer.expect("a stream").into_inner())
            }
        }
    }

    /// A follower from now on, and its first position.
    pub async fn follow_from_now(&self, door: Door, wanted: Wanted<'_>) -> (Follower, String) {
        let mut follower = self.follow(door, wanted).await;
        match follower.next().await {
            Some(Told::Position(id)) => (follower, id),
            other => panic!("{door:?}: no position: {other:?}"),
        }
    }

    /// A page of events.
    pub async fn events(&self, door: Door, wanted: Wanted<'_>, size: u32, token: &str) -> Answered {
        match door {
            Door::Rest => {
                let mut path = format!("/v1/events?page_size={size}&{}", wanted.query());
                if !token.is_empty() {
                    path.push_str(&format!("&page_token={token}"));
                }
                let request = self.request(Method::GET, &path);
                self.rest(request.header("Accept", "application/json")).await
            }
            Door::Grpc => {
                let request = proto::ListEventsRequest {
                    device: wanted.device.to_owned(),
                    r#type: wanted.kind.to_owned(),
                    page_size: size,
                    page_token: token.to_owned(),
                };
                let answer = EventServiceClient::new(self.channel()).list_events(request).await;
                let page = answer.map_err(refused)?.into_inner();
                let events: Vec<Value> = page.events.into_iter().map(event).collect();
                let mut answer = json!({"events": events});
                if !page.next_page_token.is_empty() {
                    answer["next_page_token"] = json!(page.next_page_token);
                }
                Ok(answer)
            }
        }
    }
}

impl Follower {
    /// What is told next; `None` when the stream ends, which must not be by a broken connection.
    pub async fn next(&mut self) -> Option<Told> {
        let next = tokio::time::timeout(PATIENCE, self.next_of_all());
        next.await.expect("something comes, or the end")
    }

    async fn next_of_all(&mut self) -> Option<Told> {
        match self {
            Self::Rest { response, text } => loop {
                if let Some((block, rest)) = text.split_once("\n\n") {
                    let told = parse(block);
                    *text = rest.to_owned();
                    return Some(told);
                }
                let chunk = response.chunk().await.expect("a whole answer")?;
                text.push_str(std::str::from_utf8(&chunk).expect("blocks come whole"));
            },
            Self::Grpc(stream) => match stream.message().await {
                Ok(message) => Some(match message?.item.expect("an item") {
                    Item::Event(found) => Told::Event(event(found)),
                    Item::Reset(reset) => Told::Reset(reset.id),
                    Item::Position(position) => Told::Position(position.id),
                }),
                // D1
                Err(status) => {
                    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
                    None
                }
            },
        }
    }

    /// The next event; heartbeats are passed over.
    pub async fn event(&mut self) -> Value {
        loop {
            match self.next().await {
                Some(Told::Event(event)) => return event,
                Some(Told::Position(_)) => {}
                other => panic!("no event: {other:?}"),
            }
        }
    }

    /// All events up to the first of this type.
    pub async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.event().await;
            let last = event["type"] == kind;
            events.push(event);
            if last {
                return events;
            }
        }
    }
}

/// A block of server-sent events.
pub fn parse(block: &str) -> Told {
    let field = |name: &str| {
        let start = format!("{name}: ");
        block.lines().find_map(|line| line.strip_prefix(&start))
    };
    let id = field("id").expect("every block has an id").to_owned();
    match (field("event"), field("data")) {
        (Some("reset"), Some(_)) => Told::Reset(id),
        (Some(kind), Some(data)) => {
            let event: Value = serde_json::from_str(data).expect("data is JSON");
            assert_eq!((&event["id"], &event["type"]), (&json!(id), &json!(kind)));
            Told::Event(event)
        }
        (None, None) => {
            assert!(block.starts_with(':'), "{block}");
            Told::Position(id)
        }
        other => panic!("{other:?} in {block}"),
    }
}

fn event(event: proto::Event) -> Value {
    given(json!({
        "id": event.id,
        "type": event.r#type,
        "time": event.time,
        "device": event.device,
        "session_id": event.session_id,
        "edit_session_id": event.edit_session_id,
        "change_id": event.change_id,
        "confirmed_commit_id": event.confirmed_commit_id,
        "operation_id": event.operation_id,
        "state": event.state,
        "outcome": event.outcome,
        "reason": event.reason,
        "by": event.by,
        "deadline": event.deadline,
        "revision": event.revision,
        "owner": event.owner,
        "request_id": event.request_id,
    }))
}

/// The types of events, in order.
pub fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().expect("a type"))
        .collect()
}

/// Edits of a change.
pub fn edits(contact: &str) -> Value {
    json!([{"config": {"snmp": {"contact": contact}}}])
}

/// Only events of this type; of all if it is empty.
pub fn of_kind(kind: &str) -> Wanted<'_> {
    Wanted {
        kind,
        ..Wanted::default()
    }
}

/// A gateway on this database.
pub async fn on(database: &Path, look_seconds: &str) -> TestGateway {
    TestGateway::with(|settings| {
        settings.database = Some(format!("sqlite://{}", database.display()));
        settings.look_for_changes_seconds = Some(look_seconds.to_owned());
    })
    .await
}

/// The log as pages have it, the oldest first.
pub async fn all(gateway: &TestGateway, door: Door, wanted: Wanted<'_>) -> Vec<Value> {
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let mut page = gateway.events(door, wanted, 7, &token).await.unwrap();
        found.extend(page["events"].as_array().expect("a list").clone());
        match page["next_page_token"].take() {
            Value::String(next) => token = next,
            _ => break,
        }
    }
    found.reverse();
    found
}
