//! How the body of an answer travels: at once, drop by drop, or until the connection breaks.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};

/// The body goes out as a whole unless one of these is set. Its length is declared either way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Delivery {
    /// The connection is closed after so many bytes of it.
    pub(super) hang_up_after: Option<usize>,
    pub(super) trickle: Option<Trickle>,
}

/// So many bytes, a pause, so many bytes, a pause …
#[derive(Debug, Clone, Copy)]
pub(super) struct Trickle {
    pub(super) bytes: usize,
    pub(super) pause: Duration,
}

impl Delivery {
    pub(super) fn response(self, body: Bytes) -> Response {
        if self.hang_up_after.is_none() && self.trickle.is_none() {
            return Response::new(Body::from(body));
        }
        let length = body.len();
        let sent = body.slice(..self.hang_up_after.unwrap_or(length).min(length));
        let chunks = match self.trickle {
            Some(trickle) => trickle.chunks(sent).boxed(),
            None => stream::once(async { sent }).boxed(),
        };
        let chunks = chunks.map(Ok);
        let body = match self.hang_up_after {
            Some(_) => Body::from_stream(chunks.chain(broken_connection())),
            None => Body::from_stream(chunks),
        };
        let mut response = Response::new(body);
        response.headers_mut().insert("content-length", length.into());
        response
    }
}

impl Trickle {
    fn chunks(self, body: Bytes) -> impl Stream<Item = Bytes> + Send {
        let first_pause = Duration::ZERO;
        stream::unfold((body, first_pause), move |(mut rest, pause)| async move {
            if rest.is_empty() {
                return None;
            }
            tokio::time::sleep(pause).await;
            let chunk = rest.split_to(self.bytes.min(rest.len()));
            Some((chunk, (rest, self.pause)))
        })
    }
}

fn broken_connection() -> impl Stream<Item = Result<Bytes, io::Error>> {
    stream::once(async {
        // The server flushes what it has when the body pauses, so the bytes do arrive.
        tokio::task::yield_now().await;
        Err(io::ErrorKind::ConnectionAborted.into())
    })
}
