//! The view of all time entries: one row per entry of two raw tables, the newer one's.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use tokio::runtime::Runtime;

use crate::expected::rows::resource;
use crate::given::batches::{USER, WORKSPACE, moment};
use crate::staging::staged::{Form, Staged, settle, with};

const V9: &str = "time_entries";
const V3: &str = "time_entries_report";

fn v9_entry() -> Value {
    json!({"start": "2026-09-21T10:00:00+00:00", "stop": "2026-09-21T11:00:00+00:00",
        "duration": 3600, "description": "from v9", "tags": ["Deep"], "tag_ids": [7],
        "billable": true, "user_id": USER, "workspace_id": WORKSPACE, "project_id": 3})
}

fn report_entry() -> Value {
    json!({"start": "2026-09-21T12:00:00+02:00", "stop": "2026-09-21T13:00:00+02:00",
        "seconds": 3600, "description": "from v3", "tag_ids": [8, 9], "billable": true,
        "user_id": USER, "username": "Test User", "project_id": 3, "task_id": null,
        "billable_amount_in_cents": 7525, "hourly_rate_in_cents": 7525, "currency": "EUR"})
}

/// The rows of both tables for one entry.
type Pair = (Option<Form>, Option<Form>);

/// By the last change, then by when it was known; none is the oldest.
fn report_is_newer(v9: &Form, report: &Form) -> bool {
    let known = |form: &Form| form.deleted.unwrap_or(form.fetched).max(form.fetched);
    (report.modified, known(report)) > (v9.modified, known(v9))
}

/// Which row of a pair is to be seen.
fn winner((v9, report): &Pair) -> Option<&'static str> {
    let (name, form) = match (v9, report) {
        (None, None) => return None,
        (None, Some(report)) => ("v3", report),
        (Some(v9), Some(report)) if report_is_newer(v9, report) => ("v3", report),
        (Some(v9), _) => ("v9", v9),
    };
    form.deleted.is_none().then_some(name)
}

/// Every combination of last change, time of fetching, and live or deleted.
fn forms() -> Vec<Form> {
    let mut forms = Vec::new();
    for modified in [None, Some(1), Some(2)] {
        for fetched in [10, 20] {
            for deleted in [None, Some(5), Some(15), Some(25)] {
                forms.push(Form { data: json!({}), modified, fetched, deleted });
            }
        }
    }
    forms
}

