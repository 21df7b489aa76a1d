//! Batches in whatever order: what is applied, once.

mod delivery;
mod durable;
mod headers_alone;
mod keys;
mod pieces;
mod random_histories;
mod unread;
