//! The tables: made, migrated, and one for each resource.

pub(crate) mod catalogue;
mod owners;
mod views;
mod waits;
