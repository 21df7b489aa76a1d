//! No secret of an account gets anywhere: not into NATS, Postgres, logs or help texts.

use std::path::Path;

use futures::StreamExt as _;
use shared::batch::Batch;
use shared::stream::STREAM;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tests::toggl::Account;
use tests::workers::Worker;
use tests::world::World;

/// Rows of any table outside Postgres' own that hold the text; views show nothing else.
async fn tables_containing(connection: &mut PgConnection, needle: &str) -> Vec<String> {
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
async fn batches(world: &World) -> Vec<Batch> {
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
            .run()
            .await
            .unwrap();
        assert_eq!(finished.code, Some(0));
        assert!(!finished.stdout.contains("hunter2"), "{}", finished.stdout);
    }
}
