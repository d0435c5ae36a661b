//! Configurations that hold elements named like Junos's errors and warnings, in the same namespace.

use serde_json::json;

use crate::support::doors::{DOORS, good};
use crate::support::{TestGateway, junos, listen};

/// S11, S16, M1: what `any error` and `any warning` are in XML is data, for whoever reads it and for a change that looks
/// at running after its commit.
#[tokio::test]
async fn statements_named_like_errors_are_data() {
    for door in DOORS {
        let gateway = TestGateway::start().await;
        let device = listen(junos()).await;
        gateway
            .add("mx1", &device, json!({"quirks": {"verify_after_commit": true}}))
            .await;
        for severity in ["error", "warning", "critical"] {
            let lines = format!("set system syslog file messages any {severity}");
            let change = json!({"edits": [{"format": "set", "config": lines}]});
            let change = good(door, gateway.change(door, "mx1", change).await);
            assert_eq!(change["state"], "committed", "{change}");
            for options in [
                &[("path", "system/syslog")][..],
                &[],
                &[("source", "candidate")],
                &[("source", "rollback:0")],
            ] {
                let reply = good(door, gateway.config(door, "mx1", options).await);
                let files = &reply["data"]["configuration"]["system"]["syslog"]["file"];
                let messages = files
                    .as_array()
                    .and_then(|files| files.iter().find(|file| file["name"] == "messages"));
                let contents = &messages.expect("the file")["contents"];
                let any = contents
                    .as_array()
                    .and_then(|rows| rows.iter().find(|row| row["name"] == "any"))
                    .and_then(|row| row.get(severity));
                assert_eq!(any, Some(&json!(null)), "{options:?}: {contents}");
                assert!(
                    reply["warnings"].as_array().is_none_or(Vec::is_empty),
                    "{options:?}: {reply}"
                );
            }
        }
        gateway.stop().await;
        device.stop().await;
    }
}
