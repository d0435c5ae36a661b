//! `ncgate event …`: what happened, and what happens.

use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http::Method;

use super::client::{ClientArgs, Request};
use super::exit::{Exit, Failure};
use super::output::{self, Columns, Format};
use super::page::PageArgs;
use super::{stdio, yaml};

const EVENTS: Columns = &[
    ("TIME", "/time"),
    ("TYPE", "/type"),
    ("DEVICE", "/device"),
    ("OUTCOME", "/outcome"),
    ("REASON", "/reason"),
    ("OWNER", "/owner"),
    ("ID", "/id"),
];
/// How long a gateway that went away is called again.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);
/// A line of a stream is no longer than this, in bytes.
const LONGEST_LINE: u64 = 1 << 20;

/// What happened, and what happens.
#[derive(Debug, clap::Subcommand)]
pub enum EventCommand {
    /// List events, the newest first; or follow them
    List {
        /// Only those of this device
        #[arg(long, value_name = "NAME")]
        device: Option<String>,
        /// Only those of this type, or of the types that begin so: change, change.failed, confirmed_commit, session, …
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        #[command(flatten)]
        page: PageArgs,
        /// Print events as they come, until interrupted; with JSON each on a line of its own
        #[arg(short, long, conflicts_with_all = ["page_size", "page_token"])]
        follow: bool,
        /// Begin after this event
        #[arg(long, value_name = "ID", requires = "follow")]
        after: Option<String>,
        #[command(flatten)]
        client: ClientArgs,
    },
}

impl EventCommand {
    /// # Errors
    /// [`Failure`]
    pub fn run(&self) -> Result<Exit, Failure> {
        let Self::List {
            device,
            kind,
            page,
            follow,
            after,
            client,
        } = self;
        let request = || {
            let options = [("device", device), ("type", kind)];
            let given = options
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.as_ref()?)));
            given.fold(
                Request::new(Method::GET, &["events"]),
                |request, (name, value)| request.query(name, value),
            )
        };
        if *follow {
            let follower = Follower {
                client,
                last: after.clone(),
                begun: false,
            };
            return follower.run(request);
        }
        page.show(client, request(), ("events", EVENTS))
    }
}

/// One way through the stream, over as many connections as it takes.
struct Follower<'a> {
    client: &'a ClientArgs,
    /// What was seen last.
    last: Option<String>,
    /// Something was printed, or could have been.
    begun: bool,
}

impl Follower<'_> {
    fn run(mut self, request: impl Fn() -> Request) -> Result<Exit, Failure> {
        let mut heard = Instant::now();
        loop {
            let mut request = request().header("Accept", "text/event-stream");
            if let Some(last) = &self.last {
                request = request.header("Last-Event-ID", last);
            }
            match self.client.send(request) {
                Ok(answer) => {
                    self.print(answer.body.into_with_config().limit(u64::MAX).reader())?;
                    heard = Instant::now();
                }
                // The first answer tells whether there is a gateway, and whether it takes the request.
                Err(failure)
                    if !self.begun || failure.exit() != Exit::Unreachable || heard.elapsed() > PATIENCE =>
                {
                    return Err(failure);
                }
                Err(_) => {}
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Prints events until the connection ends.
    fn print(&mut self, body: impl std::io::Read) -> Result<(), Failure> {
        if !self.begun && self.client.output == Format::Table {
            print(&line(EVENTS.iter().map(|(title, _)| (*title).to_owned())))?;
        }
        self.begun = true;
        let mut body = BufReader::new(body);
        let (mut data, mut text) = (String::new(), Vec::new());
        loop {
            text.clear();
            let read = std::io::Read::take(&mut body, LONGEST_LINE).read_until(b'\n', &mut text);
            match read {
                Ok(_) if text.ends_with(b"\n") => {}
                // The gateway ends, or went away.
                Ok(_) | Err(_) => return Ok(()),
            }
            let field = String::from_utf8_lossy(&text);
            let field = field.trim_end_matches(['\r', '\n']);
            if let Some(id) = field.strip_prefix("id: ") {
                self.last = Some(id.to_owned());
            } else if let Some(text) = field.strip_prefix("data: ") {
                text.clone_into(&mut data);
            } else if field.is_empty() && !data.is_empty() {
                self.event(&data)?;
                data.clear();
            }
        }
    }

    fn event(&self, data: &str) -> Result<(), Failure> {
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            return Ok(());
        };
        match self.client.output {
            Format::Json => print(&format!("{event}\n")),
            Format::Yaml => print(&format!("---\n{}", yaml::emit(&event))),
            Format::Table => {
                if event["type"] == "reset" {
                    stdio::tell("events were missed that are not kept any more\n")?;
                    return Ok(());
                }
                print(&line(
                    EVENTS
                        .iter()
                        .map(|(_, pointer)| output::cell(event.pointer(pointer))),
                ))
            }
        }
    }
}

/// At once, for whoever reads along.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = stdio::out();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// A line of a table whose widths cannot follow what is still to come.
fn line(cells: impl Iterator<Item = String>) -> String {
    const WIDTHS: [usize; 7] = [24, 30, 16, 11, 20, 12, 0];
    let cells = cells.zip(WIDTHS).map(|(cell, width)| format!("{cell:width$}"));
    let line = cells.collect::<Vec<_>>().join("  ");
    format!("{}\n", line.trim_end())
}
