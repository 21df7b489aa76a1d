//! What lists of several pages may claim: pages shift while they are read, and may be shorter than was
//! asked for.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tests::toggl::{Account, AccountSize, List, Rest, ShortPage};
use tests::world::World;

use crate::claims::proving::{
    PROJECTS, TASKS, assert_honest, assert_incomplete, assert_nothing_live, ids, live, marked, nth,
    rename, run,
};

const FIRST_NAME: &str = "! before all others";
const LAST_NAME: &str = "\u{10fffd} behind all others";

/// Three pages of projects and of tasks, of 200, 200 and 50.
async fn three_pages() -> World {
    let size = AccountSize {
        projects: 450,
        archived_projects: 0,
        tasks: 450,
        done_tasks: 0,
        time_entries: 20,
        ..AccountSize::default()
    };
    let world = World::start(Account::generate(&size)).await.unwrap();
    world.sync_and_load(&["--only", "projects,tasks"]).await.unwrap();
    world
}

/// What happens between the first and the second page.
type Shift = fn(&mut Account, List);

/// Somebody changes the list between its first and its second page.
async fn shifted(list: List, shift: Shift) {
    let (name, path) = match list {
        List::Tasks => ("tasks", TASKS),
        _ => ("projects", PROJECTS),
    };
    let world = three_pages().await;
    let asked = world.toggl.requests().len();
    world.toggl.before_request(path, 2, move |account| shift(account, list));

    let finished = run(&world, &["--only", name]).await;

    let pages = world.toggl.requests().split_off(asked);
    let second = pages.iter().filter(|request| request.path.ends_with(name)).nth(1).unwrap();
    assert!(second.query.contains("page=2"), "the change has to come before page 2: {pages:#?}");
    let living = world.toggl.with_account(|account| ids(account, list));
    assert_nothing_live(name, &marked(&world, name).await, &living);
    assert_incomplete(&finished, &[name]);

    world.sync_and_load(&["--only", name]).await.unwrap();
    assert_eq!(live(&world, name).await, living);
}

fn delete_on_first_page(account: &mut Account, list: List) {
    let (id, workspace_id) = (nth(account, list, 7), account.workspace_id());
    account.delete(list, workspace_id, id, Timestamp::now());
}

/// It leaves no trace in what changed: nobody deleted it, it was closed to this user.
fn hide_on_first_page(account: &mut Account, list: List) {
    let (id, workspace_id) = (nth(account, list, 7), account.workspace_id());
    account.remove(list, workspace_id, id);
}

fn rename_from_last_to_first(account: &mut Account, list: List) {
    let id = nth(account, list, 420);
    rename(account, list, id, FIRST_NAME);
}

fn rename_from_first_to_last(account: &mut Account, list: List) {
    let id = nth(account, list, 7);
    rename(account, list, id, LAST_NAME);
}

#[tokio::test]
async fn a_project_deleted_between_two_pages_costs_no_other_its_life() {
    shifted(List::Projects, delete_on_first_page).await;
}

#[tokio::test]
async fn a_project_hidden_between_two_pages_costs_no_other_its_life() {
    shifted(List::Projects, hide_on_first_page).await;
}

#[tokio::test]
async fn a_project_renamed_to_an_earlier_page_is_not_taken_for_deleted() {
    shifted(List::Projects, rename_from_last_to_first).await;
}

#[tokio::test]
async fn a_project_renamed_to_a_later_page_costs_no_other_its_life() {
    shifted(List::Projects, rename_from_first_to_last).await;
}

#[tokio::test]
async fn a_task_deleted_between_two_pages_costs_no_other_its_life() {
    shifted(List::Tasks, delete_on_first_page).await;
}

#[tokio::test]
async fn a_task_hidden_between_two_pages_costs_no_other_its_life() {
    shifted(List::Tasks, hide_on_first_page).await;
}

#[tokio::test]
async fn a_task_renamed_to_an_earlier_page_is_not_taken_for_deleted() {
    shifted(List::Tasks, rename_from_last_to_first).await;
}

#[tokio::test]
async fn a_task_renamed_to_a_later_page_costs_no_other_its_life() {
    shifted(List::Tasks, rename_from_first_to_last).await;
}

/// A deletion and a creation leave the number of rows as it was.
#[tokio::test]
async fn a_deletion_that_a_creation_outweighs_is_seen_all_the_same() {
    for list in [List::Projects, List::Tasks] {
        shifted(list, |account, list| {
            let (model, workspace_id) = (nth(account, list, 9), account.workspace_id());
            let records = account.records(list, workspace_id);
            let text = records.iter().find(|record| record.id() == model).unwrap().text();
            let (name, at) = (format!("\"{LAST_NAME}\""), format!("\"{:.0}\"", Timestamp::now()));
            let fields = [("id", "999999999"), ("name", name.as_str()), ("at", at.as_str())];
            let created = tests::toggl::with_fields(text, &fields);
            account.put(list, workspace_id, &created);
            delete_on_first_page(account, list);
        })
        .await;
    }
}

