//! What of the stream is replayed, and by which rules.

use async_nats::jetstream::consumer::DeliverPolicy;
use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use shared::batch::is_storable;
use shared::catalogue::CATALOGUE;
use shared::resource::Resource;

use super::error::ReplayError;
use crate::apply::settings::{ApplySettings, History, Options};
use crate::postgres::schema::Schema;
use crate::resource_argument::resource_names;

pub(crate) const EXAMPLES: &str = "\
Examples:
  loader replay                                    everything, into the live tables
  loader replay --resource tags,clients            after `truncate raw.toggl_track__tags, …`
  loader replay --from-time 2026-01-05             what was published since that day began (UTC)
  loader replay --force                            mend rows that somebody changed by hand
  loader replay --into raw_january --until 2026-02-01   the raw tables as they were, beside today's";

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Only these resources; all of them if it is left out.
    #[arg(long, value_name = "R", value_delimiter = ',', value_parser = resource_names())]
    resource: Vec<String>,
    /// Begin with what was published at this time: `2026-01-05T10:00:00Z`, or a date, which stands
    /// for its beginning in UTC.
    #[arg(long, value_name = "T", value_parser = time, conflicts_with = "from_sequence")]
    from_time: Option<Timestamp>,
    /// Begin with this sequence of the stream.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    from_sequence: Option<u64>,
    /// Only batches that were fetched until this time, which gives the tables as they were then.
    ///
    /// What counts is when Toggl was asked (`fetched_at`), not when the batch was published, so a batch that
    /// came late belongs to its own time. Needs --into: the live tables cannot show the past.
    #[arg(long, value_name = "T", value_parser = time)]
    until: Option<Timestamp>,
    /// Fill the tables of this schema instead of the live ones. It is made if it is not there; a
    /// later replay into it goes on with what it holds.
    #[arg(long, value_name = "SCHEMA")]
    into: Option<Schema>,
    /// Rewrite rows that somebody changed by hand: every row that differs from its batch in anything, also in
    /// the times by which rows are compared. Older versions never replace newer ones.
    #[arg(long)]
    force: bool,
    /// Believe listings that lack more than half of 20 or more rows: mark these rows deleted.
    #[arg(long)]
    allow_mass_delete: bool,
}

/// Where to begin.
#[derive(Debug, Clone, Copy)]
enum Start {
    First,
    Time(Timestamp),
    Sequence(u64),
}

/// The messages to replay.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    resources: Vec<&'static Resource>,
    start: Start,
    /// The latest `fetched_at`.
    pub(super) until: Option<Timestamp>,
}

impl ReplayArgs {
    /// # Errors
    /// When the two times exclude each other, or the end would be one of the live tables.
    pub(super) fn selection(&self) -> Result<Selection, ReplayError> {
        if self.until.is_some() && self.into.is_none() {
            return Err(ReplayError::PastIntoLive);
        }
        if let Some((from, until)) = self.from_time.zip(self.until)
            && until < from
        {
            return Err(ReplayError::Times);
        }
        let is_selected = |resource: &&Resource| {
            self.resource.is_empty() || self.resource.iter().any(|name| name == resource.name)
        };
        let start = match (self.from_time, self.from_sequence) {
            (Some(time), _) => Start::Time(time),
            (None, Some(sequence)) => Start::Sequence(sequence),
            (None, None) => Start::First,
        };
        let resources = CATALOGUE.iter().filter(is_selected).collect();
        Ok(Selection { resources, start, until: self.until })
    }

    /// The history is of the live tables alone.
    pub(super) fn apply_settings(&self, history: History) -> ApplySettings {
        let history = if self.into.is_some() { History::Off } else { history };
        let options = Options { allow_mass_delete: self.allow_mass_delete, history };
        let schema = self.into.clone().unwrap_or(Schema::RAW);
        let is_part =
            self.until.is_some() || self.from_time.is_some() || self.from_sequence.is_some();
        ApplySettings { schema, force: self.force, whole: !is_part, ..ApplySettings::of(options) }
    }
}

impl Selection {
    pub(super) fn resources(&self) -> impl Iterator<Item = &'static Resource> {
        self.resources.iter().copied()
    }

    /// No message before this sequence is selected.
    pub(super) const fn least_sequence(&self) -> u64 {
        match self.start {
            Start::Sequence(sequence) => sequence,
            Start::First | Start::Time(_) => 0,
        }
    }

    /// No message that was published before this is selected.
    pub(super) const fn begin_time(&self) -> Option<Timestamp> {
        match self.start {
            Start::Time(time) => Some(time),
            Start::First | Start::Sequence(_) => None,
        }
    }

    pub(super) fn subjects(&self) -> Vec<String> {
        self.resources.iter().map(|resource| resource.subject()).collect()
    }

    /// The selected resource that is published on a subject.
    pub(super) fn resource(&self, subject: &str) -> Option<&'static Resource> {
        self.resources.iter().copied().find(|resource| resource.subject() == subject)
    }

    /// Where a consumer begins that is to read everything selected after `last`.
    pub(super) fn deliver_policy(&self, last: u64) -> DeliverPolicy {
        match self.start {
            _ if last > 0 => DeliverPolicy::ByStartSequence { start_sequence: last + 1 },
            Start::First => DeliverPolicy::All,
            Start::Sequence(start_sequence) => DeliverPolicy::ByStartSequence { start_sequence },
            // Nothing was published before 1970.
            Start::Time(time) => {
                let nanos = time.max(Timestamp::UNIX_EPOCH).as_nanosecond();
                async_nats::datetime::from_nanos(nanos).map_or(DeliverPolicy::All, |start_time| {
                    DeliverPolicy::ByStartTime { start_time }
                })
            }
        }
    }
}

/// Reads a moment. A date and a time without offset are refused rather than guessed at.
fn time(text: &str) -> Result<Timestamp, String> {
    let time = text.parse::<Timestamp>().or_else(|error| {
        let date = Date::strptime("%Y-%m-%d", text).map_err(|_| error)?;
        Ok::<_, jiff::Error>(date.to_zoned(TimeZone::UTC)?.timestamp())
    });
    match time {
        Ok(time) if is_storable(time) => Ok(time),
        _ => Err("must be a time like 2026-01-05T10:00:00Z or a date like 2026-01-05".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_with_its_offset_or_a_date() {
        let noon: Timestamp = "2026-01-05T12:00:00Z".parse().unwrap();
        assert_eq!(time("2026-01-05T12:00:00Z"), Ok(noon));
        assert_eq!(time("2026-01-05T13:00:00+01:00"), Ok(noon));
        assert_eq!(time("2026-01-05"), Ok("2026-01-05T00:00:00Z".parse().unwrap()));
        for text in ["", "yesterday", "2026-01-05T12:00:00", "2026-13-01", "12:00", "-009000-01-01"]
        {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
