//! The contract of the two workers, and their ways to NATS and Postgres; nothing that talks HTTP, or knows
//! a table.
//!
//! ```text
//! fetcher                                        loader
//! Toggl ─► listing ─► batches ─► publish ══ subject ══► decode ─► apply ─► ack
//!             ▲                                            ▲
//!             └──────────────── catalogue ─────────────────┘
//! ```
//!
//! Guarantee of the whole: a record whose batch JetStream acknowledged ends in its raw table, or is
//! reported; batches may arrive twice, late or shuffled without changing the outcome.

pub mod batch;
pub mod catalogue;
pub mod checkup;
pub mod consumer;
pub mod destination;
pub mod digest;
pub mod eavesdropping;
pub mod env_file;
mod error_chain;
pub mod exit;
pub mod fault_point;
pub mod kept;
pub mod listing;
pub mod manual;
pub mod message;
pub mod nats;
pub mod output;
pub mod postgres;
pub mod process;
pub mod resource;
pub mod retry;
pub mod secrets;
pub mod settings;
pub mod shutdown;
pub mod stream;
pub mod telemetry;
mod tls;
