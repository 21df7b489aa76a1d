use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::catalogue;

mod cuts;
mod limits;

fn second(n: i64) -> Timestamp {
    Timestamp::from_second(n).unwrap()
}

fn record(source_id: i64, modified: i64, start: i64, bytes: usize) -> Record {
    Record {
        source_id,
        workspace_id: None,
        modified_at: Some(second(modified)),
        started_at: Some(second(start)),
        user_id: Some(7),
        deleted_at: None,
        data: vec![b'x'; bytes].into(),
    }
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let sizes = prop_oneof![8 => 0..2_000_usize, 1 => 100_000..600_000_usize];
    proptest::collection::vec(
        (0..3_000_i64, 0..5_i64, 0..400_i64, sizes)
            .prop_map(|(id, modified, start, bytes)| record(id, modified, start, bytes)),
        0..2_500,
    )
}

fn payloads() -> impl Strategy<Value = usize> {
    prop_oneof![Just(64 * 1024), Just(1024 * 1024)]
}

fn listing(span: Span, records: Vec<Record>) -> Listing {
    let resource = catalogue::find("time_entries").unwrap();
    Listing {
        resource,
        workspace_id: 0,
        fetched_at: second(1_000),
        span,
        records,
        rejected: Vec::new(),
    }
}

fn newest(records: &[Record]) -> BTreeMap<i64, Option<Timestamp>> {
    let mut newest = BTreeMap::new();
    for record in records {
        let at = newest.entry(record.source_id).or_insert(record.modified_at);
        *at = (*at).max(record.modified_at);
    }
    newest
}

/// Whatever the span: nothing lost, nothing twice, nothing over the limit but a giant alone.
fn check_records(
    before: &[Record],
    batches: &[Batch],
    max_payload: usize,
) -> Result<(), TestCaseError> {
    let mut seen = BTreeMap::new();
    for (part, batch) in batches.iter().enumerate() {
        prop_assert_eq!(batch.part as usize, part + 3);
        prop_assert!(batch.records.len() <= MAX_RECORDS);
        let plain = encoded_bytes(&batch.records);
        let fits = plain <= PACKING * max_payload.min(MAX_BYTES);
        prop_assert!(fits || batch.records.len() == 1);
        check_cut_again(batch, max_payload)?;
        for record in &batch.records {
            prop_assert_eq!(seen.insert(record.source_id, record.modified_at), None);
        }
    }
    prop_assert_eq!(seen, newest(before));
    Ok(())
}

/// The same records and the same claim, in messages that fit also where nothing packs.
fn check_cut_again(batch: &Batch, max_payload: usize) -> Result<(), TestCaseError> {
    let mut next = 100..;
    let smaller = batch.clone().cut_again(max_payload, || next.next().unwrap());
    let parts: Vec<_> = smaller.iter().map(|smaller| smaller.part).collect();
    let first = std::iter::once(batch.part);
    prop_assert_eq!(&parts, &first.chain(100..).take(smaller.len()).collect::<Vec<_>>());
    let mut records = Vec::new();
    for smaller in &smaller {
        let wire = smaller.encode().unwrap().len();
        let fits = wire.max(encoded_bytes(&smaller.records)) <= max_payload.min(MAX_BYTES);
        prop_assert!(fits || smaller.records.len() == 1);
        records.extend(smaller.records.iter().map(|record| record.source_id));
    }
    records.sort_unstable();
    let mut before: Vec<_> = batch.records.iter().map(|record| record.source_id).collect();
    before.sort_unstable();
    prop_assert_eq!(records, before);
    if let Coverage::Ids { after, through } = batch.coverage {
        let mut reached = after;
        for smaller in &smaller {
            let Coverage::Ids { after, through } = smaller.coverage else { panic!("not ids") };
            prop_assert_eq!(after, reached);
            reached = through;
        }
        prop_assert_eq!(reached, through);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ids_are_cut_into_ranges_that_tile_the_line_and_hold_their_records(
        records in records(), max_payload in payloads()
    ) {
        let batches = listing(Span::Ids, records.clone()).into_batches(Uuid::nil(), 3, max_payload);
        check_records(&records, &batches, max_payload)?;
        let mut reached = None;
        for (at, batch) in batches.iter().enumerate() {
            let Coverage::Ids { after, through } = batch.coverage else { panic!("not ids") };
            prop_assert_eq!(after, reached);
            prop_assert_eq!(through.is_none(), at == batches.len() - 1);
            for record in &batch.records {
                prop_assert!(after.is_none_or(|after| after < record.source_id));
                prop_assert!(through.is_none_or(|through| record.source_id <= through));
            }
            reached = through;
        }
    }

    #[test]
    fn starts_are_claimed_by_the_message_that_holds_every_entry_of_them(
        records in records(), from in 0..400_i64, length in 1..400_i64, one_user in any::<bool>(),
        max_payload in payloads()
    ) {
        let (from, to) = (second(from), second(from + length));
        let user_id = one_user.then_some(7);
        let span = Span::Starts { from, to, user_id };
        let batches = listing(span, records.clone()).into_batches(Uuid::nil(), 3, max_payload);
        check_records(&records, &batches, max_payload)?;
        check_starts(&batches, from, user_id)?;
        for batch in batches {
            let Coverage::Starts { from, .. } = batch.coverage else { continue };
            check_starts(&batch.cut_again(max_payload, || 0), from, user_id)?;
        }
    }
}

/// What a message claims it holds whole; what lies between two claims is held by messages without one.
fn check_starts(
    batches: &[Batch],
    mut reached: Timestamp,
    user_id: Option<i64>,
) -> Result<(), TestCaseError> {
    let mut partial = BTreeSet::new();
    for batch in batches {
        match batch.coverage {
            Coverage::Starts { from, to, user_id: user } => {
                prop_assert_eq!(user, user_id);
                prop_assert!(reached <= from && from < to);
                partial.extend(starts(batches, reached, from));
                for start in starts(std::slice::from_ref(batch), second(-1), second(9_999)) {
                    prop_assert!(from <= start && start < to);
                }
                reached = to;
            }
            Coverage::Partial => {}
            Coverage::Ids { .. } => panic!("ids in a window"),
        }
    }
    for batch in batches.iter().filter(|batch| batch.coverage != Coverage::Partial) {
        for record in &batch.records {
            prop_assert!(!partial.contains(&record.started_at.unwrap()));
        }
    }
    Ok(())
}

fn starts(batches: &[Batch], from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    batches
        .iter()
        .flat_map(|batch| &batch.records)
        .filter_map(|record| record.started_at)
        .filter(|start| from <= *start && *start < to)
        .collect()
}

#[test]
fn an_empty_listing_still_claims_its_span() {
    let batches = listing(Span::Ids, Vec::new()).into_batches(Uuid::nil(), 0, MAX_BYTES);
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].coverage, Coverage::Ids { after: None, through: None });
}

