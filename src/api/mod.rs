//! The two front ends, REST and gRPC, on one port. They translate and nothing else: what is allowed, what is sent and
//! what comes of it is decided by the service layer. The two never call each other; what both need stands in [`edge`],
//! [`pace`], [`server`] and [`status`].

pub mod edge;
pub mod grpc;
pub mod pace;
pub mod rest;
pub mod server;
pub mod status;
