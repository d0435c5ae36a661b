//! A plan, held against what the device is sent when the same is done.

use ncgate::emulator::RunningEmulator;
use serde_json::Value;

/// A plan, and how much the device had heard when it was made.
pub struct Planned {
    pub rpcs: Vec<String>,
    heard: u64,
}

pub fn planned(device: &RunningEmulator, plan: &Value) -> Planned {
    let rpcs = plan["rpcs"].as_array().expect("a plan").iter();
    Planned {
        rpcs: rpcs.map(|rpc| rpc.as_str().expect("XML").to_owned()).collect(),
        heard: heard(device),
    }
}

fn heard(device: &RunningEmulator) -> u64 {
    device.stats().rpc_counts.values().sum()
}

impl Planned {
    /// That these, byte by byte, and no others, were sent since; but that a session may have been closed in the end, and
    /// that nobody knows the id of a change before.
    #[track_caller]
    pub fn was_sent(&self, device: &RunningEmulator, what: &str) {
        let count = usize::try_from(heard(device) - self.heard).expect("a few");
        let requests = device.stats().requests;
        let since = &requests[requests.len() - count..];
        let bodies = since.iter().map(|request| without_id(body(request)));
        let sent: Vec<String> = bodies.filter(|body| body != "<close-session/>").collect();
        let planned: Vec<String> = self.rpcs.iter().map(|rpc| without_id(rpc)).collect();
        assert_eq!(sent, planned, "{what}");
    }
}

/// What stands in the envelope.
fn body(request: &str) -> &str {
    let inside = request
        .split_once('>')
        .and_then(|(_, inside)| inside.trim_end().strip_suffix("</rpc>"));
    inside.unwrap_or_else(|| panic!("no envelope: {request}"))
}

/// The comment of a commit without the id of its change.
pub fn without_id(rpc: &str) -> String {
    let Some((before, marker)) = rpc.split_once("[ncgate ") else {
        return rpc.to_owned();
    };
    let (_, after) = marker.split_once(' ').expect("the principal");
    format!("{before}[ncgate ID {after}")
}
