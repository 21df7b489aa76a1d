//! Several accounts in one database: what each sees is stored, and nobody's view spoils another's.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tests::rows::{raw_rows, snapshot};
use tests::toggl::{Account, Answer, List, Simulator, TOKEN, with_fields};
use tests::workers::{Finished, Resident, Worker};
use tests::world::World;

use crate::expected::rows::resource;

/// The second account's token.
pub(crate) const TOKEN_OF_B: &str = "0ther0000000000000000000000000000";
const USER_OF_B: i64 = 99;
/// A workspace that only the second account sees.
const ONLY_BS: i64 = 777;

/// A vault with the accounts `a` and `b`, who share a workspace, and a loader at work.
pub(crate) struct Accounts {
    pub(crate) world: World,
    pub(crate) toggl: Simulator,
    loader: Resident,
}

impl Accounts {
    pub(crate) async fn start(first: Account, second: Account) -> Self {
        let world = World::start_with_own_postgres(Account::empty()).await.unwrap();
        crate::credentials::vault::give_key(&world).await;
        let toggl = Simulator::start_many(vec![first, second]).await;
        let loader = world.start_loader().await.unwrap();
        let accounts = Self { world, toggl, loader };
        accounts.set("a", TOKEN).await;
        accounts.set("b", TOKEN_OF_B).await;
        accounts
    }

    fn fetcher(&self, arguments: &[&str]) -> Worker {
        let fetcher = self.world.fetcher(arguments).without("TOGGL_API_TOKEN");
        let fetcher = fetcher.env("DATABASE_URL", &self.world.database.url);
        fetcher.env("TOGGL_URL", self.toggl.url().as_str())
    }

    async fn set(&self, account: &str, token: &str) {
        let set =
            self.fetcher(&["credentials", "set", "--unchecked", "--account", account]).stdin(token);
        assert_eq!(set.run().await.unwrap().code, Some(0));
    }

    /// Syncs, and waits until it is stored.
    pub(crate) async fn sync(&self, arguments: &[&str]) -> Finished {
        let finished = self.fetcher(arguments).run().await.unwrap();
        self.world.loaded_by(&self.loader).await.unwrap();
        finished
    }

    /// What both see, as it stands in the tables, and all that was recorded of it. Rows that nothing claims
    /// are written again for the time of their answer alone, so of them it is what they say.
    async fn shared(&self) -> BTreeSet<String> {
        let mut connection = self.world.connect().await.unwrap();
        let mut rows = snapshot(&mut connection, "toggl_track__projects").await.unwrap();
        let sql = "select concat_ws(' ', 'workspace', source_id, data, deleted_at)
                   from raw.toggl_track__workspaces
                   union all
                   select concat_ws(' ', 'organization', source_id, data, deleted_at)
                   from raw.toggl_track__organizations
                   union all
                   select 'history ' || h::text from raw.toggl_track__history h
                   where resource in ('workspaces', 'organizations', 'projects')";
        let said: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
        rows.extend(said);
        rows.into_iter().collect()
    }
}

