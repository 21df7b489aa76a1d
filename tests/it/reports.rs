//! History from the Reports API.

mod claims;
mod entries;
pub(crate) mod interrupted;
mod known_owner;
mod memory;
pub(crate) mod reporting;
