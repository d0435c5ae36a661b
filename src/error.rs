//! The one error type of the service layer. It knows no HTTP and no gRPC: `api::status` alone
//! turns a code into a status of either protocol.

mod parts;

use std::borrow::Cow;
use std::fmt;

use crate::netconf::lock_refusal::LockHolder;
use crate::netconf::reply::ErrorList;
use crate::netconf::rpc_error::RpcError;

pub use parts::{Diff, FieldError, MemberResult, PendingCommit, Resource};

/// Who can do something about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    Caller,
    Gateway,
    Device,
}

impl Origin {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Gateway => "gateway",
            Self::Device => "device",
        }
    }
}

/// What a call did to the device (conventions H3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Nothing was sent that belongs to this call.
    NotSent,
    /// Something was sent and the device is as it was before.
    NotApplied,
    Applied,
    /// Sent, and nobody knows yet.
    Unknown,
}

impl Outcome {
    /// `None`: no such outcome.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::NotSent, Self::NotApplied, Self::Applied, Self::Unknown];
        all.into_iter().find(|outcome| outcome.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::NotApplied => "not_applied",
            Self::Applied => "applied",
            Self::Unknown => "unknown",
        }
    }
}

/// Declares the closed set of error codes, each with its kebab-case name, title and origin.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $origin:ident, $title:literal;)*) => {
        /// Every way a call can fail. The name is part of the API: `/problems/<code>`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// All codes, in the order in which the documentation lists them.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name,)*];

            /// `None`: no such code.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == text)
            }

            /// The code as callers see it, kebab-case.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// One line for people.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            pub fn origin(self) -> Origin {
                match self { $(Self::$name => Origin::$origin,)* }
            }
        }
    };
}

