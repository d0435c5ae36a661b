//! Four holders at a time share a pool, each with a schedule that is drawn by lot: locks, private copies, ephemeral
//! instances, edits and confirmed commits are taken, refused, given back and forgotten; replies are lost or not waited
//! for; sessions are killed and dropped. What the device keeps for each session is known, so that a session which is
//! handed out with anything is seen (Q2).

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::holds::{Hold, Touch};
use super::truth::{CANDIDATE, Fate, Truth};
use super::{Connect, Pinned, Pool};
use crate::ids::Ids;
use crate::netconf::datastore::Datastore;
use crate::netconf::rpc::Rpc;
use crate::session::fake::rpc;
use crate::session::quick::{self, Does};
use crate::session::{Call, SessionHandle, Traces};

const HOLDERS: usize = 4;
/// From taking a session to giving it back; as many as `NCGATE_TEST_SCHEDULES` says where that is set.
const SCHEDULES: u64 = 100_000;

const RUNNING: Hold = Hold::Lock(Datastore::Running);

/// What is done in a session, the frequent several times.
const TOUCHES: [Touch; 18] = [
    Touch::Nothing,
    Touch::Applies,
    Touch::Unknown,
    Touch::Acquires(CANDIDATE),
    Touch::Acquires(RUNNING),
    Touch::Acquires(Hold::Private),
    Touch::Acquires(Hold::Ephemeral),
    Touch::Edits,
    Touch::Edits,
    Touch::Edits,
    Touch::CommitsConfirmed,
    Touch::Releases(CANDIDATE),
    Touch::Releases(CANDIDATE),
    Touch::Releases(RUNNING),
    Touch::Releases(Hold::Private),
    Touch::Releases(Hold::Ephemeral),
    Touch::Releases(Hold::Edits),
    Touch::Releases(Hold::ConfirmedCommit),
];

/// What comes of it.
const FATES: [Fate; 10] = [
    Fate::Done,
    Fate::Done,
    Fate::Done,
    Fate::Done,
    Fate::Done,
    Fate::Done,
    Fate::Refused,
    Fate::Refused,
    Fate::DoneUnheard,
    Fate::RefusedUnheard,
];

/// How a reply comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum When {
    AtOnce,
    /// When its caller's time is up, but not yet twice that time.
    Late,
}

const DEADLINE: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_millis(1500);

/// The device, which is told by the name of an operation what to make of it.
#[derive(Default)]
struct Device {
    /// By their session-ids; `None`: it has ended.
    sessions: Vec<Option<(Truth, CancellationToken)>>,
}

/// The place of a session, whose id is one more.
fn place(session: u64) -> usize {
    usize::try_from(session).unwrap() - 1
}

impl Device {
    fn serve(&mut self, session: u64, operation: &str) -> (Does, Duration) {
        let mut words = operation.split('-');
        let mut number = || words.next().and_then(|word| word.parse::<usize>().ok());
        // `x-TOUCH-FATE-WHEN`, or the end of the session.
        let (None, Some(touch), Some(fate), Some(late)) = (number(), number(), number(), number()) else {
            self.sessions[place(session)] = None;
            return (Does::Ok, Duration::ZERO);
        };
        let (touch, fate) = (TOUCHES[touch], FATES[fate]);
        if let Some((truth, _)) = &mut self.sessions[place(session)] {
            truth.apply(touch, fate);
        }
        let does = match fate {
            Fate::Done | Fate::DoneUnawaited => Does::Ok,
            Fate::Refused => Does::Refuses,
            Fate::NotSent | Fate::DoneUnheard | Fate::RefusedUnheard => {
                self.sessions[place(session)] = None;
                Does::HangsUp
            }
        };
        (does, if late == 0 { Duration::ZERO } else { LATE })
    }
}

#[derive(Clone, Default)]
struct Server(Arc<Mutex<Device>>);

impl Server {
    fn device(&self) -> MutexGuard<'_, Device> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a session from outside, with all that it holds.
    fn kill(&self, session: u64) {
        if let Some((_, cord)) = self.device().sessions[place(session)].take() {
            cord.cancel();
        }
    }

