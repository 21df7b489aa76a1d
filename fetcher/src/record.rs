//! From an answer's bytes to records: which fields mean what is the catalogue's to say.
//!
//! The JSON text of a record is carried as it came. Only where a record has secret fields is it
//! written anew, field by field, without them.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use shared::batch::{Record, Rejected};
use shared::resource::{Paging, Resource};

/// Field of a report's row with its entries.
const ENTRIES: &str = "time_entries";
/// Field of a report's row with its place in the answer: it moves with every new entry and says
/// nothing of the row.
const ROW_NUMBER: &str = "row_number";

/// What one answer holds.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Rows in the answer, usable or not.
    pub(crate) count: usize,
    /// Rows of the whole listing, where the answer tells.
    pub(crate) total: Option<usize>,
    pub(crate) records: Vec<Record>,
    pub(crate) rejected: Vec<Rejected>,
}

/// A list in an envelope, as that of tasks.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<Vec<&'a RawValue>>,
    total_count: Option<usize>,
}

/// Reads a whole answer. `null` is an empty list, as Toggl often sends it.
///
/// # Errors
/// When the body as a whole is not what the catalogue says: truncated, HTML, another type.
pub(crate) fn read_page(resource: &Resource, body: &Bytes) -> serde_json::Result<Page> {
    let mut page = Page::default();
    let texts: Vec<&RawValue> = match resource.paging {
        Paging::Object => vec![serde_json::from_slice(body)?],
        Paging::Array | Paging::Pages(_) | Paging::Windows | Paging::Report => {
            serde_json::from_slice::<Option<_>>(body)?.unwrap_or_default()
        }
        Paging::Envelope(_) => {
            let Envelope { data, total_count } = serde_json::from_slice(body)?;
            page.total = total_count;
            data.unwrap_or_default()
        }
    };
    page.count = texts.len();
    for text in texts {
        if resource.paging == Paging::Report {
            read_row(resource, text, &mut page);
        } else {
            page.take(read_record(resource, body, text));
        }
    }
    Ok(page)
}

impl Page {
    fn take(&mut self, record: Result<Record, Rejected>) {
        match record {
            Ok(record) => self.records.push(record),
            Err(rejected) => self.rejected.push(rejected),
        }
    }
}

fn read_record(resource: &Resource, body: &Bytes, text: &RawValue) -> Result<Record, Rejected> {
    let fields: Fields<'_> = serde_json::from_str(text.get()).map_err(|_| Rejected {
        source_id: None,
        reason: "it is not a JSON object".to_owned(),
        // What is no object may hold secrets anywhere.
        data: if resource.secret_fields.is_empty() {
            body.slice_ref(text.get().as_bytes())
        } else {
            Bytes::new()
        },
    })?;
    let data = if resource.secret_fields.is_empty() {
        body.slice_ref(text.get().as_bytes())
    } else {
        fields.without(resource.secret_fields).into()
    };
    fields.record(resource, data)
}

/// A row of a report holds entries: each becomes a record, with the row's own fields before its own.
/// Where there are several, the row's amounts are of all together, so each record keeps the list.
fn read_row(resource: &Resource, text: &RawValue, page: &mut Page) {
    let rejected = |reason: &str| Rejected {
        source_id: None,
        reason: reason.to_owned(),
        data: Bytes::copy_from_slice(text.get().as_bytes()),
    };
    let Ok(row) = serde_json::from_str::<Fields<'_>>(text.get()) else {
        return page.rejected.push(rejected("it is not a JSON object"));
    };
    let entries = row.text(ENTRIES).and_then(|text| serde_json::from_str(text).ok());
    let entries: Vec<Fields<'_>> = entries.unwrap_or_default();
    let dropped: &[&str] = match entries.len() {
        0 => return page.rejected.push(rejected("it has no list of time_entries")),
        1 => &[ENTRIES, ROW_NUMBER],
        _ => &[ROW_NUMBER],
    };
    for entry in entries {
        let fields = row.0.iter().filter(|(name, _)| !dropped.contains(&name.as_ref()));
        let flat = Fields(fields.cloned().chain(entry.0).collect());
        let data = flat.without(&[]).into();
        page.take(flat.record(resource, data));
    }
}

