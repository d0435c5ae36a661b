//! REST.
use super::edge::RequestIds;
use crate::metrics::Metrics;
use std::sync::Arc;
use std::time::Duration;
pub mod body;
pub mod context;
pub mod extract;
pub mod json;
pub mod negotiate;
pub mod problem;
pub mod query;
#[derive(Clone)]
pub struct App {
    pub settings: Arc<Settings>,
    pub request_ids: RequestIds,
    pub metrics: Arc<Metrics>,
}
impl App {
    fn draining(&self) -> bool {
        false
    }
}
pub struct Settings {
    pub max_body_bytes: usize,
    pub body_timeout: Duration,
}
