//! `loader replay --into`: the raw tables of a moment, beside the live ones.

use bytes::Bytes;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::dead_letters::letters::named;
use crate::expected::rows::resource;
use crate::given::batches::{cut, listing, moment, publish_raw, record};
use crate::replay::replaying::Replaying;
use crate::staging::catalogue::new_role;
use shared::batch::Record;
use shared::catalogue::CATALOGUE;
use shared::listing::Span;

#[tokio::test]
async fn the_raw_tables_of_a_moment_are_rebuilt_beside_the_live_ones() {
    let mut replaying = Replaying::start().await;
    replaying.load_past(10..=30).await;
    let then = replaying.contents("raw", &["synced_at"]).await;
    let claims = "select string_agg((to_jsonb(c) - 'claim_id')::text, ' ' order by c.ids, c.starts, c.resource)";
    let live_claims = replaying.scalar(&format!("{claims} from raw.toggl_track__claims c")).await;
    replaying.load_past(40..=60).await;
    let live = replaying.live().await;

    let until = moment(30).to_string();
    // A name that is one of Postgres' words.
    let arguments = ["--into", "order", "--until", &until];
    let finished = replaying.replay(&arguments, 0).await;

    let rebuilt = replaying.contents("order", &["synced_at"]).await;
    assert!(then == rebuilt, "{then:#?} {rebuilt:#?} {finished:#?}");
    let new_claims = format!("{claims} from \"order\".toggl_track__claims c");
    assert_eq!(replaying.scalar(&new_claims).await, live_claims);
    let loads = "select count(*) from \"order\".toggl_track__loads";
    let half = 3 * CATALOGUE.len();
    assert_eq!(replaying.scalar(loads).await, half.to_string());
    let later = format!("{half} batches were fetched later");
    assert!(finished.stdout.contains(&later), "{finished:#?}");

    // Again, and then further on.
    let again = replaying.replay(&arguments, 0).await;
    assert!(again.stdout.contains("  tags: 3 batches, 0 applied, "), "{again:#?}");
    assert!(then == replaying.contents("order", &["synced_at"]).await);
    replaying.replay(&["--into", "order"], 0).await;
    let now = replaying.contents("raw", &["synced_at"]).await;
    assert!(now == replaying.contents("order", &["synced_at"]).await);
    assert!(live == replaying.live().await, "the live tables are as they were");

    // What is in there already cannot be taken back.
    let earlier = replaying.replay(&arguments, 2).await;
    assert!(earlier.stderr.contains("fetched after --until"), "{earlier:#?}");
}

#[tokio::test]
async fn what_was_fetched_before_and_published_late_belongs_to_the_moment() {
    let mut replaying = Replaying::start().await;
    let me = resource("me");
    for (fetched_at, id) in [(10, 1), (50, 2), (20, 3)] {
        replaying.load(&cut(me, fetched_at, Span::Partial, named(me, [id], "me"))).await;
    }
    let until = moment(20).to_string();
    replaying.replay(&["--into", "past", "--until", &until], 0).await;
    let ids =
        "select string_agg(source_id::text, ' ' order by source_id) from past.toggl_track__me";
    assert_eq!(replaying.scalar(ids).await, "1 3");
}

#[tokio::test]
async fn a_schema_that_no_replay_made_is_left_alone() {
    let mut replaying = Replaying::with_past().await;
    replaying.execute("create schema mine; create table mine.toggl_track__tags (name text)").await;
    replaying.execute("insert into mine.toggl_track__tags values ('precious')").await;
    let finished = replaying.replay(&["--into", "mine"], 2).await;
    assert!(finished.stderr.contains("no replay made"), "{finished:#?}");
    let tables = "select count(*) from pg_class where relnamespace = 'mine'::regnamespace";
    assert_eq!(replaying.scalar(tables).await, "1");

    // One that is there and holds none of these tables will do.
    replaying.execute("create schema spare; create table spare.other (id int)").await;
    replaying.replay(&["--into", "spare", "--resource", "tags"], 0).await;
    assert_eq!(replaying.scalar("select count(*) from spare.toggl_track__tags").await, "6");

    // A migration has come since.
    replaying.execute("alter table raw.toggl_track__tags add column later int").await;
    let finished = replaying.replay(&["--into", "spare"], 1).await;
    assert!(
        finished.stderr.contains("spare.toggl_track__tags is of another shape"),
        "{finished:#?}"
    );
}

