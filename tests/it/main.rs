//! The integration tests: one binary, a module per topic.

mod addresses;
mod bad_input;
mod bad_xml;
mod concurrency;
mod corpus_mapping;
mod corpus_replies;
mod database;
mod device;
mod faults;
mod first_line;
mod layers;
mod limits;
mod logins;
mod logs;
mod mapping_properties;
mod network;
mod shutdown;
mod support;
