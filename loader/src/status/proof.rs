//! Whether the tables have what Toggl's own sums say is there: the verdict of the newest inventories.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTimestamp;
use serde::Serialize;
use sqlx::{FromRow, PgConnection};

use super::words::time;

/// It is asked once more after this even if no inventory has come.
const INTERVAL: Duration = Duration::from_mins(10);
/// Asking takes no more than this part of the time.
const SHARE: u32 = 10;

/// The verdict over all people of all inventories.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    /// Just before it was asked.
    pub(crate) at: Timestamp,
    /// What asking took: entry by entry is compared.
    pub(crate) took: Duration,
    pub(crate) findings: Vec<Finding>,
}

/// What was found of one person in one inventory; of nobody where that proves nothing.
#[derive(Debug, Clone, Serialize, FromRow)]
pub(crate) struct Finding {
    pub(crate) workspace_id: i64,
    pub(crate) from_date: String,
    pub(crate) to_date: String,
    #[serde(skip)]
    asked: SqlTimestamp,
    pub(crate) user_id: Option<i64>,
    pub(crate) verdict: String,
    pub(crate) fault: Option<String>,
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub(crate) numbers: Numbers,
}

/// Entries and seconds on both sides.
#[derive(Debug, Clone, Copy, Default, Serialize, FromRow)]
pub(crate) struct Numbers {
    pub(crate) told_entry_count: i64,
    pub(crate) stored_entry_count: i64,
    pub(crate) told_seconds: i64,
    pub(crate) stored_seconds: i64,
    pub(crate) missing_count: i64,
    pub(crate) gone_count: i64,
    pub(crate) differing_count: i64,
    pub(crate) left_out_count: i64,
    pub(crate) unproven_count: i64,
    pub(crate) not_kept_count: i64,
}

impl Numbers {
    fn plus(self, other: &Self) -> Self {
        Self {
            told_entry_count: self.told_entry_count + other.told_entry_count,
            stored_entry_count: self.stored_entry_count + other.stored_entry_count,
            told_seconds: self.told_seconds + other.told_seconds,
            stored_seconds: self.stored_seconds + other.stored_seconds,
            missing_count: self.missing_count + other.missing_count,
            gone_count: self.gone_count + other.gone_count,
            differing_count: self.differing_count + other.differing_count,
            left_out_count: self.left_out_count + other.left_out_count,
            unproven_count: self.unproven_count + other.unproven_count,
            not_kept_count: self.not_kept_count + other.not_kept_count,
        }
    }

    /// What differs or is open, in words; empty if nothing does.
    pub(crate) fn words(&self) -> String {
        let counts = [
            (self.missing_count, "missing here"),
            (self.gone_count, "gone at Toggl"),
            (self.differing_count, "different"),
            (self.unproven_count, "not here, of days of which only a part was read"),
            (self.left_out_count, "changed since, left out"),
            (self.not_kept_count, "of people whose entries are not read"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(count, words)| format!("{count} {words}")).collect();
        counts.join(", ")
    }
}

impl Finding {
    pub(crate) fn asked_at(&self) -> Timestamp {
        self.asked.to_jiff()
    }

    /// Whether the tables have what they are meant to have of this.
    pub(crate) fn is_good(&self) -> bool {
        matches!(self.verdict.as_str(), "equal" | "not kept")
    }
}

impl Proof {
    /// None where no inventory was ever loaded.
    pub(crate) async fn ask(connection: &mut PgConnection) -> sqlx::Result<Option<Self>> {
        let (at, started) = (Timestamp::now(), Instant::now());
        let findings: Vec<Finding> = sqlx::query_as(
            "select workspace_id, from_date::text, to_date::text, asked_at as asked, user_id, verdict, fault,
                    told_entry_count, stored_entry_count, told_seconds, stored_seconds, missing_count,
                    gone_count, differing_count, left_out_count, unproven_count, not_kept_count
             from staging.stg_toggl_track__verification
             order by workspace_id, from_date, user_id",
        )
        .fetch_all(connection)
        .await?;
        Ok((!findings.is_empty()).then(|| Self { at, took: started.elapsed(), findings }))
    }

    /// Whether it is to be asked again: after a new inventory, and now and then, for the tables change, too.
    pub(crate) fn is_due(&self, last_inventory: Option<Timestamp>) -> bool {
        let is_outdated = last_inventory.is_some_and(|last| last > self.at);
        let rest = self.took * SHARE;
        let pause = if is_outdated { rest } else { rest.max(INTERVAL) };
        Timestamp::now().duration_since(self.at).unsigned_abs() >= pause
    }

    pub(crate) fn is_good(&self) -> bool {
        self.findings.iter().all(Finding::is_good)
    }

    /// When Toggl was asked, the longest ago.
    pub(crate) fn asked_at(&self) -> Option<Timestamp> {
        self.findings.iter().map(Finding::asked_at).min()
    }

    pub(crate) fn sum(&self) -> Numbers {
        self.findings.iter().fold(Numbers::default(), |sum, finding| sum.plus(&finding.numbers))
    }

