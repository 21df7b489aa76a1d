//! What the worker tells of its work.

use std::time::Duration;

use shared::batch::Batch;
use shared::resource::Resource;
use shared::telemetry::{RAW_CLIENT, SUBSCRIBER};
use tracing::{debug, error, info, warn};

use crate::apply::applied::Applied;
use crate::consume::delivery::Delivery;
use crate::consume::table::Cause;

/// A message is kept as it is.
pub(super) fn unreadable(delivery: &Delivery, reason: &str) {
    error!(
        target: SUBSCRIBER,
        resource = delivery.resource.name,
        stream_sequence = delivery.origin.stream_sequence,
        "Kept an unreadable message as a dead letter: {reason}"
    );
}

/// A batch failed, and is tried again after `delay`. What has been told already is not told again.
pub(super) fn failed(delivery: &Delivery, cause: &Cause, is_news: bool, delay: Duration) {
    let resource = delivery.resource;
    let stream_sequence = delivery.origin.stream_sequence;
    let (name, seconds, words) = (resource.table(), delay.as_secs_f64(), &cause.words);
    if !is_news {
        debug!(target: RAW_CLIENT, "raw.{name} is still not loaded, next attempt in {seconds:.1} s: {words}");
    } else if cause.is_to_be_mended {
        error!(
            target: RAW_CLIENT,
            resource = resource.name, stream_sequence,
            "raw.{name} is not loaded: {words}. Nothing is lost; it is tried again in {seconds:.1} s and \
             on, until that is mended"
        );
    } else {
        warn!(
            target: RAW_CLIENT,
            resource = resource.name, stream_sequence,
            "Trouble with raw.{name}, next attempt in {seconds:.1} s: {words}"
        );
    }
}

pub(super) fn healed(resource: &Resource, after: Duration) {
    info!(target: RAW_CLIENT, "raw.{} is loaded again, after {} s", resource.table(), after.as_secs());
}

pub(super) fn applied(resource: &Resource, batch: &Batch, applied: &Applied, elapsed: Duration) {
    let Applied { received, written, unchanged, stale, deleted, dead, kept_whole, refused, .. } =
        *applied;
    let table = resource.table();
    let elapsed_ms = elapsed.as_millis();
    debug!(
        target: RAW_CLIENT,
        workspace_id = batch.workspace_id, part = batch.part, received, written, unchanged, stale,
        deleted, dead, elapsed_ms, "Applied a batch to raw.{table}"
    );
    if kept_whole {
        // That is logged where it is kept, with the reason.
        return;
    }
    if written + deleted > 0 || unchanged + stale == 0 {
        info!(target: RAW_CLIENT, "Upserted {written} records to raw.{table}{}", rest(applied));
    } else {
        info!(target: RAW_CLIENT, "Nothing new for raw.{table}{}", rest(applied));
    }
    if let Some(refused) = refused {
        error!(
            target: RAW_CLIENT,
            "Did not believe a listing of raw.{table}, kept it as a dead letter: {refused}"
        );
    }
    if dead > 0 {
        error!(target: RAW_CLIENT, "Kept {dead} records of raw.{table} as dead letters");
    }
}

fn rest(applied: &Applied) -> String {
    let counts = [
        (applied.unchanged, "unchanged"),
        (applied.stale, "stale"),
        (applied.deleted, "marked deleted"),
    ];
    let named: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) }
}
