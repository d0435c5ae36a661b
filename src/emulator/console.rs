//! Somebody at the CLI of an emulated device: who configures beside the NETCONF sessions, and is in their way.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::config::commit::{Confirm, Options};
use super::config::{Actor, Committed, Ending, Store, set};
use super::device::{Device, SessionRecord};
use super::device_error::DeviceError;

/// A user's session at the CLI. It ends with [`Console::exit`], or when another session kills it; a dropped one
/// stays logged in, as a forgotten terminal does.
#[derive(Clone, Debug)]
pub struct Console {
    device: Arc<Device>,
    actor: Actor,
    /// Told when the session is killed, or the device goes down.
    end: CancellationToken,
}

impl Console {
    /// Logs a user in at a terminal.
    pub fn login(device: &Arc<Device>, user: &str) -> Self {
        let actor = enter(device, user);
        Self {
            device: device.clone(),
            end: device.end_of(actor.session),
            actor,
        }
    }

    /// The process id of the session, which is what `<kill-session>` takes.
    pub fn pid(&self) -> u32 {
        self.actor.session
    }

    /// The terminal, as in `pts/0`.
    pub fn terminal(&self) -> &str {
        self.actor.terminal.as_deref().unwrap_or_default()
    }

    /// Whether the user is still logged in: nobody killed the session, and the device was not started anew.
    pub fn is_logged_in(&self) -> bool {
        // Somebody else may have its session-id by now.
        !self.end.is_cancelled() && self.device.is_logged_in(self.actor.session)
    }

    fn logged_in(&self) -> Result<(), DeviceError> {
        if self.is_logged_in() {
            return Ok(());
        }
        Err(DeviceError::new("the session at the CLI has ended"))
    }

    /// `configure exclusive`
    ///
    /// # Errors
    /// Somebody else holds the candidate, or left something in it.
    pub fn configure_exclusive(&self) -> Result<(), DeviceError> {
        self.logged_in()?;
        let now = self.device.now();
        self.device
            .with_engine(|engine| engine.lock(Store::Candidate, &self.actor, now))
    }

    /// `configure private`
    ///
    /// # Errors
    /// The session configures already.
    pub fn configure_private(&self) -> Result<(), DeviceError> {
        self.logged_in()?;
        self.device
            .with_engine(|engine| engine.open_private(self.actor.session))
    }

    /// Commands of configuration mode, one a line; answers what was wrong with them.
    ///
    /// # Errors
    /// Somebody else holds the candidate.
    pub fn edit(&self, commands: &str) -> Result<Vec<DeviceError>, DeviceError> {
        self.logged_in()?;
        let now = self.device.now();
        self.device
            .with_engine(|engine| engine.edit(&self.actor, now, |root| set::load(root, commands)))
    }

    /// `commit`, with a comment if there is one.
    ///
    /// # Errors
    /// All that is wrong, in the device's order.
    pub fn commit(&self, comment: Option<&str>) -> Result<Committed, Vec<DeviceError>> {
        self.commit_by(&Options {
            log: comment.map(str::to_owned),
            ..Options::default()
        })
    }

    /// `commit check`, which confirms on Junos.
    ///
    /// # Errors
    /// All that is wrong, in the device's order.
    pub fn commit_check(&self) -> Result<Committed, Vec<DeviceError>> {
        self.commit_by(&Options {
            check: true,
            ..Options::default()
        })
    }

    /// `commit confirmed`, for so many minutes, with a comment if there is one.
    ///
    /// # Errors
    /// All that is wrong, in the device's order.
    pub fn commit_confirmed(
        &self,
        minutes: u16,
        comment: Option<&str>,
    ) -> Result<Committed, Vec<DeviceError>> {
        self.commit_by(&Options {
            log: comment.map(str::to_owned),
            confirmed: Some(Confirm::for_seconds(60 * i64::from(minutes))),
            ..Options::default()
        })
    }

    fn commit_by(&self, options: &Options) -> Result<Committed, Vec<DeviceError>> {
        self.logged_in().map_err(|error| vec![error])?;
        let now = self.device.now();
        self.device
            .with_engine(|engine| engine.commit(&self.actor, options, now))
    }

