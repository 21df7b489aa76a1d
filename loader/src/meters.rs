//! What Prometheus reads: counters of this loader's work, and gauges of what it sees of the pipeline.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use shared::catalogue::CATALOGUE;
use shared::resource::Resource;

use crate::apply::Applied;
use crate::status::Status;

/// What every name begins with.
const PREFIX: &str = "toggl_track_loader";

/// A batch takes milliseconds where all is well, and half a minute at most.
const COMMIT_SECONDS: [f64; 12] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    resource: &'static str,
}

impl Label {
    const fn of(resource: &Resource) -> Self {
        Self { resource: resource.name }
    }
}

/// Of a family that has one member at most: none where the value is not known.
type Unlabelled = [(&'static str, &'static str); 0];
type Seconds = Gauge<f64, AtomicU64>;

/// Handle on all meters of a process; copies count together.
#[derive(Clone, Default)]
pub struct Meters(Arc<Inner>);

struct Inner {
    registry: Registry,
    received: Family<Label, Counter>,
    written: Family<Label, Counter>,
    unchanged: Family<Label, Counter>,
    stale: Family<Label, Counter>,
    deleted: Family<Label, Counter>,
    dead: Family<Label, Counter>,
    batches: Family<Label, Counter>,
    redeliveries: Family<Label, Counter>,
    stopped: Family<Label, Gauge>,
    commit_seconds: Family<Label, Histogram, fn() -> Histogram>,
    postgres_reconnects: Counter,
    nats_reconnects: Counter,
    nats_up: Gauge,
    postgres_up: Gauge,
    lag_messages: Family<Label, Gauge>,
    lag_seconds: Family<Label, Seconds>,
    dead_letters: Family<Label, Gauge>,
    stream_bytes: Family<Unlabelled, Gauge>,
    stream_max_bytes: Family<Unlabelled, Gauge>,
    last_publish: Family<Unlabelled, Seconds>,
}

impl Default for Inner {
    fn default() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let r = &mut registry;
        Self {
            received: by_resource(r, "rows_received", "Records in applied batches"),
            written: by_resource(r, "rows_written", "Records inserted or updated"),
            unchanged: by_resource(r, "rows_unchanged", "Records equal to the stored row"),
            stale: by_resource(r, "rows_stale", "Records older than the stored row"),
            deleted: by_resource(r, "rows_deleted", "Rows newly marked deleted"),
            dead: by_resource(r, "rows_dead", "Records and messages kept as dead letters"),
            batches: by_resource(r, "batches", "Batches applied and committed"),
            redeliveries: by_resource(
                r,
                "redeliveries",
                "Messages that came again, after a crash or a lost acknowledgement",
            ),
            stopped: by_resource_from(
                r,
                "stopped",
                "Whether this loader has given the table up until a person acts, 1 or 0",
                Gauge::default,
            ),
            commit_seconds: by_resource_from(
                r,
                "commit_seconds",
                "From the begin of a batch's transaction to its commit",
                || Histogram::new(COMMIT_SECONDS),
            ),
            postgres_reconnects: single(
                r,
                "postgres_reconnects",
                "Connections to Postgres dropped after trouble, to be made anew",
            ),
            nats_reconnects: single(r, "nats_reconnects", "Connections to NATS made anew"),
            nats_up: single(r, "nats_up", "Whether NATS answered at the last look, 1 or 0"),
            postgres_up: single(
                r,
                "postgres_up",
                "Whether Postgres answered at the last look, 1 or 0",
            ),
            lag_messages: single(
                r,
                "lag_messages",
                "Batches in the stream that no loader has loaded",
            ),
            lag_seconds: single(
                r,
                "lag_seconds",
                "Age of the oldest batch that is not loaded, 0 for none",
            ),
            dead_letters: single(r, "dead_letters", "Dead letters that wait for a person"),
            stream_bytes: single(r, "stream_bytes", "Size of the stream"),
            stream_max_bytes: single(
                r,
                "stream_max_bytes",
                "Size at which the stream refuses new batches; absent without a limit",
            ),
            last_publish: single(
                r,
                "last_publish_timestamp_seconds",
                "When the fetcher last published a batch",
            ),
            registry,
        }
    }
}

fn single<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn by_resource(registry: &mut Registry, name: &str, help: &str) -> Family<Label, Counter> {
    by_resource_from(registry, name, help, Counter::default)
}

