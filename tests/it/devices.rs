//! The inventory: add, look at, list, change, remove; and it is there after a restart.

use std::time::Duration;

use futures_util::future::join_all;
use ncgate::emulator::{Fault, Rule, RunningEmulator};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::doors::{DOORS, Door, bad, good, plain};
use crate::support::{PASSWORD, TestGateway, USER, answer, code, eventually, junos, listen};

fn document(name: &str, device: &RunningEmulator) -> Value {
    json!({
        "name": name,
        "address": "127.0.0.1",
        "port": device.addr().port(),
        "username": USER,
        "auth": {"password": PASSWORD},
        "host_key": {"policy": "pinned", "keys": [device.host_key_fingerprint()]},
    })
}

/// S1, S2: a device is added, looked at, talked to, changed and removed; nothing of it is left.
#[tokio::test]
async fn device_lives_through_its_whole_life() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    for door in DOORS {
        let created = good(door, gateway.create(door, &document("r1", &device)).await);
        assert_eq!(created["name"], "r1");
        assert_eq!(created["connection"]["state"], "idle");
        assert_eq!(created["transport"], "ssh");
        assert_eq!(
            created["auth"],
            json!({"password": true, "private_key": false, "passphrase": false, "keyboard_interactive": false})
        );
        for other in DOORS {
            let shown = good(other, gateway.device(other, "r1").await);
            assert_eq!(
                shown["host_key"],
                json!({"policy": "pinned", "keys": [device.host_key_fingerprint()]})
            );
            assert_eq!(shown["etag"], created["etag"]);
            assert_eq!(shown["port"], device.addr().port());
        }
        let twice = bad(door, gateway.create(door, &document("r1", &device)).await);
        assert_eq!(twice.verdict(), ("already-exists", "not_sent"));

        let name = "get-system-uptime-information";
        good(door, gateway.named(door, "r1", name, Value::Null, plain()).await);
        let connected = good(door, gateway.device(door, "r1").await);
        assert_eq!(connected["connection"]["state"], "connected");
        assert_eq!(connected["connection"]["sessions"], 1);

        let patch = json!({"labels": {"site": "fra"}, "timeouts": {"rpc_seconds": 7}});
        let changed = good(door, gateway.update(door, "r1", &patch, "").await);
        assert_eq!(changed["labels"], json!({"site": "fra"}));
        assert_eq!(changed["timeouts"]["rpc_seconds"], 7);
        assert_ne!(changed["etag"], created["etag"]);
        good(door, gateway.named(door, "r1", name, Value::Null, plain()).await);

        gateway.delete(door, "r1", "").await.expect("it is removed");
        for other in DOORS {
            assert_eq!(
                bad(other, gateway.device(other, "r1").await).verdict(),
                ("not-found", "not_sent")
            );
        }
        assert_eq!(
            bad(door, gateway.delete(door, "r1", "").await).verdict(),
            ("not-found", "not_sent")
        );
        eventually("the sessions of the removed device end", async || {
            device.stats().open_sessions == 0
        })
        .await;
    }
    gateway.stop().await;
    device.stop().await;
}

/// S1, S2, S3: what is not said has its default.
#[tokio::test]
async fn settings_have_defaults() {
    let gateway = TestGateway::start().await;
    for door in DOORS {
        for (transport, port) in [("ssh", 830), ("ssh_pty", 22)] {
            let document = json!({
                "name": "r1", "address": "127.0.0.1", "transport": transport, "username": USER,
                "auth": {"password": PASSWORD},
            });
            let created = good(door, gateway.create(door, &document).await);
            assert_eq!(
                (&created["transport"], &created["port"]),
                (&json!(transport), &json!(port))
            );
            assert_eq!(created["host_key"], json!({"policy": "pinned", "keys": []}));
            assert_eq!(created["timeouts"]["rpc_seconds"], 30);
            gateway.delete(door, "r1", "").await.expect("it is removed");
        }
    }
}

