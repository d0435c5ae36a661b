//! Every metric of the gateway: names, units and labels in one place.
//!
//! Labels take few values: routes are templates, never paths; no label holds a device, a caller or an id.
//! Durations are seconds, sizes bytes, as Prometheus wants them.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Bounds of the duration histograms in seconds: from an answer out of memory to a long commit.
const DURATION_BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0,
];

type DurationFamily<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HttpLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    method: String,
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct GrpcLabels {
    method: String,
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct GrpcMethodLabels {
    method: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RpcLabels {
    class: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// Holds and renders all metrics. Shared behind an `Arc`; every method is cheap and takes `&self`.
pub struct Metrics {
    registry: Registry,
    http_requests: Family<HttpLabels, Counter>,
    http_durations: DurationFamily<RouteLabels>,
    grpc_requests: Family<GrpcLabels, Counter>,
    grpc_durations: DurationFamily<GrpcMethodLabels>,
    rpc_durations: DurationFamily<RpcLabels>,
    sessions_open: Gauge,
    sessions_lost: Family<ReasonLabels, Counter>,
    connects: Family<ResultLabels, Counter>,
    queue_depth: Gauge,
    queue_rejected: Family<ReasonLabels, Counter>,
    retries: Counter,
    reply_bytes: Counter,
    replies_spooled: Counter,
    replies_abandoned: Counter,
    events_dropped: Counter,
    panics: Counter,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("ncgate"),
            http_requests: Family::default(),
            http_durations: duration_family(),
            grpc_requests: Family::default(),
            grpc_durations: duration_family(),
            rpc_durations: duration_family(),
            sessions_open: Gauge::default(),
            sessions_lost: Family::default(),
            connects: Family::default(),
            queue_depth: Gauge::default(),
            queue_rejected: Family::default(),
            retries: Counter::default(),
            reply_bytes: Counter::default(),
            replies_spooled: Counter::default(),
            replies_abandoned: Counter::default(),
            events_dropped: Counter::default(),
            panics: Counter::default(),
        };
        metrics.register();
        metrics
    }

    /// Gives each metric its name and help. The encoder appends `_total` to counters and the unit to names.
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register(
            "build",
            "What runs here",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        r.register(
            "http_requests",
            "HTTP requests answered, by method, route template and status",
            self.http_requests.clone(),
        );
        r.register_with_unit(
            "http_request_duration",
            "Time from the head of an HTTP request to the head of its answer",
            Unit::Seconds,
            self.http_durations.clone(),
        );
        r.register(
            "grpc_requests",
            "gRPC calls answered, by method and status code",
            self.grpc_requests.clone(),
        );
        r.register_with_unit(
            "grpc_request_duration",
            "Time from the head of a gRPC call to its status",
            Unit::Seconds,
            self.grpc_durations.clone(),
        );
        r.register_with_unit(
            "rpc_duration",
            "Time from sending a NETCONF rpc to the end of its reply, by class of rpc and outcome",
            Unit::Seconds,
            self.rpc_durations.clone(),
        );
        r.register(
            "sessions_open",
            "NETCONF sessions that are open",
            self.sessions_open.clone(),
        );
        r.register(
            "sessions_lost",
            "NETCONF sessions that ended without being asked to, by cause",
            self.sessions_lost.clone(),
        );
        r.register(
            "connects",
            "Attempts to open a NETCONF session, by result",
            self.connects.clone(),
        );
        r.register(
            "queue_depth",
            "Requests that wait for a device",
            self.queue_depth.clone(),
        );
        r.register(
            "queue_rejected",
            "Requests refused before they were sent",
            self.queue_rejected.clone(),
        );
        r.register(
            "retries",
            "Reads sent once more because their session was lost",
            self.retries.clone(),
        );
        r.register_with_unit(
            "reply",
            "Bytes of replies read from devices",
            Unit::Bytes,
            self.reply_bytes.clone(),
        );
        r.register(
            "replies_spooled",
            "Replies too large for memory",
            self.replies_spooled.clone(),
        );
        r.register(
            "replies_abandoned",
            "Replies read and dropped: nobody waited",
            self.replies_abandoned.clone(),
        );
        r.register(
            "events_dropped",
            "Events of sessions that were not kept: too many waited to be stored",
            self.events_dropped.clone(),
        );
        r.register(
            "panics",
            "Panics that were caught in a request or a task",
            self.panics.clone(),
        );
    }

    /// `route` is the template (`/v1/devices/{device}`), or `unmatched`.
    pub fn http_request(&self, method: &str, route: &str, status: u16, duration: Duration) {
        let (method, route) = (method.to_owned(), route.to_owned());
        let labels = HttpLabels {
            method: method.clone(),
            route: route.clone(),
            status,
        };
        self.http_requests.get_or_create(&labels).inc();
        self.http_durations
            .get_or_create(&RouteLabels { method, route })
            .observe(duration.as_secs_f64());
    }

    /// `method` is `package.Service/Method` of a method that exists, or `unmatched`; `code` is the name of the
    /// gRPC status, such as `OK`.
    pub fn grpc_request(&self, method: &str, code: &'static str, duration: Duration) {
        self.grpc_requests
            .get_or_create(&GrpcLabels {
                method: method.to_owned(),
                code,
            })
            .inc();
        let labels = GrpcMethodLabels {
            method: method.to_owned(),
        };
        self.grpc_durations
            .get_or_create(&labels)
            .observe(duration.as_secs_f64());
    }

    /// One NETCONF rpc. `class`: `read`, `commit`, …; `outcome`: `ok`, `rpc_error`, `timeout`, `lost`, ….
    pub fn rpc(&self, class: &'static str, outcome: &'static str, duration: Duration) {
        self.rpc_durations
            .get_or_create(&RpcLabels { class, outcome })
            .observe(duration.as_secs_f64());
    }

    pub fn session_opened(&self) {
        self.sessions_open.inc();
    }

    pub fn session_closed(&self) {
        self.sessions_open.dec();
    }

    /// `reason`: the fixed word of the cause.
    pub fn session_lost(&self, reason: &'static str) {
        self.sessions_lost.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// `result`: `ok` or the kebab-case code of the failure.
    pub fn connect(&self, result: &'static str) {
        self.connects.get_or_create(&ResultLabels { result }).inc();
    }

    pub fn queued(&self) {
        self.queue_depth.inc();
    }

    pub fn dequeued(&self) {
        self.queue_depth.dec();
    }

    /// `reason`: `full`, `deadline`, `held`, `circuit_open`, `draining`.
    pub fn queue_rejected(&self, reason: &'static str) {
        self.queue_rejected.get_or_create(&ReasonLabels { reason }).inc();
    }

    pub fn retried(&self) {
        self.retries.inc();
    }

    pub fn reply_read(&self, bytes: u64) {
        self.reply_bytes.inc_by(bytes);
    }

    pub fn reply_spooled(&self) {
        self.replies_spooled.inc();
    }

    pub fn reply_abandoned(&self) {
        self.replies_abandoned.inc();
    }

    pub fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// The OpenMetrics text of all metrics, media type
    /// `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string cannot fail");
        text
    }
}

fn duration_family<L: Clone + std::hash::Hash + Eq>() -> DurationFamily<L> {
    Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_rendered_with_its_unit_and_labels() {
        let metrics = Metrics::new();
        metrics.http_request("GET", "/v1/devices/{device}", 404, Duration::from_millis(3));
        metrics.grpc_request(
            "ncgate.v1.DeviceService/GetDevice",
            "NOT_FOUND",
            Duration::from_millis(30),
        );
        metrics.rpc("read", "ok", Duration::from_secs(2));
        metrics.session_opened();
        metrics.session_opened();
        metrics.session_closed();
        metrics.session_lost("end_of_stream");
        metrics.connect("ok");
        metrics.queued();
        metrics.queued();
        metrics.dequeued();
        metrics.queue_rejected("full");
        metrics.retried();
        metrics.reply_read(4096);
        metrics.reply_spooled();
        metrics.reply_abandoned();
        metrics.event_dropped();
        metrics.panicked();
        let text = metrics.encode();
        for line in [
            concat!("ncgate_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "ncgate_http_requests_total{method=\"GET\",route=\"/v1/devices/{device}\",status=\"404\"} 1",
            "ncgate_http_request_duration_seconds_bucket{le=\"0.005\",method=\"GET\",route=\"/v1/devices/{device}\"} 1",
            "ncgate_grpc_requests_total{method=\"ncgate.v1.DeviceService/GetDevice\",code=\"NOT_FOUND\"} 1",
            "ncgate_grpc_request_duration_seconds_count{method=\"ncgate.v1.DeviceService/GetDevice\"} 1",
            "ncgate_rpc_duration_seconds_sum{class=\"read\",outcome=\"ok\"} 2.0",
            "ncgate_sessions_open 1",
            "ncgate_sessions_lost_total{reason=\"end_of_stream\"} 1",
            "ncgate_connects_total{result=\"ok\"} 1",
            "ncgate_queue_depth 1",
            "ncgate_queue_rejected_total{reason=\"full\"} 1",
            "ncgate_retries_total 1",
            "ncgate_reply_bytes_total 4096",
            "ncgate_replies_spooled_total 1",
            "ncgate_replies_abandoned_total 1",
            "ncgate_events_dropped_total 1",
            "ncgate_panics_total 1",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is missing in:\n{text}"
            );
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
