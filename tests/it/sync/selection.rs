//! Which resources, workspaces and accounts are read.

use std::collections::BTreeSet;

use jiff::Timestamp;
use shared::catalogue::CATALOGUE;
use tests::rows::{count, raw_rows};
use tests::toggl::{Account, AccountSize, Answer, List, Simulator};
use tests::workers::Worker;
use tests::world::World;

use crate::expected::endings::{assert_fails, assert_misused};
use crate::expected::rows::{assert_table_holds, resource};

/// The other account's token.
const OTHER_TOKEN: &str = "0ther0000000000000000000000000000";

async fn world() -> World {
    World::start(Account::sample_at(Timestamp::now())).await.unwrap()
}

#[tokio::test]
async fn all_resources_of_the_catalogue_are_read_where_all_are_asked_for() {
    let size = AccountSize { tasks: 330, done_tasks: 120, ..AccountSize::default() };
    let world = World::start(Account::generate(&size)).await.unwrap();
    world.sync_and_load(&["--only", "all", "--days", "60"]).await.unwrap();
    let account = world.toggl.with_account(|account| account.clone());
    let mut connection = world.connect().await.unwrap();
    for resource in CATALOGUE.iter().filter(|r| r.is_synced()) {
        assert!(count(&mut connection, resource).await.unwrap() > 0, "{}", resource.name);
        assert_table_holds(&mut connection, &account, resource).await;
    }
    assert_eq!(count(&mut connection, resource("tasks")).await.unwrap(), 450);
    let pages: Vec<_> =
        world.toggl.requests().into_iter().filter(|r| r.path.ends_with("/tasks")).collect();
    assert_eq!(pages.len(), 4, "three pages, and what changed meanwhile: {pages:?}");
}

#[tokio::test]
async fn no_secret_of_a_member_reaches_its_table() {
    let world = world().await;
    world.sync_and_load(&["--only", "workspace_users"]).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    for row in raw_rows(&mut connection, resource("workspace_users")).await.unwrap().values() {
        assert!(row.data.get("invite_url").is_none() && row.data.get("invitation_code").is_none());
        assert!(row.data.get("email").is_some());
    }
}

