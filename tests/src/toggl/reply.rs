//! An answer of the simulated Toggl before it becomes HTTP, and the headers that go with it.

use axum::http::header::{CONTENT_TYPE, DATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use super::answer::Canned;
use super::delivery::Delivery;
use super::quota::Standing;
use super::record::quoted;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Status, headers and the whole body.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    pub(super) fn ok(body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, body)
            .with(CONTENT_TYPE, JSON)
            .with(HeaderName::from_static("x-service-level"), HeaderValue::from_static("GREEN"))
    }

    /// A list of record texts, put together without reading them again.
    pub(super) fn list<'a>(texts: impl Iterator<Item = &'a str>, empty_as_null: bool) -> Self {
        let mut body = vec![b'['];
        for text in texts {
            if body.len() > 1 {
                body.push(b',');
            }
            body.extend_from_slice(text.as_bytes());
        }
        body.push(b']');
        if empty_as_null && body == b"[]" {
            return Self::ok("null");
        }
        Self::ok(body)
    }

    /// Toggl words most refusals as a JSON string.
    pub(super) fn refusal(status: StatusCode, message: &str) -> Self {
        Self::new(status, quoted(message)).with(CONTENT_TYPE, JSON)
    }

    /// The 401 for a request without credentials: nothing but a header.
    pub(super) fn credentials_missing() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, Bytes::new()).with(
            HeaderName::from_static("x-authorization-missing"),
            HeaderValue::from_static("true"),
        )
    }

    /// The 402 of a quota that is used up: text, as recorded.
    pub(super) fn quota_used_up(standing: Standing) -> Self {
        let body = format!(
            "You have hit your hourly limit for API calls. Please upgrade to a paid plan for \
             increased access. Your quota will reset in {} seconds. CTA: Go to subscriptions page.",
            standing.resets_in_s
        );
        Self::new(StatusCode::PAYMENT_REQUIRED, body).with(CONTENT_TYPE, TEXT)
    }

    /// Adds what Toggl sends with every answer.
    pub(super) fn with_standing(self, standing: Standing) -> Self {
        let request_id = HeaderValue::from_str(&Uuid::now_v7().simple().to_string());
        self.with(
            HeaderName::from_static("x-toggl-request-id"),
            request_id.expect("hexadecimal digits"),
        )
        .with(HeaderName::from_static("x-toggl-quota-remaining"), standing.remaining.into())
        .with(HeaderName::from_static("x-toggl-quota-resets-in"), standing.resets_in_s.into())
    }

    /// Tells the time, unless a script does.
    pub(super) fn dated(mut self, now: Timestamp) -> Self {
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let date = HeaderValue::from_str(&date).expect("a date");
        self.headers.entry(DATE).or_insert(date);
        self
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    /// The HTTP answer, its body travelling as asked.
    pub(super) fn into_response(self, delivery: Delivery) -> Response {
        let mut response = delivery.response(self.body);
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }

    fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, headers: HeaderMap::new(), body: body.into() }
    }

    /// Adds headers.
    pub(super) fn with_all(self, headers: impl Iterator<Item = (HeaderName, HeaderValue)>) -> Self {
        headers.fold(self, |reply, (name, value)| reply.with(name, value))
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }
}

impl From<Canned> for Reply {
    fn from(canned: Canned) -> Self {
        let reply = Self::new(canned.status, canned.body);
        reply.with_all(canned.headers.into_iter())
    }
}
