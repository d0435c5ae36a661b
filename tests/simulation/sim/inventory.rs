//! What an admin does to the gateway's inventory while there is work.

use std::time::Duration;

use ncgate::error::ErrorCode;
use ncgate::service::Gateway;
use ncgate::service::call::CallContext;
use serde_json::json;

use super::gateway::add_device;
use super::plan::Patch;
use super::watch;
use super::world::World;

/// How long it takes until a device is added again that could not be.
const PAUSE: Duration = Duration::from_secs(2);

/// Changes a device; that may be refused.
pub async fn patch(world: &World, gateway: &Gateway, ctx: &CallContext, device: &str, patch: Patch) {
    let patch = match patch {
        Patch::Label(number) => json!({"labels": {"rack": format!("r{number}")}}),
        Patch::RpcSeconds(seconds) => json!({"timeouts": {"rpc_seconds": seconds}}),
    };
    let changed = gateway.update_device(ctx, device, &patch.to_string(), None).await;
    let said = changed.map_or_else(|error| error.detail().to_owned(), |view| view.etag);
    world
        .trace()
        .line("caller", format!("{device} becomes {patch}: {said}"));
}

/// Removes a device, which is refused while it is in use, and adds it again.
pub async fn replace(world: &World, gateway: &Gateway, ctx: &CallContext, device: usize, pause: u64) {
    let name = &world.network().devices[device].0;
    // Nobody can ask for it afterwards.
    let Ok(former) = watch::of_device(gateway, name).await else {
        return;
    };
    let removed = gateway.delete_device(ctx, name, None).await;
    let said = removed.as_ref().map_err(|error| error.detail());
    world
        .trace()
        .line("caller", format!("{name} is removed: {said:?}"));
    if removed.is_err() {
        return;
    }
    {
        let mut state = world.state();
        state.absent.insert(device);
        let all = state.former.entry(device).or_default();
        all.name = former.name;
        all.changes.extend(former.changes);
        all.edit_sessions.extend(former.edit_sessions);
    }
    tokio::time::sleep(Duration::from_millis(pause)).await;
    add(world.clone(), gateway.clone(), device).await;
}

/// Adds a device that was removed.
pub async fn add(world: World, gateway: Gateway, device: usize) {
    while let Err(error) = add_device(&world, &gateway, device).await {
        // The gateway was gone just after it had done so.
        if error.code() == ErrorCode::AlreadyExists {
            break;
        }
        let line = format!("device {device} is not added: {}", error.detail());
        world.trace().line("caller", line);
        tokio::time::sleep(PAUSE).await;
    }
    world.state().absent.remove(&device);
    world
        .trace()
        .line("caller", format!("device {device} is added again"));
}
