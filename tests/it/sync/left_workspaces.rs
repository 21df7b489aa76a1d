//! Workspaces that an account has left, and those that are closed to it: named once, and what nobody has any
//! more is not shown.

use jiff::Timestamp;
use tests::toggl::{Account, Answer, List, TOKEN, with_fields};
use tests::workers::{Finished, Resident};
use tests::world::World;

use crate::sync::accounts::{Accounts, TOKEN_OF_B, second};

const OTHER: i64 = 777;
const ALL: &[&str] = &["--workspace", "all"];
const LIST: &str = "/api/v9/workspaces/777/{list}";

fn with_other(mut account: Account) -> Account {
    let other = account.workspaces()[0].text().replace("2230991", "777");
    account.put_workspace(&other);
    for id in 1..=3 {
        let tag = format!(
            r#"{{"id":{id},"workspace_id":777,"name":"{id}","at":"2026-01-01T00:00:00Z"}}"#
        );
        account.put(List::Tags, OTHER, &tag);
    }
    account
}

struct Left {
    world: World,
    loader: Resident,
}

impl Left {
    async fn of(account: Account) -> Self {
        let world = World::start(account).await.unwrap();
        let loader = world.start_loader().await.unwrap();
        Self { world, loader }
    }

    async fn start() -> Self {
        let left = Self::of(with_other(Account::sample_at(Timestamp::now()))).await;
        let finished = left.sync(ALL).await;
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        assert_eq!(left.tags().await, 3);
        left
    }

    async fn sync(&self, arguments: &[&str]) -> Finished {
        let finished = self.world.fetcher(arguments).run().await.unwrap();
        self.world.loaded_by(&self.loader).await.unwrap();
        finished
    }

    /// Those of the other workspace that analysts see.
    async fn tags(&self) -> i64 {
        seen_tags(&self.world).await
    }

    /// How often lists of the other workspace were asked for since the last time.
    fn asked(&self) -> usize {
        let requests = self.world.toggl.requests();
        let of_lists = requests.iter().filter(|r| r.path.starts_with("/api/v9/workspaces/777/"));
        of_lists.count()
    }
}

