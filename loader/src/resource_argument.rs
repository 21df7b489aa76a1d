//! The names of resources on the command line.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use shared::catalogue::CATALOGUE;

/// A value that names a resource.
pub(crate) fn resource_names() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(CATALOGUE.iter().map(|resource| resource.name))
        .map(|name| name.to_ascii_lowercase())
}
