//! Why a lock was refused, and who holds it (S22): in fields where the server has them, in words where it has not.

use super::error_class::{self, ErrorClass};
use super::rpc_error::RpcError;

/// Why a lock is refused (M3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockReason {
    /// Somebody else has it.
    Held,
    /// The candidate holds uncommitted changes of somebody.
    CandidateModified,
    /// The session that asks has it already.
    SameSession,
}

impl LockReason {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::CandidateModified => "candidate_modified",
            Self::SameSession => "same_session",
        }
    }
}

/// A lock that was refused: why, and by whom it is held, as far as the device says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRefusal {
    pub reason: LockReason,
    pub holder: LockHolder,
}

/// Who holds a lock, as far as the refusal says. Times are in the device's own words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockHolder {
    /// From `<error-info><session-id>`; 0 is not a NETCONF session (RFC 6241 section 7.5).
    pub session_id: Option<u64>,
    pub user: Option<String>,
    pub terminal: Option<String>,
    /// Junos: the server process, which is also its session-id.
    pub pid: Option<u64>,
    pub since: Option<String>,
    pub idle: Option<String>,
}

impl LockHolder {
    /// What `<kill-session>` would take.
    pub fn killable_id(&self) -> Option<u64> {
        self.session_id.filter(|id| *id != 0).or(self.pid)
    }
}

/// What refused a lock for session `own`: also `in-use`, which some servers answer to whoever does not hold it.
pub(super) fn lock_refusal(error: &RpcError, own: u64) -> Option<LockRefusal> {
    let class = error_class::in_session(error_class::classify_lock(error), own);
    let reason = match class {
        ErrorClass::InUse => Some(LockReason::Held),
        ref class => class.lock_reason(),
    };
    reason.map(|reason| LockRefusal {
        reason,
        holder: match class {
            ErrorClass::LockHeld { holder } => holder,
            _ if reason == LockReason::CandidateModified => LockHolder::default(),
            _ => holder(error),
        },
    })
}

/// Reads what Junos, confd and clixon write after "locked by", and the session-id of RFC 6241 appendix A. Words in no
/// known form name nobody: whoever ends a session by what stands here must not meet a stranger.
pub(super) fn holder(error: &RpcError) -> LockHolder {
    let told = error.error_info.as_deref().and_then(session_id);
    let message = error.error_message.as_deref().unwrap_or_default();
    let named = first_entry(message).map_or_else(LockHolder::default, |entry| named(&entry));
    match (told, named.killable_id()) {
        // Two holders: one is told by number, the other in words.
        (Some(told), Some(named)) if told != 0 && told != named => LockHolder {
            session_id: Some(told),
            ..LockHolder::default()
        },
        (Some(_) | None, Some(_) | None) => LockHolder {
            session_id: told.or(named.session_id),
            ..named
        },
    }
}

/// What stands behind "locked by", to the end of its line: Junos lists several holders one below the other.
fn first_entry(message: &str) -> Option<String> {
    let lower = message.to_ascii_lowercase();
    let (at, words) = lower.match_indices("locked by").next()?;
    if lower[..at].ends_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let entries = message[at + words.len()..].trim_start_matches([':', ' ', '\t', '\r', '\n']);
    let mut lines = entries.lines().map(str::trim);
    let first = lines.next()?;
    // Some wrap their lines, also between date and time: then the next one begins with the rest of the date.
    let in_date = first.rsplit_once(SINCE);
    let in_date = in_date.is_some_and(|(_, date)| !date.contains(':'));
    match lines.next() {
        Some(next)
            if in_date && next.starts_with(is_digit) && next.split(' ').next().is_some_and(is_of_date) =>
        {
            Some(format!("{first} {next}"))
        }
        Some(_) | None => Some(first.to_owned()),
    }
}

/// The holder that one line names.
fn named(entry: &str) -> LockHolder {
    let words: Vec<&str> = entry.split_whitespace().collect();
    junos(entry, &words)
        .or_else(|| numbered(entry, &words))
        .or_else(|| user(&words))
        .or_else(|| logged_in(entry, &words))
        .unwrap_or_default()
}

/// `alice terminal p0 (pid 4681) on since DATE, idle TIME`: Junos. User, terminal and its name may be missing.
fn junos(entry: &str, words: &[&str]) -> Option<LockHolder> {
    let pid_at = words.iter().position(|word| *word == "(pid")?;
    let pid = words.get(pid_at + 1)?.strip_suffix(')').and_then(number)?;
    let (user, terminal) = match &words[..pid_at] {
        [] | ["terminal"] => (None, None),
        ["terminal", terminal] => (None, Some(*terminal)),
        [user] | [user, "terminal"] => (Some(*user), None),
        [user, "terminal", terminal] => (Some(*user), Some(*terminal)),
        _ => return None,
    };
    Some(LockHolder {
        user: user.map(str::to_owned),
        terminal: terminal.map(str::to_owned),
        pid: Some(pid),
        since: since(entry),
        idle: idle(entry),
        ..LockHolder::default()
    })
}

