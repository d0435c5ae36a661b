//! Everything about one device that is not a session: its settings, later its lane, breaker and state.

pub mod model;
