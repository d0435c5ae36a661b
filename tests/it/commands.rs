//! The command line against a gateway: the same calls, printed, with exit codes for scripts.

use ncgate::emulator::{Fault, Rule};
use serde_json::{Value, json};

use crate::support::program::run;
use crate::support::{PASSWORD, TestGateway, USER, assert_sent, junos, listen};

/// S1, S5, S7: a device is added with its secret from standard input, looked at, checked, changed, removed.
#[tokio::test]
async fn device_is_managed_from_the_command_line() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    let port = device.addr().port().to_string();
    let fingerprint = device.host_key_fingerprint();
    let add = [
        "device",
        "add",
        "r1",
        "--address",
        "127.0.0.1",
        "--port",
        &port,
        "--username",
        USER,
        "--password-stdin",
        "--host-key",
        &fingerprint,
        "--label",
        "site=fra",
        "-o",
        "json",
    ];
    let added = gateway.ncgate_with(&add, PASSWORD).await;
    assert_eq!(added.json()["auth"]["password"], true);
    assert!(!added.out.contains(PASSWORD), "{added:?}");
    assert_eq!(
        gateway.ncgate_with(&add, PASSWORD).await.problem(4)["code"],
        "already-exists"
    );

    let table = gateway.ncgate(&["device", "list", "--label", "site=fra"]).await;
    assert_eq!(table.code, 0, "{table:?}");
    let mut lines = table.out.lines();
    assert!(
        lines.next().is_some_and(|line| line.starts_with("NAME ")),
        "{table:?}"
    );
    assert!(
        lines
            .next()
            .is_some_and(|line| line.starts_with("r1 ") && line.contains(&port)),
        "{table:?}"
    );
    let none = gateway
        .ncgate(&["device", "list", "--label", "site=ber", "-o", "json"])
        .await;
    assert_eq!(none.json(), json!({"devices": []}));

    let check = gateway
        .ncgate(&["device", "check", "r1", "-o", "json"])
        .await
        .json();
    assert_eq!(check["software"][0]["version"], "21.4R3-S5.4");
    let capabilities = gateway.ncgate(&["device", "capabilities", "r1"]).await;
    assert!(
        capabilities.out.contains("urn:ietf:params:netconf:base:1.0"),
        "{capabilities:?}"
    );
    let schemas = gateway.ncgate(&["device", "schemas", "r1", "-o", "json"]).await;
    assert_eq!(schemas.json()["source"], "hello");
    let schema = gateway
        .ncgate(&["device", "schema", "r1", "junos-conf-root", "-o", "json"])
        .await;
    assert_eq!(schema.problem(1)["code"], "capability-missing");
    let sessions = gateway
        .ncgate(&["device", "sessions", "r1", "-o", "json"])
        .await
        .json();
    assert_eq!(sessions["sessions"][0]["ours"], true);

    let update = ["device", "update", "r1", "--label", "role=edge", "-o", "json"];
    let updated = gateway.ncgate(&update).await.json();
    assert_eq!(updated["labels"], json!({"site": "fra", "role": "edge"}));
    let stale = ["device", "remove", "r1", "--if-match", "0", "-o", "json"];
    assert_eq!(gateway.ncgate(&stale).await.problem(4)["code"], "etag-mismatch");
    assert_eq!(gateway.ncgate(&["device", "remove", "r1"]).await.code, 0);
    let gone = gateway.ncgate(&["device", "get", "r1", "-o", "json"]).await;
    assert_eq!(gone.problem(3)["code"], "not-found");
}

