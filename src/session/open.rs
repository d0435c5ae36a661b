//! The beginning of a session: our hello at once, theirs in time, and what both together decide.
//!
//! RFC 6241 section 8.1, RFC 6242 section 4.1.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::actor::{Actor, Parts, sleep_until};
use super::error::EndCause;
use super::handle::{Facts, SessionHandle, Status};
use super::inbound::Inbound;
use super::spool::Spool;
use super::state::{Event, Phase, State};
use super::stream::{Incoming, Outgoing};
use super::wheel::Wheel;
use crate::metrics::Metrics;
use crate::netconf::capability::Capabilities;
use crate::netconf::framing::{self, Framing};
use crate::netconf::hello::{self, HelloReader, ServerHello};

/// Calls that may wait for the actor to take them.
const COMMANDS: usize = 16;

/// Some servers lose an RPC that they read together with our hello; this long after it they have read it.
const FIRST_RPC_PAUSE: Duration = Duration::from_millis(50);

/// When the first RPC may follow our hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FirstRpc {
    /// At once for a server whose hello says that it is Junos, else after a pause.
    #[default]
    Auto,
    /// As soon as their hello is read.
    AtOnce,
    AfterPause,
}

/// How a session is to be run.
#[derive(Debug, Clone)]
pub struct Config {
    pub spool: Arc<Spool>,
    pub metrics: Arc<Metrics>,
    pub hello_timeout: Duration,
    pub first_rpc: FirstRpc,
    /// The stream is a pseudo-terminal, which may send back to us what we send (S3).
    pub echo: bool,
}

/// Exchanges hellos. Nothing else happens in the session before its actor is run.
///
/// # Errors
/// Why there is no session: no hello in time, one that is not usable (S4), or the stream ended.
///
/// # Cancel safety
/// Dropping the future drops the stream.
pub async fn open<I: Incoming, O: Outgoing>(
    mut incoming: I,
    mut outgoing: O,
    config: Config,
) -> Result<(SessionHandle, Actor<I, O>), EndCause> {
    let mut state = State::new(Instant::now() + config.hello_timeout).with_echo(config.echo);
    let our_hello = our_hello();
    let mut reader = if config.echo {
        HelloReader::with_echo(&our_hello)
    } else {
        HelloReader::new()
    };
    let mut received: Option<(ServerHello, Bytes)> = None;
    let mut written = None;
    {
        let write = outgoing.write(framed(&our_hello));
        tokio::pin!(write);
        while written.is_none() || received.is_none() {
            let event = tokio::select! {
                result = &mut write, if written.is_none() => match result {
                    Ok(()) => {
                        written = Some(Instant::now());
                        continue;
                    }
                    Err(loss) => Event::Lost(EndCause::Transport(loss)),
                },
                result = incoming.next(), if received.is_none() => match result {
                    Ok(Some(bytes)) => {
                        let mut rest = &bytes[..];
                        match reader.push(&mut rest) {
                            Ok(None) => continue,
                            Ok(Some(hello)) => {
                                received = Some((hello, bytes.slice(bytes.len() - rest.len()..)));
                                continue;
                            }
                            Err(error) => Event::Lost(EndCause::Hello(Arc::new(error))),
                        }
                    }
                    Ok(None) => Event::Lost(no_hello(std::mem::take(&mut reader), incoming.last_words().await)),
                    Err(loss) => Event::Lost(EndCause::Transport(loss)),
                },
                () = sleep_until(state.next_wake()) => Event::Tick,
            };
            // Nothing is submitted before the session is open, so nothing is refused.
            let _ = state.on(event, Instant::now());
            if let Phase::Closed(cause) = state.phase() {
                return Err(cause.clone());
            }
        }
    }
    let (Some(written), Some((hello, rest))) = (written, received) else {
        return Err(EndCause::HelloTimeout);
    };
    let pause = pause(config.first_rpc, &hello.capabilities);
    // As above.
    let _ = state.on(
        Event::Hello {
            ready_at: written + pause,
        },
        Instant::now(),
    );
    let framing = hello.framing();
    let (commands, receiver) = mpsc::channel(COMMANDS);
    let (status, watched) = watch::channel(Status {
        session_id: hello.session_id,
        ended: None,
        outstanding: 0,
        clean: state.is_clean(),
        since: Instant::now(),
    });
    let facts = Arc::new(Facts {
        session_id: hello.session_id,
        capabilities: Arc::new(hello.capabilities),
        framing,
        opened_at: Instant::now(),
        next_id: AtomicU64::new(1),
    });
    let wheel = Wheel::new();
    let actor = Actor::new(Parts {
        wheel: wheel.clone(),
        incoming,
        outgoing,
        state,
        inbound: Inbound::new(reader.into_decoder(framing), config.spool),
        rest,
        commands: receiver,
        status,
        facts: facts.clone(),
        metrics: config.metrics,
    });
    Ok((
        SessionHandle {
            commands,
            status: watched,
            facts,
            wheel,
        },
        actor,
    ))
}

fn our_hello() -> String {
    hello::client_hello().expect("our hello is fixed text, which can be written")
}

fn framed(hello: &str) -> Bytes {
    let mut message = Vec::new();
    framing::encode(Framing::EndOfMessage, hello, &mut message);
    message.into()
}

/// The stream ended before a hello. What the server said on standard error tells more than what is missing.
fn no_hello(reader: HelloReader, told: String) -> EndCause {
    if told.is_empty() {
        EndCause::Hello(Arc::new(reader.finish()))
    } else {
        EndCause::EndOfStream { told }
    }
}

fn pause(first_rpc: FirstRpc, capabilities: &Capabilities) -> Duration {
    match first_rpc {
        FirstRpc::AtOnce => Duration::ZERO,
        FirstRpc::Auto if capabilities.is_junos() => Duration::ZERO,
        FirstRpc::Auto | FirstRpc::AfterPause => FIRST_RPC_PAUSE,
    }
}
