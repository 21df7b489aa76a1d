//! Accounts beside each other: as fast as the slowest, bounded, and with the tables that they would leave one after
//! the other.

use std::collections::BTreeSet;
use std::time::Duration;

use tests::rows::{count, raw_rows};
use tests::servers::DEADLINE;
use tests::toggl::{Account, Answer, List, with_fields};

use crate::expected::rows::resource;
use crate::given::dice::Dice;
use crate::given::many_accounts::{ManyAccounts, member, name, token, user_id};

const ME: &str = "/api/v9/me";
const ENTRIES: &str = "/api/v9/me/time_entries";
const SHARED: i64 = 2_230_991;

/// The accounts that the summary tells of, in its order.
fn told(stdout: &str) -> Vec<String> {
    let lines = stdout.lines().filter(|line| line.starts_with('['));
    let named = lines.filter_map(|line| line.rsplit_once('(')?.1.split_once(')'));
    named.map(|(account, _)| account.to_owned()).collect()
}

#[tokio::test]
async fn fifty_accounts_are_read_at_the_same_time_and_told_of_in_their_order() {
    let many = ManyAccounts::start((0..50).map(member).collect()).await;
    // None gets an answer before all have asked: one after the other would never come to an end.
    many.toggl.script(ENTRIES, Answer::pass_through().once_asked_by(50).forever());
    let finished = many.sync(&["--toggl-timeout", "1h"]).await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(many.toggl.most_accounts_at_once(), 50);
    assert_eq!(told(&finished.stdout), (0..50).map(name).collect::<Vec<_>>());
    let logged = finished.stderr.lines().filter(|line| line.contains("Finished in"));
    let logged: BTreeSet<_> = logged.filter_map(|line| line.rsplit_once(" account=")).collect();
    assert_eq!(logged.len(), 50, "every line of a run names its account: {}", finished.stderr);
    assert_eq!(many.toggl.count("/api/v9/workspaces/2230991/projects"), 1, "one reads for all");
    many.load().await;
    let mut connection = many.world.connect().await.unwrap();
    assert_eq!(count(&mut connection, resource("time_entries")).await.unwrap(), 50);
    assert_eq!(count(&mut connection, resource("projects")).await.unwrap(), 4);
}

#[tokio::test]
async fn no_more_accounts_are_read_at_once_than_was_allowed() {
    let many = ManyAccounts::start((0..12).map(member).collect()).await;
    many.toggl.script(ME, Answer::pass_through().once_asked_by(3).forever());
    for command in [&[][..], &["report", "--days", "3"]] {
        let finished = many
            .sync(&[command, &["--accounts-at-once", "3", "--toggl-timeout", "1h"]].concat())
            .await;
        assert!(matches!(finished.code, Some(0 | 6)), "{finished:#?}");
        assert_eq!(told(&finished.stdout), (0..12).map(name).collect::<Vec<_>>());
        assert_eq!(many.toggl.most_accounts_at_once(), 3);
    }
}

