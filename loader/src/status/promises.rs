//! How old each table gets at most, as those who start the runs have promised, and whether that is kept.

use std::collections::BTreeMap;

use super::words::{duration, time};
use super::{Line, Status};

/// What is promised, and whether it is kept. None where nothing is.
pub(crate) fn words(status: &Status) -> Option<String> {
    let mut by_age: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for line in status.lines() {
        if let Some(seconds) = line.promised_age_seconds {
            by_age.entry(seconds).or_default().push(line.resource);
        }
    }
    if by_age.is_empty() {
        return None;
    }
    let promises = by_age.into_iter().map(|(seconds, names)| {
        format!("{} within {}", names.join(", "), duration(seconds.cast_signed()))
    });
    let promises: Vec<String> = promises.collect();
    let kept = if broken(status).next().is_none() { "kept" } else { "not kept" };
    Some(format!("Promised: {}; {kept}", promises.join("; ")))
}

/// What is older than was promised, and where to look for the reason.
pub(super) fn attention(status: &Status) -> Option<String> {
    let late: Vec<String> = broken(status)
        .filter_map(|line| {
            let (last, promised) = (line.last_fetched_at?, line.promised_age_seconds?);
            let age = duration(status.at.duration_since(last).as_secs());
            let promised = duration(promised.cast_signed());
            let name = line.resource;
            Some(format!("{name} (last {}, {age} ago, promised within {promised})", time(last)))
        })
        .collect();
    (!late.is_empty()).then(|| {
        format!(
            "older than promised: {}; is the schedule running? Its log says what it waits for, as for a quota that \
             somebody else has used up",
            late.join(", ")
        )
    })
}

/// The tables of which a promise is not kept. What waits in the stream has been fetched.
fn broken(status: &Status) -> impl Iterator<Item = Line> {
    status.lines().filter(|line| line.is_promise_kept == Some(false) && !line.waits())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::attention::tests::{ago, only, stream, with};
    use super::super::store::{Freshness, Promise};
    use super::*;

    /// A pipeline with tables that were fetched so many minutes ago, and promised within so many.
    fn promised(tables: &[(&str, i64, u64)]) -> Status {
        let mut status = with(&[]);
        stream(&mut status).last_published_at = Some(ago(0));
        for (name, minutes, promised) in tables {
            let age = Duration::from_mins(*promised);
            let is_kept = minutes.unsigned_abs() <= *promised;
            let freshness = Freshness {
                last_fetch: Some(ago(minutes * 60)),
                promise: Some(Promise { age, is_kept }),
                ..Freshness::default()
            };
            status.store.as_mut().unwrap().freshness.insert((*name).to_owned(), freshness);
        }
        status
    }

    #[test]
    fn promises_are_told_by_age_and_that_they_are_kept() {
        assert_eq!(words(&promised(&[])), None);
        let status = promised(&[("tags", 50, 60), ("time_entries", 4, 5), ("clients", 3, 60)]);
        assert_eq!(
            words(&status).unwrap(),
            "Promised: time_entries within 5m; clients, tags within 1h; kept"
        );
        assert!(status.attention().is_empty());
    }

    #[test]
    fn a_promise_that_is_not_kept_needs_attention_and_says_by_how_much() {
        let status = promised(&[("tags", 50, 60), ("time_entries", 37, 5)]);
        assert!(words(&status).unwrap().ends_with("; not kept"));
        let attention = only(&status);
        assert!(attention.contains("time_entries (last "), "{attention}");
        assert!(attention.contains(", 37m ago, promised within 5m)"), "{attention}");
        assert!(!attention.contains("tags"), "{attention}");
    }

    #[test]
    fn what_waits_to_be_loaded_was_read_in_time() {
        let mut status = promised(&[("tags", 70, 60)]);
        let queue = status.queue.as_mut().unwrap();
        let backlog = queue.backlogs.get_mut("tags").unwrap();
        (backlog.pending, backlog.oldest_at) = (1, Some(ago(10)));
        assert_eq!(status.attention(), Vec::<String>::new());
    }
}
