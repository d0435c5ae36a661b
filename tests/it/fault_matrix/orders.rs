//! Row 24, in the middle of an order: the program itself is killed with SIGKILL while it confirms or cancels a confirmed
//! commit on a server without a history, before the device has done it and after. The next start tells what can be known.

use ncgate::emulator::{Fault, Gate, Profile, Rule, RunningEmulator};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::Connection;

use crate::support::child::Child;
use crate::support::commits::{commit_ends_as, id, running, to_contact};
use crate::support::database::open;
use crate::support::doors::Door;
use crate::support::events::{all, kinds, of_kind};
use crate::support::{TestGateway, eventually, invariants, junos, listen};

const CHANGES: &str = "/v1/devices/mx1/changes";

/// An order that the gateway is killed in.
struct Killed {
    profile: Profile,
    order: &'static str,
    /// What is sent for it.
    operation: &'static str,
    /// Whether the device does it.
    done: bool,
}

/// What the next start finds.
struct Scene {
    gateway: TestGateway,
    device: RunningEmulator,
    commit: String,
    change: String,
    /// The operation of the order.
    operation: String,
    /// What was running before the change.
    before: String,
    /// The program that was killed, whose directory has the database.
    _child: Child,
}

impl Killed {
    async fn restart(&self) -> Scene {
        let mut child = Child::start(&[]).await;
        let device = listen(junos().profile(self.profile).system_time()).await;
        let before = running(&device);
        child
            .add("mx1", &device, json!({"timeouts": {"commit_seconds": 2}}))
            .await;
        let body = json!({
            "edits": to_contact(self.profile, "east"),
            "commit": {"confirm_timeout_seconds": 600},
        });
        let (status, change) = child.post(CHANGES, &body).await;
        assert_eq!(status, StatusCode::CREATED, "{change}");
        let commit = id(&change["confirmed_commit"]);

        let gate = Gate::new();
        let fault = if self.done {
            Fault::HoldReply(gate.clone())
        } else {
            Fault::Swallow
        };
        let sent = device.stats().count(self.operation);
        device.faults().add(Rule::on(self.operation, fault).once());
        let path = format!("/v1/confirmed-commits/{commit}/{}", self.order);
        tokio::spawn(child.request(Method::POST, &path).send());
        if self.done {
            gate.reached().await;
        } else {
            eventually("it is sent", async || device.stats().count(self.operation) > sent).await;
        }
        let state = match self.order {
            "confirm" => "confirming",
            _ => "cancelling",
        };
        assert_eq!(stored(&child).await, state);
        child.signal("KILL");
        assert_eq!(child.ended().await.code(), None, "it was killed");
        gate.open();
        let database = format!("sqlite://{}", child.directory().join("inventory.db").display());
        let gateway = TestGateway::with(|settings| settings.database = Some(database)).await;
        let kind = format!("{}_confirmed_commit", self.order);
        let operations = gateway.newest_operations(Door::Rest, 10).await;
        let operation = operations
            .iter()
            .find(|operation| operation["kind"] == kind.as_str());
        Scene {
            operation: id(operation.expect("one order")),
            gateway,
            device,
            commit,
            change: id(&change),
            before,
            _child: child,
        }
    }
}

/// What the database says of the only confirmed commit.
async fn stored(child: &Child) -> String {
    let mut database = open(&child.directory().join("inventory.db")).await;
    let row = sqlx::query_scalar("SELECT state FROM confirmed_commits")
        .fetch_one(&mut database)
        .await;
    database.close().await.expect("it closes");
    row.expect("one confirmed commit")
}

impl Scene {
    /// The confirmed commit, once it and its change say so.
    async fn ends_as(&self, state: &str) -> Value {
        let ended = commit_ends_as(&self.gateway, Door::Rest, &self.commit, state).await;
        let change = self.gateway.read(&format!("{CHANGES}/{}", self.change)).await;
        let expected = if state == "pending" {
            "pending_confirm"
        } else {
            state
        };
        assert_eq!(change["state"], expected, "{change}");
        ended
    }

    /// How the operation of the order ended.
    async fn operation_ends(&self) -> (String, String) {
        let mut found = Value::Null;
        eventually("the operation has ended", async || {
            found = self.gateway.operation(Door::Rest, &self.operation, 0).await;
            found["done"] == true
        })
        .await;
        let text = |name: &str| found[name].as_str().expect("a word").to_owned();
        (text("state"), text("outcome"))
    }

    async fn order(&self, order: &str) -> Value {
        let ordered = self.gateway.order(Door::Rest, &self.commit, order, Value::Null);
        ordered.await.expect("it is done")
    }

    /// The states that were told of the confirmed commit.
    async fn told(&self) -> Vec<String> {
        let events = all(&self.gateway, Door::Rest, of_kind("confirmed_commit")).await;
        let kinds = kinds(&events).into_iter();
        kinds
            .map(|kind| kind.trim_start_matches("confirmed_commit.").to_owned())
            .collect()
    }

