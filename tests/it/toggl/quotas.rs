//! The hourly quota: known before a run, waited for where that is allowed, and no end of the work.

use std::time::Duration;

use jiff::Timestamp;
use tests::rows::count;
use tests::toggl::{Account, AccountSize, Answer, QuotaLimits};
use tests::workers::Finished;
use tests::world::World;

use crate::expected::endings::assert_fails;
use crate::expected::rows::{assert_tables_hold, resource};

const PROJECTS: &str = "/api/v9/workspaces/2230991/projects";
const CHECK: &[&str] = &["check"];

/// A sync of this account takes some 45 requests: 8,000 projects are 40 pages.
fn large() -> AccountSize {
    AccountSize { projects: 8_000, time_entries: 20, days: 2, ..AccountSize::default() }
}

fn limits(organization: u32, window: Duration) -> QuotaLimits {
    QuotaLimits { organization, window, ..QuotaLimits::default() }
}

async fn load(world: &World) {
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_sync_of_45_requests_with_a_quota_of_30_stops_and_the_next_one_finishes_the_job() {
    let world = World::start(Account::generate(&large())).await.unwrap();
    // An hour of Toggl's is twenty seconds here.
    world.toggl.limit_quota(limits(30, Duration::from_secs(20)));
    let no_wait = ["--days", "3", "--max-wait", "0s"];
    let finished = world.fetcher(&no_wait).run().await.unwrap();
    assert_fails(
        &finished,
        4,
        &["quota of the requests of workspace 2230991", "come back in", "goes on"],
    );
    load(&world).await;
    let mut connection = world.connect().await.unwrap();
    let projects = count(&mut connection, resource("projects")).await.unwrap();
    assert!((4_000..8_000).contains(&projects), "what was fetched is sent: {projects}");
    let claims: Vec<String> =
        sqlx::query_scalar("select distinct resource from raw.toggl_track__claims")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert!(!claims.contains(&"projects".to_owned()), "half a listing claims nothing: {claims:?}");
    assert!(
        claims.contains(&"time_entries".to_owned()),
        "the user's own quota is another: {claims:?}"
    );
    let first = world.toggl.requests();

    let finished = world.fetcher(&["--days", "3", "--max-wait", "1m"]).run().await.unwrap();
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    let said = "Uncertain: projects (an earlier run has read its first pages)";
    assert!(finished.stdout.contains(said), "{}", finished.stdout);
    assert!(
        finished.stdout.contains("Read by the run that was interrupted: "),
        "{}",
        finished.stdout
    );
    assert!(finished.stdout.contains(r#""projects":8003"#), "{}", finished.stdout);
    assert!(finished.stderr.contains("Going on with the sync"), "{}", finished.stderr);
    assert!(finished.stderr.contains("for its reset"), "{}", finished.stderr);
    load(&world).await;
    assert_tables_hold(&world).await;

    let pages = |requests: &[tests::toggl::SeenRequest]| {
        let pages = requests.iter().filter(|r| r.path == PROJECTS && r.status == Some(200));
        pages.map(|request| request.query.clone()).collect::<Vec<_>>()
    };
    let all = pages(&world.toggl.requests());
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "no page was read twice: {all:?}");
    assert!(pages(&first).len() > 20);
}

#[tokio::test]
async fn a_reset_within_the_longest_wait_is_waited_out_in_the_middle_of_a_sync() {
    let world = World::start(Account::generate(&large())).await.unwrap();
    world.toggl.limit_quota(limits(30, Duration::from_secs(4)));
    // The first look has nothing to claim yet.
    world.sync(&["--days", "3"]).await.unwrap();
    let finished = world.fetcher(&["--days", "3"]).run().await.unwrap();
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    let said = "Uncertain: projects (a page of it had to wait for a quota)";
    assert!(finished.stdout.contains(said), "{}", finished.stdout);
    assert!(finished.stderr.contains("Toggl's quota resets in"), "{}", finished.stderr);
    load(&world).await;
    assert_tables_hold(&world).await;
    let mut connection = world.connect().await.unwrap();
    let claims: Vec<String> =
        sqlx::query_scalar("select distinct resource from raw.toggl_track__claims")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert!(!claims.contains(&"projects".to_owned()), "its pages are seconds apart: {claims:?}");
    assert!(claims.contains(&"clients".to_owned()), "{claims:?}");
}

#[tokio::test]
async fn a_quota_known_to_be_used_up_is_not_asked_in_vain() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    world.toggl.limit_quota(limits(3, Duration::from_hours(1)));
    let first = world.fetcher(&[]).run().await.unwrap();
    assert_fails(&first, 4, &["come back in "]);
    let before = world.toggl.count("/api/v9/workspaces");
    let second = world.fetcher(&[]).run().await.unwrap();
    assert_fails(&second, 4, &["come back in "]);
    assert_eq!(world.toggl.count("/api/v9/workspaces"), before);
}

#[tokio::test]
async fn the_users_own_quota_stops_the_time_entries_and_not_the_masters() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    world.toggl.limit_quota(QuotaLimits { me: 1, ..QuotaLimits::default() });
    let finished = world.fetcher(&["--days", "60"]).run().await.unwrap();
    assert_fails(&finished, 4, &["your own requests"]);
    load(&world).await;
    let mut connection = world.connect().await.unwrap();
    assert!(count(&mut connection, resource("projects")).await.unwrap() > 0);
    assert_eq!(count(&mut connection, resource("time_entries")).await.unwrap(), 0);
}

