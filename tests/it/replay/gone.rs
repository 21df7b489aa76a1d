//! What a replay says of batches that have left the stream, and when that is an exit code.

use shared::batch::Batch;
use shared::listing::Span;
use shared::stream::STREAM;
use tests::workers::Finished;

use crate::dead_letters::letters::named;
use crate::expected::rows::resource;
use crate::given::batches::{USER, cut, listing, moment};
use crate::replay::replaying::Replaying;

const HARMLESS: &str = "; nothing that they brought is known to be missing\n";

impl Replaying {
    /// Removes all messages before this one.
    pub(crate) async fn purge_before(&self, sequence: u64) {
        let stream = self.context.get_stream(STREAM).await.unwrap();
        stream.purge().sequence(sequence).await.unwrap();
    }

    async fn replay_of(&self, resource: &str, code: i32) -> Finished {
        self.replay(&["--resource", resource], code).await
    }

    async fn ids(&mut self, table: &str) -> String {
        let sql = "select string_agg(source_id::text, ' ' order by source_id) from";
        self.scalar(&format!("{sql} {table} where deleted_at is null")).await
    }
}

/// The tags of these ids, of which nothing is claimed.
pub(crate) fn some(fetched_at: i64, ids: std::ops::RangeInclusive<i64>) -> Vec<Batch> {
    let tags = resource("tags");
    cut(tags, fetched_at, Span::Partial, named(tags, ids, "tag"))
}

fn all(fetched_at: i64, ids: std::ops::RangeInclusive<i64>) -> Vec<Batch> {
    let tags = resource("tags");
    listing(tags, fetched_at, named(tags, ids, "tag"))
}

/// The entries of these ids, complete for the starts from the first to before the last of these.
fn window(
    fetched_at: i64,
    (from, to): (i64, i64),
    ids: std::ops::RangeInclusive<i64>,
) -> Vec<Batch> {
    let entries = resource("time_entries");
    let (from, to) = (moment(from * 100), moment(to * 100));
    let span = Span::Starts { from, to, user_id: Some(USER) };
    cut(entries, fetched_at, span, named(entries, ids, "entry"))
}

#[tokio::test]
async fn over_tables_that_hold_what_is_gone_it_is_said_and_no_trouble() {
    let mut replaying = Replaying::with_past().await;
    replaying.purge_before(27).await;
    let before = replaying.live().await;
    for arguments in [&[][..], &["--force"]] {
        let finished = replaying.replay(arguments, 0).await;
        assert!(before == replaying.live().await, "{finished:#?}");
        let (_, said) =
            finished.stdout.split_once("The stream begins at sequence 27, published ").unwrap();
        let [first, second] = said.lines().collect::<Vec<_>>().try_into().unwrap();
        assert!(first.ends_with(" UTC"), "{finished:#?}");
        assert!(second.starts_with("  26 batches of me, workspaces, projects, "), "{finished:#?}");
        assert!(format!("{second}\n").ends_with(HARMLESS), "{finished:#?}");
    }
}

#[tokio::test]
async fn a_row_that_only_a_gone_batch_brought_to_an_emptied_table_is_missed_again_and_again() {
    let mut replaying = Replaying::start().await;
    replaying.load(&some(10, 1..=1)).await;
    replaying.load(&some(20, 2..=2)).await;
    replaying.purge_before(2).await;
    replaying.replay_of("tags", 0).await;
    replaying.truncate().await;
    let at = moment(10).strftime("%Y-%m-%d %H:%M:%S");
    let words = format!(
        "\n  tags: 1 batch that was once loaded is gone from it (fetched between {at} and {at}): rows that \
         only they brought stay missing; `fetcher --only tags` brings what Toggl still has\n"
    );
    for _ in 0..2 {
        let finished = replaying.replay_of("tags", 6).await;
        assert!(finished.stdout.contains(&words), "{finished:#?}");
        assert_eq!(replaying.ids("raw.toggl_track__tags").await, "2");
    }
    // Nothing is gone of other tables.
    replaying.replay_of("clients", 0).await;
}

