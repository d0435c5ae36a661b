//! The first pass over a message, as its bytes come: strict tokenizer, the reply's class and errors, and the index
//! that the conversion to JSON needs.

use crate::json::{ConvertError, Index, Indexer, Selection};
use crate::netconf::reply::{ReplyScan, ReplyScanner};
use crate::xml::{Event, Handler, Limits, Tokenizer, XmlError};

/// A pass that is under way.
pub struct FirstPass {
    tokenizer: Tokenizer,
    watchers: Watchers,
}

/// What the pass found.
pub struct Scanned {
    /// Local name of the root element.
    pub root_name: String,
    pub scan: ReplyScan,
    /// If a selection was asked for. That it failed is no fault of the message: it is still well-formed.
    pub index: Option<Result<Index, ConvertError>>,
}

impl FirstPass {
    /// `selection`: what of the message will become JSON, if any.
    pub fn new(selection: Option<Selection>) -> Self {
        Self {
            tokenizer: Tokenizer::new(Limits::default()),
            watchers: Watchers {
                root_name: String::new(),
                scanner: ReplyScanner::new(),
                indexer: selection.map(|selection| Ok(Indexer::new(selection))),
            },
        }
    }

    /// The next bytes, cut anywhere.
    ///
    /// # Errors
    /// What is not well-formed, or beyond a limit (X3).
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), XmlError> {
        self.tokenizer.push(bytes, &mut self.watchers)
    }

    /// The end of the message.
    ///
    /// # Errors
    /// When it was not a whole document.
    pub fn finish(mut self) -> Result<Scanned, XmlError> {
        self.tokenizer.finish(&mut self.watchers)?;
        let Watchers { root_name, scanner, indexer } = self.watchers;
        Ok(Scanned { root_name, scan: scanner.finish(), index: indexer.map(|indexer| indexer.map(Indexer::finish)) })
    }
}

struct Watchers {
    root_name: String,
    scanner: ReplyScanner,
    indexer: Option<Result<Indexer, ConvertError>>,
}

impl Handler for Watchers {
    type Error = XmlError;

    fn event(&mut self, event: Event<'_>) -> Result<(), XmlError> {
        if let Event::Start(start) = event
            && start.depth() == 1
        {
            start.local().clone_into(&mut self.root_name);
        }
        self.scanner.event(event)?;
        if let Some(Ok(indexer)) = &mut self.indexer
            && let Err(error) = indexer.event(event)
        {
            self.indexer = Some(Err(error));
        }
        Ok(())
    }
}
