//! The integration tests: one binary, a module per topic.

mod corpus_mapping;
mod corpus_replies;
mod device;
mod first_line;
mod layers;
mod mapping_properties;
mod support;
