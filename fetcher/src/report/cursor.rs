//! Where a page of a report begins.
//!
//! Toggl names the next page in three headers. Two of them are published; without the third,
//! undocumented one it has answered an empty page as if that were the end.

use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const NEXT_ID: &str = "x-next-id";
const NEXT_ROW_NUMBER: &str = "x-next-row-number";
const NEXT_TIMESTAMP: &str = "x-next-timestamp";

/// The first row of a page.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Cursor {
    row_number: i64,
    /// Id and timestamp of the row, where Toggl named both; the number alone finds it too.
    row: Option<(i64, i64)>,
}

/// Headers that name a next page, but not in a way that finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl Cursor {
    /// The page after an answer; none after the last, which names none.
    pub(crate) fn after(headers: &HeaderMap) -> Result<Option<Self>, Unreadable> {
        let number = |name| {
            let value = headers.get(name)?;
            Some(value.to_str().ok().and_then(|text| text.trim().parse::<i64>().ok()))
        };
        match (number(NEXT_ROW_NUMBER), number(NEXT_ID), number(NEXT_TIMESTAMP)) {
            (None, None, None) => Ok(None),
            (Some(Some(row_number)), id, timestamp) => {
                let row = id.flatten().zip(timestamp.flatten());
                Ok(Some(Self { row_number, row }))
            }
            _ => Err(Unreadable),
        }
    }

    /// Whether it finds its row whatever is added or deleted before it.
    pub(crate) const fn is_certain(&self) -> bool {
        self.row.is_some()
    }

    /// Puts the cursor into a question: all three values, or the number alone.
    pub(crate) fn ask(&self, question: &mut Map<String, Value>) {
        question.insert("first_row_number".to_owned(), self.row_number.into());
        if let Some((id, timestamp)) = self.row {
            question.insert("first_id".to_owned(), id.into());
            question.insert("first_timestamp".to_owned(), timestamp.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn after(pairs: &[(&'static str, &str)]) -> Result<Option<Value>, Unreadable> {
        let headers = pairs.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        Cursor::after(&headers.collect()).map(|cursor| {
            cursor.map(|cursor| {
                let mut question = Map::new();
                cursor.ask(&mut question);
                question.into()
            })
        })
    }

    #[test]
    fn all_three_values_are_asked_with_or_the_number_alone() {
        assert_eq!(
            after(&[("x-next-row-number", "51"), ("x-next-id", "9"), ("x-next-timestamp", "17")]),
            Ok(Some(serde_json::json!({"first_row_number":51,"first_id":9,"first_timestamp":17})))
        );
        let number_alone = Ok(Some(serde_json::json!({"first_row_number":51})));
        assert_eq!(after(&[("x-next-row-number", "51"), ("x-next-id", "9")]), number_alone);
        assert_eq!(after(&[("x-next-row-number", "51")]), number_alone);
    }

    #[test]
    fn without_the_headers_there_is_no_next_page() {
        assert_eq!(after(&[]), Ok(None));
    }

    #[test]
    fn a_next_page_that_cannot_be_found_is_not_taken_for_the_end() {
        assert_eq!(after(&[("x-next-id", "9")]), Err(Unreadable));
        assert_eq!(after(&[("x-next-row-number", "many")]), Err(Unreadable));
    }

    proptest! {
        #[test]
        fn no_header_panics(value in any::<Vec<u8>>()) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                for name in [NEXT_ID, NEXT_ROW_NUMBER, NEXT_TIMESTAMP] {
                    let mut headers = HeaderMap::new();
                    headers.insert(HeaderName::from_static(name), value.clone());
                    drop(Cursor::after(&headers));
                }
            }
        }
    }
}
