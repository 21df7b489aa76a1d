//! What the roles of `migrations/roles.sql` may do in Postgres, and what they may not.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tests::rows::raw_rows;
use tests::toggl::TOKEN;

use crate::expected::endings::assert_fails;
use crate::expected::rows::{assert_tables_hold, resource};
use crate::given::batches::{listing, publish, record};
use crate::given::guarded::{ANALYST, FETCHER, Guarded, LOADER};

/// With credentials of two accounts in the vault, and a secret of somebody else.
async fn with_secrets() -> Guarded {
    let guarded = Guarded::start().await;
    guarded.set_up().await;
    for account in ["default", "eva"] {
        // As the superuser, who is the administrator.
        let set = ["credentials", "set", "--account", account];
        let finished = guarded.world.fetcher(&set).stdin(TOKEN);
        let finished = finished.env("DATABASE_URL", &guarded.world.database.url).run().await;
        assert_eq!(finished.unwrap().code, Some(0));
    }
    let mut connection = guarded.world.connect().await.unwrap();
    let other = "select vault.create_secret('s0mebody', 'toggl_trackless')";
    connection.execute(other).await.unwrap();
    guarded
}

async fn may(connection: &mut PgConnection, sql: &str) {
    connection
        .execute(AssertSqlSafe(sql))
        .await
        .unwrap_or_else(|error| panic!("may not: {sql}: {error}"));
}

