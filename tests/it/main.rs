//! The integration tests: one binary, a module per topic.

mod calls;
mod commands;
mod config;
mod connect;
mod corpus_mapping;
mod corpus_replies;
mod device;
mod devices;
mod errors;
mod first_line;
mod framing;
mod hello;
mod layers;
mod logins;
mod mapping_properties;
mod rpc;
mod secrets;
mod support;
