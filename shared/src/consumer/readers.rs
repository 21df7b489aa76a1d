//! Which consumers a loader takes batches from, by their names.

use std::fmt;
use std::str::FromStr;

use crate::resource::Resource;

/// Longest name of a copy.
const MAX_NAME: usize = 32;

/// Which consumers a loader takes batches from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Readers {
    /// Those of the pipeline itself, which fetchers wait for.
    #[default]
    Main,
    /// Those of a copy: a second database that gets every batch as well.
    Copy(CopyName),
}

impl Readers {
    /// The name of a table's consumer.
    pub fn consumer(&self, resource: &Resource) -> String {
        match self {
            Self::Main => resource.consumer(),
            Self::Copy(_) => format!("{}{}", self.prefix(), resource.name),
        }
    }

    /// What the names of its consumers begin with.
    pub fn prefix(&self) -> String {
        match self {
            Self::Main => "loader_".to_owned(),
            Self::Copy(CopyName(name)) => format!("copy_{name}__"),
        }
    }

    /// The copy, if it is one.
    pub const fn copy(&self) -> Option<&CopyName> {
        match self {
            Self::Main => None,
            Self::Copy(name) => Some(name),
        }
    }
}

/// The name of a copy: a-z, 0-9 and single `_`, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CopyName(String);

/// The text names no copy.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "a copy's name is made of a-z, 0-9 and single _, begins with a letter, and has {MAX_NAME} characters at most"
)]
pub struct CopyNameError;

impl FromStr for CopyName {
    type Err = CopyNameError;

    fn from_str(text: &str) -> Result<Self, CopyNameError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let is_name = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.len() <= MAX_NAME
            && text.chars().all(plain)
            && !text.contains("__")
            && !text.ends_with('_');
        if is_name { Ok(Self(text.to_owned())) } else { Err(CopyNameError) }
    }
}

impl fmt::Display for CopyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::CATALOGUE;

    #[test]
    fn copies_have_consumers_of_their_own() {
        let copy = Readers::Copy("team_2".parse().unwrap());
        let names: std::collections::BTreeSet<_> = CATALOGUE
            .iter()
            .flat_map(|resource| [Readers::Main.consumer(resource), copy.consumer(resource)])
            .collect();
        assert_eq!(names.len(), 2 * CATALOGUE.len());
        assert!(names.contains("copy_team_2__tags"), "{names:?}");
        for text in ["", "A", "a-b", "a.b", "a__b", "a_", "1a", "*", &"a".repeat(33)] {
            assert!(text.parse::<CopyName>().is_err(), "{text}");
        }
    }
}
