//! What is deleted on purpose: people, workspaces, and what is too old.

mod beside;
mod people;
mod pruning;