async fn put_all(staged: &mut Staged, table: &str, forms: &BTreeMap<i64, Form>) {
    let sql = format!(
        "insert into raw.toggl_track__{table} (source_id, workspace_id, data, api_version,
             modified_at, fetched_at, deleted_at, content_hash)
         select id, 1, '{{}}', '', to_timestamp(modified), to_timestamp(fetched), to_timestamp(deleted), 0
         from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) as t(id, modified, fetched, deleted)"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(forms.keys().copied().collect::<Vec<_>>())
        .bind(forms.values().map(|form| form.modified).collect::<Vec<_>>())
        .bind(forms.values().map(|form| form.fetched).collect::<Vec<_>>())
        .bind(forms.values().map(|form| form.deleted).collect::<Vec<_>>())
        .execute(&mut staged.connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_newer_row_is_seen_and_a_deleted_newer_row_hides_the_entry() {
    let mut staged = Staged::start().await;
    let one_of: Vec<Option<Form>> =
        forms().into_iter().map(Some).chain(std::iter::once(None)).collect();
    let pairs: BTreeMap<i64, Pair> = (1..)
        .zip(one_of.iter().flat_map(|v9| one_of.iter().map(|v3| (v9.clone(), v3.clone()))))
        .collect();
    let v9 = pairs.iter().filter_map(|(id, pair)| Some((*id, pair.0.clone()?))).collect();
    let v3 = pairs.iter().filter_map(|(id, pair)| Some((*id, pair.1.clone()?))).collect();
    put_all(&mut staged, V9, &v9).await;
    put_all(&mut staged, V3, &v3).await;

    let sql = "select time_entry_id, source from staging.stg_toggl_track__time_entries";
    for is_copied in [false, true] {
        if is_copied {
            settle(&mut staged.connection).await;
        }
        let rows: Vec<(i64, String)> =
            sqlx::query_as(sql).fetch_all(&mut staged.connection).await.unwrap();
        let count = rows.len();
        let seen: BTreeMap<i64, String> = rows.into_iter().collect();
        assert_eq!(seen.len(), count, "an entry is seen twice");
        for (id, pair) in &pairs {
            assert_eq!(seen.get(id).map(String::as_str), winner(pair), "{is_copied} {pair:#?}");
        }
    }
}

#[tokio::test]
async fn reports_cut_the_last_change_to_seconds_and_that_does_not_make_them_older() {
    let mut staged = Staged::start().await;
    staged.put(resource(V9), 1, &Form::live(v9_entry())).await;
    staged.put(resource(V3), 1, &Form { fetched: 20, ..Form::live(report_entry()) }).await;
    for (step, source) in [("0.694469 s", "v3"), ("0.305531 s", "v9")] {
        let later = "update raw.toggl_track__time_entries set modified_at = modified_at + $1::text::interval";
        sqlx::query(later).bind(step).execute(&mut staged.connection).await.unwrap();
        assert_eq!(staged.rows(V9).await[0]["source"], source, "{step} later");
    }
}

#[tokio::test]
async fn amounts_and_user_name_are_the_reports_and_the_rest_is_the_newer_rows() {
    let mut staged = Staged::start().await;
    let report = json!({"user_name": "Test User", "billable_amount": 75.25, "hourly_rate": 75.25,
        "currency": "EUR"});
    let both = json!({"time_entry_id": 1, "workspace_id": WORKSPACE, "user_id": USER,
        "project_id": 3, "is_billable": true, "started_at": "2026-09-21T10:00:00+00:00",
        "stopped_at": "2026-09-21T11:00:00+00:00", "duration_seconds": 3600,
        "is_running": false, "source": "v9", "description": "from v9", "tags": ["Deep"],
        "tag_ids": [7]});
    for id in [7, 9] {
        let tag = json!({"name": format!("Tag {id}")});
        staged.put(resource("tags"), id, &Form::live(tag)).await;
    }
    staged.put(resource(V9), 1, &Form::live(v9_entry())).await;
    assert_eq!(staged.rows(V9).await, std::slice::from_ref(&both));

    // The tag 8 is in no table.
    let from_report = json!({"source": "v3", "description": "from v3", "tag_ids": [8, 9],
        "tags": ["Tag 9"]});
    for (fetched, changes) in [(10, json!({})), (20, from_report)] {
        staged.put(resource(V3), 1, &Form { fetched, ..Form::live(report_entry()) }).await;
        let at = moment(fetched).to_string().replace('Z', "+00:00");
        let wanted = with(&with(&both, &report), &changes);
        let wanted = with(&wanted, &json!({"report_fetched_at": at}));
        assert_eq!(staged.rows(V9).await, [wanted], "{fetched}");
    }
}

#[tokio::test]
async fn tags_are_always_lists() {
    let mut staged = Staged::start().await;
    staged.put(resource("tags"), 7, &Form::live(json!({"name": "Deep"}))).await;
    for (changes, tags, tag_ids) in [
        (json!({"tags": null, "tag_ids": null}), json!([]), json!([])),
        (json!({"tags": [], "tag_ids": []}), json!([]), json!([])),
        (json!({"tags": "absent", "tag_ids": "absent"}), json!([]), json!([])),
        (json!({"tags": null}), json!(["Deep"]), json!([7])),
        (
            json!({"tags": ["b", null, "a"], "tag_ids": [2, null, 1.0]}),
            json!(["b", "a"]),
            json!([2, 1]),
        ),
        (json!({"tags": "Deep", "tag_ids": 7}), json!([]), json!([])),
        (json!({"tags": {"a": 1}, "tag_ids": ["x", [], 7]}), json!(["Deep"]), json!([7])),
    ] {
        let row = staged.typed(resource(V9), with(&v9_entry(), &changes)).await;
        assert_eq!((&row["tags"], &row["tag_ids"]), (&tags, &tag_ids), "{changes}");
    }
}

#[tokio::test]
async fn an_entry_runs_while_it_has_no_stop_whatever_its_duration() {
    let mut staged = Staged::start().await;
    for (name, changes, running, seconds) in [
        (V9, json!({}), true, json!(null)),
        (V9, json!({"stop": null, "duration": -1_790_000_000}), true, json!(null)),
        (V9, json!({"stop": "", "duration": -1}), true, json!(null)),
        (V9, json!({"stop": null, "duration": 60}), true, json!(null)),
        (V9, json!({"stop": "2026-09-21T11:00:00Z", "duration": -1}), false, json!(3_600)),
        (V9, json!({"stop": "2026-09-21T11:00:00+02:00", "duration": -3_600}), false, json!(0)),
        (V9, json!({"stop": "2026-09-21T11:00:00+02:00", "duration": 60}), false, json!(60)),
        (V9, json!({"stop": "soon", "duration": -1}), false, json!(null)),
        (V9, json!({"stop": "2026-09-21T11:00:00Z", "duration": 0}), false, json!(0)),
        (V9, json!({"stop": "2026-09-21T11:00:00Z", "duration": 60}), false, json!(60)),
        (V9, json!({"stop": "2026-09-21T11:00:00Z", "duration": null}), false, json!(3_600)),
        (V3, json!({"stop": null, "seconds": 60}), true, json!(null)),
        (V3, json!({"stop": "", "seconds": -1}), true, json!(null)),
        (V3, json!({"stop": "2026-09-21T11:00:00Z", "seconds": 60}), false, json!(60)),
        (V3, json!({"stop": "2026-09-21T11:00:00Z", "seconds": -1}), false, json!(3_600)),
        (V3, json!({"stop": "2026-09-21T09:00:00Z", "seconds": -3_600}), false, json!(0)),
    ] {
        let start = json!({"start": "2026-09-21T10:00:00+00:00"});
        let row = staged.typed(resource(name), with(&start, &changes)).await;
        assert_eq!(row["is_running"], running, "{name} {changes}");
        assert_eq!(row["duration_seconds"], seconds, "{name} {changes}");
        assert_eq!(row["started_at"], "2026-09-21T10:00:00+00:00", "{name} {changes}");
    }
}

/// Amount and currency of the entries of one report row with these seconds.
fn report_row(cents: i64, seconds: &[Option<i64>]) -> Vec<Value> {
    let entries: Vec<Value> = (1..)
        .zip(seconds)
        .map(|(id, seconds): (i64, _)| json!({"id": id, "seconds": seconds}))
        .collect();
    let flat = |entry: &Value| {
        let mut record = with(entry, &json!({"billable_amount_in_cents": cents}));
        if entries.len() > 1 {
            record["time_entries"] = entries.clone().into();
        }
        record
    };
    entries.iter().map(flat).collect()
}

#[test]
fn the_amount_of_a_report_row_is_divided_among_its_entries() {
    let runtime = Runtime::new().unwrap();
    let staged = RefCell::new(runtime.block_on(Staged::start()));
    let seconds = proptest::option::weighted(0.9, prop_oneof![Just(0), 0..50_000_i64, -5..5_i64]);
    let rows = (0..10_000_000_i64, proptest::collection::vec(seconds, 1..6));
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&rows, |(cents, seconds)| {
        let mut staged = staged.borrow_mut();
        let amounts: Vec<f64> = runtime.block_on(async {
            let clear = "truncate raw.toggl_track__time_entries_report";
            sqlx::query(clear).execute(&mut staged.connection).await.unwrap();
            for (id, record) in (1..).zip(report_row(cents, &seconds)) {
                staged.put(resource(V3), id, &Form::live(record)).await;
            }
            let rows = staged.rows(V9).await;
            rows.iter().map(|row| row["billable_amount"].as_f64().unwrap()).collect()
        });
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let (amount, seconds): (f64, Vec<f64>) = (
            cents as f64 / 100.0,
            seconds.iter().map(|seconds| seconds.unwrap_or(0).max(0) as f64).collect(),
        );
        let total: f64 = seconds.iter().sum();
        prop_assert!((amounts.iter().sum::<f64>() - amount).abs() < 0.000_01);
        for (part, seconds) in amounts.iter().zip(&seconds) {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let share = if total > 0.0 { seconds / total } else { 1.0 / amounts.len() as f64 };
            prop_assert!((part - amount * share).abs() < 0.000_01, "{part} of {amount}");
        }
        Ok::<_, TestCaseError>(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
