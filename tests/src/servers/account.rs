//! Whom Postgres runs as: it refuses to run as root.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Accounts without rights of their own, the more fitting first.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// An unprivileged account to run a server as.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) name: &'static str,
    uid: u32,
    gid: u32,
}

impl Account {
    /// None unless this process is root: other users run servers as themselves.
    pub(crate) fn instead_of_root() -> Result<Option<Self>> {
        if id(&["-u"])? != Some(0) {
            return Ok(None);
        }
        for name in CANDIDATES {
            if let (Some(uid), Some(gid)) = (id(&["-u", name])?, id(&["-g", name])?) {
                return Ok(Some(Self { name, uid, gid }));
            }
        }
        bail!(
            "Postgres does not run as root, and there is neither a user postgres nor nobody to run \
             it as: create one with `useradd --system postgres`, or do not run as root"
        )
    }

    /// Makes the command run as this account.
    pub(crate) fn apply_to(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    pub(crate) fn take_over(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("could not give {} to {}", path.display(), self.name))
    }
}

/// What `id` answers, if there is such a user.
fn id(arguments: &[&str]) -> Result<Option<u32>> {
    let output = Command::new("id").args(arguments).output().context("could not run `id`")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse().ok())
}
