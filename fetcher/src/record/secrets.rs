//! Leaves fields with secrets out of an answer, wherever they stand in it.
//!
//! The usual answer has none, and a search over its bytes says so: it costs no copy and no look at
//! its structure. Any other is gone through once, without a tree and without recursion, so that depth
//! costs nothing.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use bytes::{Bytes, BytesMut};
use serde::de::Error as _;
use serde_json::value::RawValue;
use shared::secrets::{NAMES, is_secret};

use super::fields::Text;

/// What an answer without secrets does not hold: their names as JSON writes them, or an escape, by
/// which every letter of a name may be written.
static SUSPICIOUS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let names = NAMES.iter().map(|name| format!("\"{name}\""));
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(names.chain(["\\u".to_owned()]))
        .ok()
});

/// The answer without secrets; the very same bytes where it has none.
///
/// # Errors
/// When it looks as if it had some, and is no JSON.
pub(super) fn without(body: &Bytes) -> serde_json::Result<Bytes> {
    if SUSPICIOUS.as_ref().is_some_and(|names| !names.is_match(body.as_ref())) {
        return Ok(body.clone());
    }
    let json = str::from_utf8(body).map_err(serde_json::Error::custom)?;
    // What follows relies on it.
    serde_json::from_str::<&RawValue>(json)?;
    Ok(strip(json).map_or_else(|| body.clone(), BytesMut::freeze))
}

/// The text without secret fields; none where it has none.
fn strip(json: &str) -> Option<BytesMut> {
    let mut kept = BytesMut::new();
    let mut kept_until = 0;
    let mut at = 0;
    while let Some(start) = find(json, at, |byte| byte == b'"') {
        at = end_of_string(json, start);
        let colon = skip_space(json, at);
        // Only the name of a field has a colon behind it.
        if byte(json, colon) != Some(b':') || !is_secret_name(json.get(start..at)) {
            continue;
        }
        let end = end_of_value(json, skip_space(json, colon + 1));
        put(&mut kept, json, kept_until, start);
        let next = skip_space(json, end);
        if byte(json, next) == Some(b',') {
            at = skip_space(json, next + 1);
        } else {
            at = end;
            drop_comma(&mut kept);
        }
        kept_until = at;
    }
    if kept_until == 0 {
        return None;
    }
    put(&mut kept, json, kept_until, json.len());
    Some(kept)
}

/// Whether the text, with its quotation marks, is the name of a secret.
fn is_secret_name(quoted: Option<&str>) -> bool {
    let Some(quoted) = quoted else { return false };
    let name = if quoted.contains('\\') {
        serde_json::from_str(quoted).map(|Text(name)| name).unwrap_or_default()
    } else {
        Cow::Borrowed(quoted.trim_matches('"'))
    };
    is_secret(&name)
}

/// The last field of an object is gone: so is the comma that announced it.
fn drop_comma(kept: &mut BytesMut) {
    let text = kept.trim_ascii_end();
    if let Some(before) = text.strip_suffix(b",") {
        let length = before.len();
        kept.truncate(length);
    }
}

fn put(kept: &mut BytesMut, json: &str, from: usize, to: usize) {
    kept.extend_from_slice(json.get(from..to).unwrap_or_default().as_bytes());
}

fn byte(json: &str, at: usize) -> Option<u8> {
    json.as_bytes().get(at).copied()
}

/// The first such byte from there on.
fn find(json: &str, from: usize, is_it: impl Fn(u8) -> bool) -> Option<usize> {
    let rest = json.as_bytes().get(from..)?;
    rest.iter().position(|byte| is_it(*byte)).map(|place| from + place)
}

fn skip_space(json: &str, from: usize) -> usize {
    find(json, from, |byte| !byte.is_ascii_whitespace()).unwrap_or(json.len())
}

/// Where the string ends that begins there, behind its quotation mark.
fn end_of_string(json: &str, start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = find(json, at, |byte| matches!(byte, b'"' | b'\\')) {
        if byte(json, found) == Some(b'"') {
            return found + 1;
        }
        at = found + 2;
    }
    json.len()
}

/// Where the value ends that begins there.
fn end_of_value(json: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(found) = find(json, at, |byte| b"\"{}[],".contains(&byte)) {
        let mark = byte(json, found);
        at = found + 1;
        match mark {
            Some(b'"') => at = end_of_string(json, found),
            Some(b'{' | b'[') => {
                depth += 1;
                continue;
            }
            // A number or a word ends before what follows it.
            Some(_) if depth == 0 => {
                return json
                    .get(start..found)
                    .map_or(found, |value| start + value.trim_ascii_end().len());
            }
            Some(b',') => continue,
            _ => depth -= 1,
        }
        if depth == 0 {
            return at;
        }
    }
    json.len()
}

#[cfg(test)]
mod tests;
