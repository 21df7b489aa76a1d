//! What needs a person, and what to do about it.

use jiff::Timestamp;
use shared::stream::STREAM;

use super::clock::of_clocks;
use super::queue::{Backlog, Queue, StreamState};
use super::store::Store;
use super::words::{bytes, duration, time};
use super::{Status, age, promises};

/// A usual batch is loaded within a second; one that waits for so long is not waiting for its turn.
const OLD: i64 = 5 * 60;
/// A table of which a batch waits for so long without anybody asking for it has stopped.
const UNASKED: i64 = 60;
/// While batches wait, no loader that goes on with a table takes so long to ask for its next one.
const UNDELIVERED: i64 = 2 * 60;
/// Two batches of the largest size, below which a stream refuses what comes next.
const LEAST_ROOM: u64 = 1024 * 1024;

pub(super) fn attention(status: &Status) -> Vec<String> {
    let mut found = status.whose.attention(status.at);
    match &status.queue {
        Ok(queue) => of_queue(queue, status.at, &mut found),
        Err(away) => found.push(away.words.clone()),
    }
    match &status.store {
        Ok(store) => of_store(store, &mut found),
        Err(away) => found.push(away.words.clone()),
    }
    if let Some(away) = &status.uncounted {
        found.push(format!("the rows could not be counted: {}", away.words));
    }
    if let Some(away) = &status.unproven {
        found.push(format!("the inventories could not be compared: {}", away.words));
    }
    found.extend(status.proof.as_ref().and_then(|proof| proof.attention()));
    found.extend(age::of_silence(status));
    found.extend(promises::attention(status));
    found
}

fn of_queue(queue: &Queue, now: Timestamp, found: &mut Vec<String>) {
    let Some(stream) = &queue.stream else {
        found.push(format!(
            "the stream {STREAM} is missing: start a loader, which makes it, or run `loader setup` as \
             the administrator"
        ));
        return;
    };
    if queue.backlogs.is_empty() {
        found.push(
            "no loader has ever started: the stream has no consumers; start one with `loader`"
                .to_owned(),
        );
    } else {
        let missing: Vec<_> = queue.unserved().collect();
        if !missing.is_empty() {
            found.push(format!(
                "the consumers of {} are missing: a running loader of this version makes them; is one \
                 running?",
                missing.join(", ")
            ));
        }
        of_backlogs(queue, now, found);
    }
    found.extend(of_room(stream));
}

fn of_backlogs(queue: &Queue, now: Timestamp, found: &mut Vec<String>) {
    for (resource, trouble) in queue.troubles() {
        let waiting = queue.backlogs.get(resource).map_or(0, Backlog::unloaded);
        found.push(format!(
            "{resource} is not loaded since {}, {} wait: {}",
            time(trouble.since),
            batches(waiting),
            trouble.words
        ));
    }
    if !queue.is_served() {
        if queue.unloaded() > 0 {
            let since =
                queue.oldest_at().map_or_else(String::new, |at| format!(" since {}", time(at)));
            found.push(format!(
                "{} wait{since} and no loader is at work: start one with `loader`",
                batches(queue.unloaded())
            ));
        }
        return;
    }
    let untold = queue.backlogs.iter().filter(|(_, backlog)| backlog.trouble().is_none());
    found.extend(untold.filter_map(|(resource, backlog)| of_backlog(resource, backlog, now)));
}

/// What no loader has noted, as where one died, or where the server keeps no notes.
fn of_backlog(resource: &str, backlog: &Backlog, now: Timestamp) -> Option<String> {
    let ago = |at: Timestamp| now.duration_since(at).as_secs();
    let waited = ago(backlog.oldest_at?);
    let wait = format!(
        "{} of {resource} wait, the oldest for {}",
        batches(backlog.unloaded()),
        duration(waited)
    );
    let is_asked_for = backlog.pulls > 0 || backlog.in_flight > 0;
    // What a loader that has given up had in hand stays in flight.
    let goes_on =
        backlog.pulls > 0 || backlog.delivered_at.is_some_and(|at| ago(at) <= UNDELIVERED);
    if !is_asked_for && waited > UNASKED {
        Some(format!(
            "{wait}, and no loader asks for them: that table has stopped; the loader's log says why. \
             Mend it and start the loader again"
        ))
    } else {
        (waited > if goes_on { OLD } else { UNDELIVERED }).then(|| {
            format!(
                "{wait}: the logs of the loaders say what holds them up, or whether that table has \
                 stopped. Mend it and start the loader again, or start more loaders"
            )
        })
    }
}

fn of_room(stream: &StreamState) -> Option<String> {
    let limit = stream.max_bytes?;
    let room = limit.saturating_sub(stream.bytes);
    (room < LEAST_ROOM || stream.bytes >= limit / 10 * 9).then(|| {
        format!(
            "the stream is full or nearly so ({} of {}), and full it refuses new batches: raise \
             STREAM_MAX_BYTES (and max_file_store of NATS), or lower STREAM_MAX_AGE",
            bytes(stream.bytes),
            bytes(limit)
        )
    })
}

fn of_store(store: &Store, found: &mut Vec<String>) {
    found.extend(of_clocks(store.clocks_ahead));
    if !store.missing.is_empty() {
        found.push(format!(
            "tables are missing in the schema raw ({}): run `loader migrate`; one that was dropped is \
             restored from a backup, or made anew and filled by `loader replay`",
            store.missing.join(", ")
        ));
    }
    let total: i64 = store.dead_letters.values().sum();
    if total > 0 {
        let by_resource: Vec<_> = store
            .dead_letters
            .iter()
            .map(|(resource, count)| format!("{count} {resource}"))
            .collect();
        found.push(format!(
            "{total} dead letter{} ({}): `loader dead-letters list` says why, and `loader dead-letters \
             retry` applies them once the cause is gone",
            if total == 1 { "" } else { "s" },
            by_resource.join(", ")
        ));
    }
}

fn batches(count: u64) -> String {
    if count == 1 { "1 batch".to_owned() } else { format!("{count} batches") }
}

#[cfg(test)]
pub(super) mod tests;
