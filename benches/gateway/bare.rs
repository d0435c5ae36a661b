//! The yardstick: one russh session per connection, write a framed request, read to the end of its reply. No XML is
//! read, nothing is checked, nothing can be cancelled; it has the algorithms of the gateway, so that the cipher is
//! no difference.

use std::borrow::Cow;
use std::sync::Arc;

use russh::{ChannelStream, Preferred, cipher, client, keys};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Fault, NETCONF, PASSWORD, USER};

struct AnyHost;

impl client::Handler for AnyHost {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _key: &keys::PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// A session.
pub struct Bare {
    _connection: client::Handle<AnyHost>,
    stream: ChannelStream<client::Msg>,
    buffer: Vec<u8>,
    piece: Box<[u8]>,
    next_id: u64,
}

impl Bare {
    pub async fn connect(port: u16) -> Result<Self, Fault> {
        let preferred = Preferred {
            cipher: Cow::Borrowed(&[cipher::AES_128_GCM]),
            ..Preferred::default()
        };
        Self::connect_preferring(preferred, port).await
    }

    /// With other algorithms.
    pub async fn connect_preferring(preferred: Preferred, port: u16) -> Result<Self, Fault> {
        let config = client::Config {
            nodelay: true,
            preferred,
            ..client::Config::default()
        };
        let mut connection = client::connect(Arc::new(config), ("127.0.0.1", port), AnyHost).await?;
        if !connection.authenticate_password(USER, PASSWORD).await?.success() {
            return Err("the login was refused".into());
        }
        let channel = connection.channel_open_session().await?;
        channel.request_subsystem(true, "netconf").await?;
        let mut bare = Self {
            _connection: connection,
            stream: channel.into_stream(),
            buffer: Vec::new(),
            piece: vec![0; 64 * 1024].into(),
            next_id: 1,
        };
        let hello = format!(
            "<hello xmlns=\"{NETCONF}\"><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability>\
             <capability>urn:ietf:params:netconf:base:1.1</capability></capabilities></hello>]]>]]>"
        );
        bare.stream.write_all(hello.as_bytes()).await?;
        bare.stream.flush().await?;
        loop {
            if let Some(at) = memchr::memmem::find(&bare.buffer, b"]]>]]>") {
                bare.buffer.drain(..at + 6);
                return Ok(bare);
            }
            bare.fill().await?;
        }
    }

    /// `<get-config>` with this filter; `reply` gets the message.
    pub async fn get(&mut self, filter: &str, reply: &mut Vec<u8>) -> Result<(), Fault> {
        let operation = format!(
            "<get-config><source><running/></source><filter type=\"subtree\">{filter}</filter></get-config>"
        );
        self.call(&operation, reply).await
    }

    /// Any operation; `reply` gets the message.
    pub async fn call(&mut self, operation: &str, reply: &mut Vec<u8>) -> Result<(), Fault> {
        let request = format!(
            "<rpc xmlns=\"{NETCONF}\" message-id=\"{}\">{operation}</rpc>",
            self.next_id
        );
        self.next_id += 1;
        let framed = format!("\n#{}\n{request}\n##\n", request.len());
        self.stream.write_all(framed.as_bytes()).await?;
        self.stream.flush().await?;
        reply.clear();
        self.read_reply(reply).await
    }

    async fn read_reply(&mut self, reply: &mut Vec<u8>) -> Result<(), Fault> {
        let mut at = 0;
        loop {
            let Some(end) = self
                .buffer
                .get(at + 2..)
                .and_then(|rest| memchr::memchr(b'\n', rest))
            else {
                self.fill().await?;
                continue;
            };
            let header = std::str::from_utf8(&self.buffer[at + 2..at + 2 + end])?.to_owned();
            at += end + 3;
            if header == "#" {
                self.buffer.drain(..at);
                return Ok(());
            }
            let mut left: usize = header.parse()?;
            while left > 0 {
                if at == self.buffer.len() {
                    self.buffer.clear();
                    at = 0;
                    self.fill().await?;
                }
                let taken = left.min(self.buffer.len() - at);
                reply.extend_from_slice(&self.buffer[at..at + taken]);
                at += taken;
                left -= taken;
            }
        }
    }

    async fn fill(&mut self) -> Result<(), Fault> {
        let count = self.stream.read(&mut self.piece).await?;
        if count == 0 {
            return Err("the stream ended".into());
        }
        self.buffer.extend_from_slice(&self.piece[..count]);
        Ok(())
    }
}
