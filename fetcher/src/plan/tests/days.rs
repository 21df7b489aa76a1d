//! Whole days.

use shared::catalogue;

use super::*;

/// A pool at Toggl: windows of an hour from the first request on.
#[derive(Debug, Clone)]
struct Counted {
    total: i64,
    opened: Option<i64>,
    used: i64,
    ours: i64,
    /// The most of ours in any window.
    most: i64,
}

impl Counted {
    fn new(total: i64) -> Self {
        Self { total, opened: None, used: 0, ours: 0, most: 0 }
    }

    fn roll(&mut self, second: i64) {
        if self.opened.is_some_and(|opened| second >= opened + 3_600) {
            (self.opened, self.used, self.ours) = (None, 0, 0);
        }
    }

    /// Whether a request is let in.
    fn take(&mut self, second: i64, is_ours: bool) -> bool {
        self.roll(second);
        self.opened.get_or_insert(second);
        if self.used >= self.total {
            return false;
        }
        self.used += 1;
        self.ours += i64::from(is_ours);
        self.most = self.most.max(self.ours);
        true
    }
}

/// A day of somebody's.
struct Day {
    pools: BTreeMap<Pool, Counted>,
    costs: BTreeMap<Job, Cost>,
    tells_totals: bool,
    /// The second at which somebody else sends a request of a pool.
    others: fn(i64) -> Option<Pool>,
    /// What this machine's clock shows at a second.
    clock: fn(i64) -> i64,
    /// Whether this machine is on.
    is_awake: fn(i64) -> bool,
    /// How long it goes on.
    hours: i64,
}

/// What came of it.
#[derive(Debug)]
struct Came {
    /// The second at which each run's work was promised again, and by when.
    promised: Vec<(Job, i64, i64)>,
    /// The seconds at which each job's work was done, by itself or by another that covers it.
    done: BTreeMap<Job, Vec<i64>>,
    refused: usize,
    pools: BTreeMap<Pool, Counted>,
}

impl Came {
    /// The longest time without that, of seconds between these, but for those in which the machine slept.
    fn longest_gap(&self, job: Job, (from, to): (i64, i64)) -> i64 {
        let inside = self.done[&job].iter().copied().filter(|second| (from..=to).contains(second));
        let seconds: Vec<i64> = [from].into_iter().chain(inside).chain([to]).collect();
        seconds.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
    }

    /// The promises that were not kept.
    fn broken(&self) -> Vec<(Job, i64, i64)> {
        let until = self.done.values().flatten().copied().max().unwrap();
        let broken = self.promised.iter().filter(|(job, from, by)| {
            *by < until && !self.done[job].iter().any(|done| from < done && done <= by)
        });
        broken.copied().collect()
    }

    fn most(&self, pool: Pool) -> i64 {
        self.pools[&pool].most
    }
}

impl Day {
    /// One person, one workspace, with so many requests of each kind.
    fn of(user: i64, organization: i64) -> Self {
        let cost = |user, organization| Cost::from([(USER, user), (ORGANIZATION, organization)]);
        Self {
            pools: [(USER, Counted::new(user)), (ORGANIZATION, Counted::new(organization))].into(),
            costs: BTreeMap::from([
                (Job::Changes, Cost::from([(USER, 1)])),
                (Job::Lists, cost(1, 5)),
                (Job::Sync, cost(4, 6)),
                (Job::Verify, cost(0, 3)),
            ]),
            tells_totals: true,
            others: |_| None,
            clock: |second| second,
            is_awake: |_| true,
            hours: 24,
        }
    }

    fn run(mut self) -> Came {
        let mut plan = Plan::new(RULES, self.costs.clone(), at((self.clock)(0)));
        let (mut second, mut done, mut refused) = (0, BTreeMap::<Job, Vec<i64>>::new(), 0);
        let mut promised = Vec::new();
        let mut next = plan.next(at((self.clock)(0))).unwrap();
        while second < self.hours * 3_600 {
            if let Some(pool) = (self.others)(second) {
                self.pools.get_mut(&pool).unwrap().take(second, false);
            }
            let now = at((self.clock)(second));
            // As the driver does, which looks at the clock now and then, and when a run is due.
            if second % 30 == 0 || next.at <= now {
                next = plan.next(now).unwrap();
            }
            if next.at <= now && (self.is_awake)(second) {
                let longest =
                    |job: &Job| (*job, second, second + plan.longest(*job).as_secs() + 30);
                let told: Vec<_> = next.job.covers().iter().map(longest).collect();
                let (spent, well) = self.execute(next.job, second);
                refused += usize::from(!well);
                let ended = at((self.clock)(second + 2));
                plan.ended(
                    next.job,
                    (now, ended),
                    &spent,
                    if well { End::Well } else { End::Failed },
                );
                self.tell(&mut plan, second + 2);
                if well {
                    promised.extend(told);
                    for job in next.job.covers() {
                        done.entry(*job).or_default().push(second);
                    }
                }
                second += 2;
                next = plan.next(ended).unwrap();
            }
            second += 1;
        }
        Came { promised, done, refused, pools: self.pools }
    }

