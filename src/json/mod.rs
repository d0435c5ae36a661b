//! XML to JSON and back.
//!
//! XML becomes JSON in two passes without a tree: [`Indexer`] may run while a reply arrives, [`Converter`] then
//! writes in slices, at the pace of whoever reads. The default mapping is called `ncj`: what an element looks like
//! depends on the element and on the hint table, not on how many siblings it happens to have.
//!
//! This module knows nothing of NETCONF operations; it stands on [`crate::xml`].

pub mod convert;
mod cursor;
mod hints;
mod index;
mod indexer;
mod machine;
mod options;
mod parse;
mod passed;
pub(crate) mod pointer;
mod text;
mod to_xml;

pub use hints::HintTable;
pub use index::{Index, Selection};
pub use indexer::Indexer;
pub use machine::Converter;
pub use options::{Arrays, Mapping, Options};
pub use passed::check_device_json;
pub use to_xml::{ConfigDialect, Target, ToXmlError, ToXmlOptions, to_xml};

use crate::xml::{Limits, Source, XmlError, parse_source};

/// Why a document did not become JSON.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// It is not well-formed, or over a limit.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// It is so irregular that the index of its irregularities is too big.
    #[error("the index of repeated and interleaved elements exceeds {limit} bytes")]
    IndexTooBig {
        /// Bytes allowed.
        limit: usize,
    },
    /// Comments in a leaf that cannot all be shown: none are left out without a word.
    #[error("the leaf at byte {offset} is one of those whose comments exceed {limit} bytes")]
    CommentsTooLong {
        /// Where the leaf begins.
        offset: u64,
        /// Bytes of comments that are kept of long leaves.
        limit: usize,
    },
    /// The stored document could not be read back.
    #[error("cannot read the stored document")]
    Read(#[source] std::io::Error),
    /// What was made could not be written.
    #[error("cannot write the converted document")]
    Write(#[source] std::io::Error),
    /// The stored document is not the one that was indexed.
    #[error("the stored document changed at byte {offset}")]
    Changed {
        /// Bytes from its start.
        offset: u64,
    },
}

/// The first pass over a stored document.
///
/// # Errors
/// What the parser refuses, and an index beyond its bound.
pub fn index(source: &Source, selection: Selection) -> Result<Index, ConvertError> {
    let mut indexer = Indexer::new(selection);
    parse_source(source, Limits::default(), &mut indexer)?;
    Ok(indexer.finish())
}

/// Converts a small document in one go; `convert` and replies go through [`Converter`].
pub fn to_json(source: &Source, selection: Selection, options: &Options) -> Result<String, ConvertError> {
    let mut converter = Converter::new(source.clone(), index(source, selection)?, options.clone());
    let mut out = Vec::new();
    while converter.fill(&mut out)? {}
    String::from_utf8(out).map_err(|error| ConvertError::Changed {
        offset: error.utf8_error().valid_up_to() as u64,
    })
}

#[cfg(test)]
mod tests;
