//! Replays that are interrupted, and servers that go away under them.

use std::time::Duration;

use shared::listing::Span;
use shared::stream::STREAM;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tests::servers::DEADLINE;
use tests::servers::Shutdown;
use tests::sessions::waiting_sessions;
use tests::toggl::Account;
use tests::workers::Resident;
use tests::world::World;

use crate::expected::rows::resource;
use crate::given::batches::{cut, publish, record};
use crate::replay::replaying::Replaying;

/// Each with a tag of its own: more than a replay reads ahead, several times over.
const BATCHES: i64 = 400;

impl Replaying {
    /// Many batches, all of which are loaded, and a table that is empty again.
    async fn with_many(world: World) -> Self {
        let mut replaying = Self::over(world).await;
        replaying.publish(1..=BATCHES).await;
        replaying.loaded().await;
        replaying.execute("truncate raw.toggl_track__tags").await;
        replaying
    }

    async fn publish(&self, ids: std::ops::RangeInclusive<i64>) {
        let tags = resource("tags");
        let one = |id| cut(tags, id, Span::Partial, vec![record(tags, id, 5, "tag")]);
        publish(&self.context, &ids.flat_map(one).collect::<Vec<_>>()).await;
    }

    /// A replay that can apply nothing until the connection is closed.
    async fn blocked(&self) -> (Resident, PgConnection) {
        let mut lock = self.world.connect().await.unwrap();
        lock.execute("begin; lock table raw.toggl_track__tags").await.unwrap();
        let replay = self.world.loader(&["replay"]).start().await.unwrap();
        // It has a batch in hand.
        let waiting = waiting_sessions(&mut self.world.connect().await.unwrap(), 1).await;
        waiting.unwrap_or_else(|error| panic!("{error:#}\n{}", replay.log()));
        (replay, lock)
    }

    async fn tags(&mut self) -> String {
        self.scalar("select count(*) from raw.toggl_track__tags where deleted_at is null").await
    }

    async fn assert_restored(&mut self) {
        assert_eq!(self.tags().await, BATCHES.to_string());
    }
}

async fn world() -> World {
    World::start(Account::empty()).await.unwrap()
}

#[tokio::test]
async fn an_interrupted_replay_leaves_nothing_behind_and_can_be_run_again() {
    for signal in ["TERM", "INT"] {
        let mut replaying = Replaying::with_many(world().await).await;
        let (replay, lock) = replaying.blocked().await;
        assert_eq!(replaying.consumers().await.len(), 1);
        replay.signal(signal).unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        lock.close().await.unwrap();

        assert_eq!(replay.ended(DEADLINE).await.unwrap(), Some(1), "{}", replay.log());
        assert!(replay.log().contains("error: interrupted"), "{}", replay.log());
        assert!(replay.log().contains("\n  tags: 1 batches, 1 applied, "), "{}", replay.log());
        assert_eq!(replaying.consumers().await, [""; 0], "{}", replay.log());
        assert_eq!(replaying.tags().await, "1", "what was in hand is finished");
        let finished = replaying.replay(&[], 0).await;
        assert!(finished.stdout.contains("  tags: 400 batches, 399 applied, "), "{finished:#?}");
        replaying.assert_restored().await;
    }
}

#[tokio::test]
async fn what_is_in_hand_is_let_go_when_it_is_asked_twice() {
    let replaying = Replaying::with_many(world().await).await;
    let (replay, _lock) = replaying.blocked().await;
    replay.signal("TERM").unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    replay.signal("TERM").unwrap();
    replay.logged("interrupted", DEADLINE).await.unwrap();
    // Which is what would end the wait for the lock.
    assert!(!replay.log().contains("trouble"), "{}", replay.log());
    assert_eq!(replay.ended(DEADLINE).await.unwrap(), Some(1), "{}", replay.log());
    assert_eq!(replaying.consumers().await, [""; 0], "{}", replay.log());
}

