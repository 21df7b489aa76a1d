//! `fetcher changes`: one request between two syncs.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tests::rows::raw_rows;
use tests::servers::DEADLINE;
use tests::toggl::{Account, AccountSize, Answer, List, QuotaLimits, SeenRequest, with_fields};
use tests::workers::Resident;
use tests::world::World;

use crate::expected::endings::assert_fails;
use crate::expected::rows::{assert_tables_hold, resource};
use crate::given::bucket::Bucket;
use crate::sync::accounts::{Accounts, TOKEN_OF_B, second};

const ME: &str = "/api/v9/me";
const ENTRIES: &str = "/api/v9/me/time_entries";
const TAGS: &str = "/api/v9/workspaces/2230991/tags";
const WORKSPACE: i64 = 2_230_991;

/// A world that was synced, and a loader at work.
async fn synced(account: Account) -> (World, Resident) {
    let world = World::start(account).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.sync(&["--days", "70"]).await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    (world, loader)
}

async fn lively() -> (World, Resident) {
    synced(Account::generate(&AccountSize { time_entries: 60, ..AccountSize::default() })).await
}

/// Paths that were asked since there were so many requests.
fn asked(world: &World, before: usize) -> Vec<String> {
    world.toggl.requests().into_iter().skip(before).map(|request| request.path).collect()
}

fn requests(world: &World) -> usize {
    world.toggl.requests().len()
}

async fn finish(world: &World, loader: Resident) {
    world.loaded_by(&loader).await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    assert_tables_hold(world).await;
}

/// An entry of the token's owner that names these.
fn entry(account: &Account, id: i64, names: &[(&str, &str)]) -> String {
    let (user_id, now) = (account.user_id(), Timestamp::now());
    let text = format!(
        r#"{{"id":{id},"workspace_id":{WORKSPACE},"user_id":{user_id},"start":"{now:.0}","stop":"{now:.0}","at":"{now}","duration":0,"project_id":null,"task_id":null,"tag_ids":[],"server_deleted_at":null}}"#
    );
    with_fields(&text, names)
}

/// A record like the first one of a list, changed just now.
fn like_first(account: &Account, list: List, changes: &[(&str, &str)]) -> String {
    let text = account.records(list, WORKSPACE)[0].text().to_owned();
    let at = format!("\"{:.0}\"", Timestamp::now());
    with_fields(&with_fields(&text, &[("at", &at)]), changes)
}

/// As if no run had heard of quotas yet.
async fn forget_limits(world: &World) {
    let user_id = world.toggl.with_account(|account| account.user_id());
    let bucket = world.jetstream().await.unwrap();
    let bucket = bucket.get_key_value(fetcher::state::BUCKET).await.unwrap();
    bucket.purge(format!("limits.{user_id}")).await.unwrap();
}