/// S8, S9, S10: RPCs with arguments, attributes and formats, batches, and CLI text.
#[tokio::test]
async fn rpcs_are_called_from_the_command_line() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    const NAME: &str = "get-interface-information";
    let rpc = [
        "rpc",
        "mx1",
        NAME,
        "interface-name=ge-0/0/0",
        "terse",
        "-o",
        "json",
    ];
    let answer = gateway.ncgate(&rpc).await.json();
    assert_sent(
        &device,
        NAME,
        "<get-interface-information><interface-name>ge-0/0/0</interface-name><terse/></get-interface-information>",
    );
    let data = answer.get("data").unwrap_or(&answer);
    assert_eq!(
        data["interface-information"]["physical-interface"][0]["name"],
        "ge-0/0/0"
    );

    let with = [
        "rpc",
        "mx1",
        NAME,
        "terse",
        "--attribute",
        "ticket=7",
        "--format",
        "text",
    ];
    let text = gateway.ncgate(&with).await;
    assert_eq!(text.code, 0, "{text:?}");
    assert!(text.out.starts_with("Interface "), "{text:?}");
    assert_sent(&device, NAME, " ticket=\"7\"");

    let body = "<get-software-information><brief/></get-software-information>";
    let from_file = ["rpc", "mx1", "--body", "-", "-o", "json"];
    let answer = gateway.ncgate_with(&from_file, body).await.json();
    assert_sent(&device, "get-software-information", body);
    assert!(answer.to_string().contains("mx240"), "{answer}");

    let plan = ["rpc", "mx1", "clear-arp-table", "all", "--plan", "-o", "json"];
    let planned = gateway.ncgate(&plan).await.json();
    assert!(
        planned
            .to_string()
            .contains("<clear-arp-table><all/></clear-arp-table>"),
        "{planned}"
    );
    assert_eq!(device.stats().count("clear-arp-table"), 0);

    let batch = [
        "batch",
        "mx1",
        "get-chassis-inventory",
        "get-no-such-thing",
        "get-system-uptime-information",
        "--on-error",
        "continue",
        "-o",
        "json",
    ];
    let ran = gateway.ncgate(&batch).await;
    assert_ne!(ran.code, 0, "one of them failed: {ran:?}");
    let results: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(results["results"].as_array().map(Vec::len), Some(3), "{ran:?}");

    let cli = gateway.ncgate(&["cli", "mx1", "show version"]).await;
    assert_eq!(cli.code, 0, "{cli:?}");
    assert!(cli.out.starts_with("Hostname: mx1\n"), "{cli:?}");
    let mapped = ["cli", "mx1", "show interfaces terse", "--rpc", "-o", "json"];
    let mapped = gateway.ncgate(&mapped).await.json();
    assert_eq!(
        mapped["rpc"],
        json!({"get-interface-information": {"terse": null}})
    );
}

/// S11: configuration with its options, and comparisons.
#[tokio::test]
async fn configuration_is_read_from_the_command_line() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let set = gateway
        .ncgate(&["config", "get", "mx1", "snmp", "--format", "set"])
        .await;
    assert_eq!(set.code, 0, "{set:?}");
    assert!(set.out.contains("set snmp contact noc@example.net\n"), "{set:?}");
    let all = [
        "config",
        "get",
        "mx1",
        "interfaces/interface",
        "--source",
        "candidate",
        "--inherit",
        "inherit",
        "--groups",
        "--interface-ranges",
        "--changed",
        "--commit-scripts",
        "view",
        "--key",
        "--no-recurse",
        "--count",
        "2",
        "--start",
        "2",
        "-o",
        "json",
    ];
    let read = gateway.ncgate(&all).await.json();
    assert!(read.to_string().contains("ge-0/0/1"), "{read}");
    for wire in [
        "database=\"candidate\" inherit=\"inherit\" groups=\"groups\" interface-ranges=\"interface-ranges\" \
         changed=\"changed\" commit-scripts=\"view\"",
        "junos:key=\"key\"",
        "<interface recurse=\"false\" count=\"2\" start=\"2\"/>",
    ] {
        assert_sent(&device, "get-configuration", wire);
    }
    let filter = "<configuration><system><host-name/></system></configuration>";
    let filtered = [
        "config",
        "get",
        "mx1",
        "--filter",
        "-",
        "--protocol",
        "rfc",
        "-o",
        "json",
    ];
    let filtered = gateway.ncgate_with(&filtered, filter).await.json();
    assert_sent(&device, "get-config", filter);
    assert!(
        filtered.to_string().contains("\"host-name\":\"mx1\""),
        "{filtered}"
    );

    let compared = gateway
        .ncgate(&["config", "compare", "mx1", "--from", "rollback:1"])
        .await;
    assert_eq!(compared.code, 0, "{compared:?}");
    assert!(
        compared.out.contains("!   inactive: neighbor 198.51.100.13;"),
        "{compared:?}"
    );
}