/// H9: a change or removal that names a stale version is refused; REST answers with `ETag` and honours the conditions.
#[tokio::test]
async fn stale_versions_are_refused() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    for door in DOORS {
        let created = good(door, gateway.create(door, &document("r1", &device)).await);
        let first = created["etag"].as_str().expect("an etag").to_owned();
        let patch = json!({"labels": {"n": "1"}});
        let changed = good(door, gateway.update(door, "r1", &patch, &first).await);
        for refusal in [
            bad(
                door,
                gateway
                    .update(door, "r1", &json!({"labels": {"n": "2"}}), &first)
                    .await,
            ),
            bad(door, gateway.delete(door, "r1", &first).await),
        ] {
            assert_eq!(refusal.verdict(), ("etag-mismatch", "not_sent"));
        }
        let now = good(door, gateway.device(door, "r1").await);
        assert_eq!(now["labels"], json!({"n": "1"}));
        let etag = changed["etag"].as_str().expect("an etag");
        gateway
            .delete(door, "r1", etag)
            .await
            .expect("the version is right");
    }

    let request = gateway
        .request(Method::POST, "/v1/devices")
        .header("If-None-Match", "*")
        .json(&document("r2", &device));
    let created = request.send().await.expect("an answer");
    assert_eq!(created.status(), StatusCode::CREATED);
    assert_eq!(created.headers()["location"], "/v1/devices/r2");
    let etag = created.headers()["etag"].clone();
    assert!(
        etag.to_str().is_ok_and(|etag| etag.starts_with('"')),
        "a strong one: {etag:?}"
    );
    let known = gateway
        .request(Method::GET, "/v1/devices/r2")
        .header("If-None-Match", &etag)
        .send()
        .await
        .expect("an answer");
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(known.headers()["etag"], etag);
    let removed = gateway
        .request(Method::DELETE, "/v1/devices/r2")
        .header("If-Match", &etag)
        .send()
        .await
        .expect("an answer");
    assert_eq!(removed.status(), StatusCode::NO_CONTENT);
}

/// Design section 4: who waits for a device while its address is changed is served at the new one.
#[tokio::test]
async fn waiting_callers_follow_a_device_to_its_new_address() {
    let (gateway, first) = TestGateway::with_device(junos()).await;
    let second = listen(junos()).await;
    let name = "get-system-uptime-information";
    let slow = Fault::Delay(Duration::from_millis(500));
    for (door, old, new) in [(Door::Rest, &first, &second), (Door::Grpc, &second, &first)] {
        let patch = json!({"pool": {"max_sessions": 1}});
        good(door, gateway.update(door, "mx1", &patch, "").await);
        old.faults().add(Rule::on(name, slow.clone()).once());
        let (before, there) = (old.stats().count(name), new.stats().count(name));
        let calls = (0..4).map(|_| gateway.named(door, "mx1", name, Value::Null, plain()));
        let moved = async {
            eventually("one is served and the others wait", async || {
                let shown = good(door, gateway.device(door, "mx1").await);
                old.stats().count(name) == before + 1 && shown["connection"]["queued"] == 3
            })
            .await;
            let patch = json!({
                "port": new.addr().port(),
                "host_key": {"policy": "pinned", "keys": [new.host_key_fingerprint()]},
            });
            good(door, gateway.update(door, "mx1", &patch, "").await);
        };
        let (answers, ()) = tokio::join!(join_all(calls), moved);
        for answer in answers {
            let data = &good(door, answer)["data"];
            assert!(
                data["system-uptime-information"].is_array() || data["system-uptime-information"].is_object()
            );
        }
        assert_eq!(old.stats().count(name), before + 1, "{door:?}");
        assert_eq!(new.stats().count(name), there + 3, "{door:?}");
    }
}

/// H9: a patch that changes nothing leaves the version, and the sessions, as they are.
#[tokio::test]
async fn patch_that_changes_nothing_is_no_change() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let name = "get-system-uptime-information";
    for door in DOORS {
        let reply = good(door, gateway.named(door, "mx1", name, Value::Null, plain()).await);
        let before = good(door, gateway.device(door, "mx1").await);
        for patch in [
            json!({"port": device.addr().port()}),
            json!({"timeouts": {"rpc_seconds": 30}}),
            json!({"username": USER, "auth": {"password": PASSWORD}}),
        ] {
            let after = good(door, gateway.update(door, "mx1", &patch, "").await);
            assert_eq!(
                (&after["etag"], &after["update_time"]),
                (&before["etag"], &before["update_time"]),
                "{patch}"
            );
        }
        let again = good(door, gateway.named(door, "mx1", name, Value::Null, plain()).await);
        assert_eq!(again["session_id"], reply["session_id"]);
        let stale = bad(
            door,
            gateway
                .update(door, "mx1", &json!({"port": device.addr().port()}), "\"other\"")
                .await,
        );
        assert_eq!(stale.verdict(), ("etag-mismatch", "not_sent"));
    }
}

