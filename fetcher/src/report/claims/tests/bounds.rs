//! To the microsecond: what a claim holds and what it rests on.

use super::*;

/// Span and ids of a part; none of the span where nothing is claimed.
type Told = (Option<(i64, i64)>, Vec<i64>);

fn told(parts: &[Part]) -> Vec<Told> {
    let hours = |span| match span {
        Span::Starts { from, to, .. } => Some((from.as_second() / HOUR, to.as_second() / HOUR)),
        _ => None,
    };
    parts.iter().map(|part| (hours(part.span), ids(part).into_iter().collect())).collect()
}

fn at_hours(entries: &[(i64, i64)]) -> Vec<Record> {
    entries.iter().map(|(id, hour)| record(*id, hour * HOUR)).collect()
}

#[test]
fn a_claim_holds_its_first_moment_and_not_its_last() {
    let mut claims = Claims::new(second(10 * HOUR), second(1_000 * HOUR), None);
    let records = at_hours(&[(1, 9), (2, 10), (3, 73), (4, 74), (5, 100)]);
    let parts = claims.take(page(0, records, false));
    assert_eq!(told(&parts), [(Some((10, 74)), vec![2, 3]), (None, vec![1])]);
    assert_eq!(claims.held_back(), 2);
    let parts = claims.take(page(1, at_hours(&[(6, 999), (7, 1_000), (8, 1_001)]), true));
    assert_eq!(told(&parts), [(Some((74, 1_000)), vec![4, 5, 6]), (None, vec![7, 8])]);
    assert_eq!(claims.held_back(), 0);
    assert_eq!(claims.doubt(), None);
}

#[test]
fn a_claim_is_as_old_as_the_oldest_page_that_it_rests_on() {
    let mut claims = Claims::new(second(0), second(1_000 * HOUR), None);
    let mut fetched = |number, entries: &[(i64, i64)], is_last| {
        let parts = claims.take(page(number, at_hours(entries), is_last));
        let seconds = parts.iter().map(|part| part.fetched_at.as_second() - 1_000_000);
        seconds.collect::<Vec<_>>()
    };
    assert!(fetched(0, &[(1, 1)], false).is_empty());
    assert!(fetched(1, &[(2, 2)], false).is_empty());
    assert_eq!(fetched(2, &[(3, 3), (4, 100)], false), [0], "entries of the first are in it");
    assert_eq!(fetched(3, &[(5, 200)], false), [2], "one of the third was held back");
    assert_eq!(fetched(4, &[(6, 300)], false), [3]);
    assert_eq!(fetched(5, &[], true), [4]);
}

#[test]
fn after_pages_with_nothing_held_back_a_claim_rests_on_the_last_of_them() {
    let mut claims = Claims::new(second(500 * HOUR), second(1_000 * HOUR), None);
    for number in 0..3 {
        claims.take(page(number, at_hours(&[(number, 1 + number)]), false));
    }
    let parts = claims.take(page(3, at_hours(&[(9, 600)]), true));
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].fetched_at, second(1_000_002));
}

#[test]
fn a_span_is_narrowed_to_what_toggl_looked_at_and_never_widened() {
    let claimed = |narrowed: (i64, i64)| {
        let mut claims = Claims::new(second(10 * HOUR), second(20 * HOUR), Some(7));
        claims.narrow((second(narrowed.0 * HOUR), second(narrowed.1 * HOUR)));
        let parts = claims.take(page(0, at_hours(&[(1, 12), (2, 16)]), true));
        assert!(parts.iter().all(|part| match part.span {
            Span::Starts { user_id, .. } => user_id == Some(7),
            _ => part.span == Span::Partial,
        }));
        told(&parts)
    };
    assert_eq!(claimed((0, 30)), [(Some((10, 20)), vec![1, 2])]);
    assert_eq!(claimed((14, 30)), [(Some((14, 20)), vec![2]), (None, vec![1])]);
    assert_eq!(claimed((0, 14)), [(Some((10, 14)), vec![1]), (None, vec![2])]);
}

#[test]
fn a_span_without_a_moment_claims_nothing() {
    let mut claims = Claims::new(second(10 * HOUR), second(20 * HOUR), None);
    claims.narrow((second(20 * HOUR), second(20 * HOUR)));
    assert!(claims.take(page(0, Vec::new(), true)).is_empty());
    assert_eq!(claims.doubt(), None);
}

#[test]
fn as_many_entries_as_may_be_held_back_are_held_back() {
    let mut claims = Claims::new(second(0), second(1_000 * HOUR), None);
    let many = i64::try_from(MAX_PENDING).unwrap();
    assert!(claims.take(page(0, (0..many).map(|id| record(id, 1)).collect(), false)).is_empty());
    assert_eq!((claims.held_back(), claims.doubt()), (MAX_PENDING, None));
    let parts = claims.take(page(1, vec![record(many, 2)], false));
    assert_eq!((parts.len(), claims.held_back()), (1, 0));
    assert_eq!(parts[0].span, Span::Partial);
    assert_eq!(claims.doubt(), Some("a day of it has more entries than can be held back"));
    assert!(claims.until().is_some(), "later entries are still claimed");
}

#[test]
fn fifty_thousand_entries_may_be_held_back_for_twenty_six_hours() {
    assert_eq!((MAX_PENDING, DISORDER.as_hours()), (50_000, 26));
}
