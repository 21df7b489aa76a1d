//! What `loader explain` tells of random batches is what the loader counted when it applied them.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use shared::batch::{Batch, Coverage};
use shared::listing::Span;
use shared::resource::Resource;

use crate::claims::brought_back::deleted;
use crate::expected::rows::resource;
use crate::given::batches::{cut, record};
use crate::replay::replaying::Replaying;

const KEYS: usize = 24;
const BATCHES: usize = 7;

/// A batch about one key.
#[derive(Debug, Clone)]
enum Told {
    /// It has the key, and is complete for it or not.
    Live { at: i64, content: u8, is_complete: bool },
    /// Toggl says that it is deleted.
    Deleted { at: i64 },
    /// It is complete for the key, and lacks it.
    Lacks,
}

/// In the order of loading, with the seconds at which they were fetched.
fn batches_of_a_key() -> impl Strategy<Value = Vec<(i64, Told)>> {
    let live = (1..6_i64, 0..2_u8, any::<bool>());
    let told = prop_oneof![
        4 => live.prop_map(|(at, content, is_complete)| Told::Live { at: at * 10, content, is_complete }),
        1 => (1..7_i64).prop_map(|at| Told::Deleted { at: at * 10 }),
        2 => Just(Told::Lacks),
    ];
    let seconds: Vec<i64> = (1..).map(|place| place * 10 + 5).take(BATCHES).collect();
    (Just(seconds).prop_shuffle(), proptest::collection::vec(told, BATCHES))
        .prop_map(|(seconds, told)| seconds.into_iter().zip(told).collect())
}

fn batch(projects: &'static Resource, id: i64, fetched_at: i64, told: &Told) -> Batch {
    let (records, is_complete) = match *told {
        Told::Live { at, content, is_complete } => {
            (vec![record(projects, id, at, &content.to_string())], is_complete)
        }
        Told::Deleted { at } => (vec![deleted(&record(projects, id, at, "0"), at)], false),
        Told::Lacks => (Vec::new(), true),
    };
    let mut batch = cut(projects, fetched_at, Span::Partial, records).remove(0);
    if is_complete {
        batch.coverage = Coverage::Ids { after: Some(id - 1), through: Some(id) };
    }
    batch
}

/// Written, unchanged, stale and deleted, in the ledger's row of the batch.
async fn counted(replaying: &mut Replaying, told: &Value) -> String {
    let of_batch = format!("where stream_sequence = {}", told["stream_sequence"]);
    let counts = "concat_ws(' ', written, unchanged, stale, deleted)";
    replaying.scalar(&format!("select {counts} from raw.toggl_track__loads {of_batch}")).await
}

#[tokio::test]
async fn what_is_told_of_random_batches_is_what_the_loader_counted() {
    let projects = resource("projects");
    let mut runner = TestRunner::default();
    let mut draw = || batches_of_a_key().new_tree(&mut runner).unwrap().current();
    let keys: Vec<_> = (1..).map(|key| (key * 10, draw())).take(KEYS).collect();
    let mut replaying = Replaying::start().await;
    for place in 0..BATCHES {
        let of_place = keys.iter().map(|(id, told)| {
            let (fetched_at, told) = &told[place];
            batch(projects, *id, *fetched_at, told)
        });
        replaying.load(&of_place.collect::<Vec<_>>()).await;
    }
    for (id, batches) in keys {
        let arguments =
            ["--resource", "projects", "--id", &id.to_string(), "--json", "--batches", "200"];
        // A key that no batch ever had is not known.
        let code = if batches.iter().all(|(_, told)| matches!(told, Told::Lacks)) { 6 } else { 0 };
        let answer = replaying.explain(&arguments, code).await.stdout;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let told = answer["batches"].as_array().unwrap();
        for told in told.iter().filter(|told| told["became"] != "not_covered") {
            let counted = counted(&mut replaying, told).await;
            let agrees = match told["became"].as_str().unwrap() {
                "created" | "updated" | "restored" => counted == "1 0 0 0",
                "deleted" | "gone_since" => counted == "1 0 0 1",
                "unchanged" => counted == "0 1 0 0",
                "stale" => counted == "0 0 1 0",
                "marked_deleted" | "deleted_earlier" => counted == "0 0 0 1",
                _ => counted == "0 0 0 0",
            };
            assert!(agrees, "{counted}: {told:#}\n{id}: {batches:?}\n{answer:#}");
        }
    }
}