/// H10: pages in order without gaps, by label; a token belongs to its list.
#[tokio::test]
async fn devices_are_listed_by_page_and_label() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    for n in 0..7 {
        let door = DOORS[n % 2];
        let mut document = document(&format!("r{n}"), &device);
        let site = if n < 5 { "fra" } else { "ber" };
        document["labels"] = json!({"site": site, "role": "edge"});
        good(door, gateway.create(door, &document).await);
    }
    let names = |page: &Value| -> Vec<String> {
        let devices = page["devices"].as_array().expect("a list");
        devices
            .iter()
            .map(|device| device["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    for door in DOORS {
        let all = good(door, gateway.list(door, &[]).await);
        assert_eq!(names(&all), ["r0", "r1", "r2", "r3", "r4", "r5", "r6"]);
        assert_eq!(all.get("next_page_token"), None);
        let by_label = [("label", "site=fra"), ("label", "role=edge"), ("page_size", "3")];
        let first = good(door, gateway.list(door, &by_label).await);
        assert_eq!(names(&first), ["r0", "r1", "r2"]);
        let token = first["next_page_token"]
            .as_str()
            .expect("there is more")
            .to_owned();
        let second = [&by_label[..], &[("page_token", token.as_str())]].concat();
        let second = good(door, gateway.list(door, &second).await);
        assert_eq!(names(&second), ["r3", "r4"]);
        assert_eq!(second.get("next_page_token"), None);
        let none = good(door, gateway.list(door, &[("label", "site=muc")]).await);
        assert_eq!(names(&none), [""; 0]);

        let of_another_list = [("page_token", token.as_str()), ("label", "site=ber")];
        let refusal = bad(door, gateway.list(door, &of_another_list).await);
        assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"));
        assert_eq!(refusal.fields, ["page_token"]);
        let refusal = bad(door, gateway.list(door, &[("page_size", "1001")]).await);
        assert_eq!(refusal.fields, ["page_size"]);
    }
}

/// S1: a missing or wrong prerequisite is refused with its place.
#[tokio::test]
async fn bad_settings_are_refused_with_their_place() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    let wrong = |change: fn(&mut Value)| {
        let mut document = document("r1", &device);
        change(&mut document);
        document
    };
    for door in DOORS {
        for (document, field) in [
            (wrong(|d| d["address"] = json!("10.0.0.256")), "address"),
            (wrong(|d| d["address"] = json!("")), "address"),
            (wrong(|d| d["username"] = json!("")), "username"),
            (wrong(|d| d["name"] = json!("a/b")), "name"),
            (wrong(|d| d["port"] = json!(70000)), "port"),
            (
                wrong(|d| d["auth"] = json!({"private_key": "no key"})),
                "auth.private_key",
            ),
            (
                wrong(|d| d["host_key"]["keys"] = json!(["MD5:00"])),
                "host_key.keys.0",
            ),
        ] {
            let refusal = bad(door, gateway.create(door, &document).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{field}");
            let fields: Vec<&str> = refusal
                .fields
                .iter()
                .map(|field| field.trim_start_matches("device."))
                .collect();
            assert_eq!(fields, [field], "{document}");
        }
        let mut elsewhere = document("r1", &device);
        elsewhere["address"] = json!("192.0.2.1");
        let refusal = bad(door, gateway.create(door, &elsewhere).await);
        assert_eq!(refusal.verdict(), ("address-not-allowed", "not_sent"));
    }
    let mut unknown = document("r1", &device);
    unknown["passwort"] = json!("x");
    let (status, problem) = gateway.post("/v1/devices", &unknown).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::BAD_REQUEST, "invalid-argument")
    );
    assert_eq!(problem["errors"][0]["pointer"], "/passwort");
    assert_eq!(names_of_all(&gateway).await, [""; 0]);
}