#[tokio::test]
async fn windows_that_a_quota_interrupted_are_not_read_again() {
    let size = AccountSize { time_entries: 12_000, days: 80, ..AccountSize::default() };
    let world = World::start(Account::generate(&size)).await.unwrap();
    world.toggl.limit_quota(QuotaLimits {
        me: 8,
        window: Duration::from_secs(25),
        ..QuotaLimits::default()
    });
    let finished = world.fetcher(&["--days", "85", "--max-wait", "0s"]).run().await.unwrap();
    assert_fails(&finished, 4, &["your own requests"]);
    let finished = world.fetcher(&["--days", "85", "--max-wait", "1m"]).run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(finished.stdout.contains("Time entries: 12000"), "{}", finished.stdout);
    load(&world).await;
    assert_tables_hold(&world).await;
}

#[tokio::test]
async fn what_a_run_will_cost_is_said_before_it_starts() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    world.toggl.limit_quota(QuotaLimits { me: 30, organization: 30, ..QuotaLimits::default() });
    let first = world.sync(&[]).await.unwrap();
    let own = "of your own requests (/me), 29 of 30 an hour are left";
    assert!(first.stderr.contains(own), "{own} is not in {}", first.stderr);
    assert!(
        first.stderr.contains("about 5 of the requests of workspace 2230991"),
        "{}",
        first.stderr
    );
    assert_eq!(world.toggl.count("/api/v9/me/quota"), 1);

    let second = world.sync(&[]).await.unwrap();
    assert!(second.stderr.contains("of workspace 2230991, 24 of 30"), "{}", second.stderr);
    assert_eq!(world.toggl.count("/api/v9/me/quota"), 1, "it is known from the last headers");

    world.toggl.limit_quota(QuotaLimits { me: 30, organization: 30, ..QuotaLimits::default() });
    for _ in 0..4 {
        world.sync(&[]).await.unwrap();
    }
    let warned = world.fetcher(&["--only", "all"]).run().await.unwrap();
    assert!(warned.stderr.contains("the next run goes on"), "{}", warned.stderr);
}

/// What `check` says of a 402 that names neither quota nor plan.
async fn doubtful(world: &World) -> Finished {
    let groups = "/api/v9/workspaces/{w}/groups";
    world.toggl.script(groups, Answer::status(402).body("Payment Required").forever());
    world.fetcher(&["--max-wait", "0s"]).run().await.unwrap()
}

#[tokio::test]
async fn a_402_without_a_reason_is_looked_up_in_the_quotas() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    let finished = doubtful(&world).await;
    assert_eq!(finished.code, Some(6), "there is quota left, so it is the plan: {finished:#?}");

    let used_up = r#"[{"organization_id":1,"remaining":0,"total":30,"resets_in_secs":600},
                      {"organization_id":null,"remaining":5,"total":30,"resets_in_secs":600}]"#;
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    world.toggl.script("/api/v9/me/quota", Answer::json(used_up).forever());
    assert_fails(&doubtful(&world).await, 4, &["10 minutes"]);
}

#[tokio::test]
async fn a_402_that_nobody_explains_is_a_quota_once_and_the_plan_if_it_persists() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    world.toggl.script("/api/v9/me/quota", Answer::status(404).forever());
    assert_fails(&doubtful(&world).await, 4, &["come back in an hour"]);
    // An hour later.
    let user_id = world.toggl.with_account(|account| account.user_id());
    let context = world.jetstream().await.unwrap();
    let bucket = context.get_key_value(fetcher::state::BUCKET).await.unwrap();
    let key = format!("limits.{user_id}");
    let text = bucket.get(&key).await.unwrap().unwrap();
    let mut limits: serde_json::Value = serde_json::from_slice(&text).unwrap();
    for (_, since) in limits["doubts"].as_object_mut().unwrap() {
        *since = "2020-01-01T00:00:00Z".into();
    }
    limits["standings"] = serde_json::json!([]);
    bucket.put(&key, limits.to_string().into()).await.unwrap();

    let finished = doubtful(&world).await;

    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert!(finished.stdout.contains("Skipped: groups"), "{}", finished.stdout);
}

#[tokio::test]
async fn check_shows_owner_workspaces_plan_and_quota() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    world.toggl.limit_quota(QuotaLimits { me: 30, organization: 240, ..QuotaLimits::default() });
    let finished = world.fetcher(CHECK).run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    for words in ["2230991", "default", "your own (/me): ", " of 30", "of 240", "plan "] {
        assert!(finished.stdout.contains(words), "{words} is not in {}", finished.stdout);
    }
}
