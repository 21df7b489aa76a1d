//! The name of the schema that batches are applied to: `raw`, or one that a replay makes beside it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Postgres cuts longer names off.
const LONGEST: usize = 63;

/// Schemas with a meaning of their own: the pipeline's and Postgres' own.
const RESERVED: [&str; 4] = ["raw", "staging", "vault", "information_schema"];

/// The name of a schema, safe inside SQL: its `Display` form is quoted where it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schema(Cow<'static, str>);

/// Why a name is none for a schema of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SchemaError {
    #[error(
        "a schema's name is made of a-z, 0-9 and _, begins with no digit, and has {LONGEST} characters at most"
    )]
    Name,
    #[error("this schema is taken; choose another name")]
    Reserved,
}

impl Schema {
    /// The live one.
    pub(crate) const RAW: Self = Self(Cow::Borrowed("raw"));

    /// As it stands in Postgres' catalogues, unquoted.
    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// What advisory locks on a resource are taken by. In `raw` the resource's name alone; no name of
    /// a resource has a dot in it, so that schemas do not wait for each other.
    pub(crate) fn lock_name<'a>(&self, resource: &'a str) -> Cow<'a, str> {
        if *self == Self::RAW {
            Cow::Borrowed(resource)
        } else {
            Cow::Owned(format!("{}.{resource}", self.0))
        }
    }
}

impl FromStr for Schema {
    type Err = SchemaError;

    /// Reads the name of a schema that a replay may fill.
    fn from_str(name: &str) -> Result<Self, SchemaError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let starts = name.starts_with(|c: char| !c.is_ascii_digit());
        if !starts || name.len() > LONGEST || !name.chars().all(plain) {
            return Err(SchemaError::Name);
        }
        if RESERVED.contains(&name) || name.starts_with("pg_") {
            return Err(SchemaError::Reserved);
        }
        Ok(Self(Cow::Owned(name.to_owned())))
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Any other name may be one of Postgres' words.
        if *self == Self::RAW { f.write_str("raw") } else { write!(f, "\"{}\"", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_that_nobody_else_uses_are_taken() {
        for name in ["raw_2026_01_05", "_x", "order", &"x".repeat(63)] {
            let schema: Schema = name.parse().unwrap();
            assert_eq!(schema.to_string(), format!("\"{name}\""));
        }
        for name in ["", "Raw", "1x", "a-b", "a.b", "a\"b", "a b", "ä", &"x".repeat(64)] {
            assert_eq!(name.parse::<Schema>(), Err(SchemaError::Name), "{name}");
        }
        for name in ["raw", "staging", "vault", "pg_temp", "information_schema"] {
            assert_eq!(name.parse::<Schema>(), Err(SchemaError::Reserved), "{name}");
        }
    }

    #[test]
    fn locks_of_another_schema_have_other_names() {
        let other: Schema = "other".parse().unwrap();
        assert_eq!(Schema::RAW.lock_name("tags"), "tags");
        assert_eq!(other.lock_name("tags"), "other.tags");
    }
}
