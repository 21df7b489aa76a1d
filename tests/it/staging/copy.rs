//! The copy of the time entries that the view reads: whatever is written, and whenever it was brought up to date,
//! the view shows what the raw tables hold.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tests::servers::{DEADLINE, wait_for};
use tests::toggl::Account;
use tests::world::World;
use tokio::runtime::Runtime;

use crate::staging::staged::{Staged, settle};

/// Something that happens to entries of two tables; `true` is the report's.
#[derive(Debug, Clone)]
enum Step {
    Put { report: bool, id: i64, modified: i64, fetched: i64, running: bool, many: i64 },
    MarkDeleted { report: bool, id: i64, at: i64 },
    Confirm { report: bool, id: i64, fetched: i64 },
    Delete { report: bool, id: i64 },
    Claim { report: bool, fetched: i64 },
    Truncate { report: bool },
    Settle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 1..6_i64;
    let step = prop_oneof![
        8 => (any::<bool>(), id.clone(), 1..4_i64, 10..30_i64, any::<bool>(), 1..4_i64).prop_map(
            |(report, id, modified, fetched, running, many)| {
                Step::Put { report, id, modified, fetched, running, many }
            }
        ),
        4 => (any::<bool>(), id.clone(), 5..30_i64)
            .prop_map(|(report, id, at)| Step::MarkDeleted { report, id, at }),
        3 => (any::<bool>(), id.clone(), 10..30_i64)
            .prop_map(|(report, id, fetched)| Step::Confirm { report, id, fetched }),
        1 => (any::<bool>(), id).prop_map(|(report, id)| Step::Delete { report, id }),
        3 => (any::<bool>(), 10..40_i64).prop_map(|(report, fetched)| Step::Claim { report, fetched }),
        1 => any::<bool>().prop_map(|report| Step::Truncate { report }),
        6 => Just(Step::Settle),
    ];
    proptest::collection::vec(step, 1..30)
}

fn table(report: bool) -> &'static str {
    if report { "raw.toggl_track__time_entries_report" } else { "raw.toggl_track__time_entries" }
}

fn sql(step: &Step) -> String {
    match *step {
        Step::Put { report, id, modified, fetched, running, many } => {
            let table = table(report);
            let stop = if running { "null" } else { "\"2026-01-05T10:00:00Z\"" };
            format!(
                "insert into {table} (source_id, workspace_id, data, api_version, modified_at, fetched_at,
                     content_hash, started_at, user_id)
                 select id, 1, '{{\"start\": \"2026-01-05T09:00:00Z\", \"stop\": {stop}, \"description\": \"{modified} {fetched}\"}}',
                        '', to_timestamp({modified}), to_timestamp({fetched}), 0,
                        case when not {running} then to_timestamp(100) end, 7
                 from generate_series({id}, {id} + {many}) id
                 on conflict (source_id) do update set data = excluded.data, deleted_at = null,
                     modified_at = excluded.modified_at, fetched_at = excluded.fetched_at,
                     started_at = excluded.started_at"
            )
        }
        Step::MarkDeleted { report, id, at } => {
            let table = table(report);
            format!("update {table} set deleted_at = to_timestamp({at}) where source_id = {id}")
        }
        Step::Confirm { report, id, fetched } => {
            let table = table(report);
            format!(
                "update {table} set fetched_at = to_timestamp({fetched}) where source_id = {id}"
            )
        }
        Step::Delete { report, id } => {
            format!("delete from {} where source_id = {id}", table(report))
        }
        Step::Truncate { report } => format!("truncate {}", table(report)),
        Step::Claim { report, fetched } => {
            let (resource, workspace) =
                if report { ("time_entries_report", 1) } else { ("time_entries", 0) };
            format!(
                "insert into raw.toggl_track__claims (resource, workspace_id, starts, fetched_at, run_id)
                 values ('{resource}', {workspace}, '(,)', to_timestamp({fetched}), gen_random_uuid())"
            )
        }
        Step::Settle => "select raw.toggl_track__settle('0')".to_owned(),
    }
}

async fn shown(connection: &mut PgConnection) -> Vec<String> {
    let rows = "select v::text from staging.stg_toggl_track__time_entries v order by time_entry_id";
    sqlx::query_scalar(rows).fetch_all(connection).await.unwrap()
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
}

