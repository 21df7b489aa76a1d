//! Days of a plan by a fast clock, against a Toggl that counts.

use proptest::prelude::*;

use super::*;

mod days;

const USER: Pool = Pool::User(1);
const ORGANIZATION: Pool = Pool::Organization(1, 7);

const RULES: Rules = Rules { share: 75, verify_every: SignedDuration::from_hours(24) };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn observed(remaining: i64, resets_at: Timestamp) -> Observed {
    Observed { remaining: Some(remaining), resets_at: Some(resets_at), total: None }
}

/// A plan with these runs, which take so much of the user's requests.
fn plan(jobs: &[(Job, u32)]) -> Plan {
    let jobs = jobs.iter().map(|(job, requests)| (*job, Cost::from([(USER, *requests)])));
    Plan::new(RULES, jobs.collect(), at(0))
}

#[test]
fn what_has_never_come_comes_at_once_and_everything_before_its_parts() {
    let mut plan = plan(&[(Job::Changes, 1), (Job::Lists, 1), (Job::Sync, 4)]);
    let next = plan.next(at(0)).unwrap();
    assert_eq!((next.job, next.at, next.why), (Job::Sync, at(0), Why::First));
    plan.ended(Job::Sync, (at(0), at(5)), &Cost::from([(USER, 4)]), End::Well);
    let next = plan.next(at(5)).unwrap();
    assert_eq!(next.job, Job::Changes, "a sync has brought lists and changes");
    assert!(next.at > at(60), "{next:?}");
}

#[test]
fn changes_are_spread_over_the_hour_and_leave_what_must_come() {
    let mut plan = plan(&[(Job::Changes, 1), (Job::Sync, 4)]);
    plan.recall(Job::Sync, at(-12 * 3_600 + 600));
    plan.recall(Job::Changes, at(0));
    // 22, less 4 for the sync that comes in ten minutes.
    assert_eq!(plan.every(Job::Changes), SignedDuration::from_secs(200));
    plan.observe(USER, observed(8, at(600)), at(0));
    // Somebody else has taken 22 of 30.
    assert_eq!(plan.every(Job::Changes), SignedDuration::from_secs(100));
}

#[test]
fn a_run_that_does_not_fit_any_more_waits_for_the_reset() {
    let mut plan = plan(&[(Job::Sync, 4)]);
    plan.observe(USER, observed(3, at(700)), at(0));
    let next = plan.next(at(0)).unwrap();
    assert_eq!((next.at, next.why), (at(700), Why::Reset(USER)));
    assert_eq!(plan.next(at(700)).unwrap().at, at(700));
}

#[test]
fn a_run_that_fails_is_tried_again_after_longer_and_longer_pauses() {
    let mut plan = plan(&[(Job::Sync, 4)]);
    let (mut now, mut pauses) = (at(0), Vec::new());
    for _ in 0..8 {
        plan.ended(Job::Sync, (now, now), &Cost::new(), End::Failed);
        let next = plan.next(now).unwrap();
        pauses.push(next.at.duration_since(now).as_secs() / 60);
        now = next.at;
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn where_nothing_can_be_reached_one_run_is_tried_every_few_minutes_and_then_all_that_is_due() {
    let mut plan = plan(&[(Job::Changes, 1), (Job::Lists, 1), (Job::Sync, 4)]);
    let (mut now, mut pauses) = (at(0), Vec::new());
    for _ in 0..6 {
        assert_eq!(plan.next(now).unwrap().at, now);
        plan.ended(Job::Sync, (now, now), &Cost::new(), End::Unreachable);
        let next = plan.next(now).unwrap();
        assert_eq!((next.job, next.why), (Job::Sync, Why::Unreachable));
        pauses.push(next.at.duration_since(now).as_secs() / 60);
        now = next.at;
    }
    assert_eq!(pauses, [1, 2, 4, 4, 4, 4]);
    plan.ended(Job::Sync, (now, now), &Cost::from([(USER, 4)]), End::Failed);
    let next = plan.next(now).unwrap();
    assert_eq!((next.job, next.at, next.why), (Job::Lists, now, Why::First), "it is over");
}

#[test]
fn a_sync_that_no_hour_has_room_for_begins_with_a_full_one() {
    let mut plan = plan(&[(Job::Sync, 45)]);
    assert_eq!(plan.next(at(0)).unwrap().at, at(0));
    plan.observe(USER, observed(29, at(700)), at(0));
    assert_eq!(plan.next(at(1)).unwrap().at, at(700));
}

#[test]
fn the_team_is_read_as_often_as_lists_leave_room_for_it() {
    let every = |pages: u32, total: i64| {
        let cost = |requests| Cost::from([(ORGANIZATION, requests)]);
        let jobs = BTreeMap::from([(Job::Team, cost(pages)), (Job::Lists, cost(5))]);
        let mut plan = Plan::new(RULES, jobs, at(0));
        let told = Observed { total: Some(total), ..Observed::default() };
        plan.observe(ORGANIZATION, told, at(0));
        plan.every(Job::Team).as_mins()
    };
    assert_eq!([every(2, 30), every(5, 30), every(2, 600), every(200, 600)], [30, 60, 15, 60]);
}

#[test]
fn the_plan_says_what_it_spends_and_on_what() {
    let mut plan = plan(&[(Job::Changes, 1), (Job::Sync, 4)]);
    plan.recall(Job::Sync, at(0));
    plan.observe(USER, observed(20, at(3_600)), at(0));
    let words = plan.words();
    assert_eq!(
        words[0],
        "Of user 1's own requests at most 15 an hour (of 30, 10 of this hour's are spent)"
    );
    assert_eq!(words[1], "Everything, whole: about every 12h, 4 requests");
    assert_eq!(words[2], "What has changed of your entries: about every 4m, 1 request");
}

proptest! {
    #[test]
    fn never_more_is_taken_than_the_share_of_what_somebody_else_leaves(
        share in 1_u32..=100,
        total in 1_i64..700,
        left in 0_i64..700,
        ours in 0_u32..100,
    ) {
        let left = left.min(total - i64::from(ours).min(total));
        let mut state = PoolState::default();
        state.observe(Observed { total: Some(total), ..Observed::default() }, at(0));
        state.spend(ours, at(0));
        state.observe(observed(left, at(3_000)), at(1));
        let others = (total - left - i64::from(ours)).max(0);
        prop_assert!(state.free(share) <= left);
        let may = (total - others) * i64::from(share) / 100;
        prop_assert!(state.free(share) + i64::from(ours) <= may.max(i64::from(ours)));
    }
}
