//! JSON pointers (RFC 6901).

/// `pointer` with one more reference token, in which `~` and `/` are escaped (section 3).
pub(crate) fn child(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
