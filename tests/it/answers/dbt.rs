//! The dbt project of `docs/dbt`: it names every table and view, and the real dbt passes with it.

use std::fs;
use std::path::Path;

use shared::catalogue::CATALOGUE;
use shared::resource::{Key, Resource};
use sqlx::{AssertSqlSafe, PgConnection};
use tests::dbt::{Dbt, Done};
use tests::toggl::Account;
use tests::world::World;
use url::Url;

use crate::house::pages::blocks;
use crate::reports::reporting::{days_ago, team};
use crate::staging::catalogue::new_role;

const RAW: &str = include_str!("../../../docs/dbt/models/sources/raw.yml");
const STAGING: &str = include_str!("../../../docs/dbt/models/sources/staging.yml");
const ANSWERS: &str = include_str!("../../../docs/dbt/models/sources/answers.yml");
const FRESHNESS: &str = "source:toggl_track.stg_toggl_track__freshness";
const PROJECT: &str = include_str!("../../../docs/dbt/dbt_project.yml");

/// What the file says of one table, if it names it.
fn table<'a>(file: &'a str, name: &str) -> Option<&'a str> {
    let mut tables = file.split("\n      - name: ").skip(1);
    tables.find(|table| table.lines().next() == Some(name))
}

#[test]
fn every_raw_table_is_a_source_with_tests_of_its_key() {
    for resource in CATALOGUE {
        let said = table(RAW, &resource.table());
        let said = said.unwrap_or_else(|| panic!("raw.yml lacks {}", resource.table()));
        let key = match resource.key {
            Key::Source => "- name: source_id\n            data_tests: [not_null, unique]",
            Key::WorkspaceAndSource => "columns: [workspace_id, source_id]",
        };
        assert!(said.contains(key), "the key of {} is {:?}: {said}", resource.name, resource.key);
    }
}

#[test]
fn every_staging_view_is_a_source_with_a_description() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/views");
    let mut views = 0;
    for file in fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".sql").unwrap();
        if name.starts_with("stg_") {
            let said = [STAGING, ANSWERS].iter().find_map(|file| table(file, name));
            let said =
                said.unwrap_or_else(|| panic!("neither staging.yml nor answers.yml has {name}"));
            assert!(said.contains("\n        description: "), "{name} has no description");
            assert!(said.contains("not_null"), "{name} has no tests");
            views += 1;
        }
    }
    assert!(views > 30, "{views}");
}

/// Whether every sync reads it, whatever the plan.
fn is_read_by_each_sync(resource: &Resource) -> bool {
    resource.by_default && !resource.plan_dependent
}

#[test]
fn freshness_is_asked_of_all_that_each_sync_reads_and_of_nothing_else() {
    for resource in CATALOGUE {
        let said = [STAGING, ANSWERS]
            .iter()
            .find_map(|file| table(file, &format!("stg_toggl_track__{}", resource.name)));
        let said = said.unwrap();
        let asks = said.contains(&format!("where resource = '{}'\n", resource.name));
        assert_eq!(asks, is_read_by_each_sync(resource), "{}", resource.name);
        assert_eq!(said.contains("freshness: "), asks, "{}", resource.name);
    }
}

#[test]
fn models_are_tables_for_a_view_would_hold_ours() {
    assert!(PROJECT.contains("+materialized: table"), "{PROJECT}");
}

/// Everything that can be read of this account is in the tables, and proven.
async fn loaded(account: Account) -> World {
    let world = World::start(account).await.unwrap();
    world.sync(&["--only", "all", "--days", "35", "--team", "35"]).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    let verify = world.fetcher(&["verify", "--from", &days_ago(29), "--wait=90s"]);
    let verified = verify.env("DATABASE_URL", &world.database.url).run().await.unwrap();
    assert_eq!(verified.code, Some(0), "{verified:#?}");
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    world
}

/// The names of what came to that.
fn those<'a>(done: &'a Done, status: &str) -> Vec<&'a str> {
    let results = done.results.iter().filter(|(_, is)| *is == status);
    results.map(|(name, _)| name.as_str()).collect()
}

