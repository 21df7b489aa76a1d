//! Sending one request: where to, with which authentication, and what the log tells of it.

use std::time::Instant;

use secrecy::ExposeSecret as _;
use shared::telemetry::API;
use tracing::debug;

use super::Client;
use crate::toggl::error::Error;
use crate::toggl::limit_headers::{self, Quota};
use crate::toggl::question_and_reply::{Question, Reply, Verb, read_body};

impl Client {
    pub(super) async fn ask_once(&self, question: Question<'_>) -> Result<Reply, Error> {
        let answered = self.send(question).await;
        let (status, bytes) = match &answered {
            Ok(reply) => (Some(reply.status.as_u16()), reply.body.len()),
            Err(_) => (None, 0),
        };
        self.meter.requested(question.method(), question.path, status, bytes);
        answered
    }

    async fn send(&self, question: Question<'_>) -> Result<Reply, Error> {
        let Question { verb, path, query, json, most_bytes } = question;
        let transport = |source: reqwest::Error| Error::Transport {
            path: path.to_owned(),
            source: source.without_url(),
        };
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let started = Instant::now();
        let request = match verb {
            Verb::Get => self.http.get(url),
            Verb::Post => self.http.post(url),
            Verb::Put => self.http.put(url),
            Verb::Delete => self.http.delete(url),
        };
        let request = request.query(query);
        let request = match json {
            None => request,
            Some(json) => request.json(json),
        };
        let request = request.basic_auth(self.token.expose_secret(), Some("api_token"));
        let response = request.send().await.map_err(transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read_body(response, path, most_bytes).await?;
        let Quota { remaining, resets_in } = limit_headers::quota(&headers);
        debug!(
            target: API,
            status = status.as_u16(),
            bytes = body.len(),
            elapsed_ms = started.elapsed().as_millis(),
            quota_remaining = remaining,
            quota_resets_in_s = resets_in.map(|wait| wait.as_secs()),
            request_id = headers.get("x-toggl-request-id").and_then(|id| id.to_str().ok()),
            "{} {path} {query:?}", question.method()
        );
        let host = self.base.host_str().unwrap_or_default().to_owned();
        Ok(Reply { status, headers, body, host })
    }
}
