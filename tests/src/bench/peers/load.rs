//! Loading: every peer gets the entries as it likes them, from a file, and a database of its own.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _};
use url::Url;

use super::pins::{DLT, MELTANO, PIPELINEWISE};
use super::program::Program;
use crate::bench::entries::{self, Version};
use crate::bench::figures::Figure;
use crate::bench::load::Bench;
use crate::bench::usage;
use crate::environment::Environment;
use crate::servers::Database;

const STREAM: &str = "time_entries";

/// Who loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bench) enum Loader {
    Dlt,
    Meltano,
    Pipelinewise,
}

impl Loader {
    pub(in crate::bench) const ALL: [Self; 3] = [Self::Dlt, Self::Meltano, Self::Pipelinewise];

    pub(in crate::bench) const fn phase(self) -> &'static str {
        match self {
            Self::Dlt => "peer: dlt, merge",
            Self::Meltano => "peer: Meltano's target",
            Self::Pipelinewise => "peer: PipelineWise's target",
        }
    }

    fn program(self, rows: u32, database: &Database) -> Result<Program> {
        let environment: &'static Environment = match self {
            Self::Dlt => {
                let program = Program::new(&DLT, include_str!("dlt_load.py"))?;
                let file = write_lines(program.folder(), rows)?;
                return Ok(program
                    .argument(file)
                    .env("DESTINATION__POSTGRES__CREDENTIALS", &database.url));
            }
            Self::Meltano => &MELTANO,
            Self::Pipelinewise => &PIPELINEWISE,
        };
        let program = Program::new(environment, include_str!("console_script.py"))?;
        let settings = program.folder().join("settings.json");
        serde_json::to_writer(File::create(&settings)?, &self.settings(database)?)?;
        let messages = write_messages(program.folder(), rows)?;
        Ok(program
            .argument("target-postgres")
            .argument("--config")
            .argument(settings)
            .stdin(messages))
    }

    fn settings(self, database: &Database) -> Result<Value> {
        let url: Url = database.url.parse()?;
        let mut settings = json!({
            "host": url.host_str(),
            "port": url.port(),
            "user": url.username(),
            "password": url.password(),
            "default_target_schema": "raw",
        });
        if self == Self::Meltano {
            settings["database"] = json!(database.name);
            // COPY, which this driver alone has.
            settings["use_copy"] = json!(true);
            settings["dialect+driver"] = json!("postgresql+psycopg");
        } else {
            settings["dbname"] = json!(database.name);
        }
        Ok(settings)
    }
}

/// One peer, once. That it fails or loses rows is in its figure, and ends nothing.
pub(in crate::bench) async fn load(
    bench: &mut Bench<'_>,
    loader: Loader,
    rows: u32,
    say: fn(&str),
) -> Result<Figure> {
    let postgres = bench.world.postgres();
    let database = postgres.create_database().await?;
    let program = loader.program(rows, &database)?;
    bench.connection.execute("checkpoint").await?;
    let before = usage::cpu_of_family(postgres.pid())?;
    let ended = program.run().await?;
    let cpu = usage::cpu_of_family(postgres.pid())? - before;
    if let Some(failure) = &ended.failure {
        say(&format!("{} failed: {failure}", loader.phase()));
    }
    let mut connection = postgres.connect(&database.name).await?;
    // No table is as good as no row.
    let stored: i64 = sqlx::query_scalar("select count(distinct id) from raw.time_entries")
        .fetch_one(&mut connection)
        .await
        .unwrap_or(0);
    connection.close().await?;
    let each = |seconds: f64| seconds * 1e6 / f64::from(rows);
    Ok(Figure {
        phase: loader.phase().to_owned(),
        rows,
        stored: Some(u32::try_from(stored)?),
        seconds: ended.seconds,
        cpu: [("peer".to_owned(), each(ended.cpu)), ("postgres".to_owned(), each(cpu))].into(),
        peak_mib: Some(ended.peak_mib),
        ..Figure::default()
    })
}

/// An entry a line.
fn write_lines(folder: &Path, rows: u32) -> Result<PathBuf> {
    let path = folder.join("entries.jsonl");
    let mut file = BufWriter::new(File::create(&path)?);
    for place in 0..rows {
        file.write_all(&entries::record(place, Version::First).data)?;
        file.write_all(b"\n")?;
    }
    file.flush()?;
    Ok(path)
}

/// As a Singer tap says them: a schema, records, a state.
fn write_messages(folder: &Path, rows: u32) -> Result<PathBuf> {
    let path = folder.join("messages.jsonl");
    let mut file = BufWriter::new(File::create(&path)?);
    writeln!(file, "{}", schema())?;
    for place in 0..rows {
        let data = entries::record(place, Version::First).data;
        let data = std::str::from_utf8(&data).context("an entry is text")?;
        writeln!(file, r#"{{"type":"RECORD","stream":"{STREAM}","record":{data}}}"#)?;
    }
    writeln!(file, "{}", json!({"type": "STATE", "value": {}}))?;
    file.flush()?;
    Ok(path)
}

fn schema() -> Value {
    let integer = || json!({"type": ["null", "integer"]});
    let flag = || json!({"type": ["null", "boolean"]});
    let time = || json!({"type": ["null", "string"], "format": "date-time"});
    let list = |of: &str| json!({"type": ["null", "array"], "items": {"type": of}});
    json!({
        "type": "SCHEMA",
        "stream": STREAM,
        "key_properties": ["id"],
        "schema": {"type": "object", "properties": {
            "id": {"type": "integer"},
            "workspace_id": integer(),
            "project_id": integer(),
            "task_id": integer(),
            "billable": flag(),
            "start": time(),
            "stop": time(),
            "duration": integer(),
            "description": {"type": ["null", "string"]},
            "tags": list("string"),
            "tag_ids": list("integer"),
            "duronly": flag(),
            "at": time(),
            "server_deleted_at": time(),
            "user_id": integer(),
            "uid": integer(),
            "wid": integer(),
            "pid": integer(),
            "tid": integer(),
        }},
    })
}
