//! A scripted NETCONF server at the other end of an in-memory stream, for tests of session, pool and device. It
//! shares the framing with the code under test, so framing itself has byte-literal tests elsewhere.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::open::{Config, FirstRpc, open};
use super::spool::{Spool, SpoolLimits};
use super::stream::{PlainIncoming, PlainOutgoing};
use super::{Actor, Call, EndCause, SessionHandle, Traces};
use crate::json::Selection;
use crate::metrics::Metrics;
use crate::netconf::framing::{Decoder, Frame, Framing, encode};
use crate::netconf::rpc::Rpc;
use crate::xml::tree::Element;
use crate::xml::{Fragment, Limits};

/// What the server does about an RPC, in order.
#[derive(Debug, Clone)]
pub(crate) enum React {
    /// A reply with this content and the right message-id.
    Reply(String),
    /// A whole message, framed.
    Message(String),
    /// Bytes as they are.
    Raw(Vec<u8>),
    Wait(Duration),
    HangUp,
}

/// An RPC as the server got it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) message_id: String,
    pub(crate) operation: String,
    pub(crate) text: String,
}

pub(crate) type Script = Arc<dyn Fn(&Received) -> Vec<React> + Send + Sync>;

/// A server for any number of sessions.
#[derive(Clone)]
pub(crate) struct FakeDevice {
    /// The whole hello; `None`: it never sends one.
    pub(crate) hello: Option<String>,
    /// Most bytes written at once.
    pub(crate) cut: usize,
    pub(crate) script: Script,
    /// Ends every session without a word when it is cancelled.
    pub(crate) cord: CancellationToken,
    pub(crate) log: Arc<Mutex<Vec<Received>>>,
}

pub(crate) const BASE10: &str = "urn:ietf:params:netconf:base:1.0";
pub(crate) const BASE11: &str = "urn:ietf:params:netconf:base:1.1";
pub(crate) const JUNOS: &str = "http://xml.juniper.net/netconf/junos/1.0";

pub(crate) fn hello(session_id: u32, capabilities: &[&str]) -> String {
    let capabilities: String = capabilities
        .iter()
        .map(|uri| format!("<capability>{uri}</capability>"))
        .collect();
    format!(
        "<hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><capabilities>{capabilities}</capabilities>\
         <session-id>{session_id}</session-id></hello>"
    )
}

impl FakeDevice {
    pub(crate) fn new(
        capabilities: &[&str],
        script: impl Fn(&Received) -> Vec<React> + Send + Sync + 'static,
    ) -> Self {
        Self {
            hello: Some(hello(7, capabilities)),
            cut: usize::MAX,
            script: Arc::new(script),
            cord: CancellationToken::new(),
            log: Arc::default(),
        }
    }

    /// Operations in the order in which they came, over all sessions.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.received().into_iter().map(|rpc| rpc.operation).collect()
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Our end of a new connection.
    pub(crate) fn connect(
        &self,
    ) -> (
        PlainIncoming<ReadHalf<DuplexStream>>,
        PlainOutgoing<WriteHalf<DuplexStream>>,
    ) {
        let (ours, theirs) = tokio::io::duplex(4096);
        let server = self.clone();
        tokio::spawn(async move { server.serve(theirs).await });
        let (reader, writer) = tokio::io::split(ours);
        (PlainIncoming::new(reader), PlainOutgoing::new(writer))
    }

    /// A session whose actor runs.
    pub(crate) async fn session(&self) -> SessionHandle {
        self.try_session(config()).await.unwrap()
    }

    pub(crate) async fn try_session(&self, config: Config) -> Result<SessionHandle, EndCause> {
        let (handle, _task) = self.session_and_task(config).await?;
        Ok(handle)
    }

    /// With the task of its actor, which ends the session when it is aborted, as the end of a runtime does.
    pub(crate) async fn session_and_task(
        &self,
        config: Config,
    ) -> Result<(SessionHandle, JoinHandle<()>), EndCause> {
        let (incoming, outgoing) = self.connect();
        let (handle, actor): (_, Actor<_, _>) = open(incoming, outgoing, config).await?;
        let task = tokio::spawn(async move {
            actor.run().await;
        });
        Ok((handle, task))
    }

