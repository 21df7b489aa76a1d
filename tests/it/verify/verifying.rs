//! What tests of verification begin with.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tests::toggl::{Account, Behaviour, SummaryGroups, TimeEntry};
use tests::workers::{Finished, Resident};
use tests::world::World;

use crate::reports::reporting::{days_ago, team};

pub(crate) const SUMMARY: &str = "/reports/api/v3/workspace/{w}/summary/time_entries";
pub(crate) const TOTALS: &str = "/reports/api/v3/workspace/{w}/search/time_entries/totals";

/// Three years of whole days, the last of them yesterday.
pub(crate) fn three_years() -> String {
    days_ago(3 * 365)
}

/// A world whose reports of three years are loaded, and a loader at work.
pub(crate) struct Verified {
    pub(crate) world: World,
    pub(crate) loader: Resident,
}

impl Verified {
    pub(crate) async fn start(entries: usize, groups: SummaryGroups) -> Self {
        Self::of(Account::generate(&team(entries)), groups).await
    }

    pub(crate) async fn of(account: Account, groups: SummaryGroups) -> Self {
        Self::with(account, |behaviour| behaviour.summary_groups = groups).await
    }

    /// With reports whose rows hold so many entries.
    pub(crate) async fn of_rows_of(entries: usize, account: Account) -> Self {
        Self::with(account, |behaviour| {
            behaviour.summary_groups = SummaryGroups::OfOne;
            behaviour.report_rows_hold = entries;
        })
        .await
    }

    async fn with(account: Account, behave: impl FnOnce(&mut Behaviour)) -> Self {
        let world = World::start(account).await.unwrap();
        world.toggl.configure(behave);
        world.sync(&["report", "--from", &days_ago(3 * 365 + 2)]).await.unwrap();
        let loader = world.start_loader().await.unwrap();
        world.loaded_by(&loader).await.unwrap();
        Self { world, loader }
    }

    /// `fetcher verify` over three years, with the way to the verdict.
    pub(crate) async fn verify(&self, more: &[&str]) -> Finished {
        self.verify_days(&[&["--from", &three_years()], more].concat()).await
    }

    /// The same of the days that the arguments say.
    pub(crate) async fn verify_days(&self, more: &[&str]) -> Finished {
        let arguments = [&["verify", "--wait=90s"], more].concat();
        let worker = self.world.fetcher(&arguments).env("DATABASE_URL", &self.world.database.url);
        worker.run().await.unwrap()
    }

    /// What `loader verify --json` says, and its exit code.
    pub(crate) async fn verdict(&self) -> (Option<i32>, Value) {
        let finished = self.world.loader(&["verify", "--json"]).run().await.unwrap();
        let text = &finished.stdout;
        let value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{finished:#?}"));
        (finished.code, value)
    }

    /// Entries by what became of them; those that are equal or left out are not named.
    pub(crate) async fn of_state(&self, states: &[&str]) -> BTreeSet<i64> {
        let mut connection = self.world.connect().await.unwrap();
        let ids: Vec<i64> = sqlx::query_scalar(
            "select time_entry_id from staging.stg_toggl_track__verified_entries where state = any($1)",
        )
        .bind(states)
        .fetch_all(&mut connection)
        .await
        .unwrap();
        ids.into_iter().collect()
    }

    pub(crate) async fn end(self) {
        assert_eq!(self.loader.terminate().await.unwrap(), Some(0), "{}", self.loader.log());
    }
}

/// Entries that lie well inside of the three years, in the order of their starts.
pub(crate) fn all_inside(account: &Account) -> Vec<TimeEntry> {
    let now = Timestamp::now();
    let days = |days: i64| (now - SignedDuration::from_hours(24 * days)).as_second();
    let years = days(3 * 365 - 3)..days(3);
    let entries = account.time_entries();
    entries
        .filter(|entry| years.contains(&entry.start_s()) && !entry.is_deleted())
        .cloned()
        .collect()
}

/// Those that are stopped: reports do not show the others.
pub(crate) fn inside(account: &Account) -> Vec<TimeEntry> {
    let mut entries = all_inside(account);
    entries.retain(|entry| !entry.is_running());
    entries
}
