//! All XML passes here: a strict, bounded reader, an escaping writer, and the repairs that devices make necessary.
//!
//! The reader is a push tokenizer of our own, because the checks that a NETCONF peer needs (X3, `json-mapping` rules
//! on well-formedness: one root, declared prefixes, five entities, no DOCTYPE, no control characters, bounded depth,
//! names and attributes) have to look at every byte anyway, and because a reply must be readable while it arrives,
//! cut anywhere, in bounded memory. The tests hold its events against those of `quick-xml`.
//!
//! This module knows neither NETCONF nor JSON, and does no I/O beyond reading a [`Source`].

pub(crate) mod chars;
mod error;
mod event;
mod fragment;
pub mod marks;
pub mod name;
pub(crate) mod namespace;
mod repair;
mod rewrite;
mod source;
pub(crate) mod tag;
pub(crate) mod tokenizer;
pub mod tree;
mod writer;

pub use error::{Limits, XmlError, XmlErrorKind};
pub use event::{Attr, Attributes, Declaration, Event, Handler, Start};
pub use fragment::Fragment;
pub use namespace::NamespaceId;
pub use repair::{Sanitizer, close_routing_engine, close_routing_engine_of_commit};
pub use rewrite::{AttributeList, Change};
pub use source::Source;
pub use tokenizer::{Tokenizer, parse_source};
pub use writer::{WriteError, Writer, escape_attribute, escape_text};

/// Namespace of the NETCONF base protocol (RFC 6241 section 3.1).
pub const NETCONF_BASE_NS: &str = "urn:ietf:params:xml:ns:netconf:base:1.0";

/// What the prefix `junos` stands for where nothing declares it: the release-independent form that Junos scripts use.
pub const JUNOS_NS: &str = "http://xml.juniper.net/junos/*/junos";
