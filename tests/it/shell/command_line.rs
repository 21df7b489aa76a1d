//! What a person and a log collector see.

use fetcher::publisher::Publisher;
use fetcher::state::State;
use fetcher::toggl::{Client, TogglArgs};
use fetcher::{SyncOptions, sync_all};
use jiff::civil::DateTime;
use shared::nats::jetstream;
use shared::stream::{StreamArgs, ensure_stream};
use tests::servers::DEADLINE;
use tests::toggl::Account;
use tests::world::World;

const COMPONENTS: [&str; 14] = [
    "toggl-orchestrator",
    "toggl-masters",
    "toggl-time-entries",
    "toggl-api",
    "vault",
    "publisher",
    "subscriber",
    "raw-client",
    "replay",
    "migrations",
    "prune",
    "nats",
    "http",
    "start",
];

async fn world() -> World {
    World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap()
}

/// `[2025-12-10 01:12:18] INFO  [toggl-orchestrator] Starting …`; answers the level.
fn level_of(line: &str) -> &str {
    let parts = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    let (time, rest) = parts.unwrap_or_else(|| panic!("no time: {line}"));
    assert!(DateTime::strptime("%Y-%m-%d %H:%M:%S", time).is_ok(), "no time: {line}");
    let (level, rest) = rest.split_once('[').unwrap_or_else(|| panic!("no component: {line}"));
    assert_eq!(level.len(), 6, "{line}");
    let (component, words) = rest.split_once("] ").unwrap_or_else(|| panic!("no words: {line}"));
    assert!(COMPONENTS.contains(&component), "{line}");
    assert!(!words.is_empty(), "{line}");
    level.trim()
}

#[tokio::test]
async fn each_log_level_says_what_it_should_and_the_summary_is_always_there() {
    let world = world().await;
    let mut lines = Vec::new();
    for level in ["warn", "info", "debug"] {
        let finished = world.sync(&["--log-level", level]).await.unwrap();
        let summary: Vec<&str> = finished.stdout.lines().collect();
        assert_eq!(summary[0], "[OK] Toggl Track sync completed:");
        assert_eq!(summary[1], "  Time entries: 5");
        assert_eq!(
            summary[2],
            r#"  Masters: {"me":1,"workspaces":1,"projects":4,"clients":5,"tags":12,"users":2,"groups":1}"#
        );
        assert!(summary[3].starts_with("  Elapsed: ") && summary[3].ends_with('s'));
        assert!(summary[4].starts_with("  Note: Time entries are those of 1 of 2 people"));
        assert_eq!(summary.len(), 5, "{summary:#?}");
        let levels: Vec<String> =
            finished.stderr.lines().map(|line| level_of(line).to_owned()).collect();
        lines.push(levels);
    }
    assert_eq!(lines[0], Vec::<String>::new(), "nothing needs a person");
    assert!(lines[1].iter().all(|level| level == "INFO") && lines[1].len() >= 8, "{lines:?}");
    assert!(lines[2].contains(&"DEBUG".to_owned()) && lines[2].len() > lines[1].len());
}

#[tokio::test]
async fn a_sync_says_at_its_beginning_what_it_reads() {
    let world = world().await;
    for (words, beginning) in [
        (&["--days", "2"][..], "Starting Toggl Track full sync (2 days)"),
        (&["--only", "tags"], "Starting Toggl Track sync of tags\n"),
        (&["--only", "tags,time_entries"], "sync of tags, time_entries (3 days)"),
    ] {
        let finished = world.sync(words).await.unwrap();
        assert!(finished.stderr.contains(beginning), "{}", finished.stderr);
    }
}

#[tokio::test]
async fn debug_lines_show_every_request() {
    let world = world().await;
    let finished = world.sync(&["--log-level", "debug"]).await.unwrap();
    for seen in world.toggl.requests() {
        let shown = finished.stderr.contains(&format!("GET {}", seen.path));
        assert!(shown, "{} is not in the log: {}", seen.path, finished.stderr);
    }
}

#[tokio::test]
async fn where_everything_is_logged_lines_about_a_run_end_with_its_id_in_both_programs() {
    let world = world().await;
    let finished = world.sync(&["--log-level", "debug"]).await.unwrap();
    let loader = world.loader(&["--log-level", "debug"]).start().await.unwrap();
    world.loaded().await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
    let id = |line: &str| line.rsplit_once(" run_id=").map(|(_, id)| id.to_owned());
    let first = finished.stderr.lines().find_map(id).unwrap();
    let about_it = |log: &str| log.lines().filter_map(id).filter(|id| *id == first).count();
    assert!(about_it(&finished.stderr) >= 8, "{}", finished.stderr);
    let upserted = loader.log().matches("Upserted").count();
    assert!(upserted > 0 && about_it(&loader.log()) >= upserted, "{}", loader.log());
}

