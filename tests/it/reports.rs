//! History from the Reports API.

mod claims;
mod entries;
mod interrupted;
mod memory;
pub(crate) mod reporting;
