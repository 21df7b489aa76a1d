//! Batches in whatever order: what is applied, once.

mod delivery;
mod keys;
mod pieces;
mod random_histories;
