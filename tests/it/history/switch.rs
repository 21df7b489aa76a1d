//! History through the programs: what running loaders record, what they leave unrecorded when told so,
//! and what becomes of records that the history refuses.

use tests::rows::{raw_rows, unrecorded};
use tests::toggl::Account;
use tests::world::World;

use crate::dead_letters::letters::{Letters, named, poison};
use crate::expected::rows::resource;
use crate::given::batches::{listing, publish, record};
use crate::history::recorded::changes;

#[tokio::test]
async fn a_loader_records_changes_unless_it_is_told_not_to() {
    let world = World::start(Account::empty()).await.unwrap();
    let context = world.jetstream().await.unwrap();
    let tags = resource("tags");
    let loaders = [
        world.loader(&[]),
        world.loader(&[]).env("LOADER_HISTORY", "off"),
        world.loader(&["--history", "off"]),
        world.loader(&["--history", "on"]).env("LOADER_HISTORY", "off"),
    ];
    for (second, loader) in (1..).zip(loaders) {
        let loader = loader.start().await.unwrap();
        // It makes the stream, the first time.
        world.loaded().await.unwrap();
        let batches = listing(tags, second * 10, vec![record(tags, 1, 5, &second.to_string())]);
        publish(&context, &batches).await;
        world.loaded().await.unwrap();
        assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    }

    let mut connection = world.connect().await.unwrap();
    assert_eq!(raw_rows(&mut connection, tags).await.unwrap()[&1].data["name"], "4");
    // The loaders that recorded nothing replaced what the first one had stored, one after the other.
    let recorded = ["1 created 3 @30", "1 updated 4 @40"];
    assert_eq!(changes(&mut connection, tags).await, recorded);
    let wrong = world.loader(&["--history", "maybe"]).run().await.unwrap();
    assert_eq!(wrong.code, Some(2), "{wrong:#?}");
}

#[tokio::test]
async fn whole_syncs_leave_nothing_unrecorded() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    world.sync_and_load(&["--only", "all"]).await.unwrap();
    world.sync_and_load(&["--only", "all"]).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    for resource in shared::catalogue::CATALOGUE {
        let unrecorded = unrecorded(&mut connection, resource, 0..=i64::MAX).await.unwrap();
        assert_eq!(unrecorded, Vec::<String>::new(), "{}", resource.name);
        let rows = raw_rows(&mut connection, resource).await.unwrap().len();
        let changes = changes(&mut connection, resource).await;
        assert_eq!(changes.len(), rows, "{}: {changes:?}", resource.name);
    }
    let superseded: i64 = sqlx::query_scalar("select count(*) from raw.toggl_track__history")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(superseded, 0, "nothing has changed");
}

#[tokio::test]
async fn what_the_history_refuses_is_a_dead_letter_and_its_neighbours_are_recorded() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    let mut records = named(tags, [1, 2, 5, 6], "good");
    records.extend(poison(tags, [3, 4]));
    letters.load(&listing(tags, 10, records)).await;
    let refuse = "alter table raw.toggl_track__history
                  add constraint no_poison check (data->>'name' not like 'poison%')";
    letters.execute(refuse.to_owned()).await;
    letters.load(&listing(tags, 20, named(tags, 1..=6, "better"))).await;

    let superseded = "select format('%s %s', source_id, data->>'name')
                      from raw.toggl_track__history order by source_id";
    let good = ["1 good", "2 good", "5 good", "6 good"];
    assert_eq!(letters.texts(superseded).await, good);
    let ids = letters.ids().await;
    assert_eq!(ids.len(), 2);

    let allow = "alter table raw.toggl_track__history drop constraint no_poison";
    letters.execute(allow.to_owned()).await;
    let [first, second] = [0, 1].map(|place: usize| ids[place].to_string());
    letters.run(&["retry", "--id", &first, "--history", "off"], 0).await;
    letters.run(&["retry", "--id", &second], 0).await;
    let live = "select distinct data->>'name' from raw.toggl_track__tags";
    assert_eq!(letters.texts(live).await, ["better"]);
    let all = ["1 good", "2 good", "4 poison 4", "5 good", "6 good"];
    assert_eq!(letters.texts(superseded).await, all);
}
