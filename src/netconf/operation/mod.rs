//! The operations of RFC 6241 and its companions, a file each. Each one checks the device's capabilities and then
//! gives the request; nothing that the device did not offer is ever written.

pub mod cancel_commit;
pub mod close_session;
pub mod commit;
pub mod copy_config;
pub mod delete_config;
pub mod discard_changes;
pub mod edit_config;
pub mod get;
pub mod get_config;
pub mod get_schema;
pub mod kill_session;
pub mod lock;
pub mod validate;

mod filter;
mod place;
mod with_defaults;

pub use cancel_commit::CancelCommit;
pub use close_session::CloseSession;
pub use commit::{Commit, Confirmed};
pub use copy_config::CopyConfig;
pub use delete_config::DeleteConfig;
pub use discard_changes::DiscardChanges;
pub use edit_config::{DefaultOperation, EditConfig, EditContent, ErrorOption, TestOption};
pub use filter::Filter;
pub use get::Get;
pub use get_config::{ConfigSource, GetConfig};
pub use get_schema::GetSchema;
pub use kill_session::KillSession;
pub use lock::{Lock, Unlock};
pub use place::{ConfigInput, ConfigTarget};
pub use validate::Validate;
pub use with_defaults::WithDefaults;

#[cfg(test)]
pub(super) mod testing {
    use crate::netconf::capability::{Capabilities, Capability};
    use crate::xml::{Fragment, Limits};

    /// A device that offers everything of the RFCs.
    pub fn everything() -> Capabilities {
        let mut uris: Vec<String> = Capability::ALL
            .iter()
            .filter(|capability| !matches!(capability, Capability::WithDefaults | Capability::JunosXml))
            .map(|capability| capability.uri().to_owned())
            .collect();
        uris.push(format!(
            "{}?basic-mode=explicit&also-supported=report-all",
            Capability::WithDefaults.uri()
        ));
        Capabilities::new(uris)
    }

    pub fn fragment(xml: &str) -> Fragment {
        Fragment::parse_one(xml, &Limits::default()).expect("a well-formed fragment")
    }
}
