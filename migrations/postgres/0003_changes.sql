-- Changes: one row for each write in one call, kept for some days after its end. Times are microseconds since 1970 UTC.

CREATE TABLE changes (
    id         TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    device_id  TEXT   NOT NULL,
    device     TEXT   NOT NULL,
    owner      TEXT   NOT NULL,
    mode       TEXT   NOT NULL,
    state      TEXT   NOT NULL,
    outcome    TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- Which gateway owns it, once there can be several.
    epoch      BIGINT NOT NULL DEFAULT 0,
    key_id     TEXT   NOT NULL,
    -- Difference, steps, warnings, errors: sealed, because they may quote secrets of the device.
    document   BYTEA NOT NULL
);

CREATE INDEX changes_by_device ON changes (device_id, id);
CREATE INDEX changes_by_state ON changes (state, device_id);
CREATE INDEX changes_by_age ON changes (updated_at);
CREATE INDEX changes_by_key ON changes (key_id);
