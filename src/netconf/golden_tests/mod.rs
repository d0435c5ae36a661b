//! Every operation of the write path with every option, byte by byte, and what a device without it is not sent.
//! Each row names its requirement.

mod junos;
mod rfc;

use super::confirm_timeout::ConfirmTimeout;
use super::rpc::{RequestError, Rpc};

type Asked = Result<Rpc, RequestError>;

fn check(rows: Vec<(&str, Asked, &str)>) {
    for (requirement, asked, expected) in rows {
        let rpc = asked.unwrap_or_else(|error| panic!("{requirement} {expected}: {error}"));
        assert_eq!(rpc.body.as_str(), expected, "{requirement}");
    }
}

/// What the device lacks: parameter and capability of each refusal.
fn check_missing(rows: Vec<(Asked, &str, &str)>) {
    for (asked, parameter, capability) in rows {
        match asked {
            Err(RequestError::MissingCapability(missing)) => {
                assert_eq!(
                    (missing.parameter.as_str(), missing.capability.as_str()),
                    (parameter, capability)
                );
            }
            other => panic!("{parameter} {capability}: {other:?}"),
        }
    }
}

fn check_invalid(rows: Vec<(Asked, &str)>) {
    for (asked, wanted) in rows {
        match asked {
            Err(RequestError::Invalid { parameter, .. }) => assert_eq!(parameter, wanted),
            other => panic!("{wanted}: {other:?}"),
        }
    }
}

fn timeout(seconds: u32) -> ConfirmTimeout {
    ConfirmTimeout::from_seconds(seconds).expect("some time")
}
