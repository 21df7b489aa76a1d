//! What is wrong with an answer, and whether the same question may be answered better.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, LOCATION};
use url::Url;

use super::error::Error;
use super::limit_headers::{self, Quota};
use super::payment_required::PaymentRequired;
use super::question_and_reply::Reply;
use super::words::{Redactor, is_page};

/// Why an answer is no good.
pub(super) enum ErrorClass {
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

/// None for a good answer, which has a body and is no page.
pub(super) fn classify(path: &str, reply: &Reply, redactor: &Redactor) -> Option<ErrorClass> {
    let Reply { status, headers, body, host } = reply;
    let is_page = is_page(body);
    let is_empty = || body.iter().all(u8::is_ascii_whitespace);
    if status.is_success() && !is_page && !is_empty() {
        return None;
    }
    let (is_me, status) = (path.ends_with("/me"), *status);
    let path = path.to_owned();
    let message = || redactor.said(body);
    Some(match status.as_u16() {
        429 => ErrorClass::Burst(limit_headers::retry_after(headers, SystemTime::now())),
        407 => ErrorClass::Lasting(Error::ProxyLogin { path, status, message: message() }),
        300..=399 => {
            let to = elsewhere(headers, redactor);
            ErrorClass::Lasting(Error::Redirected { path, status, to })
        }
        _ if is_page => {
            let (title, host) = (redactor.title(body), host.clone());
            let error = Error::Page { path, status, title, host };
            // Those of a front that is down come and go; a log-in or a filter stays.
            if status.is_server_error() {
                ErrorClass::Passing(error)
            } else {
                ErrorClass::Lasting(error)
            }
        }
        200..=299 => ErrorClass::Passing(Error::Body { path, reason: "it is empty".into() }),
        401 => ErrorClass::Lasting(Error::Credentials { status, message: message() }),
        // Toggl answers a wrong token with 403.
        403 if is_me => ErrorClass::Lasting(Error::Credentials { status, message: message() }),
        402 => {
            let error = Error::Unavailable { path, status, message: message() };
            match PaymentRequired::of(headers, body) {
                PaymentRequired::Quota(quota) => ErrorClass::Quota(quota),
                PaymentRequired::Plan => ErrorClass::Lasting(error),
                PaymentRequired::Doubtful => ErrorClass::Doubtful(error),
            }
        }
        403 | 404 | 410 => {
            ErrorClass::Lasting(Error::Unavailable { path, status, message: message() })
        }
        500.. => ErrorClass::Passing(Error::Status { path, status, message: message() }),
        _ => ErrorClass::Lasting(Error::Status { path, status, message: message() }),
    })
}

/// Where a redirection leads, as far as it can hold no secret: scheme and host.
fn elsewhere(headers: &HeaderMap, redactor: &Redactor) -> String {
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let Some(location) = location else { return "nowhere".to_owned() };
    if let Ok(url) = Url::parse(location) {
        let origin = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        redactor.words(&origin).into()
    } else {
        let path = location.split(['?', '#']).next().unwrap_or_default();
        redactor.words(path).into()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;
    use reqwest::header::HeaderValue;

    use super::*;
    use shared::retry::Disposition;

    fn reply(status: StatusCode, body: &'static str) -> Reply {
        let (headers, host) = (HeaderMap::new(), "toggl".to_owned());
        Reply { status, headers, body: Bytes::from_static(body.as_bytes()), host }
    }

    #[test]
    fn a_page_says_nothing_of_the_token_whatever_its_status() {
        let page = "<html><title>Sign in</title>";
        for status in [200, 204, 400, 401, 402, 403, 404, 500, 502, 503, 511] {
            let status = StatusCode::from_u16(status).unwrap();
            let redactor = Redactor::new(&"t0ken".to_owned().into());
            let error = match classify("/api/v9/me", &reply(status, page), &redactor).unwrap() {
                ErrorClass::Passing(error) if status.is_server_error() => error,
                ErrorClass::Lasting(error) if !status.is_server_error() => error,
                _ => panic!("{status}"),
            };
            assert_eq!(error.disposition(), Disposition::Retry(None), "{status}");
            assert!(error.to_string().contains("Sign in"), "{error}");
        }
    }

    #[test]
    fn where_a_redirection_leads_is_said_without_what_may_be_secret() {
        let redactor = Redactor::new(&"t0ken".to_owned().into());
        let to = |location: &'static str| {
            let location = HeaderValue::from_static(location);
            elsewhere(&HeaderMap::from_iter([(LOCATION, location)]), &redactor)
        };
        assert_eq!(
            to("https://u:p@login.example.com/sso?token=t0ken"),
            "https://login.example.com"
        );
        assert_eq!(to("/login?next=t0ken"), "/login");
        assert_eq!(elsewhere(&HeaderMap::new(), &redactor), "nowhere");
    }

    #[test]
    fn a_403_is_about_the_token_only_on_me() {
        let disposition = |status, path| {
            let status = StatusCode::from_u16(status).unwrap();
            let reply = reply(status, "");
            match classify(path, &reply, &Redactor::new(&"t0ken".to_owned().into())).unwrap() {
                ErrorClass::Lasting(error) => error.disposition(),
                _ => panic!("not lasting"),
            }
        };
        assert_eq!(disposition(403, "/api/v9/me"), Disposition::Stop);
        assert_eq!(disposition(403, "/api/v9/me/time_entries"), Disposition::Skip);
        assert_eq!(disposition(403, "/api/v9/workspaces/1/groups"), Disposition::Skip);
        assert_eq!(disposition(401, "/api/v9/workspaces/1/groups"), Disposition::Stop);
    }
}
