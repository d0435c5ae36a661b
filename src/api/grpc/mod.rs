//! The gRPC front end: the services of `proto/ncgate/v1`, health and reflection. It decides nothing; every method is
//! one call of the service layer.

mod ask;
mod carried;
mod change;
mod config;
mod confirmed_commit;
mod context;
mod convert;
mod device;
mod device_json;
mod early;
mod edit;
mod edit_session;
mod ending;
mod event;
mod fields;
mod operation;
mod rpc;
mod status;
mod status_service;
mod stream;
mod view;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::IntoResponse;
use http::{HeaderMap, Response, StatusCode, header};
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tower_http::catch_panic::CatchPanicLayer;

use super::edge::REQUEST_ID;
use super::{App, browsers};
use crate::metrics::Metrics;

pub use status::of as status_of;

/// The messages and services that `proto/` describes.
#[allow(clippy::all, missing_docs)]
pub mod proto {
    tonic::include_proto!("ncgate.v1");

    /// The descriptors of every file, for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ncgate.v1.bin"));
}

use proto::change_service_server::ChangeServiceServer;
use proto::config_service_server::ConfigServiceServer;
use proto::confirmed_commit_service_server::ConfirmedCommitServiceServer;
use proto::device_service_server::DeviceServiceServer;
use proto::edit_session_service_server::EditSessionServiceServer;
use proto::event_service_server::EventServiceServer;
use proto::operation_service_server::OperationServiceServer;
use proto::rpc_service_server::RpcServiceServer;
use proto::status_service_server::StatusServiceServer;

/// An answer in one message may have this many bytes of data (G2): clients refuse messages of more than 4 MiB.
const MAX_UNARY_BYTES: usize = 3 << 20;
/// Of data in one message of a stream (G2).
const CHUNK_BYTES: usize = 256 << 10;

/// Implements the methods of every service.
#[derive(Clone)]
struct Services(App);

/// The router of all services. Without a fallback: paths of no service are the business of whoever merges it.
pub fn router(app: App) -> Router {
    let inbound = app.settings.max_body_bytes;
    let services = Services(app.clone());
    /// Both ways packed if the client wants it; a message unpacked may have as many bytes as one that came plain.
    macro_rules! server {
        ($server:ident) => {
            $server::new(services.clone())
                .max_decoding_message_size(inbound)
                .accept_compressed(CompressionEncoding::Gzip)
                .send_compressed(CompressionEncoding::Gzip)
        };
    }
    macro_rules! each {
        ($health:ident, $set:ident) => {
            each!($health, $set, DeviceServiceServer, RpcServiceServer, ConfigServiceServer);
            each!($health, $set, EditSessionServiceServer, ChangeServiceServer, StatusServiceServer);
            each!($health, $set, ConfirmedCommitServiceServer, OperationServiceServer, EventServiceServer);
        };
        ($health:ident, $set:ident, $($server:ident),*) => {
            $($health.$set::<$server<Services>>().await;)*
        };
    }
    let (health, health_service) = tonic_health::server::health_reporter();
    let shutdown = app.shutdown.clone();
    app.tasks.spawn(async move {
        each!(health, set_serving);
        shutdown.cancelled().await;
        health
            .set_service_status("", tonic_health::ServingStatus::NotServing)
            .await;
        each!(health, set_not_serving);
    });
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let mut routes = Routes::builder();
    routes
        .add_service(server!(DeviceServiceServer))
        .add_service(server!(RpcServiceServer))
        .add_service(server!(ConfigServiceServer))
        .add_service(server!(EditSessionServiceServer))
        .add_service(server!(ChangeServiceServer))
        .add_service(server!(ConfirmedCommitServiceServer))
        .add_service(server!(OperationServiceServer))
        .add_service(server!(EventServiceServer))
        .add_service(server!(StatusServiceServer))
        .add_service(health_service)
        .add_service(
            reflection()
                .build_v1()
                .expect("the descriptors were written by our own build"),
        )
        // Python's tools ask for this one.
        .add_service(
            reflection()
                .build_v1alpha()
                .expect("the descriptors were written by our own build"),
        );
    let methods = routes.routes().prepare().into_axum_router().reset_fallback();
    around(methods, app.metrics.clone()).layer(axum::middleware::from_fn_with_state(app, admit))
}

/// Lets in what a gRPC client sends, and no web page does: also to health and reflection.
async fn admit(State(app): State<App>, request: Request, next: Next) -> Response<axum::body::Body> {
    if !is_grpc(request.headers()) {
        // There is no gRPC client to understand a status of its own.
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    if let Err(error) = browsers::admit(request.method(), request.uri(), request.headers()) {
        return plain_status(&context::refused(&app, request.headers(), &error));
    }
    let watches = request.uri().path().starts_with("/grpc.");
    let request_id = request.headers().get(REQUEST_ID).cloned();
    let response = early::told(&app, request_id, next.run(request).await);
    if watches {
        response.map(|body| ending::with(body, app.shutdown))
    } else {
        response
    }
}

/// What stands around every method: a panic is a fault of ours and ends one call only.
pub(super) fn around(methods: Router, metrics: Arc<Metrics>) -> Router {
    methods.layer(CatchPanicLayer::custom(
        move |_: Box<dyn Any + Send + 'static>| {
            metrics.panicked();
            tracing::error!("a gRPC method panicked");
            let mut response = plain_status(&tonic::Status::internal("the gateway made a mistake"));
            response.extensions_mut().insert(early::Panicked);
            response
        },
    ))
}

/// Whether a request is gRPC, by its content type.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|content_type| content_type.split(';').next())
        .is_some_and(|media| matches!(media.trim_end(), "application/grpc" | "application/grpc+proto"))
}

/// The answer to a call of a service that does not exist.
pub fn unknown_service(app: &App, headers: &HeaderMap) -> Response<axum::body::Body> {
    plain_status(&context::refused(app, headers, &early::unknown_method()))
}

fn plain_status(status: &tonic::Status) -> Response<axum::body::Body> {
    status.clone().into_http::<axum::body::Body>()
}
