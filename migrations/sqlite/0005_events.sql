-- Events: a bounded log of what happened, in order. Times are microseconds since 1970 UTC.

CREATE TABLE events (
    id        BIGINT NOT NULL PRIMARY KEY,
    at        BIGINT NOT NULL,
    -- Such as change.committed.
    kind      TEXT   NOT NULL,
    -- Absent where it is not about one device.
    device_id TEXT,
    device    TEXT,
    -- Ids, state, outcome, reason: JSON, without any secret.
    facts     TEXT   NOT NULL
);

CREATE INDEX events_by_age ON events (at);
CREATE INDEX events_by_device ON events (device, id);

-- The id of the newest event that there was. One row: who adds events holds it until its transaction ends, so that
-- ids become visible in their order, without gaps.
CREATE TABLE event_head (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    last     BIGINT NOT NULL
);

-- The request that began it, and the code of the error that a change ended with.
ALTER TABLE edit_sessions ADD COLUMN request_id TEXT;
ALTER TABLE changes ADD COLUMN request_id TEXT;
ALTER TABLE changes ADD COLUMN reason TEXT;
ALTER TABLE confirmed_commits ADD COLUMN request_id TEXT;

-- The newest commit that was seen in the history of a device: another one there was made elsewhere, or by us. Its time is
-- the device's, in seconds since 1970.
CREATE TABLE newest_commits (
    device_id    TEXT NOT NULL PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    entry        TEXT NOT NULL,
    committed_at BIGINT
);
