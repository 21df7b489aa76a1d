//! What the summary says of the stream: where it begins, and what of the past is no longer in it.

use std::fmt;

use jiff::Timestamp;
use shared::resource::Claim;

use super::gone::{Gone, Loss};
use super::reader::Beginning;
use crate::postgres::schema::Schema;

pub(super) struct Report {
    pub(super) beginning: Beginning,
    pub(super) gone: Vec<Gone>,
    pub(super) schema: Schema,
    /// Whether the tables are those of a moment, which Toggl cannot be asked about.
    pub(super) is_past: bool,
}

impl Report {
    /// Whether rows are missing that once were loaded.
    pub(super) fn is_lossy(&self) -> bool {
        self.gone.iter().any(|gone| gone.loss > Loss::None)
    }

    fn remedy(&self, gone: &Gone) -> String {
        if self.is_past {
            return "what Toggl has today is not of that time".to_owned();
        }
        let command = match gone.resource.claim {
            Claim::Starts => {
                format!("fetcher report --from {}", gone.fetched.0.strftime("%Y-%m-%d"))
            }
            Claim::Ids | Claim::Gone | Claim::Nothing => {
                format!("fetcher --only {}", gone.resource.name)
            }
        };
        // A fetcher's batches go to the live tables.
        let target = if self.schema == Schema::RAW { "" } else { " into the live tables" };
        format!("`{command}` brings what Toggl still has{target}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.beginning)?;
        for gone in self.gone.iter().filter(|gone| gone.loss > Loss::None) {
            let (from, to) = gone.fetched;
            let consequence = match gone.loss {
                Loss::Rows => format!("rows that only they brought stay missing; {}", self.remedy(gone)),
                Loss::Deleted | Loss::None => {
                    "what is live is back by newer listings, but rows that had been deleted at Toggl by \
                     then, and were kept here, stay missing"
                        .to_owned()
                }
            };
            writeln!(
                f,
                "  {}: {} that {} once loaded {} gone from it (fetched between {} and {}): {consequence}",
                gone.resource.name,
                batches(gone.batches),
                if gone.batches == 1 { "was" } else { "were" },
                are(gone.batches),
                time(from),
                time(to)
            )?;
        }
        let harmless = || self.gone.iter().filter(|gone| gone.loss == Loss::None);
        let number: i64 = harmless().map(|gone| gone.batches).sum();
        if number > 0 {
            let names: Vec<_> = harmless().map(|gone| gone.resource.name).collect();
            writeln!(
                f,
                "  {} of {} that once came {} gone from it; nothing that they brought is known to be missing",
                batches(number),
                names.join(", "),
                are(number)
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.published_at {
            Some(at) => {
                write!(
                    f,
                    "The stream begins at sequence {}, published {} UTC",
                    self.sequence,
                    time(at)
                )
            }
            None => write!(f, "The stream is empty; its next sequence is {}", self.sequence),
        }
    }
}

fn batches(number: i64) -> String {
    if number == 1 { "1 batch".to_owned() } else { format!("{number} batches") }
}

const fn are(number: i64) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

/// In UTC, to the second.
fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
