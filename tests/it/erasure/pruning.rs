//! `loader prune`, and loaders that prune: what is kept is what is still asked for.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use tests::servers::{DEADLINE, wait_for};
use tests::toggl::Account;
use tests::workers::Finished;
use tests::world::World;

use crate::given::dice::Dice;

struct Pruning {
    world: World,
    connection: PgConnection,
}

impl Pruning {
    async fn start() -> Self {
        let world = World::start(Account::empty()).await.unwrap();
        let connection = world.connect().await.unwrap();
        Self { world, connection }
    }

    async fn prune(&self, arguments: &[&str], code: i32) -> Finished {
        let arguments: Vec<&str> = ["prune"].iter().chain(arguments).copied().collect();
        let loader = self.world.loader(&arguments).env("NATS_URL", "nats://127.0.0.1:1");
        let finished = loader.run().await.unwrap();
        assert_eq!(finished.code, Some(code), "{arguments:?}: {finished:#?}");
        finished
    }

    async fn execute(&mut self, sql: &str) {
        self.connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }

    async fn texts(&mut self, sql: &str) -> Vec<String> {
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut self.connection).await.unwrap()
    }

    /// A version of a key that was valid from so many days ago to so many.
    async fn version(&mut self, resource: &str, key: (i64, i64), from: i32, to: i32) {
        sqlx::query(
            "insert into raw.toggl_track__history
                 (resource, source_id, workspace_id, data, valid_from, valid_to, is_deleted)
             values ($1, $2, $3, jsonb_build_object('from', $4::int, 'n', random()),
                     current_date - $4::int, current_date - $5::int, random() < 0.5)",
        )
        .bind(resource)
        .bind(key.0)
        .bind(key.1)
        .bind(from)
        .bind(to)
        .execute(&mut self.connection)
        .await
        .unwrap();
    }

    /// What the tables held so many days ago.
    async fn past(&mut self, days_ago: i32) -> Vec<String> {
        let sql = format!(
            "select format('%s %s %s %s', resource, source_id, workspace_id, data)
             from unnest(array['tags', 'users']) resource
             cross join lateral raw.toggl_track__as_of(resource, current_date - {days_ago}) order by 1"
        );
        self.texts(&sql).await
    }
}

/// The rule itself: a version may go exactly where no moment since the horizon would miss it.
#[tokio::test]
async fn what_a_table_held_since_the_horizon_stays_known_for_any_history() {
    let mut pruning = Pruning::start().await;
    let mut dice = Dice::new();
    for resource in ["tags", "users"] {
        for source_id in 0..60 {
            let mut from = 60;
            while from > 0 {
                let to = from - 1 - i32::try_from(dice.below(20)).unwrap().min(from - 1);
                if dice.below(4) > 0 {
                    // Of users, two workspaces have the same ids.
                    let key = if resource == "users" {
                        (source_id / 2, source_id % 2)
                    } else {
                        (source_id, 0)
                    };
                    pruning.version(resource, key, from, to).await;
                }
                from = to;
            }
        }
    }
    let mut before = Vec::new();
    for days_ago in 0..30 {
        before.push(pruning.past(days_ago).await);
    }
    let count = "select count(*)::text from raw.toggl_track__history";
    let all = pruning.texts(count).await;
    let tried = pruning.prune(&["--keep-history", "30d", "--dry-run"], 0).await;
    assert_eq!(pruning.texts(count).await, all);
    let pruned = pruning.prune(&["--keep-history", "30d"], 0).await;
    assert_eq!(tried.stdout.replace("Would delete", "Deleted"), pruned.stdout);
    for (days_ago, before) in (0..30).zip(before) {
        assert_eq!(pruning.past(days_ago).await, before, "{days_ago} days ago");
    }
    let older = "select count(*)::text from raw.toggl_track__history
                 where valid_to <= now() - interval '30 days'";
    assert_eq!(pruning.texts(older).await, ["0"]);
    let again = pruning.prune(&["--keep-history", "30d"], 0).await;
    assert!(again.stdout.contains("Deleted 0 "), "{again:#?}");
}

#[tokio::test]
async fn a_long_history_goes_in_pieces() {
    let mut pruning = Pruning::start().await;
    pruning
        .execute(
            "insert into raw.toggl_track__history
                 (resource, source_id, workspace_id, data, valid_from, valid_to, is_deleted)
             select 'tags', n / 3, 0, '{}', now() - make_interval(days => 53 - n % 3),
                    now() - make_interval(days => 52 - n % 3), false
             from generate_series(3, 24002) n",
        )
        .await;
    let pruned = pruning.prune(&["--keep-history", "30d"], 0).await;
    assert!(pruned.stdout.contains("Deleted 24000 "), "{pruned:#?}");
}

