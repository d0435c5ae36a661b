//! `client-netconf-rust netconf-rust|netconf-rust-nodelay PORT` measures netconf-rust against the server of
//! `cargo bench --bench gateway`, as it is told on standard input; as it comes, or with its `nodelay(true)`.

#[path = "../../../../gateway/side.rs"]
mod side;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use netconf_rust::{Config, Datastore};
use side::{Fault, Session, Shared, Side};

const USER: &str = "bench";
const PASSWORD: &str = "bench";

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Fault> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [name, port] = &words[..] else {
        return Err("usage: client-netconf-rust netconf-rust|netconf-rust-nodelay PORT".into());
    };
    let nodelay = match name.as_str() {
        "netconf-rust" => false,
        "netconf-rust-nodelay" => true,
        _ => return Err(format!("no library is called {name}").into()),
    };
    side::obey(&Library {
        port: port.parse()?,
        nodelay,
    })
    .await
}

struct Library {
    port: u16,
    nodelay: bool,
}

struct Connected(netconf_rust::Session);

/// A session takes many requests at once, so that callers share them in turn.
#[derive(Clone)]
struct InTurn {
    sessions: Arc<[netconf_rust::Session]>,
    next: Arc<AtomicUsize>,
}

impl Library {
    async fn open(&self) -> Result<netconf_rust::Session, Fault> {
        let mut config = Config::builder().danger_disable_host_key_verification();
        if self.nodelay {
            config = config.nodelay(true);
        }
        let config = config.build();
        Ok(
            netconf_rust::Session::connect_with_config("127.0.0.1", self.port, USER, PASSWORD, config)
                .await?,
        )
    }
}

impl Side for Library {
    type Session = Connected;
    type Shared = InTurn;

    async fn connect(&self) -> Result<Connected, Fault> {
        Ok(Connected(self.open().await?))
    }

    async fn share(&self, sessions: usize) -> Result<InTurn, Fault> {
        let mut open = Vec::new();
        for _ in 0..sessions {
            open.push(self.open().await?);
        }
        Ok(InTurn {
            sessions: open.into(),
            next: Arc::new(AtomicUsize::new(0)),
        })
    }
}

impl Session for Connected {
    async fn get(&mut self, filter: &str) -> Result<usize, Fault> {
        Ok(self.0.get_config(Datastore::Running, Some(filter)).await?.len())
    }

    async fn close(self) {
        // Only what comes before is measured.
        let _ = self.0.close().await;
    }
}

impl Shared for InTurn {
    async fn get(&self, filter: &str) -> Result<usize, Fault> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.sessions.len();
        let session = self.sessions.get(turn).ok_or("no session")?;
        Ok(session.get_config(Datastore::Running, Some(filter)).await?.len())
    }
}
