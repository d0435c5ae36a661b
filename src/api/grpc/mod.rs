//! gRPC.
pub mod proto {
    tonic::include_proto!("ncgate.v1");
}
