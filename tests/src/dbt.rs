//! The real dbt, with the project that `docs/dbt` has for users, before the database of a test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tokio::process::Command;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use url::Url;

use crate::environment::Environment;

const DBT: Environment = Environment { name: "dbt", requirements: include_str!("../dbt.txt") };

/// Longer than all tests of the project take on a small database.
const DEADLINE: Duration = Duration::from_mins(5);

/// The project as a user has it: copied, and with the address of a database in the environment.
#[derive(Debug)]
pub struct Dbt {
    program: PathBuf,
    database: Url,
    project: tempfile::TempDir,
}

/// What a command of dbt came to.
#[derive(Debug)]
pub struct Done {
    /// 0 where everything passed, 1 where something failed.
    pub code: Option<i32>,
    /// What it printed.
    pub said: String,
    /// Status by the name of the model, test or source, such as `pass`, `warn` and `fail`.
    pub results: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Report {
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    unique_id: String,
    status: String,
}

impl Dbt {
    /// For this `DATABASE_URL`. Installs dbt below the target folder if it is not there yet.
    ///
    /// # Errors
    /// When Python or the network is missing.
    pub async fn before(database_url: &str) -> Result<Self> {
        let python = spawn_blocking(|| DBT.python()).await??;
        let project = tempfile::tempdir()?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/dbt");
        copy(&source, project.path()).context("could not copy docs/dbt")?;
        Ok(Self { program: python.with_file_name("dbt"), database: database_url.parse()?, project })
    }

    /// Runs it with these arguments, of which the first are the command. Of the environment it sees only what
    /// is set here.
    ///
    /// # Errors
    /// When it cannot be started, takes too long, or leaves no results.
    pub async fn run(&self, arguments: &[&str]) -> Result<Done> {
        let report = match arguments {
            ["source", "freshness", ..] => "sources.json",
            _ => "run_results.json",
        };
        let report = self.project.path().join("target").join(report);
        let mut command = Command::new(&self.program);
        command.args(["--no-use-colors"]).args(arguments).current_dir(self.project.path());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let database = &self.database;
        command
            .env("HOME", self.project.path())
            .env("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
            .env("PGHOST", database.host_str().context("a URL without a host")?)
            .env("PGPORT", database.port().unwrap_or(5432).to_string())
            .env("PGUSER", database.username())
            .env("PGPASSWORD", database.password().unwrap_or_default())
            .env("PGDATABASE", database.path().trim_start_matches('/'))
            .kill_on_drop(true);
        let output = timeout(DEADLINE, command.output())
            .await
            .context("dbt takes too long")?
            .with_context(|| format!("could not run {}", self.program.display()))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        ensure!(report.exists(), "dbt left no results: {said}");
        let Report { results } = serde_json::from_slice(&fs::read(&report)?)?;
        fs::remove_file(&report)?;
        let results = results.into_iter().map(|outcome| (outcome.unique_id, outcome.status));
        Ok(Done { code: output.status.code(), said, results: results.collect() })
    }
}

/// All files, but nothing that a run of dbt has left there.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if !entry.file_type()?.is_dir() {
            fs::copy(from, to)?;
        } else if !["logs", "target"].iter().any(|name| entry.file_name() == *name) {
            copy(&from, &to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned() {
        DBT.assert_pinned();
    }
}
