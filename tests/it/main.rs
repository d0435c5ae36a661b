//! The integration tests: one binary, a module per topic.

mod corpus_mapping;
mod corpus_replies;
mod layers;
mod mapping_properties;
