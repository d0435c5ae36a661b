//! How many connections callers may have, so that descriptors are left for devices and the database.

/// At least so many are left, where there are twice as many.
const LEAST_LEFT: usize = 64;

/// As many connections as are `wanted`, or as many as the system's limit on open files allows beside everything else.
pub(super) fn connections(wanted: usize) -> usize {
    let Some(files) = most_open_files() else {
        return wanted;
    };
    let most = within(files);
    if wanted > most {
        tracing::info!(
            wanted,
            connections = most,
            open_files = files,
            "fewer connections of callers than max_connections: the limit on open files is too low"
        );
    }
    wanted.min(most)
}

/// Three quarters, but something for others as well.
fn within(files: usize) -> usize {
    files - (files / 4).max(LEAST_LEFT.min(files / 2))
}

/// The limit that counts for this process; `None`: there is none, or the system does not tell.
fn most_open_files() -> Option<usize> {
    soft_limit(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// X12: callers do not take what devices and the database need.
    #[test]
    fn something_is_left_for_devices() {
        for (files, connections) in [(1024, 768), (256, 192), (64, 32), (1, 1), (0, 0)] {
            assert_eq!(within(files), connections, "{files}");
        }
        assert!(within(524_288) > 4096);
    }

    /// X12: the limit is read as the system writes it.
    #[test]
    fn the_limit_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             95986                95986                processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(soft_limit(limits), Some(1024));
        assert_eq!(soft_limit(&limits.replace("1024  ", "unlimited  ")), None);
        assert_eq!(soft_limit(""), None);
    }
}
