//! Compiles `proto/` with a compiler written in Rust, so that no protoc need be installed.

fn main() {
    println!("cargo:rerun-if-changed=proto");
    #[cfg(feature = "server")]
    protobuf();
}
#[cfg(feature = "server")]
fn protobuf() {}
