//! The session layer and the public Rust clients beside the bare loop, each in a process of its own, taking turns on
//! one server.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ncgate::json::Selection;
use ncgate::session::SessionHandle;
use ncgate::session::spool::SpoolLimits;
use russh::Preferred;

use crate::bare::Bare;
use crate::child::Process;
use crate::fake::LARGE;
use crate::ours::{self, Ours, Pooled};
use crate::side::{self, Session, Side};
use crate::stack::Stack;
use crate::tally::{Samples, cpu, micros};
use crate::{Fault, SMALL};

const ROUNDS: usize = 21;
const CONNECTS: usize = 4;
const REQUESTS: usize = 1000;
const CALLERS: usize = 16;
const SESSIONS: usize = 4;
const REQUESTS_EACH: usize = 200;
const LARGE_AT_LEAST: usize = 5_000_000;

/// Names of the sides, and the programs of the public clients; the first is the yardstick.
const SIDES: [(&str, Option<&str>); 8] = [
    ("bare", None),
    ("ncgate", None),
    ("ncgate-sessions", None),
    ("bare-own-cipher", None),
    ("rustnetconf", Some("clients")),
    ("netconf-async", Some("clients")),
    ("netconf-rust", Some("client-netconf-rust")),
    ("netconf-rust-nodelay", Some("client-netconf-rust")),
];

/// What is measured: a title, the command, how many requests it makes, and whether a higher figure is a better one.
struct Measure {
    title: &'static str,
    command: String,
    requests: usize,
    rate: bool,
    at_least: usize,
}

fn measures() -> [Measure; 4] {
    [
        Measure {
            title: "connect",
            command: format!("connect\t{CONNECTS}"),
            requests: CONNECTS,
            rate: false,
            at_least: 0,
        },
        Measure {
            title: "small request",
            command: format!("get\t{REQUESTS}\t{SMALL}"),
            requests: REQUESTS,
            rate: false,
            at_least: 1,
        },
        Measure {
            title: "16 callers, 4 sessions",
            command: format!("share\t{SESSIONS}\t{CALLERS}\t{REQUESTS_EACH}\t{SMALL}"),
            requests: CALLERS * REQUESTS_EACH,
            rate: true,
            at_least: 1,
        },
        Measure {
            title: "5.3 MB reply",
            command: format!("get\t1\t{LARGE}"),
            requests: 1,
            rate: false,
            at_least: LARGE_AT_LEAST,
        },
    ]
}

/// A side's process, until it fails.
struct Runner {
    name: &'static str,
    process: Option<Process>,
    figures: Samples,
    cpu: Samples,
}

impl Runner {
    fn start(name: &'static str, program: Option<&str>, port: u16, directory: &Path) -> Result<Self, Fault> {
        let port = port.to_string();
        let process = match program {
            None => Process::start(&["side", name, &port])?,
            Some(program) => Process::command(Command::new(directory.join(program)).args([name, &port]))?,
        };
        Ok(Self {
            name,
            process: Some(process),
            figures: Samples::default(),
            cpu: Samples::default(),
        })
    }

    /// One turn. A side that fails is out, with a word on why: it stops this measure, not the others' figures.
    fn turn(&mut self, measure: &Measure, counts: bool) {
        let Some(process) = &mut self.process else {
            return;
        };
        match turn(process, measure) {
            Ok((figure, used)) if counts => {
                self.figures.push(figure);
                self.cpu.push(used);
            }
            Ok(_) => {}
            Err(fault) => {
                println!("{}: {}: {fault}", self.name, measure.title);
                self.process = None;
            }
        }
    }
}

/// Microseconds of a request, or requests per second; and microseconds of CPU time for each request.
fn turn(process: &mut Process, measure: &Measure) -> Result<(f64, f64), Fault> {
    let before = cpu(Some(process.id()));
    process.tell(&measure.command)?;
    let line = process.line()?;
    let used = cpu(Some(process.id())).saturating_sub(before);
    let (took, length) = line.split_once(' ').ok_or("an answer of one word")?;
    if length.parse::<usize>()? < measure.at_least {
        return Err(format!("a reply of {length} bytes").into());
    }
    let took: f64 = took.parse()?;
    let requests = measure.requests as f64;
    let figure = if measure.rate { requests * 1e6 / took } else { took };
    Ok((figure, micros(used) / requests))
}

