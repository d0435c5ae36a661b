//! The use cases. Front ends translate, this layer decides; it knows no HTTP and no gRPC.

pub mod call;
pub mod calls;
pub mod request;