/// The fields of an object as raw texts, in their order. Of a field that stands twice the last
/// counts, as it does in Postgres.
#[derive(Clone)]
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl Fields<'_> {
    /// The record that the fields make up; `data` is their text.
    fn record(&self, resource: &Resource, data: Bytes) -> Result<Record, Rejected> {
        let source_id = self.integer(resource.id_fields);
        let rejected = |reason| Rejected { source_id, reason, data: data.clone() };
        let time = |field: Option<&str>| match field {
            None => Ok(None),
            Some(field) => self.time(field).map_err(rejected),
        };
        let Some(source_id) = source_id else {
            return Err(rejected(format!("it has no integer {}", resource.id_fields.join(" or "))));
        };
        let runs = resource.running_unless.is_some_and(|field| self.text(field).is_none());
        Ok(Record {
            source_id,
            workspace_id: self.integer(resource.workspace_fields),
            modified_at: time(resource.modified_field)?,
            started_at: if runs { None } else { time(resource.started_field)? },
            user_id: self.integer(resource.user_fields),
            deleted_at: time(resource.deleted_field)?,
            data,
        })
    }

    fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().rev().find(|(field, _)| field == name)?;
        Some(value.get()).filter(|text| *text != "null")
    }

    /// The first of the fields that holds an integer.
    fn integer(&self, names: &[&str]) -> Option<i64> {
        names.iter().find_map(|name| self.text(name)?.parse().ok())
    }

    /// None where the field is absent, null or empty.
    fn time(&self, name: &str) -> Result<Option<Timestamp>, String> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let unreadable =
            || format!("its {name} is not a time: {}", text.chars().take(50).collect::<String>());
        let time: String = serde_json::from_str(text).map_err(|_| unreadable())?;
        if time.is_empty() {
            return Ok(None);
        }
        time.parse().map(Some).map_err(|_| unreadable())
    }

    fn without(&self, secrets: &[&str]) -> String {
        let fields: Vec<_> = self
            .0
            .iter()
            .filter(|(name, _)| !secrets.contains(&name.as_ref()))
            .map(|(name, value)| {
                format!("{}:{}", serde_json::Value::from(name.as_ref()), value.get())
            })
            .collect();
        format!("{{{}}}", fields.join(","))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::with_capacity(32);
                while let Some((Name(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// A field's name, borrowed unless it holds escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shared::catalogue;

    fn page(resource: &str, body: &'static str) -> Page {
        read_page(catalogue::find(resource).unwrap(), &Bytes::from_static(body.as_bytes())).unwrap()
    }

    #[test]
    fn a_record_keeps_its_text_to_the_letter() {
        let text = r#"{ "id": 4306996794, "start":"2024-12-16T17:05:25+00:00", "duration": 1.50e3, "at": "2024-12-16T18:07:05.6944Z", "description":"\u00e4 \"x\"", "user_id": 7, "wid": 9 }"#;
        let body = Bytes::from(format!("[{text}]"));
        let page = read_page(catalogue::find("time_entries").unwrap(), &body).unwrap();
        let record = &page.records[0];
        assert_eq!(record.data, text.as_bytes());
        assert_eq!(record.source_id, 4_306_996_794);
        assert_eq!(record.user_id, Some(7));
        assert_eq!(record.workspace_id, Some(9));
        assert_eq!(record.modified_at, Some("2024-12-16T18:07:05.6944Z".parse().unwrap()));
        assert_eq!(record.started_at, Some("2024-12-16T17:05:25Z".parse().unwrap()));
    }

    #[test]
    fn secret_fields_are_removed_however_they_are_spelled() {
        let page = page(
            "me",
            r#"{"id":1,"api_token":"s3cret","ap\u0069_token":"s3cret","intercom_hash":"s3cret","name":"a\"b","at":null}"#,
        );
        assert_eq!(page.records[0].data, r#"{"id":1,"name":"a\"b","at":null}"#.as_bytes());
    }

    #[test]
    fn null_is_an_empty_list() {
        assert_eq!(page("tags", "null").count, 0);
    }

    #[test]
    fn one_unusable_record_does_not_cost_its_neighbours() {
        let page = page(
            "tags",
            r#"[{"id":1},{"name":"no id"},7,{"id":"2"},{"id":3,"at":"yesterday"},{"id":4,"at":""}]"#,
        );
        let ids: Vec<_> = page.records.iter().map(|record| record.source_id).collect();
        assert_eq!(ids, [1, 4]);
        let rejected: Vec<_> = page
            .rejected
            .iter()
            .map(|r| (r.source_id, r.reason.as_str(), str::from_utf8(&r.data).unwrap()))
            .collect();
        assert_eq!(
            rejected,
            [
                (None, "it has no integer id", r#"{"name":"no id"}"#),
                (None, "it is not a JSON object", "7"),
                (None, "it has no integer id", r#"{"id":"2"}"#),
                (Some(3), "its at is not a time: \"yesterday\"", r#"{"id":3,"at":"yesterday"}"#),
            ]
        );
    }

    #[test]
    fn what_is_rejected_holds_no_secret_either() {
        for body in [r#"{"api_token":"s3cret"}"#, r#"["s3cret"]"#, r#""s3cret""#] {
            let page = read_page(catalogue::find("me").unwrap(), &Bytes::from(body)).unwrap();
            assert_eq!(page.rejected.len(), 1, "{body}");
            assert!(!format!("{:?}", page.rejected).contains("s3cret"), "{body}");
        }
    }

    #[test]
    fn an_envelope_tells_how_many_there_are() {
        let full = page("tasks", r#"{"data":[{"id":1},{"id":2}],"page":1,"total_count":7}"#);
        assert_eq!((full.count, full.total), (2, Some(7)));
        let empty = page("tasks", r#"{"data":null,"total_count":0}"#);
        assert_eq!((empty.count, empty.total), (0, Some(0)));
    }

    #[test]
    fn an_entry_of_a_report_has_the_fields_of_its_row() {
        let page = page(
            "time_entries_report",
            r#"[{"user_id":7,"project_id":null,"row_number":3,"billable_amount_in_cents":1.50,"time_entries":[
                {"id":1,"seconds":52,"start":"2024-07-30T11:13:46+03:00","stop":"2024-07-30T11:14:38+03:00","at":"2024-07-30T08:14:38+00:00"}]}]"#,
        );
        let [record] = page.records.as_slice() else { panic!("{page:?}") };
        assert_eq!(
            record.data,
            r#"{"user_id":7,"project_id":null,"billable_amount_in_cents":1.50,"id":1,"seconds":52,"start":"2024-07-30T11:13:46+03:00","stop":"2024-07-30T11:14:38+03:00","at":"2024-07-30T08:14:38+00:00"}"#.as_bytes()
        );
        assert_eq!(record.user_id, Some(7));
        assert_eq!(record.started_at, Some("2024-07-30T08:13:46Z".parse().unwrap()));
        assert_eq!(record.modified_at, Some("2024-07-30T08:14:38Z".parse().unwrap()));
    }

    #[test]
    fn entries_that_share_a_row_keep_its_list() {
        let page = page(
            "time_entries_report",
            r#"[{"user_id":7,"time_entries":[{"id":1,"stop":"x"},{"id":2,"stop":"x"}]}]"#,
        );
        assert_eq!(page.records.len(), 2);
        let data = str::from_utf8(&page.records[1].data).unwrap();
        assert!(data.contains(r#""time_entries":[{"id":1"#) && data.ends_with(r#""stop":"x"}"#));
    }

    #[test]
    fn a_running_entry_of_a_report_has_no_start_that_a_claim_could_cover() {
        let body = r#"[{"user_id":7,"time_entries":[{"id":1,"start":"2024-07-30T08:13:46Z","stop":null}]}]"#;
        assert_eq!(page("time_entries_report", body).records[0].started_at, None);
        let body = r#"[{"id":1,"start":"2024-07-30T08:13:46Z","stop":null}]"#;
        assert!(page("time_entries", body).records[0].started_at.is_some());
    }

    #[test]
    fn a_row_without_entries_is_rejected_whole() {
        let page = page("time_entries_report", r#"[{"user_id":7},{"time_entries":[]},5]"#);
        assert_eq!((page.count, page.records.len(), page.rejected.len()), (3, 0, 3));
        assert_eq!(page.rejected[0].data, r#"{"user_id":7}"#.as_bytes());
    }

    #[test]
    fn a_group_of_the_organisation_variant_has_its_id_too() {
        assert_eq!(page("groups", r#"[{"group_id":4001}]"#).records[0].source_id, 4001);
    }

    #[test]
    fn a_body_that_is_no_list_is_an_error() {
        let tags = catalogue::find("tags").unwrap();
        for body in ["", "<html>", "{\"data\":[]}", "[{\"id\":1},", "\"text\""] {
            assert!(read_page(tags, &Bytes::from_static(body.as_bytes())).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body in "(null|\\[?\\{?(\"(id|at|start)\"[:,]|[0-9]{1,20}|\"[^\"]{0,9}\"|[\\[\\]{},])*)") {
            for resource in catalogue::CATALOGUE {
                drop(read_page(resource, &Bytes::from(body.clone())));
            }
        }

        #[test]
        fn no_bytes_panic(body in any::<Vec<u8>>()) {
            for resource in catalogue::CATALOGUE {
                drop(read_page(resource, &Bytes::from(body.clone())));
            }
        }
    }
}