    /// A run asks until it is refused.
    fn execute(&mut self, job: Job, second: i64) -> (Cost, bool) {
        let mut spent = Cost::new();
        for (pool, requests) in &self.costs[&job] {
            for _ in 0..*requests {
                if !self.pools.get_mut(pool).unwrap().take(second, true) {
                    return (spent, false);
                }
                *spent.entry(*pool).or_default() += 1;
            }
        }
        (spent, true)
    }

    /// What an hour allows, before it has begun.
    fn tell_totals(&self, plan: &mut Plan) {
        for (pool, counted) in &self.pools {
            let told = Observed { total: Some(counted.total), ..Observed::default() };
            plan.observe(*pool, told, at(0));
        }
    }

    /// What headers have said.
    fn tell(&self, plan: &mut Plan, second: i64) {
        let now = at((self.clock)(second));
        for (pool, counted) in &self.pools {
            let Some(opened) = counted.opened.filter(|opened| second < opened + 3_600) else {
                continue;
            };
            let resets_at = at((self.clock)(second) + opened + 3_600 - second);
            let told = Observed {
                remaining: Some(counted.total - counted.used),
                resets_at: Some(resets_at),
                total: self.tells_totals.then_some(counted.total),
            };
            plan.observe(*pool, told, now);
        }
    }
}

const DAY: i64 = 24 * 3_600;
const MINUTES: i64 = 60;

#[test]
fn on_the_free_plan_entries_are_five_minutes_old_and_lists_an_hour_with_a_quarter_to_spare() {
    let came = Day::of(30, 30).run();
    assert_eq!(came.refused, 0);
    assert_eq!(came.broken(), []);
    assert!(came.most(USER) <= 22 && came.most(ORGANIZATION) <= 22, "{:?}", came.pools);
    assert!(came.most(USER) >= 18, "the rest is spent well: {:?}", came.pools);
    assert!(came.longest_gap(Job::Changes, (0, DAY)) <= 5 * MINUTES);
    assert!(came.longest_gap(Job::Lists, (0, DAY)) <= 60 * MINUTES);
    assert!(came.longest_gap(Job::Sync, (0, DAY)) <= 13 * 60 * MINUTES);
    assert_eq!(came.done[&Job::Sync].len(), 2);
    assert!((1..=2).contains(&came.done[&Job::Verify].len()));
}

#[test]
fn every_plan_promises_entries_within_five_minutes_and_lists_within_an_hour() {
    let within = |day: Day, name: &str| {
        let mut plan = Plan::new(RULES, day.costs.clone(), at(0));
        day.tell_totals(&mut plan);
        plan.promise().of(catalogue::find(name).unwrap()).map(|age| age.as_secs() / 60)
    };
    let premium = |name| within(premium_with_a_team(), name);
    assert_eq!([premium("time_entries"), premium("time_entries_report")], [Some(5), Some(20)]);
    assert_eq!([premium("tags"), premium("users")], [Some(55); 2]);
    let within = |name| within(Day::of(30, 30), name);
    assert_eq!(within("time_entries"), Some(5));
    assert_eq!([within("tags"), within("users")], [Some(55); 2]);
    assert_eq!([within("me"), within("inventories")], [Some(14 * 60), Some(27 * 60)]);
    assert_eq!(within("time_entries_report"), None, "nobody reads the team");
}

/// Somebody who reads the team, too, on the Premium plan.
fn premium_with_a_team() -> Day {
    let mut day = Day::of(30, 600);
    day.costs.insert(Job::Team, Cost::from([(ORGANIZATION, 12)]));
    day
}

#[test]
fn on_premium_own_entries_are_five_minutes_old_and_the_teams_a_quarter_of_an_hour() {
    let came = premium_with_a_team().run();
    assert_eq!(came.refused, 0);
    assert_eq!(came.broken(), []);
    assert!(came.most(USER) <= 22 && came.most(ORGANIZATION) <= 450, "{:?}", came.pools);
    assert!(came.longest_gap(Job::Team, (0, DAY)) <= 16 * MINUTES);
    assert!(came.longest_gap(Job::Changes, (0, DAY)) <= 5 * MINUTES);
    assert!(came.longest_gap(Job::Lists, (0, DAY)) <= 60 * MINUTES);
    // A promise leaves a run half a minute, which counts beside what lies between two runs.
    let between = came.promised.iter().filter(|(job, ..)| *job == Job::Changes);
    let between: Vec<i64> = between.map(|(_, from, by)| by - from - 30).collect();
    assert!(between.iter().all(|seconds| *seconds <= 5 * MINUTES), "{between:?}");
    let told_longer = between.iter().filter(|seconds| **seconds > 270).count();
    assert!(told_longer <= 1, "of {} promises {told_longer} say more", between.len());
}

