//! A PostgreSQL server that cannot be reached.

use super::*;

/// The start waits no longer for a server that does not answer than a call waits for a connection, and says where it
/// looked, without the password.
#[tokio::test]
async fn a_silent_server_is_told_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let url = format!("postgres://ncgate:canary@{server}/ncgate");
    let mut options = StoreOptions::new(Location::Postgres(url), KeySource::Ephemeral);
    options.acquire_timeout = Duration::from_millis(200);
    let clock = Clock::simulated(START, "boot");
    let error = Store::open(options, clock, Ids::from_entropy())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot connect to the PostgreSQL server at {server}")
    );
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("no answer within 0.2 s"), "{cause}");
}
