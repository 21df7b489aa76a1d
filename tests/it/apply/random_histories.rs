//! Random histories of an account, delivered in any order, twice and over two loaders, end in the
//! same rows, from publishing to the tables. Deletions have a property test of their own.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use shared::batch::{Batch, Coverage};
use shared::listing::Span;
use shared::resource::Resource;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::collections::BTreeMap;
use tests::rows::unrecorded;
use tests::servers::DEADLINE;
use tests::toggl::Account;
use tests::world::World;
use tokio::runtime::Runtime;

use crate::expected::rows::resource;
use crate::given::batches::{cut, listing, moment, publish, record};

/// Something happens to the account, or it is read.
#[derive(Debug, Clone)]
enum Event {
    /// A record gets this content, with or without its `at` moving; it is made if it is not there.
    Write { id: i64, content: u8, silent: bool },
    /// A whole listing, cut into so many batches.
    List { parts: usize },
    /// Some records without a claim, as a feed of changes brings them.
    Feed { ids: Vec<i64> },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let write = (1..6_i64, 0..3_u8, any::<bool>()).prop_map(|(id, content, silent)| Event::Write {
        id,
        content,
        silent,
    });
    let list = (1..4_usize).prop_map(|parts| Event::List { parts });
    let feed = proptest::collection::vec(1..6_i64, 1..4).prop_map(|ids| Event::Feed { ids });
    proptest::collection::vec(prop_oneof![4 => write, 3 => list, 1 => feed], 2..14)
}

/// Name of the resource, what happened, and the order of deliveries: places in the batches, each of
/// which is delivered at least once.
type Case = (&'static str, Vec<Event>, Vec<proptest::sample::Index>, u64);

fn cases() -> impl Strategy<Value = Case> {
    let name = prop_oneof![Just("tags"), Just("users"), Just("time_entries")];
    let again = proptest::collection::vec(any::<proptest::sample::Index>(), 0..6);
    (name, events(), again, any::<u64>())
}

/// Content, `at` and the time it was last confirmed, by id.
type State = BTreeMap<i64, (String, Option<i64>, i64)>;

/// The batches of a history in their order, and the state they must lead to.
fn play(resource: &'static Resource, events: &[Event]) -> (Vec<Batch>, State) {
    let mut account: BTreeMap<i64, (i64, u8)> = BTreeMap::new();
    let (mut batches, mut state) = (Vec::new(), State::new());
    for (now, event) in (10..).step_by(10).zip(events) {
        let seen: Vec<i64> = match event {
            Event::Write { id, content, silent } => {
                let at = account.get(id).filter(|_| *silent).map_or(now, |(at, _)| *at);
                account.insert(*id, (at, *content));
                continue;
            }
            Event::List { .. } => account.keys().copied().collect(),
            Event::Feed { ids } => account.keys().copied().filter(|id| ids.contains(id)).collect(),
        };
        let records = seen.iter().map(|id| {
            let (at, content) = account[id];
            record(resource, *id, at, &content.to_string())
        });
        let records: Vec<_> = records.collect();
        for (id, record) in seen.iter().zip(&records) {
            let data = String::from_utf8(record.data.to_vec()).unwrap();
            let at = record.modified_at.map(jiff::Timestamp::as_second);
            state.insert(*id, (data, at, moment(now).as_second()));
        }
        batches.extend(match event {
            Event::List { parts } => in_parts(listing(resource, now, records), *parts),
            _ => cut(resource, now, Span::Partial, records),
        });
    }
    (batches, state)
}

/// Cuts a listing's one batch into several that claim the same together.
fn in_parts(batches: Vec<Batch>, parts: usize) -> Vec<Batch> {
    let mut cuts = batches;
    while cuts.len() < parts {
        let mut last = cuts.pop().unwrap();
        let half = last.records.len() / 2;
        if half == 0 {
            cuts.push(last);
            break;
        }
        let mut rest = last.clone();
        rest.records = last.records.split_off(half);
        rest.part += 1;
        match (&mut last.coverage, &mut rest.coverage) {
            (Coverage::Ids { through, .. }, Coverage::Ids { after, .. }) => {
                *through = last.records.last().map(|record| record.source_id);
                *after = *through;
            }
            (Coverage::Starts { to, .. }, Coverage::Starts { from, .. }) => {
                *to = rest.records[0].started_at.unwrap();
                *from = *to;
            }
            _ => {}
        }
        cuts.extend([last, rest]);
    }
    cuts
}

/// Every batch once and some again, shuffled (Fisher-Yates over a small generator).
fn deliveries(batches: &[Batch], again: &[proptest::sample::Index], mut seed: u64) -> Vec<Batch> {
    let mut order = batches.to_vec();
    if !batches.is_empty() {
        order.extend(again.iter().map(|place| place.get(batches).clone()));
    }
    for place in (1..order.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(place, usize::try_from((seed >> 33) % (place as u64 + 1)).unwrap());
    }
    order
}

async fn state(connection: &mut PgConnection, resource: &Resource) -> State {
    let by_start = if resource.is_time_entry() { "or c.starts @> t.started_at" } else { "" };
    let sql = format!(
        "select source_id, data::text, extract(epoch from modified_at)::bigint,
                extract(epoch from greatest(fetched_at, (
                    select max(c.fetched_at) from raw.toggl_track__claims c
                    where c.resource = '{}' and (c.ids @> t.source_id {by_start}))))::bigint
         from raw.{} t",
        resource.name,
        resource.table()
    );
    let rows: Vec<(i64, String, Option<i64>, i64)> =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap();
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap().to_string();
    rows.into_iter().map(|(id, data, at, seen)| (id, (json(&data), at, seen))).collect()
}

async fn check(world: &World, case: &Case) -> Result<(), TestCaseError> {
    let (name, events, again, seed) = case;
    let resource = resource(name);
    let (batches, expected) = play(resource, events);
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap().to_string();
    let expected: State =
        expected.into_iter().map(|(id, (data, at, seen))| (id, (json(&data), at, seen))).collect();
    let mut connection = world.connect().await.unwrap();
    let truncate = format!(
        "truncate raw.{}, raw.toggl_track__claims, raw.toggl_track__loads, raw.toggl_track__history",
        resource.table()
    );
    sqlx::query(AssertSqlSafe(truncate)).execute(&mut connection).await.unwrap();

    let context = world.jetstream().await.unwrap();
    publish(&context, &deliveries(&batches, again, *seed)).await;
    world.loaded().await.unwrap();

    prop_assert_eq!(state(&mut connection, resource).await, expected);
    let unrecorded = unrecorded(&mut connection, resource, 0..=i64::MAX).await.unwrap();
    prop_assert_eq!(unrecorded, Vec::<String>::new(), "the history lags behind");
    connection.close().await.unwrap();
    Ok(())
}

#[test]
fn any_order_of_deliveries_over_two_loaders_ends_in_the_same_rows() {
    let runtime = Runtime::new().unwrap();
    let (world, _loaders) = runtime.block_on(async {
        let world = World::start(Account::empty()).await.unwrap();
        let first = world.start_loader().await.unwrap();
        world.loaded().await.unwrap();
        let second = world.start_loader().await.unwrap();
        second.logged("Loading", DEADLINE).await.unwrap();
        (world, [first, second])
    });
    // A failing case is printed; no file of the source tree is written.
    let config =
        Config { cases: 40, max_shrink_iters: 60, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&cases(), |case| runtime.block_on(check(&world, &case)));
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