#[tokio::test]
async fn a_newer_whole_listing_brings_everything_back_but_what_was_deleted() {
    let mut replaying = Replaying::start().await;
    replaying.load(&all(10, 1..=2)).await;
    replaying.load(&all(20, 1..=3)).await;
    replaying.purge_before(2).await;
    replaying.truncate().await;
    let finished = replaying.replay_of("tags", 0).await;
    assert!(finished.stdout.ends_with(HARMLESS), "{finished:#?}");
    assert_eq!(replaying.ids("raw.toggl_track__tags").await, "1 2 3");

    replaying.load(&all(30, 1..=2)).await;
    replaying.purge_before(3).await;
    replaying.replay_of("tags", 0).await;
    replaying.truncate().await;
    let finished = replaying.replay_of("tags", 6).await;
    assert!(finished.stdout.contains("  tags: 2 batches that were once loaded "), "{finished:#?}");
    assert!(finished.stdout.contains("rows that had been deleted at Toggl"), "{finished:#?}");
    assert_eq!(replaying.scalar("select count(*) from raw.toggl_track__tags").await, "2");
}

#[tokio::test]
async fn entries_are_missing_where_no_newer_window_covers_those_of_the_gone_ones() {
    let mut replaying = Replaying::start().await;
    replaying.load(&window(10, (0, 5), 1..=4)).await;
    replaying.load(&window(20, (5, 9), 5..=8)).await;
    replaying.purge_before(2).await;
    replaying.replay_of("time_entries", 0).await;
    replaying.truncate().await;
    let finished = replaying.replay_of("time_entries", 6).await;
    let report = format!("`fetcher report --from {}`", moment(10).strftime("%Y-%m-%d"));
    assert!(finished.stdout.contains(&report), "{finished:#?}");
    assert_eq!(replaying.ids("raw.toggl_track__time_entries").await, "5 6 7 8");

    replaying.load(&window(30, (0, 9), 1..=8)).await;
    replaying.truncate().await;
    let finished = replaying.replay_of("time_entries", 0).await;
    assert!(finished.stdout.ends_with(HARMLESS), "{finished:#?}");
    assert_eq!(replaying.ids("raw.toggl_track__time_entries").await, "1 2 3 4 5 6 7 8");
}

#[tokio::test]
async fn an_emptied_table_none_of_whose_batches_is_left_is_said_to_stay_empty() {
    let mut replaying = Replaying::start().await;
    replaying.load(&some(10, 1..=3)).await;
    replaying.purge_before(2).await;
    let finished = replaying.replay_of("tags", 0).await;
    assert!(
        finished.stdout.contains("\nThe stream is empty; its next sequence is 2\n"),
        "{finished:#?}"
    );
    replaying.truncate().await;
    let finished = replaying.replay_of("tags", 6).await;
    assert!(finished.stdout.starts_with("Nothing to replay"), "{finished:#?}");
    assert!(finished.stdout.contains("stay missing"), "{finished:#?}");
}

#[tokio::test]
async fn what_is_gone_brings_no_exit_code_where_it_had_changed_nothing_or_was_not_selected() {
    let mut replaying = Replaying::start().await;
    for fetched_at in [10, 20, 30] {
        replaying.load(&some(fetched_at, 1..=2)).await;
    }
    let stream = replaying.context.get_stream(STREAM).await.unwrap();
    stream.delete_message(2).await.unwrap();
    replaying.truncate().await;
    let finished = replaying.replay_of("tags", 0).await;
    assert!(finished.stdout.contains("  1 batch of tags that once came"), "{finished:#?}");
    stream.delete_message(1).await.unwrap();
    replaying.truncate().await;
    // The first one changed something.
    replaying.replay_of("tags", 6).await;
    replaying.truncate().await;
    let later = moment(15).to_string();
    for arguments in [["--from-sequence", "2"], ["--from-time", &later]] {
        let finished =
            replaying.replay(&[&arguments[..], &["--resource", "tags"]].concat(), 0).await;
        assert!(!finished.stdout.contains("stay missing"), "{finished:#?}");
    }
}

#[tokio::test]
async fn batches_that_no_loader_has_loaded_yet_show_no_table_to_be_short() {
    let mut replaying = Replaying::start().await;
    replaying.load(&some(10, 1..=1)).await;
    replaying.load(&some(20, 2..=2)).await;
    assert_eq!(replaying.loader.terminate().await.unwrap(), Some(0));
    replaying.purge_before(2).await;
    crate::given::batches::publish(&replaying.context, &some(30, 3..=3)).await;
    let finished = replaying.replay_of("tags", 0).await;
    assert!(finished.stdout.contains(", 1 applied, "), "{finished:#?}");
    assert!(finished.stdout.ends_with(HARMLESS), "{finished:#?}");
    assert_eq!(replaying.ids("raw.toggl_track__tags").await, "1 2 3");
}
