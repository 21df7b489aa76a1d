use jiff::SignedDuration;

use super::*;
use crate::plan::{Plan, Rules};
use crate::toggl::QuotaState;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn quota(left: i64) -> QuotaState {
    QuotaState { remaining: Some(left), resets_at: Some(at(3_000)), used_up: false }
}

/// An account with a workspace in each of these organisations, which are called 10 times as much.
fn seen(organizations: &[i64], quotas: &[(Bucket, i64)]) -> Seen {
    let of = |id: &i64| (id * 10, *id);
    let quotas = quotas.iter().map(|(bucket, left)| (*bucket, quota(*left))).collect();
    let account = Account {
        user_id: 1,
        organizations: organizations.iter().map(of).collect(),
        read: organizations.iter().map(|id| (*id, 1)).collect(),
        limits: Limits { quotas, ..Limits::default() },
    };
    Seen { accounts: vec![account] }
}

fn left(seen: &Seen, pool: Pool) -> Option<i64> {
    seen.pools(at(0)).get(&pool).and_then(|observed| observed.remaining)
}

#[test]
fn workspaces_of_an_organisation_share_its_pool_and_of_no_workspace_nobody_knows_whose() {
    let quotas = [(Bucket::User, 9), (Bucket::Workspace(0), 3), (Bucket::Workspace(50), 7)];
    let one = seen(&[5], &quotas);
    assert_eq!(left(&one, Pool::User(1)), Some(9));
    assert_eq!(left(&one, Pool::Organization(1, 5)), Some(3));
    let two = seen(&[5, 6], &quotas);
    assert_eq!(left(&two, Pool::Organization(1, 5)), Some(7));
    assert_eq!(left(&two, Pool::Organization(1, 6)), None);
    assert_eq!(two.cost(Job::Sync)[&Pool::Organization(1, 6)], 6);
}

#[test]
fn runs_that_go_by_what_is_known_of_the_owner_take_nothing_of_his_requests() {
    let one = seen(&[5], &[]);
    for job in [Job::Verify, Job::Team] {
        assert_eq!(one.cost(job).keys().collect::<Vec<_>>(), [&Pool::Organization(1, 5)]);
    }
}

#[test]
fn before_any_run_has_told_what_it_takes_no_more_is_promised_than_holds_if_a_sync_takes_twice_the_least()
 {
    let blank = Seen::default();
    let jobs = [Job::Sync, Job::Lists, Job::Verify, Job::Team, Job::Changes];
    let costs = jobs.map(|job| (job, blank.cost(job)));
    let verify_every = SignedDuration::from_hours(24);
    let plan = Plan::new(Rules { share: 75, verify_every }, costs.into(), at(0));
    let promise = plan.promise();
    let minutes = |name| {
        let age = promise.of(shared::catalogue::find(name).unwrap());
        age.map(|age| age.as_secs() / 60)
    };
    assert_eq!([minutes("time_entries"), minutes("tags")], [Some(10), Some(55)]);
    assert_eq!(
        minutes("time_entries_report"),
        Some(105),
        "on the Free plan it may wait for an hour's reset"
    );
}

#[test]
fn an_hour_that_is_over_tells_nothing() {
    assert_eq!(seen(&[5], &[(Bucket::User, 9)]).pools(at(3_000)).len(), 0);
}

#[test]
fn a_run_that_wrote_nothing_down_took_what_is_gone_and_no_more_than_usual() {
    let before = seen(&[5], &[(Bucket::User, 9)]);
    let spent = |left| {
        let after = seen(&[5], &[(Bucket::User, left)]);
        after.spent(Job::Sync, at(0), &before)[&Pool::User(1)]
    };
    assert_eq!([spent(9), spent(7), spent(1)], [0, 2, 4]);
}

#[test]
fn an_outage_takes_no_more_than_the_run_in_which_it_began() {
    let seen = seen(&[5], &[(Bucket::User, 30), (Bucket::Workspace(50), 30)]);
    let costs = BTreeMap::from([(Job::Sync, seen.cost(Job::Sync))]);
    let rules = Rules { share: 75, verify_every: SignedDuration::from_hours(24) };
    let mut plan = Plan::new(rules, costs, at(0));
    for (pool, observed) in seen.pools(at(0)) {
        plan.observe(pool, observed, at(0));
    }
    for run in 0..20_i64 {
        let now = at(run * 120);
        let spent = seen.spent_unseen(Job::Sync, End::Unreachable, run == 0);
        plan.ended(Job::Sync, (now, now), &spent, End::Unreachable);
    }
    let end = at(20 * 120);
    let sync = plan.next(end).unwrap();
    assert_eq!(sync.at.duration_since(end), SignedDuration::from_mins(2), "{:?}", sync.why);
}

#[test]
fn a_run_that_was_no_outage_took_what_it_usually_takes_if_nothing_can_be_seen() {
    let seen = seen(&[5], &[]);
    for (end, saw) in [(End::Well, false), (End::Failed, false), (End::Unreachable, true)] {
        assert_eq!(seen.spent_unseen(Job::Sync, end, saw), seen.cost(Job::Sync));
    }
}

#[test]
fn a_run_that_wrote_down_what_it_took_took_that_and_takes_it_again() {
    let before = seen(&[5], &[(Bucket::User, 9)]);
    let mut after = before.clone();
    let requests = vec![(Bucket::User, 3), (Bucket::Workspace(50), 8)];
    let run = LastRun { at: at(20), requests };
    after.accounts[0].limits.runs.insert(LastRun::SYNC.to_owned(), run);
    let expected = Cost::from([(Pool::User(1), 3), (Pool::Organization(1, 5), 8)]);
    assert_eq!(after.spent(Job::Sync, at(10), &before), expected);
    assert_eq!(after.cost(Job::Sync), expected);
    assert_eq!(after.last(Job::Sync), Some(at(20)));
    assert_eq!(before.last(Job::Sync), None);
}