codes! {
    // The caller's doing.
    InvalidArgument = "invalid-argument", Caller, "The request is not valid";
    UseResource = "use-resource", Caller, "This operation has a resource of its own";
    Unauthenticated = "unauthenticated", Caller, "Who is calling is not known";
    Forbidden = "forbidden", Caller, "The caller may not do this";
    NotFound = "not-found", Caller, "There is no such thing";
    AlreadyExists = "already-exists", Caller, "A thing of this name exists already";
    MethodNotAllowed = "method-not-allowed", Caller, "The resource does not take this method";
    NotAcceptable = "not-acceptable", Caller, "None of the accepted media types can be produced";
    UnsupportedMediaType = "unsupported-media-type", Caller, "The body has a media type that is not understood here";
    PayloadTooLarge = "payload-too-large", Caller, "The request is larger than allowed";
    RequestTimeout = "request-timeout", Caller, "The request did not arrive in time";
    IdempotencyKeyReused = "idempotency-key-reused", Caller, "The idempotency key stands for another request";
    IdempotencyKeyInUse = "idempotency-key-in-use", Caller, "The first call with this idempotency key is under way";
    EtagMismatch = "etag-mismatch", Caller, "The resource has changed since it was read";
    NotOwner = "not-owner", Caller, "It belongs to another caller";
    EditSessionClosed = "edit-session-closed", Caller, "The edit session is closed";
    EditSessionExpired = "edit-session-expired", Caller, "The edit session was not used for too long and is over";
    InvalidState = "invalid-state", Caller, "This cannot be done in the state it is in";
    PreconditionFailed = "precondition-failed", Caller, "What the caller demands does not hold";
    RateLimited = "rate-limited", Caller, "This caller has used up its quota";
    ResponseTooLarge = "response-too-large", Caller, "The answer does not fit; ask for the streamed form or for less";
    Cancelled = "cancelled", Caller, "The caller went away";

    // The gateway's doing, or what it found on the way to the device.
    Internal = "internal", Gateway, "The gateway made a mistake";
    StoreUnavailable = "store-unavailable", Gateway, "The gateway's database cannot be used";
    Draining = "draining", Gateway, "The gateway is shutting down";
    QueueFull = "queue-full", Gateway, "Too many requests are waiting or under way";
    StreamsFull = "streams-full", Gateway, "Too many callers follow events";
    SessionsHeld = "sessions-held", Gateway, "Edit sessions and changes hold all sessions that they may have";
    CircuitOpen = "circuit-open", Gateway, "The device has failed repeatedly and is left alone for a while";
    DeadlineInQueue = "deadline-in-queue", Gateway, "The deadline passed before the request could be sent";
    AddressNotAllowed = "address-not-allowed", Caller, "The gateway is not allowed to dial this address";
    DeviceUnreachable = "device-unreachable", Device, "The device cannot be reached";
    ConnectionRefused = "connection-refused", Device, "The device refuses connections on this port";
    SshNegotiationFailed = "ssh-negotiation-failed", Device, "Gateway and device share no SSH algorithm";
    HostKeyUnknown = "host-key-unknown", Device, "The device's host key is not known";
    HostKeyMismatch = "host-key-mismatch", Device, "The device's host key has changed";
    DeviceAuthFailed = "device-auth-failed", Device, "The device refuses the credentials";
    NoNetconfSubsystem = "no-netconf-subsystem", Device, "The device offers no NETCONF on this port";
    HelloTimeout = "hello-timeout", Device, "The device sent no hello in time";
    BadHello = "bad-hello", Device, "The device's hello is not usable";
    Incompatible = "incompatible", Device, "The device does not meet the required capabilities or version";
    DeviceProtocolError = "device-protocol-error", Device, "The device broke the NETCONF protocol";
    SessionLost = "session-lost", Device, "The session ended before the reply was complete";
    DeviceTimeout = "device-timeout", Device, "The device did not reply in time";
    ReplyTooLarge = "reply-too-large", Device, "The device's reply is larger than allowed";
    OutcomeUnknown = "outcome-unknown", Device, "Whether the device did it is not known yet";
    CapabilityMissing = "capability-missing", Device, "The device does not offer the needed capability";
    EditSessionLost = "edit-session-lost", Device, "The edit session is gone, and its uncommitted edits with it";
    ConfirmedCommitPending = "confirmed-commit-pending", Device, "A confirmed commit is pending on the device";
    CommitScheduled = "commit-scheduled", Device, "The device will make another commit first";

    // The device's own rpc-errors, by error-tag (conventions section 2).
    LockDenied = "lock-denied", Device, "The lock is held";
    InUse = "in-use", Device, "The resource is in use";
    ResourceDenied = "resource-denied", Device, "The device lacks resources";
    DataExists = "data-exists", Device, "The data exists already";
    DataMissing = "data-missing", Device, "The data does not exist";
    DeviceInvalidValue = "invalid-value", Device, "The device refuses a value";
    DeviceUnknownElement = "unknown-element", Device, "The device does not know an element of the request";
    DeviceBadElement = "bad-element", Device, "The device refuses an element of the request";
    DeviceMissingElement = "missing-element", Device, "The device misses an element in the request";
    DeviceUnknownAttribute = "unknown-attribute", Device, "The device does not know an attribute of the request";
    DeviceBadAttribute = "bad-attribute", Device, "The device refuses an attribute of the request";
    DeviceMissingAttribute = "missing-attribute", Device, "The device misses an attribute in the request";
    DeviceUnknownNamespace = "unknown-namespace", Device, "The device does not know a namespace of the request";
    DeviceMalformedMessage = "malformed-message", Device, "The device could not parse the caller's XML";
    GatewayMalformedMessage = "malformed-request", Gateway, "The device could not parse what the gateway sent";
    RequestTooBig = "request-too-big", Device, "The request is too big for the device";
    ResponseTooBig = "response-too-big", Device, "The response is too big for the device";
    AccessDenied = "access-denied", Device, "The device denies access to its user";
    OperationNotSupported = "operation-not-supported", Device, "The device does not support the operation";
    OperationFailed = "operation-failed", Device, "The device refused the change";
    DeviceError = "device-error", Device, "The device reports an error";
    PartialOperation = "partial-operation", Device, "The device did a part only";
    RollbackFailed = "rollback-failed", Device, "The device could not undo a failed change";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed call. Boxed inside, because errors are rare and results are everywhere.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: ErrorCode,
    /// If it is not that of the code.
    origin: Option<Origin>,
    outcome: Outcome,
    detail: String,
    device: Option<String>,
    step: Option<String>,
    reason: Option<String>,
    hint: Option<String>,
    retry_after_seconds: Option<u64>,
    fields: Vec<FieldError>,
    rpc_errors: ErrorList,
    session_id: Option<u64>,
    message_id: Option<String>,
    change_id: Option<String>,
    operation_id: Option<String>,
    holder: Option<LockHolder>,
    diff: Option<Diff>,
    members: Vec<MemberResult>,
    pending_commit: Option<PendingCommit>,
    resource: Option<Resource>,
}

