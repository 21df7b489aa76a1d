//! One page of a report: what is asked, and what the answer is.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::claims::Arrived;
use super::days::{self, Span, UnknownDays};
use super::{Report, Scope};
use crate::lists::check_shape;
use crate::record::{Page, read_answer};
use crate::state::Cursor;
use crate::toggl::Error;

/// Rows of a page. Toggl takes more, but how many nobody says; with a quota of requests fewer would
/// cost.
const PAGE_SIZE: usize = 1_000;

/// A page as it came.
pub(super) struct Answered {
    pub(super) arrived: Arrived,
    pub(super) next: Option<Cursor>,
    /// The days that Toggl says it looked at, if it says so.
    pub(super) looked_at: Option<Result<(Date, Date), UnknownDays>>,
}

impl Report<'_> {
    pub(super) async fn page(&self, span: Span, cursor: Option<Cursor>) -> Result<Answered, Error> {
        let path = self.path();
        let answer = self.client.post(&path, &self.question(span, cursor.as_ref())).await?;
        let Page { records, rejected, .. } =
            read_answer(self.client, self.resource, &path, &answer.body)?;
        check_shape(&path, records.len(), &rejected)?;
        let next = Cursor::after(&answer.headers).map_err(|_| Error::NextPage { path })?;
        let looked_at = days::looked_at(&answer.headers);
        let (fetched_at, is_last) = (answer.fetched_at, next.is_none());
        let arrived = Arrived { cursor, fetched_at, records, rejected, is_last };
        Ok(Answered { arrived, next, looked_at })
    }

    pub(super) fn path(&self) -> String {
        let path = self.resource.path.replace("{workspace}", &self.workspace_id.to_string());
        format!("{}{path}", self.resource.api.prefix())
    }

    /// Rounding is off: else Toggl rounds durations as the user's preferences say.
    fn question(&self, span: Span, cursor: Option<&Cursor>) -> Value {
        let (from, to) = span.asked();
        let mut question = json!({
            "start_date": from.to_string(),
            "end_date": to.to_string(),
            "order_by": "date",
            "order_dir": "ASC",
            "grouped": false,
            "rounding": 0,
            "rounding_minutes": 0,
            "hide_amounts": false,
            "enrich_response": false,
            "page_size": PAGE_SIZE,
        });
        if let Some(fields) = question.as_object_mut() {
            if let Scope::User(user_id) = self.scope {
                fields.insert("user_ids".to_owned(), json!([user_id]));
            }
            if let Some(cursor) = cursor {
                cursor.ask(fields);
            }
        }
        question
    }
}
