//! The time zones in which the copy knows local days: whose they are, and when they are reckoned anew.

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::expected::rows::resource;
use crate::given::batches::WORKSPACE;
use crate::staging::catalogue::become_reader;
use crate::staging::staged::{Form, Staged, settle};

/// One entry of user 7, shortly before midnight in UTC, copied.
async fn one_entry() -> Staged {
    let mut staged = Staged::start().await;
    let entry = json!({"start": "2026-01-05T23:30:00Z", "stop": "2026-01-05T23:45:00Z",
        "duration": 900, "user_id": 7, "workspace_id": WORKSPACE});
    staged.put(resource("time_entries"), 1, &Form::live(entry)).await;
    settle(&mut staged.connection).await;
    staged
}

/// The zone of the database, for sessions that begin after this.
async fn set_for_everybody(staged: &mut Staged, zone: &str) {
    let set = format!(
        "do $$ begin
             execute format('alter database %I set toggl_track.time_zone = %L', current_database(), '{zone}');
         end $$"
    );
    staged.connection.execute(AssertSqlSafe(set)).await.unwrap();
}

/// The day as both views show it.
async fn day(connection: &mut PgConnection) -> String {
    let sql = "select wide.day::text, daily.day::text
               from staging.stg_toggl_track__wide_entries wide
               join staging.stg_toggl_track__daily_entries daily using (time_entry_id)";
    let (wide, daily): (String, String) = sqlx::query_as(sql).fetch_one(connection).await.unwrap();
    assert_eq!(wide, daily);
    wide
}

/// The day and the zone that the copy has.
async fn copied(connection: &mut PgConnection) -> (String, String) {
    let sql = "select local_day::text, time_zone
               from raw.toggl_track__typed_entries, raw.toggl_track__day_zones";
    sqlx::query_as(sql).fetch_one(connection).await.unwrap()
}

async fn waiting(connection: &mut PgConnection) -> i64 {
    let sql = "select count(*) from raw.toggl_track__touched";
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn what_was_reckoned_by_other_rules_is_reckoned_anew() {
    let mut staged = one_entry().await;
    let connection = &mut staged.connection;
    // As if the server had held another day for right.
    for statement in [
        "update raw.toggl_track__typed_entries set local_day = '2026-01-06'",
        "update raw.toggl_track__day_zones set rules = rules + 1, checked_on = checked_on - 1",
    ] {
        connection.execute(statement).await.unwrap();
    }
    assert_eq!(day(connection).await, "2026-01-06");
    settle(connection).await;
    assert_eq!(day(connection).await, "2026-01-05");
    assert_eq!(waiting(connection).await, 0);
}

#[tokio::test]
async fn the_copy_goes_by_the_zone_of_the_database_and_by_no_sessions() {
    let mut staged = one_entry().await;
    set_for_everybody(&mut staged, "Asia/Tokyo").await;
    let mut reader = staged.another_session().await;
    assert_eq!(day(&mut reader).await, "2026-01-06");
    settle(&mut staged.connection).await;
    let wanted = ("2026-01-06".to_owned(), "Asia/Tokyo".to_owned());
    assert_eq!(copied(&mut staged.connection).await, wanted);
    // Loaders whose roles have settings of their own find nothing to do.
    for (zone, clock) in [("America/New_York", "Asia/Tokyo"), ("", "UTC"), ("nowhere", "PST8PDT")] {
        let set = format!("set toggl_track.time_zone = '{zone}'; set timezone = '{clock}'");
        staged.connection.execute(AssertSqlSafe(set)).await.unwrap();
        let again: i64 = sqlx::query_scalar("select raw.toggl_track__settle('0')")
            .fetch_one(&mut staged.connection)
            .await
            .unwrap();
        assert_eq!(again, 0, "{zone}, {clock}");
        assert_eq!(copied(&mut staged.connection).await, wanted, "{zone}, {clock}");
    }
    assert_eq!(day(&mut reader).await, "2026-01-06");
    let set = "set toggl_track.time_zone = 'America/New_York'";
    reader.execute(set).await.unwrap();
    assert_eq!(
        day(&mut reader).await,
        "2026-01-05",
        "a session's own zone counts for what it asks"
    );
    reader.close().await.unwrap();
}

#[tokio::test]
async fn a_zone_of_the_database_that_is_none_stops_no_copying() {
    let mut staged = one_entry().await;
    set_for_everybody(&mut staged, "Mars/Olympus").await;
    let mut loader = staged.another_session().await;
    loader.execute("select raw.toggl_track__retype()").await.unwrap();
    settle(&mut loader).await;
    assert_eq!(copied(&mut loader).await, ("2026-01-05".to_owned(), "UTC".to_owned()));
}

/// Of two workspaces of one person one may have another zone.
#[tokio::test]
async fn somebody_may_have_another_zone_in_each_workspace() {
    let mut staged = one_entry().await;
    let other = json!({"start": "2026-01-05T23:30:00Z", "stop": "2026-01-05T23:45:00Z",
        "duration": 900, "user_id": 7, "workspace_id": 2});
    let connection = &mut staged.connection;
    for statement in [
        format!(
            "insert into raw.toggl_track__time_entries
                 (source_id, workspace_id, user_id, data, api_version, fetched_at, content_hash)
             values (2, 2, 7, '{other}', 'v9', now(), 0)"
        ),
        "insert into raw.toggl_track__workspace_users
             (source_id, workspace_id, data, api_version, fetched_at, content_hash)
         values (70, 2, '{\"uid\": 7, \"timezone\": \"Asia/Tokyo\"}', 'v9', now(), 0)"
            .to_owned(),
    ] {
        connection.execute(AssertSqlSafe(statement)).await.unwrap();
    }
    let days =
        "select time_entry_id, day::text from staging.stg_toggl_track__daily_entries order by 1";
    for way in ["not copied", "copied"] {
        let days: Vec<(i64, String)> =
            sqlx::query_as(days).fetch_all(&mut *connection).await.unwrap();
        let wanted = [(1, "2026-01-05".to_owned()), (2, "2026-01-06".to_owned())];
        assert_eq!(days, wanted, "{way}");
        settle(connection).await;
    }
}

/// A type of their own that looks at every value, in the schema that Postgres searches first.
#[tokio::test]
async fn a_reader_runs_nothing_with_the_rights_of_the_owner() {
    let mut staged = one_entry().await;
    // A session of their own, in which nothing has been compiled yet.
    let mut connection = staged.another_session().await;
    let role = become_reader(&mut connection).await;
    let prepare = format!(
        "create function pg_temp.look(pg_catalog.text) returns boolean language plpgsql as $look$
         begin
             if current_user <> '{role}' then
                 raise exception 'this runs as the owner';
             end if;
             return true;
         end $look$;
         create domain pg_temp.text as pg_catalog.text check (pg_temp.look(value));
         set search_path = pg_temp, pg_catalog;
         set toggl_track.time_zone = 'Asia/Chita';"
    );
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut connection).await.unwrap();
    for sql in [
        "select staging.toggl_told_time_zone(), staging.toggl_chosen_time_zone()",
        "select * from staging.stg_toggl_track__wide_entries where day > '2026-01-01'",
        "select * from staging.stg_toggl_track__daily_entries where day > '2026-01-01'",
        "select * from staging.stg_toggl_track__time_entries",
    ] {
        let done = connection.execute(sql).await;
        assert!(done.is_ok(), "{sql}: {done:?}");
    }
}
