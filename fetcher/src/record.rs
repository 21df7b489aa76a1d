//! From an answer's bytes to records: which fields mean what is the catalogue's to say.
//!
//! The JSON text of a record is carried as it came. Only where a record has secret fields is it
//! written anew, field by field, without them.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use shared::batch::Record;
use shared::resource::{Paging, Resource};

/// A record that cannot be used, and how a person finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// Toggl's id, if it could be read.
    pub(crate) source_id: Option<i64>,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// What one answer holds.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Records in the answer, usable or not.
    pub(crate) count: usize,
    pub(crate) records: Vec<Record>,
    pub(crate) unusable: Vec<Unusable>,
}

/// Reads a whole answer. `null` is an empty list, as Toggl often sends it.
///
/// # Errors
/// When the body as a whole is not what the catalogue says: truncated, HTML, another type.
pub(crate) fn read_page(resource: &Resource, body: &Bytes) -> serde_json::Result<Page> {
    let texts: Vec<&RawValue> = match resource.paging {
        Paging::Object => serde_json::from_slice(body).map(|one| vec![one])?,
        Paging::Array
        | Paging::Pages(_)
        | Paging::Envelope(_)
        | Paging::Windows
        | Paging::Report => serde_json::from_slice::<Option<_>>(body)?.unwrap_or_default(),
    };
    let mut page = Page { count: texts.len(), ..Page::default() };
    for text in texts {
        match read_record(resource, body, text) {
            Ok(record) => page.records.push(record),
            Err(unusable) => page.unusable.push(unusable),
        }
    }
    Ok(page)
}

fn read_record(resource: &Resource, body: &Bytes, text: &RawValue) -> Result<Record, Unusable> {
    let unusable = |source_id, reason| Unusable { source_id, reason };
    let fields: Fields<'_> = serde_json::from_str(text.get())
        .map_err(|_| unusable(None, "it is not a JSON object".to_owned()))?;
    let source_id = fields.integer(resource.id_fields).ok_or_else(|| {
        unusable(None, format!("it has no integer {}", resource.id_fields.join(" or ")))
    })?;
    let time = |field: Option<&str>| match field {
        None => Ok(None),
        Some(field) => fields.time(field).map_err(|reason| unusable(Some(source_id), reason)),
    };
    let data = if resource.secret_fields.is_empty() {
        body.slice_ref(text.get().as_bytes())
    } else {
        fields.without(resource.secret_fields).into()
    };
    Ok(Record {
        source_id,
        workspace_id: fields.integer(resource.workspace_fields),
        modified_at: time(resource.modified_field)?,
        started_at: time(resource.started_field)?,
        user_id: fields.integer(resource.user_fields),
        deleted_at: time(resource.deleted_field)?,
        data,
    })
}

/// The fields of an object as raw texts, in their order. Of a field that stands twice the last
/// counts, as it does in Postgres.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl Fields<'_> {
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
        let unusable: Vec<_> =
            page.unusable.iter().map(|u| (u.source_id, u.reason.as_str())).collect();
        assert_eq!(
            unusable,
            [
                (None, "it has no integer id"),
                (None, "it is not a JSON object"),
                (None, "it has no integer id"),
                (Some(3), "its at is not a time: \"yesterday\""),
            ]
        );
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
