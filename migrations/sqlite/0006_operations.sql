-- Operations: one row for each call that can change a device and is no change, written before anything is sent. A change
-- is its own operation and has its row among the changes. Times are microseconds since 1970 UTC.

CREATE TABLE operations (
    id         TEXT   NOT NULL PRIMARY KEY,
    -- The name of the service call.
    kind       TEXT   NOT NULL,
    device_id  TEXT   NOT NULL,
    device     TEXT   NOT NULL,
    owner      TEXT   NOT NULL,
    state      TEXT   NOT NULL,
    outcome    TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- Which gateway owns it, once there can be several.
    epoch      BIGINT NOT NULL DEFAULT 0,
    key_id     TEXT   NOT NULL,
    -- What went wrong: sealed, because it may quote secrets of the device.
    document   BLOB   NOT NULL,
    -- The answer that its caller got: sealed.
    response   BLOB 
);

CREATE INDEX operations_by_device ON operations (device_id, id);
CREATE INDEX operations_by_state ON operations (state);
CREATE INDEX operations_by_age ON operations (updated_at);
CREATE INDEX operations_by_key ON operations (key_id);

-- Keys by which a call that comes again is known: stored in one transaction with the operation or change that it began.
CREATE TABLE idempotency_keys (
    -- A hash of who called what with which key.
    scope        TEXT   NOT NULL PRIMARY KEY,
    operation_id TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    -- Which gateway owns it, once there can be several.
    epoch        BIGINT NOT NULL DEFAULT 0,
    key_id       TEXT   NOT NULL,
    -- A hash of the request: sealed, because one could find a short secret by it.
    request      BLOB   NOT NULL,
    -- The answer, once there is one: sealed.
    answer       BLOB 
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
CREATE INDEX idempotency_keys_by_key ON idempotency_keys (key_id);