fn assert_passed(done: &Done, at_least: usize) {
    let passed = those(done, "pass").len() + those(done, "success").len();
    assert_eq!((done.code, passed), (Some(0), done.results.len()), "{}", done.said);
    assert!(passed >= at_least, "{passed}: {}", done.said);
    assert!(!done.said.contains("Deprecat"), "{}", done.said);
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn sum_of_hours(world: &World, from: &str) -> f64 {
    let sum = format!("select coalesce(sum(hours), 0)::float8 from {from}");
    let mut connection = world.connect().await.unwrap();
    sqlx::query_scalar(AssertSqlSafe(sum)).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
#[ignore = "installs dbt: .ci/run dbt"]
async fn everything_passes_where_everything_was_read() {
    for account in [Account::sample_at(jiff::Timestamp::now()), Account::generate(&team(500))] {
        let world = loaded(account).await;
        let dbt = Dbt::before(&world.database.url).await.unwrap();
        assert_passed(&dbt.run(&["build"]).await.unwrap(), 100);
        assert_passed(&dbt.run(&["source", "freshness"]).await.unwrap(), 10);
        let model = sum_of_hours(&world, "analytics.hours_by_client_and_week").await;
        let view = sum_of_hours(&world, "staging.stg_toggl_track__hours_by_day").await;
        assert!(view > 1.0 && (model - view).abs() < 1.0, "{model} {view}");
    }
}

#[tokio::test]
#[ignore = "installs dbt: .ci/run dbt"]
async fn what_the_page_shows_passes() {
    let world = loaded(Account::sample_at(jiff::Timestamp::now())).await;
    let dbt = Dbt::before(&world.database.url).await.unwrap();
    let lines = blocks("sh").into_iter().flat_map(str::lines);
    let lines: Vec<&str> = lines.filter_map(|line| line.strip_prefix("dbt ")).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for line in lines {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        assert_passed(&dbt.run(&arguments).await.unwrap(), 4);
    }
}

#[tokio::test]
#[ignore = "installs dbt: .ci/run dbt"]
async fn who_may_only_read_the_views_needs_no_more() {
    let world = loaded(Account::sample_at(jiff::Timestamp::now())).await;
    let mut connection = world.connect().await.unwrap();
    let role = new_role(&mut connection, "login password 'secret'").await;
    let rights = format!(
        "grant usage on schema staging to {role};
         grant select on all tables in schema staging to {role};
         create schema analytics authorization {role}"
    );
    execute(&mut connection, &rights).await;
    let mut url: Url = world.database.url.parse().unwrap();
    url.set_username(&role).unwrap();
    url.set_password(Some("secret")).unwrap();
    let dbt = Dbt::before(url.as_str()).await.unwrap();
    let done = dbt.run(&["build", "--exclude", "source:toggl_track_raw"]).await.unwrap();
    assert_passed(&done, 60);
    assert_passed(&dbt.run(&["source", "freshness"]).await.unwrap(), 10);
    let raw = dbt.run(&["test", "--select", "source:toggl_track_raw"]).await.unwrap();
    assert_eq!(raw.code, Some(1), "{}", raw.said);
}

#[tokio::test]
#[ignore = "installs dbt: .ci/run dbt"]
async fn what_is_there_twice_fails_and_what_names_nothing_warns() {
    let world = loaded(Account::sample_at(jiff::Timestamp::now())).await;
    let dbt = Dbt::before(&world.database.url).await.unwrap();
    // As after a restored dump whose keys are missing, and of which a table is.
    let damage = "
        alter table raw.toggl_track__projects drop constraint toggl_track__projects_pkey cascade;
        insert into raw.toggl_track__projects select * from raw.toggl_track__projects limit 1;
        alter table raw.toggl_track__users drop constraint toggl_track__users_pkey cascade;
        insert into raw.toggl_track__users select * from raw.toggl_track__users limit 1;
        delete from raw.toggl_track__clients";
    execute(&mut world.connect().await.unwrap(), damage).await;
    let done = dbt.run(&["test", "--select", "source:*"]).await.unwrap();
    assert_eq!(done.code, Some(1), "{}", done.said);
    let found = |status: &str, test: &str| {
        let named = format!(".source_{test}");
        assert!(
            those(&done, status).iter().any(|name| name.contains(&named)),
            "{test}: {}",
            done.said
        );
    };
    for test in [
        "unique_toggl_track_raw_toggl_track__projects_source_id",
        "unique_toggl_track_stg_toggl_track__projects_project_id",
        "unique_together_toggl_track_raw_toggl_track__users_workspace_id__source_id",
        "unique_together_toggl_track_stg_toggl_track__users_workspace_id__user_id",
    ] {
        found("fail", test);
    }
    found("warn", "relationships_toggl_track_stg_toggl_track__projects_client_id");
}

#[tokio::test]
#[ignore = "installs dbt: .ci/run dbt"]
async fn what_was_not_asked_for_long_is_told_by_how_long() {
    let world = loaded(Account::sample_at(jiff::Timestamp::now())).await;
    let dbt = Dbt::before(&world.database.url).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let read = CATALOGUE.iter().filter(|resource| is_read_by_each_sync(resource)).count();
    for (hours, code, status) in [(25, 0, "pass"), (27, 0, "warn"), (51, 1, "error")] {
        // That nothing was written since makes nothing older, or younger.
        let ask = format!(
            "update raw.toggl_track__loads set fetched_at = now() - interval '{hours} hours',
                 promised_age = interval '1 hour'"
        );
        execute(&mut connection, &ask).await;
        let done = dbt.run(&["source", "freshness"]).await.unwrap();
        let told = those(&done, status).len();
        assert!(done.code == Some(code) && told == done.results.len(), "{hours}: {}", done.said);
        assert!(told > read, "{told}: {}", done.said);
        if hours == 25 {
            let promise = dbt.run(&["test", "--select", FRESHNESS]).await.unwrap();
            let warned = those(&promise, "warn");
            assert!(promise.code == Some(0) && warned.len() == 1, "{}", promise.said);
            assert!(warned[0].contains("is_promise_kept"), "{warned:?}");
        }
    }
    execute(&mut connection, "delete from raw.toggl_track__loads").await;
    let never = dbt.run(&["source", "freshness"]).await.unwrap();
    assert_eq!(those(&never, "error").len(), never.results.len(), "{}", never.said);
    assert_eq!(never.code, Some(1), "{}", never.said);
}
