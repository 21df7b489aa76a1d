//! The fields of a record that its columns are made from.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::value::RawValue;
use shared::batch::{Record, Rejected};
use shared::resource::Resource;

use super::fields::Text;

/// One record's fields, of those that the catalogue names; used again for the next record.
pub(super) struct Columns<'a> {
    resource: &'a Resource,
    /// Name and raw text; none where the record has no such field, or null.
    fields: Vec<(&'static str, Option<&'a str>)>,
}

impl<'a> Columns<'a> {
    /// Nothing has been read yet.
    pub(super) fn of(resource: &'a Resource) -> Self {
        let Resource { id_fields, workspace_fields, user_fields, .. } = resource;
        let lists = [id_fields, workspace_fields, user_fields];
        let names = lists.into_iter().flat_map(|names| names.iter().copied()).chain(
            [
                resource.modified_field,
                resource.started_field,
                resource.deleted_field,
                resource.running_unless,
            ]
            .into_iter()
            .flatten(),
        );
        Self { resource, fields: names.map(|name| (name, None)).collect() }
    }

    /// Forgets the last record.
    pub(super) fn clear(&mut self) {
        for (_, text) in &mut self.fields {
            *text = None;
        }
    }

    /// Takes a field as it comes. Of one that stands twice the last counts, as it does in Postgres.
    pub(super) fn note(&mut self, name: &str, value: &'a RawValue) {
        if let Some((_, text)) = self.fields.iter_mut().find(|(known, _)| *known == name) {
            *text = Some(value.get()).filter(|text| *text != "null");
        }
    }

    /// The record that the fields make up; `data` is their text.
    pub(super) fn record(&self, data: Bytes) -> Result<Record, Rejected> {
        let resource = self.resource;
        let source_id = self.integer(resource.id_fields);
        let rejected = |reason| Rejected { source_id, reason, data: data.clone() };
        let time = |field: Option<&str>| match field {
            None => Ok(None),
            Some(field) => self.time(field).map_err(rejected),
        };
        let Some(source_id) = source_id else {
            return Err(rejected(format!("it has no integer {}", resource.id_fields.join(" or "))));
        };
        let runs = resource.running_unless.is_some_and(|field| self.lacks(field));
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

    /// Whether the field is absent, null or an empty text.
    fn lacks(&self, name: &str) -> bool {
        self.text(name).is_none_or(|text| text == "\"\"")
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().find(|(field, _)| *field == name)?.1
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
        let Text(time) = serde_json::from_str(text).map_err(|_| unreadable())?;
        if time.is_empty() {
            return Ok(None);
        }
        time.parse().map(Some).map_err(|_| unreadable())
    }
}