impl Error {
    /// `detail`: what was tried, in lower case, without a final stop.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            origin: None,
            outcome: Outcome::NotSent,
            detail: detail.into(),
            device: None,
            step: None,
            reason: None,
            hint: None,
            retry_after_seconds: None,
            fields: Vec::new(),
            rpc_errors: ErrorList::default(),
            session_id: None,
            message_id: None,
            change_id: None,
            operation_id: None,
            holder: None,
            diff: None,
            members: Vec::new(),
            pending_commit: None,
            resource: None,
        }))
    }

    /// A request that is not valid, with the place of the fault.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut error = Self::new(ErrorCode::InvalidArgument, detail.clone());
        error.0.fields.push(FieldError {
            pointer: pointer.into(),
            detail,
        });
        error
    }

    /// For what another than usual can do something about.
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.0.origin = Some(origin);
        self
    }

    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    pub fn with_device(mut self, device: impl Into<String>) -> Self {
        self.0.device = Some(device.into());
        self
    }

    pub fn with_step(mut self, step: impl Into<String>) -> Self {
        self.0.step = Some(step.into());
        self
    }

    pub fn with_reason(mut self, reason: impl Into<String>) -> Self {
        self.0.reason = Some(reason.into());
        self
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_seconds = Some(seconds.max(1));
        self
    }

    pub fn with_field(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.fields.push(FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        });
        self
    }

    pub fn with_rpc_errors(mut self, rpc_errors: impl Into<ErrorList>) -> Self {
        self.0.rpc_errors = rpc_errors.into();
        self
    }

    /// The NETCONF session and message the error belongs to, for the log line.
    pub fn with_message(mut self, session_id: Option<u64>, message_id: Option<String>) -> Self {
        self.0.session_id = session_id;
        self.0.message_id = message_id;
        self
    }

    /// The change that failed.
    pub fn with_change_id(mut self, change_id: impl Into<String>) -> Self {
        self.0.change_id = Some(change_id.into());
        self
    }

    /// The operation that tells what came of the call, or of the one that was made before.
    pub fn with_operation_id(mut self, operation_id: impl Into<String>) -> Self {
        self.0.operation_id = Some(operation_id.into());
        self
    }

    /// Who holds the lock that was refused.
    pub fn with_pending_commit(mut self, commit: PendingCommit) -> Self {
        self.0.pending_commit = Some(commit);
        self
    }

    pub fn with_holder(mut self, holder: LockHolder) -> Self {
        self.0.holder = Some(holder);
        self
    }

    /// The uncommitted changes that are in the way.
    pub fn with_diff(mut self, diff: Diff) -> Self {
        self.0.diff = Some(diff);
        self
    }

    pub fn with_members(mut self, members: Vec<MemberResult>) -> Self {
        self.0.members = members;
        self
    }

    /// What of the device was not found, or is there already.
    pub fn with_resource(mut self, resource: Resource) -> Self {
        self.0.resource = Some(resource);
        self
    }

    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    pub fn origin(&self) -> Origin {
        self.0.origin.unwrap_or_else(|| self.0.code.origin())
    }

    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The detail for readers who may see nothing else: where the request is wrong comes first, and how many places
    /// more are. `place` writes a pointer as the caller knows it.
    pub fn headline(&self, place: impl Fn(&str) -> String) -> Cow<'_, str> {
        let Some(first) = self
            .0
            .fields
            .first()
            .filter(|field| field.detail == self.0.detail)
        else {
            return Cow::Borrowed(&self.0.detail);
        };
        let place = place(&first.pointer);
        let colon = if place.is_empty() { "" } else { ": " };
        let more = match self.0.fields.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        Cow::Owned(format!("{place}{colon}{}{more}", first.detail))
    }

    /// Tells the places of what is wrong with the request in other words.
    pub fn with_places(mut self, place: impl Fn(&str) -> String) -> Self {
        for field in &mut self.0.fields {
            field.pointer = place(&field.pointer);
        }
        self
    }

    pub fn device(&self) -> Option<&str> {
        self.0.device.as_deref()
    }

    pub fn step(&self) -> Option<&str> {
        self.0.step.as_deref()
    }

    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.0.retry_after_seconds
    }

    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    pub fn rpc_errors(&self) -> &[RpcError] {
        &self.0.rpc_errors.errors
    }

    /// The same, with how many there were.
    pub fn rpc_error_list(&self) -> &ErrorList {
        &self.0.rpc_errors
    }

    pub fn change_id(&self) -> Option<&str> {
        self.0.change_id.as_deref()
    }

    pub fn operation_id(&self) -> Option<&str> {
        self.0.operation_id.as_deref()
    }

    /// The confirmed commit that is in the way.
    pub fn pending_commit(&self) -> Option<&PendingCommit> {
        self.0.pending_commit.as_ref()
    }

    pub fn holder(&self) -> Option<&LockHolder> {
        self.0.holder.as_ref()
    }

    pub fn diff(&self) -> Option<&Diff> {
        self.0.diff.as_ref()
    }

    pub fn members(&self) -> &[MemberResult] {
        &self.0.members
    }

    pub fn resource(&self) -> Option<&Resource> {
        self.0.resource.as_ref()
    }

    pub fn session_id(&self) -> Option<u64> {
        self.0.session_id
    }

    pub fn message_id(&self) -> Option<&str> {
        self.0.message_id.as_deref()
    }

    /// Whether the same request may succeed later without anybody changing anything.
    pub fn retryable(&self) -> bool {
        match self.0.code {
            ErrorCode::Draining
            | ErrorCode::QueueFull
            | ErrorCode::StreamsFull
            | ErrorCode::CircuitOpen
            | ErrorCode::RateLimited
            | ErrorCode::StoreUnavailable
            | ErrorCode::DeviceUnreachable
            | ErrorCode::ConnectionRefused
            | ErrorCode::DeadlineInQueue => self.0.outcome == Outcome::NotSent,
            ErrorCode::LockDenied => self.0.reason.as_deref() == Some("held"),
            ErrorCode::InUse | ErrorCode::SessionsHeld | ErrorCode::IdempotencyKeyInUse => true,
            ErrorCode::SessionLost | ErrorCode::DeviceTimeout | ErrorCode::HelloTimeout => {
                self.0.outcome == Outcome::NotSent || self.0.outcome == Outcome::NotApplied
            }
            ErrorCode::InvalidArgument
            | ErrorCode::UseResource
            | ErrorCode::Unauthenticated
            | ErrorCode::Forbidden
            | ErrorCode::NotFound
            | ErrorCode::AlreadyExists
            | ErrorCode::MethodNotAllowed
            | ErrorCode::NotAcceptable
            | ErrorCode::UnsupportedMediaType
            | ErrorCode::PayloadTooLarge
            | ErrorCode::RequestTimeout
            | ErrorCode::IdempotencyKeyReused
            | ErrorCode::EtagMismatch
            | ErrorCode::NotOwner
            | ErrorCode::EditSessionClosed
            | ErrorCode::EditSessionExpired
            | ErrorCode::EditSessionLost
            | ErrorCode::InvalidState
            | ErrorCode::PreconditionFailed
            | ErrorCode::CommitScheduled
            | ErrorCode::ConfirmedCommitPending
            | ErrorCode::ResponseTooLarge
            | ErrorCode::Cancelled
            | ErrorCode::Internal
            | ErrorCode::AddressNotAllowed
            | ErrorCode::SshNegotiationFailed
            | ErrorCode::HostKeyUnknown
            | ErrorCode::HostKeyMismatch
            | ErrorCode::DeviceAuthFailed
            | ErrorCode::NoNetconfSubsystem
            | ErrorCode::BadHello
            | ErrorCode::Incompatible
            | ErrorCode::DeviceProtocolError
            | ErrorCode::ReplyTooLarge
            | ErrorCode::OutcomeUnknown
            | ErrorCode::CapabilityMissing
            | ErrorCode::ResourceDenied
            | ErrorCode::DataExists
            | ErrorCode::DataMissing
            | ErrorCode::DeviceInvalidValue
            | ErrorCode::DeviceUnknownElement
            | ErrorCode::DeviceBadElement
            | ErrorCode::DeviceMissingElement
            | ErrorCode::DeviceUnknownAttribute
            | ErrorCode::DeviceBadAttribute
            | ErrorCode::DeviceMissingAttribute
            | ErrorCode::DeviceUnknownNamespace
            | ErrorCode::DeviceMalformedMessage
            | ErrorCode::GatewayMalformedMessage
            | ErrorCode::RequestTooBig
            | ErrorCode::ResponseTooBig
            | ErrorCode::AccessDenied
            | ErrorCode::OperationNotSupported
            | ErrorCode::OperationFailed
            | ErrorCode::DeviceError
            | ErrorCode::PartialOperation
            | ErrorCode::RollbackFailed => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)?;
        if let Some(device) = &self.0.device {
            write!(f, " (device {device})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    /// H2: one line says where the request is wrong, and that there is more.
    #[test]
    fn headline_names_the_first_place_and_counts_the_others() {
        let headline = |error: &Error| error.headline(str::to_owned).into_owned();
        let one = Error::invalid("/port", "must be a number");
        assert_eq!(headline(&one), "/port: must be a number");
        let three = one
            .with_field("/name", "is required")
            .with_field("/x", "unknown member");
        assert_eq!(headline(&three), "/port: must be a number (and 2 more)");
        assert_eq!(three.detail(), "must be a number");
        assert_eq!(headline(&Error::invalid("", "is no JSON")), "is no JSON");
        let taken =
            Error::new(ErrorCode::AlreadyExists, "mx1 is there").with_field("/name", "exists already");
        assert_eq!(headline(&taken), "mx1 is there");
        let moved = three.with_places(|place| place.replace('/', "?"));
        assert_eq!(moved.fields()[1].pointer, "?name");
    }
}
