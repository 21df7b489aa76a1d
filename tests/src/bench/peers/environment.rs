//! Python environments below the target folder, each with the packages that one file pins.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::servers::python;

/// The packages of one peer.
#[derive(Debug)]
pub(super) struct Environment {
    name: &'static str,
    /// `name==version` lines, dependencies included.
    requirements: &'static str,
}

pub(super) const DLT: Environment =
    Environment { name: "dlt", requirements: include_str!("dlt.txt") };
pub(super) const MELTANO: Environment =
    Environment { name: "meltano-target", requirements: include_str!("meltano_target.txt") };
pub(super) const PIPELINEWISE: Environment = Environment {
    name: "pipelinewise-target",
    requirements: include_str!("pipelinewise_target.txt"),
};
pub(super) const TAP: Environment =
    Environment { name: "tap-toggl", requirements: include_str!("tap_toggl.txt") };

impl Environment {
    /// Its Python. Blocks for a download if it is not there yet, or was made of other pins.
    pub(super) fn python(&self) -> Result<PathBuf> {
        let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(target).join("peers");
        fs::create_dir_all(&peers)
            .with_context(|| format!("could not create {}", peers.display()))?;
        // Given up when the file is closed, and so also when this process dies.
        let lock = File::create(peers.join("lock"))?;
        lock.lock().context("could not lock the environments of the peers")?;
        let folder = peers.canonicalize()?.join(self.name);
        let installed = folder.join("installed.txt");
        if !fs::read_to_string(&installed).is_ok_and(|pins| pins == self.requirements) {
            self.make(&folder).with_context(|| format!("could not install {}", self.name))?;
            fs::rename(folder.join("requirements.txt"), installed)?;
        }
        Ok(folder.join("bin/python"))
    }

    fn make(&self, folder: &Path) -> Result<()> {
        python(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
        let requirements = folder.join("requirements.txt");
        fs::write(&requirements, self.requirements)?;
        python(
            Command::new(folder.join("bin/python"))
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
                .arg(requirements),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned() {
        for Environment { name, requirements } in [DLT, MELTANO, PIPELINEWISE, TAP] {
            assert!(requirements.lines().count() > 10, "{name} without its dependencies");
            let loose = requirements.lines().find(|line| !line.contains("=="));
            assert_eq!(loose, None, "{name}");
        }
    }
}
