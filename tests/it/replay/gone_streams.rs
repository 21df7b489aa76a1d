//! Replays of what has left the stream: into other schemas, and out of a stream that was made anew.

use shared::stream::STREAM;

use crate::given::batches::moment;
use crate::replay::gone::some;
use crate::replay::replaying::Replaying;

#[tokio::test]
async fn another_schema_misses_what_is_gone_unless_it_has_it_already() {
    let replaying = Replaying::start().await;
    replaying.load(&some(10, 1..=1)).await;
    replaying.load(&some(20, 2..=2)).await;
    let tags = ["--resource", "tags"];
    replaying.replay(&[&tags[..], &["--into", "early"]].concat(), 0).await;
    replaying.purge_before(2).await;
    replaying.replay(&[&tags[..], &["--into", "early"]].concat(), 0).await;
    let finished = replaying.replay(&[&tags[..], &["--into", "late"]].concat(), 6).await;
    assert!(
        finished.stdout.contains("brings what Toggl still has into the live tables\n"),
        "{finished:#?}"
    );
    // A moment by which it was not fetched yet misses nothing of it.
    let [before, after] = [5, 15].map(|second| moment(second).to_string());
    replaying.replay(&[&tags[..], &["--into", "before", "--until", &before]].concat(), 0).await;
    let finished =
        replaying.replay(&[&tags[..], &["--into", "after", "--until", &after]].concat(), 6).await;
    assert!(
        finished.stdout.contains("what Toggl has today is not of that time\n"),
        "{finished:#?}"
    );
}

#[tokio::test]
async fn the_past_is_no_end_for_the_live_tables() {
    let mut replaying = Replaying::with_past().await;
    replaying.truncate().await;
    let until = moment(30).to_string();
    let finished = replaying.replay(&["--until", &until], 2).await;
    assert!(finished.stderr.starts_with("error: --until wants --into SCHEMA: "), "{finished:#?}");
    assert_eq!(replaying.scalar("select count(*) from raw.toggl_track__tags").await, "0");
}

#[tokio::test]
async fn batches_of_a_stream_that_was_made_anew_are_not_taken_for_those_of_the_old_one() {
    let mut replaying = Replaying::start().await;
    replaying.load(&some(10, 1..=1)).await;
    replaying.load(&some(20, 2..=2)).await;
    assert_eq!(replaying.loader.terminate().await.unwrap(), Some(0));
    replaying.context.delete_stream(STREAM).await.unwrap();
    replaying.loader = replaying.world.start_loader().await.unwrap();
    replaying.loaded().await;
    replaying.load(&some(30, 3..=3)).await;
    replaying.load(&some(40, 4..=4)).await;
    let finished = replaying.replay(&[], 0).await;
    assert!(
        finished.stdout.contains("  2 batches of tags that once came are gone"),
        "{finished:#?}"
    );
    replaying.truncate().await;
    let finished = replaying.replay(&[], 6).await;
    assert!(
        finished.stdout.contains("  tags: 2 batches that were once loaded are gone"),
        "{finished:#?}"
    );
    assert!(finished.stdout.contains("The stream begins at sequence 1,"), "{finished:#?}");
}
