//! How long an edit session lives, as a pure state: `now` is an argument, and what is to be done about an end is an
//! answer (conventions L2, L3).
//!
//! ```text
//!          Stop(Released)          -> Closed   wind down
//!          Stop(ConfirmedCommit)   -> Closed   the session lives on elsewhere
//!          Stop(Killed | ...)      -> Lost     wind down, or give up when the session is gone
//!   Open --SessionEnded            -> Lost     give up
//!     |  --Tick, ttl over and idle -> Expired  wind down
//!     +--> Begins, Ends, Renew: the expiry moves; while an RPC runs the clock stands still
//! ```

use std::time::Duration;

use tokio::time::Instant;

/// Where an edit session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EditState {
    Open,
    /// Given back.
    Closed,
    /// Not used for longer than its time to live.
    Expired,
    /// Its NETCONF session is gone.
    Lost,
}

impl EditState {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Expired => "expired",
            Self::Lost => "lost",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Open, Self::Closed, Self::Expired, Self::Lost]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// Why an edit session is not open any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EditReason {
    /// By its owner or an administrator.
    Released,
    /// Its time to live was over.
    TtlExpired,
    /// The NETCONF session was killed by a call of this gateway.
    Killed,
    /// The NETCONF session ended by itself.
    SessionLost,
    GatewayRestarted,
    DeviceRemoved,
    /// What it committed has to be confirmed: its NETCONF session is looked after elsewhere (C2).
    ConfirmedCommit,
}

