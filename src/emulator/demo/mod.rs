//! Two routers that know each other, each with a history of a few commits.

use super::builder::Builder;
use super::config::Change;
use super::server::Emulator;

/// When the first commit was made: 2026-01-12 08:30:00 UTC.
const FIRST_COMMIT: i64 = 1_768_206_600;
/// Between two commits, in seconds.
const BETWEEN: i64 = 7_260;

/// Builders of the routers `mx1` and `mx2`, with their configurations. Logins are still to be added.
pub fn demo_devices() -> [Builder; 2] {
    let mx1 = Emulator::builder()
        .hostname("mx1")
        .model("mx240")
        .serial("JN1269A5BAFC");
    let mx2 = Emulator::builder()
        .hostname("mx2")
        .model("mx480")
        .serial("JN125F2D0AFB")
        .version("22.4R2-S1.6");
    [
        with_history(
            mx1,
            &[
                ("root", "cli", "first configuration", include_str!("mx1.set")),
                (
                    "admin",
                    "netconf",
                    "prepare the port for B",
                    "set interfaces ge-0/0/2 description \"customer B\"\nset interfaces ge-0/0/2 mtu 1600",
                ),
                (
                    "noc",
                    "cli",
                    "",
                    "set interfaces ge-0/0/2 unit 0 family inet address 198.51.100.129/30\n\
                     delete interfaces ge-0/0/2 mtu\n\
                     set snmp location \"rack 5, room 12\"",
                ),
                (
                    "admin",
                    "cli",
                    "the backup transit is down for repairs",
                    "deactivate protocols bgp group transit neighbor 198.51.100.13",
                ),
            ],
        )
        .rescue(),
        with_history(
            mx2,
            &[
                ("root", "cli", "first configuration", include_str!("mx2.set")),
                (
                    "admin",
                    "netconf",
                    "second time server",
                    "set system ntp server 192.0.2.124",
                ),
            ],
        ),
    ]
}

/// Commits by user, client, comment and commands.
fn with_history(mut builder: Builder, commits: &[(&str, &str, &str, &str)]) -> Builder {
    let mut seconds = FIRST_COMMIT;
    for (user, client, log, commands) in commits {
        builder = builder.commit(Change {
            commands: (*commands).to_owned(),
            user: (*user).to_owned(),
            client: (*client).to_owned(),
            seconds,
            log: (!log.is_empty()).then(|| (*log).to_owned()),
        });
        seconds += BETWEEN;
    }
    builder
}

#[cfg(test)]
mod tests {
    use super::super::config::{Database, set};
    use super::*;

    /// The demonstration's configurations hold to the table, and differ.
    #[test]
    fn both_demo_devices_can_be_built() {
        let names: Vec<String> = demo_devices()
            .into_iter()
            .map(|builder| {
                let emulator = builder.build().unwrap();
                let tree = emulator.device().tree(Database::Committed).unwrap();
                assert!(set::render(&tree).lines().count() > 30);
                assert!(emulator.device().history().len() >= 2);
                emulator.device().hostname()
            })
            .collect();
        assert_eq!(names, ["mx1", "mx2"]);
    }
}