#[tokio::test]
async fn what_was_created_changed_and_deleted_comes_with_one_request() {
    let (world, loader) = lively().await;
    let before = requests(&world);
    world.toggl.with_account(|account| {
        let ids: Vec<i64> = account.time_entries().map(tests::toggl::TimeEntry::id).collect();
        let now = Timestamp::now();
        account.edit_time_entry(ids[3], now, &[("description", r#""edited""#)]);
        account.delete_time_entry(ids[7], now);
        let created = entry(account, 4_242, &[]);
        account.put_time_entry(&created);
    });

    let finished = world.sync(&["changes"]).await.unwrap();

    assert_eq!(asked(&world, before), [ENTRIES]);
    assert!(
        finished.stdout.starts_with("[OK] Toggl Track changes completed"),
        "{}",
        finished.stdout
    );
    finish(&world, loader).await;
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource("time_entries")).await.unwrap();
    assert!(rows[&4_242].deleted_at.is_none());
    assert_eq!(rows.values().filter(|row| row.deleted_at.is_some()).count(), 1);
}

#[tokio::test]
async fn it_moves_the_moment_on_that_the_next_sync_asks_from() {
    let (world, loader) = lively().await;
    let moment = async || {
        let user_id = world.toggl.with_account(|account| account.user_id());
        let bucket = world.jetstream().await.unwrap();
        let bucket = bucket.get_key_value(fetcher::state::BUCKET).await.unwrap();
        bucket.get(format!("since.{user_id}")).await.unwrap().unwrap()
    };
    let first = moment().await;
    world.toggl.script(ENTRIES, Answer::status(500).repeat(2));
    let failed = world.fetcher(&["changes"]).run().await.unwrap();
    assert_fails(&failed, 1, &["time_entries"]);
    assert_eq!(moment().await, first, "a run that fails moves nothing");
    world.sync(&["changes"]).await.unwrap();
    assert_ne!(moment().await, first);
    finish(&world, loader).await;
}

#[tokio::test]
async fn an_unknown_project_and_its_client_tag_and_task_arrive_in_the_same_run() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.sync(&["--only", "default,tasks"]).await.unwrap();
    let before = requests(&world);
    world.toggl.with_account(|account| {
        // Nobody names it, so only who asks what has changed hears of it.
        let gone = account.records(List::Projects, WORKSPACE)[0].id();
        account.delete(List::Projects, WORKSPACE, gone, Timestamp::now());
        let client = like_first(account, List::Clients, &[("id", "71"), ("name", r#""New""#)]);
        account.put(List::Clients, WORKSPACE, &client);
        let project = [("id", "72"), ("name", r#""New""#), ("client_id", "71"), ("cid", "71")];
        account.put(List::Projects, WORKSPACE, &like_first(account, List::Projects, &project));
        let tag = like_first(account, List::Tags, &[("id", "73"), ("name", r#""new""#)]);
        account.put(List::Tags, WORKSPACE, &tag);
        let task = [("id", "74"), ("name", r#""New""#), ("project_id", "72")];
        account.put(List::Tasks, WORKSPACE, &like_first(account, List::Tasks, &task));
        let names = [("project_id", "72"), ("task_id", "74"), ("tag_ids", "[73]")];
        let entry = entry(account, 4_242, &names);
        account.put_time_entry(&entry);
    });

    let finished = world.sync(&["changes"]).await.unwrap();

    let asked_for = asked(&world, before);
    let (first, mut rest) = (asked_for[0].clone(), asked_for[1..].to_vec());
    rest.sort();
    let of = |list: &str| format!("/api/v9/workspaces/{WORKSPACE}/{list}");
    assert_eq!(
        (first.as_str(), rest),
        (ENTRIES, ["clients", "projects", "tags", "tasks"].map(of).to_vec())
    );
    assert!(finished.stdout.contains(r#""projects":2"#), "{}", finished.stdout);
    world.loaded_by(&loader).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    for (list, id) in [("clients", 71), ("projects", 72), ("tags", 73), ("tasks", 74)] {
        let rows = raw_rows(&mut connection, resource(list)).await.unwrap();
        assert!(rows.get(&id).is_some_and(|row| row.deleted_at.is_none()), "{list}");
    }
    let projects = raw_rows(&mut connection, resource("projects")).await.unwrap();
    assert_eq!(projects.values().filter(|row| row.deleted_at.is_some()).count(), 1);
    // All is known by now.
    let before = requests(&world);
    world.sync(&["changes"]).await.unwrap();
    assert_eq!(asked(&world, before), [ENTRIES]);
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

#[tokio::test]
async fn what_toggl_does_not_tell_is_asked_for_once_and_said() {
    let (world, loader) = lively().await;
    world.toggl.with_account(|account| {
        let entry = entry(account, 4_242, &[("project_id", "999")]);
        account.put_time_entry(&entry);
    });
    let before = requests(&world);
    let first = world.sync(&["changes"]).await.unwrap();
    assert_eq!(asked(&world, before).len(), 2);
    let said = "Note: 1 of projects that entries name come with the next sync";
    assert!(first.stdout.contains(said), "{}", first.stdout);
    let before = requests(&world);
    world.sync(&["changes"]).await.unwrap();
    assert_eq!(asked(&world, before), [ENTRIES]);
    finish(&world, loader).await;
}

#[tokio::test]
async fn the_last_quarter_of_a_quota_is_left_alone_and_the_next_sync_brings_the_rest() {
    let (world, loader) = lively().await;
    world.toggl.limit_quota(QuotaLimits { organization: 6, ..QuotaLimits::default() });
    // A whole sync takes six.
    world.sync(&[]).await.unwrap();
    world.toggl.with_account(|account| {
        let project = like_first(account, List::Projects, &[("id", "72"), ("name", r#""New""#)]);
        account.put(List::Projects, WORKSPACE, &project);
        let entry = entry(account, 4_242, &[("project_id", "72")]);
        account.put_time_entry(&entry);
    });
    let before = requests(&world);
    let finished = world.sync(&["changes"]).await.unwrap();
    assert_eq!(asked(&world, before), [ENTRIES]);
    assert!(finished.stdout.contains("the last quarter of the quota"), "{}", finished.stdout);
    world.toggl.limit_quota(QuotaLimits::default());
    world.toggl.advance_quota_clock(Duration::from_hours(2));
    forget_limits(&world).await;
    world.sync(&["changes"]).await.unwrap();
    finish(&world, loader).await;
}

#[tokio::test]
async fn with_lists_whatever_has_changed_of_them_comes_too() {
    let (world, loader) = lively().await;
    let (project, tag) = world.toggl.with_account(|account| {
        let project = account.records(List::Projects, WORKSPACE)[0].id();
        let name = [("name", r#""Renamed""#)];
        account.change(List::Projects, WORKSPACE, project, Timestamp::now(), &name);
        let tag = account.records(List::Tags, WORKSPACE)[0].id();
        assert!(account.remove(List::Tags, WORKSPACE, tag));
        (project, tag)
    });
    let before = requests(&world);
    world.sync(&["changes", "--lists"]).await.unwrap();
    assert_eq!(asked(&world, before).len(), 6, "{:?}", asked(&world, before));
    let asked_since = |request: &&SeenRequest| request.query.contains("since=");
    assert_eq!(world.toggl.requests()[before..].iter().filter(asked_since).count(), 2);
    world.loaded_by(&loader).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let projects = raw_rows(&mut connection, resource("projects")).await.unwrap();
    assert_eq!(projects[&project].data["name"], "Renamed");
    assert!(projects.values().all(|row| row.deleted_at.is_none()), "changes claim nothing");
    let tags = raw_rows(&mut connection, resource("tags")).await.unwrap();
    assert!(tags[&tag].deleted_at.is_some(), "a whole list does");
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

#[tokio::test]
async fn whose_the_token_is_is_asked_again_after_a_day() {
    let (world, loader) = lively().await;
    Bucket::of(&world).await.age_profile(SignedDuration::from_hours(25)).await;
    for expected in [&[ME, ENTRIES][..], &[ENTRIES]] {
        let before = requests(&world);
        world.sync(&["changes"]).await.unwrap();
        assert_eq!(asked(&world, before), expected);
    }
    finish(&world, loader).await;
}

#[tokio::test]
async fn a_token_of_another_user_is_not_taken_for_the_last_one() {
    let (world, loader) = lively().await;
    let of_a = world.toggl.with_account(|account| account.user_id());
    let toggl = tests::toggl::Simulator::start_many(vec![second()]).await;
    let of_b = toggl.with_account(|account| account.user_id());
    let fetcher = world.fetcher(&["changes"]).env("TOGGL_URL", toggl.url().as_str());
    let finished = fetcher.env("TOGGL_API_TOKEN", TOKEN_OF_B).run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(toggl.count(ME), 2, "/me, and the entries");
    assert_ne!(of_a, of_b);
    world.loaded_by(&loader).await.unwrap();
    let bucket = world.jetstream().await.unwrap();
    let bucket = bucket.get_key_value(fetcher::state::BUCKET).await.unwrap();
    assert!(bucket.get(format!("since.{of_b}")).await.unwrap().is_some());
    for token in [TOKEN_OF_B, tests::toggl::TOKEN] {
        let keys: Vec<String> =
            futures::TryStreamExt::try_collect(bucket.keys().await.unwrap()).await.unwrap();
        assert!(!keys.iter().any(|key| key.contains(token)), "{keys:?}");
    }
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_token_that_is_refused_meanwhile_is_called_that() {
    let (world, loader) = lively().await;
    world.toggl.script(ENTRIES, Answer::status(401));
    let before = requests(&world);
    let finished = world.fetcher(&["changes"]).run().await.unwrap();
    assert_fails(&finished, 3, &["Toggl refuses"]);
    assert_eq!(asked(&world, before), [ENTRIES]);
    // Toggl answers a wrong token with 403, as it does where something is closed: /me tells.
    world.toggl.with_account(|account| account.set_token(TOKEN_OF_B));
    let before = requests(&world);
    let old = world.fetcher(&["changes"]).env("TOGGL_API_TOKEN", tests::toggl::TOKEN);
    assert_fails(&old.run().await.unwrap(), 3, &["Toggl refuses"]);
    assert_eq!(asked(&world, before), [ENTRIES, ME]);
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_made_up_for_by_whole_windows() {
    let size = AccountSize { time_entries: 1_500, days: 80, ..AccountSize::default() };
    let (world, loader) = synced(Account::generate(&size)).await;
    world.toggl.with_account(|account| {
        let ids: Vec<i64> = account.time_entries().map(tests::toggl::TimeEntry::id).collect();
        for id in ids.iter().take(1_200) {
            account.edit_time_entry(*id, Timestamp::now(), &[("description", r#""all at once""#)]);
        }
    });
    let finished = world.fetcher(&["changes"]).run().await.unwrap();
    assert_eq!(finished.code, Some(6), "older ones may have changed too: {finished:#?}");
    assert!(finished.stderr.contains("reading the last 85 days whole"), "{}", finished.stderr);
    finish(&world, loader).await;
}

#[tokio::test]
async fn a_quota_that_is_used_up_ends_it_with_its_reset_and_the_next_run_brings_all() {
    let (world, loader) = lively().await;
    world.toggl.limit_quota(QuotaLimits { me: 1, ..QuotaLimits::default() });
    world.sync(&["changes"]).await.unwrap();
    let id = world.toggl.with_account(|account| {
        let id = account.time_entries().next().unwrap().id();
        account.delete_time_entry(id, Timestamp::now());
        id
    });
    let stopped = world.fetcher(&["changes", "--max-wait", "0s"]).run().await.unwrap();
    assert_fails(&stopped, 4, &["your own requests", "come back in ", "0 time entries are sent"]);
    let before = requests(&world);
    let again = world.fetcher(&["changes", "--max-wait", "0s"]).run().await.unwrap();
    assert_fails(&again, 4, &["come back in "]);
    assert_eq!(requests(&world), before, "what is known to be used up is not asked for");
    world.toggl.limit_quota(QuotaLimits::default());
    forget_limits(&world).await;
    world.sync(&["changes"]).await.unwrap();
    finish(&world, loader).await;
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource("time_entries")).await.unwrap();
    assert!(rows[&id].deleted_at.is_some());
}

#[tokio::test]
async fn a_sync_that_is_busy_is_waited_for_or_left_alone() {
    let (world, loader) = lively().await;
    world.toggl.script(TAGS, Answer::pass_through().delay(Duration::from_secs(10)));
    let sync = world.fetcher(&[]).start().await.unwrap();
    world.toggl.wait_for(TAGS, 2).await;
    let skipped = world.sync(&["changes", "--if-running", "skip"]).await.unwrap();
    let words = "[SKIPPED] another run (sync)";
    assert!(skipped.stdout.starts_with(words), "{}", skipped.stdout);
    let waiting = world.fetcher(&["changes"]).start().await.unwrap();
    waiting.logged("Another run of this account is there", DEADLINE).await.unwrap();
    assert_eq!(sync.ended(DEADLINE).await.unwrap(), Some(0), "{}", sync.log());
    assert_eq!(waiting.ended(DEADLINE).await.unwrap(), Some(0), "{}", waiting.log());
    finish(&world, loader).await;
}

#[tokio::test]
async fn accounts_are_asked_beside_each_other_and_lists_stay_with_who_reads_them() {
    let accounts = Accounts::start(Account::sample_at(Timestamp::now()), second()).await;
    let first = accounts.sync(&["--account", "all"]).await;
    assert_eq!(first.code, Some(0), "{first:#?}");
    let before = accounts.toggl.requests().len();
    accounts.toggl.with_account_of(TOKEN_OF_B, |account| {
        let project = like_first(account, List::Projects, &[("id", "72"), ("name", r#""New""#)]);
        account.put(List::Projects, WORKSPACE, &project);
        let entry = entry(account, 4_242, &[("project_id", "72")]);
        account.put_time_entry(&entry);
    });
    let finished = accounts.sync(&["changes", "--account", "all"]).await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let asked: Vec<_> = accounts.toggl.requests().drain(before..).map(|r| r.path).collect();
    assert_eq!(asked, [ENTRIES, ENTRIES], "{}", finished.stdout);
    for words in
        ["changes completed (a)", "changes completed (b)", "another account reads these lists"]
    {
        assert!(finished.stdout.contains(words), "{words} is not in {}", finished.stdout);
    }
}
