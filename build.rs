//! Compiles `proto/` with a compiler written in Rust, so that no protoc need be installed.

fn main() {
    println!("cargo:rerun-if-changed=proto");
    #[cfg(feature = "server")]
    protobuf();
}

/// Writes the generated services and, for reflection, the descriptors of every file to `OUT_DIR`.
#[cfg(feature = "server")]
fn protobuf() {
    use prost::Message;

    const FILES: [&str; 13] = [
        "ncgate/v1/common.proto",
        "ncgate/v1/device.proto",
        "ncgate/v1/edit.proto",
        "ncgate/v1/operation.proto",
        "ncgate/v1/device_service.proto",
        "ncgate/v1/rpc_service.proto",
        "ncgate/v1/config_service.proto",
        "ncgate/v1/edit_session_service.proto",
        "ncgate/v1/change_service.proto",
        "ncgate/v1/confirmed_commit_service.proto",
        "ncgate/v1/event_service.proto",
        "ncgate/v1/operation_service.proto",
        "ncgate/v1/status_service.proto",
    ];
    let descriptors = protox::compile(FILES, ["proto"]).expect("the files under proto/ compile");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    std::fs::write(
        std::path::Path::new(&out).join("ncgate.v1.bin"),
        descriptors.encode_to_vec(),
    )
    .expect("OUT_DIR can be written");
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".ncgate.v1")
        .compile_fds(descriptors)
        .expect("services can be generated from the descriptors");
}
