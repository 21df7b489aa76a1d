//! Toggl's HTTP API: authentication, pace, limits and errors. What is asked, and what becomes of the
//! answer, is not decided here.

mod address;
mod args;
mod client;
mod clock;
mod error;
mod error_class;
mod limit_headers;
mod pace;
mod payment_required;
mod question_and_reply;
mod quotas;
mod request_log;
mod words;

pub use args::{InClear, TogglArgs};
pub use client::{Answer, Client, HttpError};
pub(crate) use client::{QUOTA_PATH, fingerprint, http};
pub(crate) use clock::difference;
pub use error::Error;
pub(crate) use limit_headers::ListedQuota;
pub use quotas::{Bucket, QuotaState, QuotaStates};
pub(crate) use quotas::{MARGIN, SAME_WINDOW, WINDOW};
pub use request_log::{RequestLog, Requests, Wait, Waits};
pub use words::Words;
