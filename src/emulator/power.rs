//! The device goes down and comes up again: what it forgets, and what it still knows.

use std::sync::atomic::Ordering;

use super::config::{Engine, Restart, Store};
use super::device::{Device, FIRST_PID};

impl Device {
    /// When the device was started last, in seconds since 1970.
    pub fn booted(&self) -> i64 {
        self.booted.load(Ordering::Relaxed)
    }

    /// Whether the device is up.
    pub fn is_up(&self) -> bool {
        !self.look(Engine::is_stopped)
    }

    /// Takes the device down: every session and connection is lost at once, and with them locks, private copies and
    /// the candidate; what a session was about to do is not done. Nothing is served and no time passes until
    /// [`Device::power_on`].
    pub fn power_off(&self) {
        self.with_engine(Engine::stop);
        self.sessions().clear();
        let ends = std::mem::take(&mut *self.ends());
        for end in ends.into_values() {
            end.cancel();
        }
        self.lines.drop_all();
    }

    /// Brings the device up, and does with a commit that waited to be confirmed what its kind of device does.
    pub fn power_on(&self) {
        let restart = self.look(|engine| engine.conduct.restart);
        self.power_on_as(restart);
    }

    /// Brings the device up, and does this with a commit that waited to be confirmed. Session-ids begin anew: one may
    /// come again that somebody else had before.
    pub fn power_on_as(&self, restart: Restart) {
        let now = self.now();
        self.next_pid.store(FIRST_PID, Ordering::Relaxed);
        self.booted.store(now, Ordering::Relaxed);
        self.with_engine(|engine| engine.start(restart, now));
    }

    /// Takes away a lock that nobody gives back, as somebody at the device would; tells whether there was one.
    pub fn clear_lock(&self, store: Store) -> bool {
        self.with_engine(|engine| engine.clear_lock(store))
    }

    /// [`Device::power_off`] and [`Device::power_on`] at once.
    pub fn reboot(&self) {
        self.power_off();
        self.power_on();
    }

    /// [`Device::power_off`] and [`Device::power_on_as`] at once.
    pub fn reboot_as(&self, restart: Restart) {
        self.power_off();
        self.power_on_as(restart);
    }
}
