//! `loader replay --force`: rows that somebody changed by hand, and what it must not touch.

use std::ops::RangeInclusive;

use crate::dead_letters::letters::named;
use crate::expected::rows::resource;
use crate::given::batches::{cut, listing, moment, record};
use crate::replay::replaying::Replaying;
use shared::catalogue::CATALOGUE;
use shared::listing::Span;
use shared::stream::STREAM;

const DAMAGE: &str = r#"set data = '{"spoilt": true}'"#;

impl Replaying {
    /// Removes messages that were loaded, so that no replay has them.
    async fn leave_out(&self, sequences: RangeInclusive<u64>) {
        let stream = self.context.get_stream(STREAM).await.unwrap();
        for sequence in sequences {
            stream.delete_message(sequence).await.unwrap();
        }
    }
}

#[tokio::test]
async fn damaged_rows_stay_without_force_and_are_mended_with_it() {
    let mut replaying = Replaying::with_past().await;
    let but = ["synced_at", "fetched_at"];
    let intact = replaying.contents("raw", &but).await;
    for resource in CATALOGUE {
        replaying.execute(&format!("update raw.{} {DAMAGE}", resource.table())).await;
    }
    let damaged = replaying.contents("raw", &but).await;
    assert!(intact != damaged);

    replaying.replay(&[], 0).await;
    assert!(damaged == replaying.contents("raw", &but).await, "the hash says that it is the same");

    let finished = replaying.replay(&["--force"], 0).await;
    let after = replaying.contents("raw", &but).await;
    assert!(intact == after, "{intact:#?} {after:#?} {finished:#?}");
    assert!(finished.stdout.contains("  tags: 6 batches, 6 applied, "), "{finished:#?}");
}

#[tokio::test]
async fn a_deleted_row_is_mended_and_keeps_the_time_of_its_deletion() {
    let mut replaying = Replaying::with_past().await;
    let intact = replaying.contents("raw", &["synced_at"]).await;
    replaying.execute(&format!("update raw.toggl_track__tags {DAMAGE} where source_id = 4")).await;
    // The listing that does not have it is not among these.
    let each = u64::try_from(CATALOGUE.len()).unwrap();
    replaying.leave_out(each + 1..=6 * each).await;
    replaying.replay(&["--force"], 0).await;
    assert!(intact == replaying.contents("raw", &["synced_at"]).await);
}

#[tokio::test]
async fn every_column_that_a_batch_fills_is_mended() {
    let mut replaying = Replaying::with_past().await;
    // Since when a row is as it is, the batches tell only as long as its version is known.
    let but = ["synced_at", "fetched_at", "valid_from"];
    let intact = replaying.contents("raw", &but).await;
    for damage in [
        "content_hash = 0",
        "modified_at = '2001-01-01'",
        "api_version = 'v0'",
        "user_id = 0",
        "started_at = null",
        "data = data || '{\"name\": \"other\"}', content_hash = 0",
    ] {
        let sql = format!("update raw.toggl_track__time_entries set {damage} where source_id <= 2");
        replaying.execute(&sql).await;
        replaying.replay(&["--force", "--resource", "time_entries"], 0).await;
        let after = replaying.contents("raw", &but).await;
        assert!(intact == after, "{damage}: {intact:#?} {after:#?}");
    }
}

#[tokio::test]
async fn a_row_without_any_claim_is_mended_by_the_newest_batch_that_has_it() {
    let mut replaying = Replaying::start().await;
    let tags = resource("tags");
    let same = |fetched_at| cut(tags, fetched_at, Span::Partial, named(tags, 1..=2, "same"));
    let newest = same(30);
    for batches in [&same(10), &same(20), &newest] {
        replaying.load(batches).await;
    }
    let intact = replaying.contents("raw", &["synced_at"]).await;
    replaying.execute(&format!("update raw.toggl_track__tags {DAMAGE} where source_id = 1")).await;

    replaying.leave_out(3..=3).await;
    replaying.replay(&["--force"], 0).await;
    let spoilt = "select count(*) from raw.toggl_track__tags where data ? 'spoilt'";
    assert_eq!(replaying.scalar(spoilt).await, "1", "older batches do not win");
    replaying.load(&newest).await;

    let finished = replaying.replay(&["--force"], 0).await;
    assert!(intact == replaying.contents("raw", &["synced_at"]).await, "{finished:#?}");
    let counts = "  tags: 3 batches, 1 applied, 1 unchanged, 4 stale, ";
    assert!(finished.stdout.contains(counts), "{finished:#?}");
}