#[tokio::test]
async fn deletions_in_a_list_that_nobody_touches_meanwhile_are_seen() {
    let world = three_pages().await;
    let expected = world.toggl.with_account(|account| {
        let workspace_id = account.workspace_id();
        [("projects", List::Projects), ("tasks", List::Tasks)].map(|(name, list)| {
            let chosen = [3, 250, 447].map(|place| nth(account, list, place));
            for id in chosen {
                account.delete(list, workspace_id, id, Timestamp::now());
            }
            (name, BTreeSet::from(chosen))
        })
    });

    // Toggl tells times in whole seconds: what was deleted a moment ago may have been deleted meanwhile.
    let finished = run(&world, &["--only", "projects,tasks"]).await;
    assert_honest(&finished);
    if finished.code == Some(6) {
        world.sync_and_load(&["--only", "projects,tasks"]).await.unwrap();
    }

    for (name, chosen) in expected {
        assert_eq!(marked(&world, name).await, chosen, "{name}");
    }
}

/// So many live projects, all loaded.
async fn with_projects(projects: usize) -> (World, BTreeSet<i64>) {
    let size = AccountSize { projects, archived_projects: 0, ..AccountSize::default() };
    let world = World::start(Account::generate(&size)).await.unwrap();
    world.sync_and_load(&["--only", "projects"]).await.unwrap();
    let all = live(&world, "projects").await;
    assert_eq!(all.len(), projects);
    (world, all)
}

#[tokio::test]
async fn pages_that_become_shorter_than_asked_for_are_not_taken_for_the_last() {
    for cap in [100, 75, 140] {
        let (world, all) = with_projects(150).await;
        world.toggl.configure(|behaviour| behaviour.page_cap = Some(cap));
        for _ in 0..2 {
            let finished = run(&world, &["--only", "projects"]).await;
            assert_eq!(live(&world, "projects").await, all, "at most {cap} a page");
            assert_honest(&finished);
        }
    }
}

#[tokio::test]
async fn a_first_sync_with_short_pages_reads_everything_or_says_that_it_did_not() {
    let size = AccountSize { projects: 150, archived_projects: 0, ..AccountSize::default() };
    let world = World::start(Account::generate(&size)).await.unwrap();
    world.toggl.configure(|behaviour| behaviour.page_cap = Some(100));
    let finished = run(&world, &["--only", "projects"]).await;
    let loaded = live(&world, "projects").await.len();
    assert!(loaded == 150 || finished.code == Some(6), "{loaded} of 150: {}", finished.stdout);
}

#[tokio::test]
async fn a_short_page_in_the_middle_costs_nothing_its_life() {
    for rest in [Rest::Follows, Rest::Missing] {
        for (page, rows) in [(2, 120), (1, 199), (2, 1)] {
            let (world, all) = with_projects(450).await;
            let short = ShortPage { page, rows, rest };
            world.toggl.configure(|behaviour| behaviour.short_page = Some(short));
            let finished = run(&world, &["--only", "projects"]).await;
            assert_eq!(live(&world, "projects").await, all, "{short:?}");
            assert_honest(&finished);
        }
    }
}

async fn with_tags_and_clients(tags: usize) -> World {
    let size = AccountSize { tags, clients: tags, archived_clients: 0, ..AccountSize::default() };
    let world = World::start(Account::generate(&size)).await.unwrap();
    world.sync_and_load(&["--only", "tags,clients"]).await.unwrap();
    world
}

#[tokio::test]
async fn lists_without_pages_that_are_cut_silently_lose_nothing() {
    for cap in [50, 100] {
        let world = with_tags_and_clients(120).await;
        world.toggl.configure(|behaviour| behaviour.list_cap = Some(cap));
        for _ in 0..2 {
            let finished = run(&world, &["--only", "tags,clients"]).await;
            for name in ["tags", "clients"] {
                assert_eq!(live(&world, name).await.len(), 120, "{name}, cut at {cap}");
            }
            assert_honest(&finished);
        }
    }
}

#[tokio::test]
async fn a_list_that_is_really_as_long_as_a_page_is_believed() {
    let world = with_tags_and_clients(101).await;
    let chosen = world.toggl.with_account(|account| {
        let workspace_id = account.workspace_id();
        [("tags", List::Tags), ("clients", List::Clients)].map(|(name, list)| {
            let id = nth(account, list, 50);
            account.remove(list, workspace_id, id);
            (name, BTreeSet::from([id]))
        })
    });
    world.sync_and_load(&["--only", "tags,clients"]).await.unwrap();
    for (name, gone) in chosen {
        assert_eq!(marked(&world, name).await, gone, "{name}");
    }
}
