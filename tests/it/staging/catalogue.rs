//! The schema `staging` as a whole: a view for each resource, an explanation for each column, and
//! whose rights it takes.

use std::collections::BTreeSet;

use shared::catalogue::CATALOGUE;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tests::servers::shared_postgres;
use tests::workers::{Finished, Worker};

use crate::tables::catalogue::migrated;

/// Views that stand for no resource.
const OTHERS: [&str; 17] = [
    "amounts",
    "coverage",
    "daily_entries",
    "estimates",
    "freshness",
    "gaps",
    "hours_by_day",
    "hours_by_tag",
    "inventory_people",
    "overlaps",
    "people",
    "rounded_entries",
    "utilisation",
    "verification",
    "verified_entries",
    "verified_sums",
    "wide_entries",
];

const VIEWS: &str = "select c.relname::text from pg_class c
    where c.relnamespace = 'staging'::regnamespace and c.relkind = 'v'";

async fn names(connection: &mut PgConnection, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(connection).await.unwrap()
}

#[tokio::test]
async fn every_resource_has_its_view_and_every_view_its_resource() {
    let mut connection = migrated().await;
    let resources = CATALOGUE.iter().map(|resource| resource.name).chain(OTHERS);
    let wanted: BTreeSet<_> = resources.map(|name| format!("stg_toggl_track__{name}")).collect();
    let there: BTreeSet<_> = names(&mut connection, VIEWS).await.into_iter().collect();
    let missing: Vec<_> = wanted.difference(&there).collect();
    assert!(missing.is_empty(), "a resource without a view in the schema staging: {missing:?}");
    let strange: Vec<_> = there.difference(&wanted).collect();
    assert!(strange.is_empty(), "a view that stands for no resource: {strange:?}");
}

#[tokio::test]
async fn every_view_column_and_function_is_explained() {
    let mut connection = migrated().await;
    let unexplained = "
        select c.relname::text from pg_class c
        where c.relnamespace = 'staging'::regnamespace and obj_description(c.oid, 'pg_class') is null
        union all
        select c.relname || '.' || a.attname from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = 'staging'::regnamespace and col_description(c.oid, a.attnum) is null
        union all
        select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace = 'staging'::regnamespace and obj_description(p.oid, 'pg_proc') is null";
    let found = names(&mut connection, unexplained).await;
    assert!(found.is_empty(), "without a comment: {found:#?}");
}

#[tokio::test]
async fn names_say_the_types() {
    let mut connection = migrated().await;
    let wrong = "
        select c.relname || '.' || a.attname || ' is ' || format_type(a.atttypid, null)
        from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'staging'::regnamespace and a.atttypid <> case
            when a.attname like '%\\_at' then 'timestamptz'::regtype
            when a.attname ~ '^(complete|covered|entries)_(from|to|as_of)$' then 'timestamptz'::regtype
            when a.attname like '%\\_date' then 'date'::regtype
            when a.attname ~ '^(toggl_accounts_id|integration_external_id)$' then 'text'::regtype
            when a.attname like '%\\_id' or a.attname like '%\\_seconds' then 'bigint'::regtype
            when a.attname like '%\\_ids' then 'bigint[]'::regtype
            when a.attname ~ '^(is|has|can)_' then 'boolean'::regtype
            when a.attname ~ '(rate|amount|fee|cost)$' then 'numeric'::regtype
            else a.atttypid
        end
        union all
        select c.relname || '.' || a.attname || ' is a boolean'
        from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'staging'::regnamespace and a.atttypid = 'boolean'::regtype
            and a.attname !~ '^(is|has|can|only_admins)_'";
    let found = names(&mut connection, wrong).await;
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test]
async fn a_reader_needs_no_rights_on_the_raw_tables() {
    let mut connection = migrated().await;
    let role = new_role(&mut connection, "nologin").await;
    let grant = format!(
        "grant usage on schema staging to {role};
         grant select on all tables in schema staging to {role};
         set role {role};"
    );
    sqlx::raw_sql(AssertSqlSafe(grant)).execute(&mut connection).await.unwrap();
    let refused = connection.execute("select from raw.toggl_track__projects").await.unwrap_err();
    assert!(refused.to_string().contains("permission denied"), "{refused}");
    for view in names(&mut connection, VIEWS).await {
        let sql = format!("select count(v::text) from staging.{view} v");
        let read = sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await;
        assert!(read.is_ok(), "{view}: {read:?}");
    }
}

/// A role of its own; roles belong to the server, which other tests use too.
pub(crate) async fn new_role(connection: &mut PgConnection, options: &str) -> String {
    let role = format!("role_{}", uuid::Uuid::now_v7().simple());
    let create = format!("create role {role} {options}");
    connection.execute(AssertSqlSafe(create)).await.unwrap();
    role
}

/// Has a session go on as somebody who may read the views of `staging`, and nothing else.
pub(crate) async fn become_reader(connection: &mut PgConnection) -> String {
    let role = new_role(connection, "nologin").await;
    let sql = format!(
        "grant usage on schema staging to {role}; grant select on all tables in schema staging to {role};
         set role {role};"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
    role
}

/// Migrates a fresh database as an ordinary role, after these preparations; `{role}` and
/// `{database}` stand for the names.
async fn migrate_as_ordinary_role(preparations: &str) -> Finished {
    let postgres = shared_postgres().await.unwrap();
    let database = postgres.create_database().await.unwrap();
    let mut connection = postgres.connect(&database.name).await.unwrap();
    let role = new_role(&mut connection, "login password 'secret'").await;
    let sql = preparations.replace("{role}", &role).replace("{database}", &database.name);
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let mut url: url::Url = database.url.parse().unwrap();
    url.set_username(&role).unwrap();
    url.set_password(Some("secret")).unwrap();
    let migrate = || Worker::new("loader", &["migrate"]).env("DATABASE_URL", url.as_str());
    let first = migrate().run().await.unwrap();
    let again = migrate().run().await.unwrap();
    assert_eq!(first.code, again.code, "{first:#?} {again:#?}");
    first
}

#[tokio::test]
async fn a_role_that_may_create_schemas_migrates() {
    let finished = migrate_as_ordinary_role("grant create on database {database} to {role}").await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

#[tokio::test]
async fn a_role_that_was_given_both_schemas_migrates() {
    let finished = migrate_as_ordinary_role(
        "create schema raw authorization {role}; create schema staging authorization {role}",
    )
    .await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

#[tokio::test]
async fn a_role_that_may_not_create_the_schema_is_told_what_to_do() {
    let finished = migrate_as_ordinary_role("create schema raw authorization {role}").await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    let last = finished.stderr.lines().last().unwrap();
    assert!(last.contains("may not make the schema staging"), "{last}");
    assert!(last.contains("grant create on database test_"), "{last}");
}

#[tokio::test]
async fn a_role_that_may_not_create_views_in_the_schema_is_told_what_to_do() {
    let finished =
        migrate_as_ordinary_role("create schema raw authorization {role}; create schema staging")
            .await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    let last = finished.stderr.lines().last().unwrap();
    assert!(last.contains("grant usage, create on schema staging to role_"), "{last}");
}
