//! What both doors do at the edge: name the request, say who calls, and write the one log line of a failure.
//! It knows neither axum nor tonic.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;

use crate::error::{Error, ErrorCode, Origin};
use crate::ids::Ids;
use crate::service::call::Principal;

/// The header, and the gRPC metadata key, that names a request.
pub const REQUEST_ID: &str = "x-request-id";
const REQUEST_ID_LENGTH: usize = 64;
const TRACEPARENT: &str = "traceparent";

/// Makes names for requests that come without one.
#[derive(Debug, Clone)]
pub struct RequestIds(Ids);

impl RequestIds {
    pub fn new(ids: Ids) -> Self {
        Self(ids)
    }

    /// The caller's `X-Request-Id` if it is `[A-Za-z0-9._-]{1,64}`, else a new one (H5).
    pub fn of(&self, headers: &HeaderMap) -> String {
        headers
            .get(REQUEST_ID)
            .and_then(|value| value.to_str().ok())
            .filter(|id| is_request_id(id))
            .map_or_else(|| self.0.ulid(time::OffsetDateTime::now_utc()), str::to_owned)
    }
}

fn is_request_id(id: &str) -> bool {
    (1..=REQUEST_ID_LENGTH).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// The caller's W3C trace context, if it has the form of one: version, trace id, parent id and flags in hex.
pub fn traceparent(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(TRACEPARENT)?.to_str().ok()?;
    let parts: Vec<&str> = value.split('-').collect();
    let well_formed = parts.len() == 4
        && parts.iter().zip([2, 32, 16, 2]).all(|(part, length)| {
            part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        });
    well_formed.then(|| value.to_owned())
}

/// Who calls. Until access control lands there is one caller, and `serve` listens on loopback only.
pub fn principal(_headers: &HeaderMap) -> Principal {
    Principal::anonymous_admin()
}

/// A failure as the log has it: names and numbers, never a body and never the detail of a device's data.
#[derive(Debug)]
pub struct Failure<'a> {
    pub request_id: &'a str,
    /// The service call, or the route if there is none.
    pub operation: &'a str,
    pub duration: Duration,
    pub error: &'a Error,
}

/// Characters of a detail that stand in the log: it may quote what a device said, at any length.
const MOST_DETAIL: usize = 512;

/// The beginning of a detail, marked where something was left out.
fn shortened(detail: &str) -> Cow<'_, str> {
    match detail.char_indices().nth(MOST_DETAIL) {
        None => Cow::Borrowed(detail),
        Some((end, _)) => Cow::Owned(format!(
            "{}… (cut, {} bytes in all)",
            &detail[..end],
            detail.len()
        )),
    }
}

/// Writes the one line of a failure. What the gateway did wrong is an error, what a device did a warning, what a
/// caller did is information; that the gateway shuts down is no news to be written once for every probe.
pub fn log_failure(failure: &Failure<'_>) {
    let Failure {
        request_id,
        operation,
        duration,
        error,
    } = failure;
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                request_id = %request_id,
                operation = %operation,
                device = error.device(),
                session_id = error.session_id(),
                message_id = error.message_id(),
                duration_ms,
                code = error.code().as_str(),
                outcome = error.outcome().as_str(),
                rpc_errors = error.rpc_errors().len(),
                detail = %shortened(error.detail()),
                "request failed"
            )
        };
    }
    // The origin of the code: what the gateway refuses in the place of a device is no fault of its own.
    match error.code().origin() {
        // What is refused on the way out is what was asked for.
        _ if error.code() == ErrorCode::Draining => line!(debug),
        Origin::Gateway => line!(error),
        Origin::Device => line!(warn),
        Origin::Caller => line!(info),
    }
}

/// Writes the line of each failed result of a batch, which is no failure as a whole. `duration` is that of the batch.
pub fn log_failures<T>(request_id: &str, operation: &str, duration: Duration, results: &[Result<T, Error>]) {
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        log_failure(&Failure {
            request_id,
            operation,
            duration,
            error,
        });
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            name,
            HeaderValue::from_bytes(value.as_bytes()).expect("a header value"),
        );
        headers
    }

    /// H5
    #[test]
    fn request_id_is_taken_if_well_formed_else_made() {
        let ids = RequestIds::new(Ids::seeded(1));
        assert_eq!(ids.of(&headers(REQUEST_ID, "a.B-9_x")), "a.B-9_x");
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            let made = ids.of(&headers(REQUEST_ID, bad));
            assert_eq!(made.len(), 26, "{bad:?} was taken over as {made}");
        }
        assert_ne!(ids.of(&HeaderMap::new()), ids.of(&HeaderMap::new()));
    }

    /// H5
    #[test]
    fn traceparent_is_passed_on_only_if_well_formed() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(traceparent(&headers(TRACEPARENT, good)).as_deref(), Some(good));
        assert_eq!(traceparent(&headers(TRACEPARENT, "00-xyz-1-01")), None);
        assert_eq!(traceparent(&headers(TRACEPARENT, &format!("{good}-extra"))), None);
    }
}
