//! No secret of an account gets anywhere: not into NATS, Postgres, logs or help texts.

use std::path::Path;

use futures::StreamExt as _;
use shared::batch::Batch;
use shared::stream::STREAM;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tests::servers::DEADLINE;
use tests::toggl::{Account, Answer, QuotaLimits};
use tests::workers::{Finished, Worker};
use tests::world::World;

use crate::expected::endings::{assert_misused, assert_unspoken};
use crate::given::guarded::{Guarded, secrets};

/// Rows of any table outside Postgres' own that hold the text; views show nothing else.
pub(crate) async fn tables_containing(connection: &mut PgConnection, needle: &str) -> Vec<String> {
    let tables = sqlx::query(
        "select format('%I.%I', table_schema, table_name) from information_schema.tables
         where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let mut found = Vec::new();
    for table in tables {
        let table: String = table.get(0);
        // As text, and as Postgres prints bytea: in hexadecimal digits.
        let sql = format!(
            "select count(*) from {table} t
             where position($1 in t::text) > 0
                or position(encode(convert_to($1, 'utf8'), 'hex') in t::text) > 0"
        );
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(needle);
        let count: i64 = query.fetch_one(&mut *connection).await.unwrap();
        if count > 0 {
            found.push(table);
        }
    }
    found
}

/// Every message of the stream, unpacked.
pub(crate) async fn batches(world: &World) -> Vec<Batch> {
    let context = world.jetstream().await.unwrap();
    let stream = context.get_stream(STREAM).await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    futures::stream::iter(1..=last)
        .then(async |sequence| {
            let message = stream.get_raw_message(sequence).await.unwrap();
            let encoding = message.headers.get("Content-Encoding").map(ToString::to_string);
            Batch::decode(&message.payload, encoding.as_deref()).unwrap()
        })
        .collect()
        .await
}

fn files_containing(folder: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_containing(&path, needle));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn no_secret_of_the_account_reaches_nats_postgres_or_a_log() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    let secrets = world.toggl.with_account(|account| account.secrets());
    assert!(secrets.len() >= 4, "{secrets:?}");
    let fetched = world.sync(&["--log-level", "debug"]).await.unwrap();
    let loader = world.loader(&["--log-level", "debug"]).start().await.unwrap();
    world.loaded().await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0));

    let mut connection = world.connect().await.unwrap();
    let me = tables_containing(&mut connection, "Test User").await;
    assert!(me.contains(&"raw.toggl_track__me".to_owned()), "the search finds nothing: {me:?}");
    let batches = batches(&world).await;
    assert!(batches.len() >= 8, "{} batches", batches.len());
    for secret in secrets {
        assert_eq!(tables_containing(&mut connection, &secret).await, Vec::<String>::new());
        assert!(files_containing(&world.nats.store_dir(), &secret).is_empty());
        for record in batches.iter().flat_map(|batch| &batch.records) {
            let data = std::str::from_utf8(&record.data).unwrap();
            assert!(!data.contains(&secret), "{data}");
        }
        let said = format!("{}{}{}", fetched.stdout, fetched.stderr, loader.log());
        assert!(!said.contains(&secret), "{said}");
    }
}

