//! Which failures an operation can answer with: what it takes and touches decides which codes it can raise, the one table
//! ([`crate::api::status`]) which status each of them has.

use std::collections::BTreeSet;

use crate::api::status;
use crate::error::ErrorCode;

/// Operations on a device that the gateway answers by itself, without asking the device.
const OWN: &[&str] = &[
    "getDevice",
    "updateDevice",
    "deleteDevice",
    "listEditSessions",
    "getEditSession",
    "renewEditSession",
    "listChanges",
    "getChange",
];

/// What an operation takes and touches, as far as its failures depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// It is one of the API, and not of the pages around it.
    pub api: bool,
    /// It is about one thing that its path names.
    pub names_thing: bool,
    pub takes_body: bool,
    pub asks_device: bool,
    pub can_mutate: bool,
    pub in_edit_session: bool,
}

impl Reach {
    /// Of an operation of the document.
    pub fn of(method: &str, path: &str, operation_id: &str, can_mutate: bool) -> Self {
        let of_device = path.starts_with("/v1/devices/{device}") && !OWN.contains(&operation_id);
        Self {
            api: path.starts_with("/v1/"),
            names_thing: path.contains('{'),
            takes_body: matches!(method, "post" | "patch" | "put"),
            asks_device: of_device || can_mutate,
            can_mutate,
            in_edit_session: path.contains("/edit-sessions/{id}"),
        }
    }

    /// The statuses that its failures can have.
    pub fn statuses(self) -> BTreeSet<u16> {
        ErrorCode::ALL
            .iter()
            .filter(|code| self.can_raise(**code))
            .map(|code| status::row(*code).http.as_u16())
            .collect()
    }

    /// Whether it can fail with this code over REST.
    pub fn can_raise(self, code: ErrorCode) -> bool {
        use ErrorCode as E;
        match code {
            E::InvalidArgument
            | E::Forbidden
            | E::NotAcceptable
            | E::Internal
            | E::StoreUnavailable
            | E::Draining => true,
            E::NotFound => self.api || self.names_thing,
            E::DeadlineInQueue => self.api,
            E::RequestTimeout | E::PayloadTooLarge | E::UnsupportedMediaType => self.takes_body,

            // Nobody is asked who they are, or has a quota; and REST answers in a stream, whatever the size.
            E::Unauthenticated | E::RateLimited | E::ResponseTooLarge => false,
            // Where they belong to what the operation is about, it says so itself.
            E::AlreadyExists | E::MethodNotAllowed | E::EtagMismatch | E::StreamsFull => false,

            E::EditSessionClosed | E::EditSessionExpired | E::EditSessionLost => self.in_edit_session,

            E::UseResource
            | E::AddressNotAllowed
            | E::QueueFull
            | E::CircuitOpen
            | E::SessionsHeld
            | E::InUse
            | E::DeviceUnreachable
            | E::ConnectionRefused
            | E::SshNegotiationFailed
            | E::HostKeyUnknown
            | E::HostKeyMismatch
            | E::DeviceAuthFailed
            | E::NoNetconfSubsystem
            | E::HelloTimeout
            | E::BadHello
            | E::Incompatible
            | E::DeviceProtocolError
            | E::SessionLost
            | E::DeviceTimeout
            | E::ReplyTooLarge
            | E::CapabilityMissing
            | E::LockDenied
            | E::ResourceDenied
            | E::DataExists
            | E::DataMissing
            | E::DeviceInvalidValue
            | E::DeviceUnknownElement
            | E::DeviceBadElement
            | E::DeviceMissingElement
            | E::DeviceUnknownAttribute
            | E::DeviceBadAttribute
            | E::DeviceMissingAttribute
            | E::DeviceUnknownNamespace
            | E::DeviceMalformedMessage
            | E::GatewayMalformedMessage
            | E::RequestTooBig
            | E::ResponseTooBig
            | E::AccessDenied
            | E::OperationNotSupported
            | E::DeviceError
            | E::PartialOperation
            | E::RollbackFailed => self.asks_device,

            // Cancelled: what whoever comes again with the key of a caller who left is told.
            E::IdempotencyKeyReused
            | E::IdempotencyKeyInUse
            | E::Cancelled
            | E::NotOwner
            | E::InvalidState
            | E::CommitScheduled
            | E::ConfirmedCommitPending
            | E::PreconditionFailed
            | E::OutcomeUnknown
            | E::OperationFailed => self.can_mutate,
        }
    }
}

/// What a status means, for people.
pub fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The request is not valid, or the device refuses a part of it",
        403 => "The caller, or the gateway's user on the device, may not do this",
        404 => "There is no such thing",
        406 => "None of the accepted media types can be produced",
        408 => "The body did not arrive in time",
        409 => "The state of the device or of the inventory does not allow this now",
        410 => "The edit session is over",
        412 => "What the caller demands does not hold, or the device could not do it",
        413 => "The body is too large, for the gateway or for the device",
        415 => "The body has a media type that is not taken here",
        422 => "The Idempotency-Key stands for another request",
        499 => "The caller of the first call with this Idempotency-Key went away before it was sent",
        500 => "The gateway made a mistake",
        501 => "The device cannot do this",
        502 => "The device failed, or could not be logged in to",
        503 => "Nothing was sent: the device or the gateway is unreachable, saturated or shutting down",
        504 => "The deadline passed",
        _ => "It failed; `code` says why",
    }
}
