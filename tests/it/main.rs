//! The integration tests: one binary, a module per topic.

mod corpus_mapping;
mod layers;
