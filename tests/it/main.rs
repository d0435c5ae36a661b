//! The integration tests: one binary, a module per topic.

mod layers;
mod lay.rs;
mod corpus_mapping;
