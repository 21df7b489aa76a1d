//! Rows that a deletion, or that it was not known of, must not hold fast: what came back with its old time
//! of change, and what was discarded while it ran.

use bytes::Bytes;
use jiff::ToSpan as _;
use shared::batch::{Batch, Record};
use shared::listing::Span;

use crate::expected::rows::resource;
use crate::given::batches::{cut, moment, record};
use crate::replay::replaying::Replaying;

/// Every order of three.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

async fn live_in_every_order(batches: &[Vec<Batch>; 3], table: &str, live: &str) {
    let mut replaying = Replaying::start().await;
    let sql = format!(
        "select string_agg(source_id || (data->>'name'), ' ' order by source_id)
         from raw.{table} where deleted_at is null"
    );
    for order in ORDERS {
        replaying
            .execute(&format!(
                "truncate raw.{table}, raw.toggl_track__claims, raw.toggl_track__loads"
            ))
            .await;
        for place in order {
            replaying.load(&batches[place]).await;
        }
        assert_eq!(replaying.scalar(&sql).await, live, "in the order {order:?}");
        replaying.load(&batches.concat()).await;
        assert_eq!(replaying.scalar(&sql).await, live, "again after {order:?}");
    }
}

fn deleted(of: &Record, at: i64) -> Record {
    let data = String::from_utf8(of.data.to_vec()).unwrap();
    let data = data.replace('}', &format!(r#","server_deleted_at":"{}"}}"#, moment(at)));
    Record {
        modified_at: Some(moment(at)),
        deleted_at: Some(moment(at)),
        data: Bytes::from(data),
        ..of.clone()
    }
}

#[tokio::test]
async fn an_undone_deletion_that_brings_back_the_old_time_of_change_is_live_in_every_order() {
    let entries = resource("time_entries");
    let window = Span::Starts { from: moment(0), to: moment(10_000), user_id: None };
    let seen = || vec![record(entries, 1, 5, "A")];
    let batches = [
        cut(entries, 10, window, seen()),
        cut(entries, 40, Span::Partial, vec![deleted(&record(entries, 1, 5, "A"), 30)]),
        cut(entries, 60, window, seen()),
    ];
    live_in_every_order(&batches, "toggl_track__time_entries", "1A").await;
}

#[tokio::test]
async fn a_deletion_that_was_seen_last_stands_in_every_order() {
    let entries = resource("time_entries");
    let window = Span::Starts { from: moment(0), to: moment(10_000), user_id: None };
    let batches = [
        cut(entries, 10, window, vec![record(entries, 1, 5, "A"), record(entries, 2, 5, "A")]),
        cut(entries, 40, Span::Partial, vec![record(entries, 1, 5, "A")]),
        cut(entries, 60, Span::Partial, vec![deleted(&record(entries, 1, 5, "A"), 50)]),
    ];
    live_in_every_order(&batches, "toggl_track__time_entries", "2A").await;
}

const DAY: i64 = 24 * 60 * 60;

/// Entry of a report; one that runs has its start in its JSON alone.
fn reported(id: i64, day: i64, runs: bool) -> Record {
    let start = moment(day * DAY);
    let stop = if runs { "null".to_owned() } else { format!("\"{}\"", start + 1.hour()) };
    let data = format!(r#"{{"id":{id},"name":"A","start":"{start}","stop":{stop}}}"#);
    Record {
        workspace_id: None,
        started_at: (!runs).then_some(start),
        data: Bytes::from(data),
        ..record(resource("time_entries_report"), id, 5, "A")
    }
}

fn report(fetched_on: i64, records: Vec<Record>) -> Vec<Batch> {
    let span = Span::Starts { from: moment(0), to: moment(10 * DAY), user_id: None };
    cut(resource("time_entries_report"), fetched_on * DAY, span, records)
}

#[tokio::test]
async fn a_running_entry_that_a_report_lacks_a_week_later_is_gone_in_every_order() {
    let batches = [
        report(2, vec![reported(1, 1, false), reported(2, 1, true)]),
        report(3, vec![reported(1, 1, false), reported(2, 1, true)]),
        report(9, vec![reported(1, 1, false)]),
    ];
    live_in_every_order(&batches, "toggl_track__time_entries_report", "1A").await;
}

#[tokio::test]
async fn a_running_entry_that_a_report_lacks_within_a_week_may_still_run() {
    let batches = [
        report(2, vec![reported(1, 1, false), reported(2, 1, true), reported(3, 4, true)]),
        report(8, vec![reported(1, 1, false)]),
        report(9, vec![reported(1, 1, false), reported(2, 1, true)]),
    ];
    live_in_every_order(&batches, "toggl_track__time_entries_report", "1A 2A 3A").await;
}

#[tokio::test]
async fn one_that_was_taken_for_gone_comes_back_when_a_report_shows_it() {
    let batches = [
        report(2, vec![reported(2, 1, true)]),
        report(9, vec![]),
        report(10, vec![reported(2, 1, true)]),
    ];
    live_in_every_order(&batches, "toggl_track__time_entries_report", "2A").await;
}
