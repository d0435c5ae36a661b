//! Wall time as callers see it.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(super) const EPOCH: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// RFC 3339 in UTC, to the second.
pub(super) fn rfc3339(time: OffsetDateTime) -> String {
    let time = time.to_offset(time::UtcOffset::UTC);
    let seconds = time.replace_nanosecond(0).unwrap_or(time);
    seconds.format(&Rfc3339).unwrap_or_else(|_| time.unix_timestamp().to_string())
}
