//! Reading an ephemeral instance to see whether a commit of it was made: it keeps no history, so what it holds is the only
//! evidence (conventions E5).

use tokio::time::Instant;

use crate::device::{Device, Request};
use crate::error::{Error, ErrorCode};
use crate::netconf::capability::Capabilities;
use crate::netconf::datastore::Datastore;
use crate::netconf::rpc::RequestError;
use crate::pool::{Hold, Touch};
use crate::service::edit::differing::snapshot;
use crate::service::edit::ground::{Dialect, Ground, Verify};
use crate::service::edit::request::Mode;
use crate::service::edit::script::Tells;
use crate::service::edit::snapshot::Snapshot;
use crate::service::evidence::Evidence;
use crate::service::failure;
use crate::service::held::{asked, judge};

/// What the replies tell: it is opened, read and closed.
const TOLD: [Tells; 3] = [Tells::Nothing, Tells::Before, Tells::Nothing];

/// What was committed to the instance of this name, `None` being the default one: it is opened in a session of its own and
/// closed again, and nothing is edited in it.
///
/// # Errors
/// As a read; the instance cannot be opened.
pub(super) async fn read(device: &Device, deadline: Instant, name: Option<&str>) -> Result<Snapshot, Error> {
    let ground = Ground {
        dialect: Dialect::Junos,
        mode: Mode::Ephemeral,
        target: Datastore::Candidate,
        instance: name.map(str::to_owned),
        skip_validate: false,
        verify: Verify::Nothing,
        confirm: None,
    };
    let answers = device.call_afresh(deadline, move |caps| requests(&ground, caps));
    let answers = answers.await.map_err(failure::device)?;
    let device = &device.settings().name;
    for (answer, tells) in answers.into_iter().zip(TOLD) {
        let raw = judge(device, answer)?;
        if tells == Tells::Before {
            return snapshot(device, raw).await;
        }
    }
    Err(Error::new(ErrorCode::Internal, "the instance was not asked for"))
}

fn requests(ground: &Ground, capabilities: &Capabilities) -> Result<Vec<(Request, Touch)>, RequestError> {
    let mut steps = ground.open(capabilities)?;
    steps.extend(ground.before(capabilities)?);
    steps.extend(ground.release(capabilities, &[Hold::Ephemeral])?);
    Ok(steps.into_iter().map(asked).collect())
}

/// Why no instance will ever tell what became of a commit, if that is so.
pub(super) fn untold(evidence: &Evidence) -> Option<&'static str> {
    match (&evidence.before, &evidence.expected) {
        (Some(before), Some(expected)) if before == expected => Some(
            "the commit changes nothing in the ephemeral instance, which is the same with it and without",
        ),
        (Some(_), Some(_)) => None,
        (None, _) | (_, None) => Some(
            "an ephemeral instance keeps no history, and this one could not be read before its commit was sent",
        ),
    }
}