/// Ledger rows of two workspaces: the quick one goes on, the quiet one has changed nothing for long.
const LEDGER: &str = "
    insert into raw.toggl_track__loads
    select gen_random_uuid(), 'tags', workspace_id, 0, 1,
           case when days_ago = 70 or workspace_id = 1 and days_ago % 2 = 0 then 1 else 0 end,
           0, 0, 0, 0, now() - days_ago * interval '1 day', now() - days_ago * interval '1 day',
           1000 - days_ago
    from generate_series(1, 100) days_ago, (values (1), (2)) w (workspace_id)
    where workspace_id = 1 or days_ago > 60";

#[tokio::test]
async fn freshness_is_told_as_before_when_the_ledger_is_pruned() {
    let mut pruning = Pruning::start().await;
    pruning.execute(LEDGER).await;
    let checked =
        "insert into raw.toggl_track__positions (resource, stream_created_at, complete_through)
                   values ('tags', now(), 1000)";
    pruning.execute(checked).await;
    let freshness = "select f::text from staging.stg_toggl_track__freshness f order by 1";
    let before = pruning.texts(freshness).await;
    assert_eq!(before.len(), 2);
    let tried = pruning.prune(&["--keep-loads", "30d", "--dry-run"], 0).await;
    let pruned = pruning.prune(&["--keep-loads", "30d"], 0).await;
    assert_eq!(tried.stdout.replace("Would delete", "Deleted"), pruned.stdout);
    assert_eq!(pruning.texts(freshness).await, before);
    let kept = "select format('%s: %s', workspace_id, count(*))
                from raw.toggl_track__loads group by workspace_id order by 1";
    assert_eq!(pruning.texts(kept).await, ["1: 29", "2: 2"]);
}

#[tokio::test]
async fn ledger_rows_that_are_still_to_be_checked_stay() {
    let mut pruning = Pruning::start().await;
    pruning.execute(LEDGER).await;
    pruning
        .execute(
            "drop table if exists raw.toggl_track__positions;
             create table raw.toggl_track__positions (resource text primary key, complete_through bigint)",
        )
        .await;
    pruning.prune(&["--keep-loads", "30d"], 0).await;
    let kept = "select count(*)::text from raw.toggl_track__loads where workspace_id = 1";
    assert_eq!(pruning.texts(kept).await, ["100"], "no position is known");
    pruning.execute("insert into raw.toggl_track__positions values ('tags', 940)").await;
    pruning.prune(&["--keep-loads", "30d"], 0).await;
    let kept = "select format('%s to %s', min(stream_sequence), max(stream_sequence))
                from raw.toggl_track__loads where workspace_id = 1";
    assert_eq!(pruning.texts(kept).await, ["941 to 999"]);
}

const LETTERS: &str = "
    insert into raw.toggl_track__dead_letters
        (resource, subject, stream_sequence, published_at, reason, payload, created_at)
    select 'tags', 's', n, now(), 'r', '', now() - n * interval '1 day' from generate_series(1, 60) n";

#[tokio::test]
async fn a_running_loader_prunes_by_its_settings_and_without_them_keeps_everything() {
    let mut pruning = Pruning::start().await;
    pruning.execute(LEDGER).await;
    pruning.execute(LETTERS).await;
    let loader = pruning.world.start_loader().await.unwrap();
    pruning.world.loaded().await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
    let counts = "select (select count(*) from raw.toggl_track__loads)
                  || ' ' || (select count(*) from raw.toggl_track__dead_letters)";
    assert_eq!(pruning.texts(counts).await, ["140 60"]);

    let loader = pruning.world.loader(&[]).env("LOADER_KEEP_LETTERS", "30d");
    let loader = loader.env("LOADER_KEEP_LOADS", "forever").env("LOADER_KEEP_HISTORY", "");
    let loader = loader.start().await.unwrap();
    loader.logged("Deleted 31 dead letters", DEADLINE).await.unwrap();
    assert_eq!(pruning.texts(counts).await, ["140 29"]);
}

#[tokio::test]
async fn one_loader_prunes_at_a_time_and_nothing_is_pruned_by_mistake() {
    let mut pruning = Pruning::start().await;
    let nothing = pruning.prune(&[], 2).await;
    assert!(nothing.stderr.contains("--keep-history"), "{nothing:#?}");
    pruning.prune(&["--keep-history", "30s"], 2).await;
    pruning.execute("select pg_advisory_lock(hashtextextended('pruning', 0))").await;
    let busy = pruning.prune(&["--keep-letters", "30d"], 1).await;
    assert!(busy.stderr.contains("another loader"), "{busy:#?}");
    pruning.execute("select pg_advisory_unlock_all()").await;
    let free = wait_for("the lock to be free", Duration::from_secs(10), || async { Some(()) });
    free.await.unwrap();
    pruning.prune(&["--keep-letters", "30d"], 0).await;
}
