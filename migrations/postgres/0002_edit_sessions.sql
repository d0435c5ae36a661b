-- Edit sessions: those that are open, and for a while those that have ended. Times are microseconds since 1970 UTC.

CREATE TABLE edit_sessions (
    -- ULID: the order of ids is that of time.
    id          TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    device_id   TEXT   NOT NULL,
    device      TEXT   NOT NULL,
    -- Which gateway owns it, once there can be several.
    epoch       BIGINT NOT NULL DEFAULT 0,
    owner       TEXT   NOT NULL,
    mode        TEXT   NOT NULL,
    datastore   TEXT   NOT NULL,
    instance    TEXT,
    session_id  BIGINT NOT NULL,
    ttl_seconds BIGINT NOT NULL,
    -- opening, open, closed, expired or lost
    state       TEXT   NOT NULL,
    reason      TEXT,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    ended_at    BIGINT,
    -- A JSON array.
    warnings    TEXT   NOT NULL
);

CREATE INDEX edit_sessions_by_device ON edit_sessions (device_id, id);
CREATE INDEX edit_sessions_by_end ON edit_sessions (ended_at);
