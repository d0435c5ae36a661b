//! A cheap NETCONF server on SSH: replies that are ready before anybody asks, so that the client is what limits.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::{Channel, ChannelId, Preferred, cipher, keys, server};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{Fault, NETCONF};

/// Logs in without a password, so that `ssh` needs none.
pub const PIPE_USER: &str = "pipe";

/// What a filter must hold to get another reply than the small one.
const MIDDLE: &str = "<system/>";
pub const LARGE: &str = "<item/>";
pub const HUGE: &str = "<item-times-four/>";

const ITEMS: usize = 4800;
const CHUNK: usize = 16 * 1024;

/// Prints its port on standard output and serves until standard input ends.
pub async fn serve() -> Result<(), Fault> {
    let pair = Ed25519Keypair::from_seed(&[7; 32]);
    let config = Arc::new(server::Config {
        keys: vec![keys::PrivateKey::new(KeypairData::from(pair), "")?],
        // The client's order decides. The gateway prefers the first, which the library's own list of a server leaves
        // out; clients that know nothing but that list take the second.
        preferred: Preferred {
            cipher: Cow::Borrowed(&[cipher::AES_128_GCM, cipher::CHACHA20_POLY1305]),
            ..Preferred::default()
        },
        inactivity_timeout: None,
        auth_rejection_time: Duration::from_millis(1),
        auth_rejection_time_initial: Some(Duration::ZERO),
        ..server::Config::default()
    });
    let replies = Arc::new(Replies::new());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if stream.set_nodelay(true).is_err() {
                continue;
            }
            let connection = Connection {
                channels: HashMap::new(),
                replies: replies.clone(),
            };
            let config = config.clone();
            tokio::spawn(async move {
                if let Ok(running) = server::run_stream(config, stream, connection).await {
                    // How a client leaves is its own business.
                    let _ = running.await;
                }
            });
        }
    });
    crate::child::until_stdin_ends().await;
    Ok(())
}

struct Replies {
    middle: String,
    large: Vec<u8>,
    huge: Vec<u8>,
}

impl Replies {
    fn new() -> Self {
        Self {
            middle: middle(),
            large: chunked(&items(ITEMS)),
            huge: chunked(&items(4 * ITEMS)),
        }
    }
}

/// About 2 kB of configuration.
fn middle() -> String {
    let users: String = (0..12)
        .map(|number| {
            format!(
                "<user>\n<name>operator-{number}</name>\n<uid>{}</uid>\n<class>read-only</class>\n\
                 <full-name>Operator &amp; observer {number}</full-name>\n</user>\n",
                2000 + number
            )
        })
        .collect();
    format!("<gw xmlns=\"urn:example:gw\">\n<system>\n<host-name>base</host-name>\n{users}</system>\n</gw>")
}

/// About 1.1 kB each.
fn items(count: usize) -> String {
    let value = "v".repeat(1024);
    let items: String = (0..count)
        .map(|number| {
            format!("\n  <item>\n    <name>n{number:06}</name>\n    <value>{value}</value>\n  </item>")
        })
        .collect();
    format!("<gw xmlns=\"urn:example:gw\">{items}\n</gw>")
}

fn chunked(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 512);
    for piece in text.as_bytes().chunks(CHUNK) {
        out.extend_from_slice(format!("\n#{}\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
    }
    out
}

struct Connection {
    channels: HashMap<ChannelId, Channel<server::Msg>>,
    replies: Arc<Replies>,
}

impl server::Handler for Connection {
    type Error = russh::Error;

    async fn auth_none(&mut self, user: &str) -> Result<server::Auth, Self::Error> {
        Ok(match user {
            PIPE_USER => server::Auth::Accept,
            _ => server::Auth::reject(),
        })
    }

    async fn auth_password(&mut self, _user: &str, _password: &str) -> Result<server::Auth, Self::Error> {
        Ok(server::Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<server::Msg>,
        reply: server::ChannelOpenHandle,
        _session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _name: &str,
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(id)?;
        if let Some(channel) = self.channels.remove(&id) {
            let replies = self.replies.clone();
            tokio::spawn(async move {
                // As above.
                let _ = converse(channel.into_stream(), &replies).await;
            });
        }
        Ok(())
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, replies: &Replies) -> Result<(), Fault> {
    stream.write_all(hello().as_bytes()).await?;
    stream.flush().await?;
    let (mut buffer, mut piece, mut greeted) = (Vec::new(), vec![0; CHUNK], false);
    loop {
        let end: &[u8] = if greeted { b"\n##\n" } else { b"]]>]]>" };
        let Some(at) = memchr::memmem::find(&buffer, end) else {
            let count = stream.read(&mut piece).await?;
            if count == 0 {
                return Ok(());
            }
            buffer.extend_from_slice(&piece[..count]);
            continue;
        };
        let message: Vec<u8> = buffer.drain(..at + end.len()).collect();
        if greeted {
            stream
                .write_all(&answer(&String::from_utf8_lossy(&message), replies))
                .await?;
            stream.flush().await?;
        }
        greeted = true;
    }
}

fn hello() -> String {
    let modules: String = (0..50)
        .map(|number| {
            format!(
                "<capability>urn:example:module-{number}?module=module-{number}&amp;revision=2020-01-01</capability>"
            )
        })
        .collect();
    format!(
        "<hello xmlns=\"{NETCONF}\"><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability>\
         <capability>urn:ietf:params:netconf:base:1.1</capability>{modules}</capabilities>\
         <session-id>7</session-id></hello>]]>]]>"
    )
}

fn answer(request: &str, replies: &Replies) -> Vec<u8> {
    let id = request
        .split_once("message-id=\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("", |(id, _)| id);
    let head = format!("<rpc-reply xmlns=\"{NETCONF}\" message-id=\"{id}\">");
    let (before, body, after) = if request.contains("<close-session") {
        (format!("{head}<ok/>"), &[][..], "</rpc-reply>")
    } else if request.contains(LARGE) {
        (format!("{head}<data>"), &replies.large[..], "</data></rpc-reply>")
    } else if request.contains(HUGE) {
        (format!("{head}<data>"), &replies.huge[..], "</data></rpc-reply>")
    } else if request.contains(MIDDLE) {
        let before = format!("{head}<data>{}", replies.middle);
        (before, &[][..], "</data></rpc-reply>")
    } else {
        let before = format!("{head}<data><gw xmlns=\"urn:example:gw\"><hostname>base</hostname></gw>");
        (before, &[][..], "</data></rpc-reply>")
    };
    let mut out = Vec::with_capacity(before.len() + body.len() + 64);
    if body.is_empty() {
        let whole = format!("{before}{after}");
        out.extend_from_slice(format!("\n#{}\n{whole}\n##\n", whole.len()).as_bytes());
    } else {
        out.extend_from_slice(format!("\n#{}\n{before}", before.len()).as_bytes());
        out.extend_from_slice(body);
        out.extend_from_slice(format!("\n#{}\n{after}\n##\n", after.len()).as_bytes());
    }
    out
}
