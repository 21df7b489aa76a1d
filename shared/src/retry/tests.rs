use std::future::ready;

use super::*;

mod waiting;

#[tokio::test]
async fn what_fails_in_passing_is_repeated_and_nothing_else() {
    let delays = || Delays::forever(Duration::ZERO, Duration::ZERO);
    for (failures, passing, attempts) in [(0, true, 1), (3, true, 4), (3, false, 1)] {
        let mut made = 0;
        let result = persist(
            delays(),
            |_| passing,
            || {
                made += 1;
                ready(if made > failures { Ok(()) } else { Err("trouble") })
            },
        );
        assert_eq!(result.await.is_ok(), passing || failures == 0);
        assert_eq!(made, attempts);
    }
}

/// Some twenty attempts; forty at most.
fn twenty_milliseconds() -> Delays {
    let wait = Duration::from_millis(1);
    Delays::within(wait, wait, 20 * wait)
}

#[tokio::test]
async fn the_last_error_ends_the_repetitions() {
    let mut failures = 0..1_000;
    let attempt = || ready(failures.next().map_or(Ok(()), |_| Err("trouble")));
    assert_eq!(persist(twenty_milliseconds(), |_| true, attempt).await, Err("trouble"));
}

#[test]
fn delays_grow_to_the_longest_and_never_end() {
    let mut delays = Delays::forever(Duration::from_millis(100), Duration::from_secs(2));
    let waits: Vec<_> = (0..50).map(|_| delays.next_delay().unwrap()).collect();
    assert!(waits[0] <= Duration::from_millis(151), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(3) + Duration::from_millis(1)));
    assert!(waits[20..].iter().all(|wait| *wait >= Duration::from_secs(1)), "{waits:?}");
}

#[test]
fn delays_within_a_time_end_with_it() {
    let mut delays = Delays::within(Duration::ZERO, Duration::ZERO, Duration::ZERO);
    std::iter::from_fn(|| delays.next_delay()).take(1_000_000).for_each(drop);
    assert_eq!(delays.next_delay(), None);
}

#[test]
fn after_a_success_the_delays_begin_anew() {
    let mut delays = Delays::forever(Duration::from_millis(100), Duration::from_secs(10));
    for _ in 0..20 {
        delays.next_delay().unwrap();
    }
    assert!(delays.next_delay().unwrap() >= Duration::from_secs(5));
    delays.reset();
    assert!(delays.next_delay().unwrap() <= Duration::from_millis(151));
}

#[test]
fn delays_spread_by_half_to_either_side() {
    let first = || Delays::forever(Duration::from_secs(1), Duration::from_secs(1)).next_delay();
    let waits: Vec<_> = (0..200).map(|_| first().unwrap().as_secs_f64()).collect();
    assert!(waits.iter().all(|wait| (0.5..=1.5).contains(wait)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait < 0.9) && waits.iter().any(|wait| *wait > 1.1));
}
