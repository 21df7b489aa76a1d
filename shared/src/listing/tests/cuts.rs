//! What each message claims, message by message.

use super::*;

fn cuts(span: Span, records: Vec<Record>) -> Vec<(Coverage, Vec<i64>)> {
    let batches = listing(span, records).into_batches(Uuid::nil(), 0, MAX_BYTES);
    let ids = |batch: &Batch| batch.records.iter().map(|record| record.source_id).collect();
    batches.iter().map(|batch| (batch.coverage.clone(), ids(batch))).collect()
}

fn claim(from: i64, to: i64, user_id: Option<i64>) -> Coverage {
    Coverage::Starts { from: second(from), to: second(to), user_id }
}

fn span(from: i64, to: i64, user_id: Option<i64>) -> Span {
    Span::Starts { from: second(from), to: second(to), user_id }
}

#[test]
fn ids_are_claimed_by_as_few_messages_as_hold_them() {
    let records = |count: i64| (1..=count).map(|id| record(id, 0, 0, 2)).collect::<Vec<_>>();
    let ranges = |count| {
        let cuts = cuts(Span::Ids, records(count));
        cuts.into_iter().map(|(coverage, ids)| (coverage, ids.len())).collect::<Vec<_>>()
    };
    assert_eq!(ranges(3), [(Coverage::Ids { after: None, through: None }, 3)]);
    assert_eq!(
        ranges(2_501),
        [
            (Coverage::Ids { after: None, through: Some(2_500) }, 2_500),
            (Coverage::Ids { after: Some(2_500), through: None }, 1),
        ]
    );
}

#[test]
fn one_record_that_was_asked_for_is_claimed_alone() {
    let only = |id: i64| (Coverage::Ids { after: id.checked_sub(1), through: Some(id) }, vec![]);
    assert_eq!(cuts(Span::Id(5), Vec::new()), [only(5)]);
    assert_eq!(only(5).0, Coverage::Ids { after: Some(4), through: Some(5) });
    assert_eq!(cuts(Span::Id(i64::MIN), Vec::new()), [only(i64::MIN)]);
}

#[test]
fn what_lies_outside_the_window_goes_out_without_a_claim() {
    let records =
        || vec![record(1, 0, 9, 2), record(2, 0, 10, 2), record(3, 0, 19, 2), record(4, 0, 20, 2)];
    for user_id in [None, Some(7)] {
        assert_eq!(
            cuts(span(10, 20, user_id), records()),
            [(claim(10, 20, user_id), vec![2, 3]), (Coverage::Partial, vec![1, 4])]
        );
    }
}

#[test]
fn what_has_no_start_or_is_somebody_elses_goes_out_without_a_claim() {
    let running = Record { started_at: None, ..record(1, 0, 15, 2) };
    let others = Record { user_id: Some(8), ..record(2, 0, 15, 2) };
    let nobodys = Record { user_id: None, ..record(3, 0, 15, 2) };
    let records = vec![running, others, nobodys, record(4, 0, 15, 2)];
    assert_eq!(
        cuts(span(10, 20, Some(7)), records.clone()),
        [(claim(10, 20, Some(7)), vec![4]), (Coverage::Partial, vec![1, 2, 3])]
    );
    assert_eq!(
        cuts(span(10, 20, None), records),
        [(claim(10, 20, None), vec![2, 3, 4]), (Coverage::Partial, vec![1])]
    );
}

#[test]
fn an_empty_window_is_claimed_unless_it_holds_no_moment() {
    assert_eq!(cuts(span(10, 20, None), Vec::new()), [(claim(10, 20, None), vec![])]);
    assert_eq!(cuts(span(10, 10, None), Vec::new()), [(Coverage::Partial, vec![])]);
}

#[test]
fn nothing_is_claimed_before_a_crowded_start_with_which_the_window_begins() {
    let mut records: Vec<_> = (0..2_501).map(|id| record(id, 0, 10, 2)).collect();
    records.push(record(9_000, 0, 15, 2));
    let coverages: Vec<_> =
        cuts(span(10, 20, None), records).into_iter().map(|(coverage, _)| coverage).collect();
    assert_eq!(coverages, [Coverage::Partial, Coverage::Partial, claim(15, 20, None)]);
}

#[test]
fn of_an_id_that_stands_twice_the_newest_form_is_kept_and_of_equal_ones_the_last() {
    let kept = |records: &[Record]| {
        let kept = newest_of_each_id(records.to_vec());
        kept.iter().map(|record| (record.source_id, record.data.len())).collect::<Vec<_>>()
    };
    let (old, new) = (record(1, 3, 0, 10), record(1, 4, 0, 20));
    assert_eq!(kept(&[old.clone(), new.clone()]), [(1, 20)]);
    assert_eq!(kept(&[new.clone(), old.clone()]), [(1, 20)]);
    assert_eq!(kept(&[old.clone(), record(1, 3, 0, 30)]), [(1, 30)]);
    assert_eq!(kept(&[old, record(2, 0, 0, 1), new]), [(1, 20), (2, 1)]);
}