    /// `request system logout pid`: ends another session as a kill, and tells whether there was one.
    pub fn logout(&self, pid: u32) -> bool {
        self.is_logged_in() && self.device.kill(pid)
    }

    /// `rollback 0`: what was edited and not committed is gone.
    ///
    /// # Errors
    /// Somebody else holds the candidate.
    pub fn discard(&self) -> Result<(), DeviceError> {
        self.logged_in()?;
        let now = self.device.now();
        self.device.with_engine(|engine| engine.discard(&self.actor, now))
    }

    /// Leaves configuration mode: the lock is free, a private copy gone. Edits of the shared candidate stay.
    pub fn leave_configuration(&self) {
        if !self.is_logged_in() {
            return;
        }
        let now = self.device.now();
        self.device.with_engine(|engine| {
            engine.close(self.actor.session);
            // Whoever did not hold it has nothing to give back.
            let _ = engine.unlock(Store::Candidate, &self.actor, now);
        });
    }

    /// Logs out.
    pub fn exit(self) {
        if self.is_logged_in() {
            self.device.leave(self.actor.session, Ending::Closed);
        }
    }
}

/// Enters a CLI user, whose session lasts until it is killed.
fn enter(device: &Device, user: &str) -> Actor {
    let since = device.now();
    let terminal = Some(device.free_terminal());
    let session = device.enter(SessionRecord {
        user: user.to_owned(),
        from: "-".to_owned(),
        terminal: terminal.clone(),
        since,
    });
    Actor {
        session,
        user: user.to_owned(),
        client: "cli",
        terminal,
        since,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Emulator;
    use super::super::config::Database;
    use super::*;

    /// S20, S25: a user at the CLI holds the lock against all others until he leaves or is killed.
    #[test]
    fn a_user_at_the_cli_holds_the_candidate() {
        let emulator = Emulator::builder().build().unwrap();
        let device = emulator.device();
        let (noc, other) = (Console::login(device, "noc"), Console::login(device, "other"));
        noc.configure_exclusive().unwrap();
        assert_eq!(other.terminal(), "pts/1");
        let refused = other.configure_exclusive().unwrap_err();
        let expected = format!(
            "configuration database locked by:\n  noc terminal pts/0 (pid {}) on since 2026-01-15 12:00:00 UTC, \
             idle 00:00:00\n      exclusive [edit]",
            noc.pid()
        );
        assert_eq!(&*refused.message, expected);
        assert_eq!(noc.edit("set system host-name x").unwrap(), []);
        noc.leave_configuration();
        assert!(!device.is_modified());
        other.configure_exclusive().unwrap();
        assert!(device.kill(other.pid()));
        assert_eq!(device.lock_holder(Store::Candidate), None);
    }

    /// S4: after a start session-ids begin anew; whoever had one before has no part in who has it now.
    #[test]
    fn a_session_of_before_a_start_is_nobodys() {
        let emulator = Emulator::builder().build().unwrap();
        let device = emulator.device();
        let before = Console::login(device, "noc");
        device.reboot();
        let after = Console::login(device, "other");
        assert_eq!(before.pid(), after.pid());
        assert!(!before.is_logged_in() && before.configure_exclusive().is_err());
        after.configure_exclusive().unwrap();
        before.leave_configuration();
        before.exit();
        assert!(after.is_logged_in() && device.lock_holder(Store::Candidate).is_some());
    }

    /// S20: what a user leaves in the shared candidate stays when he logs out, and is in everybody's way.
    #[test]
    fn leftovers_stay_in_the_shared_candidate() {
        let emulator = Emulator::builder().build().unwrap();
        let device = emulator.device();
        let noc = Console::login(device, "noc");
        noc.edit("set system domain-name example.net").unwrap();
        noc.exit();
        assert!(device.is_modified());
        let next = Console::login(device, "next");
        let refused = next.configure_exclusive().unwrap_err();
        assert_eq!(&*refused.message, "configuration database modified");
        next.commit(Some("theirs")).unwrap();
        let running = device.tree(Database::Committed).unwrap();
        assert_eq!(running.value(&["system", "domain-name"]), Some("example.net"));
        assert_eq!(device.running().log.as_deref(), Some("theirs"));
        assert_eq!(device.running().client, "cli");
    }
}
