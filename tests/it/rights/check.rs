//! What `loader check` calls in order starts, loads and tells how it is, and what it does not, does not.

use std::time::Duration;

use shared::catalogue::CATALOGUE;
use shared::resource::Resource;
use shared::stream::{StreamArgs, ensure_stream};
use tests::servers::wait_for;
use tests::workers::Resident;

use crate::given::batches::{listing, publish, record};
use crate::given::guarded::Guarded;

/// All rights that a loader needs of tables that are there, and no more.
const ALL: &str = "grant usage on schema raw, staging to {role};
    grant select, insert, update on all tables in schema raw to {role};
    grant delete on raw.toggl_track__loads, raw.toggl_track__claims, raw.toggl_track__dead_letters,
        raw.toggl_track__history to {role};
    grant select on staging.stg_toggl_track__freshness, staging.stg_toggl_track__people,
        staging.stg_toggl_track__verification, staging.stg_toggl_track__verified_entries to {role};
    revoke insert, update on raw.toggl_track__migrations from {role};";

const LOAD: Duration = Duration::from_mins(1);

/// Something new in every table.
async fn publish_everywhere(guarded: &Guarded, round: i64) {
    let context = guarded.world.jetstream().await.unwrap();
    for resource in CATALOGUE {
        let records = [1, 2, 10 + round]
            .map(|id| record(resource, id, 10 * round, &format!("as of round {round}")))
            .to_vec();
        publish(&context, &listing(resource, 10 * round + 5, records)).await;
    }
}

/// How a start ends: everything loaded, or a table or all of it refused.
async fn loads(guarded: &Guarded, loader: &Resident) -> bool {
    wait_for("the loader to load or to say why not", LOAD, || async {
        if loader.exit_code().is_some() || loader.log().contains("who lacks rights") {
            let loads = loader.log().contains("Everything is loaded");
            if !loads {
                return Some(false);
            }
        }
        guarded.world.loaded_within(Duration::from_millis(200)).await.ok().map(|()| true)
    })
    .await
    .unwrap_or_else(|error| panic!("{error}: {}", loader.log()))
}

/// Whether a role may everything that a loader does, by trying all of it.
async fn works(guarded: &Guarded, role: &str) -> bool {
    let loader = guarded.loader_as(role, &[]).start().await.unwrap();
    let loads = loads(guarded, &loader).await;
    if loader.exit_code().is_none() {
        loader.terminate().await.unwrap();
    }
    let status = guarded.loader_as(role, &["status"]).run().await.unwrap();
    assert!(!status.stdout.contains("at line"), "{status:#?}");
    loads && !status.stdout.contains("may not look") && status.code != Some(5)
}

/// What `loader check` says; what it refuses comes with the owner and what to do.
async fn checks(guarded: &Guarded, role: &str) -> bool {
    let check = guarded.loader_as(role, &["check"]).run().await.unwrap();
    let refused: Vec<&str> =
        check.stdout.lines().filter(|line| line.starts_with("[FAIL]")).collect();
    for line in &refused {
        assert!(!line.contains("at line"), "{line}");
        assert!(line.contains(role), "does not name {role}: {line}");
    }
    assert_eq!(check.code == Some(0), refused.is_empty(), "{check:#?}");
    refused.is_empty()
}

