//! A read of a small configuration through REST and through gRPC, beside a bare SSH loop with the codec in it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ncgate::app::Running;
use ncgate::config::{Config, Environment, SettingArgs, Values};
use ncgate::json::{Options, Selection, to_json};
use ncgate::xml::Source;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::bare::Bare;
use crate::child::{Process, until_stdin_ends};
use crate::grpc::Grpc;
use crate::tally::{Samples, cpu, heading, line, micros};
use crate::{Fault, PASSWORD, USER};

const ROUNDS: usize = 9;
const REQUESTS: usize = 240;

/// What is read, and the same in a URL.
pub const FILTER: &str = "<gw xmlns=\"urn:example:gw\"><system/></gw>";
const PATH: &str = "/v1/devices/fake/config?protocol=rfc&filter=%3Cgw%20xmlns%3D%22urn%3Aexample%3Agw%22%3E%3Csystem%2F%3E%3C%2Fgw%3E";

/// Prints two tables.
pub async fn run(port: u16) -> Result<(), Fault> {
    let (one, four) = (compare(port, 1).await?, compare(port, 4).await?);
    heading("REST read of a small configuration against a bare russh loop with codec");
    lines(1, "of loop and of gateway", &one.bare, &one.rest);
    lines(4, "of loop and of gateway", &four.bare, &four.rest);
    heading("gRPC read of the same against REST");
    lines(1, "of the gateway", &one.rest, &one.grpc);
    lines(4, "of the gateway", &four.rest, &four.grpc);
    Ok(())
}

/// What one way to read took, round by round.
#[derive(Default)]
struct Taken {
    wall: Samples,
    rate: Samples,
    cpu: Samples,
}

#[derive(Default)]
struct Sides {
    bare: Taken,
    rest: Taken,
    grpc: Taken,
}

fn lines(sessions: usize, whose: &str, yardstick: &Taken, ours: &Taken) {
    let name = |figure: &str| format!("{sessions} in flight, {figure}");
    line(&name("p50 µs"), &yardstick.wall, &ours.wall, "");
    line(&name("reads/s"), &yardstick.rate, &ours.rate, "");
    line(&name(&format!("CPU µs {whose}")), &yardstick.cpu, &ours.cpu, "");
}

async fn compare(port: u16, sessions: usize) -> Result<Sides, Fault> {
    let mut gateway = Process::start(&["serve", &port.to_string(), &sessions.to_string(), IN_MEMORY])?;
    let address = gateway.line()?;
    let (mut loops, mut clients, mut stubs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..sessions {
        loops.push(Bare::connect(port).await?);
        clients.push(Http::connect(&address).await?);
        stubs.push(Grpc::connect(&address).await?);
    }
    let each = REQUESTS / sessions;
    let (mut sides, mut warm_up) = (Sides::default(), Sides::default());
    for round in 0..=ROUNDS {
        let sides = if round == 0 { &mut warm_up } else { &mut sides };
        turn(&mut loops, each, None, &mut sides.bare).await?;
        turn(&mut clients, each, Some(gateway.id()), &mut sides.rest).await?;
        turn(&mut stubs, each, Some(gateway.id()), &mut sides.grpc).await?;
    }
    Ok(sides)
}

/// A round of one side; the CPU time is that of `process`, or of this one.
async fn turn<R: Reader>(
    readers: &mut Vec<R>,
    each: usize,
    process: Option<u32>,
    taken: &mut Taken,
) -> Result<(), Fault> {
    let total = (each * readers.len()) as f64;
    let (start, before) = (Instant::now(), cpu(process));
    let (back, samples) = read(std::mem::take(readers), each).await?;
    let (took, used) = (start.elapsed(), cpu(process) - before);
    *readers = back;
    taken.wall.push(samples.median());
    taken.rate.push(total / took.as_secs_f64());
    taken.cpu.push(micros(used) / total);
    Ok(())
}

/// Someone who reads the configuration again and again.
pub trait Reader: Send + 'static {
    fn read(&mut self) -> impl Future<Output = Result<(), Fault>> + Send;
}

