//! What the views show of a workspace that was left.

use serde_json::{Value, json};
use shared::batch::Record;
use shared::catalogue::CATALOGUE;
use shared::listing::Span;
use shared::resource::Scope;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::expected::rows::resource;
use crate::given::batches::{WORKSPACE, cut, listing, record};
use crate::given::running::Running;
use crate::staging::staged::{Form, Staged, settle};

const USER: i64 = 7;
const ORGANIZATION: i64 = 8;

async fn counts(connection: &mut PgConnection) -> Vec<(String, i64)> {
    let names: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class
         where relnamespace = 'staging'::regnamespace and relkind = 'v' order by 1",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let mut counts = Vec::new();
    for name in names {
        let sql = format!("select count(*) from staging.{name}");
        let count = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection).await;
        counts.push((name, count.unwrap()));
    }
    counts
}

/// What either table may say of an entry between two times of a day.
fn entry(start: &str, stop: &str) -> Value {
    json!({"workspace_id": WORKSPACE, "user_id": USER, "start": format!("2026-01-05T{start}:00Z"),
        "stop": format!("2026-01-05T{stop}:00Z"), "billable_amount_in_cents": 100})
}

#[tokio::test]
async fn no_view_shows_anything_of_a_workspace_that_was_left_until_it_is_back() {
    let mut staged = Staged::start().await;
    for resource in CATALOGUE {
        let (id, data) = match resource.name {
            // Theirs is no workspace.
            "me" => continue,
            "workspaces" => (WORKSPACE, json!({"organization_id": ORGANIZATION})),
            "organizations" => (ORGANIZATION, json!({})),
            "time_entries" => (1, entry("08:00", "09:00")),
            "time_entries_report" => (2, entry("08:30", "09:30")),
            "projects" => (2, json!({"estimated_seconds": 60})),
            "users" => (USER, json!({"fullname": "U"})),
            // Of an entry there is one row, whichever raw tables have it.
            _ => (2, json!({"user_id": USER})),
        };
        staged.put(resource, id, &Form::live(data)).await;
        let workspace = match resource.scope {
            Scope::Account => continue,
            Scope::Workspace => WORKSPACE,
        };
        let sql = "insert into raw.toggl_track__loads
                       (run_id, resource, workspace_id, part, received, written, unchanged, stale, deleted,
                        dead, fetched_at, loaded_at, stream_sequence)
                   values (gen_random_uuid(), $1, $2, 0, 1, 1, 0, 0, 0, 0, now(), now(), $3)";
        let place = CATALOGUE.iter().position(|known| known == resource).unwrap();
        sqlx::query(sql)
            .bind(resource.name)
            .bind(workspace)
            .bind(i64::try_from(place).unwrap())
            .execute(&mut staged.connection)
            .await
            .unwrap();
        let sql =
            "insert into raw.toggl_track__claims (resource, workspace_id, ids, fetched_at, run_id)
                   values ($1, $2, int8range(null, null), now(), gen_random_uuid())";
        sqlx::query(sql)
            .bind(resource.name)
            .bind(workspace)
            .execute(&mut staged.connection)
            .await
            .unwrap();
    }
    // After a gap.
    staged.put(resource("time_entries_report"), 3, &Form::live(entry("11:00", "12:00"))).await;
    settle(&mut staged.connection).await;
    let before = counts(&mut staged.connection).await;
    for (view, count) in &before {
        // Of an inventory there is no more here than a row that is none.
        let is_empty = ["__me", "inventor", "verif"].iter().any(|name| view.contains(name));
        assert_eq!(*count > 0, !is_empty, "{view}");
    }

    let mut row = Form::live(json!({"organization_id": ORGANIZATION}));
    row.deleted = Some(20);
    staged.put(resource("workspaces"), WORKSPACE, &row).await;
    for (view, count) in counts(&mut staged.connection).await {
        assert_eq!(count, 0, "{view}");
    }
    row.deleted = None;
    staged.put(resource("workspaces"), WORKSPACE, &row).await;
    assert_eq!(counts(&mut staged.connection).await, before);
}

#[tokio::test]
async fn whether_a_workspace_is_there_does_not_depend_on_the_order_of_the_news() {
    let workspaces = resource("workspaces");
    let seen = |at: i64| {
        let there = record(workspaces, WORKSPACE, 5, "there");
        listing(workspaces, at, vec![Record { workspace_id: None, ..there }])
    };
    let gone = |at: i64| cut(workspaces, at, Span::Id(WORKSPACE), Vec::new());
    let other = || {
        let other = record(workspaces, WORKSPACE + 1, 5, "other");
        listing(workspaces, 20, vec![Record { workspace_id: None, ..other }])
    };
    for (steps, wanted) in [
        (vec![seen(10), seen(20), gone(30), other()], vec![WORKSPACE + 1]),
        (vec![seen(10), gone(30), other(), seen(40)], vec![WORKSPACE, WORKSPACE + 1]),
    ] {
        let mut running = Running::start().await;
        for turn in 0..steps.len() * 2 {
            let mut order: Vec<_> = steps.iter().collect();
            order.rotate_left(turn / 2);
            if turn % 2 == 1 {
                order.reverse();
            }
            for batches in order {
                running.load(batches).await;
            }
            let sql = "select source_id from raw.toggl_track__workspaces
                       where deleted_at is null order by 1";
            let live: Vec<i64> =
                sqlx::query_scalar(sql).fetch_all(&mut running.connection).await.unwrap();
            assert_eq!(live, wanted, "turn {turn}");
            let clear = "truncate raw.toggl_track__workspaces, raw.toggl_track__history,
                         raw.toggl_track__claims, raw.toggl_track__loads";
            sqlx::query(clear).execute(&mut running.connection).await.unwrap();
        }
    }
}
