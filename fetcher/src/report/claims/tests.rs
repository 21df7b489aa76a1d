use std::collections::BTreeSet;

use proptest::prelude::*;
use shared::listing::Span;

use super::*;

mod bounds;
mod doubts;
mod interruptions;

const HOUR: i64 = 3_600;

fn second(n: i64) -> Timestamp {
    Timestamp::from_second(n).unwrap()
}

fn record(id: i64, start: i64) -> Record {
    Record {
        source_id: id,
        workspace_id: None,
        modified_at: None,
        started_at: Some(second(start)),
        user_id: Some(7),
        deleted_at: None,
        data: bytes::Bytes::new(),
    }
}

fn page(number: i64, records: Vec<Record>, is_last: bool) -> Arrived {
    Arrived {
        cursor: cursor(number),
        fetched_at: second(1_000_000 + number),
        records,
        rejected: Vec::new(),
        is_last,
    }
}

/// The cursor of a page; the first has none.
fn cursor(number: i64) -> Option<Cursor> {
    let value = serde_json::json!({ "row_number": number, "row": null });
    (number > 0).then(|| serde_json::from_value(value).unwrap())
}

fn ids(part: &Part) -> BTreeSet<i64> {
    part.records.iter().map(|record| record.source_id).collect()
}

proptest! {
    /// Entries in the order of their owners' clocks, up to 26 hours apart, cut into pages.
    #[test]
    fn claims_tile_the_span_hold_every_entry_of_theirs_and_none_is_lost(
        starts in proptest::collection::vec((0..40 * 24 * HOUR, -12..=14_i64), 0..300),
        page_size in 1..50_usize,
        restart_after in proptest::option::of(0..8_usize),
    ) {
        let (from, to) = (24 * HOUR, 39 * 24 * HOUR);
        let mut entries: Vec<_> = (0..).zip(starts).collect();
        entries.sort_by_key(|(id, (start, zone))| (start + zone * HOUR, *id));
        let of_owner = |(id, (start, zone)): &(i64, (i64, i64))| Record {
            user_id: Some(*zone),
            ..record(*id, *start)
        };
        let records: Vec<_> = entries.iter().map(of_owner).collect();
        let pages: Vec<_> = records.chunks(page_size).map(<[_]>::to_vec).collect();
        let pages = if pages.is_empty() { vec![Vec::new()] } else { pages };

        let mut claims = Claims::new(second(from), second(to), None);
        let mut sent = BTreeSet::new();
        let mut reached = second(from);
        let (mut number, mut restart_after) = (0, restart_after);
        while number < pages.len() {
            let is_last = number + 1 == pages.len();
            let arrived = page(i64::try_from(number).unwrap(), pages[number].clone(), is_last);
            let oldest = claims.pages.iter().map(|(.., at)| *at).min().unwrap_or(arrived.fetched_at);
            for part in claims.take(arrived) {
                sent.extend(ids(&part));
                if let Span::Starts { from, to, user_id } = part.span {
                    prop_assert_eq!((from, user_id), (reached, None));
                    prop_assert!(part.fetched_at <= oldest);
                    let inside = |(_, (start, _)): &&(i64, (i64, i64))| from <= second(*start) && second(*start) < to;
                    let all: BTreeSet<_> = entries.iter().filter(inside).map(|(id, _)| *id).collect();
                    prop_assert_eq!(ids(&part), all);
                    reached = to;
                }
            }
            if restart_after == Some(number) && !is_last {
                restart_after = None;
                let next = i64::try_from(number + 1).unwrap();
                let at = claims.resume_at(cursor(next));
                let back = (0..=next).find(|number| cursor(*number) == at).unwrap();
                claims = Claims::resumed(claims.until(), second(to), None);
                number = usize::try_from(back).unwrap();
            } else {
                number += 1;
            }
        }
        prop_assert_eq!(reached, second(to));
        prop_assert_eq!(sent.len(), records.len());
    }
}

#[test]
fn an_entry_that_comes_too_late_ends_the_claims() {
    let mut claims = Claims::new(second(0), second(1_000 * HOUR), None);
    claims.take(page(0, vec![record(1, 0), record(2, 100 * HOUR)], false));
    assert_eq!(claims.until(), Some(second(74 * HOUR)));

    let parts = claims.take(page(1, vec![record(3, HOUR), record(4, 200 * HOUR)], false));

    assert!(parts.iter().all(|part| part.span == Span::Partial), "{parts:?}");
    assert_eq!(parts.iter().flat_map(ids).collect::<BTreeSet<_>>(), [2, 3, 4].into());
    assert_eq!(claims.until(), None);
    let parts = claims.take(page(2, vec![record(5, 300 * HOUR)], true));
    assert!(parts.iter().all(|part| part.span == Span::Partial), "{parts:?}");
    assert!(Claims::resumed(claims.until(), second(1_000 * HOUR), None).until().is_none());
}

#[test]
fn a_rejected_row_ends_the_claims() {
    let mut claims = Claims::new(second(0), second(1_000 * HOUR), None);
    let rejected =
        Rejected { source_id: None, reason: "odd".to_owned(), data: bytes::Bytes::new() };
    let arrived = Arrived { rejected: vec![rejected], ..page(0, vec![record(1, 5 * HOUR)], true) };
    let parts = claims.take(arrived);
    assert!(parts.iter().all(|part| part.span == Span::Partial), "{parts:?}");
}

#[test]
fn a_running_entry_is_sent_and_not_claimed() {
    let mut claims = Claims::new(second(0), second(10 * HOUR), None);
    let running = Record { started_at: None, ..record(9, 0) };
    let parts = claims.take(page(0, vec![running, record(1, HOUR)], true));
    let spans: Vec<_> = parts.iter().map(|part| (part.span == Span::Partial, ids(part))).collect();
    assert_eq!(spans, [(false, [1].into()), (true, [9].into())]);
}

#[test]
fn more_entries_than_may_be_held_back_are_sent_without_a_claim() {
    let mut claims = Claims::new(second(0), second(1_000 * HOUR), None);
    let many = i64::try_from(MAX_PENDING).unwrap() + 1;
    let parts = claims.take(page(0, (0..many).map(|id| record(id, 1)).collect(), false));
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].span, Span::Partial);
    let parts = claims.take(page(1, vec![record(many, 100 * HOUR)], true));
    assert_eq!(parts.len(), 1);
    let Span::Starts { from, .. } = parts[0].span else { panic!("{parts:?}") };
    assert!(from > second(1), "what was sent without a claim is not claimed as missing");
}
