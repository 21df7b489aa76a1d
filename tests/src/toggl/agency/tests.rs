use super::*;

fn now() -> Timestamp {
    "2026-11-25T14:07:31Z".parse().unwrap()
}

fn texts(account: &Account) -> Vec<&str> {
    account.time_entries().map(super::super::TimeEntry::text).collect()
}

#[test]
fn it_is_the_same_for_the_same_moment_and_keeps_its_past() {
    let (today, again) = (Account::agency(60, now()), Account::agency(60, now()));
    assert_eq!(texts(&today), texts(&again));

    let later = Account::agency(60, now() + jiff::SignedDuration::from_hours(48));
    let yesterday = now().as_second() - 86_400;
    let kept = today
        .time_entries()
        .filter(|entry| entry.start_s() < yesterday && entry.start_s() > yesterday - 20 * 86_400);
    for entry in kept {
        assert_eq!(
            later.time_entry(entry.id()).map(super::super::TimeEntry::text),
            Some(entry.text())
        );
    }
}

#[test]
fn nobody_works_twice_at_once_or_after_now_and_one_timer_runs() {
    let account = Account::agency(84, now());
    for person in 0..PEOPLE.len() {
        let user = id(FIRST_PERSON_ID, person);
        let mine: Vec<_> = account.time_entries().filter(|entry| entry.user_id == user).collect();
        assert!(mine.len() > 200, "{} entries", mine.len());
        for pair in mine.windows(2) {
            assert!(pair[0].stop_s.is_some_and(|stop| stop <= pair[1].start_s), "{pair:?}");
        }
        for entry in mine {
            assert!(entry.stop_s.unwrap_or(entry.start_s) <= now().as_second(), "{entry:?}");
            assert!(entry.is_running || entry.duration_s >= 10 * 60, "{entry:?}");
        }
    }
    assert_eq!(account.time_entries().filter(|entry| entry.is_running()).count(), 1);
}

#[test]
fn a_working_day_has_a_usual_length() {
    let account = Account::agency(84, now());
    let seconds: i64 = account.time_entries().filter(|e| !e.is_running).map(|e| e.duration_s).sum();
    let people = i64::try_from(PEOPLE.len()).unwrap();
    let hours_a_week = seconds / 3600 / people / 12;
    assert!((30..42).contains(&hours_a_week), "{hours_a_week}");
}
