//! `loader hours`: the numbers, the formats, the page, and how it fails.

mod errors;
mod formats;
mod ledger;
mod numbers;
mod page;
mod readers;
