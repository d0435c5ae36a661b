//! The frame around every call: names it, says who calls and until when, counts and logs it.

use std::time::{Duration, Instant};

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Request, Response, Status};

use super::{fields, status};
use crate::api::App;
use crate::api::edge::{self, Failure, REQUEST_ID};
use crate::error::{Error, ErrorCode};
use crate::service::LONGEST_DEADLINE;
use crate::service::call::CallContext;

const TIMEOUT: &str = "grpc-timeout";
const REPLAYED: &str = "idempotency-replayed";

/// What a call ended with.
pub enum Told<O> {
    Answer(O),
    /// The answer of a call that was made before.
    Replayed(O),
    /// The status of one that was made before.
    ReplayedStatus(Status),
}

/// Runs one call. `method` is `Service/Method` in `ncgate.v1`, as the table of service calls has it.
///
/// # Errors
/// The status of what `work` failed with.
pub async fn call<I, O, F>(
    app: &App,
    method: &'static str,
    request: Request<I>,
    work: impl FnOnce(CallContext, I) -> F,
) -> Result<Response<O>, Status>
where
    F: Future<Output = Result<O, Error>>,
{
    frame(app, method, request, async |context, message| {
        work(context, message).await.map(Told::Answer)
    })
    .await
}

/// As [`call`], for calls that may have been made before.
///
/// # Errors
/// As [`call`].
pub async fn frame<I, O, F>(
    app: &App,
    method: &'static str,
    request: Request<I>,
    work: impl FnOnce(CallContext, I) -> F,
) -> Result<Response<O>, Status>
where
    F: Future<Output = Result<Told<O>, Error>>,
{
    let started = Instant::now();
    let (metadata, _, message) = request.into_parts();
    let headers = metadata.into_headers();
    let request_id = app.request_ids.of(&headers);
    let result = match admit(app, &headers, &request_id) {
        Ok(context) => work(context, message).await,
        Err(refused) => Err(refused),
    };
    let result = result.map_err(|error| {
        let error = fields::told(method, error);
        edge::log_failure(&Failure {
            request_id: &request_id,
            operation: method,
            duration: started.elapsed(),
            error: &error,
        });
        status::of(&error, &request_id)
    });
    let (result, replayed) = match result {
        Ok(Told::Answer(message)) => (Ok(message), false),
        Ok(Told::Replayed(message)) => (Ok(message), true),
        Ok(Told::ReplayedStatus(status)) => (Err(status), true),
        Err(status) => (Err(status), false),
    };
    let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
    app.metrics
        .grpc_request(&format!("ncgate.v1.{method}"), code_name(code), started.elapsed());
    match result {
        Ok(message) => {
            let mut response = Response::new(message);
            name(response.metadata_mut(), &request_id, replayed);
            Ok(response)
        }
        Err(mut status) => {
            name(status.metadata_mut(), &request_id, replayed);
            Err(status)
        }
    }
}

/// The status of a call that is refused whatever it is.
pub fn refused(app: &App, headers: &http::HeaderMap, error: &Error) -> Status {
    let request_id = app.request_ids.of(headers);
    edge::log_failure(&Failure {
        request_id: &request_id,
        operation: "grpc",
        duration: Duration::ZERO,
        error,
    });
    let mut status = status::of(error, &request_id);
    name(status.metadata_mut(), &request_id, false);
    status
}

fn name(metadata: &mut MetadataMap, request_id: &str, replayed: bool) {
    if replayed {
        metadata.insert(REPLAYED, MetadataValue::from_static("true"));
    }
    if let Ok(value) = MetadataValue::try_from(request_id) {
        metadata.insert(REQUEST_ID, value);
    }
}

fn admit(app: &App, headers: &http::HeaderMap, request_id: &str) -> Result<CallContext, Error> {
    if app.draining() {
        return Err(Error::new(ErrorCode::Draining, "the gateway is shutting down"));
    }
    Ok(CallContext {
        principal: edge::principal(headers),
        request_id: request_id.to_owned(),
        deadline: deadline(headers)?,
        traceparent: edge::traceparent(headers),
        ticket: crate::service::operations::Ticket::default(),
    })
}

/// `grpc-timeout`: at most eight digits and a unit (H6).
fn deadline(headers: &http::HeaderMap) -> Result<Option<Duration>, Error> {
    let Some(value) = headers.get(TIMEOUT) else {
        return Ok(None);
    };
    let parse = || {
        let text = value.to_str().ok()?;
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let fits = (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = digits.parse().ok().filter(|_| fits)?;
        match unit {
            "H" => Some(Duration::from_secs(number * 3600)),
            "M" => Some(Duration::from_secs(number * 60)),
            "S" => Some(Duration::from_secs(number)),
            "m" => Some(Duration::from_millis(number)),
            "u" => Some(Duration::from_micros(number)),
            "n" => Some(Duration::from_nanos(number)),
            _ => None,
        }
    };
    let wanted = parse()
        .ok_or_else(|| Error::invalid(TIMEOUT, "must be at most eight digits and one of H M S m u n"))?;
    if wanted > LONGEST_DEADLINE {
        let detail = format!("must be at most {} seconds", LONGEST_DEADLINE.as_secs());
        return Err(Error::invalid(TIMEOUT, detail));
    }
    Ok(Some(wanted))
}

/// The name of a status code, as metrics have it.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    /// H6
    #[test]
    fn grpc_timeout_is_read_in_every_unit() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT, HeaderValue::from_static(text));
            deadline(&headers).ok().flatten()
        };
        assert_eq!(read("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(read("2M"), Some(Duration::from_secs(120)));
        assert_eq!(read("30S"), Some(Duration::from_secs(30)));
        assert_eq!(read("1500m"), Some(Duration::from_millis(1500)));
        assert_eq!(read("5u"), Some(Duration::from_micros(5)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for bad in [
            "",
            "S",
            "1",
            "123456789S",
            "-1S",
            "+1S",
            "1x",
            "1.5S",
            "2H",
            "61M",
            "3601S",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(deadline(&HeaderMap::new()).ok(), Some(None));
    }
}