/// With a series for each resource from the start, so that its first increase is seen as one.
fn by_resource_from<M, C>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    constructor: C,
) -> Family<Label, M, C>
where
    C: MetricConstructor<M> + Clone + Send + Sync + 'static,
    M: Clone + Send + Sync + fmt::Debug + 'static,
    Family<Label, M, C>: Metric,
{
    let family = Family::new_with_constructor(constructor);
    for resource in CATALOGUE {
        drop(family.get_or_create(&Label::of(resource)));
    }
    registry.register(name, help, family.clone());
    family
}

impl Meters {
    /// A batch has been committed, in this time.
    pub(crate) fn applied(&self, resource: &Resource, applied: &Applied, elapsed: Duration) {
        let Applied { received, written, unchanged, stale, deleted, dead, .. } = *applied;
        let label = Label::of(resource);
        let counts = [
            (&self.0.batches, 1),
            (&self.0.received, received),
            (&self.0.written, written),
            (&self.0.unchanged, unchanged),
            (&self.0.stale, stale),
            (&self.0.deleted, deleted),
            (&self.0.dead, dead),
        ];
        for (family, count) in counts {
            family.get_or_create(&label).inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
        self.0.commit_seconds.get_or_create(&label).observe(elapsed.as_secs_f64());
    }

    /// A message that cannot be decoded has been kept.
    pub(crate) fn buried(&self, resource: &Resource) {
        self.0.dead.get_or_create(&Label::of(resource)).inc();
    }

    /// A message has come that had come before.
    pub(crate) fn redelivered(&self, resource: &Resource) {
        self.0.redeliveries.get_or_create(&Label::of(resource)).inc();
    }

    /// The table is loaded no more until a person acts.
    pub(crate) fn stopped(&self, resource: &Resource) {
        self.0.stopped.get_or_create(&Label::of(resource)).set(1);
    }

    /// All of these.
    pub(crate) fn stopped_tables(&self) -> Vec<&'static str> {
        let stopped = CATALOGUE
            .iter()
            .filter(|resource| self.0.stopped.get_or_create(&Label::of(resource)).get() > 0);
        stopped.map(|resource| resource.name).collect()
    }

    /// A connection to Postgres has been dropped.
    pub(crate) fn postgres_lost(&self) {
        self.0.postgres_reconnects.inc();
    }

    /// So many connections to NATS have been made, the first one too.
    pub(crate) fn nats_connections(&self, connections: u64) {
        self.0.nats_reconnects.inner().store(connections.saturating_sub(1), Ordering::Relaxed);
    }

    /// Records of all tables in batches that this process has applied.
    pub(crate) fn rows_received(&self) -> u64 {
        CATALOGUE
            .iter()
            .map(|resource| self.0.received.get_or_create(&Label::of(resource)).get())
            .sum()
    }

    /// What has been seen of the pipeline. What is not known has no value, rather than its last one.
    pub(crate) fn saw(&self, status: &Status) {
        self.0.nats_up.set(i64::from(status.queue.is_ok()));
        self.0.postgres_up.set(i64::from(status.store.is_ok()));
        self.0.lag_messages.clear();
        self.0.lag_seconds.clear();
        self.0.dead_letters.clear();
        for line in status.lines() {
            let label = Label { resource: line.resource };
            if let (Some(pending), Some(in_flight)) = (line.pending, line.in_flight) {
                self.0.lag_messages.get_or_create(&label).set(integer(pending + in_flight));
                let lag =
                    line.oldest_unloaded_at.map_or(0.0, |oldest| seconds_since(oldest, status.at));
                self.0.lag_seconds.get_or_create(&label).set(lag);
            }
            if let Some(letters) = line.dead_letters {
                self.0.dead_letters.get_or_create(&label).set(letters);
            }
        }
        self.saw_stream(status);
    }

    fn saw_stream(&self, status: &Status) {
        self.0.stream_bytes.clear();
        self.0.stream_max_bytes.clear();
        self.0.last_publish.clear();
        let Some(stream) = status.queue.as_ref().ok().and_then(|queue| queue.stream) else {
            return;
        };
        self.0.stream_bytes.get_or_create(&[]).set(integer(stream.bytes));
        if let Some(limit) = stream.max_bytes {
            self.0.stream_max_bytes.get_or_create(&[]).set(integer(limit));
        }
        if let Some(last) = stream.last_published_at {
            self.0.last_publish.get_or_create(&[]).set(seconds_since(Timestamp::UNIX_EPOCH, last));
        }
    }

    /// In the text format of `OpenMetrics`.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn seconds_since(earlier: Timestamp, later: Timestamp) -> f64 {
    later.duration_since(earlier).as_secs_f64().max(0.0)
}