impl Reader for Bare {
    async fn read(&mut self) -> Result<(), Fault> {
        let mut reply = Vec::new();
        self.get(FILTER, &mut reply).await?;
        let source = Source::Memory(Bytes::from(reply));
        let json = to_json(&source, Selection::ReplyPayload, &Options::api_default())?;
        assert!(json.contains("host-name"), "{json}");
        Ok(())
    }
}

impl Reader for Http {
    async fn read(&mut self) -> Result<(), Fault> {
        let body = self.get(PATH).await?;
        assert!(memchr::memmem::find(body, b"host-name").is_some());
        Ok(())
    }
}

/// All readers read so many times, side by side; they come back with what each read took.
async fn read<R: Reader>(readers: Vec<R>, times: usize) -> Result<(Vec<R>, Samples), Fault> {
    let mut running = JoinSet::new();
    for mut reader in readers {
        running.spawn(async move {
            let mut took = Vec::with_capacity(times);
            for _ in 0..times {
                let start = Instant::now();
                reader.read().await?;
                took.push(micros(start.elapsed()));
            }
            Ok::<_, Fault>((reader, took))
        });
    }
    let (mut back, mut samples) = (Vec::new(), Samples::default());
    while let Some(ended) = running.join_next().await {
        let (reader, took) = ended??;
        back.push(reader);
        took.into_iter().for_each(|took| samples.push(took));
    }
    Ok((back, samples))
}

/// A database that ends with its gateway.
pub const IN_MEMORY: &str = "sqlite::memory:";

/// The child: a gateway with the server as its one device. Prints its address.
pub async fn serve(port: u16, sessions: usize, database: &str) -> Result<(), Fault> {
    let settings = SettingArgs {
        listen: Some("127.0.0.1:0".to_owned()),
        database: Some(database.to_owned()),
        device_networks: Some("127.0.0.0/8".to_owned()),
        ..SettingArgs::default()
    };
    let values = Values::collect(&settings, &Environment::default(), None)?;
    let running = Running::start(&Config::from_values(&values)?).await?;
    let address = running.address().to_string();
    let device = json!({
        "name": "fake",
        "address": "127.0.0.1",
        "port": port,
        "username": USER,
        "auth": {"password": PASSWORD},
        "host_key": {"policy": "tofu"},
        "pool": {"max_sessions": sessions},
    });
    let mut client = Http::connect(&address).await?;
    client.post("/v1/devices", &device.to_string()).await?;
    // Opens the sessions' first; the rest open when they are needed.
    client.post("/v1/devices/fake/check", "").await?;
    println!("{address}");
    until_stdin_ends().await;
    running.stop().await?;
    Ok(())
}

/// As little of an HTTP client as will do: one kept connection, one request at a time.
pub struct Http {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Http {
    pub async fn connect(address: &str) -> Result<Self, Fault> {
        let stream = tokio::time::timeout(Duration::from_secs(5), TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    pub async fn get(&mut self, path: &str) -> Result<&[u8], Fault> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
            .await
    }

    pub async fn post(&mut self, path: &str, body: &str) -> Result<&[u8], Fault> {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}"
        );
        self.ask(&format!("{head}\r\n\r\n{body}")).await
    }

    /// The answer, as it came, headers included.
    async fn ask(&mut self, request: &str) -> Result<&[u8], Fault> {
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        while !whole(&self.buffer) {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the gateway closed the connection".into());
            }
        }
        if !self.buffer.starts_with(b"HTTP/1.1 2") {
            return Err(String::from_utf8_lossy(&self.buffer).into());
        }
        Ok(&self.buffer)
    }
}

/// Whether this is all of an answer, by its length or its last chunk.
fn whole(answer: &[u8]) -> bool {
    let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    match head.split_once("content-length: ") {
        Some((_, rest)) => {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits
                .parse::<usize>()
                .is_ok_and(|length| answer.len() >= end + 4 + length)
        }
        None => answer.ends_with(b"\r\n0\r\n\r\n"),
    }
}