    async fn serve(self, stream: DuplexStream) {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut framing = Framing::EndOfMessage;
        if let Some(hello) = &self.hello {
            let mut bytes = Vec::new();
            encode(Framing::EndOfMessage, hello, &mut bytes);
            if self.write(&mut writer, &bytes).await.is_err() {
                return;
            }
            if hello.contains(BASE11) {
                framing = Framing::Chunked;
            }
        }
        let mut decoder = Decoder::new();
        let mut message = Vec::new();
        let mut greeted = false;
        let mut buffer = [0; 1024];
        loop {
            let count = tokio::select! {
                Ok(count @ 1..) = reader.read(&mut buffer) => count,
                () = self.cord.cancelled() => return,
                else => return,
            };
            let mut input = &buffer[..count];
            while let Some(frame) = decoder.decode(&mut input).unwrap() {
                match frame {
                    Frame::Data(data) => message.extend_from_slice(data),
                    Frame::End => {
                        let text = String::from_utf8(std::mem::take(&mut message)).unwrap();
                        if !greeted {
                            assert!(text.contains("<hello"), "{text}");
                            greeted = true;
                            decoder.set_framing(framing);
                        } else if !self.serve_rpc(&text, framing, &mut writer).await {
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Whether the session goes on.
    async fn serve_rpc(&self, text: &str, framing: Framing, writer: &mut WriteHalf<DuplexStream>) -> bool {
        let rpc = Element::parse(text, &Limits::default()).unwrap();
        let received = Received {
            message_id: rpc.attribute("message-id").unwrap().to_owned(),
            operation: rpc.children().next().unwrap().local.clone(),
            text: text.to_owned(),
        };
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(received.clone());
        let mut reactions = (self.script)(&received);
        if received.operation == "close-session" && reactions.is_empty() {
            reactions = vec![React::Reply("<ok/>".to_owned()), React::HangUp];
        }
        for reaction in reactions {
            let mut bytes = Vec::new();
            match reaction {
                React::Reply(content) => encode(framing, &reply(&received.message_id, &content), &mut bytes),
                React::Message(text) => encode(framing, &text, &mut bytes),
                React::Raw(raw) => bytes = raw,
                React::Wait(time) => tokio::time::sleep(time).await,
                React::HangUp => return false,
            }
            if self.write(writer, &bytes).await.is_err() {
                return false;
            }
        }
        true
    }

    async fn write(&self, writer: &mut WriteHalf<DuplexStream>, bytes: &[u8]) -> std::io::Result<()> {
        for piece in bytes.chunks(self.cut) {
            writer.write_all(piece).await?;
        }
        Ok(())
    }
}

pub(crate) fn reply(message_id: &str, content: &str) -> String {
    format!(
        "<rpc-reply xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\" message-id=\"{message_id}\">{content}</rpc-reply>"
    )
}

/// A spool in a directory of its own, which lives as long as the process.
pub(crate) fn spool(limits: SpoolLimits) -> Arc<Spool> {
    let dir = tempfile::tempdir().unwrap().keep();
    Spool::open(&dir, limits).unwrap()
}

pub(crate) fn config() -> Config {
    Config {
        spool: spool(SpoolLimits::default()),
        metrics: Arc::new(Metrics::new()),
        hello_timeout: Duration::from_secs(10),
        first_rpc: FirstRpc::AtOnce,
        echo: false,
    }
}

/// A read that has 30 s.
pub(crate) fn call(operation: &str) -> Call {
    Call {
        rpc: rpc(operation),
        attributes: Vec::new(),
        deadline: tokio::time::Instant::now() + Duration::from_secs(30),
        traces: Traces::None,
        selection: Some(Selection::ReplyPayload),
    }
}

pub(crate) fn rpc(operation: &str) -> Rpc {
    Rpc::new(Fragment::parse_one(&format!("<{operation}/>"), &Limits::default()).unwrap())
}
