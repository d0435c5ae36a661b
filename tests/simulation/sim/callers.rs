//! Callers: each has orders, one after the other; the next one comes when the one before is answered, unless that is one
//! to be made beside it.

use std::time::Duration;

use ncgate::service::Gateway;
use ncgate::service::call::Role;
use ncgate::service::edit::request::{Edit, EditBody, EditFormat};
use tokio_util::sync::CancellationToken;

use super::asking::Asking;
use super::device;
use super::gateway::context;
use super::plan::{Order, Wish};
use super::world::{World, until};

/// An order that comes again whenever the gateway was gone comes so often.
const TRIES: u32 = 4;

/// Goes through the orders that are left. What the gateway did not answer because it was gone is asked again where it has
/// a key, and only there. `served`: the gateway serves nobody any more.
pub async fn run(world: World, gateway: Gateway, served: CancellationToken, caller: usize) {
    loop {
        let next = {
            let state = world.state();
            world.plan().callers[caller].get(state.next[caller]).cloned()
        };
        let Some(order) = next else { return };
        until(order.at).await;
        let again = {
            let mut state = world.state();
            let tries = state.tries.entry(order.number).or_default();
            *tries += 1;
            let again = order.manner.key && !order.beside && *tries < TRIES;
            state.next[caller] += usize::from(!again);
            again
        };
        let beside = order.beside;
        let asked = ask(world.clone(), gateway.clone(), order);
        if beside {
            tokio::spawn(served.clone().run_until_cancelled_owned(asked));
        } else {
            asked.await;
        }
        world.state().next[caller] += usize::from(again);
    }
}

async fn ask(world: World, gateway: Gateway, order: Order) {
    let _asking = world.count(|state| &mut state.asking);
    // Whoever takes a device away adds it again.
    let stays = matches!(order.what, Wish::Remove(_));
    let patience = order.patience.filter(|_| !stays);
    let asking = Asking {
        ctx: context(&order.owner(), role(&order)),
        device: world.plan().devices[order.device].name.clone(),
        edit: edit(&world, &order),
        world: world.clone(),
        gateway,
        order,
    };
    world.trace().line(
        "caller",
        format!(
            "{:04} asks {}: {:?} {:?}",
            asking.order.number, asking.device, asking.order.what, asking.order.manner
        ),
    );
    let asked = asking.ask();
    match patience {
        None => asked.await,
        Some(span) => {
            let left = tokio::time::timeout(Duration::from_millis(span), asked)
                .await
                .is_err();
            if left {
                world.trace().line("caller", "leaves");
            }
        }
    }
}

fn role(order: &Order) -> Role {
    match order.what {
        Wish::Kill(_) | Wish::Patch(_) | Wish::Remove(_) => Role::Admin,
        Wish::Change { .. } | Wish::DryRun | Wish::EditSession { .. } => Role::Configure,
    }
}

fn edit(world: &World, order: &Order) -> Edit {
    let profile = world.plan().devices[order.device].profile;
    let broken = matches!(order.what, Wish::Change { broken: true, .. });
    let config = device::edit(profile, order.number, &order.word(), broken);
    Edit::new(EditFormat::Json, EditBody::Config(config))
}
