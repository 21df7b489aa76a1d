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
        proof: None,
        unproven: None,
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
    assert!(words.starts_with("4 batches of tags wait") && words.contains("stopped"), "{words}");
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
            words
                .iter()
                .all(|words| words.contains("tags is not loaded since")
                    && words.contains("no table"))
        );
    }
}
