//! The temporary folder of one server, removed at the end whatever that end is.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::account::Account;
use super::hung::watch_this_test;

/// Its standard input is a pipe whose other end this process holds, so it ends with this process.
/// It removes more than once, since the server is being ended at the same moment.
const REMOVE_WHEN_ORPHANED: &str = r#"
while read -r _; do :; done
for pause in 0.2 1 5; do sleep "$pause"; rm -rf "$1"; done
"#;

/// A private folder (mode 0700) below the system's temporary folder.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    remover: Child,
}

impl RunFolder {
    /// `purpose` becomes part of the name; the folder belongs to `owner`, if there is one.
    pub(crate) fn create(purpose: &str, owner: Option<&Account>) -> Result<Self> {
        watch_this_test();
        let folder = tempfile::Builder::new()
            .prefix(&format!("toggl-track-{purpose}-"))
            .tempdir()
            .context("could not create a temporary folder: is TMPDIR writable?")?;
        if let Some(owner) = owner {
            owner.take_over(folder.path())?;
        }
        let remover = Command::new("sh")
            .args(["-c", REMOVE_WHEN_ORPHANED, "remover"])
            .arg(folder.path())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("could not start `sh`")?;
        Ok(Self { path: folder.keep(), remover })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // Where something is still writing into it, the remover tries on until it has ended.
        if fs::remove_dir_all(&self.path).is_ok() {
            self.remover.kill().ok();
        }
        self.remover.wait().ok();
    }
}
