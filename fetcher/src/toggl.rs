//! Toggl's HTTP API: authentication, pace, limits and errors. What is asked, and what becomes of the
//! answer, is not decided here.

mod address;
mod client;
mod error;
mod limits;
mod pace;
mod payment;
mod quotas;

pub(crate) use client::QUOTA_PATH;
pub use client::{Answer, Client, TogglArgs};
pub use error::Error;
pub(crate) use limits::ListedQuota;
pub use quotas::{Bucket, Standing, Standings};
