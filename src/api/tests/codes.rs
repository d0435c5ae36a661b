//! The table of codes, seen through both doors (M4).

use axum::response::IntoResponse;

use crate::api::rest::problem::ApiError;
use crate::api::status;
use crate::error::{Error, ErrorCode, Outcome};

/// Every code comes out of both doors with the statuses of its row, and 503 and UNAVAILABLE with `not_sent` only.
#[test]
fn every_code_has_the_statuses_of_its_row_through_both_doors() {
    for &code in ErrorCode::ALL {
        for outcome in [
            Outcome::NotSent,
            Outcome::NotApplied,
            Outcome::Applied,
            Outcome::Unknown,
        ] {
            let error = Error::new(code, "x").with_outcome(outcome);
            let expected = status::of(&error);
            let rest = ApiError::from(error.clone()).into_response();
            assert_eq!(rest.status(), expected.http, "{code} {outcome:?}");
            let grpc = crate::api::grpc::status_of(&error, "r1");
            assert_eq!(grpc.code(), expected.grpc, "{code} {outcome:?}");
            if outcome != Outcome::NotSent {
                assert_ne!(rest.status(), 503, "{code} {outcome:?}");
                assert_ne!(grpc.code(), tonic::Code::Unavailable, "{code} {outcome:?}");
            }
        }
    }
}
