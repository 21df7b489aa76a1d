//! A flag has its effect wherever it stands, or is refused.

use jiff::{SignedDuration, Timestamp};
use tests::servers::DEADLINE;
use tests::toggl::Account;
use tests::workers::Worker;
use tests::world::World;

use crate::expected::endings::assert_fails;
use crate::reports::reporting::{entry, live_ids, load};

const EVERY_SECOND: &str = "* * * * * *";

async fn world() -> World {
    World::start(Account::sample_at(Timestamp::now())).await.unwrap()
}

#[tokio::test]
async fn what_a_schedule_is_given_holds_for_each_of_its_runs() {
    for words in [
        &["--workspace", "all", "schedule", EVERY_SECOND, "--", "--only", "tags"][..],
        &["schedule", EVERY_SECOND, "--workspace", "all", "--", "--only", "tags"],
        // The run's own counts.
        &["--workspace", "1", "schedule", EVERY_SECOND, "--", "--workspace=all", "--only", "tags"],
    ] {
        let world = world().await;
        world.toggl.with_account(|account| {
            account.put_workspace(r#"{"id":777,"name":"Second","organization_id":42}"#);
        });
        let scheduler = world.fetcher(words).start().await.unwrap();
        scheduler.logged("The run has ended well", DEADLINE).await.unwrap();
        assert_eq!(scheduler.terminate().await.unwrap(), Some(0), "{}", scheduler.log());
        for workspace in [777, 2_230_991] {
            let path = format!("/api/v9/workspaces/{workspace}/tags");
            assert!(world.toggl.count(&path) > 0, "{words:?}: {path} was not asked for");
        }
        assert_eq!(world.toggl.count("/api/v9/workspaces/1/"), 0);
    }
}

#[tokio::test]
async fn a_flag_that_would_have_no_effect_is_refused_with_what_to_write() {
    for (words, instead) in [
        (&["--days", "30", "schedule"][..], "write `fetcher schedule '…' -- --days 30`"),
        (&["--days", "30", "report"], "write `fetcher report --days 30`"),
        (&["--only", "tags", "check"], "--only: write `fetcher check` without"),
        (&["credentials", "show", "--wait"], "--wait: write `fetcher credentials show` without"),
        (&["man", "--nats-url", "nats://h"], "--nats-url: write `fetcher man` without"),
        (&["schedule", "--if-running", "fail", "--", "check"], "write `fetcher check` without"),
    ] {
        let finished = Worker::new("fetcher", words).run().await.unwrap();
        assert_fails(&finished, 2, &[instead]);
        assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    }
}

#[tokio::test]
async fn settings_in_the_environment_are_for_every_command() {
    let world = world().await;
    let check = world.fetcher(&["check"]);
    let settings = [
        ("FETCHER_DAYS", "30"),
        ("FETCHER_ONLY", "tags"),
        ("FETCHER_WAIT", "1m"),
        ("TOGGL_WORKSPACE_ID", "all"),
    ];
    let check = settings.iter().fold(check, |check, (name, value)| check.env(name, *value));
    let finished = check.run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

#[tokio::test]
async fn a_report_of_the_last_days_reaches_back_so_far() {
    let world = world().await;
    let days_ago = |days: i64| Timestamp::now() - SignedDuration::from_hours(24 * days);
    world.toggl.with_account(|account| {
        for (id, days) in [(1, 20), (2, 28), (3, 31), (4, 40)] {
            account.put_time_entry(&entry(account, id, days_ago(days)));
        }
    });
    world.sync(&["report", "--days", "30"]).await.unwrap();
    load(&world).await;
    let ids = live_ids(&world).await;
    assert_eq!([1, 2, 3, 4].map(|id| ids.contains(&id)), [true, true, false, false], "{ids:?}");
}
