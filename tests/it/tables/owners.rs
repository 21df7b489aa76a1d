//! Whose the tables become, and what happens where another tool has been before.

use sqlx::Connection as _;

use crate::expected::endings::assert_fails;
use crate::given::guarded::Guarded;

async fn owners(guarded: &Guarded) -> Vec<String> {
    let mut connection = guarded.world.connect().await.unwrap();
    let owners = sqlx::query_scalar(
        "select distinct pg_get_userbyid(relowner)::text from pg_class
         where relnamespace in (to_regnamespace('raw'), to_regnamespace('staging'))
             and (starts_with(relname::text, 'toggl_track__') or starts_with(relname::text, 'stg_toggl'))",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    owners
}

/// Everything in the database, by name.
async fn everything(guarded: &Guarded) -> Vec<String> {
    let mut connection = guarded.world.connect().await.unwrap();
    let all = sqlx::query_scalar(
        "select format('%s.%s of %s', nspname, relname, pg_get_userbyid(relowner)) from pg_class
         join pg_namespace n on n.oid = relnamespace
         where nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
         union all select nspname from pg_namespace order by 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    all
}

#[tokio::test]
async fn in_another_tools_schema_a_superusers_tables_stay_its_own() {
    let guarded = Guarded::start_bare().await;
    guarded.execute("create role airbyte login; create schema raw authorization airbyte").await;
    guarded.migrate_as_superuser().await;
    let owners = owners(&guarded).await;
    assert_eq!(owners.len(), 1, "{owners:?}");
    assert_ne!(owners[0], "airbyte");
}

#[tokio::test]
async fn in_another_tools_schema_they_are_the_loaders_where_its_role_has_rights_there() {
    let guarded = Guarded::start_bare().await;
    guarded.execute("create role airbyte login; create schema raw authorization airbyte").await;
    guarded.make_roles().await;
    guarded.migrate_as_superuser().await;
    assert_eq!(owners(&guarded).await, ["toggl_track_loader"]);
}

#[tokio::test]
async fn who_may_make_nothing_in_another_tools_schema_is_told_whose_it_is_and_nothing_is_made() {
    let guarded = Guarded::start_bare().await;
    guarded.create_role("etl", "").await;
    guarded
        .execute(
            "create role airbyte login; create schema raw authorization airbyte;
             create schema staging authorization etl",
        )
        .await;
    let before = everything(&guarded).await;
    let migrate = guarded.loader_as("etl", &["migrate"]).run().await.unwrap();
    let words = ["schema raw", "belongs to airbyte", "grant usage, create on schema raw to etl"];
    assert_fails(&migrate, 1, &words);
    assert_eq!(everything(&guarded).await, before);
}

#[tokio::test]
async fn tables_of_another_tool_are_named_with_their_owner_before_anything_is_touched() {
    let cases = [
        (
            "create table raw.toggl_track__tags (id text); create table raw.toggl_track__loads ()",
            ["raw.toggl_track__tags (of airbyte)", "raw.toggl_track__loads (of airbyte)"],
        ),
        (
            "create view staging.stg_toggl_track__tags as select 1 as one",
            ["staging.stg_toggl_track__tags (of airbyte)", "another tool"],
        ),
        (
            "create table raw.toggl_track__migrations (name text)",
            ["raw.toggl_track__migrations (of airbyte)", "another tool"],
        ),
        (
            "create function staging.toggl_date(value text) returns date language sql return null::date",
            ["staging.toggl_date (of airbyte)", "another tool"],
        ),
    ];
    for (sql, words) in cases {
        let guarded = Guarded::start_bare().await;
        let schemas = "create role airbyte login; create schema raw authorization airbyte;
                       create schema staging authorization airbyte; set role airbyte;";
        guarded.execute(&[schemas, sql].concat()).await;
        let before = everything(&guarded).await;
        let check = guarded.world.loader(&["check"]).run().await.unwrap();
        assert_eq!(check.code, Some(1), "{check:#?}");
        for word in words {
            assert!(check.stdout.contains(word), "{check:#?}");
        }
        for command in [&["migrate"][..], &["setup"], &[]] {
            let refused = guarded.world.loader(command).run().await.unwrap();
            assert_fails(&refused, 1, &words);
            assert_fails(&refused, 1, &["rename", "another database"]);
        }
        assert_eq!(everything(&guarded).await, before, "{sql}");
    }
}

#[tokio::test]
async fn tables_of_another_tool_that_are_in_nobodys_way_are_let_be() {
    let guarded = Guarded::start_bare().await;
    guarded.execute("create schema raw; create table raw.toggl_track__of_theirs (id text)").await;
    guarded.migrate_as_superuser().await;
}
