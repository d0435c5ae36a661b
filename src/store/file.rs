//! Whether the file of a SQLite database is still the one that was opened. SQLite itself writes on into a file that
//! was deleted or replaced under it, and what it wrote is gone with the process.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file as it was when it was opened.
#[derive(Debug)]
pub(super) struct OpenedFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl OpenedFile {
    /// # Errors
    /// There is no such file, or it may not be looked at.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let found = std::fs::metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            identity: (found.dev(), found.ino()),
        })
    }

    /// # Errors
    /// There is none in its place, or another one.
    pub(super) async fn check(&self) -> io::Result<()> {
        let found = tokio::fs::metadata(&self.path).await?;
        if (found.dev(), found.ino()) == self.identity {
            Ok(())
        } else {
            Err(io::Error::new(
                io::ErrorKind::NotFound,
                "another file stands in its place",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quality section 1 row 25: a file that is gone, or another one in its place, is noticed, and its return, too.
    #[tokio::test]
    async fn absent_and_replaced_files_are_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, aside) = (directory.path().join("a"), directory.path().join("b"));
        std::fs::write(&path, "").unwrap();
        let opened = OpenedFile::new(&path).unwrap();
        assert!(opened.check().await.is_ok());
        std::fs::rename(&path, &aside).unwrap();
        assert_eq!(opened.check().await.unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&path, "").unwrap();
        let replaced = opened.check().await.unwrap_err();
        assert_eq!(replaced.to_string(), "another file stands in its place");
        std::fs::rename(&aside, &path).unwrap();
        assert!(opened.check().await.is_ok());
    }
}
