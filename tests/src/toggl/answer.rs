//! Answers a test scripts in place of the account's: statuses, odd bodies, delays, broken
//! connections. They are given out in the order they were scripted, each path pattern on its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;

use super::attendance::Gathering;
use super::credentials;
use super::delivery::{Delivery, Trickle};

/// What the next requests to a path get. Taken as it is: no authentication, no quota, and no
/// header but those given here (and `date` and `content-length`, which the server writes).
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) delay: Duration,
    pub(super) delivery: Delivery,
    pub(super) content: Content,
    pub(super) gathering: Option<Arc<Gathering>>,
    times: Option<u32>,
    /// The only token that gets it.
    token: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    /// What the account answers, with everything that belongs to it.
    PassThrough,
    Canned(Canned),
}

#[derive(Debug, Clone)]
pub(super) struct Canned {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

impl Answer {
    /// A status with an empty body.
    ///
    /// # Panics
    ///
    /// If the status is not between 100 and 999.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("an HTTP status");
        Self::of(Content::Canned(Canned { status, headers: Vec::new(), body: Bytes::new() }))
    }

    /// Status 200 with a JSON body.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::status(200).header("content-type", "application/json; charset=utf-8").body(body)
    }

    /// The account's own answer; for a delay or a broken connection.
    pub fn pass_through() -> Self {
        Self::of(Content::PassThrough)
    }

    fn of(content: Content) -> Self {
        let delivery = Delivery::default();
        let delay = Duration::ZERO;
        Self { delay, delivery, content, gathering: None, times: Some(1), token: None }
    }

    /// Adds a header.
    ///
    /// # Panics
    ///
    /// If name or value are not fit for HTTP, or the answer is passed through.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = name.parse().expect("a header name");
        let value = value.parse().expect("a header value");
        self.canned().headers.push((name, value));
        self
    }

    /// Sets the body. However often it is sent, its bytes are not copied.
    ///
    /// # Panics
    ///
    /// If the answer is passed through.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.canned().body = body.into();
        self
    }

    /// Waits before answering.
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Answers nobody before so many accounts have asked, and everybody from then on.
    #[must_use]
    pub fn once_asked_by(mut self, accounts: usize) -> Self {
        self.gathering = Some(Arc::new(Gathering::of(accounts)));
        self
    }

    /// Is for the account with this token alone.
    #[must_use]
    pub fn only_for(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Declares the whole body's length, sends this many bytes of it and closes the connection.
    #[must_use]
    pub const fn hang_up_after(mut self, bytes: usize) -> Self {
        self.delivery.hang_up_after = Some(bytes);
        self
    }

    /// Sends the body so many bytes at a time, with a pause before each but the first.
    ///
    /// # Panics
    ///
    /// With no bytes at a time, which would never end.
    #[must_use]
    pub const fn trickle(mut self, bytes_per_chunk: usize, pause: Duration) -> Self {
        assert!(bytes_per_chunk > 0, "a trickle of nothing never ends");
        self.delivery.trickle = Some(Trickle { bytes: bytes_per_chunk, pause });
        self
    }

    /// Answers this many requests instead of one.
    #[must_use]
    pub const fn repeat(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Answers every request from here on; what is scripted later is never reached.
    #[must_use]
    pub const fn forever(mut self) -> Self {
        self.times = None;
        self
    }

    fn canned(&mut self) -> &mut Canned {
        match &mut self.content {
            Content::Canned(canned) => canned,
            Content::PassThrough => panic!("a passed-through answer has Toggl's headers and body"),
        }
    }
}

/// The answers not yet given out.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    by_pattern: Vec<(String, VecDeque<Answer>)>,
}

impl Scripts {
    pub(super) fn add(&mut self, pattern: &str, answer: Answer) {
        match self.by_pattern.iter_mut().find(|(known, _)| known == pattern) {
            Some((_, answers)) => answers.push_back(answer),
            None => self.by_pattern.push((pattern.to_owned(), VecDeque::from([answer]))),
        }
    }