#[tokio::test]
async fn only_and_skip_choose_what_is_asked_for() {
    let world = world().await;
    let finished =
        world.sync(&["--only", "projects,time_entries", "--skip", "projects"]).await.unwrap();
    assert!(finished.stdout.contains("Masters: {}"), "{}", finished.stdout);
    let paths: BTreeSet<_> =
        world.toggl.requests().into_iter().map(|request| request.path).collect();
    let expected = ["/api/v9/me", "/api/v9/me/quota", "/api/v9/me/time_entries"];
    assert_eq!(paths.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    let finished = world.sync(&["--skip", "time_entries,me"]).await.unwrap();
    assert!(
        finished.stdout.contains(r#"Masters: {"workspaces":1,"projects":4"#),
        "{}",
        finished.stdout
    );
}

#[tokio::test]
async fn a_resource_that_does_not_exist_is_misuse() {
    for arguments in
        [&["--only", "prjects"][..], &["--skip", "x"], &["--workspace", "0"], &["--account", "a b"]]
    {
        let finished = Worker::new("fetcher", arguments).run().await.unwrap();
        assert_misused(&finished, &[arguments[0]]);
    }
    let nothing = world().await.fetcher(&["--skip", "all"]).run().await.unwrap();
    assert_misused(&nothing, &["--skip"]);
}

#[tokio::test]
async fn a_plan_without_tasks_costs_the_tasks_and_nothing_else() {
    let world = world().await;
    let answer = Answer::status(402)
        .header("x-toggl-quota-remaining", "20")
        .body(r#""Tasks are a premium feature""#);
    world.toggl.script("/api/v9/workspaces/{w}/tasks", answer.forever());
    let finished = world.fetcher(&["--only", "default,tasks"]).run().await.unwrap();
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert_eq!(finished.stderr.matches("Skipped tasks").count(), 1, "{}", finished.stderr);
    assert!(finished.stdout.contains("Skipped: tasks"), "{}", finished.stdout);
    assert!(finished.stdout.contains(r#""projects":4"#), "{}", finished.stdout);
}

/// The sample with a second workspace, whose lists hold users and clients of the same ids.
fn of_two_workspaces() -> Account {
    let mut account = Account::sample_at(Timestamp::now());
    let other = account.workspaces()[0].text().replace("2230991", "777");
    account.put_workspace(&other);
    for user in account.records(List::Users, 2_230_991).to_vec() {
        let renamed = tests::toggl::with_fields(user.text(), &[("fullname", r#""Somebody else""#)]);
        account.put(List::Users, 777, &renamed);
    }
    account.put(List::Clients, 777, r#"{"id":1,"wid":777,"archived":false,"name":"One"}"#);
    account
}

#[tokio::test]
async fn rows_of_different_workspaces_never_overwrite_each_other() {
    for workspaces in ["all", "777,2230991"] {
        let world = World::start(of_two_workspaces()).await.unwrap();
        for _ in 0..2 {
            world.sync_and_load(&["--workspace", workspaces, "--only", "all"]).await.unwrap();
        }
        let mut connection = world.connect().await.unwrap();
        let users: Vec<(i64, i64)> = sqlx::query_as(
            "select workspace_id, count(*) from raw.toggl_track__users
             where deleted_at is null group by 1 order by 1",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        assert_eq!(users, [(777, 2), (2_230_991, 2)]);
        let renamed: Vec<i64> = sqlx::query_scalar(
            "select distinct workspace_id from raw.toggl_track__users where data->>'fullname' = 'Somebody else'",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        assert_eq!(renamed, [777]);
        let clients = raw_rows(&mut connection, resource("clients")).await.unwrap();
        assert_eq!(clients.values().filter(|row| row.deleted_at.is_none()).count(), 6);
        assert_eq!(clients[&1].workspace_id, 777);
    }
}

#[tokio::test]
async fn a_workspace_that_is_closed_costs_no_other() {
    let world = World::start(of_two_workspaces()).await.unwrap();
    let finished = world.fetcher(&["--workspace", "2230991,888"]).run().await.unwrap();
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert!(finished.stdout.contains(r#""projects":4"#), "{}", finished.stdout);
}

#[tokio::test]
async fn where_no_named_workspace_is_the_account_s_one_line_names_those_that_are() {
    let world = World::start(of_two_workspaces()).await.unwrap();
    for named in ["42", "42,43"] {
        let finished = world.fetcher(&["--workspace", named]).run().await.unwrap();
        let words = ["42", "--workspace", "TOGGL_WORKSPACE_ID", "2230991", "777"];
        assert_fails(&finished, 2, &words);
    }
    assert_eq!(world.toggl.count("/api/v9/workspaces/42"), 0);
}

/// Two people of one workspace, who own entries and a private workspace each.
async fn of_two_accounts() -> (World, Simulator) {
    let first = of_two_workspaces();
    let mut second = Account::sample_at(Timestamp::now());
    second.set_token(OTHER_TOKEN);
    let me = tests::toggl::with_fields(second.me(), &[("id", "99"), ("fullname", r#""Other""#)]);
    second.set_me(&me);
    for id in [5_000_000_001_i64, 5_000_000_002] {
        let start = Timestamp::now() - jiff::SignedDuration::from_hours(2);
        second.put_time_entry(&format!(
            r#"{{"id":{id},"workspace_id":2230991,"user_id":99,"start":"{start:.0}","stop":"{start:.0}","at":"{start:.0}","duration":0}}"#
        ));
    }
    let world = World::start_with_own_postgres(Account::empty()).await.unwrap();
    let toggl = Simulator::start_many(vec![first, second]).await;
    (world, toggl)
}

#[tokio::test]
async fn every_account_of_the_vault_is_read_with_its_own_token() {
    let (world, toggl) = of_two_accounts().await;
    crate::credentials::vault::give_key(&world).await;
    let fetcher = |arguments: &[&str]| {
        let fetcher = world.fetcher(arguments).without("TOGGL_API_TOKEN");
        fetcher.env("DATABASE_URL", &world.database.url).env("TOGGL_URL", toggl.url().as_str())
    };
    let none = fetcher(&["--account", "all"]).run().await.unwrap();
    assert_fails(&none, 3, &["credentials set"]);
    for (account, token) in [("default", tests::toggl::TOKEN), ("eva", OTHER_TOKEN)] {
        let set = fetcher(&["credentials", "set", "--account", account]).stdin(token);
        assert_eq!(set.run().await.unwrap().code, Some(0));
    }
    let listed = fetcher(&["credentials", "show", "--account", "all"]).run().await.unwrap();
    assert_eq!(listed.stdout, "default\neva\n");

    let finished = fetcher(&["--account", "all", "--days", "60"]).run().await.unwrap();

    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(finished.stdout.contains("completed (default):"), "{}", finished.stdout);
    assert!(finished.stdout.contains("completed (eva):"), "{}", finished.stdout);
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
    let mut connection = world.connect().await.unwrap();
    assert_eq!(count(&mut connection, resource("me")).await.unwrap(), 2);
    let entries = raw_rows(&mut connection, resource("time_entries")).await.unwrap();
    assert!(entries.contains_key(&5_000_000_002) && entries.len() > 6, "{:?}", entries.keys());
    let lists =
        toggl.requests().into_iter().filter(|r| r.path == "/api/v9/workspaces/2230991/tags");
    assert_eq!(lists.count(), 1, "a workspace that both see is read once");

    let only = fetcher(&["--account", "eva", "--only", "me"]).run().await.unwrap();
    assert_eq!(only.code, Some(0), "{only:#?}");
}

#[tokio::test]
async fn an_account_that_is_refused_does_not_keep_the_others_from_being_read() {
    let (world, toggl) = of_two_accounts().await;
    crate::credentials::vault::give_key(&world).await;
    let fetcher = |arguments: &[&str]| {
        let fetcher = world.fetcher(arguments).without("TOGGL_API_TOKEN");
        fetcher.env("DATABASE_URL", &world.database.url).env("TOGGL_URL", toggl.url().as_str())
    };
    for (account, token) in [("default", "wr0ngt0ken"), ("eva", OTHER_TOKEN)] {
        let set = ["credentials", "set", "--unchecked", "--account", account];
        let set = fetcher(&set).stdin(token);
        assert_eq!(set.run().await.unwrap().code, Some(0));
    }
    let finished = fetcher(&["--account", "all"]).run().await.unwrap();
    assert_eq!(finished.code, Some(3), "{finished:#?}");
    assert!(finished.stderr.contains("error: account default:"), "{}", finished.stderr);
    assert!(finished.stdout.contains("completed (eva):"), "{}", finished.stdout);

    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
    let mut connection = world.connect().await.unwrap();
    assert!(count(&mut connection, resource("tags")).await.unwrap() > 0);
    let claims: Vec<String> =
        sqlx::query_scalar("select distinct resource from raw.toggl_track__claims")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    for resource in ["clients", "tags", "time_entries", "users"] {
        assert!(claims.iter().any(|claimed| claimed == resource), "{resource}: {claims:?}");
    }
}

/// A page of tasks with these ids, out of so many.
fn page_of_tasks(ids: std::ops::Range<i64>, total: usize) -> Answer {
    let tasks: Vec<String> = ids.map(|id| format!(r#"{{"id":{id},"name":"t"}}"#)).collect();
    let data = if tasks.is_empty() { "null".to_owned() } else { format!("[{}]", tasks.join(",")) };
    Answer::json(format!(r#"{{"data":{data},"per_page":100,"total_count":{total}}}"#))
}

async fn claimed_tasks(world: &World) -> bool {
    let mut connection = world.connect().await.unwrap();
    let sql = "select exists (select from raw.toggl_track__claims where resource = 'tasks')";
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn pages_shorter_than_asked_for_are_read_to_the_end_and_claimed() {
    let world = world().await;
    for ids in [1..101, 101..201, 201..231] {
        world.toggl.script("/api/v9/workspaces/{w}/tasks", page_of_tasks(ids, 230));
    }
    let finished = world.sync_and_load(&["--only", "tasks"]).await.unwrap();
    assert!(finished.stdout.contains(r#""tasks":230"#), "{}", finished.stdout);
    assert!(claimed_tasks(&world).await);
}

#[tokio::test]
async fn a_list_that_ends_before_its_total_claims_nothing() {
    let world = world().await;
    for ids in [1..101, 0..0] {
        world.toggl.script("/api/v9/workspaces/{w}/tasks", page_of_tasks(ids, 230));
    }
    let finished = world.fetcher(&["--only", "tasks"]).run().await.unwrap();
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert!(finished.stdout.contains(r#""tasks":100"#), "{}", finished.stdout);
    let said = "Uncertain: tasks (it ended before its own total)";
    assert!(finished.stdout.contains(said), "{}", finished.stdout);
    let loader = world.start_loader().await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    assert!(!claimed_tasks(&world).await);
}

#[tokio::test]
async fn a_page_that_repeats_ends_the_list_instead_of_going_round() {
    let world = world().await;
    world.toggl.script("/api/v9/workspaces/{w}/tasks", page_of_tasks(1..101, 230).forever());
    let finished = world.fetcher(&["--only", "tasks"]).run().await.unwrap();
    assert_fails(&finished, 1, &["tasks", "repeat"]);
    assert_eq!(world.toggl.count("/api/v9/workspaces/2230991/tasks"), 2);
}
