//! How the pipeline is: what NATS and Postgres know about it, and in words what needs a person.
//!
//! Either server may be away; what the other knows is told all the same.

pub(crate) mod age;
mod attention;
mod clock;
pub(crate) mod command;
mod line;
mod people;
pub(crate) mod pipeline;
mod promises;
pub(crate) mod proof;
pub(crate) mod queue;
pub(crate) mod store;
mod table;
pub(crate) mod verify;
pub(crate) mod whose;
pub(crate) mod words;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use shared::catalogue::CATALOGUE;

pub(crate) use self::line::Line;
use self::people::Tally;
use self::pipeline::Pipeline;
use self::proof::Proof;
use self::queue::Queue;
use self::store::{Counts, Store};
use self::whose::Whose;

/// What was found, at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    /// Of which pipeline.
    pub(crate) pipeline: Pipeline,
    /// How old what was fetched may be.
    pub(crate) max_age: Duration,
    /// When it was looked.
    pub(crate) at: Timestamp,
    /// What NATS knows.
    pub(crate) queue: Result<Queue, Away>,
    /// What Postgres knows.
    pub(crate) store: Result<Store, Away>,
    /// How many rows there are, as far as they were counted.
    pub(crate) counts: Option<Arc<Counts>>,
    /// Why they could not be counted now.
    pub(crate) uncounted: Option<Away>,
    /// What Toggl's inventories say about the tables, as it was asked last.
    pub(crate) proof: Option<Arc<Proof>>,
    /// Why that could not be asked now.
    pub(crate) unproven: Option<Away>,
    /// Whose the stream is, and what this database lacks of it.
    pub(crate) whose: Whose,
}

/// What could not be asked, and what to do about it.
#[derive(Debug, Clone)]
pub(crate) struct Away {
    /// For people.
    pub(crate) words: String,
    /// Whether it is the server that is out of reach, and not something there that is missing.
    pub(crate) out_of_reach: bool,
}

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Healthy,
    NeedsAttention,
    OutOfReach,
}

impl Status {
    /// A line for each raw table.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line> {
        CATALOGUE.iter().map(|resource| Line::of(self, resource))
    }

    /// Whose entries were read. None where it is not known, or no users are.
    pub(crate) fn people(&self) -> Option<Tally> {
        Tally::of(&self.counts.as_ref()?.people, self.at)
    }

    /// What needs a person, each with what to do; empty if all is well.
    pub(crate) fn attention(&self) -> Vec<String> {
        attention::attention(self)
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let away = [
            self.queue.as_ref().err(),
            self.store.as_ref().err(),
            self.uncounted.as_ref(),
            self.unproven.as_ref(),
        ];
        if away.into_iter().flatten().any(|away| away.out_of_reach) {
            Verdict::OutOfReach
        } else if self.attention().is_empty() {
            Verdict::Healthy
        } else {
            Verdict::NeedsAttention
        }
    }
}

impl Verdict {
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::NeedsAttention => "needs attention",
            Self::OutOfReach => "out of reach",
        }
    }
}
