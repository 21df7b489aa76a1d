//! The views of the schema `staging`.

pub(crate) mod catalogue;
mod columns;
mod copy;
mod deletions;
mod entries;
mod left_workspaces;
mod random;
pub(crate) mod staged;
mod times;
pub(crate) mod values;