/// Prints one table for each measure. A measure has processes of its own, so that one cannot burden the next.
pub fn run(port: u16, directory: &Path) -> Result<(), Fault> {
    for measure in measures() {
        let mut sides = SIDES
            .iter()
            .map(|(name, program)| Runner::start(name, *program, port, directory))
            .collect::<Result<Vec<_>, _>>()?;
        for round in 0..=ROUNDS {
            // Whoever begins is another one each time; the first round warms up.
            sides.rotate_left(1);
            for side in &mut sides {
                side.turn(&measure, round > 0);
            }
        }
        print(&measure, &sides);
    }
    Ok(())
}

fn print(measure: &Measure, sides: &[Runner]) {
    let Some(yardstick) = sides.iter().find(|side| side.name == SIDES[0].0) else {
        return;
    };
    let unit = if measure.rate { "requests/s" } else { "µs" };
    println!("\n### {}\n", measure.title);
    println!("| side | {unit} | ratio: median | min | max | CPU µs | ratio: median | min | max |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, _) in SIDES {
        let Some(side) = sides
            .iter()
            .find(|side| side.name == name && side.process.is_some())
        else {
            println!("| {name} | failed | | | | | | | |");
            continue;
        };
        print!("| {name}");
        for (own, other) in [(&side.figures, &yardstick.figures), (&side.cpu, &yardstick.cpu)] {
            let ratio = own.over(other);
            let [median, least, most] = [0.5, 0.0, 1.0].map(|part| ratio.quantile(part));
            print!(" | {:.1} | {median:.2} | {least:.2} | {most:.2}", own.median());
        }
        println!(" |");
    }
}

/// The child for a side that lives in this program.
pub async fn obey(name: &str, port: u16) -> Result<(), Fault> {
    match name {
        "bare" => {
            side::obey(&BareSide {
                port,
                gateway_cipher: true,
            })
            .await
        }
        "bare-own-cipher" => {
            side::obey(&BareSide {
                port,
                gateway_cipher: false,
            })
            .await
        }
        "ncgate" => side::obey(&Ours::new(port, SpoolLimits::default())?).await,
        "ncgate-sessions" => side::obey(&Sessions(Ours::new(port, SpoolLimits::default())?)).await,
        _ => Err(format!("no side is called {name}").into()),
    }
}

struct BareSide {
    port: u16,
    /// The cipher that the gateway prefers, or the one that the SSH library does.
    gateway_cipher: bool,
}

impl Side for BareSide {
    type Session = Bare;
    type Shared = Stack<Bare>;

    async fn connect(&self) -> Result<Bare, Fault> {
        match self.gateway_cipher {
            true => Bare::connect(self.port).await,
            false => Bare::connect_preferring(Preferred::default(), self.port).await,
        }
    }

    async fn share(&self, sessions: usize) -> Result<Stack<Bare>, Fault> {
        let mut open = Vec::new();
        for _ in 0..sessions {
            open.push(self.connect().await?);
        }
        Ok(Stack::of(open))
    }
}

impl Session for Bare {
    async fn get(&mut self, filter: &str) -> Result<usize, Fault> {
        let mut reply = Vec::new();
        Bare::get(self, filter, &mut reply).await?;
        Ok(reply.len())
    }

    async fn close(self) {}
}

impl Side for Ours {
    type Session = SessionHandle;
    type Shared = Pooled;

    async fn connect(&self) -> Result<SessionHandle, Fault> {
        self.open().await
    }

    async fn share(&self, sessions: usize) -> Result<Pooled, Fault> {
        // One is kept from readers.
        Ok(self.pooled(sessions + 1))
    }
}

/// As [`Ours`], with sessions that are handed out as those of a library without a pool are.
struct Sessions(Ours);

impl Side for Sessions {
    type Session = SessionHandle;
    type Shared = Stack<SessionHandle>;

    async fn connect(&self) -> Result<SessionHandle, Fault> {
        self.0.open().await
    }

    async fn share(&self, sessions: usize) -> Result<Stack<SessionHandle>, Fault> {
        let mut open = Vec::new();
        for _ in 0..sessions {
            open.push(self.connect().await?);
        }
        Ok(Stack::of(open))
    }
}

impl Session for SessionHandle {
    async fn get(&mut self, filter: &str) -> Result<usize, Fault> {
        let reply = ours::get(self, filter, Some(Selection::ReplyPayload)).await?;
        Ok(usize::try_from(reply.bytes)?)
    }

    async fn close(self) {
        SessionHandle::close(&self, Duration::from_secs(2)).await;
    }
}
