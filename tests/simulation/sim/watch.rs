//! Those who look at the gateway: one who follows its events from its first start to its end, and one who asks what it
//! knows when the trouble is over.

use std::time::Duration;

use ncgate::error::Error;
use ncgate::service::Gateway;
use ncgate::service::edit::request::{ListChanges, ListConfirmedCommits};
use ncgate::service::events::{EventView, FollowEvents, ListEvents, Told};
use ncgate::service::operations::{ListOperations, Operation};
use ncgate::service::request::ListRequest;
use ncgate::store::{STARTING, Store, StoreError};

use super::gateway::admin;
use super::plan::TROUBLE;
use super::world::{GatewayReport, World, until};

/// How often the gateway is asked what it knows.
const LOOK: Duration = Duration::from_secs(5);
/// The most that a page holds.
const PAGE: u32 = 1000;

/// Follows all events, and goes on after a restart of the gateway with what was missed.
pub async fn follow(world: World, gateway: Gateway) {
    let last_event_id = world.state().followed.last().map(|event| event.id.clone());
    let request = FollowEvents {
        last_event_id,
        ..FollowEvents::default()
    };
    let mut following = match gateway.follow_events(&admin(), request).await {
        Ok(following) => following,
        Err(error) => return miss(&world, format!("nobody can follow: {}", error.detail())),
    };
    loop {
        match following.next().await {
            Ok(Told::Event(event)) => {
                let line = format!("{} {:?} {:?}", event.kind, event.owner, event.reason);
                world.trace().line("event", line);
                world.state().followed.push(*event);
            }
            Ok(Told::Heartbeat { id }) => {
                let last = world.state().followed.last().map(|event| event.id.clone());
                if last.is_some_and(|last| last != id) {
                    miss(&world, format!("a heartbeat passes over what was not told: {id}"));
                }
            }
            Ok(Told::Reset { id }) => miss(&world, format!("a reset at {id}")),
            Err(error) => {
                let line = format!("nothing more is told: {}", error.detail());
                return world.trace().line("event", line);
            }
        }
    }
}

fn miss(world: &World, what: String) {
    world.state().missed.push(what);
}

/// What the gateway says when the trouble is over, until it says nothing new any more.
pub async fn report(world: World, gateway: Gateway, store: Store) {
    until(TROUBLE).await;
    loop {
        tokio::time::sleep(LOOK).await;
        match look(&world, &gateway, &store).await {
            Ok(report) => world.state().gateway = report,
            Err(error) => world
                .trace()
                .line("gateway", format!("does not say: {}", error.detail())),
        }
    }
}

async fn look(world: &World, gateway: &Gateway, store: &Store) -> Result<GatewayReport, Error> {
    let mut report = GatewayReport::default();
    for (name, _, _) in world.network().devices.iter() {
        let list = ListChanges {
            page_size: PAGE,
            ..ListChanges::default()
        };
        let changes = gateway.list_changes(&admin(), name, list).await?.changes;
        report.changes.push(changes);
        let list = ListRequest {
            page_size: PAGE,
            page_token: None,
            labels: Vec::new(),
        };
        let sessions = gateway.list_edit_sessions(&admin(), name, list).await?;
        report.edit_sessions.push(sessions.edit_sessions);
    }
    let list = ListConfirmedCommits {
        page_size: PAGE,
        ..ListConfirmedCommits::default()
    };
    report.confirmed = gateway
        .list_confirmed_commits(&admin(), list)
        .await?
        .confirmed_commits;
    report.operations = operations(gateway).await?;
    report.left_open = match left_open(store).await {
        Ok(left_open) => left_open,
        Err(error) => vec![format!("the database does not answer: {error}")],
    };
    report.settled = is_settled(world, &report);
    if report.settled {
        report.events = events(gateway).await?;
    }
    Ok(report)
}

/// Whether nothing goes on any more. What nobody knows has its end when nobody looks any more.
fn is_settled(world: &World, report: &GatewayReport) -> bool {
    const OPEN: [&str; 10] = [
        "preparing",
        "editing",
        "validated",
        "committing",
        "pending_confirm",
        "pending",
        "confirming",
        "cancelling",
        "open",
        "scheduled",
    ];
    let idle = {
        let state = world.state();
        let orders = world.plan().callers.iter().zip(&state.next);
        orders.into_iter().all(|(orders, next)| *next >= orders.len())
    };
    let mut changes = report.changes.iter().flatten().map(|change| &change.state);
    let mut sessions = report
        .edit_sessions
        .iter()
        .flatten()
        .map(|session| &session.state);
    let mut confirmed = report.confirmed.iter().map(|commit| &commit.state);
    let over = |state: &String| !OPEN.contains(&&**state);
    idle && report.left_open.is_empty()
        && report.operations.iter().all(|operation| operation.done)
        && changes.all(over)
        && sessions.all(over)
        && confirmed.all(over)
}

async fn operations(gateway: &Gateway) -> Result<Vec<Operation>, Error> {
    let mut all = Vec::new();
    let mut page_token = None;
    loop {
        let request = ListOperations {
            page_size: PAGE,
            page_token,
            device: None,
        };
        let page = gateway.list_operations(&admin(), request).await?;
        all.extend(page.operations);
        page_token = page.next_page_token;
        if page_token.is_none() {
            return Ok(all);
        }
    }
}

/// Oldest first.
async fn events(gateway: &Gateway) -> Result<Vec<EventView>, Error> {
    let mut all = Vec::new();
    let mut page_token = None;
    loop {
        let request = ListEvents {
            page_size: PAGE,
            page_token,
            ..ListEvents::default()
        };
        let page = gateway.list_events(&admin(), request).await?;
        all.extend(page.events);
        page_token = page.next_page_token;
        if page_token.is_none() {
            all.reverse();
            return Ok(all);
        }
    }
}

/// What no list shows, or shows of what was not looked after since the last start.
async fn left_open(store: &Store) -> Result<Vec<String>, StoreError> {
    let mut open = Vec::new();
    for row in store.confirmed_commits_in(&[STARTING], "", PAGE).await? {
        open.push(format!(
            "{}: a confirmed commit of {} was sent, and nobody looks after it",
            row.device, row.owner
        ));
    }
    Ok(open)
}
