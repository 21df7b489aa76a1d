//! The fetcher: Toggl's resources as batches in JetStream.
//!
//! ```text
//! credentials ─► toggl client ─► lists        ┐
//!                 (pace, quotas) time_entries ┼─► record ─► publisher ─► JetStream
//!                                report       │
//!                                inventory    ┘             state ─────► key-value bucket
//! ```
//!
//! Imports run downwards in this table.
//!
//! | what | where |
//! |---|---|
//! | commands, and what is said of a run: in words, as JSON, as metrics | `cli`, `library`, `check` |
//! | which run comes next, and when: `schedule auto` | `plan` |
//! | how old tables get at most until the next run | `promise` |
//! | whether loaders have stored it, and the verdict that Postgres holds | `wait_until_loaded`, `verdict` |
//! | what Toggl tells by itself, and the looks that follow | `listen` |
//! | what a run is: whose, of which workspaces, in which order | `orchestrator` |
//! | what is asked, and what an answer may claim or prove | `inventory`, `report`, `time_entries`, `lists` |
//! | what came of a run, and why it ended early | `outcome` |
//! | what is remembered from one run to the next | `state` |
//! | what is made of an answer, and how it is sent | `record`, `publisher` |
//! | subscriptions, and what is delivered | `webhooks` |
//! | one request: its turn, its quota, its errors | `toggl` |
//!
//! As a library:
//!
//! ```no_run
//! use fetcher::{Fetcher, Settings, SyncOptions};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let token = std::env::var("TOGGL_API_TOKEN")?;
//! let fetcher = Fetcher::connect(Settings::new("nats://127.0.0.1:4222", token)).await?;
//! let result = fetcher.sync(&SyncOptions { days: 7, ..SyncOptions::default() }).await?;
//! println!("{} entries, {:?}", result.time_entries_count, result.masters_counts);
//! # Ok(())
//! # }
//! ```
//!
//! A run that lacks anything is an error there: see [`FetchError`].
//!
//! Guarantee: [`sync_all`] and [`report_all`] count a record only after JetStream has acknowledged its
//! batch.

mod account;
mod check;
pub mod cli;
pub mod credentials;
mod inventory;
mod library;
mod listen;
mod lists;
mod orchestrator;
mod outcome;
mod plan;
mod progress_bar;
mod promise;
pub mod publisher;
pub mod record;
mod report;
mod selection;
pub mod state;
mod time_entries;
pub mod toggl;
mod verdict;
mod wait_until_loaded;
mod webhooks;
mod window;

pub use account::{Account, Workspaces};
pub use library::{FetchError, Fetcher, Settings, SetupError};
pub use orchestrator::{
    ChangeOptions, ReportDays, ReportOptions, ReportResult, SyncOptions, VerifyOptions,
    VerifyResult, changes_all, report_all, sync_all,
};
pub use outcome::{SyncError, SyncResult, TeamResult};
pub use selection::{Names, Selection};
pub use toggl::TogglArgs;

// What stands in the signatures above, so that a program needs no other crate for it.
pub use jiff::civil::Date;
pub use secrecy::SecretString;
pub use shared::nats::{AddressError, ConnectError, NatsArgs};
pub use shared::stream::{EnsureStreamError, StreamArgs};
pub use url::Url;
pub use uuid::Uuid;
