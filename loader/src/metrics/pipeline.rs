//! Gauges of what a loader sees of the pipeline, which is the same whichever loader looks.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Label, single};
use crate::status::Status;
use crate::status::pipeline::Pipeline;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabel {
    version: &'static str,
    database: String,
    stream: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CopyLabel {
    copy: String,
}

/// What became of entries that Toggl's inventories were held against.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// Of a family that has one member at most: none where the value is not known.
type Unlabelled = [(&'static str, &'static str); 0];
type Seconds = Gauge<f64, AtomicU64>;

/// All of them.
pub(super) struct PipelineMetrics {
    nats_up: Gauge,
    postgres_up: Gauge,
    lag_messages: Family<Label, Gauge>,
    lag_seconds: Family<Label, Seconds>,
    copy_lag_messages: Family<CopyLabel, Gauge>,
    fetched_age: Family<Label, Seconds>,
    promised_age: Family<Label, Seconds>,
    promise_kept: Family<Label, Gauge>,
    dead_letters: Family<Label, Gauge>,
    build_info: Family<BuildLabel, Gauge>,
    stream_bytes: Family<Unlabelled, Gauge>,
    stream_max_bytes: Family<Unlabelled, Gauge>,
    last_publish: Family<Unlabelled, Seconds>,
    verified: Family<Unlabelled, Gauge>,
    verified_at: Family<Unlabelled, Seconds>,
    verified_entries: Family<StateLabel, Gauge>,
}

impl PipelineMetrics {
    pub(super) fn registered(r: &mut Registry) -> Self {
        Self {
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
            copy_lag_messages: single(r, "copy_lag_messages", "Batches that a copy has not loaded"),
            fetched_age: single(
                r,
                "fetched_age_seconds",
                "Since Toggl was last asked for what is in the table; absent for what was never loaded",
            ),
            promised_age: single(
                r,
                "promised_age_seconds",
                "After which Toggl is asked again at the latest, by those who start the runs; absent without a promise",
            ),
            promise_kept: single(
                r,
                "promise_kept",
                "Whether that holds in every workspace, 1 or 0; absent without a promise",
            ),
            build_info: single(
                r,
                "build_info",
                "Always 1: which loader this is, of which pipeline",
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
            verified: single(
                r,
                "verified",
                "Whether the tables have what Toggl's last inventories say is there, 1 or 0; absent without any",
            ),
            verified_at: single(
                r,
                "verified_timestamp_seconds",
                "When Toggl was asked for the oldest of them",
            ),
            verified_entries: single(
                r,
                "verified_entries",
                "Entries at Toggl by the last inventories, and of these or of the stored ones what differs",
            ),
        }
    }

    /// Which pipeline is measured.
    pub(super) fn belongs_to(&self, pipeline: &Pipeline) {
        let Pipeline { database, stream, version, .. } = pipeline.clone();
        self.build_info.get_or_create(&BuildLabel { version, database, stream }).set(1);
    }

    /// What has been seen of the pipeline. What is not known has no value, rather than its last one.
    pub(super) fn saw(&self, status: &Status) {
        self.nats_up.set(i64::from(status.queue.is_ok()));
        self.postgres_up.set(i64::from(status.store.is_ok()));
        self.lag_messages.clear();
        self.lag_seconds.clear();
        self.dead_letters.clear();
        self.fetched_age.clear();
        self.promised_age.clear();
        self.promise_kept.clear();
        for line in status.lines() {
            let label = Label { resource: line.resource };
            if let (Some(pending), Some(in_flight)) = (line.pending, line.in_flight) {
                self.lag_messages.get_or_create(&label).set(integer(pending + in_flight));
                let lag =
                    line.oldest_unloaded_at.map_or(0.0, |oldest| seconds_since(oldest, status.at));
                self.lag_seconds.get_or_create(&label).set(lag);
            }
            if let Some(last) = line.last_fetched_at {
                self.fetched_age.get_or_create(&label).set(seconds_since(last, status.at));
            }
            if let (Some(age), Some(is_kept)) = (line.promised_age_seconds, line.is_promise_kept) {
                let age = Duration::from_secs(age).as_secs_f64();
                self.promised_age.get_or_create(&label).set(age);
                self.promise_kept.get_or_create(&label).set(i64::from(is_kept));
            }
            if let Some(letters) = line.dead_letters {
                self.dead_letters.get_or_create(&label).set(letters);
            }
        }
        self.copy_lag_messages.clear();
        for copy in &status.whose.copies {
            let label = CopyLabel { copy: copy.name.clone() };
            self.copy_lag_messages.get_or_create(&label).set(integer(copy.unloaded));
        }
        self.saw_stream(status);
        self.saw_proof(status);
    }

    fn saw_proof(&self, status: &Status) {
        self.verified.clear();
        self.verified_at.clear();
        self.verified_entries.clear();
        let Some(proof) = &status.proof else { return };
        self.verified.get_or_create(&[]).set(i64::from(proof.is_good()));
        if let Some(asked_at) = proof.asked_at() {
            let at = seconds_since(Timestamp::UNIX_EPOCH, asked_at);
            self.verified_at.get_or_create(&[]).set(at);
        }
        let sum = proof.sum();
        for (state, count) in [
            ("at_toggl", sum.told_entry_count),
            ("missing", sum.missing_count),
            ("gone", sum.gone_count),
            ("different", sum.differing_count),
            ("unproven", sum.unproven_count),
        ] {
            self.verified_entries.get_or_create(&StateLabel { state }).set(count);
        }
    }

    fn saw_stream(&self, status: &Status) {
        self.stream_bytes.clear();
        self.stream_max_bytes.clear();
        self.last_publish.clear();
        let Some(stream) = status.queue.as_ref().ok().and_then(|queue| queue.stream) else {
            return;
        };
        self.stream_bytes.get_or_create(&[]).set(integer(stream.bytes));
        if let Some(limit) = stream.max_bytes {
            self.stream_max_bytes.get_or_create(&[]).set(integer(limit));
        }
        if let Some(last) = stream.last_published_at {
            self.last_publish.get_or_create(&[]).set(seconds_since(Timestamp::UNIX_EPOCH, last));
        }
    }
}

fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn seconds_since(earlier: Timestamp, later: Timestamp) -> f64 {
    later.duration_since(earlier).as_secs_f64().max(0.0)
}
