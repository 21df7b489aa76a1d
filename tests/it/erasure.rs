//! What is deleted on purpose: people, workspaces, and what is too old.

mod beside;
pub(crate) mod people;
mod pruning;
