//! The fetcher as other programs use it: by `fetcher` alone.

use std::time::Duration;

use fetcher::{
    Date, FetchError, Fetcher, ReportDays, ReportOptions, Settings, SetupError, SyncOptions,
};
use tests::toggl::{Account, Answer, TOKEN};
use tests::world::World;

const GROUPS: &str = "/api/v9/workspaces/{w}/groups";
const REPORT: &str = "/reports/api/v3/workspace/{w}/search/time_entries";

async fn world() -> World {
    World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap()
}

fn settings(world: &World) -> Settings {
    let mut settings = Settings::new(world.nats.url(), TOKEN);
    settings.toggl.toggl_url = world.toggl.url();
    settings.toggl.burst = 1_000;
    settings.stream.stream_max_bytes = Some(64 * 1024 * 1024);
    settings
}

#[tokio::test]
async fn a_few_lines_sync_and_count_and_may_be_repeated_at_once() {
    let world = world().await;
    let fetcher = Fetcher::connect(settings(&world)).await.unwrap();
    // A lease that was not given back would keep the second from beginning.
    let options = SyncOptions { days: 3, patience: Duration::ZERO, ..SyncOptions::default() };
    for _ in 0..2 {
        let result = fetcher.sync(&options).await.unwrap();
        assert_eq!(result.time_entries_count, 5);
        let masters = [
            ("me", 1),
            ("workspaces", 1),
            ("projects", 4),
            ("clients", 5),
            ("tags", 12),
            ("users", 2),
            ("groups", 1),
        ];
        assert_eq!(result.masters_counts, masters);
    }
}

#[tokio::test]
async fn what_is_closed_to_the_account_makes_a_run_an_error_with_the_result_inside() {
    let world = world().await;
    let fetcher = Fetcher::connect(settings(&world)).await.unwrap();
    world.toggl.script(GROUPS, Answer::status(403).body(r#""not yours""#).forever());
    let error = fetcher.sync(&SyncOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("groups was skipped"), "{error}");
    let FetchError::IncompleteSync(result) = error else { panic!("{error}") };
    assert_eq!((result.time_entries_count, result.skipped.len()), (5, 1));

    world.toggl.script(REPORT, Answer::status(403).body(r#""not yours""#).forever());
    let options = ReportOptions {
        days: ReportDays::Between("2024-01-01".parse::<Date>().unwrap(), None),
        resume_within: Duration::from_hours(1),
        workspaces: fetcher::Workspaces::Default,
        restart: false,
        patience: Duration::ZERO,
        known_owner: false,
    };
    let error = fetcher.report(&options).await.unwrap_err();
    assert!(matches!(error, FetchError::IncompleteReport(_)), "{error}");
}

#[tokio::test]
async fn what_is_no_token_is_refused_before_anything_is_asked() {
    let world = world().await;
    let mut wrong = settings(&world);
    wrong.api_token = "two words".into();
    let error = Fetcher::connect(wrong).await.unwrap_err();
    assert!(matches!(error, SetupError::Token(_)), "{error}");
    assert!(!error.to_string().contains("two words"), "{error}");
}
