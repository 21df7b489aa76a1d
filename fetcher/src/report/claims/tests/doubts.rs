//! What ends the claims of a span, and what does not.

use super::*;

const DISORDERED: &str = "its entries came in another order than by their start";

fn of_user(user: i64, id: i64, hour: i64) -> Record {
    Record { user_id: Some(user), ..record(id, hour * HOUR) }
}

fn claims() -> Claims {
    Claims::new(second(0), second(1_000 * HOUR), None)
}

fn are_partial(parts: &[Part]) -> bool {
    parts.iter().all(|part| part.span == Span::Partial)
}

#[test]
fn a_page_is_empty_if_nothing_came_not_even_what_cannot_be_used() {
    let rejected =
        || Rejected { source_id: None, reason: "odd".to_owned(), data: bytes::Bytes::new() };
    let empty = || page(0, Vec::new(), true);
    assert!(empty().is_empty());
    assert!(!Arrived { records: vec![record(1, 1)], ..empty() }.is_empty());
    assert!(!Arrived { rejected: vec![rejected()], ..empty() }.is_empty());
    let both = Arrived { records: vec![record(1, 1)], rejected: vec![rejected()], ..empty() };
    assert!(!both.is_empty());
}

#[test]
fn each_doubt_is_said_and_the_first_one_stays() {
    let mut claims = claims();
    assert_eq!(claims.doubt(), None);
    claims.take(page(0, vec![of_user(7, 1, 20), of_user(7, 2, 10)], false));
    assert_eq!(claims.doubt(), Some(DISORDERED));
    let rejected =
        Rejected { source_id: None, reason: "odd".to_owned(), data: bytes::Bytes::new() };
    claims.take(Arrived { rejected: vec![rejected], ..page(1, Vec::new(), true) });
    assert_eq!(claims.doubt(), Some(DISORDERED));
}

#[test]
fn rejected_rows_are_sent_on() {
    let mut claims = claims();
    let rejected =
        Rejected { source_id: None, reason: "odd".to_owned(), data: bytes::Bytes::new() };
    let parts = claims.take(Arrived { rejected: vec![rejected], ..page(0, Vec::new(), true) });
    assert_eq!(parts.len(), 1);
    assert_eq!((parts[0].records.len(), parts[0].rejected.len()), (0, 1));
    assert_eq!(claims.doubt(), Some("some of its records cannot be used"));
}

#[test]
fn an_answer_of_one_page_is_complete_in_whatever_order() {
    let mut claims = claims();
    let parts = claims.take(page(0, vec![of_user(7, 1, 20), of_user(7, 2, 10)], true));
    assert_eq!(parts.len(), 1);
    assert_eq!((ids(&parts[0]), claims.doubt()), ([1, 2].into(), None));
    assert_ne!(parts[0].span, Span::Partial);
}

#[test]
fn the_first_of_several_pages_shows_that_the_order_is_another() {
    let mut claims = claims();
    let parts = claims.take(page(0, vec![of_user(7, 1, 20), of_user(7, 2, 10)], false));
    assert_eq!(parts.iter().flat_map(ids).collect::<BTreeSet<_>>(), [1, 2].into());
    assert!(are_partial(&parts));
    assert_eq!((claims.until(), claims.held_back()), (None, 0));
}

#[test]
fn the_last_of_several_pages_shows_that_the_order_is_another() {
    let mut claims = claims();
    claims.take(page(0, vec![of_user(7, 1, 10), of_user(7, 2, 12)], false));
    let parts = claims.take(page(1, vec![of_user(7, 3, 2)], true));
    assert_eq!(parts.iter().flat_map(ids).collect::<BTreeSet<_>>(), [1, 2, 3].into());
    assert!(are_partial(&parts));
    assert_eq!(claims.doubt(), Some(DISORDERED));
}

#[test]
fn an_entry_of_somebody_new_comes_too_late_before_the_last_claim_and_not_at_its_end() {
    let next = |hour| {
        let mut claims = claims();
        claims.take(page(0, vec![of_user(7, 1, 0), of_user(7, 2, 100)], false));
        assert_eq!(claims.until(), Some(second(74 * HOUR)));
        claims.take(page(1, vec![of_user(8, 3, hour)], false));
        claims.doubt()
    };
    assert_eq!(next(73), Some(DISORDERED));
    assert_eq!(next(74), None);
    assert_eq!(next(75), None);
}

#[test]
fn entries_are_held_back_until_the_order_has_shown_itself() {
    let mut claims = claims();
    assert!(claims.take(page(0, vec![of_user(7, 1, 10), of_user(8, 2, 100)], false)).is_empty());
    assert_eq!(claims.held_back(), 2);
}

#[test]
fn what_is_abandoned_is_sent_without_a_claim_as_of_its_oldest_page() {
    let mut claims = claims();
    assert!(claims.abandon("nothing was held back").is_empty());
    assert_eq!((claims.doubt(), claims.until()), (Some("nothing was held back"), None));

    let mut claims = self::claims();
    claims.take(page(3, vec![of_user(7, 1, 10)], false));
    claims.take(page(4, vec![of_user(7, 2, 11)], false));
    let parts = claims.abandon("its rows moved");
    assert_eq!(parts.len(), 1);
    assert_eq!((parts[0].span, ids(&parts[0])), (Span::Partial, [1, 2].into()));
    assert_eq!(parts[0].fetched_at, second(1_000_003));
    assert_eq!((claims.doubt(), claims.held_back()), (Some("its rows moved"), 0));
    claims.abandon("something else");
    assert_eq!(claims.doubt(), Some("its rows moved"));
}

#[test]
fn nothing_that_was_held_back_is_nothing_to_send() {
    let mut claims = claims();
    claims.take(page(0, vec![of_user(7, 1, 2_000)], false));
    assert_eq!(claims.held_back(), 0);
    assert!(claims.abandon("its rows moved").is_empty());
}
