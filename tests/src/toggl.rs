//! A simulated Toggl Track: an account in memory, and an HTTP server that answers for it as API v9
//! does, with the limits, refusals and surprises of the real one.
//!
//! A [`Simulator`] serves one [`Account`] or several. Tests change the account while it is served, set how it
//! misbehaves through [`Behaviour`] and scripted [`Answer`]s, and read what was asked from the
//! [request log](SeenRequest).

mod account;
mod agency;
mod answer;
mod attendance;
mod behaviour;
mod changes;
mod credentials;
mod deletions;
mod delivery;
mod endpoint;
mod entry_query;
mod entry_text;
mod generator;
mod happenings;
mod list;
mod pages;
mod quota;
mod record;
mod record_writer;
mod reply;
mod report;
mod request_log;
mod resources;
mod ringer;
mod sample;
mod server;
mod team;
mod time_entries;
mod webhooks;
mod workspaces;

pub use account::{Account, TOKEN};
pub use answer::Answer;
pub use behaviour::{
    Behaviour, Ids, ReportOrder, Rest, Running, ShortPage, SummaryGroups, SummaryIds,
    WebhookBehaviour,
};
pub use generator::AccountSize;
pub use list::List;
pub use quota::QuotaLimits;
pub use record::{Record, with_fields};
pub use request_log::SeenRequest;
pub use ringer::signature;
pub use sample::sample_now;
pub use server::{SeenDelivery, Simulator};
pub use time_entries::TimeEntry;
