//! What Postgres thinks an answer costs: from a certain sum on it compiles the statement, which takes seconds.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::staging::staged::{Staged, settle};

/// From so much on statements are compiled: `jit_above_cost`, as Postgres has it by default.
const COMPILED_FROM: f64 = 100_000.0;

#[tokio::test]
async fn no_view_of_a_thousand_entries_costs_so_much_that_it_is_compiled() {
    let mut staged = thousand_entries().await;
    let views: Vec<String> =
        sqlx::query_scalar("select viewname::text from pg_views where schemaname = 'staging'")
            .fetch_all(&mut staged.connection)
            .await
            .unwrap();
    assert!(views.len() > 30, "{views:?}");
    for view in views {
        let cost = cost_of(&mut staged.connection, &format!("select * from staging.{view}")).await;
        assert!(cost < COMPILED_FROM, "{view} costs {cost}");
    }
}

/// What a question costs grows as entries do, so that a thousand tell of fifty thousand.
#[tokio::test]
async fn sums_of_fifty_thousand_entries_are_not_compiled() {
    let mut staged = thousand_entries().await;
    for (view, sum) in [
        ("wide_entries", "sum(hours)"),
        ("daily_entries", "sum(hours)"),
        ("hours_by_day", "sum(hours)"),
        ("hours_by_tag", "sum(hours)"),
        ("utilisation", "sum(hours)"),
        ("gaps", "count(*)"),
        ("overlaps", "count(*)"),
    ] {
        let question = format!("select {sum} from staging.stg_toggl_track__{view}");
        let cost = 50.0 * cost_of(&mut staged.connection, &question).await;
        assert!(cost < COMPILED_FROM, "{view} costs {cost}");
    }
}

/// What was read of the copy, in entries.
async fn read_for(connection: &mut PgConnection, question: &str) -> i64 {
    let mut transaction = connection.begin().await.unwrap();
    // A thousand entries are so few that Postgres would rather read them all.
    transaction.execute("set local enable_seqscan = off; set local jit = off").await.unwrap();
    let before = read_so_far(&mut transaction).await;
    transaction.execute(AssertSqlSafe(question)).await.unwrap();
    let read = read_so_far(&mut transaction).await - before;
    transaction.rollback().await.unwrap();
    read
}

async fn read_so_far(connection: &mut PgConnection) -> i64 {
    let read = "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables
                where relname = 'toggl_track__typed_entries'";
    sqlx::query_scalar(read).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn a_day_or_a_month_costs_what_it_holds() {
    let mut staged = thousand_entries().await;
    let connection = &mut staged.connection;
    // A day of some eighty, and a month of three.
    let spans: (String, String) = sqlx::query_as(
        "select (current_date - 40)::text, date_trunc('month', now() - interval '40 days')::date::text",
    )
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    for view in ["wide_entries", "daily_entries", "hours_by_day", "hours_by_tag"] {
        for (condition, most) in [
            (format!("day = '{}'", spans.0), 40),
            (format!("day between date '{}' and date '{0}' + 3", spans.0), 120),
            (format!("month = '{}'", spans.1), 800),
        ] {
            let question = format!("select from staging.stg_toggl_track__{view} where {condition}");
            let read = read_for(connection, &question).await;
            assert!(0 < read && read <= most, "{read} entries are read for: {question}");
        }
    }
}

async fn thousand_entries() -> Staged {
    let mut staged = Staged::start().await;
    let put = "insert into raw.toggl_track__time_entries
             (source_id, workspace_id, user_id, data, api_version, started_at, fetched_at, content_hash)
         select id, 1, 7,
                jsonb_build_object('start', start, 'stop', start + interval '1 hour' * hours,
                                   'duration', 3600 * hours, 'project_id', id % 9,
                                   'tag_ids', jsonb_build_array(id % 5)),
                'v9', start, now(), id
         from generate_series(1, 1000) as id, lateral (
             -- Some go on over midnight.
             select date_trunc('day', now()) - id * interval '2 hours', case when id % 50 = 0 then 24 else 1 end
         ) as entry(start, hours)";
    staged.connection.execute(put).await.unwrap();
    settle(&mut staged.connection).await;
    staged.connection.execute("analyze").await.unwrap();
    staged
}

/// As Postgres estimates it.
async fn cost_of(connection: &mut PgConnection, question: &str) -> f64 {
    let explain = format!("explain (format json) {question}");
    let plan: Value =
        sqlx::query_scalar(AssertSqlSafe(explain)).fetch_one(connection).await.unwrap();
    plan[0]["Plan"]["Total Cost"].as_f64().unwrap()
}
