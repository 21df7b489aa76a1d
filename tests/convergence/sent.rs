//! What syncs send of an account, and what they claim of it.

/// What the listings of a history are cut by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Axis {
    Ids,
    Starts,
    /// By starts too, of what may be running.
    Reports,
}

/// After so long a running entry that a complete report lacks is gone.
pub(crate) const LONGEST_RUN: i64 = 300;

/// Records are of so many people.
pub(crate) const PEOPLE: i64 = 3;

/// What a person sees of a live row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) content: u8,
    pub(crate) start: i64,
    pub(crate) modified_at: i64,
    pub(crate) running: bool,
}

/// One record of a batch, as Toggl showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: i64,
    pub(crate) live: Live,
    pub(crate) deleted: bool,
}

/// A half-open range: `(low, high]` of ids, `[low, high)` of starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) axis: Axis,
    pub(crate) low: Option<i64>,
    pub(crate) high: Option<i64>,
}

impl Claim {
    pub(crate) fn covers(&self, id: i64, start: i64) -> bool {
        match self.axis {
            Axis::Ids => {
                self.low.is_none_or(|low| low < id) && self.high.is_none_or(|high| id <= high)
            }
            Axis::Starts | Axis::Reports => {
                self.low.is_none_or(|low| low <= start) && self.high.is_none_or(|high| start < high)
            }
        }
    }
}

/// A batch before it is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) fetched_at: i64,
    /// By how many hours its clock was ahead: what it tells is that later.
    pub(crate) hours_ahead: i64,
    pub(crate) claim: Option<Claim>,
    pub(crate) seen: Vec<Seen>,
}
