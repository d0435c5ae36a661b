//! Reading an ephemeral instance to see whether a commit of it was made: it keeps no history, so what it holds is the only
//! evidence (conventions E5).

use tokio::time::Instant;

use crate::device::{Device, Held, Way};
use crate::error::{Error, ErrorCode};
use crate::netconf::rpc::RequestError;
use crate::service::edit::differing::snapshot;
use crate::service::edit::ground::Ground;
use crate::service::edit::request::Mode;
use crate::service::edit::script::Tells;
use crate::service::edit::snapshot::Snapshot;
use crate::service::evidence::Evidence;
use crate::service::failure;
use crate::service::held::send;

/// What was committed to the instance of this name, `None` being the default one: it is opened in a session of its own and
/// closed again, and nothing is edited in it. `who`: the queue is fair by it.
///
/// # Errors
/// As a read; the instance cannot be opened.
pub(super) async fn read(
    device: &Device,
    who: &str,
    deadline: Instant,
    name: Option<&str>,
) -> Result<Snapshot, Error> {
    let held = device.hold(who, deadline, Way::Beside).await;
    let mut held = held.map_err(failure::device)?;
    let read = opened(&mut held, &device.settings().name, deadline, name).await;
    // What is open still goes with the session.
    held.finish().await;
    read
}

async fn opened(
    held: &mut Held,
    device: &str,
    deadline: Instant,
    name: Option<&str>,
) -> Result<Snapshot, Error> {
    let capabilities = held.capabilities();
    let ground = Ground::new(&capabilities, Mode::Ephemeral, name)?;
    let built = |error: RequestError| failure::unbuildable(&error);
    let mut steps = ground.open(&capabilities).map_err(built)?;
    steps.extend(ground.before(&capabilities).map_err(built)?);
    let mut read = None;
    for step in steps {
        let tells = step.tells;
        let raw = send(step, held, device, deadline).await?;
        if tells == Tells::Before {
            read = Some(snapshot(device, raw).await?);
        }
    }
    let holds: Vec<_> = held.holds().iter().collect();
    for step in ground.release(&capabilities, &holds).map_err(built)? {
        send(step, held, device, deadline).await?;
    }
    read.ok_or_else(|| Error::new(ErrorCode::Internal, "the instance was not asked for"))
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
