//! The one table from error code to HTTP and gRPC status (conventions section 2 and M3). Nothing else in the project
//! knows which number a failure gets.

use http::StatusCode;
use tonic::Code;

use crate::error::{Error, ErrorCode, Outcome};

/// What a failure looks like through both doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses {
    pub http: StatusCode,
    pub grpc: Code,
    /// Whether the answer carries `Retry-After` (gRPC: `RetryInfo`) even if the error names no time.
    pub retry_after: bool,
}

/// The row of a code, whatever the outcome was.
pub fn row(code: ErrorCode) -> Statuses {
    use ErrorCode as E;
    let (http, grpc) = match code {
        E::InvalidArgument | E::UseResource | E::AddressNotAllowed => {
            (StatusCode::BAD_REQUEST, Code::InvalidArgument)
        }
        E::Unauthenticated => (StatusCode::UNAUTHORIZED, Code::Unauthenticated),
        E::Forbidden => (StatusCode::FORBIDDEN, Code::PermissionDenied),
        E::NotFound => (StatusCode::NOT_FOUND, Code::NotFound),
        E::AlreadyExists => (StatusCode::CONFLICT, Code::AlreadyExists),
        E::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented),
        E::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, Code::InvalidArgument),
        E::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument),
        E::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Code::InvalidArgument),
        E::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded),
        E::IdempotencyKeyReused => (StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidArgument),
        E::IdempotencyKeyInUse => (StatusCode::CONFLICT, Code::Aborted),
        E::EtagMismatch => (StatusCode::PRECONDITION_FAILED, Code::Aborted),
        E::NotOwner => (StatusCode::CONFLICT, Code::Aborted),
        E::EditSessionClosed | E::EditSessionExpired | E::EditSessionLost => {
            (StatusCode::GONE, Code::Aborted)
        }
        E::InvalidState | E::CommitScheduled | E::ConfirmedCommitPending => {
            (StatusCode::CONFLICT, Code::FailedPrecondition)
        }
        E::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, Code::FailedPrecondition),
        E::RateLimited => (StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted),
        E::ResponseTooLarge => (StatusCode::BAD_REQUEST, Code::OutOfRange),
        // The caller is gone, so nobody reads this; 499 is what servers commonly log then.
        E::Cancelled => (client_closed_request(), Code::Cancelled),

        E::Internal => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
        E::StoreUnavailable | E::Draining | E::QueueFull | E::StreamsFull | E::CircuitOpen => {
            (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable)
        }
        E::DeviceUnreachable | E::ConnectionRefused => (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
        E::DeadlineInQueue | E::HelloTimeout | E::DeviceTimeout => {
            (StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded)
        }
        E::SshNegotiationFailed
        | E::HostKeyUnknown
        | E::HostKeyMismatch
        | E::DeviceAuthFailed
        | E::NoNetconfSubsystem
        | E::BadHello
        | E::Incompatible => (StatusCode::BAD_GATEWAY, Code::FailedPrecondition),
        E::DeviceProtocolError => (StatusCode::BAD_GATEWAY, Code::Internal),
        // ABORTED: try again one level up. Never UNAVAILABLE, because something was sent.
        E::SessionLost => (StatusCode::BAD_GATEWAY, Code::Aborted),
        E::ReplyTooLarge => (StatusCode::BAD_GATEWAY, Code::OutOfRange),
        E::OutcomeUnknown => (StatusCode::BAD_GATEWAY, Code::Unknown),
        E::CapabilityMissing => (StatusCode::NOT_IMPLEMENTED, Code::Unimplemented),

        // Not UNAVAILABLE: holders may keep theirs for an hour, so a client's own quick retries help nobody.
        E::LockDenied | E::InUse | E::SessionsHeld => (StatusCode::CONFLICT, Code::Aborted),
        E::ResourceDenied => (StatusCode::CONFLICT, Code::ResourceExhausted),
        E::DataExists => (StatusCode::CONFLICT, Code::AlreadyExists),
        E::DataMissing => (StatusCode::CONFLICT, Code::NotFound),
        E::DeviceInvalidValue
        | E::DeviceUnknownElement
        | E::DeviceBadElement
        | E::DeviceMissingElement
        | E::DeviceUnknownAttribute
        | E::DeviceBadAttribute
        | E::DeviceMissingAttribute
        | E::DeviceUnknownNamespace
        | E::DeviceMalformedMessage => (StatusCode::BAD_REQUEST, Code::InvalidArgument),
        E::GatewayMalformedMessage => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
        E::RequestTooBig => (StatusCode::PAYLOAD_TOO_LARGE, Code::InvalidArgument),
        E::ResponseTooBig => (StatusCode::BAD_REQUEST, Code::OutOfRange),
        E::AccessDenied => (StatusCode::FORBIDDEN, Code::PermissionDenied),
        E::OperationNotSupported => (StatusCode::NOT_IMPLEMENTED, Code::Unimplemented),
        E::OperationFailed => (StatusCode::PRECONDITION_FAILED, Code::FailedPrecondition),
        E::DeviceError | E::PartialOperation | E::RollbackFailed => (StatusCode::BAD_GATEWAY, Code::Internal),
    };
    // H12: 429 and 503 always say when to come back.
    let retry_after = http == StatusCode::TOO_MANY_REQUESTS || http == StatusCode::SERVICE_UNAVAILABLE;
    Statuses {
        http,
        grpc,
        retry_after,
    }
}

