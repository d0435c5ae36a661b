-- Confirmed commits: one row for each, written before it is sent, kept for some days after its end. Times are
-- microseconds since 1970 UTC.

CREATE TABLE confirmed_commits (
    id                TEXT   NOT NULL PRIMARY KEY,
    device_id         TEXT   NOT NULL,
    device            TEXT   NOT NULL,
    owner             TEXT   NOT NULL,
    -- The change that made it; for an edit session the record of its commit.
    change_id         TEXT   NOT NULL,
    state             TEXT   NOT NULL,
    -- Who confirmed it, and why it was undone.
    confirmed_by      TEXT,
    reason            TEXT,
    timeout_seconds   BIGINT NOT NULL,
    -- Before this the device has not undone it by itself; after this it has begun to, unless it was confirmed.
    deadline_earliest BIGINT NOT NULL,
    deadline          BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    -- Which gateway owns it, once there can be several.
    epoch             BIGINT NOT NULL DEFAULT 0,
    key_id            TEXT   NOT NULL,
    -- Token, evidence, what was seen: sealed.
    document          BLOB NOT NULL
);

CREATE INDEX confirmed_commits_by_device ON confirmed_commits (device_id, id);
CREATE INDEX confirmed_commits_by_state ON confirmed_commits (state, device_id);
CREATE INDEX confirmed_commits_by_age ON confirmed_commits (updated_at);
CREATE INDEX confirmed_commits_by_key ON confirmed_commits (key_id);

-- How often the commit of a change was sent: a row allows one send.
ALTER TABLE changes ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0 CHECK (attempts <= 1);
