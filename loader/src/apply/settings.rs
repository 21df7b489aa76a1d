//! How batches are applied, and to which schema: `raw`, or one that a replay makes beside it.

use clap::ValueEnum;

use super::forgotten::Forgotten;
use crate::postgres::schema::Schema;

/// What a caller may decide about how batches are applied.
#[derive(Debug, Clone)]
pub(crate) struct ApplySettings {
    /// Where the tables are.
    pub(crate) schema: Schema,
    /// Believe every claim.
    pub(crate) allow_mass_delete: bool,
    /// Rewrite rows of the same version that differ from the record in anything, also in what their
    /// hash says is equal, and [damaged](super::damage) ones of any. Never an older version over a newer one.
    pub(crate) force: bool,
    /// Whether all that the stream holds of a table is applied.
    pub(crate) whole: bool,
    /// Whether replaced versions are kept. The history is of the live tables alone.
    pub(crate) history: History,
    /// Of whom nothing is written.
    pub(crate) forgotten: Forgotten,
}

impl ApplySettings {
    /// Those of the live tables.
    pub(crate) fn of(options: Options) -> Self {
        let Options { allow_mass_delete, history } = options;
        let (schema, forgotten) = (Schema::RAW, Forgotten::default());
        Self { schema, allow_mass_delete, force: false, whole: false, history, forgotten }
    }
}

/// Whether versions that are replaced are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum History {
    /// In the history.
    #[default]
    #[value(aliases = ["true", "yes", "1"])]
    On,
    /// They are lost.
    #[value(aliases = ["false", "no", "0"])]
    Off,
}

/// In what a batch may be applied differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Believe a claim that would delete more than half of 20 or more live rows; else it is kept as a
    /// dead letter.
    pub allow_mass_delete: bool,
    /// Whether replaced versions are kept.
    pub history: History,
}
