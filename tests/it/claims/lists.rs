//! What a sync may claim: an empty answer, an answer of a moment's trouble, and at what price in requests.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tests::toggl::{Account, AccountSize, List};
use tests::world::World;

use crate::claims::proving::{assert_incomplete, ids, live, marked, nth, run};

/// Tables that a usual sync fills.
const TABLES: [&str; 6] = ["projects", "clients", "tags", "users", "groups", "time_entries"];
/// What a usual sync costs.
const REQUESTS: usize = 9;

async fn all_live(world: &World) -> BTreeMap<&'static str, BTreeSet<i64>> {
    let mut all = BTreeMap::new();
    for name in TABLES {
        all.insert(name, live(world, name).await);
    }
    all
}

#[tokio::test]
async fn a_moment_in_which_toggl_answers_null_deletes_nothing() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    world.sync_and_load(&["--days", "60"]).await.unwrap();
    let before = all_live(&world).await;
    assert!(before.values().filter(|ids| !ids.is_empty()).count() >= 5, "{before:?}");

    world.toggl.configure(|behaviour| behaviour.glitch = true);
    let finished = run(&world, &["--days", "60"]).await;
    assert_eq!(all_live(&world).await, before);
    assert_incomplete(&finished, &["projects", "clients", "tags", "users", "time_entries"]);

    world.toggl.configure(|behaviour| behaviour.glitch = false);
    world.sync_and_load(&["--days", "60"]).await.unwrap();
    assert_eq!(all_live(&world).await, before);
}

#[tokio::test]
async fn each_list_that_is_empty_for_a_moment_is_kept_however_small() {
    for (name, list) in [("tags", List::Tags), ("clients", List::Clients), ("groups", List::Groups)]
    {
        let world = World::start(Account::generate(&AccountSize {
            tags: 1,
            clients: 1,
            archived_clients: 0,
            groups: 1,
            ..AccountSize::default()
        }))
        .await
        .unwrap();
        world.sync_and_load(&["--only", name]).await.unwrap();
        let gone = world.toggl.with_account(|account| {
            let (id, workspace_id) = (nth(account, list, 0), account.workspace_id());
            let text = account.records(list, workspace_id)[0].text().to_owned();
            account.remove(list, workspace_id, id);
            text
        });
        let finished = run(&world, &["--only", name]).await;
        assert_eq!(marked(&world, name).await, BTreeSet::new());
        assert_incomplete(&finished, &[name]);

        world.toggl.with_account(|account| {
            let workspace_id = account.workspace_id();
            account.put(list, workspace_id, &gone);
        });
        world.sync_and_load(&["--only", name]).await.unwrap();
        assert_eq!(marked(&world, name).await, BTreeSet::new());
    }
}

#[tokio::test]
async fn a_list_that_is_empty_in_the_next_run_too_is_believed() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    world.sync_and_load(&[]).await.unwrap();
    let tags = world.toggl.with_account(|account| {
        let (tags, workspace_id) = (ids(account, List::Tags), account.workspace_id());
        for id in &tags {
            account.remove(List::Tags, workspace_id, *id);
        }
        tags
    });
    assert!(!tags.is_empty());

    let finished = run(&world, &[]).await;
    assert_incomplete(&finished, &["tags"]);
    assert_eq!(marked(&world, "tags").await, BTreeSet::new());

    world.sync_and_load(&[]).await.unwrap();
    assert_eq!(marked(&world, "tags").await, tags);
    world.sync_and_load(&[]).await.unwrap();
    assert_eq!(marked(&world, "tags").await, tags);
}

/// How many requests the second and the third sync take.
async fn requests(account: Account, arguments: &[&str]) -> [usize; 2] {
    let world = World::start(account).await.unwrap();
    let mut counts = [0; 3];
    for count in &mut counts {
        let before = world.toggl.requests().len();
        world.sync(arguments).await.unwrap();
        *count = world.toggl.requests().len() - before;
    }
    [counts[1], counts[2]]
}

#[tokio::test]
async fn a_usual_sync_with_every_list_filled_takes_nine_requests_at_most() {
    let counts = requests(Account::generate(&AccountSize::default()), &[]).await;
    assert!(counts.iter().all(|count| *count <= REQUESTS), "{counts:?}");
}

#[tokio::test]
async fn a_sync_with_empty_lists_takes_no_more_requests_than_one_with_full_ones() {
    let empty = requests(Account::empty(), &[]).await;
    assert!(empty.iter().all(|count| *count <= REQUESTS), "everything is empty: {empty:?}");
    let size = AccountSize { tags: 0, groups: 0, time_entries: 1, ..AccountSize::default() };
    let some = requests(Account::generate(&size), &[]).await;
    assert!(some.iter().all(|count| *count <= REQUESTS), "some are empty: {some:?}");
}

#[tokio::test]
async fn each_further_page_costs_one_request_and_its_proof_one_more_at_most() {
    let size = AccountSize { projects: 450, archived_projects: 0, ..AccountSize::default() };
    let counts = requests(Account::generate(&size), &[]).await;
    assert!(counts.iter().all(|count| *count <= REQUESTS + 3), "{counts:?}");
}