#[test]
fn the_view_shows_the_raw_tables_whatever_was_written_since_the_copy_was_made() {
    let runtime = Runtime::new().unwrap();
    let staged = RefCell::new(runtime.block_on(Staged::start()));
    let config = Config { cases: 150, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        let connection = &mut staged.borrow_mut().connection;
        runtime.block_on(async {
            execute(
                connection,
                "truncate raw.toggl_track__time_entries, raw.toggl_track__time_entries_report,
                raw.toggl_track__claims",
            )
            .await;
            for step in &steps {
                execute(connection, &sql(step)).await;
                let seen = shown(connection).await;
                let mut transaction = connection.begin().await.unwrap();
                execute(&mut transaction, "select raw.toggl_track__retype()").await;
                let wanted = shown(&mut transaction).await;
                transaction.rollback().await.unwrap();
                prop_assert_eq!(seen, wanted, "after {:?}", step);
            }
            Ok::<_, TestCaseError>(())
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[tokio::test]
async fn what_is_written_while_it_is_copied_is_not_lost() {
    let mut staged = Staged::start().await;
    let mut other = staged.another_session().await;
    let put = |modified| {
        sql(&Step::Put { report: false, id: 1, modified, fetched: 10, running: false, many: 0 })
    };
    execute(&mut staged.connection, &put(1)).await;
    // Written before the copying begins, committed after it.
    let mut writing = other.begin().await.unwrap();
    execute(&mut writing, &put(2)).await;
    settle(&mut staged.connection).await;
    assert!(shown(&mut staged.connection).await[0].contains("1 10"));
    writing.commit().await.unwrap();
    assert!(shown(&mut staged.connection).await[0].contains("2 10"));
    // Copied, and not yet committed, when it is written.
    let mut copying = other.begin().await.unwrap();
    settle(&mut copying).await;
    execute(&mut staged.connection, &put(3)).await;
    copying.commit().await.unwrap();
    for _ in 0..2 {
        let rows = shown(&mut staged.connection).await;
        assert!(rows.len() == 1 && rows[0].contains("3 10"), "{rows:?}");
        settle(&mut staged.connection).await;
    }
}

#[tokio::test]
async fn what_is_deleted_from_a_raw_table_is_gone_from_the_copy_at_once() {
    let mut staged = Staged::start().await;
    let put = Step::Put { report: true, id: 1, modified: 1, fetched: 10, running: false, many: 2 };
    execute(&mut staged.connection, &sql(&put)).await;
    settle(&mut staged.connection).await;
    execute(&mut staged.connection, &sql(&Step::Delete { report: true, id: 2 })).await;
    let ids: Vec<i64> =
        sqlx::query_scalar("select time_entry_id from raw.toggl_track__typed_entries order by 1")
            .fetch_all(&mut staged.connection)
            .await
            .unwrap();
    assert_eq!(ids, [1, 3]);
}

#[tokio::test]
async fn copying_waits_until_nothing_is_written_and_goes_on_in_pieces() {
    let mut staged = Staged::start().await;
    let put =
        Step::Put { report: false, id: 1, modified: 1, fetched: 10, running: false, many: 25_000 };
    execute(&mut staged.connection, &sql(&put)).await;
    let mut pieces = Vec::new();
    for quiet in ["1 hour", "0", "0", "0", "0"] {
        let settle = format!("select raw.toggl_track__settle('{quiet}')");
        let settled: i64 = sqlx::query_scalar(AssertSqlSafe(settle))
            .fetch_one(&mut staged.connection)
            .await
            .unwrap();
        assert_eq!(shown(&mut staged.connection).await.len(), 25_001);
        pieces.push(settled);
    }
    assert!(pieces[0] == 0 && pieces[4] == 0, "{pieces:?}");
    assert!(pieces.iter().all(|piece| *piece <= 20_000), "{pieces:?}");
    assert_eq!(pieces.iter().sum::<i64>(), 25_001);
}

#[tokio::test]
async fn several_workers_of_postgres_read_the_copy_for_one_question() {
    let mut staged = Staged::start().await;
    for statement in [
        "insert into raw.toggl_track__typed_entries
             (time_entry_id, workspace_id, project_id, duration_seconds, local_day, more_days)
         select id, 1, id % 7, 60, '2026-01-05', 0 from generate_series(1, 200000) id",
        "analyze raw.toggl_track__typed_entries",
    ] {
        execute(&mut staged.connection, statement).await;
    }
    for question in [
        "select project_id, sum(duration_seconds) from staging.stg_toggl_track__time_entries group by 1",
        "select user_name, week, sum(seconds) from staging.stg_toggl_track__wide_entries group by 1, 2",
        "select week, sum(seconds) from staging.stg_toggl_track__daily_entries group by 1",
    ] {
        let explain = AssertSqlSafe(format!("explain {question}"));
        let plan: Vec<String> =
            sqlx::query_scalar(explain).fetch_all(&mut staged.connection).await.unwrap();
        assert!(plan.iter().any(|line| line.contains("Parallel Append")), "{question}: {plan:#?}");
    }
}

#[tokio::test]
async fn a_loader_brings_the_copy_up_to_date_beside_its_work() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    world.sync_and_load(&[]).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    execute(
        &mut connection,
        "update raw.toggl_track__touched set touched_at = now() - interval '1 hour'",
    )
    .await;
    let _loader = world.start_loader().await.unwrap();
    let is_copied = async || {
        let mut connection = world.connect().await.ok()?;
        let waiting = "select count(*) from raw.toggl_track__touched where not is_disputed";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut connection).await.ok()?;
        (waiting == 0).then_some(())
    };
    wait_for("the entries to be copied", DEADLINE, is_copied).await.unwrap();
    let counts = "select (select count(*) from raw.toggl_track__typed_entries),
                         (select count(*) from staging.stg_toggl_track__time_entries)";
    let (copied, shown): (i64, i64) =
        sqlx::query_as(counts).fetch_one(&mut connection).await.unwrap();
    assert!(copied == shown && copied > 0, "{copied} of {shown} are in the copy");
}
