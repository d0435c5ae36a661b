//! What software a device runs: asked after the hello, where the Junos capability is present (S7).

use tokio::time::Instant;

use crate::netconf::junos::software::{self, SoftwareInformation};
pub use crate::netconf::junos::software::Software as MemberSoftware;
use crate::netconf::rpc_error::RpcError;
use crate::session::{Call, SessionError, SessionHandle, Traces};

/// A reply beyond this many bytes is no software information.
const MAX_REPLY: u64 = 4 << 20;

/// What the device told of its software.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Software {
    /// It is not Junos, and was not asked.
    NotAsked,
    /// One entry per routing engine or member.
    Told(Vec<MemberSoftware>),
    /// It was asked, and did not tell.
    NotTold {
        /// What it said instead, if anything.
        errors: Vec<RpcError>,
    },
}

impl Software {
    /// The versions of all members.
    pub fn versions(&self) -> Vec<&str> {
        self.members().iter().filter_map(|member| member.version.as_deref()).collect()
    }

    /// One entry per routing engine or member; none where the device did not tell.
    pub fn members(&self) -> &[MemberSoftware] {
        match self {
            Self::Told(members) => members,
            Self::NotAsked | Self::NotTold { .. } => &[],
        }
    }
}

/// Asks a fresh session.
///
/// # Errors
/// When the session ends or does not answer in time. That the device does not want to tell is not an error.
pub(super) async fn ask(session: &SessionHandle, deadline: Instant) -> Result<Software, SessionError> {
    let Ok(rpc) = software::rpc(session.capabilities()) else { return Ok(Software::NotAsked) };
    let call = Call { rpc, attributes: Vec::new(), deadline, traces: Traces::None, selection: None };
    let reply = session.call(call).await?;
    let text = reply.source.read_to_string(MAX_REPLY).unwrap_or_default();
    // Some members may tell while another fails.
    match SoftwareInformation::parse(&text) {
        Ok(told) if !told.members.is_empty() => Ok(Software::Told(told.members)),
        Ok(_) | Err(_) => Ok(Software::NotTold { errors: reply.scan.errors }),
    }
}
