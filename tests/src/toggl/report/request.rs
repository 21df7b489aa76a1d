//! Reading the body of a report's request: what it asks for, or why Toggl refuses it.

use std::collections::HashMap;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use serde::Deserialize;
use serde_json::Value;

/// Rows of a page when nothing is asked for.
const DEFAULT_PAGE_SIZE: usize = 50;
/// The most days a report spans, both ends counted. Toggl answers for a year and refuses two;
/// where between them it begins to is not recorded, so this is the strictest reading.
const MAX_DAYS: i32 = 366;
const FIRST_DATE: Date = date(2006, 1, 1);
const LAST_DATE: Date = date(2030, 1, 1);
const ROUNDING_MINUTES: [u32; 10] = [0, 1, 5, 6, 10, 12, 15, 30, 60, 240];

/// A request that Toggl answers.
#[derive(Debug)]
pub(in crate::toggl) struct ReportRequest {
    pub(super) days: Days,
    /// Empty means everybody.
    pub(super) user_ids: Vec<i64>,
    /// Only these entries; empty means all.
    pub(super) time_entry_ids: Vec<i64>,
    pub(super) is_descending: bool,
    pub(super) hides_amounts: bool,
    pub(super) rounding: Rounding,
    /// As it was asked for.
    pub(super) page_size: usize,
    pub(super) cursor: Cursor,
}

/// The days in which entries start, both included; each owner's calendar counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Days {
    pub(super) first: Option<Date>,
    pub(super) last: Option<Date>,
}

/// Which page is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cursor {
    Start,
    /// The one that begins with this row, counted from one.
    Row(usize),
    /// The one that begins with the row of this entry, which has that number.
    Entry {
        key: (i64, i64),
        row_number: usize,
    },
    /// Half a cursor: Toggl answers with no rows and no error.
    Nowhere,
}

/// What the request says about rounding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounding {
    pub(super) rounding: Option<i64>,
    pub(super) minutes: Option<u32>,
}

/// A status, and a text that Toggl sends as a JSON string. The wordings are not recorded.
#[derive(Debug)]
pub(in crate::toggl) struct Refusal {
    pub(in crate::toggl) status: StatusCode,
    pub(in crate::toggl) message: String,
}

#[derive(Debug, Deserialize)]
struct Body {
    start_date: Option<String>,
    end_date: Option<String>,
    user_ids: Option<Vec<i64>>,
    time_entry_ids: Option<Vec<i64>>,
    order_by: Option<String>,
    order_dir: Option<String>,
    grouped: Option<bool>,
    enrich_response: Option<bool>,
    hide_amounts: Option<bool>,
    rounding: Option<i64>,
    rounding_minutes: Option<u32>,
    page_size: Option<usize>,
    first_id: Option<i64>,
    first_row_number: Option<usize>,
    first_timestamp: Option<i64>,
    /// What the simulator does not know, and would answer wrongly.
    #[serde(flatten)]
    others: HashMap<String, Value>,
}

impl ReportRequest {
    pub(in crate::toggl) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let body: Body = serde_json::from_slice(body)
            .map_err(|error| Refusal::bad_request(format!("JSON is not valid: {error}")))?;
        body.check_known()?;
        let user_ids = body.user_ids.clone().unwrap_or_default();
        let time_entry_ids = body.time_entry_ids.clone().unwrap_or_default();
        let is_filtered = !user_ids.is_empty() || !time_entry_ids.is_empty();
        if !is_filtered && body.start_date.is_none() && body.end_date.is_none() {
            return Err(Refusal::bad_request("at least one parameter must be set"));
        }
        Ok(Self {
            days: Days::between(body.start_date.as_deref(), body.end_date.as_deref())?,
            user_ids,
            time_entry_ids,
            is_descending: body.is_descending()?,
            hides_amounts: body.hide_amounts == Some(true),
            rounding: body.rounding()?,
            page_size: body.page_size.filter(|size| *size > 0).unwrap_or(DEFAULT_PAGE_SIZE),
            cursor: body.cursor(),
        })
    }
}