#[test]
fn several_workspaces_share_what_their_organisation_has() {
    let other = Pool::Organization(1, 8);
    let mut day = Day::of(30, 30);
    day.pools.insert(other, Counted::new(240));
    for (job, requests) in [(Job::Lists, [15, 10]), (Job::Sync, [16, 12]), (Job::Verify, [7, 5])] {
        let cost = day.costs.get_mut(&job).unwrap();
        cost.extend([(ORGANIZATION, requests[0]), (other, requests[1])]);
    }
    let came = day.run();
    assert_eq!(came.refused, 0);
    assert_eq!(came.broken(), []);
    assert!(came.most(ORGANIZATION) <= 22 && came.most(other) <= 180, "{:?}", came.pools);
    // Fifteen of twenty-two fit once into an hour.
    assert!(came.longest_gap(Job::Lists, (0, DAY)) <= 125 * MINUTES);
    assert!(came.longest_gap(Job::Changes, (0, DAY)) <= 5 * MINUTES);
}

#[test]
fn where_somebody_else_spends_too_less_is_spent_and_nobody_is_refused() {
    let mut day = Day::of(30, 30);
    // Every five minutes, of both.
    day.others = |second| match second % 300 {
        0 => Some(USER),
        1 => Some(ORGANIZATION),
        _ => None,
    };
    let came = day.run();
    assert_eq!(came.refused, 0);
    assert!(came.longest_gap(Job::Changes, (0, DAY)) <= 20 * MINUTES);
    assert!(came.longest_gap(Job::Lists, (0, DAY)) <= 60 * MINUTES);
    assert!(came.pools.values().all(|pool| pool.most <= 18), "{:?}", came.pools);
}

#[test]
fn who_takes_all_of_an_hour_at_once_is_noticed_with_one_refusal_at_most_and_the_next_hour_is_used()
{
    let mut day = Day::of(30, 30);
    day.others = |second| (36_000..36_060).contains(&second).then_some(USER);
    let came = day.run();
    assert!(came.refused <= 1, "{}", came.refused);
    assert!(came.longest_gap(Job::Changes, (0, DAY)) <= 70 * MINUTES);
    assert!(came.longest_gap(Job::Changes, (45_000, DAY)) <= 5 * MINUTES, "it is over");
}

#[test]
fn quotas_that_nobody_tells_are_taken_for_the_smallest_and_headers_show_larger_ones() {
    let mut day = Day::of(30, 600);
    day.tells_totals = false;
    day.costs.insert(Job::Team, Cost::from([(ORGANIZATION, 12)]));
    let came = day.run();
    assert_eq!(came.refused, 0);
    assert_eq!(came.broken(), []);
    assert!(came.most(USER) <= 22);
    assert!(came.most(ORGANIZATION) > 22, "{:?}", came.pools);
    assert!(came.longest_gap(Job::Changes, (0, DAY)) <= 6 * MINUTES);
}

#[test]
fn after_a_night_asleep_all_that_is_due_comes_at_once() {
    let mut day = Day::of(30, 30);
    day.is_awake = |second| !(30_000..60_000).contains(&second);
    let came = day.run();
    assert_eq!(came.refused, 0);
    let woken = 60_000;
    for job in [Job::Changes, Job::Lists, Job::Sync] {
        let first = came.done[&job].iter().find(|second| **second >= woken).unwrap();
        assert!(first - woken <= MINUTES, "{job}: {first}");
    }
    assert!(came.longest_gap(Job::Changes, (woken, DAY)) <= 5 * MINUTES);
    assert!(came.most(USER) <= 22, "{:?}", came.pools);
}

#[test]
fn a_clock_that_is_set_back_or_forward_keeps_nothing_from_coming_and_spends_no_more() {
    for clock in [
        |second: i64| if second < 20_000 { second } else { second - 7_200 },
        |second: i64| if second < 20_000 { second } else { second + 1_200 },
    ] {
        let mut day = Day::of(30, 30);
        day.clock = clock;
        let came = day.run();
        assert_eq!(came.refused, 0);
        assert!(came.longest_gap(Job::Changes, (0, DAY)) <= 6 * MINUTES);
        assert!(came.longest_gap(Job::Lists, (0, DAY)) <= 61 * MINUTES);
        assert!(came.most(USER) <= 30, "{:?}", came.pools);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_plan_and_no_costs_lead_into_a_refusal(
        user in 12_i64..60,
        organization in 12_i64..700,
        lists in 1_u32..9,
        sync in 1_u32..9,
        verify in 1_u32..9,
        tells_totals: bool,
    ) {
        let mut day = Day::of(user.max(30), organization.max(30));
        day.tells_totals = tells_totals;
        day.hours = 30;
        for (job, requests) in [(Job::Lists, lists), (Job::Sync, sync), (Job::Verify, verify)] {
            day.costs.get_mut(&job).unwrap().insert(ORGANIZATION, requests);
        }
        let came = day.run();
        prop_assert_eq!(came.refused, 0);
        prop_assert_eq!(came.broken(), []);
        for counted in came.pools.values() {
            prop_assert!(counted.most * 4 <= counted.total * 3, "{:?}", counted);
        }
        prop_assert!(came.done[&Job::Sync].len() >= 3);
        prop_assert!(came.longest_gap(Job::Changes, (0, 30 * 3_600)) <= 6 * MINUTES);
    }
}