    async fn end(self) {
        invariants::hold("row 24", &self.gateway, "mx1", &self.device).await;
        self.gateway.stop().await;
    }
}

fn words(state: &str, outcome: &str) -> (String, String) {
    (state.to_owned(), outcome.to_owned())
}

/// The device has confirmed: running is what was committed, which no confirm is needed for. It is neither said to be confirmed
/// nor to be pending, though a second confirm is tried; with a token the device refuses that.
#[tokio::test]
async fn row_24_killed_after_the_device_confirmed() {
    for profile in [Profile::Rfc, Profile::Rfc10] {
        let killed = Killed {
            profile,
            order: "confirm",
            operation: "commit",
            done: true,
        };
        let scene = killed.restart().await;
        scene.ends_as("unknown").await;
        let commits = scene.device.stats().count("commit");
        let again = scene
            .gateway
            .order(Door::Rest, &scene.commit, "confirm", Value::Null)
            .await
            .unwrap_err();
        let (outcome, sent) = match profile {
            Profile::Rfc => ("not_applied", 1),
            _ => ("not_sent", 0),
        };
        assert_eq!(again.outcome, outcome, "{profile:?}: {again:?}");
        assert_eq!(
            scene.device.stats().count("commit"),
            commits + sent,
            "{profile:?}"
        );
        let still = scene.ends_as("unknown").await;
        assert!(still["seen"].is_string(), "{still}");
        assert!(running(&scene.device).contains("contact east"));
        let told = scene.told().await;
        assert_eq!(told[..3], ["pending", "confirming", "unknown"], "{profile:?}");
        for state in ["confirmed", "kept", "rolled_back", "cancelled"] {
            assert!(!told.iter().any(|told| told == state), "{profile:?}: {told:?}");
        }
        assert_eq!(
            told.iter().filter(|state| *state == "pending").count(),
            1,
            "{told:?}"
        );
        let operation = scene.gateway.operation(Door::Rest, &scene.operation, 0).await;
        assert_eq!(
            (&operation["state"], &operation["done"]),
            (&json!("unknown"), &json!(false)),
            "{operation}"
        );
        scene.gateway.stop().await;
    }
}

/// The device never saw the confirm. With a token it is confirmed by another one; without, the end of the session undid it.
#[tokio::test]
async fn row_24_killed_before_the_device_confirmed() {
    let killed = |profile| Killed {
        profile,
        order: "confirm",
        operation: "commit",
        done: false,
    };
    let scene = killed(Profile::Rfc).restart().await;
    scene.ends_as("unknown").await;
    let confirmed = scene.order("confirm").await;
    assert_eq!(
        (&confirmed["state"], &confirmed["by"]),
        (&json!("confirmed"), &json!("us"))
    );
    scene.ends_as("confirmed").await;
    assert_eq!(scene.operation_ends().await, words("succeeded", "applied"));
    assert!(running(&scene.device).contains("contact east"));
    scene.end().await;

    let scene = killed(Profile::Rfc10).restart().await;
    let ended = scene.ends_as("rolled_back").await;
    assert_eq!(ended["reason"], "session_lost", "{ended}");
    assert_eq!(scene.operation_ends().await, words("failed", "not_applied"));
    assert_eq!(running(&scene.device), scene.before);
    scene.end().await;
}

/// The device has undone it: by the token, or because its session has ended.
#[tokio::test]
async fn row_24_killed_after_the_device_cancelled() {
    for (profile, operation) in [(Profile::Rfc, "cancel-commit"), (Profile::Rfc10, "close-session")] {
        let killed = Killed {
            profile,
            order: "cancel",
            operation,
            done: true,
        };
        let scene = killed.restart().await;
        scene.ends_as("cancelled").await;
        assert_eq!(
            scene.operation_ends().await,
            words("succeeded", "applied"),
            "{profile:?}"
        );
        assert_eq!(running(&scene.device), scene.before);
        assert_eq!(
            scene.told().await,
            ["pending", "cancelling", "unknown", "cancelled"],
            "{profile:?}"
        );
        scene.end().await;
    }
}

/// The device never saw the cancel. With a token it waits still, and is cancelled by another one; without, the end of the
/// session undid it, as was ordered.
#[tokio::test]
async fn row_24_killed_before_the_device_cancelled() {
    let killed = |profile, operation| Killed {
        profile,
        order: "cancel",
        operation,
        done: false,
    };
    let scene = killed(Profile::Rfc, "cancel-commit").restart().await;
    scene.ends_as("pending").await;
    assert_eq!(scene.operation_ends().await, words("failed", "not_applied"));
    assert!(running(&scene.device).contains("contact east"));
    assert_eq!(scene.order("cancel").await["state"], "cancelled");
    assert_eq!(running(&scene.device), scene.before);
    scene.end().await;

    let scene = killed(Profile::Rfc10, "close-session").restart().await;
    scene.ends_as("cancelled").await;
    assert_eq!(scene.operation_ends().await, words("succeeded", "applied"));
    assert_eq!(running(&scene.device), scene.before);
    scene.end().await;
}
