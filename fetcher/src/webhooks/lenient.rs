//! Numbers as webhooks write them: as such, or as strings; and whatever else stands there is none.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Reads an id of either form. Ids rise beyond what a floating-point number holds, so none is made of them.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let text = <Option<Box<RawValue>>>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.get().trim_matches('"').parse().ok()))
}

/// Reads a text; of any other form there is none.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = <Option<Box<RawValue>>>::deserialize(deserializer)?;
    Ok(text.and_then(|text| serde_json::from_str(text.get()).ok()))
}
