//! What one report remembers for the next: where it was, whatever ended it, and for how long.

use jiff::SignedDuration;
use serde_json::Value;
use tests::toggl::{Account, AccountSize, Answer, with_fields};
use tests::world::World;

use crate::expected::endings::assert_fails;
use crate::given::bucket::Bucket;
use crate::reports::reporting::{REPORT, days_ago, live_ids, load, questions, reported, team};

/// Fifteen pages of a hundred entries, some two weeks on each.
async fn world() -> World {
    let size = AccountSize { days: 200, ..team(1_500) };
    let world = World::start(Account::generate(&size)).await.unwrap();
    world.toggl.configure(|behaviour| behaviour.report_page_cap = 100);
    world
}

/// The fifth page ends the report.
fn end_on_page_five(world: &World, answer: Answer) {
    world.toggl.script(REPORT, Answer::pass_through().repeat(4));
    world.toggl.script(REPORT, answer);
}

fn times(questions: &[Value], question: &Value) -> usize {
    questions.iter().filter(|asked| *asked == question).count()
}

async fn goes_on_after(ending: Answer, code: i32, words: &str) {
    let world = world().await;
    let command = ["report", "--from", &days_ago(202)];
    end_on_page_five(&world, ending);
    let ended = world.fetcher(&command).run().await.unwrap();
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(said.contains(words), "{words} is not in {said}");
    let before = questions(&world);
    assert!(before.len() >= 5, "{before:?}");

    let again = world.sync(&command).await.unwrap();

    assert!(again.stderr.contains("Going on with the report"), "{}", again.stderr);
    let asked = questions(&world);
    for question in &before[..3] {
        assert_eq!(times(&asked, question), 1, "asked again: {question}");
    }
    // The last day of the fourth page was held back, and not sent.
    assert!(times(&asked, &before[3]) <= 2, "{asked:?}");
    load(&world).await;
    let expected = world.toggl.with_account(|account| reported(account));
    assert_eq!(live_ids(&world).await, expected);
    let said = format!("Time entries of workspace 2230991: {}", expected.len());
    assert!(again.stdout.contains(&said), "{said} is not in {}", again.stdout);
}

#[tokio::test]
async fn a_report_that_two_502s_ended_goes_on_there() {
    let ending = Answer::status(502).body("<html>bad gateway</html>").repeat(2);
    goes_on_after(ending, 1, "the same command goes on there").await;
}

#[tokio::test]
async fn a_report_that_a_403_ended_goes_on_there() {
    goes_on_after(Answer::status(403).body(r#""no more""#), 6, "no more").await;
}

#[tokio::test]
async fn a_report_that_a_404_ended_goes_on_there() {
    goes_on_after(Answer::status(404).body(r#""who are you""#), 6, "who are you").await;
}

#[tokio::test]
async fn a_report_that_a_body_of_another_form_ended_goes_on_there() {
    goes_on_after(Answer::json(r#"{"rows":[]}"#), 1, "not what it should be").await;
}

/// A second workspace, with a few of the entries.
fn of_two_workspaces() -> Account {
    let mut account = Account::generate(&team(300));
    let other = account.workspaces()[0].text().replace("2230991", "777");
    account.put_workspace(&other);
    let entries: Vec<_> = account.time_entries().take(50).cloned().collect();
    for entry in entries {
        account.put_time_entry(&with_fields(entry.text(), &[("workspace_id", "777")]));
    }
    account
}

#[tokio::test]
async fn a_workspace_that_was_read_is_not_read_again_until_all_of_them_were() {
    let world = World::start(of_two_workspaces()).await.unwrap();
    let command = ["report", "--from", &days_ago(200), "--workspace", "all"];
    let count = |workspace: &str| {
        world.toggl.count(&format!("/reports/api/v3/workspace/{workspace}/search/time_entries"))
    };
    let failing = "/reports/api/v3/workspace/777/search/time_entries";
    world.toggl.script(failing, Answer::status(502).repeat(2));
    let failed = world.fetcher(&command).run().await.unwrap();
    assert_fails(&failed, 1, &["time_entries_report", "502"]);
    assert_eq!((count("2230991"), count("777")), (1, 2));

    world.sync(&command).await.unwrap();
    assert_eq!((count("2230991"), count("777")), (1, 3), "only what was missing");

    world.sync(&command).await.unwrap();
    assert_eq!((count("2230991"), count("777")), (2, 4), "it begins anew");
}

#[tokio::test]
async fn a_report_that_was_interrupted_too_long_ago_begins_anew_and_says_so() {
    let world = world().await;
    let from = days_ago(202);
    let command = ["report", "--from", &from];
    end_on_page_five(&world, Answer::status(502).repeat(2));
    assert_eq!(world.fetcher(&command).run().await.unwrap().code, Some(1));
    let first = questions(&world)[0].clone();

    // Six days are not too long, eight are.
    let bucket = Bucket::of(&world).await;
    let key = format!("report.2230991.all.{from}.today");
    bucket.age(&key, SignedDuration::from_hours(6 * 24)).await;
    world.toggl.script(REPORT, Answer::pass_through());
    world.toggl.script(REPORT, Answer::status(502).repeat(2));
    let young = world.fetcher(&command).run().await.unwrap();
    assert!(young.stderr.contains("Going on with the report"), "{}", young.stderr);
    assert_eq!(times(&questions(&world), &first), 1);

    bucket.age(&key, SignedDuration::from_hours(8 * 24)).await;
    end_on_page_five(&world, Answer::status(502).repeat(2));
    let old = world.fetcher(&command).run().await.unwrap();
    assert!(old.stderr.contains("too old to go on with; it begins anew"), "{}", old.stderr);
    assert_eq!(times(&questions(&world), &first), 2);

    let impatient = [&command[..], &["--resume-within", "1ms"]].concat();
    let finished = world.sync(&impatient).await.unwrap();
    assert!(finished.stderr.contains("it begins anew"), "{}", finished.stderr);
    assert_eq!(times(&questions(&world), &first), 3);
    load(&world).await;
    assert_eq!(live_ids(&world).await, world.toggl.with_account(|account| reported(account)));
}

#[tokio::test]
async fn days_after_the_last_that_toggl_has_published_are_asked_for_and_refused_by_toggl() {
    let world = World::start(Account::generate(&AccountSize::default())).await.unwrap();
    let command = ["report", "--from", &days_ago(40), "--to", "2040-02-01"];
    let refused = world.fetcher(&command).run().await.unwrap();
    let words = ["end_date must be between 2006-01-01 and 2030-01-01", "400"];
    assert_fails(&refused, 1, &words);
    assert!(!refused.stdout.contains("[OK]"), "{}", refused.stdout);
    let asked = questions(&world);
    let last = asked.last().unwrap()["end_date"].as_str().unwrap();
    assert!(last > "2030-01-01", "{last}");
    load(&world).await;
    assert_eq!(live_ids(&world).await.len(), world.toggl.with_account(|a| reported(a)).len());
}