    /// As a line of the status.
    pub(crate) fn words(&self) -> String {
        let sum = self.sum();
        let asked = self.asked_at().map_or_else(String::new, |at| format!(" at {}", time(at)));
        let of =
            format!("{} entries, {} hours", grouped(sum.told_entry_count), hours(sum.told_seconds));
        let details = sum.words();
        let details = if details.is_empty() { details } else { format!(" ({details})") };
        match self.worst() {
            None => format!("Proof: equal to Toggl{asked}: {of}{details}"),
            Some(Finding { fault: Some(fault), .. }) => format!("Proof: none{asked}: {fault}"),
            Some(Finding { verdict, .. }) => format!("Proof: {verdict}{asked}, of {of}{details}"),
        }
    }

    /// What a person should do about it, if anything.
    pub(crate) fn attention(&self) -> Option<String> {
        let worst = self.worst()?;
        Some(match worst.verdict.as_str() {
            "different" => format!(
                "the tables differ from Toggl: {}. `loader verify` says where, `fetcher verify --repair` reads \
                 exactly that once more",
                self.sum().words()
            ),
            "unproven" => format!(
                "the tables are not known to have all that Toggl has: {}. `fetcher report` over the whole span \
                 settles it",
                self.sum().words()
            ),
            "not arrived" => "an inventory of Toggl is here only in part; if it stays so, run `fetcher verify` again"
                .to_owned(),
            _ => format!(
                "the last inventory of Toggl proves nothing: {}. Run `fetcher verify` again",
                worst.fault.as_deref().unwrap_or("it names no reason")
            ),
        })
    }

    /// The finding that says most against the tables.
    fn worst(&self) -> Option<&Finding> {
        let order = ["different", "no proof", "not arrived", "unproven"];
        order.iter().find_map(|word| self.findings.iter().find(|found| found.verdict == *word))
    }
}

/// Digits in threes.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// Seconds in hours, with one decimal.
pub(crate) fn hours(seconds: i64) -> String {
    let tenths = (seconds + 180).div_euclid(360);
    format!("{}.{}", grouped(tenths.div_euclid(10)), tenths.rem_euclid(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(verdict: &str, numbers: Numbers) -> Finding {
        use jiff_sqlx::ToSqlx as _;
        Finding {
            workspace_id: 3,
            from_date: "2024-01-01".to_owned(),
            to_date: "2024-12-30".to_owned(),
            asked: "2026-01-05T09:31:00Z".parse::<Timestamp>().unwrap().to_sqlx(),
            user_id: Some(7),
            verdict: verdict.to_owned(),
            fault: (verdict == "no proof").then(|| "it was cut".to_owned()),
            numbers,
        }
    }

    fn proof(findings: Vec<Finding>) -> Proof {
        Proof { at: Timestamp::UNIX_EPOCH, took: Duration::ZERO, findings }
    }

    const MANY: Numbers = Numbers {
        told_entry_count: 12_345,
        told_seconds: 24_442_200,
        stored_entry_count: 12_345,
        stored_seconds: 24_442_200,
        missing_count: 0,
        gone_count: 0,
        differing_count: 0,
        left_out_count: 0,
        unproven_count: 0,
        not_kept_count: 0,
    };

    #[test]
    fn what_is_equal_says_how_much_and_needs_nobody() {
        let proof = proof(vec![finding("equal", MANY)]);
        let words = "Proof: equal to Toggl at 2026-01-05 09:31: 12,345 entries, 6,789.5 hours";
        assert_eq!(proof.words(), words);
        assert_eq!(proof.attention(), None);
        assert!(proof.is_good());
    }

    #[test]
    fn whatever_is_not_equal_needs_somebody_and_the_worst_is_said() {
        for (verdict, word) in [
            ("different", "--repair"),
            ("unproven", "fetcher report"),
            ("no proof", "it was cut"),
            ("not arrived", "in part"),
        ] {
            let numbers = Numbers { missing_count: 3, ..MANY };
            let proof = proof(vec![finding("equal", MANY), finding(verdict, numbers)]);
            assert!(!proof.is_good(), "{verdict}");
            assert!(proof.attention().unwrap().contains(word), "{verdict}");
            assert!(!proof.words().contains("equal"), "{}", proof.words());
        }
    }

    #[test]
    fn people_whose_entries_are_not_read_are_no_trouble() {
        let numbers = Numbers { not_kept_count: 3, ..MANY };
        let proof = proof(vec![finding("not kept", numbers)]);
        assert!(proof.is_good());
        assert!(
            proof.words().contains("3 of people whose entries are not read"),
            "{}",
            proof.words()
        );
    }

    #[test]
    fn numbers_are_written_in_threes() {
        assert_eq!([0, 999, 1_000, -1_234_567].map(grouped), ["0", "999", "1,000", "-1,234,567"]);
        assert_eq!([0, 360, 3_599, 3_600_000].map(hours), ["0.0", "0.1", "1.0", "1,000.0"]);
    }
}
