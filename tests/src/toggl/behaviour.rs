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
        }
    }
}
