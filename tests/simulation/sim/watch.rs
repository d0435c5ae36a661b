//! Those who look at the gateway: followers of its events from its first start to its end, and one who asks what it knows
//! when the trouble is over.

use std::time::Duration;

use ncgate::error::{Error, ErrorCode};
use ncgate::service::Gateway;
use ncgate::service::edit::request::{ListChanges, ListConfirmedCommits};
use ncgate::service::edit::view::ConfirmedCommitView;
use ncgate::service::events::{EventView, FollowEvents, ListEvents, Told};
use ncgate::service::operations::{ListOperations, Operation};
use ncgate::service::request::ListRequest;
use ncgate::store::{STARTING, Store, StoreError};

use super::dice::Dice;
use super::gateway::admin;
use super::plan::TROUBLE;
use super::witness::since_start;
use super::world::{Former, GatewayReport, World, now, until};

/// How often the gateway is asked what it knows.
const LOOK: Duration = Duration::from_secs(5);
/// So long after its deadline a confirmed commit is given up, also where an extension may have moved it.
const GIVEN_UP: Duration = Duration::from_secs(660);
/// The most that a page holds.
pub const PAGE: u32 = 1000;

/// Follows events until the gateway ends, and goes on after a restart with what was missed. The second of the followers leaves now
/// and then while there is trouble, and comes again.
pub async fn follow(world: World, gateway: Gateway, number: usize) {
    let mut dice = Dice::new(world.plan().seed, "follower");
    loop {
        let stays = (number > 0).then(|| Duration::from_millis(dice.between(200, 60_000)));
        match stays.filter(|_| now() < Duration::from_millis(TROUBLE)) {
            None => listen(&world, &gateway, number).await,
            Some(span) => {
                // Whether he leaves or has nothing to hear any more.
                let _ = tokio::time::timeout(span, listen(&world, &gateway, number)).await;
                tokio::time::sleep(Duration::from_millis(dice.between(1, 20_000))).await;
            }
        }
    }
}

async fn listen(world: &World, gateway: &Gateway, number: usize) {
    let request = {
        let state = world.state();
        let follower = &state.followers[number];
        FollowEvents {
            device: follower.device.clone(),
            last_event_id: follower.at.clone(),
            ..FollowEvents::default()
        }
    };
    let all = request.device.is_none();
    let mut following = match gateway.follow_events(&admin(), request).await {
        Ok(following) => following,
        // The device is removed at the moment.
        Err(error) if error.code() == ErrorCode::NotFound => {
            return tokio::time::sleep(LOOK).await;
        }
        Err(error) => return miss(world, format!("nobody can follow: {}", error.detail())),
    };
    loop {
        match following.next().await {
            Ok(Told::Event(event)) => {
                if all {
                    let line = format!("{} {:?} {:?}", event.kind, event.owner, event.reason);
                    world.trace().line("event", line);
                }
                let mut state = world.state();
                let follower = &mut state.followers[number];
                follower.at = Some(event.id.clone());
                follower.told.push(*event);
            }
            Ok(Told::Heartbeat { id }) => {
                let mut state = world.state();
                let follower = &mut state.followers[number];
                let last = follower.told.last().map(|event| event.id.clone());
                follower.at = Some(id.clone());
                if all && last.is_some_and(|last| last != id) {
                    state
                        .missed
                        .push(format!("a heartbeat passes over what was not told: {id}"));
                }
            }
            Ok(Told::Reset { id }) => miss(world, format!("a reset at {id}")),
            Err(error) => {
                let line = format!("nothing more is told: {}", error.detail());
                world.trace().line("event", line);
                return tokio::time::sleep(LOOK).await;
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
    for (number, (name, _, _)) in world.network().devices.iter().enumerate() {
        let Former {
            changes,
            edit_sessions,
            name: _,
        } = of_device(gateway, name).await?;
        let former = world.state().former.get(&number).cloned().unwrap_or_default();
        report.changes.push([changes, former.changes].concat());
        report
            .edit_sessions
            .push([edit_sessions, former.edit_sessions].concat());
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

/// What the gateway lists of a device.
///
/// # Errors
/// As the lists.
pub async fn of_device(gateway: &Gateway, name: &str) -> Result<Former, Error> {
    let list = ListChanges {
        page_size: PAGE,
        ..ListChanges::default()
    };
    let changes = gateway.list_changes(&admin(), name, list).await?.changes;
    let list = ListRequest {
        page_size: PAGE,
        page_token: None,
        labels: Vec::new(),
    };
    let sessions = gateway.list_edit_sessions(&admin(), name, list).await?;
    Ok(Former {
        name: name.to_owned(),
        changes,
        edit_sessions: sessions.edit_sessions,
    })
}

/// Whether somebody may find out yet what became of it. The call that made it has ended all the same.
fn is_found_out(commit: &ConfirmedCommitView) -> bool {
    commit.state == "unknown" && now() < since_start(&commit.deadline) + GIVEN_UP
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
        let come = orders.into_iter().all(|(orders, next)| *next >= orders.len());
        come && state.asking == 0 && state.absent.is_empty()
    };
    let mut changes = report.changes.iter().flatten().map(|change| &change.state);
    let mut sessions = report
        .edit_sessions
        .iter()
        .flatten()
        .map(|session| &session.state);
    let mut confirmed = report.confirmed.iter();
    let over = |state: &String| !OPEN.contains(&&**state);
    idle && report.left_open.is_empty()
        && report.operations.iter().all(|operation| operation.done)
        && changes.all(over)
        && sessions.all(over)
        && confirmed.all(|commit| over(&commit.state) && !is_found_out(commit))
}

/// All that there are.
///
/// # Errors
/// As the list.
pub async fn operations(gateway: &Gateway) -> Result<Vec<Operation>, Error> {
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