#[tokio::test]
async fn an_older_batch_does_not_win_over_a_newer_one_that_left_the_row_alone() {
    let mut replaying = Replaying::start().await;
    let tags = resource("tags");
    // The row was written at 10; that it was the same at 50 is known from the claim alone. What was
    // fetched at 30 came late, with another content.
    let [first, newest, late] = [(10, "A"), (50, "A"), (30, "B")]
        .map(|(fetched_at, name)| listing(tags, fetched_at, vec![record(tags, 1, 5, name)]));
    for batches in [&first, &newest, &late] {
        replaying.load(batches).await;
    }
    let name = "select data->>'name' from raw.toggl_track__tags";
    assert_eq!(replaying.scalar(name).await, "A");
    replaying.execute(&format!("update raw.toggl_track__tags {DAMAGE}")).await;

    replaying.leave_out(2..=2).await;
    replaying.replay(&["--force"], 0).await;
    assert_eq!(replaying.scalar(name).await, "A", "by the batch that it is from");
    replaying.load(&newest).await;

    replaying.replay(&["--force"], 0).await;
    assert_eq!(replaying.scalar(name).await, "A");
    let fetched = "select extract(epoch from fetched_at)::bigint from raw.toggl_track__tags";
    assert_eq!(replaying.scalar(fetched).await, moment(10).as_second().to_string());
}

/// What a hand can do to a row, whatever its version says afterwards.
const DAMAGES: [&str; 14] = [
    "modified_at = '2200-01-01'",
    "modified_at = null",
    "fetched_at = '2200-01-01'",
    "fetched_at = fetched_at + interval '7 seconds'",
    "fetched_at = '2001-01-01'",
    "modified_at = '2200-01-01', fetched_at = '2200-01-01'",
    "modified_at = '2200-01-01', fetched_at = '2200-01-01', deleted_at = '2200-01-01'",
    "modified_at = '2200-01-01', data = '{}', content_hash = 0",
    "fetched_at = '2200-01-01', data = '{}', content_hash = 0",
    "modified_at = '2200-01-01', fetched_at = '2200-01-01', data = '{}', content_hash = 0",
    "deleted_at = '2001-01-01'",
    "deleted_at = '2200-01-01', data = '{}'",
    "content_hash = content_hash + 1",
    "modified_at = '2200-01-01', deleted_at = null",
];

/// Rows and whether they are deleted; when they were seen last may be told by a later batch.
async fn table(replaying: &mut Replaying, table: &str) -> String {
    let sql = format!(
        "select string_agg(((to_jsonb(t) - array['synced_at', 'fetched_at', 'deleted_at', 'valid_from'])
                || jsonb_build_object('deleted', deleted_at is not null))::text, E'\\n' order by source_id)
         from raw.{table} t"
    );
    replaying.scalar(&sql).await
}

#[tokio::test]
async fn whatever_was_changed_by_hand_ends_as_it_was() {
    let mut replaying = Replaying::with_past().await;
    for name in ["tags", "time_entries", "me"] {
        let name = resource(name).table();
        let intact = table(&mut replaying, &name).await;
        for damage in DAMAGES {
            replaying.execute(&format!("update raw.{name} set {damage}")).await;
            let finished = replaying.replay(&["--force"], 0).await;
            let after = table(&mut replaying, &name).await;
            assert_eq!(intact, after, "{name}: {damage} {finished:#?}");
            let later = format!("select count(*) from raw.{name} where fetched_at > now()");
            assert_eq!(replaying.scalar(&later).await, "0", "{name}: {damage}");
        }
        for damage in ["started_at = null", "user_id = 0, modified_at = '2200-01-01'"] {
            if name.ends_with("time_entries") {
                replaying.execute(&format!("update raw.{name} set {damage}")).await;
                replaying.replay(&["--force"], 0).await;
                assert_eq!(intact, table(&mut replaying, &name).await, "{damage}");
            }
        }
    }
}

#[tokio::test]
async fn a_row_whose_time_of_change_was_mended_takes_news_again() {
    let mut replaying = Replaying::start().await;
    let tags = resource("tags");
    replaying.load(&listing(tags, 10, vec![record(tags, 1, 5, "A")])).await;
    replaying.execute("update raw.toggl_track__tags set modified_at = '2200-01-01'").await;
    replaying.replay(&["--force"], 0).await;
    replaying.load(&listing(tags, 20, vec![record(tags, 1, 15, "B")])).await;
    assert_eq!(replaying.scalar("select data->>'name' from raw.toggl_track__tags").await, "B");
}

#[tokio::test]
async fn a_forced_replay_over_intact_rows_writes_none() {
    let mut replaying = Replaying::with_past().await;
    let changes = "select count(*) from raw.toggl_track__history";
    let before = (replaying.contents("raw", &[]).await, replaying.scalar(changes).await);
    replaying.replay(&["--force"], 0).await;
    let after = (replaying.contents("raw", &[]).await, replaying.scalar(changes).await);
    assert!(before == after, "{before:#?} {after:#?}");
}
