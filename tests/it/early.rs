//! gRPC calls that fail before their method is reached have the same details as all others (M4).

use std::io::Write;

use reqwest::Response;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::TestGateway;
use crate::support::doors::Refusal;

const METHOD: &str = "/ncgate.v1.RpcService/CallRpc";

/// A message as gRPC frames it.
fn framed(packed: bool, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    let mut frame = vec![u8::from(packed)];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

async fn post(gateway: &TestGateway, path: &str, packing: Option<&str>, body: Vec<u8>) -> Response {
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .expect("a client");
    let mut request = client
        .post(gateway.url(path))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-request-id", "early-1")
        .body(body);
    if let Some(packing) = packing {
        request = request.header("grpc-encoding", packing);
    }
    request.send().await.expect("an answer")
}

/// The refusal, whose status is that of its code, with its details.
fn refused(answer: &Response) -> (Status, Refusal) {
    let status = Status::from_header_map(answer.headers()).expect("a status without a body");
    let info = status.get_details_error_info().expect("M4");
    assert_eq!(info.metadata["request_id"], "early-1");
    assert_eq!(answer.headers()["x-request-id"], "early-1");
    let refusal = Refusal::of_status(&status);
    assert_eq!(
        (refusal.outcome.as_str(), refusal.origin.as_str()),
        ("not_sent", "caller")
    );
    (status, refusal)
}

/// What cannot be decoded is INVALID_ARGUMENT, with the field where the decoder stopped.
#[tokio::test]
async fn undecodable_messages_are_invalid_arguments() {
    let gateway = TestGateway::start().await;
    let cut = framed(false, b"\x0a\x03mx1")[..7].to_vec();
    for (what, body, field) in [
        ("no UTF-8", framed(false, b"\x0a\x02\xff\xfe"), "device"),
        (
            "a wrong wire type",
            framed(false, b"\x12\x02\x08\x01"),
            "rpc.body",
        ),
        ("half a message", cut, ""),
        ("no message", Vec::new(), ""),
        ("packed by nobody", framed(true, b"x"), ""),
    ] {
        let answer = post(&gateway, METHOD, None, body).await;
        let (status, refusal) = refused(&answer);
        assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
        assert_eq!(refusal.code, "invalid-argument", "{what}");
        let bad = status.get_details_bad_request().expect("M4");
        assert_eq!(bad.field_violations[0].field, field, "{what}: {status:?}");
    }
    gateway.stop().await;
}

/// What is too large is the same packed or not, and the same as through REST.
#[tokio::test]
async fn large_messages_are_too_large() {
    let gateway = TestGateway::start().await;
    let large = vec![b' '; 5 << 20];
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&large).expect("packing into memory");
    let packed = packer.finish().expect("packing into memory");
    for (packing, body) in [
        (None, framed(false, &large)),
        (Some("gzip"), framed(true, &packed)),
    ] {
        let (status, refusal) = refused(&post(&gateway, METHOD, packing, body).await);
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(refusal.code, "payload-too-large");
        assert!(refusal.detail.contains("4194304"), "{}", refusal.detail);
        let bad = status.get_details_bad_request().expect("M4");
        let violation = bad.field_violations.first().expect("what is too large");
        assert!(violation.description.contains("4194304"), "{violation:?}");
    }
    gateway.stop().await;
}

/// What is not there is UNIMPLEMENTED: methods, services, packings.
#[tokio::test]
async fn what_is_not_there_is_unimplemented() {
    let gateway = TestGateway::start().await;
    for path in [
        "/ncgate.v1.RpcService/Nope",
        "/ncgate.v1.NoService/CallRpc",
        "/grpc.health.v1.Health/Nope",
    ] {
        let (status, refusal) = refused(&post(&gateway, path, None, framed(false, b"")).await);
        assert_eq!(status.code(), Code::Unimplemented, "{path}: {status:?}");
        assert_eq!(refusal.code, "method-not-allowed", "{path}");
        assert!(refusal.hint.is_some_and(|hint| hint.contains("reflection")));
    }
    let answer = post(&gateway, METHOD, Some("snappy"), framed(true, b"x")).await;
    let (status, _) = refused(&answer);
    assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
    // So that the client can choose another one.
    let accepted = answer.headers()["grpc-accept-encoding"].to_str().expect("text");
    assert!(accepted.contains("gzip"), "{accepted}");
    gateway.stop().await;
}
