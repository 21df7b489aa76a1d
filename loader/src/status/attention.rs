//! What needs a person, and what to do about it.

use jiff::Timestamp;
use shared::stream::STREAM;

use super::clock::of_clocks;
use super::queue::{Backlog, Queue, StreamState};
use super::store::Store;
use super::words::{bytes, duration, time};
use super::{Status, age};

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
    found.extend(age::of_silence(status));
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
pub(super) mod tests {
    use std::collections::BTreeMap;

    use shared::consumer::Trouble;

    use super::super::clock::ClocksAhead;
    use super::super::pipeline::Pipeline;
    use super::*;

    const NOW: i64 = 1_800_000_000;

    pub(in super::super) fn ago(seconds: i64) -> Timestamp {
        Timestamp::from_second(NOW - seconds).unwrap()
    }

    /// A pipeline that is well, but for these tables.
    pub(in super::super) fn with(backlogs: &[(&'static str, u64, u64, usize, i64)]) -> Status {
        let backlog = |pending, in_flight, pulls, oldest_at| Backlog {
            pending,
            in_flight,
            pulls,
            oldest_at,
            delivered_at: Some(ago(5)),
            trouble: None,
        };
        let names = shared::catalogue::CATALOGUE.iter().map(|resource| resource.name);
        let mut all: BTreeMap<_, _> = names.map(|name| (name, backlog(0, 0, 1, None))).collect();
        for (name, pending, in_flight, pulls, seconds) in backlogs.iter().copied() {
            all.insert(name, backlog(pending, in_flight, pulls, Some(ago(seconds))));
        }
        let stream = StreamState {
            messages: 1,
            bytes: 0,
            max_bytes: Some(1 << 32),
            last_published_at: Some(ago(60)),
        };
        let store = Store {
            missing: Vec::new(),
            freshness: BTreeMap::new(),
            dead_letters: BTreeMap::new(),
            gone: Vec::new(),
            clocks_ahead: ClocksAhead::default(),
        };
        Status {
            pipeline: Pipeline::new("db:5432/toggl".to_owned(), "nats:4222".to_owned()),
            max_age: age::DEFAULT,
            at: ago(0),
            queue: Ok(Queue { stream: Some(stream), backlogs: all }),
            store: Ok(store),
            counts: None,
            uncounted: None,
            whose: super::super::whose::Whose::default(),
        }
    }

    pub(in super::super) fn only(status: &Status) -> String {
        let [words] = <[String; 1]>::try_from(status.attention()).unwrap();
        words
    }

    pub(in super::super) fn stream(status: &mut Status) -> &mut StreamState {
        status.queue.as_mut().unwrap().stream.as_mut().unwrap()
    }

    #[test]
    fn batches_on_their_way_need_nobody() {
        for busy in [("tags", 3, 4, 0, 200), ("tags", 9, 0, 1, 299), ("tags", 9, 0, 0, 59)] {
            assert_eq!(with(&[busy]).attention(), Vec::<String>::new());
        }
    }

    #[test]
    fn a_table_that_nobody_asks_for_has_stopped() {
        let words = only(&with(&[("tags", 2, 0, 0, 65)]));
        assert!(words.starts_with("2 batches of tags wait, the oldest for 1m 5s"), "{words}");
        assert!(words.contains("has stopped; the loader's log"), "{words}");
    }

    #[test]
    fn a_table_in_trouble_is_named_at_once_while_batches_wait_also_without_a_loader() {
        let mut status = with(&[("tags", 1, 1, 1, 1)]);
        let since = ago(1);
        let queue = status.queue.as_mut().unwrap();
        let trouble = Some(Trouble { since, words: "no table: make it".to_owned() });
        queue.backlogs.get_mut("tags").unwrap().trouble = trouble.clone();
        // What was noted and got past meanwhile is over.
        queue.backlogs.get_mut("me").unwrap().trouble = trouble;
        let words = only(&status);
        let wanted =
            format!("tags is not loaded since {}, 2 batches wait: no table: make it", time(since));
        assert_eq!(words, wanted);
        for backlog in status.queue.as_mut().unwrap().backlogs.values_mut() {
            backlog.pulls = 0;
        }
        let attention = status.attention();
        assert_eq!((attention.len(), &attention[0]), (2, &wanted));
        assert!(attention[1].contains("no loader is at work"), "{attention:?}");
    }

    #[test]
    fn what_lies_in_hands_that_do_nothing_is_no_batch_on_its_way() {
        let mut status = with(&[("tags", 3, 1, 0, 130)]);
        assert_eq!(status.attention(), Vec::<String>::new());
        let queue = status.queue.as_mut().unwrap();
        queue.backlogs.get_mut("tags").unwrap().delivered_at = Some(ago(125));
        let words = only(&status);
        assert!(
            words.starts_with("4 batches of tags wait") && words.contains("stopped"),
            "{words}"
        );
    }

    #[test]
    fn what_waits_for_long_names_the_logs_and_more_loaders() {
        let words = only(&with(&[("tags", 0, 1, 1, 400)]));
        assert!(words.starts_with("1 batch of tags wait"), "{words}");
        assert!(words.contains("logs of the loaders") && words.contains("more loaders"), "{words}");
    }

    #[test]
    fn little_room_in_the_stream_names_the_setting() {
        let mut status = with(&[]);
        stream(&mut status).bytes = (1 << 32) / 10 * 9 - 1;
        assert!(status.attention().is_empty());
        stream(&mut status).bytes += 1;
        assert!(only(&status).contains("STREAM_MAX_BYTES"));
        stream(&mut status).max_bytes = None;
        assert!(status.attention().is_empty());
    }

    #[test]
    fn a_table_in_trouble_is_named_with_the_words_until_everything_of_it_is_loaded() {
        for (unloaded, is_named) in [(1, true), (0, false)] {
            let mut status = with(&[("tags", 0, unloaded, 0, 400)]);
            let backlog = status.queue.as_mut().unwrap().backlogs.get_mut("tags").unwrap();
            backlog.oldest_at = backlog.oldest_at.filter(|_| is_named);
            backlog.trouble = Some(Trouble { since: ago(400), words: "no table".to_owned() });
            let words = status.attention();
            assert_eq!(words.len(), usize::from(is_named), "{words:?}");
            assert!(
                words.iter().all(|words| words.contains("tags is not loaded since")
                    && words.contains("no table"))
            );
        }
    }
}
