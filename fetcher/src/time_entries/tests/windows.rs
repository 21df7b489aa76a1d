//! Windows as they are asked for, and what each answer is complete for.

use super::*;

/// What a reading came to.
struct Reading {
    /// Each answer's window, whether it claims that, and how many entries it brings.
    parts: Vec<((i64, i64), bool, usize)>,
    asked: Vec<(i64, i64)>,
    crowded: Vec<i64>,
    ahead: Vec<(i64, i64)>,
    failed: bool,
}

fn bounds(window: &Window) -> (i64, i64) {
    (window.from.as_second(), window.to.as_second())
}

async fn read(toggl: Toggl, windows: &[(i64, i64)]) -> Reading {
    let (client, asked) = serve(toggl).await;
    let window = |&(from, to): &(i64, i64)| Window { from: at(from), to: at(to) };
    let windows = windows.iter().map(window).collect();
    let mut reading = Windows::new(&client, time_entries(), 7, windows);
    let mut parts = Vec::new();
    let failed = loop {
        match reading.next().await {
            Ok(Some((window, listing))) => {
                let Window { from, to } = window;
                let claims = listing.span == Span::Starts { from, to, user_id: Some(7) };
                assert!(claims || listing.span == Span::Partial, "{:?}", listing.span);
                let is_inside = |start: Option<Timestamp>| window.contains(start.unwrap());
                assert!(!claims || listing.records.iter().all(|row| is_inside(row.started_at)));
                parts.push((bounds(&window), claims, listing.records.len()));
            }
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    let asked = asked
        .lock()
        .unwrap()
        .iter()
        .map(|url| {
            let mut bounds = url.query_pairs();
            let mut next = || bounds.next().unwrap().1.parse::<Timestamp>().unwrap().as_second();
            (next(), next())
        })
        .collect();
    let crowded = reading.crowded().iter().map(|second| second.as_second()).collect();
    let ahead = reading.ahead().iter().map(bounds).collect();
    Reading { parts, asked, crowded, ahead, failed }
}

fn seconds(range: std::ops::Range<i64>) -> impl Iterator<Item = i64> {
    range.map(|second| 1_000 * second)
}

#[tokio::test]
async fn what_fits_into_an_answer_is_asked_for_once_the_last_window_first() {
    let toggl = Toggl::holding(seconds(0..1_000), 1_000);
    let Reading { parts, asked, crowded, ahead, failed } =
        read(toggl, &[(0, 949), (949, 1_000)]).await;
    assert_eq!(parts, [((949, 1_000), true, 51), ((0, 949), true, 949)]);
    assert_eq!(asked, [(949, 1_000), (0, 949)]);
    assert!(crowded.is_empty() && ahead.is_empty() && !failed);
}

#[tokio::test]
async fn an_answer_near_the_cap_is_gone_on_with_before_its_oldest_second() {
    let Reading { parts, asked, crowded, .. } =
        read(Toggl::holding(seconds(1..976), 1_000), &[(0, 1_000)]).await;
    assert_eq!(parts, [((2, 1_000), true, 974), ((0, 2), true, 1)]);
    assert_eq!(asked, [(0, 1_000), (0, 2)]);
    assert!(crowded.is_empty());
}

#[tokio::test]
async fn a_cap_that_nobody_knows_is_seen_by_its_round_number() {
    let Reading { parts, asked, .. } =
        read(Toggl::holding(seconds(0..250), 100), &[(0, 250)]).await;
    assert_eq!(parts, [((151, 250), true, 99), ((52, 151), true, 99), ((0, 52), true, 52)]);
    assert_eq!(asked, [(0, 250), (0, 151), (0, 52)]);
}

#[tokio::test]
async fn a_second_with_more_than_an_answer_holds_claims_nothing_and_is_named() {
    let starts = [10_000, 90_000].into_iter().chain((0..120).map(|n| 50_000 + n));
    let Reading { parts, asked, crowded, .. } =
        read(Toggl::holding(starts, 100), &[(0, 100)]).await;
    assert_eq!(parts, [((51, 100), true, 1), ((50, 51), false, 100), ((0, 50), true, 1)]);
    assert_eq!(asked, [(0, 100), (0, 51), (0, 50)]);
    assert_eq!(crowded, [50]);
}

#[tokio::test]
async fn before_a_crowded_second_with_which_the_window_begins_nothing_is_asked_for() {
    let toggl = Toggl::holding((0..120).map(|n| 50_000 + n), 100);
    let Reading { parts, asked, crowded, .. } = read(toggl, &[(50, 51)]).await;
    assert_eq!((parts, asked), (vec![((50, 51), false, 100)], vec![(50, 51)]));
    assert_eq!(crowded, [50]);
}

#[tokio::test]
async fn windows_are_halved_where_the_order_of_an_answer_does_not_tell_what_is_missing() {
    let toggl = Toggl { newest_first: false, ..Toggl::holding(seconds(0..150), 100) };
    let Reading { parts, asked, crowded, .. } = read(toggl, &[(0, 150)]).await;
    assert_eq!(parts, [((75, 150), true, 75), ((0, 75), true, 75)]);
    assert_eq!(asked, [(0, 150), (75, 150), (0, 75)]);
    assert!(crowded.is_empty());
}

#[tokio::test]
async fn a_second_is_not_halved() {
    let toggl = Toggl { newest_first: false, ..Toggl::holding(5_000..5_120, 100) };
    let Reading { parts, asked, crowded, .. } = read(toggl, &[(5, 6)]).await;
    assert_eq!((parts, asked), (vec![((5, 6), false, 100)], vec![(5, 6)]));
    assert_eq!(crowded, [5]);
}

#[tokio::test]
async fn a_window_whose_request_failed_is_still_ahead() {
    let toggl = Toggl { refused_before: 20, ..Toggl::holding(seconds(0..30), 1_000) };
    let Reading { parts, ahead, failed, .. } = read(toggl, &[(0, 10), (10, 20), (20, 30)]).await;
    assert_eq!(parts, [((20, 30), true, 10)]);
    assert_eq!((failed, ahead), (true, vec![(0, 10), (10, 20)]));
}
