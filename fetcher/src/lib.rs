//! The fetcher: Toggl's resources as batches in JetStream.
//!
//! ```text
//! credentials ─► toggl client ─► masters      ┐
//!                 (pace, pages)  time_entries ┴─► record ─► publisher ─► JetStream
//! ```
//!
//! Guarantee: [`sync_all`] counts a record only after JetStream has acknowledged its batch.

pub mod cli;
pub mod credentials;
mod masters;
mod orchestrator;
pub mod publisher;
mod record;
mod time_entries;
pub mod toggl;

pub use orchestrator::{Account, SyncError, SyncOptions, SyncResult, sync_all};
