//! What happens at a device, and what others do there.

use std::sync::Arc;
use std::time::Duration;

use ncgate::emulator::device::Device;
use ncgate::emulator::{Console, DeviceError, Fault, Rule, Until};

use super::plan::{Deed, Trouble};
use super::world::{USER, World};

fn word(number: u32) -> String {
    format!("set interfaces xe-9/0/0 description ext-{number:06}")
}

pub async fn meddle(world: &World, number: usize, device: &Arc<Device>, deed: Deed) {
    let plan = &world.plan().devices[number];
    let say = |what: String| world.trace().line(&plan.name, format!("! {what}"));
    match deed {
        Deed::Power(span) => {
            if !device.is_up() {
                return;
            }
            device.power_off();
            say("is down".to_owned());
            tokio::time::sleep(Duration::from_millis(span)).await;
            device.power_on();
            say("is up".to_owned());
        }
        Deed::Fault(operation, trouble) => {
            say(format!("{trouble:?} at the next {operation}"));
            device.faults.add(Rule::on(operation, fault(trouble)).once());
        }
        Deed::Lock(span) => {
            let console = Console::login(device, "noc");
            say(format!("locks: {:?}", console.configure_exclusive()));
            tokio::time::sleep(Duration::from_millis(span)).await;
            leave(console);
        }
        Deed::Type(number, span) => {
            let console = Console::login(device, "noc");
            let typed = console.edit(&word(number));
            say(format!("types: {typed:?}"));
            tokio::time::sleep(Duration::from_millis(span)).await;
            if typed.is_ok() {
                say(format!("discards: {:?}", console.discard()));
            }
            leave(console);
        }
        Deed::Commit(number) => {
            let console = Console::login(device, "noc");
            if console.configure_exclusive().is_ok() {
                let edited = console.edit(&word(number));
                say(format!("commits: {edited:?} {:?}", console.commit(Some("noc"))));
            }
            leave(console);
        }
        Deed::CommitConfirmed(number, minutes, on_top) => {
            let console = Console::login(device, "noc");
            if (on_top || !device.is_rollback_pending()) && console.configure_exclusive().is_ok() {
                let edited = console.edit(&word(number));
                let committed = console.commit_confirmed(minutes, Some("noc"));
                say(format!("commits confirmed: {edited:?} {committed:?}"));
            }
            leave(console);
        }
        Deed::Confirm => {
            let console = Console::login(device, "noc");
            if device.confirmed().is_some() && !device.is_modified() {
                say(format!("confirms: {:?}", console.commit(Some("noc"))));
            }
            leave(console);
        }
        Deed::Check => {
            let console = Console::login(device, "noc");
            if !device.is_modified() {
                say(format!("checks: {:?}", console.commit_check()));
            }
            leave(console);
        }
        Deed::ClearScheduled => {
            let cleared = device.with_engine(|engine| engine.clear_scheduled());
            say(format!("calls off what is to be committed later: {cleared}"));
        }
        Deed::Kill => {
            let ours = device
                .sessions()
                .iter()
                .find_map(|(id, session)| (session.user == USER).then_some(*id));
            if let Some(id) = ours {
                say(format!("kills {id}: {}", device.kill(id)));
            }
        }
    }
}

fn leave(console: Console) {
    console.leave_configuration();
    console.exit();
}

fn fault(trouble: Trouble) -> Fault {
    let after = |span: u64| Until::Passed(Duration::from_millis(span));
    match trouble {
        Trouble::Delay(span) => Fault::Delay(Duration::from_millis(span)),
        Trouble::Late(span) => Fault::Late(after(span)),
        Trouble::DropBefore => Fault::DropBeforeOperation,
        Trouble::DropThen(span) => Fault::DropThenOperation(after(span)),
        Trouble::DropAfter => Fault::DropBeforeReply,
        Trouble::Never => Fault::NeverReply,
        Trouble::Swallow => Fault::Swallow,
        Trouble::Refuse => Fault::Errors(vec![DeviceError::new("not now")]),
        Trouble::Forbid => Fault::Errors(vec![
            DeviceError::new("permission denied").tagged("protocol", "access-denied"),
        ]),
        Trouble::Unheard => Fault::Errors(vec![DeviceError::syntax("this")]),
        Trouble::CutShort(bytes) => Fault::DropAfter(bytes),
        Trouble::WrongMessageId => Fault::WrongMessageId,
        Trouble::Garbage => Fault::GarbageBefore(b"cannot allocate memory\n".to_vec()),
        Trouble::MalformedXml => Fault::MalformedXml,
        Trouble::Twice => Fault::DuplicateReply,
        Trouble::Warn => Fault::Warnings(vec!["the fan is slow".to_owned()]),
    }
}
