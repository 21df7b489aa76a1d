//! What Prometheus reads: true, complete, and named as the page about watching, the dashboard and the alerts do.

use std::collections::{BTreeMap, BTreeSet};

use shared::batch::Record;
use shared::catalogue::CATALOGUE;
use shared::listing::Span;
use sqlx::{Connection as _, Executor as _};
use tests::rows::ledger;
use tests::servers::{DEADLINE, wait_for};
use tests::toggl::Account;
use tests::world::World;

use crate::expected::rows::resource;
use crate::given::batches::{cut, publish, publish_raw, record};
use crate::given::watched::Watched;
use crate::staging::values::fixture;

const WATCHING: &str = include_str!("../../../docs/watching.md");
const LISTENING: &str = include_str!("../../../docs/listen.md");
const ALERTS: &str = include_str!("../../../monitoring/alerts.yml");
const DASHBOARD: &str = include_str!("../../../monitoring/grafana/dashboards/toggl-track.json");
const PROMETHEUS: &str = include_str!("../../../monitoring/prometheus.yml");
const COMPOSE: &str = include_str!("../../../docker-compose.yml");
const PREFIX: &str = "toggl_track_loader_";

/// Values by series, as `name` or `name{resource="tags"}`.
type Series = BTreeMap<String, f64>;

fn parse(text: &str) -> Series {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.replace("{}", ""), value.parse().unwrap())
    });
    samples.collect()
}

fn of(series: &Series, name: &str, resource: &str) -> f64 {
    let name = format!("{PREFIX}{name}{{resource=\"{resource}\"}}");
    *series.get(&name).unwrap_or_else(|| panic!("{name} is missing in {series:#?}"))
}

impl Watched {
    async fn series(&self) -> Series {
        let (status, text) = self.answer("/metrics").await;
        assert_eq!(status, 200);
        assert!(text.ends_with("# EOF\n"), "{text}");
        parse(&text)
    }

    /// Waits until a series has at least this value.
    async fn reaches(&self, name: &str, resource: &str, least: f64) -> f64 {
        let what = format!("{name} of {resource} to reach {least}");
        let reached = wait_for(&what, DEADLINE, || async {
            let series = self.series().await;
            let labels = format!("{PREFIX}{name}{{resource=\"{resource}\"}}");
            let value = *series.get(&labels).or_else(|| series.get(&format!("{PREFIX}{name}")))?;
            (value >= least).then_some(value)
        });
        reached.await.unwrap_or_else(|error| panic!("{error:#}\n{}", self.loader.log()))
    }
}

async fn empty() -> (World, Watched) {
    let world = World::start(Account::empty()).await.unwrap();
    let watched = Watched::start(&world).await;
    world.loaded().await.unwrap();
    (world, watched)
}

#[tokio::test]
async fn counters_say_what_the_ledger_says() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    let watched = Watched::start(&world).await;
    let before = watched.series().await;
    for resource in CATALOGUE {
        assert!(of(&before, "rows_received_total", resource.name).abs() < 0.1, "from the start");
    }
    world.sync(&[]).await.unwrap();
    // Else the second may overtake the first, which is stale then.
    world.loaded().await.unwrap();
    world.sync(&[]).await.unwrap();
    world.loaded().await.unwrap();
    let series = watched.series().await;
    let mut connection = world.connect().await.unwrap();
    for resource in CATALOGUE {
        let name = resource.name;
        let runs = ledger(&mut connection, name).await.unwrap();
        let kinds = ["received", "written", "unchanged", "stale", "deleted", "dead"];
        for (place, kind) in kinds.into_iter().enumerate() {
            let sum: i64 = runs.iter().map(|run| run[place]).sum();
            let found = of(&series, &format!("rows_{kind}_total"), name);
            assert_eq!(found.to_string(), sum.to_string(), "{kind} of {name}");
        }
        let batches = of(&series, "batches_total", name);
        let commits = of(&series, "commit_seconds_count", name);
        assert_eq!(batches.to_string(), commits.to_string(), "{name}");
    }
    assert!(of(&series, "rows_unchanged_total", "tags") >= 12.0);
    assert!(of(&series, "commit_seconds_sum", "tags") > 0.0);
}

#[tokio::test]
async fn what_is_kept_waits_or_comes_again_is_counted() {
    let (world, watched) = empty().await;
    let context = world.jetstream().await.unwrap();
    let tags = resource("tags");
    publish_raw(&context, tags.subject(), None, "garbage".into()).await;
    watched.reaches("rows_dead_total", "tags", 1.0).await;
    watched.reaches("dead_letters", "tags", 1.0).await;

    let mut connection = world.connect().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    transaction.execute("lock table raw.toggl_track__tags").await.unwrap();
    publish(&context, &cut(tags, 10, Span::Partial, vec![record(tags, 1, 5, "tag")])).await;
    watched.reaches("lag_messages", "tags", 1.0).await;
    watched.reaches("lag_seconds", "tags", 2.0).await;
    // The lock outlasts the patience of a statement, too.
    watched.reaches("postgres_reconnects_total", "tags", 1.0).await;
    // Who is frozen no longer asks for more time, and another gets it.
    let other = Watched::start(&world).await;
    watched.loader.signal("STOP").unwrap();
    other.reaches("redeliveries_total", "tags", 1.0).await;
    watched.loader.signal("CONT").unwrap();
    transaction.rollback().await.unwrap();
    world.loaded().await.unwrap();
    other.reaches("rows_received_total", "tags", 1.0).await;
    let settled = wait_for("no lag", DEADLINE, || async {
        (of(&watched.series().await, "lag_messages", "tags") < 0.5).then_some(())
    });
    settled.await.unwrap();
}

