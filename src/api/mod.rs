//! The two front ends, REST and gRPC, on one port. They translate and nothing else: what is allowed, what is sent and
//! what comes of it is decided by the service layer. The two never call each other; what both need stands in [`edge`],
//! [`envelope`], `follow`, `kept`, [`pace`], [`server`] and [`status`].

mod browsers;
pub mod edge;
pub mod envelope;
mod follow;
pub mod grpc;
mod kept;
pub mod pace;
pub mod rest;
pub mod server;
pub mod status;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ids::Ids;
use crate::metrics::Metrics;
use crate::service::Gateway;
use edge::RequestIds;
use pace::Pace;

/// Bounds of connections, requests and answers.
#[derive(Debug, Clone)]
pub struct Settings {
    pub connections: server::Limits,
    /// Of a request body, unpacked; of a gRPC message (G2).
    pub max_body_bytes: usize,
    /// Within which a request body must have arrived.
    pub body_timeout: Duration,
    /// How slowly an answer may be taken.
    pub pace: Pace,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: server::Limits::default(),
            max_body_bytes: 4 << 20,
            body_timeout: Duration::from_secs(30),
            pace: Pace::default(),
        }
    }
}

/// What the handlers of both front ends share. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub gateway: Gateway,
    pub settings: Arc<Settings>,
    pub request_ids: RequestIds,
    pub metrics: Arc<Metrics>,
    /// The tasks that hand answers on.
    pub tasks: TaskTracker,
    /// Cancelled when the gateway begins to end.
    pub shutdown: CancellationToken,
}

impl App {
    /// Whether what is new is refused (D1).
    fn draining(&self) -> bool {
        self.shutdown.is_cancelled()
    }
}

/// Serves REST and gRPC on `listener` until `shutdown`, then lets what is in flight end. `tasks` owns every task that
/// is spawned here; all of them have ended when this returns.
///
/// # Errors
/// A listener that cannot be asked for its address.
pub async fn serve(
    listener: TcpListener,
    gateway: Gateway,
    metrics: Arc<Metrics>,
    ids: Ids,
    settings: Settings,
    shutdown: CancellationToken,
    tasks: TaskTracker,
) -> io::Result<()> {
    let limits = settings.connections.clone();
    let app = App {
        gateway,
        settings: Arc::new(settings),
        request_ids: RequestIds::new(ids),
        metrics,
        tasks,
        shutdown: shutdown.clone(),
    };
    server::run(listener, router(app), limits, shutdown).await
}

/// Both front ends. Their paths cannot collide: those of gRPC begin with the name of a service.
pub fn router(app: App) -> Router {
    grpc::router(app.clone())
        .merge(rest::router(app.clone()))
        .layer(axum::middleware::from_fn_with_state(app, refuse_unknown_service))
}

/// A gRPC client understands a gRPC status only, also where there is no such service.
async fn refuse_unknown_service(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.extensions().get::<MatchedPath>().is_none() && grpc::is_grpc(request.headers()) {
        return grpc::unknown_service(&app, request.headers());
    }
    next.run(request).await
}

#[cfg(all(test, feature = "emulator"))]
mod tests;
