//! What tests of proofs begin with: a run whose rows are loaded whatever its exit code, and what it marked.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;
use tests::rows::raw_rows;
use tests::toggl::{Account, List};
use tests::workers::Finished;
use tests::world::World;

use crate::expected::rows::resource;
use crate::reports::reporting::load;

pub(crate) const PROJECTS: &str = "/api/v9/workspaces/{w}/projects";
pub(crate) const TASKS: &str = "/api/v9/workspaces/{w}/tasks";

/// The lists whose rows are looked at, with the names of their tables.
pub(crate) const LISTS: [(&str, List); 5] = [
    ("projects", List::Projects),
    ("tasks", List::Tasks),
    ("clients", List::Clients),
    ("tags", List::Tags),
    ("users", List::Users),
];

/// Fetches and loads, whatever the fetcher thinks of it.
pub(crate) async fn run(world: &World, arguments: &[&str]) -> Finished {
    let finished = world.fetcher(arguments).run().await.unwrap();
    load(world).await;
    finished
}

/// The rows of a table that are marked as deleted.
pub(crate) async fn marked(world: &World, name: &str) -> BTreeSet<i64> {
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource(name)).await.unwrap();
    rows.into_iter().filter(|(_, row)| row.deleted_at.is_some()).map(|(id, _)| id).collect()
}

/// The rows of a table that are not.
pub(crate) async fn live(world: &World, name: &str) -> BTreeSet<i64> {
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource(name)).await.unwrap();
    rows.into_iter().filter(|(_, row)| row.deleted_at.is_none()).map(|(id, _)| id).collect()
}

/// What lives at Toggl.
pub(crate) fn ids(account: &Account, list: List) -> BTreeSet<i64> {
    let records = account.records(list, account.workspace_id());
    records.iter().map(tests::toggl::Record::id).collect()
}

/// What lives at Toggl by its place in the list.
pub(crate) fn nth(account: &Account, list: List, place: usize) -> i64 {
    account.records(list, account.workspace_id())[place].id()
}

/// Nothing that lives at Toggl is marked in the table of a list.
#[track_caller]
pub(crate) fn assert_nothing_live(name: &str, marked: &BTreeSet<i64>, living: &BTreeSet<i64>) {
    let wrong: Vec<_> = marked.intersection(living).collect();
    assert!(wrong.is_empty(), "{} live {name} are marked: {wrong:?}", wrong.len());
}

/// The run says that it is not whole, and what is not.
#[track_caller]
pub(crate) fn assert_incomplete(finished: &Finished, names: &[&str]) {
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert!(finished.stdout.starts_with("[INCOMPLETE] "), "{}", finished.stdout);
    // Every summary counts each list by its name; only what is said beside that counts here.
    let said: Vec<&str> =
        finished.stdout.lines().filter(|line| !line.trim_start().starts_with("Masters:")).collect();
    for name in names {
        assert!(said.iter().any(|line| line.contains(name)), "{name}: {}", finished.stdout);
    }
}

/// Done, with nothing to say; or not whole, and it is said.
#[track_caller]
pub(crate) fn assert_honest(finished: &Finished) {
    assert!(matches!(finished.code, Some(0 | 6)), "{finished:#?}");
}

/// Gives a record another name, as a user does.
pub(crate) fn rename(account: &mut Account, list: List, id: i64, name: &str) {
    let (workspace_id, name) = (account.workspace_id(), Value::from(name).to_string());
    account.change(list, workspace_id, id, Timestamp::now(), &[("name", &name)]);
}