#[tokio::test]
async fn what_is_not_known_has_no_value() {
    let (world, watched) = empty().await;
    watched.reaches("nats_up", "", 1.0).await;
    world.nats.kill9().unwrap();
    watched.answers("/metrics", 200, &["toggl_track_loader_nats_up 0"]).await;
    let series = watched.series().await;
    let lag = series.keys().find(|name| name.contains("lag_") || name.contains("stream_bytes"));
    assert_eq!(lag, None);
    assert!(of(&series, "dead_letters", "tags").abs() < 0.1, "Postgres is there");
}

/// Words of a text that begin as the metrics of both programs do.
fn named_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("toggl_track_")).map(str::to_owned).collect()
}

fn names_of(text: &str) -> BTreeSet<String> {
    let series = parse(text).into_keys();
    series.map(|series| series.split('{').next().unwrap_or_default().to_owned()).collect()
}

/// Metrics by name, and of which type each is.
pub(crate) fn served(text: &str) -> BTreeMap<String, String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let types = types.map(|(name, kind)| {
        let total = if kind == "counter" { "_total" } else { "" };
        (format!("{name}{total}"), kind.to_owned())
    });
    types.collect()
}

/// The same, as the table of a page has them.
pub(crate) fn documented(page: &str, prefix: &str) -> BTreeMap<String, String> {
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        let name = cells.next()?.trim_end_matches('`');
        name.starts_with(prefix).then(|| (name.to_owned(), cells.next().unwrap_or("").to_owned()))
    });
    rows.collect()
}

#[tokio::test]
async fn the_page_the_dashboard_and_the_alerts_name_what_is_served() {
    let (world, watched) = empty().await;
    let tags = resource("tags");
    let context = world.jetstream().await.unwrap();
    publish(&context, &cut(tags, 10, Span::Partial, vec![record(tags, 1, 5, "tag")])).await;
    watched.reaches("last_publish_timestamp_seconds", "", 1.0).await;
    // Of what nobody has promised nothing is told.
    let folder = tempfile::tempdir().unwrap();
    let textfile = folder.path().join("fetcher.prom");
    let promising = ["--promise", "1h", "--metrics-textfile", textfile.to_str().unwrap()];
    world.sync(&promising).await.unwrap();
    watched.reaches("promise_kept", "time_entries", 1.0).await;
    // Of what Toggl counted nothing is told until somebody asks.
    let inventories = resource("inventories");
    let data = fixture(inventories.name).to_string();
    let inventory = Record { data: data.into(), ..record(inventories, 1, 5, "inventory") };
    publish(&context, &cut(inventories, 10, Span::Partial, vec![inventory])).await;
    watched.reaches("verified_timestamp_seconds", "", 1.0).await;
    // Of copies nothing is told where there is none.
    let copy = world.loader(&["--copy", "analysts"]).start().await.unwrap();
    let told = wait_for("the copy to be told of", DEADLINE, || async {
        let text = watched.answer("/metrics").await.1;
        text.contains(r#"copy="analysts""#).then_some(text)
    });
    let text = told.await.unwrap();
    assert_eq!(copy.terminate().await.unwrap(), Some(0));
    let of_the_fetcher = names_of(&std::fs::read_to_string(textfile).unwrap());
    assert!(of_the_fetcher.iter().all(|name| name.starts_with("toggl_track_fetcher_")));
    // The page about listening is held against what is served there by a test of its own.
    let of_the_listener = documented(LISTENING, "toggl_track_listener_").into_keys();
    let samples: BTreeSet<String> =
        names_of(&text).into_iter().chain(of_the_fetcher).chain(of_the_listener).collect();
    for (file, used) in [("alerts.yml", named_in(ALERTS)), ("the dashboard", named_in(DASHBOARD))] {
        assert!(used.len() > 8, "{used:?}");
        let unknown: Vec<_> = used.difference(&samples).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}, which no program tells");
    }

    assert_eq!(documented(WATCHING, PREFIX), served(&text));
}

#[test]
fn the_alert_about_old_tables_names_those_that_a_usual_sync_reads() {
    let usual = CATALOGUE.iter().filter(|resource| resource.by_default);
    let names: Vec<_> = usual.map(|resource| resource.name).collect();
    let label = format!("fetched_age_seconds{{resource=~\"{}\"}}", names.join("|"));
    assert!(ALERTS.contains(&label), "{label}");
}

#[test]
fn prometheus_asks_where_loaders_and_listener_of_the_compose_stack_serve() {
    assert!(COMPOSE.contains("LOADER_HTTP: 0.0.0.0:9464"));
    assert!(PROMETHEUS.contains("names: [loader]") && PROMETHEUS.contains("port: 9464"));
    assert!(COMPOSE.contains("command: [listen, --address, 0.0.0.0:9092]"));
    assert!(PROMETHEUS.contains("names: [listener]") && PROMETHEUS.contains("port: 9092"));
    let jobs: Vec<_> = ALERTS.split("job=\"").skip(1).collect();
    assert!(jobs.iter().all(|rest| rest.starts_with("toggl-track-loader\"")), "{jobs:?}");
    assert!(PROMETHEUS.contains("job_name: toggl-track-loader"));
}
