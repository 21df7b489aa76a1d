//! The fetcher: Toggl's resources as batches in JetStream.
//!
//! ```text
//! credentials ─► toggl client ─► masters      ┐
//!                 (pace, quotas) time_entries ┼─► record ─► publisher ─► JetStream
//!                                report       ┘             state ─────► key-value bucket
//! ```
//!
//! Guarantee: [`sync_all`] and [`report_all`] count a record only after JetStream has acknowledged its
//! batch.

mod account;
mod arrival;
mod check;
pub mod cli;
pub mod credentials;
mod masters;
mod orchestrator;
mod outcome;
mod progress;
pub mod publisher;
pub mod record;
mod report;
mod selection;
pub mod state;
mod time_entries;
pub mod toggl;

pub use account::{Account, Workspaces};
pub use orchestrator::{
    ReportDays, ReportOptions, ReportResult, SyncOptions, report_all, sync_all,
};
pub use outcome::{SyncError, SyncResult, TeamResult};
pub use selection::{Names, Selection};
