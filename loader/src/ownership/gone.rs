//! What had left the stream before this database had it, and what fetches it again.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan as _};
use jiff_sqlx::Timestamp as SqlTimestamp;
use shared::catalogue;
use shared::resource::{Api, Resource};
use sqlx::{FromRow, PgConnection};

use super::error::{LookError, answered};
use super::lookup::since;
use super::positions::Position;

/// The oldest change that Toggl tells when it is asked what has changed.
const MOST_DAYS: i64 = 85;

/// Messages of one table that this database never had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) resource: String,
    /// Places in the stream, both included, among which they were.
    pub(crate) from: u64,
    pub(crate) through: u64,
    /// What was fetched before this was loaded; none where nothing was.
    pub(crate) after: Option<Timestamp>,
    /// What was fetched since is in the stream.
    pub(crate) before: Timestamp,
}

impl Gone {
    /// With what was gone already.
    pub(super) fn and(self, earlier: Option<Self>) -> Self {
        match earlier {
            None => self,
            Some(earlier) => Self {
                from: earlier.from.min(self.from),
                through: earlier.through.max(self.through),
                after: earlier.after,
                ..self
            },
        }
    }
}

/// What fetches it again, each command once.
pub(crate) fn commands(gone: &[Gone], now: Timestamp) -> Vec<String> {
    let mut found = Vec::new();
    let of = |wanted: fn(&Resource) -> bool| {
        let of_it = move |gone: &&Gone| catalogue::find(&gone.resource).is_some_and(wanted);
        gone.iter().filter(of_it)
    };
    if of(|resource| !resource.is_time_entry()).next().is_some() {
        found.push("`fetcher`".to_owned());
    }
    let is_report = |resource: &Resource| resource.is_time_entry() && resource.api == Api::V3;
    let is_own = |resource: &Resource| resource.is_time_entry() && resource.api == Api::V9;
    if let Some(gone) = of(is_own).next() {
        found.push(match gone.after {
            Some(after) => {
                let days = now.duration_since(after).as_hours() / 24 + 2;
                format!("`fetcher --days {days} --since-days {}`", days.clamp(1, MOST_DAYS))
            }
            None => "`fetcher --days N` with as many days as you want".to_owned(),
        });
    }
    if let Some(gone) = of(is_report).next() {
        found.push(match gone.after {
            // Entries are booked for the days before, too.
            Some(after) => {
                let day = after.saturating_sub((7 * 24).hours()).unwrap_or(after);
                format!("`fetcher report --from {}`", day.strftime("%Y-%m-%d"))
            }
            None => "`fetcher report --from DATE` with a date of your choice".to_owned(),
        });
    }
    found
}

/// What `loads` has of the messages that have left the stream.
#[derive(Debug, Default)]
pub(super) struct Past {
    by_resource: BTreeMap<String, (u64, Timestamp)>,
    newest: u64,
}

#[derive(FromRow)]
struct PastRow {
    resource: String,
    sequence: i64,
    fetched_at: SqlTimestamp,
}

impl Past {
    /// What was loaded of the messages before `first`.
    pub(super) async fn before(
        first: u64,
        stream_created_at: Timestamp,
        connection: &mut PgConnection,
    ) -> Result<Self, LookError> {
        let query = sqlx::query_as(
            "select resource, max(stream_sequence) as sequence, max(fetched_at) as fetched_at
             from raw.toggl_track__loads
             where stream_sequence < $1 and loaded_at >= $2
             group by resource",
        )
        .bind(i64::try_from(first).unwrap_or(i64::MAX))
        .bind(since(stream_created_at));
        let rows: Vec<PastRow> = answered(query.fetch_all(connection)).await?;
        let newest = rows.iter().map(|row| row.sequence.unsigned_abs()).max().unwrap_or(0);
        let by_resource = rows
            .into_iter()
            .map(|row| (row.resource, (row.sequence.unsigned_abs(), row.fetched_at.to_jiff())));
        Ok(Self { by_resource: by_resource.collect(), newest })
    }

    /// Whether any of them was of this table.
    pub(super) fn has(&self, resource: &Resource) -> bool {
        self.by_resource.contains_key(resource.name)
    }

    /// What of a table had left the stream, of which `first` is the first message now, before it came
    /// here. A table that was behind at the last check, and of which nothing was loaded since, lacks what
    /// came after; any other had all that came before the newest batch of any table.
    pub(super) fn gone(
        &self,
        resource: &Resource,
        position: Option<&Position>,
        was_behind: bool,
        (first, before): (u64, Timestamp),
    ) -> Option<Gone> {
        let own = self.by_resource.get(resource.name);
        let complete = position.map_or(0, |position| position.complete_through);
        // One that was only about to catch up has been loaded since.
        let stood_still = was_behind && own.is_none_or(|own| own.0 <= complete);
        let had = if stood_still { complete } else { complete.max(self.newest) };
        (had + 1 < first).then(|| Gone {
            resource: resource.name.to_owned(),
            from: had + 1,
            through: first - 1,
            after: own.map(|own| own.1),
            before,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(resource: &str, after: Option<&str>) -> Gone {
        let after = after.map(|after| after.parse().unwrap());
        let before = Timestamp::UNIX_EPOCH;
        Gone { resource: resource.to_owned(), from: 1, through: 9, after, before }
    }

    #[test]
    fn each_kind_of_table_is_fetched_again_by_its_own_command() {
        let now: Timestamp = "2026-03-11T12:00:00Z".parse().unwrap();
        let after = Some("2026-03-08T00:00:00Z");
        let all = [
            gone("tags", after),
            gone("clients", after),
            gone("time_entries", after),
            gone("time_entries_report", after),
        ];
        let expected = [
            "`fetcher`",
            "`fetcher --days 5 --since-days 5`",
            "`fetcher report --from 2026-03-01`",
        ];
        assert_eq!(commands(&all, now), expected);
        let never = commands(&[gone("time_entries_report", None)], now);
        assert!(never[0].contains("a date of your choice"), "{never:?}");
        let long = commands(&[gone("time_entries", Some("2025-01-01T00:00:00Z"))], now);
        assert_eq!(long, ["`fetcher --days 436 --since-days 85`"]);
    }

    #[test]
    fn what_left_the_stream_is_gone_only_where_it_was_never_loaded() {
        let tags = catalogue::find("tags").unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let past = |own, newest| Past {
            by_resource: BTreeMap::from([("tags".to_owned(), (own, at))]),
            newest,
        };
        let reached =
            |complete_through| Position { stream_created_at: at, complete_through, gone: None };
        let gone = |past: &Past, position: Option<u64>, behind| {
            let position = position.map(reached);
            past.gone(tags, position.as_ref(), behind, (100, at))
                .map(|gone| (gone.from, gone.through))
        };
        // Quiet for long, while other tables were loaded.
        assert_eq!(gone(&past(5, 99), Some(40), false), None);
        assert_eq!(gone(&past(5, 99), Some(40), true), Some((41, 99)));
        assert_eq!(gone(&past(50, 99), Some(40), true), None);
        assert_eq!(gone(&past(60, 60), Some(40), false), Some((61, 99)));
        assert_eq!(gone(&Past::default(), None, false), Some((1, 99)));
        assert_eq!(gone(&Past::default(), Some(99), false), None);
    }
}
