//! What somebody has to mend: it is named by every loader and by `loader status`, the other tables go
//! on, and the table is loaded by itself once it is mended.

use async_nats::jetstream::Context;
use shared::batch::Record;
use shared::consumer::Notes;
use shared::listing::Span;
use shared::stream::STREAM;
use sqlx::Executor as _;
use tests::rows::count;
use tests::servers::DEADLINE;

use crate::dead_letters::letters::{Letters, named, poison};
use crate::expected::oracle::RESUME;
use crate::expected::rows::resource;
use crate::given::admitted::Admitted;
use crate::given::batches::{cut, publish, record};
use crate::given::watched::{Watched, assert_says};

async fn is_noted(context: &Context, resource: &str) -> bool {
    let stream = context.get_stream(STREAM).await.unwrap();
    let consumer = crate::expected::rows::resource(resource).consumer();
    let info = stream.consumer_info(consumer).await.unwrap();
    Notes::of(&info.config.metadata).trouble.is_some()
}

/// Two loaders, one of which gets the batch; both name what is wrong.
async fn named_and_loaded(spoil: &str, words: &[&str], mend: &str) {
    let admitted = Admitted::start().await;
    let world = &admitted.world;
    let start = || Watched::of(admitted.loader(&["--http", "127.0.0.1:0"]));
    let loaders = [start().await, start().await];
    world.loaded().await.unwrap();
    let context = world.jetstream().await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let fill = |sql: &str| sql.replace("{role}", &admitted.role);
    connection.execute(sqlx::AssertSqlSafe(fill(spoil))).await.unwrap();
    for (name, id) in [("tags", 1), ("clients", 1), ("tags", 2), ("tags", 3)] {
        let resource = resource(name);
        publish(&context, &cut(resource, 10, Span::Partial, named(resource, [id], "one"))).await;
    }
    let all: Vec<&str> = ["tags is not loaded"].iter().chain(words).copied().collect();
    for watched in &loaders {
        watched.answers("/readyz", 503, &all).await;
        watched.answers("/", 200, &all).await;
        let stopped = "toggl_track_loader_stopped{resource=\"tags\"} 1";
        watched.answers("/metrics", 200, &[stopped]).await;
    }
    assert!(is_noted(&context, "tags").await);
    let finished = admitted.loader(&["status", "--json"]).run().await.unwrap();
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert_says(&serde_json::from_str(&finished.stdout).unwrap(), &all);
    assert_eq!(count(&mut connection, resource("clients")).await.unwrap(), 1, "others go on");
    // One that is asked to end does, in order, and the other goes on trying.
    assert_eq!(
        loaders[0].loader.terminate().await.unwrap(),
        Some(0),
        "{}",
        loaders[0].loader.log()
    );

    connection.execute(sqlx::AssertSqlSafe(fill(mend))).await.unwrap();
    let log = || loaders[1].loader.log();
    world.loaded_within(RESUME).await.unwrap_or_else(|error| panic!("{error:#}\n{}", log()));
    assert_eq!(count(&mut connection, resource("tags")).await.unwrap(), 3);
    loaders[1].answers("/readyz", 200, &[]).await;
    let nothing = "toggl_track_loader_stopped{resource=\"tags\"} 0";
    loaders[1].answers("/metrics", 200, &[nothing]).await;
    let gone = || async { (!is_noted(&context, "tags").await).then_some(()) };
    tests::servers::wait_for("the note to go", DEADLINE, gone).await.unwrap();
    assert_eq!(loaders[1].loader.terminate().await.unwrap(), Some(0), "{}", log());
    let told = loaders.iter().flat_map(|watched| {
        let log = watched.loader.log();
        let lines = log.lines().filter(|line| line.contains("raw.toggl_track__tags is not loaded"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    });
    let told: Vec<_> = told.collect();
    assert!((1..=2).contains(&told.len()), "once a loader: {told:#?}");
    assert!(told.iter().all(|line| words.iter().all(|word| line.contains(word))), "{told:#?}");
}

#[tokio::test]
async fn a_table_that_is_missing() {
    let spoil = "alter table raw.toggl_track__tags rename to away";
    let mend = "alter table raw.away rename to toggl_track__tags";
    named_and_loaded(spoil, &["does not exist", "restore the table"], mend).await;
}

#[tokio::test]
async fn a_right_that_is_taken() {
    let spoil = "revoke insert on raw.toggl_track__tags from {role}";
    let mend = "grant insert on raw.toggl_track__tags to {role}";
    named_and_loaded(spoil, &["permission denied", "`loader check`"], mend).await;
}

#[tokio::test]
async fn a_trigger_that_calls_what_is_not_there() {
    let spoil = "create function raw.broken() returns trigger language plpgsql as
                 'begin perform raw.nowhere(); return new; end';
                 create trigger broken before insert on raw.toggl_track__tags
                 for each row execute function raw.broken()";
    let mend = "drop trigger broken on raw.toggl_track__tags";
    named_and_loaded(spoil, &["raw.nowhere() does not exist"], mend).await;
}

#[tokio::test]
async fn a_database_that_is_read_only_for_a_while() {
    let admitted = Admitted::start().await;
    let world = &admitted.world;
    let watched = Watched::of(admitted.loader(&["--http", "127.0.0.1:0"])).await;
    world.loaded().await.unwrap();
    let context = world.jetstream().await.unwrap();
    admitted.execute("alter database {database} set default_transaction_read_only = on").await;
    admitted.end_sessions().await;
    for name in ["tags", "clients"] {
        let resource = resource(name);
        publish(&context, &cut(resource, 10, Span::Partial, named(resource, 1..=3, "one"))).await;
    }
    let words = ["is not loaded", "read-only transaction", "is this the primary"];
    watched.answers("/readyz", 503, &words).await;
    assert!(is_noted(&context, "tags").await && is_noted(&context, "clients").await);
    admitted.execute("alter database {database} reset default_transaction_read_only").await;
    world.loaded_within(RESUME).await.unwrap();
    watched.answers("/readyz", 200, &[]).await;
    assert_eq!(watched.loader.terminate().await.unwrap(), Some(0), "{}", watched.loader.log());
}

/// What a person has to mend may be mended by somebody else, and its loader be gone.
#[tokio::test]
async fn what_a_loader_that_is_gone_has_noted_goes_when_another_loads_the_table() {
    let admitted = Admitted::start().await;
    let world = &admitted.world;
    let start = || Watched::of(admitted.loader(&["--http", "127.0.0.1:0"]));
    let first = start().await;
    world.loaded().await.unwrap();
    let context = world.jetstream().await.unwrap();
    let mut connection = world.connect().await.unwrap();
    connection.execute("alter table raw.toggl_track__tags rename to away").await.unwrap();
    let tags = resource("tags");
    publish(&context, &cut(tags, 10, Span::Partial, named(tags, 1..=3, "one"))).await;
    first.answers("/readyz", 503, &["tags is not loaded"]).await;
    first.loader.kill9().unwrap();
    connection.execute("alter table raw.away rename to toggl_track__tags").await.unwrap();
    assert!(is_noted(&context, "tags").await);
    let second = start().await;
    world.loaded_within(RESUME).await.unwrap();
    second.answers("/readyz", 200, &[]).await;
    let gone = || async { (!is_noted(&context, "tags").await).then_some(()) };
    tests::servers::wait_for("the note to go", DEADLINE, gone).await.unwrap();
    assert!(!second.loader.log().contains("is not loaded"), "{}", second.loader.log());
}

fn refusing(raise: &str) -> String {
    format!(
        "create function raw.refuse() returns trigger language plpgsql as $$
         begin
             if new.data->>'name' like 'poison%' then {raise}; end if;
             return new;
         end $$;
         create trigger refuse before insert or update on raw.toggl_track__tags
         for each row execute function raw.refuse()"
    )
}

/// Whatever code it chooses.
#[tokio::test]
async fn a_row_that_a_trigger_refuses_is_a_dead_letter_and_its_neighbours_are_loaded() {
    let refusals = [
        ("raise exception 'not this one'", "P0001", "not this one"),
        ("raise exception 'not this one' using errcode = 'TT001'", "TT001", "not this one"),
        ("raise insufficient_privilege using message = 'not by you'", "42501", "not by you"),
        ("assert false, 'never'", "P0004", "never"),
    ];
    for (raise, code, words) in refusals {
        let mut letters = Letters::start().await;
        let tags = resource("tags");
        sqlx::raw_sql(sqlx::AssertSqlSafe(refusing(raise)))
            .execute(&mut letters.connection)
            .await
            .unwrap();
        let mut records: Vec<Record> = named(tags, 1..=100, "good");
        records[40] = Record { source_id: 41, ..poison(tags, [41]).remove(0) };
        assert_ne!(records[40].data, record(tags, 41, 5, "good").data);
        letters.load(&cut(tags, 10, Span::Ids, records)).await;
        assert_eq!(letters.live(tags).await.len(), 99, "{code}");
        let sql = "select source_id, sqlstate, reason from raw.toggl_track__dead_letters";
        let kept: (i64, String, String) =
            sqlx::query_as(sql).fetch_one(&mut letters.connection).await.unwrap();
        assert_eq!(kept, (41, code.to_owned(), words.to_owned()));
        assert_eq!(letters.loader.terminate().await.unwrap(), Some(0));
    }
}
