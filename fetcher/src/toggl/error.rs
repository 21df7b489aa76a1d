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
    /// 401 anywhere, or 403 on /me, in Toggl's own words.
    #[error(
        "Toggl refuses the credentials ({status}{message}); unless these words ask for something else, check \
         the API token on your Toggl profile page"
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
    /// A page of HTML in place of an answer: whoever sent it, Toggl's API did not.
    #[error(
        "{path} got a proxy's page of HTML, not Toggl's answer ({status}{title}); is there a proxy, a \
         firewall or a log-in to the network between this machine and {host}?"
    )]
    Page {
        /// What was asked.
        path: String,
        /// What it was sent with.
        status: StatusCode,
        /// Its title, if any.
        title: Words,
        /// What Toggl's address says.
        host: String,
    },
    /// Toggl's API sends nobody elsewhere; the token was not sent there.
    #[error(
        "{path} is redirected ({status}) to {to}; Toggl's API does not do that: is there a log-in to the \
         network between, or is TOGGL_URL not its address?"
    )]
    Redirected {
        /// What was asked.
        path: String,
        /// What was answered.
        status: StatusCode,
        /// Where to, without what follows the host.
        to: String,
    },
    /// 407: the proxy on the way asks who we are.
    #[error(
        "a proxy on the way to Toggl wants to know who asks for {path} ({status}{message}); give it user and \
         password in HTTPS_PROXY (http://user:password@host:port)"
    )]
    ProxyLogin {
        /// What was asked.
        path: String,
        /// What was answered.
        status: StatusCode,
        /// The proxy's words, if any.
        message: Words,
    },
    /// No answer, or one that broke off, twice.
    #[error("could not read {path} from Toggl{}", in_time(.source))]
    Transport {
        /// What was asked.
        path: String,
        /// What the HTTP client says.
        #[source]
        source: reqwest::Error,
    },
    /// An answer of the wrong form.
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
    /// What was answered, whatever was asked.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Unavailable { status, message, .. } => format!("{status}{message}"),
            _ => self.to_string(),
        }
    }

    /// Whether it says that there is nothing at that address for this account, or nothing to be asked in that
    /// way, whoever said so.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Page { status, .. } => {
                [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::GONE].contains(status)
            }
            Self::Status { status, .. } => {
                [StatusCode::BAD_REQUEST, StatusCode::METHOD_NOT_ALLOWED].contains(status)
            }
            _ => false,
        }
    }

    /// [`Disposition::Stop`]: no request of this run can succeed. [`Disposition::Skip`]: go on
    /// without this resource. [`Disposition::Retry`]: the resource fails now and may work next time.
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::Credentials { .. } => Disposition::Stop,
            Self::Unavailable { .. } => Disposition::Skip,
            Self::Quota { .. }
            | Self::TooFast { .. }
            | Self::Status { .. }
            | Self::Page { .. }
            | Self::Redirected { .. }
            | Self::ProxyLogin { .. }
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

/// Which setting cut it, if one did, or what to look at.
fn in_time(source: &reqwest::Error) -> &'static str {
    if source.is_timeout() {
        " in the time that TOGGL_TIMEOUT (--toggl-timeout) gives it"
    } else if source.is_connect() {
        " (is this machine online, and does it need a proxy?)"
    } else {
        ""
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
