//! `loader forget --workspace`, and forgetting while batches are applied.

use serde_json::json;
use shared::batch::Batch;
use shared::catalogue::CATALOGUE;
use shared::listing::Span;
use sqlx::{Connection as _, Executor as _};
use tests::sessions::waiting_sessions;

use crate::dead_letters::letters::Letters;
use crate::erasure::people::{EVA, forget, of, of_her, replay, traces, with_her};
use crate::expected::rows::resource;
use crate::given::batches::{WORKSPACE, cut, listing, publish, record};

#[tokio::test]
async fn a_workspace_goes_with_everything_in_it_and_its_neighbours_stay() {
    const OTHER: i64 = 7_713_377_991;
    let mut letters = Letters::start().await;
    let elsewhere = |batches: Vec<Batch>| {
        batches.into_iter().map(|mut batch| {
            batch.workspace_id = if batch.workspace_id == 0 { 0 } else { OTHER };
            for record in &mut batch.records {
                record.source_id += 1_000;
                record.workspace_id = record.workspace_id.map(|_| OTHER);
                let data = String::from_utf8(record.data.to_vec()).unwrap();
                record.data = data.replace(&WORKSPACE.to_string(), &OTHER.to_string()).into();
            }
            batch
        })
    };
    let of_workspaces = |name: &str| matches!(name, "me" | "organizations");
    let all: Vec<Batch> = CATALOGUE
        .iter()
        .filter(|resource| !of_workspaces(resource.name))
        .flat_map(|resource| {
            if resource.name == "workspaces" {
                let records =
                    [WORKSPACE, OTHER].map(|id| of(resource, id, 5, json!({"name": "w"})));
                listing(resource, 10, records.to_vec())
            } else {
                let one =
                    |at| cut(resource, at, Span::Partial, vec![record(resource, 1, 5, "one")]);
                one(10).into_iter().chain(elsewhere(one(11))).collect()
            }
        })
        .collect();
    letters.load(&all).await;
    let mark = [OTHER.to_string()];
    let marks = [mark[0].as_str()];
    assert!(traces(&mut letters.connection, &["raw", "staging"], &marks).await.len() > 10);

    forget(&letters, &["--workspace", marks[0], "--yes"], 0).await;
    // The ledger tells of batches, not of what was in them.
    let left = |found: Vec<String>| {
        let found = found.into_iter().filter(|found| !found.contains("raw.toggl_track__loads:"));
        found.collect::<Vec<_>>()
    };
    let found = traces(&mut letters.connection, &["raw", "staging"], &marks).await;
    assert_eq!(left(found), [""; 0]);
    for resource in CATALOGUE.iter().filter(|resource| !of_workspaces(resource.name)) {
        assert_eq!(letters.live(resource).await.len(), 1, "{}", resource.name);
    }
    replay(&letters, &["--force"]).await;
    let found = traces(&mut letters.connection, &["raw", "staging"], &marks).await;
    assert_eq!(left(found), [""; 0], "replayed");
}

#[tokio::test]
async fn a_batch_that_is_being_applied_meanwhile_does_not_bring_them_back() {
    let mut letters = Letters::start().await;
    let users = resource("users");
    letters.load(&with_her(users, 10, 5)).await;
    // The batch is stopped where it writes; who forgets waits for it.
    let mut blocker = letters.world.connect().await.unwrap();
    let mut blocking = blocker.begin().await.unwrap();
    blocking.execute("lock table raw.toggl_track__users in share mode").await.unwrap();
    publish(&letters.context, &with_her(users, 20, 15)).await;
    waiting_sessions(&mut letters.connection, 1).await.unwrap();
    let user = EVA.to_string();
    let forgetting = letters.world.loader(&["forget", "--user", &user, "--yes"]);
    let forgetting = tokio::spawn(forgetting.run());
    waiting_sessions(&mut letters.connection, 2).await.unwrap();
    blocking.rollback().await.unwrap();
    let finished = forgetting.await.unwrap().unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    letters.loaded().await;
    assert_eq!(of_her(&mut letters, &["raw", "staging"]).await, [""; 0]);

    // And the other way round: who forgets is stopped, a batch waits.
    forget(&letters, &["--user", &user, "--undo"], 0).await;
    letters.load(&with_her(users, 30, 25)).await;
    assert!(!of_her(&mut letters, &["raw"]).await.is_empty());
    let mut blocking = blocker.begin().await.unwrap();
    blocking.execute("select from raw.toggl_track__users for update").await.unwrap();
    let forgetting = letters.world.loader(&["forget", "--user", &user, "--yes"]);
    let forgetting = tokio::spawn(forgetting.run());
    waiting_sessions(&mut letters.connection, 1).await.unwrap();
    publish(&letters.context, &with_her(users, 40, 35)).await;
    waiting_sessions(&mut letters.connection, 2).await.unwrap();
    blocking.rollback().await.unwrap();
    let finished = forgetting.await.unwrap().unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    letters.loaded().await;
    assert_eq!(of_her(&mut letters, &["raw", "staging"]).await, [""; 0]);
}

#[tokio::test]
async fn nobody_is_forgotten_without_a_yes() {
    let mut letters = Letters::start().await;
    letters.load(&with_her(resource("users"), 10, 5)).await;
    let user = EVA.to_string();
    let refused = forget(&letters, &["--user", &user], 2).await;
    assert!(refused.stderr.contains("--yes"), "{refused:#?}");
    forget(&letters, &[], 2).await;
    forget(&letters, &["--user", &user, "--workspace", "1"], 2).await;
    assert!(letters.live(resource("users")).await.contains(&EVA));
    // Without NATS it says how long the stream keeps things.
    let alone = letters.world.loader(&["forget", "--user", &user, "--yes"]);
    let alone = alone.env("NATS_URL", "nats://127.0.0.1:1").run().await.unwrap();
    assert_eq!(alone.code, Some(0), "{alone:#?}");
    assert!(alone.stdout.contains("STREAM_MAX_AGE"), "{alone:#?}");
    assert!(!letters.live(resource("users")).await.contains(&EVA));
}