#[test]
fn what_was_rejected_goes_out_in_batches_of_its_own_under_the_limits() {
    let rejected = |bytes| Rejected {
        source_id: None,
        reason: "it has no integer id".to_owned(),
        data: vec![b'x'; bytes].into(),
    };
    let mut listing = listing(Span::Ids, vec![record(1, 0, 0, 10)]);
    listing.rejected = vec![rejected(300_000), rejected(300_000), rejected(10)];
    let batches = listing.into_batches(Uuid::nil(), 0, MAX_BYTES);
    let shape: Vec<_> =
        batches.iter().map(|batch| (batch.records.len(), batch.rejected.len())).collect();
    assert_eq!(shape, [(1, 0), (0, 1), (0, 2)]);
    assert!(batches[1..].iter().all(|batch| batch.coverage == Coverage::Partial));
}

#[test]
fn that_nothing_has_changed_is_a_batch_that_claims_nothing() {
    let batches = listing(Span::Partial, Vec::new()).into_batches(Uuid::nil(), 0, MAX_BYTES);
    let shape: Vec<_> =
        batches.into_iter().map(|batch| (batch.coverage, batch.records.len())).collect();
    assert_eq!(shape, [(Coverage::Partial, 0)]);
    let mut rejected = listing(Span::Partial, Vec::new());
    let (source_id, data) = (None, vec![b'x'].into());
    rejected.rejected = vec![Rejected { source_id, reason: "not JSON".to_owned(), data }];
    assert_eq!(rejected.into_batches(Uuid::nil(), 0, MAX_BYTES).len(), 1, "that says it as well");
}

#[test]
fn more_entries_of_one_start_than_a_batch_holds_are_sent_without_a_claim() {
    let mut records: Vec<_> = (0..3_000).map(|id| record(id, 0, 50, 10)).collect();
    records.push(record(4_000, 0, 60, 10));
    let span = Span::Starts { from: second(0), to: second(100), user_id: Some(7) };
    let coverages: Vec<_> = listing(span, records)
        .into_batches(Uuid::nil(), 0, MAX_BYTES)
        .into_iter()
        .map(|batch| (batch.coverage, batch.records.len()))
        .collect();
    let claim =
        |from, to| Coverage::Starts { from: second(from), to: second(to), user_id: Some(7) };
    assert_eq!(
        coverages,
        [
            (claim(0, 50), 0),
            (Coverage::Partial, 2_500),
            (Coverage::Partial, 500),
            (claim(60, 100), 1),
        ]
    );
}
