//! REST.
use std::time::Duration;
use std::sync::Arc;
use super::edge::RequestIds;
use crate::metrics::Metrics;
pub mod problem; pub mod negotiate; pub mod query; pub mod json; pub mod body; pub mod context; pub mod extract;
#[derive(Clone)]
pub struct App { pub settings: Arc<Settings>, pub request_ids: RequestIds, pub metrics: Arc<Metrics> }
impl App { fn draining(&self)->bool{false} }
pub struct Settings { pub max_body_bytes: usize, pub body_timeout: Duration }
