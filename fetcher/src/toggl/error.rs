//! What can go wrong between us and Toggl, and what follows from it.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use shared::retry::Disposition;

use super::quotas::{Bucket, until};
use super::words::Words;

/// Why a request got no usable answer. Paths carry no secrets; the token is in a header that is
/// never printed, and [`Words`] hold it no more if an answer repeats it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 401 anywhere, or 403 on /me.
    #[error(
        "Toggl refuses the credentials ({status}{message}); check the API token on your Toggl profile \
         page"
    )]
    Credentials {
        /// What Toggl answered.
        status: StatusCode,
        /// Toggl's words, if any.
        message: Words,
    },
    /// 402 with nothing left.
    #[error("Toggl's hourly quota of {bucket} is used up; {}", come_back(*.resets_at))]
    Quota {
        /// Which one.
        bucket: Bucket,
        /// When there is quota again.
        resets_at: Option<Timestamp>,
    },
    /// 429 however long the pauses were, or one that asks for a longer pause than we take.
    #[error(
        "Toggl answers {path} with 429 (too many requests) and wants a pause of {}; is another program \
         using the same token? Try again later, or lower --requests-per-second",
        humantime::format_duration(Duration::from_secs(wait.as_secs().max(1)))
    )]
    TooFast {
        /// What was asked.
        path: String,
        /// The pause that the last answer asked for, or that we would have made.
        wait: Duration,
    },
    /// 402 for a feature that the plan lacks, 403 or 404: this resource is closed to this account.
    #[error("{path} is not available to this account: {status}{message}")]
    Unavailable {
        /// What was asked.
        path: String,
        /// What Toggl answered.
        status: StatusCode,
        /// Toggl's words, if any.
        message: Words,
    },
    /// Any other status, the second time where a second try makes sense.
    #[error("Toggl answered {status} to {path}{message}")]
    Status {
        /// What was asked.
        path: String,
        /// What Toggl answered.
        status: StatusCode,
        /// Toggl's words, if any.
        message: Words,
    },
    /// No answer, or one that broke off, twice.
    #[error("could not read {path} from Toggl")]
    Transport {
        /// What was asked.
        path: String,
        /// What the HTTP client says.
        #[source]
        source: reqwest::Error,
    },
    /// An answer of the wrong form, such as a proxy's page.
    #[error("Toggl's answer to {path} is not what it should be{reason}")]
    Body {
        /// What was asked.
        path: String,
        /// Where it differs.
        reason: Words,
    },
    /// A body larger than any of Toggl's.
    #[error("Toggl's answer to {path} is larger than {bytes} bytes")]
    TooLarge {
        /// What was asked.
        path: String,
        /// The most that is read.
        bytes: usize,
    },
    /// Many records of a listing cannot be used: Toggl's answers have changed.
    #[error(
        "{rejected} of {count} records of {path} cannot be used, the first because {reason}; has \
         Toggl's API changed?"
    )]
    Shape {
        /// What was asked.
        path: String,
        /// Records in the listing.
        count: usize,
        /// Of these, the ones that cannot be used.
        rejected: usize,
        /// What is wrong with the first.
        reason: String,
    },
    /// Headers of a report that name a next page, but not which.
    #[error("Toggl's answer to {path} names a next page, but not in a way that finds it")]
    NextPage {
        /// What was asked.
        path: String,
    },
    /// A page that has come before.
    #[error("Toggl's pages of {path} repeat; something goes round in circles")]
    Circular {
        /// What was asked.
        path: String,
    },
    /// More pages than any account has.
    #[error("{path} has more than {pages} pages; something goes round in circles")]
    Endless {
        /// What was asked.
        path: String,
        /// Pages read.
        pages: usize,
    },
}

impl Error {
    /// [`Disposition::Stop`]: no request of this run can succeed. [`Disposition::Skip`]: go on
    /// without this resource. [`Disposition::Retry`]: the resource fails now and may work next time.
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::Credentials { .. } => Disposition::Stop,
            Self::Unavailable { .. } => Disposition::Skip,
            Self::Quota { .. }
            | Self::TooFast { .. }
            | Self::Status { .. }
            | Self::Transport { .. }
            | Self::Body { .. }
            | Self::TooLarge { .. }
            | Self::Shape { .. }
            | Self::NextPage { .. }
            | Self::Circular { .. }
            | Self::Endless { .. } => Disposition::Retry(None),
        }
    }
}

fn come_back(resets_at: Option<Timestamp>) -> String {
    match resets_at {
        Some(at) => format!(
            "come back in {} minutes, at {}",
            until(Some(at)).as_secs().div_ceil(60),
            at.strftime("%H:%M:%S UTC")
        ),
        None => "come back in an hour".to_owned(),
    }
}
