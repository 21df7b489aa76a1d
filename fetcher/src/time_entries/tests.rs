use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;

use super::*;
use crate::toggl::TogglArgs;

mod windows;

/// A Toggl that holds entries of these starts, in milliseconds, and lists no more than so many of them.
struct Toggl {
    starts: Vec<i64>,
    cap: usize,
    /// As Toggl does; else the oldest first.
    newest_first: bool,
    /// Windows that begin before this second are refused.
    refused_before: i64,
}

impl Toggl {
    fn holding(starts: impl IntoIterator<Item = i64>, cap: usize) -> Self {
        let starts = starts.into_iter().collect();
        Self { starts, cap, newest_first: true, refused_before: 0 }
    }

    /// The body of an answer, or none if it is refused.
    fn answer(&self, question: &Url) -> Option<String> {
        let bound = |name| {
            let (_, text) = question.query_pairs().find(|(known, _)| known == name)?;
            text.parse::<Timestamp>().ok()
        };
        let (from, to) = (bound("start_date"), bound("end_date"));
        if from.is_some_and(|from| from.as_second() < self.refused_before) {
            return None;
        }
        let starts = (1_i64..).zip(&self.starts).filter_map(|(id, start)| {
            let start = Timestamp::from_millisecond(*start).unwrap();
            let is_asked = from.is_none_or(|from| from <= start) && to.is_none_or(|to| start < to);
            is_asked.then_some((start, id))
        });
        let mut entries: Vec<_> = starts.collect();
        entries.sort_unstable();
        if self.newest_first {
            entries.reverse();
        }
        entries.truncate(self.cap);
        let row = |(start, id): (Timestamp, i64)| {
            let start = start.to_string();
            serde_json::json!({"id": id, "user_id": 7, "start": start})
        };
        Some(entries.into_iter().map(row).collect::<serde_json::Value>().to_string())
    }
}

/// What was asked, in this order.
type Asked = Arc<Mutex<Vec<Url>>>;

/// Answers on a port of this machine until the test ends.
async fn serve(toggl: Toggl) -> (Client, Asked) {
    default_provider().install_default().ok();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let args = TogglArgs {
        toggl_url: format!("http://{}", listener.local_addr().unwrap()).parse().unwrap(),
        toggl_allow_http: false,
        requests_per_second: 1e6,
        burst: 1_000,
        toggl_timeout: Duration::from_secs(20),
        max_wait: Duration::ZERO,
    };
    let asked = Asked::default();
    let noted = Arc::clone(&asked);
    tokio::spawn(async move {
        // Whoever asks more often goes round in circles, and gets no answer.
        for _ in 0..50 {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(connection.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let target = head.split_whitespace().nth(1).unwrap();
            let question = Url::parse("http://toggl").unwrap().join(target).unwrap();
            let (status, body) = match toggl.answer(&question) {
                Some(body) => ("200 OK", body),
                None => ("404 Not Found", String::new()),
            };
            noted.lock().unwrap().push(question);
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (Client::new(&args, "token".into()).unwrap(), asked)
}

fn time_entries() -> &'static Resource {
    shared::catalogue::find("time_entries").unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn records(starts: &[i64]) -> Vec<Record> {
    let record = |start: &i64| Record {
        source_id: *start,
        workspace_id: None,
        modified_at: None,
        started_at: Timestamp::from_second(*start).ok(),
        user_id: None,
        deleted_at: None,
        data: bytes::Bytes::new(),
    };
    starts.iter().map(record).collect()
}

#[test]
fn an_answer_was_cut_at_its_oldest_start_if_its_own_rows_are_in_that_order() {
    let window = Window { from: at(10), to: at(100) };
    let cut_at = |starts: &[i64]| match cut(window, &records(starts)) {
        Cut::From(start) => Some(start),
        Cut::Anywhere => None,
    };
    assert_eq!(cut_at(&[90, 50, 50, 20]), Some(at(20)));
    assert_eq!(cut_at(&[90, 10]), Some(at(10)));
    for odd in [&[20, 50, 90][..], &[90, 20, 50], &[90, 5], &[100], &[]] {
        assert_eq!(cut_at(odd), None, "{odd:?}");
    }
}

#[test]
fn other_caps_than_the_known_one_are_round_numbers() {
    for count in [0, 1, 49, 50, 99, 101, 149, 949, 951] {
        assert!(!may_be_cap(count), "{count}");
    }
    for count in [100, 150, 200, 500, 950, 1_000] {
        assert!(may_be_cap(count), "{count}");
    }
}

#[test]
fn a_second_ends_where_the_next_begins() {
    assert_eq!(after_second_of(at(5)), at(6));
    assert_eq!(after_second_of(Timestamp::from_millisecond(5_999).unwrap()), at(6));
    assert_eq!(after_second_of(Timestamp::MAX), Timestamp::MAX);
}

#[tokio::test]
async fn changes_are_all_there_is_below_the_cap() {
    for (count, is_all) in [(0, true), (949, true), (950, false), (951, false)] {
        let (client, asked) = serve(Toggl::holding((0..count).map(|n| 1_000 * n), 1_000)).await;
        let since = Timestamp::from_millisecond(5_999).unwrap();
        let (listing, told) = changes(&client, time_entries(), since).await.unwrap();
        assert_eq!((listing.records.len(), told), (usize::try_from(count).unwrap(), is_all));
        assert_eq!((listing.span, listing.workspace_id), (Span::Partial, 0));
        let asked = asked.lock().unwrap();
        let questions: Vec<_> = asked.iter().map(|url| (url.path(), url.query())).collect();
        assert_eq!(questions, [("/api/v9/me/time_entries", Some("since=5"))]);
    }
}
