//! Through PgBouncer: in session mode everything holds, and what shares its sessions is told with what to
//! use instead.

use jiff::Timestamp;
use loader::postgres::database::DatabaseArgs;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use tests::servers::{DEADLINE, PgBouncer, PoolMode, PoolerOptions};
use tests::toggl::{Account, TOKEN};
use tests::workers::Worker;
use tests::world::World;

use crate::expected::endings::assert_fails;
use crate::expected::rows::assert_tables_hold;

/// What is said where sessions are shared.
const INSTEAD: [&str; 3] = ["sessions of Postgres are shared", "pool_mode = session", "5432"];

async fn world() -> World {
    World::start_empty(Account::sample_at(Timestamp::now())).await.unwrap()
}

/// A pooler that drops what clients say of their sessions.
fn deaf() -> PoolerOptions {
    PoolerOptions {
        configuration: "ignore_startup_parameters = extra_float_digits,options".to_owned(),
        ..PoolerOptions::default()
    }
}

fn of_size(mode: PoolMode, size: u16) -> PoolerOptions {
    PoolerOptions { size, ..mode.into() }
}

async fn assert_ends(worker: Worker, code: i32, words: &[&str]) {
    let finished = worker.run().await.unwrap();
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    for word in words {
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
}

/// A client of the pooler that has set nothing.
async fn client(world: &World) -> PgConnection {
    let options: sqlx::postgres::PgConnectOptions = world.database.url.parse().unwrap();
    PgConnection::connect_with(&options.extra_float_digits(None)).await.unwrap()
}

async fn show(connection: &mut PgConnection, setting: &str) -> String {
    let sql = sqlx::raw_sql(AssertSqlSafe(format!("show {setting}")));
    connection.fetch_one(sql).await.unwrap().get(0)
}

#[tokio::test]
#[ignore = "needs PgBouncer: .ci/run pooler"]
async fn a_pooler_as_it_comes_lets_both_programs_in_and_everything_works() {
    let world = world().await.pooled(PoolMode::Session).await.unwrap();
    assert_ends(world.loader(&["migrate"]), 0, &[]).await;
    world.sync_and_load(&["--days", "60"]).await.unwrap();
    assert_tables_hold(&world).await;
    for command in ["check", "replay", "status"] {
        assert_ends(world.loader(&[command]), 0, &[]).await;
    }
    assert_ends(world.loader(&["dead-letters", "list"]), 0, &[]).await;
    assert_ends(world.loader(&["prune", "--keep-loads", "1000d", "--dry-run"]), 0, &[]).await;
    assert_tables_hold(&world).await;
}

#[tokio::test]
#[ignore = "needs PgBouncer: .ci/run pooler"]
async fn settings_are_in_force_whatever_the_pooler_drops() {
    for options in [PoolMode::Session.into(), deaf()] {
        let world = world().await.pooled(options).await.unwrap();
        assert_ends(world.loader(&["migrate"]), 0, &[]).await;
        let args = DatabaseArgs { database_url: Some(world.database.url.clone().into()) };
        let mut connection = args.database().unwrap().connect().await.unwrap();
        for (setting, value) in [
            ("statement_timeout", "25s"),
            ("lock_timeout", "3s"),
            ("synchronous_commit", "on"),
            ("default_transaction_isolation", "read committed"),
            ("enable_seqscan", "off"),
        ] {
            assert_eq!(show(&mut connection, setting).await, value, "{setting}");
        }
        let mut other = world.connect().await.unwrap();
        let lock = "begin; lock table raw.toggl_track__tags";
        other.execute(sqlx::raw_sql(lock)).await.unwrap();
        let error = connection.execute(sqlx::raw_sql(lock)).await.unwrap_err().to_string();
        assert!(error.contains("lock timeout"), "{error}");
    }
}

#[tokio::test]
#[ignore = "needs PgBouncer: .ci/run pooler"]
async fn a_pooler_that_shares_its_sessions_is_refused_by_every_command_and_left_as_it_was() {
    for mode in [PoolMode::Transaction, PoolMode::Statement] {
        for options in [mode.into(), of_size(mode, 1)] {
            let world = world().await.pooled(options).await.unwrap();
            for command in ["run", "migrate", "setup", "adopt", "replay"] {
                let finished = world.loader(&[command]).run().await.unwrap();
                assert_fails(&finished, 5, &INSTEAD);
            }
            let letters = world.loader(&["dead-letters", "list"]).run().await.unwrap();
            assert_fails(&letters, 5, &INSTEAD);
            assert_ends(world.loader(&["check"]), 5, &["[FAIL]", INSTEAD[0], INSTEAD[1]]).await;
            let mut connection = world.connect().await.unwrap();
            let made = "select count(*) from pg_namespace where nspname in ('raw', 'vault')";
            let made: i64 = sqlx::query_scalar(made).fetch_one(&mut connection).await.unwrap();
            assert_eq!(made, 0, "{mode:?}");
            // Whoever is lent the session next finds nothing of ours.
            let mut next = client(&world).await;
            assert_eq!(show(&mut next, "statement_timeout").await, "0");
            assert_eq!(show(&mut next, "enable_seqscan").await, "on");
        }
    }
}

#[tokio::test]
#[ignore = "needs PgBouncer: .ci/run pooler"]
async fn a_pooler_that_shares_its_sessions_is_recognised_while_others_use_it() {
    let world = world().await.pooled(of_size(PoolMode::Transaction, 4)).await.unwrap();
    let mut others = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let mut other = client(&world).await;
        others.spawn(async move {
            loop {
                other.execute(sqlx::raw_sql("begin; select 1; commit")).await.unwrap();
            }
        });
    }
    for _ in 0..10 {
        assert_ends(world.loader(&["check"]), 5, &["[FAIL]", INSTEAD[0]]).await;
    }
}