#[tokio::test]
async fn a_role_that_may_not_make_schemas_is_told_so() {
    let mut replaying = Replaying::with_past().await;
    let role = new_role(&mut replaying.connection, "login password 'secret'").await;
    let grant = format!(
        "grant usage on schema raw to {role}; grant all on all tables in schema raw to {role}"
    );
    replaying.execute(&grant).await;
    let mut url: url::Url = replaying.world.database.url.parse().unwrap();
    url.set_username(&role).unwrap();
    url.set_password(Some("secret")).unwrap();
    let command = || {
        let worker = replaying.world.loader(&["replay", "--into", "theirs", "--resource", "me"]);
        worker.env("DATABASE_URL", url.as_str()).run()
    };
    let finished = command().await.unwrap();
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(finished.stderr.contains("create schema \"theirs\" authorization"), "{finished:#?}");

    let create = format!("create schema theirs authorization {role}");
    let mut connection = replaying.world.connect().await.unwrap();
    connection.execute(AssertSqlSafe(create)).await.unwrap();
    let finished = command().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

#[tokio::test]
async fn dead_letters_of_another_schema_are_kept_there() {
    let mut replaying = Replaying::start().await;
    let tags = resource("tags");
    let spoilt = Bytes::from_static(b"{\"id\":1,\"name\":\"\\u0000\"}");
    let bad = Record { data: spoilt, ..record(tags, 1, 5, "") };
    replaying.load(&cut(tags, 40, Span::Partial, vec![bad])).await;
    let garbage = Bytes::from_static(b"garbage");
    publish_raw(&replaying.context, tags.subject(), None, garbage).await;
    replaying.load(&listing(tags, 20, named(tags, 2..=30, "good"))).await;
    replaying.load(&listing(tags, 30, named(tags, 2..=3, "good"))).await;
    // A message that is in no table is missed by the loader until it has been checked once.
    let checked =
        "select complete_through >= 2 from raw.toggl_track__positions where resource = 'tags'";
    while replaying.scalar(checked).await != "true" {
        tokio::task::yield_now().await;
    }
    replaying.execute("truncate raw.toggl_track__dead_letters").await;
    let live = replaying.live().await;

    replaying.replay(&["--into", "other"], 6).await;

    let kinds = "select string_agg(kind, ' ' order by kind) from other.toggl_track__dead_letters";
    assert_eq!(replaying.scalar(kinds).await, "claim message record");
    assert!(live == replaying.live().await);
    let deleted = "select count(deleted_at) from other.toggl_track__tags";
    assert_eq!(replaying.scalar(deleted).await, "0");
    // A person knows better.
    replaying.replay(&["--into", "other", "--allow-mass-delete"], 6).await;
    assert_eq!(replaying.scalar(deleted).await, "27");
    assert!(live == replaying.live().await);
}

#[tokio::test]
async fn nobody_waits_for_the_locks_of_another_schema() {
    let replaying = Replaying::with_past().await;
    let mut other = replaying.world.connect().await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    let locked = sqlx::query(
        "select pg_advisory_xact_lock(hashtextextended(resource, workspace_id))
         from (select distinct resource, workspace_id from raw.toggl_track__loads) loads",
    );
    let locked = locked.execute(&mut *transaction).await.unwrap();
    assert_eq!(usize::try_from(locked.rows_affected()), Ok(CATALOGUE.len()));
    let finished = replaying.replay(&["--into", "other"], 0).await;
    assert!(!finished.stderr.contains("trouble"), "{finished:#?}");
}
