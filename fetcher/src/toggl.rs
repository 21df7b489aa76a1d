//! Toggl's HTTP API: authentication, pace, limits and errors. What is asked, and what becomes of the
//! answer, is not decided here.

mod client;
mod error;
mod limits;
mod pace;

pub use client::{Answer, Client, TogglArgs};
pub use error::Error;
