//! How the simulator answers where Toggl's behaviour varies or a test needs it to.

use jiff::Timestamp;

/// Switches of a simulator, changed by [`Simulator::configure`](super::Simulator::configure).
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// Answer `null` instead of `[]` for a list without records, as some of Toggl's endpoints do.
    pub empty_lists_as_null: bool,
    /// Status for credentials that are not the account's: 403 in practice, 401 by the book.
    pub wrong_token_status: u16,
    /// The present as Toggl sees it; the machine's clock when unset.
    pub now: Option<Timestamp>,
    /// How many calendar months back `/me/time_entries` answers; unset, there is no such limit.
    pub entry_months: Option<i32>,
    /// How many entries one answer of `/me/time_entries` holds, the rest being dropped silently.
    pub entry_cap: usize,
    /// The most rows a page of a report has, whatever is asked for.
    pub report_page_cap: usize,
    /// The minutes to which the user's preferences round reports up; unset, they do not round.
    pub report_rounding_minutes: Option<u32>,
    /// How many entries of the same user, project and description a row of a report holds.
    pub report_rows_hold: usize,
    /// What reports make of an entry that is still running.
    pub report_running: Running,
}

/// What a report does with an entry that is still running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// It does not show it.
    Missing,
    /// It shows it without a stop, with the seconds so far.
    WithoutStop,
}

impl Behaviour {
    pub(super) fn now(&self) -> Timestamp {
        self.now.unwrap_or_else(Timestamp::now)
    }
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            empty_lists_as_null: false,
            wrong_token_status: 403,
            now: None,
            entry_months: Some(3),
            entry_cap: 1000,
            report_page_cap: 1000,
            report_rounding_minutes: None,
            report_rows_hold: 1,
            report_running: Running::Missing,
        }
    }
}