    /// What a session that is handed out holds on the device; one that was killed this moment holds nothing.
    fn holds_of(&self, session: u64) -> Vec<Hold> {
        match &self.device().sessions[place(session)] {
            Some((truth, _)) => {
                let held: Vec<Hold> = truth.all().collect();
                assert!(truth.is_nothing() || !held.is_empty(), "{truth:?}");
                held
            }
            None => Vec::new(),
        }
    }
}

impl Connect for Server {
    type Error = Infallible;

    async fn connect(&self) -> Result<SessionHandle, Infallible> {
        let (session, cord) = {
            let (mut device, cord) = (self.device(), CancellationToken::new());
            device.sessions.push(Some((Truth::default(), cord.clone())));
            (device.sessions.len() as u64, cord)
        };
        let server = self.clone();
        let serve = move |operation: &str| server.device().serve(session, operation);
        Ok(quick::open(session, cord, serve))
    }
}

/// Draws what happens next.
struct Lots {
    ids: Ids,
    /// Drawn already; what is drawn together is had sooner.
    drawn: Vec<u8>,
    /// The RPC of each touch, fate and time of its reply.
    rpcs: Vec<Rpc>,
}

impl Lots {
    fn new(seed: u64) -> Self {
        let mut rpcs = Vec::new();
        for touch in 0..TOUCHES.len() {
            for fate in 0..FATES.len() {
                for when in [When::AtOnce, When::Late] {
                    let late = usize::from(when == When::Late);
                    let name = format!("x-{touch}-{fate}-{late}");
                    rpcs.push(rpc(&name));
                }
            }
        }
        Self {
            ids: Ids::seeded(seed),
            drawn: Vec::new(),
            rpcs,
        }
    }

    fn below(&mut self, most: usize) -> usize {
        let drawn = self.drawn.pop().unwrap_or_else(|| {
            self.drawn.extend(self.ids.bytes::<4096>());
            0
        });
        usize::from(drawn) % most
    }

    fn call(&self, touch: usize, fate: usize, when: When) -> Call {
        Call {
            rpc: self.rpcs[(touch * FATES.len() + fate) * 2 + usize::from(when == When::Late)].clone(),
            attributes: Vec::new(),
            deadline: Instant::now() + DEADLINE,
            traces: Traces::None,
            selection: None,
        }
    }
}

/// One who has a session.
struct Holder {
    pinned: Pinned<Server>,
    /// RPCs until it gives the session up.
    left: usize,
}

/// What came of all schedules.
#[derive(Debug, Default)]
struct Tally {
    reused: u64,
    given_back: u64,
    refused: u64,
    /// What sessions held that were not taken back.
    kept_out: HashSet<Hold>,
}

struct Run {
    server: Server,
    pool: Pool<Server>,
    lots: Lots,
    /// The newest session that was handed out.
    newest: u64,
    tally: Tally,
}

impl Run {
    fn new(seed: u64) -> Self {
        let server = Server::default();
        Self {
            pool: Pool::new(server.clone(), HOLDERS),
            server,
            lots: Lots::new(seed),
            newest: 0,
            tally: Tally::default(),
        }
    }

    async fn go(mut self, schedules: u64) -> Tally {
        let mut holders: [Option<Holder>; HOLDERS] = [const { None }; HOLDERS];
        let mut begun = 0;
        while begun < schedules {
            let place = self.lots.below(HOLDERS);
            holders[place] = match holders[place].take() {
                Some(holder) if holder.left > 0 => Some(self.step(holder).await),
                Some(holder) => {
                    self.end(holder).await;
                    None
                }
                None => {
                    begun += 1;
                    self.begin(begun).await
                }
            };
        }
        self.tally
    }

