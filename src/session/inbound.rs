//! From bytes to messages: framing is taken off, what XML cannot hold is replaced, the first pass looks at every
//! byte as it comes, and the message is kept in the spool for the second one.

use std::sync::Arc;

use tokio::time::Instant;

use super::error::EndCause;
use super::first_pass::{FirstPass, Scanned};
use super::spool::{Body, Spool, SpoolError, Stored};
use crate::json::Selection;
use crate::netconf::framing::{Decoder, Frame};
use crate::xml::{Sanitizer, Source, close_routing_engine};

/// What becomes of a message that begins to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Keep it for its caller. `repair`: it answers a commit or a validate, whose replies may hold an unclosed
    /// routing-engine.
    /// `selection`: what of it will become JSON, if any.
    Keep {
        repair: bool,
        selection: Option<Selection>,
    },
    /// Look for its message-id only.
    Drop,
}

/// What happened in the stream.
pub enum Step {
    /// The first byte of a message has come.
    Begins,
    /// A whole message has come.
    Complete(Box<Message>),
}

/// A whole message.
pub struct Message {
    pub scanned: Scanned,
    /// Where it lies; the error says why it could not be kept. `None`: it was not wanted.
    pub kept: Option<Result<(Source, Stored), SpoolError>>,
    pub lossy: bool,
    pub bytes: u64,
    pub first_byte_at: Instant,
}

struct Partial {
    pass: Pass,
    selection: Option<Selection>,
    body: Kept,
    sanitizer: Sanitizer,
    bytes: u64,
    first_byte_at: Instant,
    repair: bool,
}

enum Pass {
    Running(Box<FirstPass>),
    /// Not well-formed, and to be repaired when it is whole.
    Broken(crate::xml::XmlError),
}

enum Kept {
    Body(Body),
    Failed(SpoolError),
    Unwanted,
}

/// The receiving side of one session.
pub struct Inbound {
    decoder: Decoder,
    spool: Arc<Spool>,
    partial: Option<Partial>,
    /// For what had to be repaired.
    clean: Vec<u8>,
}

impl Inbound {
    /// Goes on where the hello ended.
    pub fn new(decoder: Decoder, spool: Arc<Spool>) -> Self {
        Self {
            decoder,
            spool,
            partial: None,
            clean: Vec::new(),
        }
    }

    /// Whether a message has begun and is not complete.
    pub fn is_inside(&self) -> bool {
        self.partial.is_some()
    }

    /// The message under way is not wanted any more: what was kept of it is dropped.
    pub fn forget(&mut self) {
        if let Some(partial) = &mut self.partial {
            partial.body = Kept::Unwanted;
        }
    }

    /// Takes from the front of `input` until something happened or it is used up (`None`). `wanted` counts for
    /// a message that begins.
    ///
    /// # Errors
    /// What ends the session: broken framing, XML that is not well-formed (Q5).
    pub async fn take(&mut self, input: &mut &[u8], wanted: Wanted) -> Result<Option<Step>, EndCause> {
        while let Some(frame) = self.decoder.decode(input).map_err(EndCause::Framing)? {
            match frame {
                Frame::Data(data) => {
                    if self.partial.is_some() {
                        self.add(data).await?;
                        continue;
                    }
                    // Some servers put line ends between messages.
                    let data = data.trim_ascii_start();
                    if data.is_empty() {
                        continue;
                    }
                    self.begin(wanted);
                    self.add(data).await?;
                    return Ok(Some(Step::Begins));
                }
                Frame::End => {
                    let Some(partial) = self.partial.take() else {
                        // An empty message answers nothing.
                        return Err(FirstPass::new(None)
                            .finish()
                            .map_or_else(xml_error, |_| EndCause::Unsolicited));
                    };
                    return self
                        .complete(partial)
                        .await
                        .map(|message| Some(Step::Complete(Box::new(message))));
                }
            }
        }
        Ok(None)
    }

    fn begin(&mut self, wanted: Wanted) {
        let (body, repair, selection) = match wanted {
            Wanted::Keep { repair, selection } => (Kept::Body(Body::new(&self.spool)), repair, selection),
            Wanted::Drop => (Kept::Unwanted, false, None),
        };
        self.partial = Some(Partial {
            pass: Pass::Running(Box::new(FirstPass::new(selection))),
            selection,
            body,
            sanitizer: Sanitizer::new(),
            bytes: 0,
            first_byte_at: Instant::now(),
            repair,
        });
    }

    async fn add(&mut self, data: &[u8]) -> Result<(), EndCause> {
        let Some(partial) = &mut self.partial else {
            return Ok(());
        };
        partial.bytes += data.len() as u64;
        if partial.sanitizer.passes(data) {
            return partial.take(data).await;
        }
        self.clean.clear();
        partial.sanitizer.push(data, &mut self.clean);
        partial.take(&self.clean).await
    }

    async fn complete(&mut self, mut partial: Partial) -> Result<Message, EndCause> {
        self.clean.clear();
        partial.sanitizer.finish(&mut self.clean);
        partial.take(&self.clean).await?;
        // Idle sessions are many, and need no buffer.
        self.clean = Vec::new();
        let Partial {
            pass,
            selection,
            body,
            sanitizer,
            bytes,
            first_byte_at,
            repair,
        } = partial;
        let lossy = sanitizer.lossy();
        let failure = match pass {
            Pass::Running(pass) => match pass.finish() {
                Ok(scanned) => {
                    let kept = match body {
                        Kept::Body(body) => Some(body.finish().await),
                        Kept::Failed(error) => Some(Err(error)),
                        Kept::Unwanted => None,
                    };
                    return Ok(Message {
                        scanned,
                        kept,
                        lossy,
                        bytes,
                        first_byte_at,
                    });
                }
                Err(error) => error,
            },
            Pass::Broken(error) => error,
        };
        let text = match &body {
            Kept::Body(body) if repair => body.as_memory().and_then(|bytes| std::str::from_utf8(bytes).ok()),
            Kept::Body(_) | Kept::Failed(_) | Kept::Unwanted => None,
        };
        // junos.md 1.4: the documented repair, and only where a strict parse failed.
        let Some(text) = text.and_then(close_routing_engine) else {
            return Err(xml_error(failure));
        };
        let mut pass = FirstPass::new(selection);
        pass.push(text.as_bytes()).map_err(xml_error)?;
        let scanned = pass.finish().map_err(xml_error)?;
        let kept = Some(Ok((Source::from(text), Stored::default())));
        Ok(Message {
            scanned,
            kept,
            lossy,
            bytes,
            first_byte_at,
        })
    }
}

impl Partial {
    async fn take(&mut self, clean: &[u8]) -> Result<(), EndCause> {
        if let Pass::Running(pass) = &mut self.pass
            && let Err(error) = pass.push(clean)
        {
            if !self.repair {
                return Err(xml_error(error));
            }
            self.pass = Pass::Broken(error);
        }
        if let Kept::Body(body) = &mut self.body
            && let Err(error) = body.append(clean).await
        {
            self.body = Kept::Failed(error);
        }
        Ok(())
    }
}

fn xml_error(error: crate::xml::XmlError) -> EndCause {
    EndCause::Xml(Arc::new(error))
}