async fn seen_tags(world: &World) -> i64 {
    let mut connection = world.connect().await.unwrap();
    let sql = "select count(*) from staging.stg_toggl_track__tags where workspace_id = 777";
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

/// The run ends with 6 and names the workspace in one line, which holds all these words.
#[track_caller]
fn assert_named(finished: &Finished, words: &[&str]) {
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    let lines: Vec<&str> = finished.stdout.lines().filter(|line| line.contains("777")).collect();
    assert_eq!(lines.len(), 1, "{finished:#?}");
    for word in words {
        assert!(lines[0].contains(word), "{word:?} is missing in {}", lines[0]);
    }
}

/// And there is one warning.
#[track_caller]
fn assert_named_alone(finished: &Finished, words: &[&str]) {
    assert_named(finished, words);
    let warnings = finished.stderr.lines().filter(|line| line.contains(" WARN "));
    assert_eq!(warnings.count(), 1, "{finished:#?}");
}

#[track_caller]
fn assert_silent(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(!finished.stdout.contains("777"), "{finished:#?}");
    assert!(!finished.stderr.contains(" WARN "), "{finished:#?}");
}

#[tokio::test]
async fn a_workspace_that_was_left_is_named_once_and_hidden_until_it_is_back() {
    for arguments in [ALL, &["--workspace", "2230991,777"]] {
        let left = Left::start().await;
        let other = left.world.toggl.with_account(|account| {
            let other = account.workspaces()[1].text().to_owned();
            assert!(account.leave_workspace(OTHER));
            other
        });
        let asked = left.asked();
        assert_named_alone(&left.sync(arguments).await, &["not this account's any more", "403"]);
        assert_eq!(left.tags().await, 0);
        assert_silent(&left.sync(arguments).await);
        assert_eq!(left.asked(), asked, "nothing of it is asked for");

        left.world.toggl.with_account(|account| account.put_workspace(&other));
        let finished = left.sync(arguments).await;
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        assert!(finished.stdout.contains("777 is this account's again"), "{}", finished.stdout);
        assert_eq!(left.tags().await, 3);
        assert!(left.asked() > asked);
    }
}

#[tokio::test]
async fn the_last_workspace_may_be_left_too() {
    let left = Left::of(Account::sample_at(Timestamp::now())).await;
    assert_eq!(left.sync(&[]).await.code, Some(0));
    left.world.toggl.with_account(|account| account.leave_workspace(2_230_991));
    let first = left.sync(&[]).await;
    assert_eq!(first.code, Some(6), "{first:#?}");
    assert!(first.stdout.contains("2230991 is not this account's any more"), "{first:#?}");
    let second = left.sync(&[]).await;
    assert_eq!(second.code, Some(0), "{second:#?}");
    let mut connection = left.world.connect().await.unwrap();
    let sql = "select count(*) from staging.stg_toggl_track__projects";
    let seen: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    assert_eq!(seen, 0);
    let sql = "select count(*) from staging.stg_toggl_track__freshness where workspace_id <> 0";
    let known: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    assert_eq!(known, 0);
}

#[tokio::test]
async fn what_a_list_of_workspaces_lacks_is_not_gone_while_toggl_still_shows_it() {
    let left = Left::start().await;
    let list = left.world.toggl.with_account(|account| account.workspaces()[0].text().to_owned());
    let list = Answer::json(format!("[{list}]")).forever();
    left.world.toggl.script("/api/v9/workspaces", list);
    let named = ["--workspace", "2230991,777"];
    assert_silent(&left.sync(&named).await);
    assert_eq!(left.tags().await, 3);

    // Nobody knows what has become of it: the second run believes what the first has seen.
    left.world.toggl.script("/api/v9/workspaces/777", Answer::status(500).forever());
    let finished = left.sync(&named).await;
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert_eq!(left.tags().await, 3);
    assert_named(&left.sync(&named).await, &["not this account's any more"]);
    assert_eq!(left.tags().await, 0);
}

#[tokio::test]
async fn a_workspace_that_never_was_the_accounts_is_named_at_every_run() {
    let left = Left::start().await;
    for _ in 0..2 {
        let finished = left.sync(&["--workspace", "2230991,778"]).await;
        assert_eq!(finished.code, Some(6), "{finished:#?}");
        let lines = finished.stdout.lines().filter(|line| line.contains("778"));
        assert_eq!(lines.count(), 1, "{finished:#?}");
    }
    let check = left.world.fetcher(&["check"]).env("TOGGL_WORKSPACE_ID", "2230991,778");
    let finished = check.run().await.unwrap();
    assert!(finished.stdout.contains("778 is none of this account's"), "{}", finished.stdout);
}

#[tokio::test]
async fn a_workspace_that_is_suspended_is_named_once_stays_as_it_was_and_is_read_when_it_opens() {
    let plan = r#"{"error":{"message":"Payment Required","tip":"…","code":402}}"#;
    for (status, body) in [(402, plan), (403, r#""Workspace is suspended""#), (404, "")] {
        let left = Left::start().await;
        left.world.toggl.with_account(|account| {
            let at = [("suspended_at", "\"2026-11-01T00:00:00Z\"")];
            let suspended = with_fields(account.workspaces()[1].text(), &at);
            account.put_workspace(&suspended);
        });
        let closed = Answer::status(status).header("x-toggl-quota-remaining", "20").body(body);
        left.world.toggl.script(LIST, closed.forever());
        assert_named_alone(&left.sync(ALL).await, &["suspended since", &status.to_string()]);
        let asked = left.asked();
        assert_silent(&left.sync(ALL).await);
        assert_eq!(left.asked(), asked + 1, "one list shows whether it has opened");
        assert_eq!(left.tags().await, 3);
        let finished = left.world.fetcher(&["check"]).run().await.unwrap();
        assert!(finished.stdout.contains("suspended since"), "{}", finished.stdout);

        left.world.toggl.clear_scripts();
        left.world.toggl.with_account(|account| {
            let tag = r#"{"id":4,"workspace_id":777,"name":"4","at":"2026-01-01T00:00:00Z"}"#;
            account.put(List::Tags, OTHER, tag);
        });
        let finished = left.sync(ALL).await;
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        assert!(finished.stdout.contains("777 is open"), "{}", finished.stdout);
        assert_eq!(left.tags().await, 4);
    }
}

#[tokio::test]
async fn another_reason_is_said_again() {
    let left = Left::start().await;
    let closed = |status| Answer::status(status).forever();
    left.world.toggl.script(LIST, closed(403));
    assert_named(&left.sync(ALL).await, &["403"]);
    assert_silent(&left.sync(ALL).await);
    left.world.toggl.clear_scripts();
    left.world.toggl.script(LIST, closed(404));
    assert_named(&left.sync(ALL).await, &["404"]);
    assert_silent(&left.sync(ALL).await);
}

#[tokio::test]
async fn one_list_that_is_closed_does_not_close_its_workspace() {
    let left = Left::start().await;
    let groups = "/api/v9/workspaces/777/groups";
    left.world.toggl.script(groups, Answer::status(403).forever());
    for _ in 0..2 {
        let finished = left.sync(ALL).await;
        assert_eq!(finished.code, Some(6), "{finished:#?}");
        assert!(finished.stdout.contains("Skipped: groups"), "{}", finished.stdout);
    }
}

#[tokio::test]
async fn a_workspace_that_one_account_has_left_is_shown_as_long_as_another_has_it() {
    let first = with_other(Account::sample_at(Timestamp::now()));
    let accounts = Accounts::start(first, with_other(second())).await;
    let sync = ["--account", "all", "--workspace", "all"];
    let finished = accounts.sync(&sync).await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let leave = |account: &mut Account| account.leave_workspace(OTHER);

    assert!(accounts.toggl.with_account_of(TOKEN, leave));
    let finished = accounts.sync(&sync).await;
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert!(finished.stdout.contains("another account still has it"), "{}", finished.stdout);
    assert_eq!(seen_tags(&accounts.world).await, 3);
    let finished = accounts.sync(&sync).await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(seen_tags(&accounts.world).await, 3);

    assert!(accounts.toggl.with_account_of(TOKEN_OF_B, leave));
    let finished = accounts.sync(&sync).await;
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert_eq!(seen_tags(&accounts.world).await, 0);
}