#[tokio::test]
async fn what_check_says_of_a_role_is_what_becomes_of_it() {
    let guarded = Guarded::start().await;
    guarded.set_up().await;
    let roles = [
        ("whole", true, ""),
        (
            "member",
            true,
            "revoke all on all tables in schema raw from {role}; grant toggl_track_loader to {role};",
        ),
        ("no_update", false, "revoke update on raw.toggl_track__tags from {role};"),
        ("no_insert", false, "revoke insert on raw.toggl_track__me from {role};"),
        ("no_select", false, "revoke select on raw.toggl_track__tasks from {role};"),
        ("no_list", false, "revoke select on raw.toggl_track__migrations from {role};"),
        ("no_claims", false, "revoke delete on raw.toggl_track__claims from {role};"),
        ("no_letters", false, "revoke delete on raw.toggl_track__dead_letters from {role};"),
        ("no_ledger", false, "revoke insert on raw.toggl_track__loads from {role};"),
        ("no_history", false, "revoke insert on raw.toggl_track__history from {role};"),
        ("no_raw", false, "revoke usage on schema raw from {role};"),
        ("no_staging", false, "revoke usage on schema staging from {role};"),
        ("no_view", false, "revoke select on staging.stg_toggl_track__freshness from {role};"),
        (
            "nothing",
            false,
            "revoke all on all tables in schema raw, staging from {role}; revoke all on schema raw, staging from {role};",
        ),
    ];
    for (round, (role, expected, change)) in (1..).zip(roles) {
        guarded.create_role(role, "").await;
        guarded.execute(&[ALL, change].concat().replace("{role}", role)).await;
        publish_everywhere(&guarded, round).await;
        let checked = checks(&guarded, role).await;
        assert_eq!(checked, works(&guarded, role).await, "{role}");
        assert_eq!(checked, expected, "{role}");
    }
}

#[tokio::test]
async fn what_check_says_of_an_empty_database_is_what_becomes_of_it() {
    let cases = [
        ("maker", true, "grant create on database {database} to {role}"),
        ("guest", true, "create schema raw; create schema staging;
                         grant usage, create on schema raw, staging to {role}"),
        ("half", false, "create schema raw authorization {role}"),
        ("blind", false, "create schema raw; create schema staging authorization {role};
                          grant create on schema raw to {role}"),
        ("stranger", false, ""),
        ("apart", false, "create role owner; grant owner to {role}; create schema raw authorization owner;
                          create schema staging authorization owner; set role owner;
                          create table raw.toggl_track__migrations
                              (version bigint primary key, description text not null, success bool not null,
                               installed_on timestamptz not null default now(), checksum bytea not null,
                               execution_time bigint not null)"),
    ];
    for (round, (role, expected, sql)) in (1..).zip(cases) {
        let guarded = Guarded::start_bare().await;
        let attributes = if role == "apart" { "noinherit" } else { "" };
        guarded.create_role(role, attributes).await;
        let database = &guarded.world.database.name;
        guarded.execute(&sql.replace("{role}", role).replace("{database}", database)).await;
        let context = guarded.world.jetstream().await.unwrap();
        let stream = StreamArgs {
            stream_max_age: Some(Duration::ZERO),
            stream_max_bytes: Some(268_435_456),
            ..StreamArgs::default()
        };
        ensure_stream(&context, &stream).await.unwrap();
        publish_everywhere(&guarded, round).await;
        let checked = checks(&guarded, role).await;
        assert_eq!(checked, works(&guarded, role).await, "{role}");
        assert_eq!(checked, expected, "{role}");
    }
}

#[tokio::test]
async fn a_table_that_is_closed_waits_alone_and_its_owner_is_named() {
    let guarded = Guarded::start().await;
    guarded.set_up().await;
    let tags = CATALOGUE.iter().map(Resource::table).find(|table| table.ends_with("tags")).unwrap();
    guarded.create_role("dbt", "").await;
    guarded.execute(&format!("alter table raw.{tags} owner to dbt")).await;
    publish_everywhere(&guarded, 1).await;
    let loader = guarded.loader(&[]).start().await.unwrap();
    let words = format!("raw.{tags} belongs to dbt, and this is toggl_track_loader");
    loader.logged(&words, LOAD).await.unwrap();
    loader.logged("Upserted 3 records to raw.toggl_track__projects", LOAD).await.unwrap();
    let grant = format!("grant select, insert, update on raw.{tags} to toggl_track_loader");
    assert!(loader.log().contains(&grant), "{}", loader.log());
    assert!(!loader.log().contains("at line"), "{}", loader.log());
    loader.terminate().await.unwrap();
}