/// `session 30 admin ssh (cli from 192.0.2.1) on since DATE`: confd. `session 14 (NC SID 5)`: sysrepo, which counts
/// sessions of its own beside those of NETCONF. `1677`: clixon. The number alone is enough.
fn numbered(entry: &str, words: &[&str]) -> Option<LockHolder> {
    let words = match words {
        [first, rest @ ..] if first.eq_ignore_ascii_case("netconf") => rest,
        words => words,
    };
    let (id, rest) = match words {
        ["session", id, rest @ ..] => (id, rest),
        [id] => (id, &[][..]),
        _ => return None,
    };
    let id = number(id.trim_end_matches('.'))?;
    let (id, rest) = match rest {
        ["(NC", "SID", id, rest @ ..] => (number(id.trim_end_matches('.').strip_suffix(')')?)?, rest),
        // Whose number it is says what stands in there.
        [bracket, ..] if bracket.starts_with(['(', '[']) => return None,
        _ => (id, rest),
    };
    let user = match rest {
        // One of several.
        ["and" | "or" | "&", ..] => return None,
        [user, _, from, ..] if from.starts_with('(') => Some(*user),
        _ => None,
    };
    let since = since(entry);
    Some(LockHolder {
        session_id: Some(id),
        user: user.filter(|_| since.is_some()).map(str::to_owned),
        since,
        ..LockHolder::default()
    })
}

/// `user admin from 192.0.2.1`, `user "admin"`. Other words behind "user" may be anything.
fn user(words: &[&str]) -> Option<LockHolder> {
    let ["user", name, rest @ ..] = words else {
        return None;
    };
    let quoted = |quote: char| {
        name.trim_end_matches(['.', ','])
            .strip_prefix(quote)?
            .strip_suffix(quote)
    };
    let name = match (quoted('"').or_else(|| quoted('\'')), rest) {
        (Some(name), _) => name,
        (None, ["from" | "on" | "since", ..]) => name,
        (None, _) => return None,
    };
    (!name.is_empty()).then(|| LockHolder {
        user: Some(name.to_owned()),
        ..LockHolder::default()
    })
}

/// `admin console (cli from 127.0.0.1) on since DATE`: NSO, which does not say what session it is.
fn logged_in(entry: &str, words: &[&str]) -> Option<LockHolder> {
    let [
        user,
        "console" | "ssh" | "tcp" | "tls" | "http" | "https",
        program,
        "from",
        ..,
    ] = words
    else {
        return None;
    };
    let since = since(entry).filter(|_| program.starts_with('('))?;
    Some(LockHolder {
        user: Some((*user).to_owned()),
        since: Some(since),
        ..LockHolder::default()
    })
}

/// Digits and nothing else.
fn number(word: &str) -> Option<u64> {
    word.parse().ok().filter(|_| word.chars().all(is_digit))
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

const SINCE: &str = "on since";

/// The date behind "on since", without the words that some write behind it. In an unknown form, all of it.
fn since(entry: &str) -> Option<String> {
    let told = after(entry, SINCE)?;
    let words = told.split_whitespace().take(3);
    let date: Vec<&str> = words.take_while(|word| is_of_date(word)).collect();
    Some(match date.as_slice() {
        [] => told.to_owned(),
        date => date.join(" "),
    })
}

/// Day, time or time zone: `2026-01-02`, `09:31:02`, `UTC`, `+02:00`.
fn is_of_date(word: &str) -> bool {
    word.chars()
        .all(|c| c.is_ascii_uppercase() || is_digit(c) || "-+:./".contains(c))
}

/// The time behind "idle", `3d 01:02`. Junos may go on with the kind of the lock.
fn idle(entry: &str) -> Option<String> {
    let time = after(entry, "idle ")?.split("exclusive").next()?.trim_end();
    (!time.is_empty()).then(|| time.to_owned())
}

/// What stands after `label`, up to a comma.
fn after<'e>(entry: &'e str, label: &str) -> Option<&'e str> {
    let (_, rest) = entry.split_once(label)?;
    let value = rest.split(',').next()?.trim();
    (!value.is_empty()).then_some(value)
}

/// The number after the name `session-id`, as an element or in words.
fn session_id(info: &str) -> Option<u64> {
    let (before, mut rest) = info.split_once("session-id")?;
    let in_tag = before.rfind('<') > before.rfind('>');
    if in_tag {
        rest = rest.split_once('>')?.1;
    }
    let rest = rest.trim_start_matches([':', '=', ' ', '\t', '\r', '\n']);
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests;
