//! Records kept as the text a client receives. Editing replaces the text of single fields and
//! leaves every other byte of the values as it was, so number spelling and key order survive.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A record of one of the lists, with what the lists are filtered and sorted by.
#[derive(Debug, Clone)]
pub struct Record {
    id: i64,
    name: String,
    is_active: bool,
    at_s: Option<i64>,
    text: Box<str>,
}

impl Record {
    /// Reads the filter fields out of a JSON object.
    ///
    /// # Panics
    ///
    /// If the text is no JSON object with an integer `id` (or `group_id`).
    pub(super) fn parse(text: &str) -> Self {
        let head: Head = serde_json::from_str(text).expect("a record is a JSON object");
        Self {
            id: head.id.or(head.group_id).expect("a record has an id"),
            name: head.name.or(head.fullname).unwrap_or_default().to_lowercase(),
            is_active: head.active.unwrap_or(!head.archived.unwrap_or(false)),
            at_s: head.at.and_then(|at| at.parse::<Timestamp>().ok()).map(Timestamp::as_second),
            text: text.into(),
        }
    }

    /// Toggl's id of the record.
    pub const fn id(&self) -> i64 {
        self.id
    }

    /// Whether the record is shown when archived ones are not asked for.
    pub const fn is_active(&self) -> bool {
        self.is_active
    }

    /// Unix seconds of the last change; none where the record does not tell.
    pub(super) const fn at_s(&self) -> Option<i64> {
        self.at_s
    }

    /// The JSON object, byte for byte as it is served.
    pub const fn text(&self) -> &str {
        &self.text
    }

    /// Toggl lists by name without regard to case; the id makes the order of equal names stable.
    pub(super) fn order(&self) -> (&str, i64) {
        (&self.name, self.id)
    }
}

/// The fields that decide whether and where a record appears; all but the id differ by kind.
#[derive(Deserialize)]
struct Head {
    id: Option<i64>,
    group_id: Option<i64>,
    name: Option<String>,
    fullname: Option<String>,
    active: Option<bool>,
    archived: Option<bool>,
    at: Option<String>,
}

/// The object with the named fields set to the given JSON texts: replaced where they stand,
/// appended when absent. Everything else keeps its order and spelling; white space between the
/// fields is dropped.
///
/// # Panics
///
/// If `text` is no JSON object or a value is no JSON.
pub fn with_fields(text: &str, changes: &[(&str, &str)]) -> String {
    let Fields(mut fields) = serde_json::from_str(text).expect("a record is a JSON object");
    for (name, value) in changes {
        let value = RawValue::from_string((*value).to_owned()).expect("a field's value is JSON");
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, current)) => *current = value,
            None => fields.push(((*name).to_owned(), value)),
        }
    }
    let fields = fields.iter().map(|(name, value)| format!("{}:{value}", quoted(name)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// The texts of the objects in a JSON array.
pub(super) fn array_items(array: &str) -> Vec<Box<RawValue>> {
    serde_json::from_str(array).expect("a list is a JSON array")
}

/// A string as JSON.
pub(super) fn quoted(value: &str) -> String {
    serde_json::to_string(value).expect("a string is JSON")
}

struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editing_a_field_keeps_order_and_spelling_of_the_others() {
        let text = r#"{"id":4306996794,"rate":120.50,"name":"a\u0026b","at":"x"}"#;

        let edited = with_fields(text, &[("name", r#""c""#), ("new", "null")]);

        assert_eq!(edited, r#"{"id":4306996794,"rate":120.50,"name":"c","at":"x","new":null}"#);
    }
}
