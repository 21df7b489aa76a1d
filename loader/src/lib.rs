//! The loader: batches from JetStream into `raw.toggl_track__*`.
//!
//! ```text
//! consume: subscriber (one per table) ─► delivery ─► worker (lends a connection)      ack ◄┐
//!                                                      ▼                                   │
//! apply:   one batch, one transaction: lock ─► claims ─► compare ─► write ─► loads row ─► commit
//!                                                                   └─► dead letters (same transaction)
//! ```
//!
//! The rooms, top floor first; each uses only what is below it:
//!
//! | room | what it does |
//! |---|---|
//! | `cli`, `check` | commands and their arguments |
//! | `http`, `replay` | page, metrics and health; the stream once more |
//! | `consume` | from a message to its settlement |
//! | `explain`, `hours`, `metrics` | why a row is as it is; a report of hours; counters and gauges |
//! | `status`, `dead_letters`, `forget`, `setup` | how the pipeline is, and commands that need no stream |
//! | `apply`, `migrations`, `ownership`, `prune`, `settle` | one batch, one transaction; the schema; whose the stream is; retention; the copy for the views |
//! | `postgres` | the connection, what errors mean, names of schemas |
//!
//! Guarantee: a message is acknowledged only after the transaction that applied it has committed.
//! A crash between the two delivers it again, and applying it again changes nothing.

pub mod apply;
mod check;
pub mod cli;
pub mod consume;
mod dead_letters;
mod explain;
mod forget;
mod hours;
mod http;
pub mod metrics;
pub mod migrations;
mod ownership;
pub mod postgres;
mod prune;
mod replay;
mod resource_argument;
mod settle;
mod setup;
mod status;
