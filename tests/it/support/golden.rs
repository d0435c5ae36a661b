//! Edits with the bytes that they become, on the wire as in their plan.

use ncgate::emulator::Profile;
use serde_json::{Value, json};

use super::doors::{DOORS, good};
use super::planned::planned;
use super::{TestGateway, junos, listen};

pub const NC: &str = "xmlns:nc=\"urn:ietf:params:xml:ns:netconf:base:1.0\"";
pub const YANG: &str = "xmlns:yang=\"urn:ietf:params:xml:ns:yang:1\"";

/// An edit, and the whole operation that it is sent as.
pub struct Golden {
    pub edit: Value,
    pub rpc: String,
    /// What has to be edited before.
    first: Option<Value>,
}

pub fn golden(edit: Value, rpc: impl Into<String>) -> Golden {
    Golden {
        edit,
        rpc: rpc.into(),
        first: None,
    }
}

impl Golden {
    pub fn after(self, first: Value) -> Self {
        Self {
            first: Some(first),
            ..self
        }
    }
}

/// `<load-configuration>` of XML, with this action.
pub fn loaded(action: &str, configuration: &str) -> String {
    let action = match action {
        "" => String::new(),
        action => format!("action=\"{action}\" "),
    };
    format!(
        "<load-configuration {action}format=\"xml\"><configuration>{configuration}</configuration></load-configuration>"
    )
}

/// `<edit-config>` of the candidate with this default operation; what follows it, whole.
pub fn edited(default_operation: &str, rest: &str) -> String {
    format!(
        "<edit-config><target><candidate/></target><default-operation>{default_operation}</default-operation>{rest}\
         </edit-config>"
    )
}

/// Files that edits can be loaded from.
const FILES: [(&str, &str); 4] = [
    (
        "/var/tmp/f.xml",
        "<configuration><snmp><contact>x</contact></snmp></configuration>",
    ),
    ("/var/tmp/f.text", "snmp { contact x; }"),
    ("/var/tmp/f.set", "set snmp contact x"),
    (
        "/var/tmp/f.json",
        "{\"configuration\":{\"snmp\":{\"contact\":\"x\"}}}",
    ),
];

/// Design section 4: each edit is planned as these bytes, and sent as planned, through both doors; and the device takes it. All
/// are dry runs, so that each finds the device as the one before.
pub async fn hold(profile: Profile, rows: Vec<Golden>) {
    let gateway = TestGateway::with(|settings| settings.device_urls = Some("file:".to_owned())).await;
    let builder = FILES
        .iter()
        .fold(junos(), |device, (url, text)| device.file(*url, *text));
    let device = listen(builder.profile(profile)).await;
    gateway.add("mx1", &device, json!({})).await;
    for (number, Golden { edit, rpc, first }) in rows.into_iter().enumerate() {
        let door = DOORS[number % 2];
        let edits: Vec<Value> = first.into_iter().chain([edit.clone()]).collect();
        let place = edits.len() - 1;
        let mut body = json!({"edits": edits, "dry_run": true, "plan": true});
        let plan = good(door, gateway.change(door, "mx1", body.clone()).await);
        let plan = planned(&device, &plan);
        let is_edit =
            |rpc: &&String| rpc.starts_with("<load-configuration") || rpc.starts_with("<edit-config");
        let edits: Vec<&String> = plan.rpcs.iter().filter(is_edit).collect();
        assert_eq!(edits[place], &rpc, "{edit}");
        body["plan"] = json!(false);
        let change = good(door, gateway.change(door, "mx1", body).await);
        assert_eq!(change["state"], "discarded", "{edit}: {change}");
        plan.was_sent(&device, &edit.to_string());
    }
    gateway.stop().await;
    device.stop().await;
}
