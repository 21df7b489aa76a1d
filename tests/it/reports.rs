//! History from the Reports API.

mod claims;
mod entries;
pub(crate) mod interrupted;
mod memory;
pub(crate) mod reporting;
