//! Operations on the system itself: uptime, users, commit history.

use super::{Request, Show, plain_text};
use crate::emulator::config::commit::at_words;
use crate::emulator::device_error::DeviceError;
use crate::emulator::markup::Tag;
use crate::emulator::when::{ago, clock, date_time, up};

pub(super) const UPTIME: Show = Show {
    name: "get-system-uptime-information",
    arguments: &["invoke-on"],
    run: uptime,
    text: uptime_text,
};

pub(super) const USERS: Show = Show {
    name: "get-system-users-information",
    arguments: &["no-resolve"],
    run: users,
    text: users_text,
};

pub(super) const COMMITS: Show = Show {
    name: "get-commit-information",
    arguments: &["include-configuration-revision"],
    run: commits,
    text: commits_text,
};

pub(super) const COMMIT_REVISION: Show = Show {
    name: "get-commit-revision-information",
    arguments: &["level"],
    run: commit_revision,
    text: plain_text,
};

/// How much space the configuration databases take.
pub(super) const DATABASE_USAGE: Show = Show {
    name: "get-database-usage",
    arguments: &[],
    run: database_usage,
    text: |tags| tags.iter().map(|tag| format!("{}\n", tag.text())).collect(),
};

/// What a database can grow to, in bytes.
const MOST_USAGE: usize = 335 << 20;

/// A moment, and how long ago it was.
fn moment(name: &'static str, seconds: i64, now: i64) -> Tag {
    let date = Tag::leaf("date-time", date_time(seconds)).with("junos:seconds", seconds.to_string());
    let length = now - seconds;
    let length = Tag::leaf("time-length", ago(length)).with("junos:seconds", length.to_string());
    Tag::parent(name, vec![date, length])
}

fn uptime(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let device = request.device;
    let (now, booted) = (device.now(), device.booted());
    let running = device.running();
    let users = device.sessions().len();
    let current = Tag::leaf("date-time", date_time(now)).with("junos:seconds", now.to_string());
    let mut configured = moment("last-configured-time", running.seconds, now);
    configured.push(Tag::leaf("user", running.user));
    let length = now - booted;
    let summary = Tag::parent(
        "uptime-information",
        vec![
            Tag::leaf("date-time", clock(now)).with("junos:seconds", now.to_string()),
            Tag::leaf("up-time", up(length)).with("junos:seconds", length.to_string()),
            Tag::leaf("active-user-count", users.to_string()).with(
                "junos:format",
                format!("{users} user{}", if users == 1 { "" } else { "s" }),
            ),
            Tag::leaf("load-average-1", "0.24"),
            Tag::leaf("load-average-5", "0.31"),
            Tag::leaf("load-average-15", "0.29"),
        ],
    );
    let tags = vec![
        Tag::parent("current-time", vec![current]),
        Tag::leaf("time-source", "NTP CLOCK"),
        moment("system-booted-time", booted, now),
        moment("protocols-started-time", booted + 70, now),
        configured,
        summary,
    ];
    Ok(vec![
        Tag::parent("system-uptime-information", tags).with("xmlns", device.junos_namespace()),
    ])
}

fn uptime_text(tags: &[Tag]) -> String {
    let mut out = String::new();
    for info in tags {
        let at = |name: &str| info.child(name).map_or("", |tag| tag.child_text("date-time"));
        let since = |name: &str| info.child(name).map_or("", |tag| tag.child_text("time-length"));
        out.push_str(&format!("Current time: {}\n", at("current-time")));
        out.push_str(&format!("Time Source: {}\n", info.child_text("time-source")));
        for (label, name) in [
            ("System booted", "system-booted-time"),
            ("Protocols started", "protocols-started-time"),
        ] {
            out.push_str(&format!("{label}: {} ({} ago)\n", at(name), since(name)));
        }
        let name = "last-configured-time";
        let user = info.child(name).map_or("", |tag| tag.child_text("user"));
        out.push_str(&format!(
            "Last configured: {} ({} ago) by {user}\n",
            at(name),
            since(name)
        ));
        if let Some(summary) = info.child("uptime-information") {
            let value = |name: &str| summary.child_text(name);
            let users = value("active-user-count");
            out.push_str(&format!(
                "{}  up {}, {users} user{}, load averages: {}, {}, {}\n",
                value("date-time"),
                value("up-time"),
                if users == "1" { "" } else { "s" },
                value("load-average-1"),
                value("load-average-5"),
                value("load-average-15"),
            ));
        }
    }
    out
}

