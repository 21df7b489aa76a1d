//! Entries of the chosen workspaces only. `/me/time_entries` answers with all of the user's, and claims are
//! the user's, too: what is left out must not look deleted.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use shared::batch::{Record, Rejected};
use shared::listing::{Listing, Span};

/// Each claim is a message of its own.
const MAX_CLAIMS: usize = 16;

/// Leaves out what is of none of these workspaces; all may stay if there are none. What remains claims the
/// stretches between the entries that were left out: there it has every entry of the user.
pub(crate) fn of_workspaces(listing: Listing, chosen: Option<&[i64]>) -> Vec<Listing> {
    let Some(chosen) = chosen else { return vec![listing] };
    let Listing { resource, workspace_id, fetched_at, span, records, rejected } = listing;
    let rejected = rejected.into_iter().filter(|rejected| may_be_of(rejected, chosen)).collect();
    let is_chosen = |record: &Record| record.workspace_id.is_some_and(|id| chosen.contains(&id));
    let (mut kept, left_out): (Vec<_>, Vec<_>) = records.into_iter().partition(is_chosen);
    let part = |span, records| Listing {
        resource,
        workspace_id,
        fetched_at,
        span,
        records,
        rejected: Vec::new(),
    };
    let (Span::Starts { from, to, user_id }, false) = (span, left_out.is_empty()) else {
        return vec![Listing { rejected, ..part(span, kept) }];
    };
    let mut parts = Vec::new();
    for (from, to) in stretches((from, to), &kept, &left_out) {
        let (inside, rest) = kept.into_iter().partition(|record: &Record| {
            record.started_at.is_some_and(|start| from <= start && start < to)
        });
        kept = rest;
        parts.push(part(Span::Starts { from, to, user_id }, inside));
    }
    parts.push(Listing { rejected, ..part(Span::Partial, kept) });
    parts
}

/// The longest stretches in which nothing was left out.
fn stretches(
    (from, to): (Timestamp, Timestamp),
    kept: &[Record],
    left_out: &[Record],
) -> Vec<(Timestamp, Timestamp)> {
    let starts = |records: &[Record], is_kept| -> Vec<(Timestamp, bool)> {
        records.iter().filter_map(|record| Some((record.started_at?, is_kept))).collect()
    };
    let mut starts = [starts(left_out, false), starts(kept, true)].concat();
    starts.sort_unstable();
    let mut stretches = Vec::new();
    let mut begin = from;
    // Between entries that were left out there is nothing to claim that anybody stored.
    for run in starts.chunk_by(|a, b| a.1 == b.1).filter(|run| run.iter().all(|(_, kept)| !kept)) {
        if let (Some((first, _)), Some((last, _))) = (run.first(), run.last()) {
            stretches.push((begin, (*first).min(to)));
            begin = last.checked_add(SignedDuration::from_micros(1)).unwrap_or(to).max(begin);
        }
    }
    stretches.push((begin, to));
    stretches.retain(|(from, to)| from < to);
    if stretches.len() > MAX_CLAIMS {
        stretches.sort_unstable_by_key(|(from, to)| std::cmp::Reverse(to.duration_since(*from)));
        stretches.truncate(MAX_CLAIMS);
    }
    stretches
}

/// What no record could be made of may still tell whose it is.
fn may_be_of(rejected: &Rejected, chosen: &[i64]) -> bool {
    #[derive(Deserialize)]
    struct Workspace {
        workspace_id: Option<i64>,
        wid: Option<i64>,
    }
    match serde_json::from_slice::<Workspace>(&rejected.data) {
        Ok(Workspace { workspace_id, wid }) => {
            workspace_id.or(wid).is_none_or(|id| chosen.contains(&id))
        }
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn record(id: i64, workspace_id: i64, start: i64) -> Record {
        Record {
            source_id: id,
            workspace_id: Some(workspace_id),
            modified_at: None,
            started_at: Some(at(start)),
            user_id: Some(1),
            deleted_at: None,
            data: bytes::Bytes::new(),
        }
    }

    fn window(records: Vec<Record>) -> Listing {
        Listing {
            resource: shared::catalogue::find("time_entries").unwrap(),
            workspace_id: 0,
            fetched_at: at(0),
            span: Span::Starts { from: at(0), to: at(1_000), user_id: Some(1) },
            records,
            rejected: Vec::new(),
        }
    }

    #[test]
    fn where_nothing_is_left_out_the_window_is_claimed_as_it_is() {
        let parts = of_workspaces(window(vec![record(1, 7, 5)]), Some(&[7]));
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].span, window(Vec::new()).span);
    }

    proptest! {
        #[test]
        fn no_claim_holds_an_entry_that_was_left_out(
            entries in prop::collection::vec((1..3_i64, 0..1_000_i64), 0..80)
        ) {
            let records: Vec<_> =
                (1..).zip(&entries).map(|(id, (workspace, start))| record(id, *workspace, *start)).collect();
            let parts = of_workspaces(window(records.clone()), Some(&[1]));
            let sent: BTreeSet<i64> =
                parts.iter().flat_map(|part| part.records.iter().map(|r| r.source_id)).collect();
            let kept: BTreeSet<i64> =
                records.iter().filter(|r| r.workspace_id == Some(1)).map(|r| r.source_id).collect();
            prop_assert_eq!(sent, kept);
            prop_assert!(parts.len() <= MAX_CLAIMS + 1);
            for part in parts {
                let Span::Starts { from, to, .. } = part.span else { continue };
                let inside = |r: &&Record| r.started_at.is_some_and(|start| from <= start && start < to);
                let expected: BTreeSet<i64> = records.iter().filter(inside).map(|r| r.source_id).collect();
                let claimed: BTreeSet<i64> = part.records.iter().map(|r| r.source_id).collect();
                prop_assert_eq!(claimed, expected);
            }
        }
    }
}
