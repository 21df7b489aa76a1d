//! What Prometheus reads: counters of this loader's work, and gauges of what it sees of the pipeline.

mod pipeline;

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use shared::catalogue::CATALOGUE;
use shared::resource::Resource;
use uuid::Uuid;

use self::pipeline::PipelineMetrics;
use crate::apply::applied::Applied;
use crate::status::Status;
use crate::status::pipeline::Pipeline;

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

/// Handle on all meters of a process; copies count together.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    received: Family<Label, Counter>,
    written: Family<Label, Counter>,
    unchanged: Family<Label, Counter>,
    stale: Family<Label, Counter>,
    deleted: Family<Label, Counter>,
    dead: Family<Label, Counter>,
    batches: Family<Label, Counter>,
    clocks_ahead: Family<Label, Counter>,
    redeliveries: Family<Label, Counter>,
    stopped: Family<Label, Gauge>,
    commit_seconds: Family<Label, Histogram, fn() -> Histogram>,
    postgres_reconnects: Counter,
    nats_reconnects: Counter,
    pipeline: PipelineMetrics,
    /// The last run whose clock was ahead.
    last_ahead: Mutex<Option<Uuid>>,
}

impl Default for Inner {
    fn default() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let r = &mut registry;
        Self {
            received: by_resource(r, "rows_received", "Records in applied batches"),
            written: by_resource(r, "rows_written", "Records inserted or updated"),
            unchanged: by_resource(r, "rows_unchanged", "Records equal to the stored row"),
            stale: by_resource(r, "rows_stale", "Records not newer than the stored row"),
            deleted: by_resource(r, "rows_deleted", "Rows newly marked deleted"),
            dead: by_resource(r, "rows_dead", "Records and messages kept as dead letters"),
            batches: by_resource(r, "batches", "Batches applied and committed"),
            clocks_ahead: by_resource(
                r,
                "clocks_ahead",
                "Batches whose time of fetching lay more than an hour ahead and was not believed",
            ),
            redeliveries: by_resource(
                r,
                "redeliveries",
                "Messages that came again, after a crash or a lost acknowledgement",
            ),
            stopped: by_resource_from(
                r,
                "stopped",
                "Whether something keeps the table from being loaded, 1 or 0; `loader status` says what",
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
            pipeline: PipelineMetrics::registered(r),
            last_ahead: Mutex::default(),
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

impl Metrics {
    /// Which pipeline is measured.
    pub(crate) fn belongs_to(&self, pipeline: &Pipeline) {
        self.0.pipeline.belongs_to(pipeline);
    }

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
            (&self.0.clocks_ahead, usize::from(applied.clock_ahead.is_some())),
        ];
        for (family, count) in counts {
            family.get_or_create(&label).inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
        self.0.commit_seconds.get_or_create(&label).observe(elapsed.as_secs_f64());
    }

    /// A run's clock is ahead. True at its first batch; of two such runs at once, each is news again
    /// after the other.
    pub(crate) fn is_first_ahead(&self, run_id: Uuid) -> bool {
        self.0.last_ahead.lock().unwrap_or_else(PoisonError::into_inner).replace(run_id)
            != Some(run_id)
    }

    /// A message that cannot be decoded has been kept.
    pub(crate) fn buried(&self, resource: &Resource) {
        self.0.dead.get_or_create(&Label::of(resource)).inc();
    }

    /// A message has come that had come before.
    pub(crate) fn redelivered(&self, resource: &Resource) {
        self.0.redeliveries.get_or_create(&Label::of(resource)).inc();
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

    /// What has been seen of the pipeline.
    pub(crate) fn saw(&self, status: &Status) {
        // Also what other loaders say; where NATS is away, nobody can load.
        if let Ok(queue) = &status.queue {
            for resource in CATALOGUE {
                let stopped = queue.trouble(resource.name).is_some();
                self.0.stopped.get_or_create(&Label::of(resource)).set(i64::from(stopped));
            }
        }
        self.0.pipeline.saw(status);
    }

    /// In the text format of `OpenMetrics`.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
