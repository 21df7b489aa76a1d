//! Toggl's HTTP API: authentication, pace, limits and errors. What is asked, and what becomes of the
//! answer, is not decided here.

mod address;
mod args;
mod client;
mod clock;
mod error;
mod exchange;
mod limits;
mod pace;
mod payment;
mod quotas;
mod traffic;
mod trouble;
mod words;

pub use args::{InClear, TogglArgs};
pub use client::{Answer, Client, HttpError};
pub(crate) use client::{QUOTA_PATH, http};
pub(crate) use clock::difference;
pub use error::Error;
pub(crate) use limits::ListedQuota;
pub use quotas::{Bucket, Standing, Standings};
pub use traffic::{Requests, Traffic, Wait, Waits};
pub use words::Words;
