//! What a batch brings to all its rows.

use jiff::Timestamp;
use shared::resource::Resource;

use super::settings::History;
use crate::postgres::schema::Schema;

/// What a batch brings to all its rows, whether newer claims are on record, so that they must be
/// asked, and whether changes are recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchContext<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) resource: &'static Resource,
    /// Workspace of the batch, which claims are recorded for.
    pub(crate) workspace_id: i64,
    pub(crate) api_version: &'a str,
    pub(crate) fetched_at: Timestamp,
    pub(crate) newer_claims: bool,
    /// Whether rows of the same version are compared whole, and written where they differ.
    pub(crate) force: bool,
    /// Whether that is done with all there is in the stream.
    pub(crate) whole: bool,
    pub(crate) history: History,
}
