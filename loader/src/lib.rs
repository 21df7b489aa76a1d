//! The loader: batches from JetStream into `raw.toggl_track__*`.
//!
//! ```text
//! subscriber (one per table) ─► delivery ─► writer (owns a connection) ─► apply ─► commit ─► ack
//!                                               └─► dead letters (same transaction)
//! ```
//!
//! Guarantee: a message is acknowledged only after the transaction that applied it has committed.
//! A crash between the two delivers it again, and applying it again changes nothing.

pub mod apply;
mod claims;
pub mod cli;
pub mod database;
mod dead_letters;
mod delivery;
mod isolate;
mod ledger;
pub mod migrations;
mod rows;
pub mod serve;
mod subscriber;
mod sweep;
mod upsert;
mod writer;
