//! An event as callers see it: one shape for all kinds, without anything of a device's configuration.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::service::time::rfc3339;
use crate::store::{EventRecord, NewEvent};

/// What events are wanted, as pages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListEvents {
    /// Only those of this device.
    pub device: Option<String>,
    /// Only those of this type, or of the types that begin with these words.
    pub kind: Option<String>,
    /// 0: as many as usual.
    pub page_size: u32,
    pub page_token: Option<String>,
}

/// What events are wanted, as they come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FollowEvents {
    /// Only those of this device.
    pub device: Option<String>,
    /// Only those of this type, or of the types that begin with these words.
    pub kind: Option<String>,
    /// What was seen last; without it, what comes from now on.
    pub last_event_id: Option<String>,
}

/// Something that happened. What does not belong to an event is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventView {
    /// Grows from event to event.
    #[schema(example = "1795269600042")]
    pub id: String,
    #[serde(rename = "type")]
    #[schema(example = "change.committed")]
    pub kind: String,
    /// RFC 3339 in UTC, to the millisecond.
    pub time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The NETCONF session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit_session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_commit_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<String>,
    /// The state that it is in since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// `not_sent`, `not_applied`, `applied` or `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Why, in a word of a closed list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who confirmed a commit, `us` or `other`; who changed the configuration elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Until when a commit must be confirmed, or an edit session renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// The device's configuration revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The request that began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// A page of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventList {
    pub events: Vec<EventView>,
    /// Asks for what follows; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

impl From<&EventRecord> for EventView {
    fn from(record: &EventRecord) -> Self {
        let NewEvent {
            kind,
            device_id: _,
            device,
            facts,
        } = record.event.clone();
        let deadline = facts
            .deadline
            .and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
        Self {
            id: record.id.to_string(),
            kind,
            time: to_the_millisecond(record.at),
            device,
            session_id: facts.session_id,
            edit_session_id: facts.edit_session_id,
            change_id: facts.change_id,
            confirmed_commit_id: facts.confirmed_commit_id,
            operation_id: facts.operation_id,
            state: facts.state,
            outcome: facts.outcome,
            reason: facts.reason,
            by: facts.by,
            deadline: deadline.map(rfc3339),
            revision: facts.revision,
            owner: facts.owner,
            request_id: facts.request_id,
        }
    }
}

/// Always as many digits, so that times stand in columns.
fn to_the_millisecond(time: OffsetDateTime) -> String {
    let seconds = rfc3339(time);
    let seconds = seconds.strip_suffix('Z').unwrap_or(&seconds);
    format!("{seconds}.{:03}Z", time.millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::EventFacts;

    /// H1
    #[test]
    fn what_an_event_does_not_have_is_absent() {
        let record = EventRecord {
            id: 42,
            at: OffsetDateTime::UNIX_EPOCH + ::time::Duration::milliseconds(1_030),
            event: NewEvent {
                kind: "session.down".to_owned(),
                device_id: Some("01".to_owned()),
                device: Some("mx1".to_owned()),
                facts: EventFacts {
                    session_id: Some(7),
                    deadline: Some(60),
                    ..EventFacts::default()
                },
            },
        };
        let text = serde_json::to_string(&EventView::from(&record)).unwrap();
        let expected = r#"{"id":"42","type":"session.down","time":"1970-01-01T00:00:01.030Z","device":"mx1","session_id":7,"deadline":"1970-01-01T00:01:00Z"}"#;
        assert_eq!(text, expected);
    }
}
