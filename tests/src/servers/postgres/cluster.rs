//! The files of one Postgres: programs, data folder, configuration, log.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use uuid::Uuid;

use super::PostgresOptions;
use crate::servers::account::Account;
use crate::servers::binaries::PostgresPrograms;
use crate::servers::folder::RunFolder;
use crate::servers::process::Launch;

pub(super) const SUPERUSER: &str = "postgres";

/// Enough connections for many pools, little memory. No socket but loopback: paths of sockets may
/// not be long, and those of temporary folders are.
const CONFIGURATION: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 64MB
max_wal_size = 256MB
timezone = 'UTC'
log_timezone = 'UTC'
";

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) password: String,
    bin: PathBuf,
    folder: RunFolder,
    account: Option<Account>,
}

impl Cluster {
    /// Blocks for about as long as `initdb` takes.
    pub(super) fn create(programs: &PostgresPrograms, options: PostgresOptions) -> Result<Self> {
        let account = Account::instead_of_root()?;
        let folder = RunFolder::create("postgres", account.as_ref())?;
        let bin = within_reach(programs, account.as_ref(), &folder)?;
        // Two, for half of each is the time.
        let password = format!("{}{}", Uuid::now_v7().simple(), Uuid::now_v7().simple());
        let cluster = Self { password, bin, folder, account };
        cluster.initialise()?;
        let fsync = if options.fsync { "on" } else { "off" };
        let mut configuration =
            OpenOptions::new().append(true).open(cluster.data_dir().join("postgresql.conf"))?;
        // Where nothing is measured: compiling a query takes longer than reading the rows of a test.
        let jit = fsync;
        writeln!(configuration, "{CONFIGURATION}fsync = {fsync}\njit = {jit}")?;
        Ok(cluster)
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.folder().join("data")
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.folder().join("postgres.log")
    }

    pub(super) fn launch(&self, port: u16) -> Launch {
        Launch {
            name: "postgres",
            program: self.bin.join("postgres"),
            environment: Vec::new(),
            arguments: vec![
                "-D".into(),
                self.data_dir().into(),
                "-p".into(),
                port.to_string().into(),
            ],
            working_folder: self.folder().to_owned(),
            log: self.log_path(),
            // Ends at once, but gives back its shared memory, which SIGKILL would leave behind.
            end_signal: "QUIT",
            account: self.account.clone(),
        }
    }

    pub(super) fn write_file(&self, name: &str, contents: &[u8]) -> Result<PathBuf> {
        let path = self.folder().join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("could not write {}", path.display()))?;
        file.write_all(contents)?;
        if let Some(account) = &self.account {
            account.take_over(&path)?;
        }
        Ok(path)
    }

    fn initialise(&self) -> Result<()> {
        let password_file = self.write_file("password", self.password.as_bytes())?;
        let mut command = Command::new(self.bin.join("initdb"));
        command
            .args(["--username", SUPERUSER, "--auth", "scram-sha-256", "--encoding", "UTF8"])
            .args(["--no-locale", "--no-sync", "--no-instructions"])
            .arg("--pwfile")
            .arg(&password_file)
            .arg("--pgdata")
            .arg(self.data_dir())
            .current_dir(self.folder())
            .env("LC_ALL", "C");
        if let Some(account) = &self.account {
            account.apply_to(&mut command);
        }
        let output = command.output().with_context(|| {
            format!("could not run initdb in {}: {}", self.folder().display(), self.entering_hint())
        })?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "initdb failed: {}", said.trim());
        fs::remove_file(password_file)?;
        Ok(())
    }

    fn entering_hint(&self) -> String {
        let user = self.account.as_ref().map_or("this user", |account| account.name);
        format!("set TMPDIR to a folder that {user} may enter")
    }
}

/// The folder of the programs, where `account` can run them. A fetched Postgres lies below the
/// target folder, which may be closed to others; it is then copied into the server's own folder.
fn within_reach(
    programs: &PostgresPrograms,
    account: Option<&Account>,
    folder: &RunFolder,
) -> Result<PathBuf> {
    let Some(account) = account else {
        return Ok(programs.bin.clone());
    };
    let mut probe = Command::new(programs.bin.join("postgres"));
    probe.arg("--version").current_dir("/");
    account.apply_to(&mut probe);
    if probe.output().is_ok_and(|output| output.status.success()) {
        return Ok(programs.bin.clone());
    }
    let movable = programs.movable.as_ref().with_context(|| {
        let bin = programs.bin.display();
        format!(
            "the user {} cannot run what is in {bin}: install Postgres where all may enter",
            account.name
        )
    })?;
    let copy = folder.path().join("programs");
    let copied = Command::new("cp").arg("-R").arg(movable).arg(&copy).output()?;
    let said = String::from_utf8_lossy(&copied.stderr);
    ensure!(copied.status.success(), "could not copy Postgres: {}", said.trim());
    Ok(copy.join(programs.bin.strip_prefix(movable)?))
}
