//! Where an interrupted run goes on.

use super::*;

#[test]
fn the_next_page_is_the_first_of_those_with_entries_that_were_held_back() {
    let mut claims = Claims::new(second(0), second(1_000 * HOUR), None);
    assert_eq!(claims.resume_at(cursor(1)), cursor(1));
    claims.take(page(1, vec![record(1, 10 * HOUR)], false));
    claims.take(page(2, vec![record(2, 100 * HOUR)], false));
    assert_eq!(claims.resume_at(cursor(3)), cursor(2), "what was on the first has been claimed");
    claims.take(page(3, vec![record(3, 110 * HOUR)], false));
    assert_eq!(claims.resume_at(cursor(4)), cursor(2));
    claims.take(page(4, vec![record(4, 130 * HOUR)], false));
    assert_eq!(claims.resume_at(cursor(5)), cursor(3));
    claims.take(page(5, Vec::new(), true));
    assert_eq!(claims.resume_at(None), None);
}

#[test]
fn what_was_claimed_before_the_interruption_is_not_new_until_a_page_has_come() {
    let claims = Claims::new(second(10), second(100), None);
    assert!([0, 10, 50].into_iter().all(|start| claims.is_new(second(start))));

    let mut claims = Claims::resumed(Some(second(50)), second(100), None);
    assert_eq!(claims.until(), Some(second(50)));
    assert!(!claims.is_new(second(49)));
    assert!(claims.is_new(second(50)) && claims.is_new(second(51)));
    claims.take(page(1, vec![record(1, 60)], false));
    assert!(claims.is_new(second(49)));
}

#[test]
fn a_run_that_had_doubts_goes_on_without_claims() {
    let mut claims = Claims::resumed(None, second(100), None);
    assert_eq!(claims.doubt(), Some("it was interrupted after something in it had been uncertain"));
    let parts = claims.take(page(1, vec![record(1, 60)], true));
    assert_eq!(parts.len(), 1);
    assert_eq!((parts[0].span, ids(&parts[0])), (Span::Partial, [1].into()));
}
