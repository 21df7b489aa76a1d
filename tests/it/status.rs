//! What is told of the pipeline: by `loader status`, the page, metrics and views.

mod explain;
mod explain_at_random;
mod explain_batches;
mod explain_deletions;
mod freshness;
mod freshness_cost;
mod healthy;
pub(crate) mod metrics;
mod page;
mod people;
mod promises;
mod trouble;
mod whose_answer;
