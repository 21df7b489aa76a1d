//! What is wrong with an answer, and whether the same question may be answered better.

use std::time::{Duration, SystemTime};

use super::error::Error;
use super::exchange::Exchange;
use super::limits::{self, Quota};
use super::payment::Payment;
use super::words::Redactor;

/// Why an answer is no good.
pub(super) enum Trouble {
    /// May be over in a second: a 5xx, a broken connection.
    Passing(Error),
    /// Too fast; the wait that was asked for, if any.
    Burst(Option<Duration>),
    /// The hourly quota is used up.
    Quota(Quota),
    /// A 402 that does not say whether quota or plan.
    Doubtful(Error),
    /// The same again would be answered the same.
    Lasting(Error),
}

/// None for a good answer.
pub(super) fn judge(path: &str, exchange: &Exchange, redactor: &Redactor) -> Option<Trouble> {
    let Exchange { status, headers, body } = exchange;
    if status.is_success() {
        return None;
    }
    let (is_me, status) = (path.ends_with("/me"), *status);
    let path = path.to_owned();
    let message = || redactor.said(body);
    Some(match status.as_u16() {
        401 => Trouble::Lasting(Error::Credentials { status, message: message() }),
        // Toggl answers a wrong token with 403.
        403 if is_me => Trouble::Lasting(Error::Credentials { status, message: message() }),
        402 => {
            let error = Error::Unavailable { path, status, message: message() };
            match Payment::of(headers, body) {
                Payment::Quota(quota) => Trouble::Quota(quota),
                Payment::Plan => Trouble::Lasting(error),
                Payment::Doubtful => Trouble::Doubtful(error),
            }
        }
        403 | 404 | 410 => {
            Trouble::Lasting(Error::Unavailable { path, status, message: message() })
        }
        429 => Trouble::Burst(limits::retry_after(headers, SystemTime::now())),
        500.. => Trouble::Passing(Error::Status { path, status, message: message() }),
        _ => Trouble::Lasting(Error::Status { path, status, message: message() }),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;
    use shared::retry::Disposition;

    #[test]
    fn a_403_is_about_the_token_only_on_me() {
        let disposition = |status, path| {
            let status = StatusCode::from_u16(status).unwrap();
            let exchange = Exchange { status, headers: HeaderMap::new(), body: Bytes::new() };
            match judge(path, &exchange, &Redactor::new(&"t0ken".to_owned().into())).unwrap() {
                Trouble::Lasting(error) => error.disposition(),
                _ => panic!("not lasting"),
            }
        };
        assert_eq!(disposition(403, "/api/v9/me"), Disposition::Stop);
        assert_eq!(disposition(403, "/api/v9/me/time_entries"), Disposition::Skip);
        assert_eq!(disposition(403, "/api/v9/workspaces/1/groups"), Disposition::Skip);
        assert_eq!(disposition(401, "/api/v9/workspaces/1/groups"), Disposition::Stop);
    }
}