impl EditReason {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::TtlExpired => "ttl_expired",
            Self::Killed => "killed",
            Self::SessionLost => "session_lost",
            Self::GatewayRestarted => "gateway_restarted",
            Self::DeviceRemoved => "device_removed",
            Self::ConfirmedCommit => "confirmed_commit",
        }
    }

    /// The state that it leads to.
    fn state(self) -> EditState {
        match self {
            Self::Released | Self::ConfirmedCommit => EditState::Closed,
            Self::TtlExpired => EditState::Expired,
            Self::Killed | Self::SessionLost | Self::GatewayRestarted | Self::DeviceRemoved => {
                EditState::Lost
            }
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// An RPC of the session is about to be sent.
    Begins,
    /// The device owes the session no reply any more.
    Ends,
    /// Its owner says that it is still needed.
    Renew,
    /// Time has passed.
    Tick,
    /// It is to end, for this reason.
    Stop(EditReason),
    /// The NETCONF session is gone.
    SessionEnded,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Nothing,
    /// The session is alive: undo what it did, give back what it holds.
    WindDown,
    /// The session is gone, and everything with it.
    GiveUp,
}

/// One edit session's life.
#[derive(Debug, Clone)]
pub struct Lease {
    ttl: Duration,
    state: EditState,
    reason: Option<EditReason>,
    expires_at: Instant,
    busy: bool,
}

impl Lease {
    /// A session that was just opened.
    pub fn new(ttl: Duration, now: Instant) -> Self {
        Self {
            ttl,
            state: EditState::Open,
            reason: None,
            expires_at: now + ttl,
            busy: false,
        }
    }

    pub fn state(&self) -> EditState {
        self.state
    }

    pub fn reason(&self) -> Option<EditReason> {
        self.reason
    }

    /// When it expires if nothing happens. While an RPC runs that is its whole time to live from now on; once ended,
    /// when it would have.
    pub fn expires_at(&self, now: Instant) -> Instant {
        if self.busy && self.state == EditState::Open {
            now + self.ttl
        } else {
            self.expires_at
        }
    }

    /// When [`Event::Tick`] is due; `None`: not before something else happens.
    pub fn next_tick(&self) -> Option<Instant> {
        (self.state == EditState::Open && !self.busy).then_some(self.expires_at)
    }

    /// Takes an event and says what to do. Whatever comes after the end changes nothing.
    pub fn on(&mut self, event: Event, now: Instant) -> Effect {
        if self.state != EditState::Open {
            return Effect::Nothing;
        }
        match event {
            Event::Begins => self.busy = true,
            Event::Ends => {
                self.busy = false;
                self.push(now);
            }
            Event::Renew => self.push(now),
            Event::Tick if self.busy || now < self.expires_at => {}
            Event::Tick => return self.end(EditReason::TtlExpired, Effect::WindDown),
            Event::Stop(reason) => {
                let effect = match reason {
                    // The device has cut it already, or will in a moment.
                    EditReason::Killed | EditReason::SessionLost => Effect::GiveUp,
                    EditReason::Released
                    | EditReason::TtlExpired
                    | EditReason::GatewayRestarted
                    | EditReason::DeviceRemoved
                    // Only if nobody takes the session.
                    | EditReason::ConfirmedCommit => Effect::WindDown,
                };
                return self.end(reason, effect);
            }
            Event::SessionEnded => return self.end(EditReason::SessionLost, Effect::GiveUp),
        }
        Effect::Nothing
    }

    /// Monotonic: an expiry never moves back.
    fn push(&mut self, now: Instant) {
        self.expires_at = self.expires_at.max(now + self.ttl);
    }

    fn end(&mut self, reason: EditReason, effect: Effect) -> Effect {
        self.state = reason.state();
        self.reason = Some(reason);
        self.busy = false;
        effect
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    /// L2: calls and renewals push the expiry, and while an RPC runs the clock stands still.
    #[test]
    fn use_pushes_the_expiry_and_rpcs_stop_the_clock() {
        let start = Instant::now();
        let mut lease = Lease::new(TTL, start);
        assert_eq!(lease.next_tick(), Some(start + TTL));
        lease.on(Event::Renew, start + seconds(30));
        assert_eq!(lease.next_tick(), Some(start + seconds(90)));
        lease.on(Event::Begins, start + seconds(80));
        assert_eq!(lease.next_tick(), None);
        let late = start + seconds(500);
        assert_eq!(lease.on(Event::Tick, late), Effect::Nothing);
        assert_eq!(lease.expires_at(late), late + TTL);
        lease.on(Event::Ends, late);
        assert_eq!(lease.next_tick(), Some(late + TTL));
        assert_eq!(
            lease.on(Event::Tick, late + TTL - Duration::from_millis(1)),
            Effect::Nothing
        );
        assert_eq!(lease.on(Event::Tick, late + TTL), Effect::WindDown);
        assert_eq!(
            (lease.state(), lease.reason()),
            (EditState::Expired, Some(EditReason::TtlExpired))
        );
    }

    /// L2, L3: what each end leads to.
    #[test]
    fn every_end_has_its_state_and_effect() {
        use {EditReason as R, EditState as S, Effect as E};
        let cases = [
            (Event::Stop(R::Released), S::Closed, R::Released, E::WindDown),
            (Event::Stop(R::Killed), S::Lost, R::Killed, E::GiveUp),
            (Event::SessionEnded, S::Lost, R::SessionLost, E::GiveUp),
            (
                Event::Stop(R::GatewayRestarted),
                S::Lost,
                R::GatewayRestarted,
                E::WindDown,
            ),
            (
                Event::Stop(R::DeviceRemoved),
                S::Lost,
                R::DeviceRemoved,
                E::WindDown,
            ),
        ];
        for busy in [false, true] {
            for (event, state, reason, effect) in cases {
                let now = Instant::now();
                let mut lease = Lease::new(TTL, now);
                if busy {
                    lease.on(Event::Begins, now);
                }
                assert_eq!(lease.on(event, now), effect, "{event:?}");
                assert_eq!((lease.state(), lease.reason()), (state, Some(reason)));
                assert_eq!(lease.next_tick(), None);
                assert_eq!(EditState::from_name(state.as_str()), Some(state));
            }
        }
    }

    fn event() -> impl Strategy<Value = Event> {
        use EditReason as R;
        let reason = proptest::sample::select(vec![
            R::Released,
            R::Killed,
            R::SessionLost,
            R::GatewayRestarted,
            R::DeviceRemoved,
        ]);
        prop_oneof![
            4 => Just(Event::Begins),
            4 => Just(Event::Ends),
            3 => Just(Event::Renew),
            8 => Just(Event::Tick),
            1 => reason.prop_map(Event::Stop),
            1 => Just(Event::SessionEnded),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// L2, L3: in whatever order things happen, a session ends once, stays ended, never expires while an RPC of it
        /// runs or before its time, and the expiry never moves back.
        #[test]
        fn lease_holds_in_every_order(events in proptest::collection::vec((event(), 0_u64..90), 1..40)) {
            let mut now = Instant::now();
            let mut lease = Lease::new(TTL, now);
            let (mut used, mut busy, mut ends) = (now, false, 0);
            for (event, later) in events {
                now += seconds(later);
                let before = lease.clone();
                let effect = lease.on(event, now);
                if before.state() != EditState::Open {
                    prop_assert_eq!(effect, Effect::Nothing);
                    prop_assert_eq!((lease.state(), lease.reason()), (before.state(), before.reason()));
                    continue;
                }
                match event {
                    Event::Begins => busy = true,
                    Event::Ends => (busy, used) = (false, now),
                    Event::Renew => used = now,
                    Event::Tick => {
                        let over = !busy && now >= used + TTL;
                        prop_assert_eq!(lease.state() == EditState::Expired, over);
                    }
                    Event::Stop(_) | Event::SessionEnded => {
                        prop_assert_ne!(lease.state(), EditState::Open);
                    }
                }
                ends += usize::from(effect != Effect::Nothing);
                prop_assert_eq!(effect != Effect::Nothing, lease.state() != EditState::Open);
                prop_assert!(lease.expires_at(now) >= before.expires_at(now).min(used + TTL));
            }
            prop_assert!(ends <= 1);
        }
    }
}
