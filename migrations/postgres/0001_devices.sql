-- The inventory. Times are microseconds since 1970 UTC.

CREATE TABLE devices (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   COLLATE "C" NOT NULL UNIQUE,
    -- Which gateway owns the device, once there can be several.
    epoch      BIGINT NOT NULL DEFAULT 0,
    version    BIGINT NOT NULL,
    settings   TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE device_labels (
    device_id TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    key       TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (device_id, key)
);

CREATE INDEX device_labels_by_value ON device_labels (key, value, device_id);

-- Credentials, sealed; the additional data of the seal is the table, the row's id and the column.
CREATE TABLE device_secrets (
    device_id   TEXT NOT NULL PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    key_id      TEXT NOT NULL,
    credentials BYTEA NOT NULL
);

CREATE INDEX device_secrets_by_key ON device_secrets (key_id);

-- Host keys seen first under the policy 'tofu', one for each address and port.
CREATE TABLE device_host_keys (
    device_id  TEXT   NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    endpoint   TEXT   NOT NULL,
    host_key   TEXT   NOT NULL,
    learned_at BIGINT NOT NULL,
    PRIMARY KEY (device_id, endpoint)
);