fn users(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let device = request.device;
    let (now, booted) = (device.now(), device.booted());
    let entries: Vec<Tag> = device
        .sessions()
        .values()
        .filter_map(|session| {
            let terminal = session.terminal.clone()?;
            let idle = (now - session.since).max(0);
            Some(Tag::parent(
                "user-entry",
                vec![
                    Tag::leaf("user", session.user.clone()),
                    Tag::leaf("tty", terminal),
                    Tag::leaf("from", session.from.clone()),
                    Tag::leaf("login-time", clock(session.since))
                        .with("junos:seconds", session.since.to_string()),
                    Tag::leaf("idle-time", "-").with("junos:seconds", idle.to_string()),
                    Tag::leaf("command", "mgd: (mgd)"),
                ],
            ))
        })
        .collect();
    let length = now - booted;
    let summary = Tag::parent(
        "uptime-information",
        vec![
            Tag::leaf("date-time", clock(now)).with("junos:seconds", now.to_string()),
            Tag::leaf("up-time", up(length)).with("junos:seconds", length.to_string()),
            Tag::leaf("active-user-count", entries.len().to_string()),
            Tag::parent("user-table", entries),
        ],
    );
    Ok(vec![
        Tag::parent("system-users-information", vec![summary]).with("xmlns", device.junos_namespace()),
    ])
}

fn users_text(tags: &[Tag]) -> String {
    let mut out = String::new();
    for summary in tags.iter().flat_map(Tag::tags) {
        let value = |name: &str| summary.child_text(name);
        out.push_str(&format!(
            "{}  up {}, {} users\nUSER     TTY      FROM                LOGIN@  IDLE WHAT\n",
            value("date-time"),
            value("up-time"),
            value("active-user-count"),
        ));
        for entry in summary.child("user-table").map_or(&[][..], Tag::tags) {
            let value = |name: &str| entry.child_text(name);
            out.push_str(&format!(
                "{:<8} {:<8} {:<18} {:>7} {:>5} {}\n",
                value("user"),
                value("tty"),
                value("from"),
                value("login-time"),
                value("idle-time"),
                value("command"),
            ));
        }
    }
    out
}

fn commits(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let revisions = request.has("include-configuration-revision");
    let waits = request.device.is_rollback_pending() && !request.device.quirks.hides_pending;
    let history = request.device.history().into_iter().enumerate();
    let entries = history.map(|(sequence, revision)| {
        let mut entry = vec![Tag::leaf("sequence-number", sequence.to_string())];
        if revisions {
            entry.push(Tag::leaf("configuration-revision", revision.identifier()));
        }
        entry.push(Tag::leaf("user", revision.user));
        entry.push(Tag::leaf("client", revision.client));
        let when = Tag::leaf("date-time", date_time(revision.seconds));
        entry.push(when.with("junos:seconds", revision.seconds.to_string()));
        // The remark stays for good; that it is pending is said while it is.
        let pending = waits && sequence == 0 && revision.comment.is_some();
        entry.extend(revision.comment.map(|comment| Tag::leaf("comment", comment)));
        entry.extend(revision.log.map(|log| Tag::leaf("log", log)));
        entry.extend(pending.then(|| Tag::leaf("commit-confirmed", "rollback pending")));
        Tag::parent("commit-history", entry)
    });
    let pending = request.device.scheduled().map(|scheduled| {
        let (user, client) = (scheduled.actor.user, scheduled.actor.client);
        let at = at_words(scheduled.at);
        Tag::leaf(
            "output",
            format!("commit requested by {user} via {client} at {at}"),
        )
    });
    Ok(vec![Tag::parent(
        "commit-information",
        pending.into_iter().chain(entries).collect(),
    )])
}

fn commits_text(tags: &[Tag]) -> String {
    let mut out = String::new();
    for entry in tags.iter().flat_map(Tag::tags) {
        if entry.local() == "output" {
            out.push_str(&format!("{}\n", entry.text()));
            continue;
        }
        let value = |name: &str| entry.child_text(name);
        out.push_str(&format!(
            "{:<4}{} by {} via {} {}",
            value("sequence-number"),
            value("date-time"),
            value("user"),
            value("client"),
            value("comment"),
        ));
        out.truncate(out.trim_end().len());
        out.push('\n');
        for line in ["log", "commit-confirmed"].map(value) {
            if !line.is_empty() {
                out.push_str(&format!("    {line}\n"));
            }
        }
    }
    out
}

/// Juniper's model says that there is text, or an element whose inside it does not describe. What stands in this text is the
/// emulator's own.
fn database_usage(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let used = request.device.database_bytes();
    let megabytes = |bytes: usize| format!("{:.6} MB", bytes as f64 / f64::from(1 << 20));
    let output = [
        format!("Maximum size of the database: {}", megabytes(MOST_USAGE)),
        format!("Actual database usage: {}", megabytes(used)),
        format!(
            "Available database space: {}",
            megabytes(MOST_USAGE.saturating_sub(used))
        ),
    ];
    Ok(vec![Tag::leaf("output", output.join("\n"))])
}

fn commit_revision(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let running = request.device.running();
    let mut tags = vec![Tag::leaf("revision", running.identifier())];
    if request.argument("level").as_deref() == Some("detail") {
        tags.push(Tag::leaf("user", running.user));
        tags.push(Tag::leaf("client", running.client));
        let when = Tag::leaf("date-time", date_time(running.seconds));
        tags.push(when.with("junos:seconds", running.seconds.to_string()));
    }
    Ok(vec![Tag::parent("commit-revision-information", tags)])
}