    /// A session is handed out: this is what must never go wrong.
    async fn begin(&mut self, schedule: u64) -> Option<Holder> {
        let lent = self.pool.checkout().await.expect("sessions can be opened");
        let session = lent.session_id();
        let held = self.server.holds_of(session);
        assert_eq!(held, [], "session {session} is handed out, schedule {schedule}");
        self.tally.reused += u64::from(session <= self.newest);
        self.newest = session.max(self.newest);
        match self.lots.below(8) {
            // Who only reads.
            0 => {
                // What the device does not answer is part of the game.
                let _ = lent.call(self.lots.call(0, 0, When::AtOnce)).await;
                None
            }
            // Who sends something past the books.
            1 => {
                let call = Call {
                    traces: Traces::Possible,
                    ..self.lots.call(2, 0, When::AtOnce)
                };
                let _ = lent.call(call).await;
                None
            }
            _ => Some(Holder {
                pinned: lent.pin(),
                left: self.lots.below(4),
            }),
        }
    }

    async fn step(&mut self, mut holder: Holder) -> Holder {
        holder.left -= 1;
        let (touch, fate) = (self.lots.below(TOUCHES.len()), self.lots.below(FATES.len()));
        match self.lots.below(32) {
            0 => self.server.kill(holder.pinned.session_id()),
            // The caller leaves before the reply, or its time is up before that.
            how @ (1 | 2) => {
                let call = self.lots.call(touch, fate, When::Late);
                let asked = holder.pinned.call(call, TOUCHES[touch]);
                match how {
                    1 => drop(tokio::time::timeout(Duration::from_millis(1), asked).await),
                    _ => drop(asked.await),
                }
            }
            _ => {
                let call = self.lots.call(touch, fate, When::AtOnce);
                let _ = holder.pinned.call(call, TOUCHES[touch]).await;
            }
        }
        self.books_hold_all(&holder);
        holder
    }

    /// Whatever the device has open for a session that lives, its books say.
    fn books_hold_all(&self, holder: &Holder) {
        if let Some((truth, _)) = &self.server.device().sessions[place(holder.pinned.session_id())] {
            let holds = holder.pinned.holds();
            assert_eq!(truth.unbooked(holds), None, "{holds:?}, {truth:?}");
        }
    }

    async fn end(&mut self, mut holder: Holder) {
        match self.lots.below(4) {
            // It vanishes.
            0 => return,
            // It gives back what it holds before.
            1 | 2 => {
                let held: Vec<Hold> = holder.pinned.holds().iter().collect();
                for hold in held {
                    let releases = |touch: &Touch| *touch == Touch::Releases(hold);
                    if let Some(touch) = TOUCHES.iter().position(releases) {
                        let fate = self.lots.below(8);
                        let call = self.lots.call(touch, fate, When::AtOnce);
                        let _ = holder.pinned.call(call, TOUCHES[touch]).await;
                    }
                }
                holder.pinned.idle().await;
            }
            _ => {}
        }
        match holder.pinned.release() {
            Ok(lent) => {
                self.tally.given_back += 1;
                drop(lent);
            }
            Err(pinned) => {
                self.tally.refused += 1;
                self.tally.kept_out.extend(pinned.holds().iter());
            }
        }
    }
}

/// Q2: over 100,000 random schedules of four holders at a time the pool never hands out a session that holds something.
#[test]
fn no_session_is_handed_out_that_holds_something() {
    let wanted = std::env::var("NCGATE_TEST_SCHEDULES").ok();
    let schedules = wanted.map_or(SCHEDULES, |number| number.parse().unwrap());
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let run = |seed: u64| {
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .start_paused(true)
                    .build()
                    .unwrap();
                runtime.block_on(Run::new(seed).go(schedules.div_ceil(2)))
            }
        };
        let threads = [scope.spawn(run(1)), scope.spawn(run(2))];
        threads.map(|thread| thread.join().unwrap()).into()
    });
    for tally in tallies {
        // It would mean little if every session were opened for its holder, or none were refused.
        assert!(tally.reused > schedules / 8, "{tally:?}");
        assert!(
            tally.given_back > schedules / 16 && tally.refused > schedules / 16,
            "{tally:?}"
        );
        let thing = |hold: &&Hold| TOUCHES.contains(&Touch::Acquires(**hold));
        let others = [Hold::Edits, Hold::ConfirmedCommit];
        let all: HashSet<Hold> = Hold::ALL.iter().filter(thing).copied().chain(others).collect();
        assert_eq!(tally.kept_out, all);
    }
}
