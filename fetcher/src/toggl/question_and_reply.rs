//! A question and what came back, of any status.

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};

use super::error::Error;

/// A larger body is none of Toggl's: the longest list that anybody reported has 200 MB.
pub(super) const MAX_BODY_BYTES: usize = 512 * 1024 * 1024;

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) verb: Verb,
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) json: Option<&'a serde_json::Value>,
    /// A larger answer is not read to its end.
    pub(super) most_bytes: usize,
}

impl Question<'_> {
    pub(super) const fn method(&self) -> &'static str {
        match self.verb {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Delete => "DELETE",
        }
    }

    /// Whether an answer without a body is a good one: of what was removed nothing is left to tell.
    pub(super) fn is_done_by(&self, reply: &Reply) -> bool {
        self.verb == Verb::Delete && reply.status.is_success() && reply.body.is_empty()
    }
}

/// An answer of any status.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Who was asked.
    pub(super) host: String,
}

/// The whole body, up to so many bytes.
pub(super) async fn read_body(
    mut response: Response,
    path: &str,
    most_bytes: usize,
) -> Result<Bytes, Error> {
    let length = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut body = BytesMut::with_capacity(length.unwrap_or_default().min(most_bytes));
    let chunks = async {
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > most_bytes {
                return Ok(true);
            }
            body.extend_from_slice(&chunk);
        }
        Ok::<_, reqwest::Error>(false)
    };
    match chunks.await {
        Ok(false) => Ok(body.freeze()),
        Ok(true) => Err(Error::TooLarge { path: path.to_owned(), bytes: most_bytes }),
        Err(source) => {
            Err(Error::Transport { path: path.to_owned(), source: source.without_url() })
        }
    }
}