/// The second account, in the sample's workspace and in one of its own.
pub(crate) fn second() -> Account {
    let mut account = Account::sample_at(Timestamp::now());
    account.set_token(TOKEN_OF_B);
    let id = USER_OF_B.to_string();
    let me = with_fields(account.me(), &[("id", id.as_str()), ("fullname", r#""B""#)]);
    account.set_me(&me);
    account
}

fn with_own_workspace(mut account: Account) -> Account {
    let other = account.workspaces()[0].text().replace("2230991", &ONLY_BS.to_string());
    account.put_workspace(&other);
    for id in 1..=3 {
        let tag = format!(
            r#"{{"id":{id},"workspace_id":{ONLY_BS},"name":"{id}","at":"2026-01-01T00:00:00Z"}}"#
        );
        account.put(List::Tags, ONLY_BS, &tag);
    }
    account
}

#[tokio::test]
async fn an_account_that_lacks_something_costs_no_other_its_claims() {
    let first = Account::sample_at(Timestamp::now());
    let accounts = Accounts::start(first, with_own_workspace(second())).await;
    let closed = Answer::status(403).body(r#""closed""#).forever();
    accounts.toggl.script("/api/v9/workspaces/2230991/groups", closed);
    let sync = ["--account", "all", "--workspace", "all"];
    let first = accounts.sync(&sync).await;
    assert_eq!(first.code, Some(6), "{first:#?}");
    let remove = |account: &mut Account| account.remove(List::Tags, ONLY_BS, 2);
    assert!(accounts.toggl.with_account_of(TOKEN_OF_B, remove));

    let second = accounts.sync(&sync).await;

    assert_eq!(second.code, Some(6), "{second:#?}");
    assert!(second.stdout.contains("[INCOMPLETE] Toggl Track sync completed (a)"), "{second:#?}");
    let mut connection = accounts.world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource("tags")).await.unwrap();
    let deleted = rows.into_iter().filter(|(_, row)| row.deleted_at.is_some());
    assert_eq!(deleted.map(|(id, _)| id).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn wait_waits_for_what_the_first_account_published_whatever_becomes_of_the_second() {
    let accounts = Accounts::start(Account::sample_at(Timestamp::now()), second()).await;
    let slow = Answer::pass_through().delay(Duration::from_mins(1));
    accounts.toggl.script("/api/v9/me/time_entries", slow);
    let busy = accounts.fetcher(&["--account", "b", "--only", "time_entries"]);
    let busy = busy.start().await.unwrap();
    accounts.toggl.wait_for("/api/v9/me/time_entries", 1).await;
    // Without a loader a run that waits says so.
    assert_eq!(accounts.loader.terminate().await.unwrap(), Some(0));
    let unstored = async |if_running: &str, second: &str| {
        let all = ["--account", "all", "--wait=1s", "--if-running", if_running];
        let finished = accounts.fetcher(&all).run().await.unwrap();
        assert_eq!(finished.code, Some(1), "{finished:#?}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        for words in ["completed (a)", second, "not stored within 1s"] {
            assert!(said.contains(words), "{words} is not in {said}");
        }
    };
    unstored("skip", "[SKIPPED] another run (sync)").await;
    unstored("fail", "error: account b: another run (sync)").await;
    assert_eq!(busy.terminate().await.unwrap(), Some(1));
    accounts.set("b", "wr0ngt0ken").await;
    unstored("wait", "error: account b: Toggl refuses").await;

    let loader = accounts.world.start_loader().await.unwrap();
    let finished = accounts.fetcher(&["--account", "all", "--wait"]).run().await.unwrap();
    assert_eq!(finished.code, Some(3), "b is still refused: {finished:#?}");
    assert!(finished.stderr.contains("Loaders have stored all of it"), "{finished:#?}");
    assert_eq!(rows_of(&accounts.world, "projects").await.0.len(), 4);
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
}

/// An admin with a rate and a private project.
fn admin() -> Account {
    let mut account = Account::sample_at(Timestamp::now());
    let project = account.records(List::Projects, 2_230_991)[0].clone();
    account.edit(List::Projects, 2_230_991, project.id(), &[("rate", "120")]);
    let private = [("id", "4242"), ("name", r#""Private""#), ("is_private", "true")];
    account.put(List::Projects, 2_230_991, &with_fields(project.text(), &private));
    account
}

/// A member, who sees neither, and his own role in what both see.
fn member() -> Account {
    let mut account = second();
    let role = [("admin", "false"), ("role", r#""user""#)];
    let workspace = with_fields(account.workspaces()[0].text(), &role);
    account.put_workspace(&workspace);
    for organization in account.organizations().to_vec() {
        let role = [("admin", "false"), ("owner", "false"), ("user_count", "0")];
        account.put_organization(&with_fields(organization.text(), &role));
    }
    account
}

/// Five rounds of these commands, after the first of which nothing moves.
async fn is_calm_after_the_first_round(rounds: &[&[&str]]) {
    let accounts = Accounts::start(admin(), member()).await;
    let mut before = BTreeSet::new();
    for round in 1..=5 {
        let mut said = String::new();
        for which in rounds {
            let finished = accounts.sync(&[*which, &["--only", "all"]].concat()).await;
            assert_eq!(finished.code, Some(0), "{finished:#?}");
            said.push_str(&finished.stdout);
        }
        let reader = "The lists of workspace 2230991 are read with another account (user 2166398,";
        assert!(round == 1 || said.contains(reader), "{said}");
        let after = accounts.shared().await;
        if round > 1 {
            let moved: Vec<_> = after.symmetric_difference(&before).collect();
            assert_eq!(moved, Vec::<&String>::new(), "round {round}");
        }
        before = after;
    }
    let mut connection = accounts.world.connect().await.unwrap();
    let projects = raw_rows(&mut connection, resource("projects")).await.unwrap();
    assert!(projects[&4242].deleted_at.is_none() && projects.len() == 5, "{projects:?}");
    assert!(projects.values().any(|row| row.data["rate"] == 120), "{projects:?}");
    let workspaces = raw_rows(&mut connection, resource("workspaces")).await.unwrap();
    assert_eq!(workspaces[&2_230_991].data["role"], "admin");
    let organizations = raw_rows(&mut connection, resource("organizations")).await.unwrap();
    assert!(organizations.values().all(|row| row.data["owner"] == true), "{organizations:?}");
}

#[tokio::test]
async fn an_admin_and_a_member_read_together_move_no_row_of_what_they_share() {
    is_calm_after_the_first_round(&[&["--account", "all"]]).await;
}

#[tokio::test]
async fn an_admin_and_a_member_read_in_turn_move_no_row_of_what_they_share() {
    is_calm_after_the_first_round(&[&["--account", "a"], &["--account", "b"]]).await;
}

#[tokio::test]
async fn a_member_who_was_first_leaves_what_they_share_to_the_admin() {
    is_calm_after_the_first_round(&[&["--account", "b"], &["--account", "a"]]).await;
}

/// Entries of two workspaces of different organisations, within the window and before it.
fn of_two_workspaces() -> Account {
    let mut account = with_own_workspace(Account::empty());
    let text = account.workspaces()[1].text().to_owned();
    account.put_workspace(&with_fields(&text, &[("organization_id", "9011104")]));
    let user_id = account.user_id();
    for id in 1..=12_i64 {
        // Two of the chosen one, and one of the other, in turn.
        let workspace = if id % 3 == 0 { 2_230_991 } else { ONLY_BS };
        // The later half is too old for the window of three days.
        let hours = if id <= 6 { id * 3 } else { 24 * 20 + id };
        let start = Timestamp::now() - SignedDuration::from_hours(hours);
        account.put_time_entry(&format!(
            r#"{{"id":{id},"workspace_id":{workspace},"user_id":{user_id},"start":"{start:.0}","stop":"{start:.0}","at":"{start:.0}","duration":0,"server_deleted_at":null}}"#
        ));
    }
    account
}

/// Live ids of a table, and those of the deleted ones.
async fn rows_of(world: &World, name: &str) -> (BTreeSet<i64>, BTreeSet<i64>) {
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource(name)).await.unwrap();
    let of = |deleted| {
        let rows = rows.iter().filter(|(_, row)| row.deleted_at.is_some() == deleted);
        rows.map(|(id, _)| *id).collect()
    };
    (of(false), of(true))
}

#[tokio::test]
async fn no_row_of_a_workspace_that_was_not_chosen_is_stored() {
    for by_variable in [false, true] {
        let world = World::start(of_two_workspaces()).await.unwrap();
        let loader = world.start_loader().await.unwrap();
        for _ in 0..2 {
            let fetcher = if by_variable {
                world.fetcher(&["--only", "all"]).env("TOGGL_WORKSPACE_ID", "777")
            } else {
                world.fetcher(&["--only", "all", "--workspace", "777"])
            };
            let finished = fetcher.run().await.unwrap();
            assert_eq!(finished.code, Some(0), "{finished:#?}");
            world.loaded_by(&loader).await.unwrap();
        }
        let (entries, deleted) = rows_of(&world, "time_entries").await;
        assert_eq!(entries, BTreeSet::from([1, 2, 4, 5, 7, 8, 10, 11]));
        assert_eq!(deleted, BTreeSet::new());
        assert_eq!(rows_of(&world, "workspaces").await.0, BTreeSet::from([777]));
        assert_eq!(rows_of(&world, "organizations").await.0, BTreeSet::from([9_011_104]));
        assert_eq!(rows_of(&world, "tags").await.0, BTreeSet::from([1, 2, 3]));
        assert_eq!(loader.terminate().await.unwrap(), Some(0));
    }
}

#[tokio::test]
async fn a_chosen_workspace_is_right_and_the_others_entries_stay_as_they_are() {
    let world = World::start(of_two_workspaces()).await.unwrap();
    world.sync_and_load(&["--days", "30"]).await.unwrap();
    assert_eq!(rows_of(&world, "time_entries").await.0, (1..=12).collect());
    // One that is gone is told to whoever asks what has changed, the other shows in the window alone.
    let gone = world.toggl.with_account(|account| {
        account.delete_time_entry(8, Timestamp::now());
        account.delete_time_entry(4, Timestamp::now() - SignedDuration::from_hours(24 * 80));
        BTreeSet::from([4, 8])
    });

    world.sync_and_load(&["--workspace", "777", "--days", "30"]).await.unwrap();

    let (live, deleted) = rows_of(&world, "time_entries").await;
    assert_eq!(deleted, gone);
    assert_eq!(live.len(), 10);
}