#[tokio::test]
#[ignore = "needs PgBouncer: .ci/run pooler"]
async fn a_pooler_in_session_mode_with_too_few_sessions_is_not_called_wrong() {
    let world = world().await.pooled(of_size(PoolMode::Session, 1)).await.unwrap();
    assert_ends(world.loader(&["migrate"]), 0, &[]).await;
    assert_ends(world.loader(&["check"]), 0, &["[NOTE]", "default_pool_size"]).await;
    let loader = world.start_loader().await.unwrap();
    loader.logged("default_pool_size", DEADLINE).await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

#[tokio::test]
#[ignore = "needs PgBouncer: .ci/run pooler"]
async fn the_vault_is_read_in_session_and_in_transaction_mode() {
    let world = World::start_with_own_postgres(Account::sample_at(Timestamp::now())).await.unwrap();
    crate::credentials::vault::give_key(&world).await;
    let direct = world.database.url.clone();
    let poolers = [
        PoolMode::Session.into(),
        PoolMode::Transaction.into(),
        of_size(PoolMode::Transaction, 1),
        PoolerOptions { mode: PoolMode::Transaction, ..deaf() },
    ];
    for options in poolers {
        let pooler = PgBouncer::before(world.postgres(), options).await.unwrap();
        let url = pooler.instead_of(&direct).unwrap();
        let fetcher = |arguments: &[&str]| {
            world.fetcher(arguments).without("TOGGL_API_TOKEN").env("DATABASE_URL", &url)
        };
        // Twice, for what stays in a session to be there.
        for _ in 0..2 {
            assert_ends(fetcher(&["credentials", "set"]).stdin(TOKEN), 0, &["Stored"]).await;
            assert_ends(fetcher(&["credentials", "show"]), 0, &["last set"]).await;
            assert_ends(fetcher(&["check"]), 0, &["takes the API token"]).await;
            assert_ends(fetcher(&["--account", "all", "--only", "tags"]), 0, &["[OK]"]).await;
        }
        assert_ends(fetcher(&["credentials", "remove"]), 0, &["Removed"]).await;
    }
    let pooler = PgBouncer::before(world.postgres(), PoolMode::Statement).await.unwrap();
    let fetcher = world.fetcher(&["check"]).without("TOGGL_API_TOKEN");
    let fetcher = fetcher.env("DATABASE_URL", pooler.instead_of(&direct).unwrap());
    assert_ends(fetcher, 5, &["[FAIL]", "single statements", "session or transaction mode"]).await;
}
