//! The loader: batches from JetStream into `raw.toggl_track__*`.
//!
//! ```text
//! subscriber (one per table) ─► delivery ─► writer (lends a connection) ─► apply ─► commit ─► ack
//!                                                └─► dead letters (same transaction)
//! ```
//!
//! Beside them `watch` looks now and then how the pipeline is, as `loader status` does once; `http`
//! shows that, and what `meters` counted.
//!
//! `kept` tells fetchers that ask by NATS what became a dead letter of their runs.
//!
//! `loader replay` reads the same stream once more, past the tables' consumers, and applies by the same
//! rules.
//!
//! `ownership` looks whose the stream is before anything is taken, and whether this database has what was.
//!
//! Guarantee: a message is acknowledged only after the transaction that applied it has committed.
//! A crash between the two delivers it again, and applying it again changes nothing.

mod applier;
pub mod apply;
mod beside;
mod check;
mod claims;
pub mod cli;
mod clock;
mod compare;
mod copy;
mod covered;
pub mod database;
mod dead_letters;
mod delivery;
mod explain;
mod forget;
mod gate;
pub mod history;
mod http;
mod isolate;
mod kept;
mod ledger;
mod mend;
pub mod meters;
pub mod migrations;
mod outcome;
mod ownership;
mod pieces;
mod pipeline;
mod pool;
mod prune;
mod refusal;
mod replay;
mod rows;
mod rules;
mod running;
pub mod serve;
mod settle;
mod setup;
mod start;
mod status;
mod subscriber;
mod sweep;
mod table;
pub mod troubles;
mod turn;
mod upsert;
mod watch;
mod writer;
