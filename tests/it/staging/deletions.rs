//! Deletions of time entries from both sides, through a loader: what is gone at Toggl is not seen,
//! whichever of the two raw tables has heard of it.

use bytes::Bytes;
use shared::batch::{Batch, Record};
use shared::listing::Span;
use shared::resource::Resource;

use crate::expected::rows::resource;
use crate::given::batches::{USER, cut, listing, moment, record};
use crate::given::running::Running;

fn v9() -> &'static Resource {
    resource("time_entries")
}

fn report() -> &'static Resource {
    resource("time_entries_report")
}

/// A stopped entry of id 1, as either table has it.
fn entry(resource: &Resource, at: i64) -> Record {
    let entry = record(resource, 1, at, "entry");
    let text = String::from_utf8(entry.data.to_vec()).unwrap();
    let stopped = text.replacen('{', r#"{"stop":"2026-09-21T11:00:00Z","#, 1);
    Record { data: Bytes::from(stopped), ..entry }
}

/// The news that entry 1 was deleted, from the feed of changes.
fn deletion(at: i64) -> Vec<Batch> {
    let gone = Record { deleted_at: Some(moment(at)), ..entry(v9(), at) };
    cut(v9(), at + 1, Span::Partial, vec![gone])
}

fn seen_by(resource: &'static Resource, at: i64, fetched_at: i64) -> Vec<Batch> {
    listing(resource, fetched_at, vec![entry(resource, at)])
}

fn missed_by(resource: &'static Resource, fetched_at: i64) -> Vec<Batch> {
    listing(resource, fetched_at, Vec::new())
}

/// Loads the batches in this order, then in the opposite one, which must not matter. Answers the
/// source of entry 1, if it is seen.
async fn seen(steps: &[Vec<Batch>]) -> Option<String> {
    let mut running = Running::start().await;
    let mut answers = Vec::new();
    for backwards in [false, true] {
        let mut order: Vec<_> = steps.iter().collect();
        if backwards {
            order.reverse();
        }
        for batches in order {
            running.load(batches).await;
        }
        let sql = "select source from staging.stg_toggl_track__time_entries";
        let source: Vec<String> =
            sqlx::query_scalar(sql).fetch_all(&mut running.connection).await.unwrap();
        assert!(source.len() < 2, "{source:?}");
        answers.push(source.into_iter().next());
        let clear = "truncate raw.toggl_track__time_entries, raw.toggl_track__time_entries_report,
                     raw.toggl_track__claims, raw.toggl_track__loads";
        sqlx::query(clear).execute(&mut running.connection).await.unwrap();
    }
    assert_eq!(answers[0], answers[1], "the order of deliveries matters");
    answers.remove(0)
}

#[tokio::test]
async fn deleted_in_v9_is_gone_though_the_report_still_has_it() {
    let steps = [seen_by(report(), 5, 10), seen_by(v9(), 5, 20), deletion(30)];
    assert_eq!(seen(&steps).await, None);
}

#[tokio::test]
async fn deleted_in_v9_is_gone_though_a_later_report_still_shows_its_older_form() {
    let steps = [seen_by(v9(), 5, 20), deletion(30), seen_by(report(), 5, 40)];
    assert_eq!(seen(&steps).await, None);
}

#[tokio::test]
async fn changed_after_its_deletion_it_was_restored() {
    let steps = [seen_by(v9(), 5, 20), deletion(30), seen_by(report(), 35, 40)];
    assert_eq!(seen(&steps).await.as_deref(), Some("v3"));
}

#[tokio::test]
async fn missing_from_a_v9_listing_is_gone_though_an_older_report_has_it() {
    let steps = [seen_by(v9(), 5, 10), seen_by(report(), 5, 20), missed_by(v9(), 30)];
    assert_eq!(seen(&steps).await, None);
}

#[tokio::test]
async fn missing_from_a_v9_listing_is_back_when_a_later_report_has_it() {
    let steps = [seen_by(v9(), 5, 10), missed_by(v9(), 20), seen_by(report(), 5, 30)];
    assert_eq!(seen(&steps).await.as_deref(), Some("v3"));
}

#[tokio::test]
async fn missing_from_a_v9_listing_is_back_when_a_later_report_has_it_unchanged() {
    let steps = [
        seen_by(v9(), 5, 10),
        seen_by(report(), 5, 15),
        missed_by(v9(), 20),
        seen_by(report(), 5, 30),
    ];
    assert_eq!(seen(&steps).await.as_deref(), Some("v3"));
}

#[tokio::test]
async fn missing_from_a_report_is_gone_though_an_older_v9_listing_has_it() {
    let steps = [seen_by(report(), 5, 10), seen_by(v9(), 5, 20), missed_by(report(), 30)];
    assert_eq!(seen(&steps).await, None);
}

#[tokio::test]
async fn missing_from_a_report_is_back_when_a_later_v9_listing_has_it_unchanged() {
    let steps = [
        seen_by(report(), 5, 10),
        seen_by(v9(), 5, 20),
        missed_by(report(), 30),
        seen_by(v9(), 5, 40),
    ];
    assert_eq!(seen(&steps).await.as_deref(), Some("v9"));
}

#[tokio::test]
async fn missing_from_a_report_of_an_older_form_it_was_moved() {
    let steps = [seen_by(report(), 5, 10), seen_by(v9(), 25, 27), missed_by(report(), 30)];
    assert_eq!(seen(&steps).await.as_deref(), Some("v9"));
}

#[tokio::test]
async fn missing_from_both_is_gone() {
    let steps = [
        seen_by(report(), 5, 10),
        seen_by(v9(), 5, 20),
        missed_by(report(), 30),
        missed_by(v9(), 40),
    ];
    assert_eq!(seen(&steps).await, None);
}

/// Listings of reports leave running entries alone: that one is not marked deleted says nothing.
#[tokio::test]
async fn running_in_a_report_is_gone_when_v9_misses_it() {
    let stopped = entry(report(), 5);
    let text = String::from_utf8(stopped.data.to_vec()).unwrap();
    let start = moment(100);
    let running =
        text.replacen(r#""stop":"2026-09-21T11:00:00Z""#, &format!(r#""start":"{start}""#), 1);
    assert_ne!(running, text);
    let running = Record { data: Bytes::from(running), started_at: None, ..stopped };
    let steps = [
        cut(report(), 10, Span::Partial, vec![running]),
        seen_by(v9(), 5, 20),
        missed_by(v9(), 30),
        missed_by(report(), 40),
    ];
    assert_eq!(seen(&steps).await, None);
}

/// A token that sees its own user's entries alone says nothing about others'.
#[tokio::test]
async fn a_listing_of_another_user_confirms_nothing() {
    let (from, to) = (moment(0), moment(1_000_000));
    let others = Span::Starts { from, to, user_id: Some(USER + 1) };
    let steps = [
        seen_by(report(), 5, 10),
        seen_by(v9(), 5, 20),
        missed_by(report(), 30),
        cut(v9(), 40, others, Vec::new()),
    ];
    assert_eq!(seen(&steps).await, None);
}
