//! In what a device differs from others of its kind.

use super::Builder;
use crate::emulator::device::Member;
use crate::emulator::quirk::Quirk;

impl Builder {
    /// One way more in which commits and locks differ from what the protocol says.
    #[must_use]
    pub fn quirk(mut self, quirk: Quirk) -> Self {
        self.conduct.push(quirk);
        self
    }

    /// Opening a private copy is answered with a warning, as before Junos 18.2.
    #[must_use]
    pub fn warns_of_private_copies(mut self) -> Self {
        self.quirks.private_warning = true;
        self
    }

    /// Private copies are neither opened nor committed while somebody has changed the shared candidate.
    #[must_use]
    pub fn refuses_private_copies_beside_changes(mut self) -> Self {
        self.quirks.private_wants_clean = true;
        self
    }

    /// A failed load is answered with the number of its errors alone, as by old releases.
    #[must_use]
    pub fn counts_load_errors(mut self) -> Self {
        self.quirks.load_error_count = true;
        self
    }

    /// What the device warns of at every commit that succeeds, and at every check: `requires 'bgp' license`.
    #[must_use]
    pub fn commit_warning(mut self, message: impl Into<String>) -> Self {
        self.quirks.commit_warnings.push(message.into());
        self
    }

    /// Adds a member that reports on commits: routing engines (`re0`, `re1`) after the first do so when a commit is
    /// synchronized, nodes of a cluster (`node0`, …) always.
    #[must_use]
    pub fn member(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.quirks.members.push(Member { name, error: None });
        self
    }

    /// The same, of a member that fails with this message while the others commit.
    #[must_use]
    pub fn failing_member(mut self, name: impl Into<String>, error: impl Into<String>) -> Self {
        let (name, error) = (name.into(), Some(error.into()));
        self.quirks.members.push(Member { name, error });
        self
    }

    /// The answer to a check is no well-formed XML: `<routing-engine>` is never closed, as on some clusters.
    #[must_use]
    pub fn leaves_members_unclosed(mut self) -> Self {
        self.quirks.unclosed_members = true;
        self
    }

    /// A commit after a successful `<validate>` says that it went well and drops the edit.
    #[must_use]
    pub fn validate_loses_edits(mut self) -> Self {
        self.quirks.validate_loses_edits = true;
        self
    }
}
