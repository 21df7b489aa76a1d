//! The shell commands and questions of README.md and `docs/`, run as they stand there: only addresses and
//! tokens are replaced.

use std::process::Stdio;

use tests::servers::{DEADLINE, nats_server_program};
use tests::toggl::{Account, TOKEN};
use tests::world::World;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::dead_letters::letters::{Letters, named};
use crate::expected::rows::resource;
use crate::given::batches::listing;
use crate::house::pages::blocks;

const ROOT_KEY: &[u8] = b"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";

/// The block that has this line.
fn block(line: &str) -> &'static str {
    let found = blocks("sh").into_iter().find(|block| block.lines().any(|l| l.starts_with(line)));
    found.unwrap_or_else(|| panic!("no block of a page has {line:?}"))
}

async fn world() -> World {
    World::start_with_own_postgres(Account::sample_at(jiff::Timestamp::now())).await.unwrap()
}

/// Runs a block, and insists on success.
async fn run(world: &World, block: &str) {
    let key = world.postgres().write_server_file("root.key", ROOT_KEY).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let workers = tests::workers::folder().await.unwrap();
    let path = std::env::var_os("PATH").unwrap().into_string().unwrap();
    let path = format!("{}:{path}", workers.display());
    let mut bash = Command::new("bash")
        .args(["-euo", "pipefail", "-c", block])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("DATABASE_URL", &world.database.url)
        .env("NATS_URL", world.nats.url())
        .env("TOGGL_URL", world.toggl.url().as_str())
        .env("TOGGL_REQUESTS_PER_SECOND", "1000")
        .env("TOGGL_BURST", "1000")
        .env("STREAM_MAX_BYTES", "268435456")
        .env("LOADER_HTTP", "off")
        .env("VAULT_KEY_FILE", key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    bash.stdin.take().unwrap().write_all(TOKEN.as_bytes()).await.unwrap();
    let output = tokio::time::timeout(DEADLINE, bash.wait_with_output()).await.unwrap().unwrap();
    let said = format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{block}\n{said}");
}

/// With the token in the environment, as every block after the first expects it.
fn with_token(block: &str) -> String {
    format!("export TOGGL_API_TOKEN={TOKEN}\n{block}")
}

#[tokio::test]
async fn from_an_empty_database_to_rows_without_docker() {
    let world = world().await;
    let nats_server = nats_server_program().await.unwrap();
    let block = block("nats-server")
        .replace("postgres://user:password@localhost:5432/toggl", &world.database.url)
        .replace("TOGGL_API_TOKEN=…", &format!("TOGGL_API_TOKEN={TOKEN}"))
        // It runs already, at a port of its own: the file is only checked.
        .replace("nats-server -c", &format!("'{}' -t -c", nats_server.display()))
        .replace("\nloader status\n", "\nloader status || test $? = 6\n");
    // What is built already.
    let block: Vec<&str> = block.lines().filter(|line| !line.starts_with("cargo build")).collect();
    let rows = "select count(*) from raw.toggl_track__projects";
    run(&world, &format!("trap 'kill $(jobs -p); wait' EXIT\n{}", block.join("\n"))).await;
    let mut connection = world.connect().await.unwrap();
    let count: i64 = sqlx::query_scalar(rows).fetch_one(&mut connection).await.unwrap();
    assert_eq!(count, 4);
}

#[tokio::test]
async fn completions_pages_and_credentials() {
    let world = world().await;
    run(&world, block("fetcher completions")).await;
    run(&world, &format!("loader migrate\n{}", block("fetcher credentials"))).await;
}

#[tokio::test]
async fn a_vault_in_one_command() {
    let world = world().await;
    let shown = "postgres://postgres:…@localhost/toggl";
    let block = block("DATABASE_URL=");
    assert!(block.contains(shown), "{block}");
    run(&world, &block.replace(shown, &world.database.url)).await;
}

#[tokio::test]
async fn what_a_sync_reads_replays_explains_and_forgets() {
    let world = world().await;
    run(&world, &with_token(block("fetcher --only"))).await;
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    run(&world, block("loader replay")).await;
    run(&world, block("loader explain")).await;
    run(&world, block("loader hours")).await;
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
    // And the questions.
    let mut connection = world.connect().await.unwrap();
    let questions = blocks("sql");
    assert!(questions.len() >= 9, "{questions:?}");
    for question in questions {
        let answered = sqlx::raw_sql(question).execute(&mut connection).await;
        answered.unwrap_or_else(|error| panic!("{error}: {question}"));
    }
    run(&world, block("loader prune")).await;
    run(&world, block("loader forget")).await;
}

#[tokio::test]
async fn dead_letters_by_the_numbers_that_their_page_has() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    letters
        .execute(
            "insert into raw.toggl_track__dead_letters (dead_letter_id, resource, subject,
                 stream_sequence, published_at, reason, payload)
             overriding system value
             values (12, 'tags', 'toggl_track.raw.tags', 0, now(), 'unreadable', '')"
                .to_owned(),
        )
        .await;
    let restart = "alter table raw.toggl_track__dead_letters
         alter column dead_letter_id restart with 15";
    letters.execute(restart.to_owned()).await;
    letters.load(&listing(tags, 10, named(tags, 1..=20, "good"))).await;
    letters.load(&listing(tags, 20, named(tags, 13..=20, "good"))).await;
    assert_eq!(letters.ids().await, [12, 15]);
    run(&letters.world, block("loader dead-letters")).await;
    letters.assert_none().await;
}
