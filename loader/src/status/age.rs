//! What is too old, because nothing has come for long.
//!
//! No loader can know the reason; a fetcher that is not run, a token that was revoked and a table that is
//! read no more look alike from here.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::catalogue::CATALOGUE;
use shared::resource::Resource;

use super::Status;
use super::store::Store;
use super::words::{duration, time};

/// A day, an hour more where clocks go back, and the time that a run takes.
pub(crate) const DEFAULT: Duration = Duration::from_hours(26);
/// Below it every pause between two runs is an alarm.
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// Reads a `--max-age`.
pub(crate) fn max_age(text: &str) -> Result<Duration, String> {
    let age = shared::settings::time(text).map_err(|error| error.to_string())?;
    if (SHORTEST..=LONGEST).contains(&age) {
        Ok(age)
    } else {
        Err("must lie between 1m and 366d".to_owned())
    }
}

/// In words that nothing has ever come, or what is older than it may be.
pub(super) fn of_silence(status: &Status) -> Option<String> {
    // What only one of both servers could tell is not known.
    let is_known = status.queue.is_ok() && status.store.is_ok();
    if is_known && newest(status).is_none() {
        return Some("nothing was ever fetched: run `fetcher check`, then `fetcher`".to_owned());
    }
    too_old(status)
}

/// In words what is older than it may be; what was never there is not old.
pub(crate) fn too_old(status: &Status) -> Option<String> {
    let newest = newest(status)?;
    if is_older(status, newest, status.max_age) {
        return Some(format!(
            "nothing has been fetched since {}: is cron running the fetcher? Is the token still \
             valid? Run `fetcher check`",
            time(newest)
        ));
    }
    of_tables(status)
}

/// When something was last published or fetched, as far as it is known.
fn newest(status: &Status) -> Option<Timestamp> {
    let stream = status.queue.as_ref().ok().and_then(|queue| queue.stream);
    let published = stream.and_then(|stream| stream.last_published_at);
    let fetched = |store: &Store| store.freshness.values().filter_map(|f| f.last_fetch).max();
    published.max(status.store.as_ref().ok().and_then(fetched))
}

/// The tables that are older than they may be.
fn of_tables(status: &Status) -> Option<String> {
    let late: Vec<String> = late(status)
        .map(|(resource, last)| {
            let age = status.at.duration_since(last).as_secs();
            format!("{} (last {}, {} ago)", resource.name, time(last), duration(age))
        })
        .collect();
    (!late.is_empty()).then(|| {
        format!(
            "too long not fetched: {}; are they still asked for, and does the account still get them? \
             What the fetcher prints says so, and --max-age how old they may be",
            late.join(", ")
        )
    })
}

/// The tables that a usual sync reads and that were read before; others are fetched when somebody wants
/// them. Lists change seldom, and are read once a day where entries are read every few minutes: a
/// shorter age is for the entries alone. What waits in the stream has been fetched.
fn late(status: &Status) -> impl Iterator<Item = (&'static Resource, Timestamp)> {
    let usual = CATALOGUE.iter().filter(|resource| resource.by_default);
    usual.filter_map(|resource| {
        let line = super::Line::of(status, resource);
        let may_be =
            if resource.is_time_entry() { status.max_age } else { status.max_age.max(DEFAULT) };
        let last = line.last_fetched_at?;
        (!line.waits() && is_older(status, last, may_be)).then_some((resource, last))
    })
}

fn is_older(status: &Status, last: Timestamp, may_be: Duration) -> bool {
    let may_be = SignedDuration::try_from(may_be).unwrap_or(SignedDuration::MAX);
    status.at.duration_since(last) > may_be
}

#[cfg(test)]
mod tests {
    use super::super::attention::tests::{ago, only, stream, with};
    use super::super::store::Freshness;
    use super::*;

    const HOUR: i64 = 3_600;

    /// A pipeline whose tables were fetched so many hours ago.
    fn fetched(tables: &[(&str, i64)]) -> Status {
        let mut status = with(&[]);
        stream(&mut status).last_published_at = Some(ago(0));
        for (name, hours) in tables {
            let freshness =
                Freshness { last_fetch: Some(ago(hours * HOUR)), ..Freshness::default() };
            status.store.as_mut().unwrap().freshness.insert((*name).to_owned(), freshness);
        }
        status
    }

    #[test]
    fn the_newest_table_does_not_count_for_the_others() {
        let status = fetched(&[("tags", 1), ("time_entries", 27), ("projects", 49)]);
        let words = only(&status);
        assert!(
            words.contains("time_entries (last ") && words.contains(", 1day 3h ago)"),
            "{words}"
        );
        assert!(words.contains("projects (") && !words.contains("tags"), "{words}");
    }

    #[test]
    fn what_is_fetched_only_when_somebody_wants_it_grows_old_in_peace() {
        let mut status = fetched(&[("time_entries_report", 9_000), ("tasks", 900), ("me", 25)]);
        assert_eq!(status.attention(), Vec::<String>::new());
        // Shorter than a day is for entries alone.
        status.max_age = Duration::from_hours(2);
        assert_eq!(status.attention(), Vec::<String>::new());
        let status = Status { max_age: status.max_age, ..fetched(&[("time_entries", 3)]) };
        assert!(only(&status).contains("time_entries"));
    }

    #[test]
    fn what_waits_to_be_loaded_has_been_fetched() {
        let mut status = fetched(&[("tags", 99)]);
        let queue = status.queue.as_mut().unwrap();
        let backlog = queue.backlogs.get_mut("tags").unwrap();
        (backlog.pending, backlog.oldest_at) = (1, Some(ago(10)));
        assert_eq!(status.attention(), Vec::<String>::new());
    }

    #[test]
    fn a_day_without_a_batch_asks_for_cron_and_token() {
        let mut status = with(&[]);
        let day = i64::try_from(DEFAULT.as_secs()).unwrap();
        stream(&mut status).last_published_at = Some(ago(day));
        assert!(status.attention().is_empty());
        stream(&mut status).last_published_at = Some(ago(day + 1));
        let words = only(&status);
        assert!(words.contains("cron") && words.contains("`fetcher check`"), "{words}");
    }

    #[test]
    fn ages_are_bounded() {
        assert_eq!(max_age("2h"), Ok(Duration::from_hours(2)));
        for text in ["0s", "59s", "400d", "2", ""] {
            assert!(max_age(text).is_err(), "{text}");
        }
    }
}
