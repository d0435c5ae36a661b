//! What a device is from moment to moment, written down at the device: for those who hold against it what was told
//! meanwhile. It goes by the device's own clock, so nobody else can look.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ncgate::emulator::device::Device;

use super::world::{USER, World, now};

/// How often a device is looked at.
pub const EVERY: Duration = Duration::from_millis(100);

/// A device since this moment, or since at most [`EVERY`] before.
#[derive(Clone, Debug)]
pub struct Glimpse {
    pub at: Duration,
    pub shape: Shape,
}

/// What is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The sessions of the gateway.
    pub sessions: BTreeSet<u32>,
    /// How many deeds it has done.
    pub deeds: usize,
    /// It is at work on taking a commit back.
    pub undoing: bool,
    /// It has power, and answers.
    pub up: bool,
}

/// Writes down what changes, for ever.
pub async fn keep(world: World, number: usize, device: Arc<Device>) {
    loop {
        let shape = look(&device);
        {
            let mut state = world.state();
            let glimpses = state.glimpses.entry(number).or_default();
            if glimpses.last().is_none_or(|last| last.shape != shape) {
                glimpses.push(Glimpse { at: now(), shape });
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn look(device: &Device) -> Shape {
    let ours = device
        .sessions()
        .iter()
        .filter(|(_, session)| session.user == USER)
        .map(|(id, _)| *id)
        .collect();
    let up = device.is_up();
    device.with_engine(|engine| Shape {
        sessions: ours,
        deeds: engine.deeds().count(),
        undoing: engine.undoing_until().is_some(),
        up,
    })
}