    pub(super) fn clear(&mut self) {
        self.by_pattern.clear();
    }

    /// The next answer scripted for the path and who asks, if there is one.
    pub(super) fn next(&mut self, path: &str, headers: &HeaderMap) -> Option<Answer> {
        let is_for = |answer: &Answer| match &answer.token {
            Some(token) => credentials::are_of(headers, token),
            None => true,
        };
        let fitting = self.by_pattern.iter_mut().filter(|(pattern, _)| is_match(pattern, path));
        let mut found = fitting
            .filter_map(|(_, answers)| answers.iter().position(is_for).map(|at| (answers, at)));
        let (answers, at) = found.next()?;
        let answer = answers.get_mut(at)?;
        match &mut answer.times {
            None => Some(answer.clone()),
            Some(times) if *times > 1 => {
                *times -= 1;
                Some(answer.clone())
            }
            Some(_) => answers.remove(at),
        }
    }
}

/// Whether a path fits a pattern, in which `{…}` stands for any one segment.
pub(super) fn is_match(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    pattern.split('/').all(|expected| {
        segments.next().is_some_and(|segment| expected.starts_with('{') || expected == segment)
    }) && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(scripts: &mut Scripts, path: &str) -> Option<Answer> {
        scripts.next(path, &HeaderMap::new())
    }

    fn status(answer: Option<Answer>) -> Option<u16> {
        answer.map(|answer| match answer.content {
            Content::Canned(canned) => canned.status.as_u16(),
            Content::PassThrough => 0,
        })
    }

    #[test]
    fn answers_are_given_out_in_order_and_as_often_as_asked() {
        let mut scripts = Scripts::default();
        scripts.add("/w/{w}/tags", Answer::status(500).repeat(2));
        scripts.add("/w/{w}/tags", Answer::status(429));

        assert_eq!(status(next(&mut scripts, "/w/7")), None);
        assert_eq!(status(next(&mut scripts, "/w/7/tags/8")), None);
        assert_eq!(status(next(&mut scripts, "/w/7/tags")), Some(500));
        assert_eq!(status(next(&mut scripts, "/w/8/tags")), Some(500));
        assert_eq!(status(next(&mut scripts, "/w/7/tags")), Some(429));
        assert_eq!(status(next(&mut scripts, "/w/7/tags")), None);
    }

    #[test]
    fn answers_that_are_repeated_share_their_bytes() {
        let body = Bytes::from(vec![b' '; 1 << 20]);
        let mut scripts = Scripts::default();
        scripts.add("/me", Answer::json(body.clone()).forever());
        scripts.add("/tags", Answer::json(body.clone()).repeat(2));

        for path in ["/me", "/me", "/tags", "/tags"] {
            match next(&mut scripts, path).unwrap().content {
                Content::Canned(canned) => assert_eq!(canned.body.as_ptr(), body.as_ptr()),
                Content::PassThrough => panic!("not what was scripted"),
            }
        }
    }

    #[test]
    fn an_answer_for_one_account_lets_others_pass() {
        let mut scripts = Scripts::default();
        scripts.add("/me", Answer::status(403).only_for("a"));
        scripts.add("/me", Answer::status(500));
        assert_eq!(status(next(&mut scripts, "/me")), Some(500));
        assert_eq!(status(next(&mut scripts, "/me")), None);
        let of = |token: &str| {
            let credentials = credentials::of(token).parse().unwrap();
            HeaderMap::from_iter([(axum::http::header::AUTHORIZATION, credentials)])
        };
        assert_eq!(status(scripts.next("/me", &of("b"))), None);
        assert_eq!(status(scripts.next("/me", &of("a"))), Some(403));
    }

    #[test]
    fn a_script_forever_never_ends() {
        let mut scripts = Scripts::default();
        scripts.add("/me", Answer::status(502).forever());

        assert!((0..50).all(|_| status(next(&mut scripts, "/me")) == Some(502)));
    }
}
