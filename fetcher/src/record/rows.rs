//! The rows of a report. A row holds entries: each becomes a record, with the row's own fields before
//! its own. Where there are several, the row's amounts are of all together, so each record keeps the
//! list.

use std::fmt;

use bytes::{Bytes, BytesMut};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use shared::batch::Rejected;
use shared::resource::Resource;

use super::columns::Columns;
use super::fields::{EachField, EachOf, Field, Text, write};
use super::{NO_OBJECT, Page};

/// Field of a row with its entries.
const ENTRIES: &str = "time_entries";
/// Field of a row with its place in the answer: it moves with every new entry and says nothing of the
/// row.
const ROW_NUMBER: &str = "row_number";

const NO_ENTRIES: &str = "it has no list of time_entries";

/// Reads an answer in one pass; where a row in it is an unusual one, once more and row by row.
pub(super) fn read(resource: &Resource, body: &Bytes, json: &str) -> serde_json::Result<Page> {
    let mut rows = Rows::of(resource, json);
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let read = EachOf(&mut rows).deserialize(&mut deserializer);
    if read.and_then(|()| deserializer.end()).is_ok() {
        return Ok(rows.page);
    }
    let mut rows = Rows::of(resource, json);
    let texts: Option<Vec<&RawValue>> = serde_json::from_str(json)?;
    for text in texts.unwrap_or_default() {
        if let Err(reason) = rows.read_alone(text) {
            let data = body.slice_ref(text.get().as_bytes());
            rows.page.rejected.push(Rejected { source_id: None, reason: reason.to_owned(), data });
        }
    }
    Ok(rows.page)
}

/// What has been read, and room for the row at hand.
struct Rows<'a> {
    /// The answer.
    json: &'a str,
    page: Page,
    columns: Columns<'a>,
    row: Row<'a>,
    /// The texts of the records, one after the other.
    texts: BytesMut,
}

#[derive(Default)]
struct Row<'a> {
    /// Its own, without the entries and its number.
    fields: Vec<Field<'a>>,
    entries: Entries<'a>,
}

/// The entries of a row: the fields of all, and where those of each end.
#[derive(Default)]
struct Entries<'a> {
    fields: Vec<Field<'a>>,
    ends: Vec<usize>,
}

impl<'a> Rows<'a> {
    fn of(resource: &'a Resource, json: &'a str) -> Self {
        let (page, columns) = (Page::default(), Columns::of(resource));
        let texts = BytesMut::with_capacity(json.len());
        Self { json, page, columns, row: Row::default(), texts }
    }

    /// Reads a row that may be unlike the others, or says why it cannot be used.
    fn read_alone(&mut self, text: &'a RawValue) -> Result<(), &'static str> {
        self.page.count += 1;
        let deserializer = || serde_json::Deserializer::from_str(text.get());
        let mut fields = Vec::new();
        let read = EachField(|field| fields.push(field)).deserialize(&mut deserializer());
        read.map_err(|_| NO_OBJECT)?;
        self.row.deserialize(&mut deserializer()).map_err(|_| NO_ENTRIES)?;
        match self.row.entries.ends.len() {
            0 => return Err(NO_ENTRIES),
            1 => {}
            _ => {
                fields.retain(|(name, _)| name != ROW_NUMBER);
                self.row.fields = fields;
            }
        }
        self.take();
        Ok(())
    }

    /// Makes records of the row at hand.
    fn take(&mut self) {
        let Self { json, page, columns, row: Row { fields, entries }, texts } = self;
        for entry in entries.iter() {
            let flat = || fields.iter().chain(entry);
            columns.clear();
            flat().for_each(|(name, value)| columns.note(name, value));
            write(texts, json, flat());
            page.take(columns.record(texts.split().freeze()));
        }
    }
}

impl<'a> Entries<'a> {
    fn iter(&self) -> impl Iterator<Item = &[Field<'a>]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        let bounds = starts.zip(&self.ends);
        bounds.map(|(start, end)| self.fields.get(start..*end).unwrap_or_default())
    }
}

/// A row with one entry; any other is an error.
impl<'a> DeserializeSeed<'a> for &mut Rows<'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, row: D) -> Result<(), D::Error> {
        self.row.deserialize(row)?;
        if self.row.entries.ends.len() != 1 {
            return Err(D::Error::custom(NO_ENTRIES));
        }
        self.page.count += 1;
        self.take();
        Ok(())
    }
}

impl<'a> DeserializeSeed<'a> for &mut Row<'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, row: D) -> Result<(), D::Error> {
        self.fields.clear();
        self.entries.fields.clear();
        self.entries.ends.clear();
        row.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for &mut Row<'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut row: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = row.next_key()? {
            match name.as_ref() {
                ENTRIES => {
                    // Of a field that stands twice the last counts.
                    self.entries.fields.clear();
                    self.entries.ends.clear();
                    row.next_value_seed(EachOf(&mut self.entries))?;
                }
                ROW_NUMBER => drop(row.next_value::<IgnoredAny>()?),
                _ => self.fields.push((name, row.next_value()?)),
            }
        }
        Ok(())
    }
}

impl<'a> DeserializeSeed<'a> for &mut Entries<'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, entry: D) -> Result<(), D::Error> {
        EachField(|field| self.fields.push(field)).deserialize(entry)?;
        self.ends.push(self.fields.len());
        Ok(())
    }
}
