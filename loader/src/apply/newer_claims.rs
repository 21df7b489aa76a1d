//! What claims that are newer than a batch say about its records and the stored rows.

use super::claims::newest_claim;
use super::context::BatchContext;

/// SQL about a stored row `t` and a record `i` of it, in which claims have a say.
pub(crate) struct ClaimTerms {
    /// When the row is confirmed.
    pub(crate) confirmed_at: &'static str,
    /// Whether a newer claim lacks the record.
    pub(crate) lacks_record: &'static str,
    /// Since when, if so.
    pub(crate) missing_since: &'static str,
    /// Whether both are deleted or neither.
    pub(crate) same_deletion: &'static str,
}

impl ClaimTerms {
    pub(crate) const fn of(context: BatchContext<'_>) -> &'static Self {
        match context {
            BatchContext { newer_claims: false, .. } => &NO_NEWER_CLAIMS,
            BatchContext { force: false, .. } => &NEWER_CLAIMS,
            BatchContext { force: true, .. } => &NEWER_CLAIMS_FORCED,
        }
    }
}

/// The newest claim that covers the row, and the newest that covers the record; nothing where no claim is
/// newer than the batch.
pub(crate) fn joined(context: BatchContext<'_>) -> String {
    if !context.newer_claims {
        return String::new();
    }
    let (row, record) = (newest_claim(context, "t"), newest_claim(context, "i"));
    format!(
        "left join lateral ({row}) row_claim on true
         left join lateral ({record}) record_claim on true"
    )
}

/// Where no newer claim is on record.
const NO_NEWER_CLAIMS: ClaimTerms = ClaimTerms {
    confirmed_at: "t.fetched_at",
    lacks_record: "false",
    missing_since: "null::timestamptz",
    same_deletion: "(t.deleted_at is not null) = i.is_deleted",
};

/// Where there are some. Only the newest claims are on record: a row whose deletion is known
/// to lie between the record and these was deleted then. A row that was deleted before the record was
/// seen, and is gone now, was deleted a second time.
const NEWER_CLAIMS: ClaimTerms = ClaimTerms {
    confirmed_at: "greatest(t.fetched_at, case when t.deleted_at is null then row_claim.at end)",
    lacks_record: "record_claim.at is not null",
    missing_since: "case when record_claim.at is not null
          then least(record_claim.at, case when t.deleted_at > $6 then t.deleted_at end) end",
    same_deletion: "case when i.is_deleted then t.deleted_at is not null
          when record_claim.at is not null then coalesce(t.deleted_at > $6, false)
          else t.deleted_at is null end",
};

/// The same for a record that may be older than what confirmed the row: a live row that newer claims cover
/// is none that they do not have.
const NEWER_CLAIMS_FORCED: ClaimTerms = ClaimTerms {
    lacks_record: "record_claim.at is not null and (t.source_id is null or t.deleted_at is not null or row_claim.at is null)",
    missing_since: "case when record_claim.at is not null
               and (t.source_id is null or t.deleted_at is not null or row_claim.at is null)
          then least(record_claim.at, case when t.deleted_at > $6 then t.deleted_at end) end",
    same_deletion: "case when i.is_deleted then t.deleted_at is not null
          when record_claim.at is not null and (t.deleted_at is not null or row_claim.at is null)
              then coalesce(t.deleted_at > $6, false)
          else t.deleted_at is null end",
    ..NEWER_CLAIMS
};
