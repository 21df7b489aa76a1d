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
    /// The entry that the page must begin with, or else rows were added or lost before it.
    #[serde(default)]
    expected: Option<i64>,
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
                Ok(Some(Self { row_number, row, expected: row.map(|(id, _)| id) }))
            }
            _ => Err(Unreadable),
        }
    }

    /// The same page, begun so that it shows whether it follows the one before: a row that Toggl named is
    /// found by its id; where only a number is known, the last row of the page before is asked for again.
    pub(crate) fn seamed(self, last_entry: Option<i64>) -> Self {
        match last_entry {
            Some(_) if self.row.is_none() && self.row_number > 1 => {
                Self { row_number: self.row_number - 1, expected: last_entry, ..self }
            }
            _ => self,
        }
    }

    /// Whether a page that begins with this entry follows the one before, no row between them missing.
    pub(crate) fn is_followed_by(&self, first_entry: Option<i64>) -> bool {
        self.expected.is_some() && self.expected == first_entry
    }

    /// The entry that the page before ended with, which this one begins with again.
    pub(crate) fn repeated(&self) -> Option<i64> {
        self.expected.filter(|_| self.row.is_none())
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
    fn a_page_shows_by_its_first_entry_whether_it_follows() {
        let named = Cursor { row_number: 51, row: Some((9, 17)), expected: Some(9) };
        let named = named.seamed(Some(8));
        assert_eq!((named.row_number, named.repeated()), (51, None));
        assert!(named.is_followed_by(Some(9)) && !named.is_followed_by(Some(10)));
        let numbered = Cursor { row_number: 51, row: None, expected: None };
        assert!(!numbered.is_followed_by(Some(9)));
        let numbered = numbered.seamed(Some(8));
        assert_eq!((numbered.row_number, numbered.repeated()), (50, Some(8)));
        assert!(numbered.is_followed_by(Some(8)) && !numbered.is_followed_by(None));
    }

    #[test]
    fn only_a_page_with_a_row_before_it_and_that_is_known_asks_for_it_again() {
        let numbered = |row_number| Cursor { row_number, row: None, expected: None };
        assert_eq!(numbered(2).seamed(Some(8)).row_number, 1);
        for (row_number, last_entry) in [(1, Some(8)), (0, Some(8)), (51, None)] {
            let page = numbered(row_number);
            assert_eq!(page.clone().seamed(last_entry), page);
            assert_eq!(page.repeated(), None);
        }
    }

    #[test]
    fn what_an_earlier_version_remembered_is_read() {
        let remembered = serde_json::json!({ "row_number": 51, "row": [9, 17] });
        let cursor: Cursor = serde_json::from_value(remembered).unwrap();
        assert_eq!(cursor, Cursor { row_number: 51, row: Some((9, 17)), expected: None });
        assert!(!cursor.is_followed_by(Some(9)));
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
