//! Python environments below the target folder, each with the packages that one file pins: by version alone,
//! for their wheels are many, and other ones on each platform.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::servers::python;

/// The packages of one program.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) name: &'static str,
    /// `name==version` lines, dependencies included.
    pub(crate) requirements: &'static str,
}

impl Environment {
    /// Its Python. Blocks for a download if it is not there yet, or was made of other pins.
    pub(crate) fn python(&self) -> Result<PathBuf> {
        let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let environments =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(target).join("environments");
        fs::create_dir_all(&environments)
            .with_context(|| format!("could not create {}", environments.display()))?;
        // Given up when the file is closed, and so also when this process dies.
        let lock = File::create(environments.join("lock"))?;
        lock.lock().context("could not lock the Python environments")?;
        let folder = environments.canonicalize()?.join(self.name);
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

    /// That nothing is left to the day on which it is installed.
    #[cfg(test)]
    pub(crate) fn assert_pinned(&self) {
        let Self { name, requirements } = self;
        assert!(requirements.lines().count() > 10, "{name} without its dependencies");
        let loose = requirements.lines().find(|line| !line.contains("=="));
        assert_eq!(loose, None, "{name}");
    }
}