/// The statuses of a failure. 503 and UNAVAILABLE make clients retry by themselves, so they are kept for calls of which
/// nothing was sent (H3); the same code after something was sent is a bad gateway with an unknown result.
pub fn of(error: &Error) -> Statuses {
    let row = row(error.code());
    if error.outcome() == Outcome::NotSent {
        return row;
    }
    if row.http == StatusCode::SERVICE_UNAVAILABLE || row.grpc == Code::Unavailable {
        return Statuses {
            http: StatusCode::BAD_GATEWAY,
            grpc: Code::Unknown,
            retry_after: false,
        };
    }
    row
}

/// Seconds for `Retry-After` and `RetryInfo`, at least 1, spread so that callers refused together do not come back
/// together. None for what no repetition mends. `seed` is the request id, which is as good as random and makes the answer repeatable.
pub fn retry_after_seconds(error: &Error, seed: &str) -> Option<u64> {
    let named = error.retry_after_seconds();
    if !error.retryable() || (!of(error).retry_after && named.is_none()) {
        return None;
    }
    let base = named.unwrap_or(1).max(1);
    let spread = base / 4 + 2;
    let hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    Some(base + hash % spread)
}

fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).expect("499 lies within 100 to 999")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H3: the statuses that clients retry by themselves are never given once something was sent.
    #[test]
    fn unavailable_only_if_nothing_was_sent() {
        for &code in ErrorCode::ALL {
            for outcome in [Outcome::NotApplied, Outcome::Applied, Outcome::Unknown] {
                let statuses = of(&Error::new(code, "x").with_outcome(outcome));
                assert_ne!(
                    statuses.http,
                    StatusCode::SERVICE_UNAVAILABLE,
                    "{code} {outcome:?}"
                );
                assert_ne!(statuses.grpc, Code::Unavailable, "{code} {outcome:?}");
            }
            let row = row(code);
            assert_eq!(
                row.http == StatusCode::SERVICE_UNAVAILABLE,
                row.grpc == Code::Unavailable,
                "{code}: one door says retry, the other does not"
            );
        }
    }

    /// Conventions section 2: 401 and UNAVAILABLE never come from a device's rpc-error.
    #[test]
    fn no_rpc_error_becomes_unauthenticated() {
        for &code in ErrorCode::ALL {
            assert_eq!(
                row(code).http == StatusCode::UNAUTHORIZED,
                code == ErrorCode::Unauthenticated,
                "{code}"
            );
            assert!(row(code).http.as_u16() >= 400, "{code}");
            assert_ne!(row(code).grpc, Code::Ok, "{code}");
        }
    }

    /// H12
    #[test]
    fn retry_after_is_given_with_429_and_503_and_is_spread() {
        let full = Error::new(ErrorCode::QueueFull, "64 requests wait");
        let seconds: std::collections::BTreeSet<_> = (0..50)
            .map(|n| retry_after_seconds(&full, &format!("request-{n}")).expect("503 names a time"))
            .collect();
        assert!(seconds.len() > 1, "{seconds:?}");
        assert!(seconds.iter().all(|&s| (1..=3).contains(&s)), "{seconds:?}");
        let open = Error::new(ErrorCode::CircuitOpen, "open").with_retry_after(40);
        let seconds = retry_after_seconds(&open, "r").expect("503 names a time");
        assert!((40..52).contains(&seconds), "{seconds}");
        assert_eq!(
            retry_after_seconds(&Error::new(ErrorCode::NotFound, "x"), "r"),
            None
        );
        assert!(row(ErrorCode::RateLimited).retry_after);
    }

    /// The rows of conventions section 2 and M3, written out once more, so that an edit of the table is a decision.
    #[test]
    fn rows_are_those_of_the_conventions() {
        use ErrorCode as E;
        let rows: &[(ErrorCode, u16, Code)] = &[
            (E::InUse, 409, Code::Aborted),
            (E::LockDenied, 409, Code::Aborted),
            (E::ResourceDenied, 409, Code::ResourceExhausted),
            (E::DataExists, 409, Code::AlreadyExists),
            (E::DataMissing, 409, Code::NotFound),
            (E::DeviceInvalidValue, 400, Code::InvalidArgument),
            (E::DeviceUnknownElement, 400, Code::InvalidArgument),
            (E::DeviceUnknownNamespace, 400, Code::InvalidArgument),
            (E::DeviceMalformedMessage, 400, Code::InvalidArgument),
            (E::GatewayMalformedMessage, 500, Code::Internal),
            (E::RequestTooBig, 413, Code::InvalidArgument),
            (E::ResponseTooBig, 400, Code::OutOfRange),
            (E::AccessDenied, 403, Code::PermissionDenied),
            (E::OperationNotSupported, 501, Code::Unimplemented),
            (E::OperationFailed, 412, Code::FailedPrecondition),
            (E::DeviceError, 502, Code::Internal),
            (E::RollbackFailed, 502, Code::Internal),
            (E::PartialOperation, 502, Code::Internal),
            (E::Unauthenticated, 401, Code::Unauthenticated),
            (E::Forbidden, 403, Code::PermissionDenied),
            (E::NotFound, 404, Code::NotFound),
            (E::UseResource, 400, Code::InvalidArgument),
            (E::EtagMismatch, 412, Code::Aborted),
            (E::IdempotencyKeyReused, 422, Code::InvalidArgument),
            (E::IdempotencyKeyInUse, 409, Code::Aborted),
            (E::NotOwner, 409, Code::Aborted),
            (E::EditSessionLost, 410, Code::Aborted),
            (E::EditSessionExpired, 410, Code::Aborted),
            (E::EditSessionClosed, 410, Code::Aborted),
            (E::CommitScheduled, 409, Code::FailedPrecondition),
            (E::ConfirmedCommitPending, 409, Code::FailedPrecondition),
            (E::InvalidState, 409, Code::FailedPrecondition),
            (E::PreconditionFailed, 412, Code::FailedPrecondition),
            (E::RateLimited, 429, Code::ResourceExhausted),
            (E::QueueFull, 503, Code::Unavailable),
            (E::StreamsFull, 503, Code::Unavailable),
            (E::CircuitOpen, 503, Code::Unavailable),
            (E::DeviceUnreachable, 503, Code::Unavailable),
            (E::Draining, 503, Code::Unavailable),
            (E::DeviceAuthFailed, 502, Code::FailedPrecondition),
            (E::HostKeyUnknown, 502, Code::FailedPrecondition),
            (E::HostKeyMismatch, 502, Code::FailedPrecondition),
            (E::SshNegotiationFailed, 502, Code::FailedPrecondition),
            (E::NoNetconfSubsystem, 502, Code::FailedPrecondition),
            (E::BadHello, 502, Code::FailedPrecondition),
            (E::DeviceProtocolError, 502, Code::Internal),
            (E::DeviceTimeout, 504, Code::DeadlineExceeded),
            (E::DeadlineInQueue, 504, Code::DeadlineExceeded),
            (E::OutcomeUnknown, 502, Code::Unknown),
            (E::CapabilityMissing, 501, Code::Unimplemented),
        ];
        for &(code, http, grpc) in rows {
            assert_eq!(row(code).http.as_u16(), http, "{code}");
            assert_eq!(row(code).grpc, grpc, "{code}");
        }
    }
}