#[tokio::test]
async fn a_replay_that_was_killed_can_be_run_again_and_its_consumer_goes_by_itself() {
    let mut replaying = Replaying::with_many(world().await).await;
    let (replay, lock) = replaying.blocked().await;
    replay.kill9().unwrap();
    lock.close().await.unwrap();
    let [left] = <[_; 1]>::try_from(replaying.consumers().await).unwrap();
    assert!(left.starts_with("replay_"), "{left}");
    let stream = replaying.context.get_stream(STREAM).await.unwrap();
    let info = stream.consumer_info(&left).await.unwrap();
    assert_eq!(info.config.inactive_threshold, Duration::from_hours(1));
    assert_eq!(info.config.durable_name, None);
    stream.delete_consumer(&left).await.unwrap();
    replaying.replay(&[], 0).await;
    replaying.assert_restored().await;
}

#[tokio::test]
async fn what_is_published_after_the_start_is_none_of_its_business() {
    let mut replaying = Replaying::with_many(world().await).await;
    let (replay, lock) = replaying.blocked().await;
    replaying.publish(BATCHES + 1..=BATCHES + 50).await;
    lock.close().await.unwrap();
    assert_eq!(replay.ended(DEADLINE).await.unwrap(), Some(0), "{}", replay.log());
    assert!(replay.log().contains("\nReplayed 400 batches\n"), "{}", replay.log());
    replaying.loaded().await;
    assert_eq!(replaying.tags().await, (BATCHES + 50).to_string());
}

#[tokio::test]
async fn batches_that_leave_the_stream_before_their_turn_are_reported() {
    let mut replaying = Replaying::with_many(world().await).await;
    let (replay, lock) = replaying.blocked().await;
    let stream = replaying.context.get_stream(STREAM).await.unwrap();
    stream.purge().sequence(300).await.unwrap();
    lock.close().await.unwrap();
    assert_eq!(replay.ended(DEADLINE).await.unwrap(), Some(6), "{}", replay.log());
    let applied: i64 = replaying.tags().await.parse().unwrap();
    assert!(applied < BATCHES, "it read less ahead than {applied}");
    let missing = format!("\n{} batches were gone from the stream", BATCHES - applied);
    assert!(replay.log().contains(&missing), "{missing}: {}", replay.log());
}

#[tokio::test]
async fn a_replay_reads_on_after_nats_was_killed() {
    let mut replaying = Replaying::with_many(world().await).await;
    let (replay, lock) = replaying.blocked().await;
    replaying.world.nats.kill9().unwrap();
    lock.close().await.unwrap();
    replay.logged("reconnecting", DEADLINE).await.unwrap();
    replaying.world.nats.restart().await.unwrap();
    assert_eq!(replay.ended(DEADLINE).await.unwrap(), Some(0), "{}", replay.log());
    assert!(replay.log().contains("\n  tags: 400 batches, 400 applied, "), "{}", replay.log());
    replaying.assert_restored().await;
    assert_eq!(replaying.consumers().await, [""; 0], "{}", replay.log());
}

#[tokio::test]
async fn a_replay_goes_on_after_postgres_was_stopped() {
    let world = World::start_with_own_postgres(Account::empty()).await.unwrap();
    let mut replaying = Replaying::with_many(world).await;
    let (replay, lock) = replaying.blocked().await;
    drop(lock);
    replaying.world.postgres().stop(Shutdown::Immediate).await.unwrap();
    replay.logged("[replay] Postgres is in trouble", DEADLINE).await.unwrap();
    replaying.world.postgres().restart(Shutdown::Immediate).await.unwrap();
    assert_eq!(replay.ended(DEADLINE).await.unwrap(), Some(0), "{}", replay.log());
    assert!(replay.log().contains("\nReplayed 400 batches\n"), "{}", replay.log());
    replaying.connection = replaying.world.connect().await.unwrap();
    replaying.assert_restored().await;
}
