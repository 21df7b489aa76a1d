//! From an answer's bytes to records: which fields mean what is the catalogue's to say.
//!
//! The JSON text of a record is carried as it came, in the answer's own memory. Only an answer with
//! secrets in it is written anew, without them, before anything else is made of it.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{DeserializeSeed as _, Error as _};
use serde_json::value::RawValue;
use shared::batch::{Record, Rejected};
use shared::resource::{Paging, Resource};

use crate::toggl::{Client, Error};

mod columns;
mod fields;
mod rows;
mod secrets;

use columns::Columns;
use fields::{EachField, Field};

const NO_OBJECT: &str = "it is not a JSON object";

/// What one answer holds.
#[derive(Debug, Default)]
pub struct Page {
    /// Rows in the answer, usable or not.
    pub count: usize,
    /// Rows of the whole listing, where the answer tells.
    pub total: Option<usize>,
    /// The usable ones.
    pub records: Vec<Record>,
    /// The others.
    pub rejected: Vec<Rejected>,
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
pub fn read_page(resource: &Resource, body: &Bytes) -> serde_json::Result<Page> {
    let body = &secrets::without(body)?;
    let json = str::from_utf8(body).map_err(serde_json::Error::custom)?;
    let mut page = Page::default();
    let texts: Vec<&RawValue> = match resource.paging {
        Paging::Report => return rows::read(resource, body, json),
        Paging::Object | Paging::Sums => vec![serde_json::from_str(json)?],
        Paging::Array | Paging::Pages(_) | Paging::Windows => {
            serde_json::from_str::<Option<_>>(json)?.unwrap_or_default()
        }
        Paging::Envelope(_) => {
            let Envelope { data, total_count } = serde_json::from_str(json)?;
            page.total = total_count;
            data.unwrap_or_default()
        }
    };
    page.count = texts.len();
    page.records.reserve_exact(texts.len());
    let mut columns = Columns::of(resource);
    for text in texts {
        let data = body.slice_ref(text.get().as_bytes());
        page.take(read_record(resource, &mut columns, text, data));
    }
    Ok(page)
}

/// The same of an answer to `path`; what it says of its own words may be shown.
///
/// # Errors
/// As there.
pub(crate) fn read_answer(
    client: &Client,
    resource: &Resource,
    path: &str,
    body: &Bytes,
) -> Result<Page, Error> {
    let mut page = read_page(resource, body).map_err(|error| client.misfit(path, body, &error))?;
    for rejected in &mut page.rejected {
        rejected.reason = client.words(&rejected.reason).into();
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

fn read_record<'a>(
    resource: &Resource,
    columns: &mut Columns<'a>,
    text: &'a RawValue,
    data: Bytes,
) -> Result<Record, Rejected> {
    columns.clear();
    let fields = EachField(|(name, value): Field<'a>| columns.note(&name, value));
    if fields.deserialize(&mut serde_json::Deserializer::from_str(text.get())).is_ok() {
        return columns.record(data);
    }
    // What has no names may be a secret by itself.
    let data = if resource.holds_secrets { Bytes::new() } else { data };
    Err(Rejected { source_id: None, reason: NO_OBJECT.to_owned(), data })
}

#[cfg(test)]
mod tests;
