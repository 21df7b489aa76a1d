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

use crate::reports::reporting::{days_ago, team};
use crate::staging::catalogue::new_role;

const RAW: &str = include_str!("../../../docs/dbt/models/sources/raw.yml");
const STAGING: &str = include_str!("../../../docs/dbt/models/sources/staging.yml");
const ANSWERS: &str = include_str!("../../../docs/dbt/models/sources/answers.yml");
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

#[tokio::test]
#[ignore = "installs dbt: .ci/run dbt"]
async fn everything_passes_where_everything_was_read() {
    for account in [Account::sample_at(jiff::Timestamp::now()), Account::generate(&team(500))] {
        let world = loaded(account).await;
        let dbt = Dbt::before(&world.database.url).await.unwrap();
        assert_passed(&dbt.run(&["build"]).await.unwrap(), 100);
        assert_passed(&dbt.run(&["source", "freshness"]).await.unwrap(), 10);
        let mut connection = world.connect().await.unwrap();
        let hours = "select coalesce(sum(hours), 0)::float8 from ";
        let model = format!("{hours} analytics.hours_by_client_and_week");
        let view = format!("{hours} staging.stg_toggl_track__hours_by_day");
        let mut sum = async |sql: String| {
            sqlx::query_scalar::<_, f64>(AssertSqlSafe(sql))
                .fetch_one(&mut connection)
                .await
                .unwrap()
        };
        let (model, view) = (sum(model).await, sum(view).await);
        assert!(view > 1.0 && (model - view).abs() < 1.0, "{model} {view}");
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
async fn what_is_old_twice_there_or_promised_and_not_kept_is_found() {
    let world = loaded(Account::sample_at(jiff::Timestamp::now())).await;
    let dbt = Dbt::before(&world.database.url).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    // As after a restored dump whose keys are missing.
    let doubled = "
        alter table raw.toggl_track__projects drop constraint toggl_track__projects_pkey cascade;
        insert into raw.toggl_track__projects select * from raw.toggl_track__projects limit 1;
        alter table raw.toggl_track__users drop constraint toggl_track__users_pkey cascade;
        insert into raw.toggl_track__users select * from raw.toggl_track__users limit 1;
        delete from raw.toggl_track__clients";
    execute(&mut connection, doubled).await;
    let done = dbt.run(&["test", "--select", "source:*"]).await.unwrap();
    assert_eq!(done.code, Some(1), "{}", done.said);
    let failed = those(&done, "fail").join("\n");
    for view in ["toggl_track__projects", "stg_toggl_track__projects"] {
        assert!(failed.contains(&format!("unique_toggl_track_{view}_")), "{failed}");
    }
}
