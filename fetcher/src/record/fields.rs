//! The fields of a JSON object as raw texts, in their order, and lists of such objects: read in one
//! pass, without a tree.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::{BufMut as _, BytesMut};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Name and value. The name is borrowed unless it holds escapes.
pub(super) type Field<'a> = (Cow<'a, str>, &'a RawValue);

/// A string, borrowed unless it holds escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// Reads an object and hands over each field.
pub(super) struct EachField<F>(pub(super) F);

impl<'de, F: FnMut(Field<'de>)> DeserializeSeed<'de> for EachField<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(Field<'de>)> Visitor<'de> for EachField<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((Text(name), value)) = map.next_entry()? {
            self.0((name, value));
        }
        Ok(())
    }
}

/// Reads a list, each element with the same seed.
pub(super) struct EachOf<'s, S>(pub(super) &'s mut S);

impl<'de, S> DeserializeSeed<'de> for EachOf<'_, S>
where
    for<'s> &'s mut S: DeserializeSeed<'de, Value = ()>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, S> Visitor<'de> for EachOf<'_, S>
where
    for<'s> &'s mut S: DeserializeSeed<'de, Value = ()>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(&mut *self.0)?.is_some() {}
        Ok(())
    }
}

/// Appends an object with these fields, their values to the letter. `source` is the text that they
/// were read from: what stands side by side in it is copied in one piece.
pub(super) fn write<'f, 'a: 'f>(
    json: &mut BytesMut,
    source: &str,
    fields: impl Iterator<Item = &'f Field<'a>>,
) {
    let mut before = b'{';
    let mut run = 0..0;
    for field in fields {
        let place = place(source, field);
        let follows = |place: &Range<usize>| {
            place.start == run.end + 1 && source.as_bytes().get(run.end) == Some(&b',')
        };
        if let Some(place) = place.clone().filter(follows) {
            run.end = place.end;
            continue;
        }
        put(json, source, std::mem::take(&mut run));
        json.put_u8(std::mem::replace(&mut before, b','));
        match place {
            Some(place) => run = place,
            None => write_field(json, field),
        }
    }
    put(json, source, run);
    json.put_slice(if before == b'{' { b"{}" } else { b"}" });
}

fn put(json: &mut BytesMut, source: &str, run: Range<usize>) {
    json.put_slice(source.get(run).unwrap_or_default().as_bytes());
}

/// Where name and value stand in the source, if there is nothing needless between them.
fn place(source: &str, (name, value): &Field<'_>) -> Option<Range<usize>> {
    let Cow::Borrowed(name) = name else {
        return None;
    };
    let at = |text: &str| text.as_ptr().addr().checked_sub(source.as_ptr().addr());
    let (name_at, value_at) = (at(name)?, at(value.get())?);
    let between = source.get(name_at + name.len()..value_at)?;
    (between == "\":").then_some(name_at.checked_sub(1)?..value_at + value.get().len())
}

fn write_field(json: &mut BytesMut, (name, value): &Field<'_>) {
    match name {
        // It came without escapes, so it needs none.
        Cow::Borrowed(name) => {
            json.put_u8(b'"');
            json.put_slice(name.as_bytes());
            json.put_slice(b"\":");
        }
        Cow::Owned(name) => {
            json.put_slice(serde_json::Value::from(name.as_str()).to_string().as_bytes());
            json.put_u8(b':');
        }
    }
    json.put_slice(value.get().as_bytes());
}