async fn may_not(connection: &mut PgConnection, statements: &[&str]) {
    for sql in statements {
        let Err(error) = connection.execute(AssertSqlSafe(*sql)).await else {
            panic!("may: {sql}");
        };
        let code = error.as_database_error().and_then(|error| error.code().map(String::from));
        assert_eq!(code.as_deref(), Some("42501"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_fetcher_reads_toggls_secrets_and_nothing_else() {
    let guarded = with_secrets().await;
    let fetcher = |arguments| guarded.fetcher(arguments).without("TOGGL_API_TOKEN");
    for arguments in [&[][..], &["--account", "eva"], &["--account", "all"]] {
        let finished = fetcher(arguments).run().await.unwrap();
        assert_eq!(finished.code, Some(0), "{finished:#?}");
    }
    let shown = fetcher(&["credentials", "show"]).run().await.unwrap();
    assert!(shown.stdout.contains("are stored"), "{shown:#?}");
    for arguments in [&["credentials", "set"], &["credentials", "remove"]] {
        let finished = fetcher(arguments).stdin(TOKEN).run().await.unwrap();
        assert_fails(&finished, 3, &["may not", "superuser"]);
    }

    let mut connection = guarded.connect_as(FETCHER).await;
    let names: Vec<String> = sqlx::query_scalar("select name from toggl_track_vault.stored()")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(names.len(), 2, "{names:?}");
    may_not(
        &mut connection,
        &[
            "select toggl_track_vault.read('toggl_trackless')",
            "select toggl_track_vault.read(null)",
            "select * from vault.decrypted_secrets",
            "select * from vault.secrets",
            "select vault.create_secret('x')",
            "select vault._key('encrypt')",
            "select * from raw.toggl_track__me",
            "select * from raw.toggl_track__dead_letters",
            "select * from staging.stg_toggl_track__me",
            "create table raw.mine ()",
            "create schema mine",
            "create or replace function toggl_track_vault.read(text) returns text language sql as 'select null'",
            "set role toggl_track_loader",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_loader_owns_its_schemas_and_cannot_open_the_vault() {
    let guarded = with_secrets().await;
    let finished = guarded.fetcher(&["--days", "60"]).run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let loader = guarded.loader(&[]).start().await.unwrap();
    guarded.world.loaded_by(&loader).await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    assert!(!loader.log().contains("WARN"), "{}", loader.log());
    assert_tables_hold(&guarded.world).await;
    let listed = guarded.loader(&["dead-letters", "list"]).run().await.unwrap();
    assert_eq!(listed.code, Some(0), "{listed:#?}");

    let mut connection = guarded.connect_as(LOADER).await;
    may(&mut connection, "alter table raw.toggl_track__me add column later text").await;
    may(&mut connection, "create view staging.later as select 1 as one").await;
    may_not(
        &mut connection,
        &[
            "select * from vault.decrypted_secrets",
            "select * from vault.secrets",
            "select vault._open('', gen_random_uuid(), '')",
            "select * from toggl_track_vault.stored()",
            "select toggl_track_vault.read('toggl_track')",
            "select pg_read_file('/etc/passwd')",
            "create schema mine",
            "create role mine",
            "set role toggl_track_fetcher",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_table_under_row_level_security_is_loaded_although_nothing_can_be_copied_into_it() {
    let guarded = Guarded::start().await;
    guarded.set_up().await;
    let mut connection = guarded.connect_as(LOADER).await;
    for sql in [
        "alter table raw.toggl_track__tags enable row level security",
        "alter table raw.toggl_track__tags force row level security",
        "create policy everything on raw.toggl_track__tags using (true) with check (true)",
    ] {
        may(&mut connection, sql).await;
    }
    let tags = resource("tags");
    let many = (1..=600).map(|id| record(tags, id, 5, "new")).collect();

    publish(&guarded.world.jetstream().await.unwrap(), &listing(tags, 10, many)).await;
    let loader = guarded.loader(&[]).start().await.unwrap();
    guarded.world.loaded_by(&loader).await.unwrap();

    assert_eq!(raw_rows(&mut connection, tags).await.unwrap().len(), 600);
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

#[tokio::test]
async fn an_analyst_reads_the_views_of_staging_also_later_ones() {
    let guarded = with_secrets().await;
    let mut loader = guarded.connect_as(LOADER).await;
    may(&mut loader, "create view staging.later as select 1 as one").await;
    let views: Vec<String> =
        sqlx::query_scalar("select viewname::text from pg_views where schemaname = 'staging'")
            .fetch_all(&mut loader)
            .await
            .unwrap();
    assert!(views.len() > 10, "{views:?}");
    let mut analyst = guarded.connect_as(ANALYST).await;
    for view in views {
        may(&mut analyst, &format!("select * from staging.{view}")).await;
    }
    may_not(
        &mut analyst,
        &[
            "select * from raw.toggl_track__me",
            "select * from raw.toggl_track__dead_letters",
            "create view staging.mine as select 1 as one",
            "drop view staging.later",
            "select * from vault.decrypted_secrets",
            "select toggl_track_vault.read('toggl_track')",
        ],
    )
    .await;
}

#[tokio::test]
async fn what_a_superuser_has_migrated_before_becomes_the_loaders() {
    let guarded = Guarded::start().await;
    let mut connection = guarded.world.connect().await.unwrap();
    may(&mut connection, "drop schema raw, staging, toggl_track_vault cascade").await;
    let migrate = guarded.world.loader(&["migrate"]).run().await.unwrap();
    assert_eq!(migrate.code, Some(0), "{migrate:#?}");
    guarded.make_roles().await;
    let strangers = "select c.oid::regclass::text from pg_class c
         where relnamespace in ('raw'::regnamespace, 'staging'::regnamespace)
             and relowner <> 'toggl_track_loader'::regrole
         union all
         select p.oid::regprocedure::text from pg_proc p
         where pronamespace = 'staging'::regnamespace and proowner <> 'toggl_track_loader'::regrole";
    let strangers: Vec<String> =
        sqlx::query_scalar(strangers).fetch_all(&mut connection).await.unwrap();
    assert_eq!(strangers, Vec::<String>::new());
    connection.close().await.unwrap();
    guarded.set_up().await;
    let migrate = guarded.loader(&["migrate"]).run().await.unwrap();
    assert_eq!(migrate.code, Some(0), "{migrate:#?}");
}