impl Body {
    fn check_known(&self) -> Result<(), Refusal> {
        let mut unknown: Vec<&str> = self.others.keys().map(String::as_str).collect();
        let asks_for = [
            ("grouped", self.grouped == Some(true)),
            ("enrich_response", self.enrich_response == Some(true)),
            ("order_by", self.order_by.as_ref().is_some_and(|field| field != "date")),
        ];
        unknown.extend(asks_for.iter().filter(|(_, is_asked)| *is_asked).map(|(name, _)| name));
        if unknown.is_empty() {
            return Ok(());
        }
        let message = format!("not simulated: {}", unknown.join(", "));
        Err(Refusal { status: StatusCode::NOT_IMPLEMENTED, message })
    }

    fn is_descending(&self) -> Result<bool, Refusal> {
        match self.order_dir.as_deref() {
            None | Some("DESC") => Ok(true),
            Some("ASC") => Ok(false),
            Some(_) => Err(Refusal::bad_request("order_dir must be ASC or DESC")),
        }
    }

    fn rounding(&self) -> Result<Rounding, Refusal> {
        if self.rounding_minutes.is_some_and(|minutes| !ROUNDING_MINUTES.contains(&minutes)) {
            return Err(Refusal::bad_request(format!(
                "rounding_minutes must be one of {ROUNDING_MINUTES:?}"
            )));
        }
        Ok(Rounding { rounding: self.rounding, minutes: self.rounding_minutes })
    }

    fn cursor(&self) -> Cursor {
        match (self.first_id, self.first_row_number, self.first_timestamp) {
            (None, None, None) => Cursor::Start,
            (None, Some(number), None) => Cursor::Row(number.max(1)),
            (Some(id), Some(row_number), Some(start_s)) => {
                Cursor::Entry { key: (start_s, id), row_number }
            }
            _ => Cursor::Nowhere,
        }
    }
}

impl Days {
    pub(super) fn between(first: Option<&str>, last: Option<&str>) -> Result<Self, Refusal> {
        let first = first.map(|text| day("start_date", text)).transpose()?;
        let last = last.map(|text| day("end_date", text)).transpose()?;
        if let (Some(first), Some(last)) = (first, last) {
            if last < first {
                return Err(Refusal::bad_request("end_date must not be earlier than start_date"));
            }
            if (last - first).get_days() >= MAX_DAYS {
                return Err(Refusal::bad_request("the date range must not exceed 366 days"));
            }
        }
        Ok(Self { first, last })
    }

    /// The last so many of these days.
    pub(super) fn last(self, most: u32, today: Date) -> Self {
        let end = self.last.unwrap_or(today);
        let floor = end.saturating_sub(i64::from(most.max(1) - 1).days());
        Self { first: Some(self.first.map_or(floor, |first| first.max(floor))), ..self }
    }

    /// What Toggl says of the days that it has looked at.
    pub(super) fn headers(self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        [("x-range-start", self.first), ("x-range-end", self.last)].into_iter().filter_map(
            |(name, day)| {
                let day = HeaderValue::from_str(&day?.to_string()).expect("a day");
                Some((HeaderName::from_static(name), day))
            },
        )
    }
}

impl Rounding {
    /// The minutes to round up to. Only both zeros together turn the user's preference off.
    pub(super) fn minutes(self, preferred: Option<u32>) -> Option<u32> {
        if self.rounding == Some(0) && self.minutes == Some(0) {
            return None;
        }
        self.minutes.filter(|minutes| *minutes > 0).or(preferred)
    }
}

impl Refusal {
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }
}

fn day(name: &str, text: &str) -> Result<Date, Refusal> {
    let is_day = text.len() == "YYYY-MM-DD".len();
    let day = text.parse::<Date>().ok().filter(|_| is_day);
    let day = day.ok_or_else(|| Refusal::bad_request(format!("{name} is not a valid date")))?;
    if day < FIRST_DATE || day > LAST_DATE {
        let message = format!("{name} must be between {FIRST_DATE} and {LAST_DATE}");
        return Err(Refusal::bad_request(message));
    }
    Ok(day)
}
