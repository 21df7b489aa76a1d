//! What tests begin with: batches made by hand, rows that flow, loaders that are watched, worlds with other rights.

pub(crate) mod admitted;
pub(crate) mod batches;
pub(crate) mod bucket;
pub(crate) mod certificates;
pub(crate) mod databases;
pub(crate) mod dice;
pub(crate) mod flow;
pub(crate) mod guarded;
pub(crate) mod many_accounts;
pub(crate) mod operator;
pub(crate) mod running;
pub(crate) mod watched;
