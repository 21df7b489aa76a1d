//! What asking how current the tables are costs does not grow with the ledger.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use crate::tables::catalogue::migrated;

const SMALL: i64 = 1_000;
const LARGE: i64 = 200_000;

/// As a loader's sessions are set.
const SESSION: &str = "set enable_seqscan = off; set enable_mergejoin = off; set random_page_cost = 1.1; set jit = off";

/// Everything that is asked of the ledger again and again.
const QUESTIONS: [&str; 2] = [
    "select * from staging.stg_toggl_track__freshness",
    "select resource, max(last_fetched_at), max(last_changed_at),
            case when bool_and(complete_at is not null) then min(complete_at) end
     from staging.stg_toggl_track__freshness group by resource",
];

/// Ledger rows of thirteen resources in three workspaces, one in ten of which changed something.
async fn fill(connection: &mut PgConnection, from: i64, to: i64) {
    let sql = format!(
        "insert into raw.toggl_track__loads
         select gen_random_uuid(), 'resource_' || n % 13, n % 3, 0, 10,
                case when n % 10 = 0 then 1 else 0 end, 9, 0, 0, 0,
                '2026-01-01'::timestamptz + n * interval '1 second',
                '2026-01-01'::timestamptz + n * interval '1 second' + interval '1 minute', n
         from generate_series({from}, {to}) n"
    );
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
}

fn pages(plan: &Value) -> u64 {
    let count = |name: &str| plan["Plan"][name].as_u64().unwrap();
    count("Shared Hit Blocks") + count("Shared Read Blocks")
}

/// Pages of Postgres that a question looks at.
async fn cost(connection: &mut PgConnection, question: &str) -> u64 {
    let sql = format!("explain (analyze, buffers, timing off, format json) {question}");
    let plan: Value = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.unwrap();
    pages(&plan[0])
}

#[tokio::test]
async fn freshness_costs_the_same_however_long_the_ledger_is() {
    let mut connection = migrated().await;
    connection.execute(SESSION).await.unwrap();
    fill(&mut connection, 1, SMALL).await;
    let mut small = Vec::new();
    for question in QUESTIONS {
        small.push(cost(&mut connection, question).await);
    }
    fill(&mut connection, SMALL + 1, LARGE).await;
    // As it was written, and as it is when Postgres has tidied up.
    for tidy in ["", "vacuum analyze raw.toggl_track__loads"] {
        connection.execute(tidy).await.unwrap();
        for (question, small) in QUESTIONS.into_iter().zip(&small) {
            let large = cost(&mut connection, question).await;
            // Deeper indices, by a level or two, at each of four look-ups for 39 rows.
            assert!(
                large <= small + 4 * 39 * 2,
                "{small} and {large} pages after {tidy:?}: {question}"
            );
        }
    }
}

#[tokio::test]
async fn freshness_is_what_the_whole_ledger_sums_up_to() {
    let mut connection = migrated().await;
    fill(&mut connection, 1, 5_000).await;
    let differing: i64 = sqlx::query_scalar(
        "select count(*) from (
             select resource, workspace_id, max(fetched_at) as fetched, max(loaded_at) as loaded,
                    max(loaded_at) filter (where written > 0 or deleted > 0) as changed
             from raw.toggl_track__loads group by resource, workspace_id
         ) summed
         full join staging.stg_toggl_track__freshness f using (resource, workspace_id)
         where (fetched, loaded, changed)
             is distinct from (last_fetched_at, last_loaded_at, last_changed_at)",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(differing, 0);
}

#[tokio::test]
async fn a_workspace_that_is_forgotten_is_not_waited_for() {
    let mut connection = migrated().await;
    fill(&mut connection, 1, 100).await;
    let forget = "insert into raw.toggl_track__forgotten (workspace_id) values (2)";
    connection.execute(forget).await.unwrap();
    let sql = "select distinct workspace_id from staging.stg_toggl_track__freshness order by 1";
    let workspaces: Vec<i64> = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
    assert_eq!(workspaces, [0, 1]);
}