#[tokio::test]
async fn no_secret_is_in_a_file_of_postgres_or_in_a_dead_letter() {
    let mut account = Account::sample_at(jiff::Timestamp::now());
    // Postgres holds no zero character, so this record is kept with its bytes as a dead letter.
    let me = tests::toggl::with_fields(account.me(), &[("fullname", r#""c4n\u0000ry""#)]);
    account.set_me(&me);
    let secrets = account.secrets();
    let world = World::start_with_own_postgres(account).await.unwrap();
    world.sync_and_load(&[]).await.unwrap();

    let mut connection = world.connect().await.unwrap();
    let dead = tables_containing(&mut connection, r"c4n\u0000ry").await;
    assert_eq!(dead, ["raw.toggl_track__dead_letters"], "the search finds no bytes");
    let found = world.postgres().files_containing(r"c4n\u0000ry".as_bytes()).await.unwrap();
    assert!(!found.is_empty(), "the search of the files finds nothing");
    for secret in secrets {
        assert_eq!(tables_containing(&mut connection, &secret).await, Vec::<String>::new());
        let found = world.postgres().files_containing(secret.as_bytes()).await.unwrap();
        assert!(found.is_empty(), "{secret} stands in {found:?}");
    }
}

#[tokio::test]
async fn help_does_not_show_what_the_environment_holds() {
    for worker in ["fetcher", "loader"] {
        let finished = Worker::new(worker, &["--help"])
            .env("DATABASE_URL", "postgres://user:hunter2@host/db")
            .env("NATS_URL", "nats://user:hunter2@host")
            .env("NATS_PASSWORD", "hunter2")
            .env("TOGGL_API_TOKEN", "hunter2")
            .env("TOGGL_URL", "https://hunter2.example")
            .run()
            .await
            .unwrap();
        assert_eq!(finished.code, Some(0));
        assert!(!finished.stdout.contains("hunter2"), "{}", finished.stdout);
    }
}

#[tokio::test]
async fn a_toggl_address_with_a_login_is_refused_and_not_repeated() {
    for address in [
        "https://eva:hunter2@proxy.example",
        "https://hunter2@proxy.example",
        "https://eva:hunter2@proxy.example:no-port",
        "eva:hunter2@proxy.example",
        "ftp://proxy.example/hunter2",
        "",
    ] {
        let by_environment = Worker::new("fetcher", &["check"]).env("TOGGL_URL", address);
        let by_argument = Worker::new("fetcher", &["check", "--toggl-url", address]);
        // An empty variable is none.
        let by_environment = Some(by_environment).filter(|_| !address.is_empty());
        for worker in by_environment.into_iter().chain([by_argument]) {
            let finished = worker.env("TOGGL_API_TOKEN", "t0ken").run().await.unwrap();
            assert_misused(&finished, &["TOGGL_URL", "https://host"]);
            assert_unspoken(&finished, "hunter2");
        }
    }
}

/// With a wrong setting, of which each makes the programs say something else about it.
async fn endings(guarded: &Guarded, secret: &str) -> Vec<(i32, Finished)> {
    let nowhere = format!("postgres://eva:{secret}@127.0.0.1:1/database");
    let refused =
        format!("postgres://eva:{secret}@127.0.0.1:{}/x", guarded.world.postgres().port());
    let nats = format!("nats://eva:{secret}@127.0.0.1:1");
    let fetcher = || guarded.fetcher(&["--log-level", "debug"]);
    let by_vault = || fetcher().without("TOGGL_API_TOKEN");
    let loader = || guarded.loader(&["--log-level", "debug"]);
    let command = |name| guarded.loader(&["--log-level", "debug", name]);
    let mut endings = Vec::new();
    for (code, worker) in [
        (2, loader().without("NATS_USER")),
        (2, fetcher().without("NATS_USER")),
        (2, loader().env("LOADER_WRITERS", "0")),
        (2, loader().env("DATABASE_URL", secret)),
        (2, by_vault().env("DATABASE_URL", secret)),
        (2, loader().env("NATS_URL", format!("nats://eva:{secret}@:x"))),
        (3, by_vault()),
        (3, fetcher().env("TOGGL_API_TOKEN", secret)),
        (3, fetcher().env("TOGGL_API_TOKEN", format!("{secret} {secret}"))),
        // A loader that is to run waits for its servers.
        (5, command("migrate").env("DATABASE_URL", &nowhere)),
        (5, loader().env("DATABASE_URL", &refused)),
        (5, by_vault().env("DATABASE_URL", &nowhere)),
        (5, by_vault().env("DATABASE_URL", &refused)),
        (5, loader().env("NATS_PASSWORD", secret)),
        (5, fetcher().env("NATS_PASSWORD", secret)),
        (5, command("adopt").env("NATS_URL", &nats)),
        (5, fetcher().env("NATS_URL", &nats)),
    ] {
        endings.push((code, worker.run().await.unwrap()));
    }
    endings
}

#[tokio::test]
async fn no_password_or_token_is_said_at_any_exit() {
    let guarded = Guarded::start().await;
    guarded.set_up().await;
    let mut endings = endings(&guarded, "hunter2").await;
    let world = &guarded.world;
    let run = async |arguments: &[&str]| {
        let arguments = [&["--log-level", "debug"], arguments].concat();
        guarded.fetcher(&arguments).run().await.unwrap()
    };
    endings.push((0, run(&[]).await));
    world.toggl.script("/api/v9/workspaces/{w}/tags", Answer::status(500).repeat(2));
    endings.push((1, run(&[]).await));
    world.toggl.script("/api/v9/workspaces/{w}/tags", Answer::status(403));
    endings.push((6, run(&[]).await));
    world.toggl.limit_quota(QuotaLimits { organization: 1, ..QuotaLimits::default() });
    endings.push((4, run(&["--max-wait", "0s"]).await));
    for (code, finished) in endings {
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        assert_unspoken(&finished, "hunter2");
        for secret in secrets() {
            assert_unspoken(&finished, &secret);
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_password_or_token_is_in_the_command_line_and_memory_is_not_dumped() {
    let guarded = Guarded::start().await;
    guarded.set_up().await;
    let tags = "/api/v9/workspaces/2230991/tags";
    let delay = std::time::Duration::from_secs(5);
    guarded.world.toggl.script(tags, Answer::pass_through().delay(delay));
    let fetcher = guarded.fetcher(&[]).start().await.unwrap();
    let loader = guarded.loader(&[]).start().await.unwrap();
    guarded.world.toggl.wait_for(tags, 1).await;
    loader.logged("Loading", DEADLINE).await.unwrap();
    for worker in [fetcher, loader] {
        let read =
            |file| std::fs::read_to_string(format!("/proc/{}/{file}", worker.pid())).unwrap();
        let cmdline = read("cmdline");
        assert!(!cmdline.is_empty());
        for secret in secrets() {
            assert!(!cmdline.contains(&secret), "{cmdline}");
        }
        let limits = read("limits");
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
        assert_eq!(worker.exit_code(), None);
    }
}
