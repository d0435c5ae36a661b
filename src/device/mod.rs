//! Everything about one device that is not a session: its settings, lane and queue, breaker and state.

pub mod breaker;
pub mod compat;
pub mod domain;
pub mod fair_queue;
pub mod lane;
pub mod model;
pub mod settings;
