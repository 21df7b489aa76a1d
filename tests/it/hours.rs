//! `loader hours`: the numbers, the formats, the page, and how it fails; and the dashboard on the same views.

mod dashboard;
mod errors;
mod formats;
mod ledger;
mod numbers;
mod page;
mod readers;
