//! Where exactly a message is full.

use super::*;

/// What the records of a batch may take before compression: three times 15/16 of 512 KiB.
const PACKED: usize = 1_474_560;

/// What a batch may take that is not expected to pack: 15/16 of 512 KiB.
const PLAIN: usize = 491_520;

/// Two records, each of another start, that are reckoned at so many bytes together.
fn two_of(bytes: usize) -> Vec<Record> {
    let data = bytes - 2 * RECORD_OVERHEAD;
    vec![record(1, 0, 10, 1_000), record(2, 0, 20, data - 1_000)]
}

fn shape(batches: &[Batch]) -> Vec<usize> {
    batches.iter().map(|batch| batch.records.len()).collect()
}

fn starts_of(from: i64, to: i64) -> Span {
    Span::Starts { from: second(from), to: second(to), user_id: Some(7) }
}

#[test]
fn a_message_is_half_of_what_a_server_takes_as_a_rule() {
    assert_eq!(2 * MAX_BYTES, 1_048_576);
}

#[test]
fn a_batch_is_filled_to_the_byte() {
    for span in [Span::Partial, Span::Ids, starts_of(0, 100)] {
        let batches = |bytes| listing(span, two_of(bytes)).into_batches(Uuid::nil(), 0, MAX_BYTES);
        assert_eq!(shape(&batches(PACKED)), [2], "{span:?}");
        assert_eq!(shape(&batches(PACKED + 1)), [1, 1], "{span:?}");
    }
}

#[test]
fn a_server_that_takes_less_gets_smaller_batches_and_one_that_takes_more_no_larger_ones() {
    let shape_of = |bytes, max_payload| {
        shape(&listing(Span::Ids, two_of(bytes)).into_batches(Uuid::nil(), 0, max_payload))
    };
    assert_eq!(shape_of(PACKED / 4, MAX_BYTES / 4), [2]);
    assert_eq!(shape_of(PACKED / 4 + 1, MAX_BYTES / 4), [1, 1]);
    assert_eq!(shape_of(PACKED, 8 * MAX_BYTES), [2]);
    assert_eq!(shape_of(PACKED + 1, 8 * MAX_BYTES), [1, 1]);
}

#[test]
fn what_did_not_pack_is_cut_so_that_it_need_not() {
    let again = |bytes| {
        let batches = listing(Span::Ids, two_of(bytes)).into_batches(Uuid::nil(), 0, MAX_BYTES);
        assert_eq!(batches.len(), 1);
        shape(&batches[0].clone().cut_again(MAX_BYTES, || 1))
    };
    assert_eq!(again(PLAIN), [2]);
    assert_eq!(again(PLAIN + 1), [1, 1]);
}

#[test]
fn a_batch_holds_as_many_records_as_may_be() {
    let batches = |count| {
        let records = (0..count).map(|id| record(id, 0, id, 2)).collect();
        shape(&listing(starts_of(0, 9_999), records).into_batches(Uuid::nil(), 0, MAX_BYTES))
    };
    assert_eq!(batches(2_500), [2_500]);
    assert_eq!(batches(5_001), [2_500, 2_500, 1]);
}

#[test]
fn a_batch_of_rejected_rows_is_filled_to_the_byte() {
    let shape_of = |more_data: usize, more_words: usize| {
        let rejected = |data: usize, words: usize| Rejected {
            source_id: None,
            reason: "x".repeat(words),
            data: vec![b'x'; data].into(),
        };
        let half = PLAIN / 2 - RECORD_OVERHEAD;
        let mut listing = listing(Span::Partial, Vec::new());
        listing.rejected =
            vec![rejected(half - 20, 20), rejected(half - 900 + more_data, 900 + more_words)];
        let batches = listing.into_batches(Uuid::nil(), 0, MAX_BYTES);
        batches.iter().map(|batch| batch.rejected.len()).collect::<Vec<_>>()
    };
    assert_eq!(shape_of(0, 0), [2]);
    assert_eq!(shape_of(1, 0), [1, 1]);
    assert_eq!(shape_of(0, 1), [1, 1]);
}

#[test]
fn a_start_is_claimed_by_its_message_as_long_as_that_holds_all_of_it() {
    let claims = |records: Vec<Record>| {
        let batches = listing(starts_of(0, 100), records).into_batches(Uuid::nil(), 0, MAX_BYTES);
        let is_claimed = |batch: &Batch| (batch.records.len(), batch.coverage != Coverage::Partial);
        batches.iter().map(is_claimed).collect::<Vec<_>>()
    };
    let of_one_start = |bytes| {
        two_of(bytes).into_iter().map(|record| Record { started_at: Some(second(50)), ..record })
    };
    let many = |count| (0..count).map(|id| record(id, 0, 50, 2)).collect();
    assert_eq!(claims(of_one_start(PACKED).collect()), [(2, true)]);
    assert_eq!(claims(of_one_start(PACKED + 1).collect()), [(0, true), (1, false), (1, false)]);
    assert_eq!(claims(many(2_500)), [(2_500, true)]);
    assert_eq!(claims(many(2_501)), [(0, true), (2_500, false), (1, false)]);
    // A giant is alone with its start, whether or not it fits.
    assert_eq!(claims(vec![record(1, 0, 50, PACKED)]), [(1, true)]);
}

proptest! {
    #[test]
    fn a_record_takes_no_more_than_is_reckoned(
        ids in any::<(i64, Option<i64>, Option<i64>)>(),
        times in any::<[bool; 3]>(),
        data in any::<Vec<u8>>(),
    ) {
        let (source_id, workspace_id, user_id) = ids;
        let [modified_at, started_at, deleted_at] = times.map(|is| is.then_some(Timestamp::MAX));
        let data = data.into();
        let record = Record {
            source_id, workspace_id, modified_at, started_at, user_id, deleted_at, data,
        };
        let taken = rmp_serde::to_vec_named(&record).unwrap().len();
        prop_assert!(taken <= record.encoded_bytes(), "{} > {}", taken, record.encoded_bytes());
    }

    #[test]
    fn a_rejected_row_takes_no_more_than_is_reckoned(
        source_id in any::<Option<i64>>(), reason in any::<String>(), data in any::<Vec<u8>>()
    ) {
        let rejected = Rejected { source_id, reason, data: data.into() };
        let taken = rmp_serde::to_vec_named(&rejected).unwrap().len();
        prop_assert!(taken <= rejected.encoded_bytes());
    }
}
