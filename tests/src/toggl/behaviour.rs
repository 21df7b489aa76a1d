//! How the simulator answers where Toggl's behaviour varies or a test needs it to.

use jiff::{SignedDuration, Timestamp};

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
    /// How far Toggl's clock, and with it the Date header, is ahead of the machine's. The header keeps to
    /// it when `now` says otherwise.
    pub clock_offset: SignedDuration,
    /// Answer `null` for every list, for time entries and for reports, whatever there is.
    pub glitch: bool,
    /// The most rows a page of a list has, whatever is asked for; the next page begins after them.
    pub page_cap: Option<usize>,
    /// How many records a list without pages holds, the rest being dropped silently. With `page=N` in
    /// the query it is the N-th so many.
    pub list_cap: Option<usize>,
    /// One page of a list is shorter than the others.
    pub short_page: Option<ShortPage>,
    /// Reports look at no more than the last so many days of what is asked for.
    pub report_days: Option<u32>,
    /// The order in which reports list.
    pub report_order: ReportOrder,
    /// Reports name the next page by its number alone, without `X-Next-ID` and `X-Next-Timestamp`.
    pub report_number_only: bool,
    /// Whether summaries tell the ids of their entries.
    pub summary_ids: SummaryIds,
    /// Which entries of a person summaries put together.
    pub summary_groups: SummaryGroups,
    /// How many groups of a person a summary holds, the rest being dropped silently.
    pub summary_cap: Option<usize>,
    /// How webhooks are.
    pub webhooks: WebhookBehaviour,
}

/// How Toggl's webhooks are, and how they ring.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct WebhookBehaviour {
    /// Subscriptions of a workspace; without any the plan has none.
    pub most: usize,
    /// Filters of a subscription.
    pub most_filters: usize,
    /// Whether a filter may say any kind of thing.
    pub takes_any_entity: bool,
    /// Whether subscriptions are listed with their secrets.
    pub tells_secrets: bool,
    /// Whether it can be asked what was delivered.
    pub tells_tried: bool,
    /// Nothing is delivered, and nobody is told.
    pub loses_events: bool,
    /// Events that come together are delivered the other way round.
    pub reverses: bool,
    /// How often each event is delivered.
    pub times: usize,
    /// How ids are written.
    pub ids: Ids,
}

impl Default for WebhookBehaviour {
    fn default() -> Self {
        Self {
            most: 3,
            most_filters: 12,
            takes_any_entity: true,
            tells_secrets: true,
            tells_tried: true,
            loses_events: false,
            reverses: false,
            times: 1,
            ids: Ids::Recorded,
        }
    }
}

/// How the ids of an event are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// As numbers in the thing itself, as strings beside it.
    Recorded,
    /// As numbers everywhere.
    Numbers,
    /// As strings everywhere.
    Strings,
}

/// Whether groups of a summary have the ids of their entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SummaryIds {
    /// Where they are asked for.
    Told,
    /// Whatever is asked for.
    LeftOut,
}

/// What one group of a summary holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SummaryGroups {
    /// All entries of the same description.
    ByTitle,
    /// One entry.
    OfOne,
}

/// A page in the middle of a list that is shorter than those around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortPage {
    /// Its number, from 1.
    pub page: usize,
    /// How many rows it has.
    pub rows: usize,
    /// What becomes of the rows that it lacks.
    pub rest: Rest,
}

/// What becomes of the rows that a short page lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// The next page begins with them.
    Follows,
    /// No page has them.
    Missing,
}

/// The order of a report's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportOrder {
    /// As it is asked for.
    Asked,
    /// The other way round.
    Reversed,
    /// By description, then by start, whatever is asked for.
    ByDescription,
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
        self.now.unwrap_or_else(|| self.clock())
    }

    /// What the Date header tells.
    pub(super) fn clock(&self) -> Timestamp {
        Timestamp::now() + self.clock_offset
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
            clock_offset: SignedDuration::ZERO,
            glitch: false,
            page_cap: None,
            list_cap: None,
            short_page: None,
            report_days: None,
            report_order: ReportOrder::Asked,
            report_number_only: false,
            summary_ids: SummaryIds::Told,
            summary_groups: SummaryGroups::ByTitle,
            summary_cap: None,
            webhooks: WebhookBehaviour::default(),
        }
    }
}