async fn names_of_all(gateway: &TestGateway) -> Vec<String> {
    let page = good(Door::Rest, gateway.list(Door::Rest, &[]).await);
    let devices = page["devices"].as_array().expect("a list");
    devices
        .iter()
        .map(|device| device["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// X6, H9: credentials are replaced and removed by a patch, and what a patch does not name stays.
#[tokio::test]
async fn credentials_are_replaced_and_never_shown() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    for door in DOORS {
        let mut wrong = document("r1", &device);
        wrong["auth"] = json!({"password": "canary-wrong"});
        good(door, gateway.create(door, &wrong).await);
        let refusal = bad(door, gateway.check(door, "r1").await);
        assert_eq!(refusal.verdict(), ("device-auth-failed", "not_sent"));
        let patch = json!({"auth": {"password": PASSWORD}});
        let patched = good(door, gateway.update(door, "r1", &patch, "").await);
        assert_eq!(patched["auth"]["password"], true);
        good(door, gateway.check(door, "r1").await);
        let shown = good(door, gateway.device(door, "r1").await);
        for text in [format!("{refusal:?}"), shown.to_string(), patched.to_string()] {
            assert!(!text.contains("canary") && !text.contains(PASSWORD), "{text}");
        }
        gateway.delete(door, "r1", "").await.expect("it is removed");
    }
}

/// Issue, item 2: the inventory lies in a SQLite file and is there after a restart, credentials included.
#[tokio::test]
async fn inventory_survives_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = format!("sqlite://{}", directory.path().join("ncgate.db").display());
    let device = listen(junos()).await;
    let start = || TestGateway::with(|settings| settings.database = Some(database.clone()));
    let gateway = start().await;
    let mut etags = Vec::new();
    for (door, name) in DOORS.into_iter().zip(["r1", "r2"]) {
        let created = good(door, gateway.create(door, &document(name, &device)).await);
        etags.push(created["etag"].clone());
    }
    gateway.stop().await;

    let gateway = start().await;
    assert_eq!(names_of_all(&gateway).await, ["r1", "r2"]);
    for door in DOORS {
        for (name, etag) in ["r1", "r2"].into_iter().zip(&etags) {
            assert_eq!(good(door, gateway.device(door, name).await)["etag"], *etag);
        }
    }
    for door in DOORS {
        for name in ["r1", "r2"] {
            good(door, gateway.check(door, name).await);
        }
    }
    gateway.stop().await;

    // X6: the key was made beside the database, for its owner alone.
    use std::os::unix::fs::PermissionsExt;
    let key = std::fs::read_dir(directory.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry"))
        .find(|entry| entry.file_name().to_string_lossy().contains("key"))
        .expect("a key file");
    assert_eq!(
        key.metadata().expect("its metadata").permissions().mode() & 0o777,
        0o600
    );
}

/// H2, H9: methods and media types that a resource does not take.
#[tokio::test]
async fn wrong_methods_and_media_types_are_told() {
    let gateway = TestGateway::start().await;
    let (status, problem) = answer(gateway.request(Method::PUT, "/v1/devices").json(&json!({}))).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed")
    );
    let request = gateway
        .request(Method::PATCH, "/v1/devices/r1")
        .header("Content-Type", "text/plain")
        .body("{}");
    let (status, problem) = answer(request).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type")
    );
    let (status, problem) = gateway.get("/v1/nothing").await;
    assert_eq!((status, code(&problem)), (StatusCode::NOT_FOUND, "not-found"));
}

/// H9: who waits for a connect to a wrong place is served at the right one as soon as the device says so.
#[tokio::test]
async fn waiting_callers_go_where_a_patch_sends_them() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    // Takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let path = "/v1/devices/mx1";
    let patch = async |port: u16| {
        let patch = gateway.request(Method::PATCH, path);
        let patch = patch.header("Content-Type", "application/merge-patch+json");
        let (status, problem) = answer(patch.body(json!({"port": port}).to_string())).await;
        assert_eq!(status, StatusCode::OK, "{problem}");
    };
    patch(port).await;
    let read = format!("{path}/rpc/get-system-uptime-information");
    let check = format!("{path}/check");
    let nothing = json!({});
    let (read, checked, ()) = tokio::join!(gateway.get(&read), gateway.post(&check, &nothing), async {
        let connected = silent.accept().await.expect("somebody waits");
        patch(device.addr().port()).await;
        drop(connected);
    });
    assert_eq!(read.0, StatusCode::OK, "{}", read.1);
    assert_eq!(checked.0, StatusCode::OK, "{}", checked.1);
}