/// Design section 3: exit codes tell what scripts need to know.
#[tokio::test]
async fn exit_codes_tell_failures_apart() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let rpc = |name: &'static str| ["rpc", "mx1", name, "-o", "json"];
    let refused = gateway.ncgate(&rpc("get-no-such-thing")).await.problem(1);
    assert_eq!(refused["rpc_errors"][0]["bad_element"], "get-no-such-thing");
    assert_eq!(
        gateway.ncgate(&rpc("commit")).await.problem(2)["code"],
        "use-resource"
    );
    assert_eq!(gateway.ncgate(&["rpc", "mx1", "--no-such-flag"]).await.code, 2);
    device.faults().add(Rule::on(
        "clear-arp-table",
        Fault::ReplyWith(
            "<rpc-error><error-tag>in-use</error-tag><error-message>busy</error-message></rpc-error>"
                .to_owned(),
        ),
    ));
    assert_eq!(
        gateway.ncgate(&rpc("clear-arp-table")).await.problem(4)["code"],
        "in-use"
    );
    device
        .faults()
        .add(Rule::on("request-shell-execute", Fault::DropBeforeReply));
    let unknown = gateway.ncgate(&rpc("request-shell-execute")).await.problem(6);
    assert_eq!(unknown["outcome"], "unknown");
    let words = gateway.ncgate(&["rpc", "nowhere", "get-chassis-inventory"]).await;
    assert_eq!(words.code, 3);
    assert!(words.err.starts_with("error: not-found: "), "{words:?}");

    let status = gateway.ncgate(&["status", "-o", "json"]).await.json();
    assert_eq!(status["devices"], 1);
    let version = gateway.ncgate(&["version", "-o", "json"]).await.json();
    assert_eq!(version["gateway"]["version"], version["client"]["version"]);

    device.stop().await;
    let unreachable = gateway.ncgate(&rpc("get-chassis-inventory")).await.problem(5);
    assert_eq!(unreachable["outcome"], "not_sent");
    let server = gateway.url("");
    gateway.stop().await;
    let nobody = run(&["status", "--server", &server], "").await;
    assert_eq!(nobody.code, 5, "{nobody:?}");
}

/// W1–W3: what the caller wrote in JSON is judged by the gateway as it was written: digits stay, and a name that stands
/// twice is refused where it stands.
#[tokio::test]
async fn json_is_sent_as_it_was_written() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let digits = r#"{"clear-arp-table": {"z": 1.50, "a": 18446744073709551616, "e": 1E400}}"#;
    let plan = ["rpc", "mx1", "--body", "-", "--plan", "-o", "json"];
    let planned = gateway.ncgate_with(&plan, digits).await.json();
    assert_eq!(
        planned["rpcs"],
        json!(["<clear-arp-table><z>1.50</z><a>18446744073709551616</a><e>1E400</e></clear-arp-table>"])
    );

    let body = |command: &'static str| [command, "mx1", "--body", "-", "-o", "json"];
    let add = ["device", "add", "r1", "--file", "-", "-o", "json"];
    let update = ["device", "update", "mx1", "--file", "-", "-o", "json"];
    for (arguments, input, pointer) in [
        (
            &body("rpc")[..],
            r#"{"get-interface-information": {"interface-name": "a", "interface-name": "b"}}"#,
            "/rpc/get-interface-information/interface-name",
        ),
        (
            &body("batch"),
            r#"[{"get-chassis-inventory": null}, {"get-interface-information": {"terse": null, "terse": 1}}]"#,
            "/rpcs/1/rpc/get-interface-information/terse",
        ),
        (
            &add,
            r#"{"address": "192.0.2.1", "username": "a", "username": "b"}"#,
            "/username",
        ),
        (
            &add,
            r#"{"address": "192.0.2.1", "pool": {"max_sessions": 1, "max_sessions": 2}}"#,
            "/pool/max_sessions",
        ),
        (&update, r#"{"labels": {"a": "1", "a": "2"}}"#, "/labels/a"),
    ] {
        let refused = gateway.ncgate_with(arguments, input).await.problem(2);
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }

    let twice = ["--attribute", "ticket=1", "--attribute", "ticket=2"];
    let refused = gateway
        .ncgate(&[&["rpc", "mx1", "get-chassis-inventory", "-o", "json"][..], &twice].concat())
        .await
        .problem(2);
    assert_eq!(refused["errors"][0]["pointer"], "/attributes/ticket", "{refused}");

    let probe = [
        "change",
        "create",
        "mx1",
        "-",
        "--confirm-timeout",
        "120",
        "--probe-rpc",
        r#"{"get-interface-information": {"interface-name": "a", "interface-name": "b"}}"#,
        "--probe-expect",
        "/a=b",
        "-o",
        "json",
    ];
    let refused = gateway
        .ncgate_with(&probe, "set snmp contact x\n")
        .await
        .problem(2);
    assert_eq!(
        refused["errors"][0]["pointer"], "/probe/rpc/get-interface-information/interface-name",
        "{refused}"
    );
    assert_eq!(device.stats().count("get-interface-information"), 0);
}
