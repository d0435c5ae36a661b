//! "Did you mean …?" for names that nobody knows: settings, members of a request, sub-commands.

/// The candidate nearest to `word`, if it is near enough to be a slip of the keyboard.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer words are no slip of any candidate, and the distance is quadratic.
    if word.len() > 64 {
        return None;
    }
    let most = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A detail line for an unknown name: says so, and names the nearest known one.
pub fn unknown<'a>(what: &str, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let shown: String = word.chars().take(64).collect();
    match closest(word, candidates) {
        Some(candidate) => format!("unknown {what} '{shown}'; did you mean '{candidate}'?"),
        None => format!("unknown {what} '{shown}'"),
    }
}

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`; case and `-` or `_` do not count.
fn distance(a: &str, b: &str) -> usize {
    let fold = |c: char| if c == '-' { '_' } else { c.to_ascii_lowercase() };
    let a: Vec<char> = a.chars().map(fold).collect();
    let b: Vec<char> = b.chars().map(fold).collect();
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["listen", "database", "device_networks", "drain_seconds"];

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        assert_eq!(closest("lisetn", NAMES), Some("listen"));
        assert_eq!(closest("databse", NAMES), Some("database"));
        assert_eq!(closest("device-network", NAMES), Some("device_networks"));
        assert_eq!(closest("colour", NAMES), None);
        assert_eq!(closest(&"x".repeat(1_000_000), NAMES), None);
    }

    #[test]
    fn detail_names_the_nearest() {
        assert_eq!(
            unknown("setting", "listne", NAMES),
            "unknown setting 'listne'; did you mean 'listen'?"
        );
        assert_eq!(unknown("setting", "zzz", NAMES), "unknown setting 'zzz'");
    }
}
