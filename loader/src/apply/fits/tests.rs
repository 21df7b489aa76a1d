use std::borrow::Cow;
use std::error::Error;

use sqlx::error::{DatabaseError, ErrorKind};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Postgres, as it ends a statement for its time.
#[derive(Debug, thiserror::Error)]
#[error("canceling statement due to statement timeout")]
struct StatementTimeout;

impl DatabaseError for StatementTimeout {
    fn message(&self) -> &'static str {
        "canceling statement due to statement timeout"
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some("57014".into())
    }

    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

fn size(records: usize) -> Size {
    Size { records, can_be_cut: true }
}

fn whole(records: usize) -> Size {
    Size { records, can_be_cut: false }
}

fn fit(most: usize, limit: Duration) -> Fit {
    Fit { most, limit, silences: 0 }
}

#[test]
fn as_many_records_as_fit_are_one_piece_and_one_more_are_not() {
    let now = fit(600, APPLY_TIMEOUT);
    assert_eq!([0, 600, 601].map(|records| now.holds(records)), [true, true, false]);
    assert!(Fit::default().holds(MAX_RECORDS));
}

#[test]
fn what_ran_out_of_time_is_halved_down_to_one_record_and_gets_more_time_up_to_ten_minutes() {
    let mut now = Fit::default();
    let mut sizes = Vec::new();
    for _ in 0..6 {
        now = now.ran_out(size(now.most.min(9)));
        sizes.push((now.most, now.limit.as_secs()));
    }
    assert_eq!(sizes, [(4, 60), (2, 120), (1, 240), (1, 480), (1, 600), (1, 600)]);
}

#[test]
fn a_silence_halves_and_gives_more_time_only_to_what_cannot_be_cut_and_only_the_second_time() {
    let once = Fit::default().fell_silent(size(8));
    assert_eq!((once.most, once.limit), (4, APPLY_TIMEOUT));
    assert_eq!(once.fell_silent(size(4)).limit, APPLY_TIMEOUT);
    let once = Fit::default().fell_silent(whole(1));
    assert_eq!((once.most, once.limit), (1, APPLY_TIMEOUT));
    assert_eq!(once.fell_silent(whole(1)).limit, APPLY_TIMEOUT * 2);
    // An answer in between ends the row.
    for answered in [once.ran_out(size(2)), once.fitted(size(1), 29 * SECOND)] {
        let limit = answered.limit;
        assert_eq!(answered.fell_silent(whole(1)).limit, limit);
    }
}

#[test]
fn what_was_quick_may_be_twice_as_much_until_all_of_a_batch_fits() {
    let mut now = fit(600, APPLY_TIMEOUT);
    let mut sizes = Vec::new();
    for _ in 0..3 {
        now = now.fitted(size(now.most.min(2_500)), SECOND);
        sizes.push(now.most);
    }
    let all = usize::MAX;
    assert_eq!(sizes, [1_200, 2_400, all]);
    assert_eq!(fit(MAX_RECORDS / 2, APPLY_TIMEOUT).fitted(size(MAX_RECORDS / 2), SECOND).most, all);
    assert_eq!(Fit::default().fitted(size(2_500), SECOND), Fit::default());
}

#[test]
fn quick_is_a_quarter_of_the_time_and_no_more() {
    let quarter = APPLY_TIMEOUT / 4;
    let now = fit(100, APPLY_TIMEOUT);
    assert_eq!(now.fitted(size(100), quarter).most, 200);
    assert_eq!(now.fitted(size(100), quarter + Duration::from_millis(1)).most, 100);
}

#[test]
fn few_records_tell_how_long_as_many_as_there_may_be_would_take() {
    let now = fit(100, APPLY_TIMEOUT);
    // 2 s for 50 are 4 s for 100; 4 s for 50 are 8 s, more than a quarter.
    assert_eq!(now.fitted(size(50), 2 * SECOND).most, 200);
    assert_eq!(now.fitted(size(50), 4 * SECOND).most, 100);
    // Of one record no more is believed than eight times its time.
    assert_eq!(now.fitted(size(1), Duration::from_millis(900)).most, 200);
    assert_eq!(now.fitted(size(1), SECOND).most, 100);
    assert_eq!(now.fitted(size(0), SECOND).most, 100);
}

#[test]
fn time_goes_back_before_more_records_are_tried() {
    let slow = fit(1, 3 * APPLY_TIMEOUT);
    let halved = slow.fitted(size(1), SECOND);
    assert_eq!(halved, fit(1, APPLY_TIMEOUT * 3 / 2));
    assert_eq!(halved.fitted(size(1), SECOND), fit(1, APPLY_TIMEOUT));
    assert_eq!(fit(1, APPLY_TIMEOUT).fitted(size(1), SECOND), fit(2, APPLY_TIMEOUT));
}

#[test]
fn a_table_is_slow_as_long_as_it_is_cut_or_takes_longer_and_no_other_for_it() {
    let [one, other] = [&shared::catalogue::CATALOGUE[0], &shared::catalogue::CATALOGUE[1]];
    let is_slow = |fit| Fits::with(one, fit).is_slow(one);
    assert!(!is_slow(Fit::default()));
    assert!(is_slow(Fit::of_at_most(MAX_RECORDS)));
    assert!(is_slow(fit(usize::MAX, APPLY_TIMEOUT + SECOND)));
    assert!(!Fits::with(one, fit(1, APPLY_TIMEOUT)).is_slow(other));
}

#[test]
fn it_learns_by_what_a_batch_was_not_applied() {
    let table = &shared::catalogue::CATALOGUE[0];
    let learnt = |error: Option<&ApplyError>, elapsed| {
        let fits = Fits::with(table, fit(100, APPLY_TIMEOUT));
        fits.learn(table, size(100), error, elapsed);
        fits.of(table)
    };
    assert_eq!(learnt(None, SECOND).most, 200);
    let silent = learnt(Some(&ApplyError::TimedOut(SECOND)), SECOND);
    assert_eq!(silent, Fit { most: 50, limit: APPLY_TIMEOUT, silences: 1 });
    let ended = ApplyError::Database(sqlx::Error::Database(Box::new(StatementTimeout)));
    assert_eq!(learnt(Some(&ended), SECOND), fit(50, APPLY_TIMEOUT * 2));
    assert_eq!(learnt(Some(&ApplyError::LetterGone), SECOND), fit(100, APPLY_TIMEOUT));
}