#[tokio::test]
async fn who_waits_is_refused_or_fails_keeps_no_other_from_its_end_and_a_signal_ends_them_all() {
    let many = ManyAccounts::start((0..5).map(member).collect()).await;
    // The first does not even get to know whose token it has.
    let stuck = Answer::pass_through().delay(Duration::from_hours(1)).only_for(&token(0));
    many.toggl.script(ME, stuck);
    many.toggl.script(ME, Answer::status(403).only_for(&token(1)));
    let paid = Answer::status(402).body("\"no\"").forever().only_for(&token(2));
    many.toggl.script("/api/v9/workspaces/{w}/{list}", paid);
    many.toggl.script(ENTRIES, Answer::status(500).forever().only_for(&token(3)));
    let fetcher = many.fetcher(&["--log-format", "json"]).env("TOGGL_TIMEOUT", "1h");
    let running = fetcher.start().await.unwrap();
    let ended = |number: usize| format!(r#""account":"{}""#, name(number));
    for number in 2..5 {
        let seen = || async {
            let log = running.log();
            let mut lines = log.lines().filter(|line| line.contains("Finished in"));
            lines.any(|line| line.contains(&ended(number))).then_some(())
        };
        tests::servers::wait_for(&name(number), DEADLINE, seen).await.unwrap();
    }
    assert_eq!(running.terminate().await.unwrap(), Some(1), "{}", running.log());
    let log = running.log();
    assert_eq!(told(&log), [name(2), name(4)], "{log}");
    let error = |words: &str| log.lines().position(|line| line.starts_with(words));
    assert!(error("error: account a01: Toggl refuses").is_some(), "{log}");
    assert!(error("error: account a03: could not read time_entries").is_some(), "{log}");
    assert!(error("error: interrupted").is_some(), "{log}");
    assert!(error("error: account a00").is_none(), "{log}");
    many.load().await;
    let mut connection = many.world.connect().await.unwrap();
    let entries = raw_rows(&mut connection, resource("time_entries")).await.unwrap();
    assert_eq!(entries.into_keys().collect::<Vec<_>>(), [user_id(2), user_id(4)]);
    // Whoever follows reads what those before it cannot.
    assert_eq!(count(&mut connection, resource("projects")).await.unwrap(), 4);
}

#[tokio::test]
async fn two_names_of_one_account_are_read_one_after_the_other() {
    let many = ManyAccounts::start(vec![member(0), member(1)]).await;
    many.store(2, &token(0)).await;
    let finished = many.sync(&["--if-running", "fail"]).await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(told(&finished.stdout), [name(0), name(1), name(2)]);
}

/// Members of one workspace, some of them admins, some with a workspace of their own; each sees the shared rows in a
/// way of its own, so that the tables tell whose view they hold.
fn mixed(dice: &mut Dice, number: usize) -> Account {
    let mut account = member(number);
    if dice.below(3) == 0 {
        let workspace = account.workspaces()[0].text().to_owned();
        let role = [("admin", "true"), ("role", r#""admin""#)];
        account.put_workspace(&with_fields(&workspace, &role));
    }
    if dice.below(2) == 0 {
        let own = SHARED + 1 + i64::try_from(number).unwrap();
        let text = account.workspaces()[0].text().replace("2230991", &own.to_string());
        account.put_workspace(&text);
    }
    for list in [List::Projects, List::Clients, List::Tags] {
        let ids: Vec<i64> =
            account.records(list, SHARED).iter().map(tests::toggl::Record::id).collect();
        for id in ids {
            account.edit(list, SHARED, id, &[("seen_by", &number.to_string())]);
        }
        if dice.below(2) == 0 {
            account.remove(list, SHARED, account.records(list, SHARED)[0].id());
        }
    }
    account
}

/// Refusals of single lists, or of a token, as chance has it.
fn refusals(dice: &mut Dice, accounts: usize) -> Vec<(String, Answer)> {
    let mut refusals = Vec::new();
    for number in 0..accounts {
        for list in ["projects", "clients", "tags", "users", "groups"] {
            if dice.below(4) == 0 {
                let path = format!("/api/v9/workspaces/{SHARED}/{list}");
                let status = [402, 403, 404][dice.below(3)];
                refusals.push((path, Answer::status(status).forever().only_for(&token(number))));
            }
        }
        if dice.below(8) == 0 {
            refusals.push((ME.to_owned(), Answer::status(403).forever().only_for(&token(number))));
        }
    }
    refusals
}

/// What the tables hold and claim, without the times at which it was asked for.
async fn held(many: &ManyAccounts) -> BTreeSet<String> {
    let mut connection = many.world.connect().await.unwrap();
    let mut held = BTreeSet::new();
    for resource in shared::catalogue::CATALOGUE {
        for (id, row) in raw_rows(&mut connection, resource).await.unwrap() {
            let (name, is_deleted) = (resource.name, row.deleted_at.is_some());
            held.insert(format!("{name} {id} deleted {is_deleted} {}", row.data));
        }
    }
    let sql = "select concat_ws(' ', 'claim', resource, workspace_id, user_id, ids, starts is null)
               from raw.toggl_track__claims";
    let claims: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
    held.extend(claims);
    held
}

/// Two rounds of syncs, the second with other refusals; what is held after each.
async fn rounds(
    accounts: Vec<Account>,
    refusals: &[Vec<(String, Answer)>],
    at_once: &str,
) -> Vec<BTreeSet<String>> {
    let many = ManyAccounts::start(accounts).await;
    let mut after = Vec::new();
    for refusals in refusals {
        many.toggl.clear_scripts();
        for (path, answer) in refusals {
            many.toggl.script(path, answer.clone());
        }
        let arguments = ["--workspace", "all", "--only", "all", "--accounts-at-once", at_once];
        let finished = many.sync(&arguments).await;
        assert!(matches!(finished.code, Some(0 | 3 | 6)), "{finished:#?}");
        many.load().await;
        let said = [finished.code.unwrap().to_string(), told(&finished.stdout).join(" ")];
        let mut held = held(&many).await;
        held.extend(said);
        after.push(held);
    }
    after
}

#[tokio::test]
async fn the_tables_are_those_that_the_accounts_leave_one_after_the_other() {
    let mut dice = Dice::new();
    for _ in 0..2 {
        let accounts: Vec<Account> = (0..5).map(|number| mixed(&mut dice, number)).collect();
        let refusals = [refusals(&mut dice, 5), refusals(&mut dice, 5)];
        let (in_turn, at_once) = futures::join!(
            rounds(accounts.clone(), &refusals, "1"),
            rounds(accounts, &refusals, "64")
        );
        for (round, (in_turn, at_once)) in in_turn.iter().zip(&at_once).enumerate() {
            let differs: Vec<_> = in_turn.symmetric_difference(at_once).collect();
            assert_eq!(differs, Vec::<&String>::new(), "round {round}");
        }
    }
}
