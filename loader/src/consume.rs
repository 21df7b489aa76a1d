//! From a message to its settlement: one subscriber a table, deliveries, and the worker that has them
//! applied.
//!
//! ```text
//! subscriber (one per table) ─► delivery ─► worker (lends a connection of the pool) ─► applier ─► apply
//!                                              └─► table: what of it is in hand, and in trouble
//! ```

pub(crate) mod applier;
pub(crate) mod delivery;
mod fetcher_questions;
mod gate;
pub(crate) mod pool;
pub mod serve;
mod subscriber;
mod table;
pub mod troubles;
mod worker;
