//! S2, S3, S30: the channel, its data and its end.

use bytes::Bytes;

use super::server::{OnStart, Plan};
use super::support::{connect_to, read_bytes, target};

/// S2
#[tokio::test]
async fn subsystem_carries_bytes_both_ways() {
    let plan = Plan::default();
    let mut connected = connect_to(&plan, &target()).await.unwrap();
    connected
        .writer
        .write(Bytes::from_static(b"hello"))
        .await
        .unwrap();
    assert_eq!(read_bytes(&mut connected.reader, 5).await, "hello");
    assert_eq!(
        plan.log.all(),
        ["connected", "auth password u", "subsystem netconf"]
    );
}

/// S2
#[tokio::test]
async fn data_before_the_answer_is_kept() {
    let mut connected = connect_to(&Plan::start(OnStart::Early("first ")), &target())
        .await
        .unwrap();
    connected
        .writer
        .write(Bytes::from_static(b"second"))
        .await
        .unwrap();
    assert_eq!(read_bytes(&mut connected.reader, 12).await, "first second");
}