#[tokio::test]
async fn the_usual_lines_do_without_the_id_of_their_run_but_in_json() {
    let world = world().await;
    let text = world.sync(&[]).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
    for log in [text.stderr, loader.log()] {
        assert!(log.lines().count() > 8 && !log.contains("run_id"), "{log}");
    }
    let json = world.fetcher(&[]).env("LOG_FORMAT", "json").run().await.unwrap();
    let mut lines = json.stderr.lines().filter(|line| !line.contains(r#""target":"nats""#));
    assert!(lines.all(|line| line.contains("run_id")), "{}", json.stderr);
}

#[tokio::test]
async fn json_logs_are_one_object_a_line() {
    let world = world().await;
    let fetcher = world.fetcher(&["--log-level", "debug"]).env("LOG_FORMAT", "json");
    let finished = fetcher.run().await.unwrap();
    assert!(finished.stderr.lines().count() > 8);
    for line in finished.stderr.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(object["timestamp"].is_string() && object["level"].is_string(), "{line}");
        if object["target"] != "nats" {
            assert!(object["span"]["run_id"].is_string(), "{line}");
        }
        assert!(COMPONENTS.contains(&object["target"].as_str().unwrap()), "{line}");
    }
}

#[tokio::test]
async fn the_loader_names_tables_and_counts() {
    let world = world().await;
    world.sync(&[]).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
    for words in [
        "[raw-client] Upserted 4 records to raw.toggl_track__projects",
        "[raw-client] Upserted 5 records to raw.toggl_track__time_entries",
        "[subscriber] Stopped",
    ] {
        assert!(loader.log().contains(words), "{words:?} is not in the log: {}", loader.log());
    }
    // The vault of this server has no root key, which does need a person; nothing else does.
    for line in loader.log().lines() {
        let level = level_of(line);
        assert!(level == "INFO" || line.contains("root key"), "{line}");
    }
}

#[tokio::test]
async fn the_lines_of_a_loader_have_the_same_form_at_every_level() {
    let world = world().await;
    for (level, least) in [("debug", 20), ("info", 4), ("warn", 1)] {
        // Something to load each time: a loader that is stopped before it begins says less.
        world.sync(&[]).await.unwrap();
        // A vault without its key is what even `warn` speaks of.
        let loader = world.loader(&["--log-level", level]).env("VAULT_KEY_FILE", "/no/such/key");
        let loader = loader.start().await.unwrap();
        world.loaded().await.unwrap();
        assert_eq!(loader.terminate().await.unwrap(), Some(0));
        let log = loader.log();
        let levels: Vec<&str> = log.lines().map(level_of).collect();
        assert!(levels.len() >= least, "{log}");
        assert_eq!(levels.contains(&"DEBUG"), level == "debug", "{log}");
        assert_eq!(levels.contains(&"INFO"), level != "warn", "{log}");
    }
    let loader = world.loader(&["--log-format", "json", "--log-level", "debug"]);
    let loader = loader.start().await.unwrap();
    loader.logged("Loading", DEADLINE).await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
    for line in loader.log().lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(COMPONENTS.contains(&object["target"].as_str().unwrap()), "{line}");
    }
}

#[tokio::test]
async fn a_sync_is_a_library_call_that_answers_counts() {
    let world = world().await;
    let provider = rustls::crypto::ring::default_provider().install_default();
    drop(provider);
    let nats = async_nats::connect(world.nats.url()).await.unwrap();
    let max_payload = nats.server_info().max_payload;
    let context = jetstream(nats);
    let stream = StreamArgs {
        stream_max_age: Some(std::time::Duration::ZERO),
        stream_max_bytes: Some(64 * 1024 * 1024),
        ..StreamArgs::default()
    };
    ensure_stream(&context, &stream).await.unwrap();
    let args = TogglArgs {
        toggl_url: world.toggl.url(),
        toggl_allow_http: false,
        requests_per_second: 1_000.0,
        burst: 1_000,
        toggl_timeout: std::time::Duration::from_mins(1),
        max_wait: std::time::Duration::ZERO,
    };
    let client = Client::new(&args, tests::toggl::TOKEN.into()).unwrap();
    let state = State::open(&context, &stream).await.unwrap();
    let publisher = Publisher::new(context, max_payload);
    let options = SyncOptions::default();
    let result = sync_all(&client, &publisher, &state, &options).await.unwrap();
    assert!(result.is_complete(), "{result:#?}");
    assert_eq!(result.run_id, publisher.run_id());
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
