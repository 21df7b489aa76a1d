//! How far the numbers can be trusted: when Toggl was last asked, and whether its own sums say the same.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff_sqlx::Timestamp as SqlTimestamp;
use sqlx::{Connection as _, PgConnection};

use crate::postgres::trouble::is_out_of_time;
use crate::status::proof::Proof;
use crate::status::words::time;

#[derive(Debug)]
pub(super) struct Trust {
    /// When Toggl was last asked for time entries, of all that has arrived.
    pub(super) last_asked_at: Option<Timestamp>,
    pub(super) proof: Proven,
}

/// What Toggl's own sums say about the days of the report.
#[derive(Debug)]
pub(super) enum Proven {
    /// The tables have the same, of these days.
    Equal { asked_at: Timestamp, from: Date, to: Date },
    /// They have not, or it is not known; in words.
    Open(String),
    /// Nobody has asked about these days.
    Never,
    /// Comparing took too long.
    Unknown,
}

impl Trust {
    pub(super) async fn ask(
        connection: &mut PgConnection,
        from: Date,
        to: Date,
    ) -> sqlx::Result<Self> {
        let last: Option<SqlTimestamp> = sqlx::query_scalar(
            "select max(last_fetched_at) from staging.stg_toggl_track__freshness
             where resource in ('time_entries', 'time_entries_report')",
        )
        .fetch_one(&mut *connection)
        .await?;
        let mut savepoint = connection.begin().await?;
        // A report does without it sooner than it waits. The savepoint takes the limit back.
        sqlx::query("set local statement_timeout = '1min'").execute(&mut *savepoint).await?;
        let proof = match Proof::ask(&mut savepoint).await {
            Ok(proof) => proof.map_or(Proven::Never, |proof| Proven::of(proof, from, to)),
            Err(error) if is_out_of_time(&error) => Proven::Unknown,
            Err(error) => return Err(error),
        };
        savepoint.rollback().await?;
        Ok(Self { last_asked_at: last.map(SqlTimestamp::to_jiff), proof })
    }

    /// When, for people.
    pub(super) fn asked_words(&self) -> String {
        match self.last_asked_at {
            Some(at) => format!("Toggl was last asked for time entries at {} UTC.", time(at)),
            None => "Toggl was never asked for time entries: `fetcher` does it.".to_owned(),
        }
    }
}

impl Proven {
    /// Of the inventories that are about some of these days.
    fn of(proof: Proof, from: Date, to: Date) -> Self {
        let days = |text: &str| text.parse::<Date>().ok();
        let about = proof.findings.into_iter().filter(|finding| {
            let (first, last) = (days(&finding.from_date), days(&finding.to_date));
            first.is_none_or(|first| first <= to) && last.is_none_or(|last| last >= from)
        });
        let proof = Proof { findings: about.collect(), ..proof };
        let Some(asked_at) = proof.asked_at() else { return Self::Never };
        if let Some(words) = proof.attention() {
            return Self::Open(words);
        }
        let first = proof.findings.iter().filter_map(|finding| days(&finding.from_date)).min();
        let last = proof.findings.iter().filter_map(|finding| days(&finding.to_date)).max();
        Self::Equal {
            asked_at,
            from: first.map_or(from, |first| first.max(from)),
            to: last.map_or(to, |last| last.min(to)),
        }
    }

    pub(super) const fn is_equal(&self) -> bool {
        matches!(self, Self::Equal { .. })
    }

    pub(super) fn words(&self) -> String {
        match self {
            Self::Equal { asked_at, from, to } => {
                format!("Proven: from {from} to {to} equal to Toggl's own sums of {} UTC.", time(*asked_at))
            }
            Self::Open(words) => format!("Not proven: {words}."),
            Self::Never => "Not proven: nobody has asked Toggl for its own sums of these days; `fetcher verify` does."
                .to_owned(),
            Self::Unknown => "Not proven: comparing with Toggl's sums takes too long here; `loader verify` has time."
                .to_owned(),
        }
    }
}
