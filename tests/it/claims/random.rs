//! Whatever people do at Toggl while a sync reads, nothing that lives there is marked as deleted; and once
//! they rest, everything that they deleted is.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use tests::toggl::{Account, AccountSize, List, with_fields};
use tests::workers::Resident;
use tests::world::World;

use crate::claims::proving::{
    LISTS, assert_honest, assert_nothing_live, ids, live, marked, rename,
};
use crate::given::dice::Dice;
use crate::reports::reporting::entry;

/// Runs of each world while somebody works, each with the one after it, when nobody does.
const ROUNDS: usize = 4;
const ARGUMENTS: [&str; 4] = ["--only", "projects,tasks,clients,tags,time_entries", "--days", "20"];
const NAMES: [&str; 5] = ["! first", "Büro", "Support 7", "internal", "\u{10fffd} last"];

/// Somebody who works at Toggl while it is read.
struct Somebody {
    dice: Dice,
    /// Of the next record that is created.
    next_id: i64,
}

impl Somebody {
    /// A few things at once, of every kind.
    fn act(&mut self, account: &mut Account) {
        for _ in 0..=self.dice.below(3) {
            match self.dice.below(5) {
                0 => self.work_on_entries(account),
                1 => self.work_on(account, List::Clients),
                2 => self.work_on(account, List::Tasks),
                3 => self.work_on(account, List::Tags),
                _ => self.work_on(account, List::Projects),
            }
        }
    }

    fn work_on(&mut self, account: &mut Account, list: List) {
        let (workspace_id, now) = (account.workspace_id(), Timestamp::now());
        let records = account.records(list, workspace_id);
        let record = &records[self.dice.below(records.len())];
        let (id, text) = (record.id(), record.text().to_owned());
        let name = NAMES[self.dice.below(NAMES.len())];
        match self.dice.below(4) {
            // A list that has shrunk to a few is left alone: the loader asks before it loses most rows.
            0 if records.len() > 20 => account.delete(list, workspace_id, id, now),
            1 => account.change(list, workspace_id, id, now, &[("edited", "true")]),
            2 => {
                self.next_id += 1;
                let (id, at) = (self.next_id.to_string(), format!("\"{now:.0}\""));
                let name = format!("\"{name} {id}\"");
                let fields = [("id", id.as_str()), ("name", &name), ("at", &at)];
                account.put(list, workspace_id, &with_fields(&text, &fields));
            }
            _ => rename(account, list, id, name),
        }
    }

    fn work_on_entries(&mut self, account: &mut Account) {
        let now = Timestamp::now();
        let living = account.time_entries().filter(|entry| !entry.is_deleted());
        let living: Vec<i64> = living.map(tests::toggl::TimeEntry::id).collect();
        let id = living[self.dice.below(living.len())];
        let hours = i64::try_from(self.dice.below(24 * 25)).unwrap();
        let start = now - SignedDuration::from_hours(hours + 1);
        match self.dice.below(4) {
            0 if living.len() > 100 => account.delete_time_entry(id, now),
            1 => account.edit_time_entry(id, now, &[("description", "\"edited\"")]),
            2 => {
                self.next_id += 1;
                let text = entry(account, self.next_id, start);
                let at = format!("\"{now}\"");
                account.put_time_entry(&with_fields(&text, &[("at", &at)]));
            }
            _ => {
                let (stop, start) = (start + SignedDuration::from_hours(1), start);
                let (start, stop) = (format!("\"{start:.0}\""), format!("\"{stop:.0}\""));
                let fields = [("start", &*start), ("stop", &*stop), ("duration", "3600")];
                account.edit_time_entry(id, now, &fields);
            }
        }
    }
}

fn living_entries(account: &Account) -> BTreeSet<i64> {
    let living = account.time_entries().filter(|entry| !entry.is_deleted());
    living.map(tests::toggl::TimeEntry::id).collect()
}

/// What lives at Toggl, by table.
fn living(world: &World) -> Vec<(&'static str, BTreeSet<i64>)> {
    world.toggl.with_account(|account| {
        let lists = LISTS.iter().filter(|(name, _)| ARGUMENTS[1].contains(name));
        let mut living: Vec<_> = lists.map(|(name, list)| (*name, ids(account, *list))).collect();
        living.push(("time_entries", living_entries(account)));
        living
    })
}

async fn busy_run(world: &World, loader: &Resident, next_id: i64) {
    let mut somebody = Somebody { dice: Dice::new(), next_id };
    world.toggl.before_every_request(move |account, _| somebody.act(account));
    let finished = world.fetcher(&ARGUMENTS).run().await.unwrap();
    world.toggl.calm_down();
    world.loaded_by(loader).await.unwrap();
    assert_honest(&finished);
    for (name, living) in living(world) {
        assert_nothing_live(name, &marked(world, name).await, &living);
    }
}

async fn rounds(size: AccountSize) {
    let world = World::start(Account::generate(&size)).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.sync(&ARGUMENTS).await.unwrap();
    for round in 1..=ROUNDS {
        let next_id = i64::try_from(round).unwrap() * 1_000_000_000_000;
        busy_run(&world, &loader, next_id).await;

        let finished = world.fetcher(&ARGUMENTS).run().await.unwrap();
        world.loaded_by(&loader).await.unwrap();
        assert_eq!(finished.code, Some(0), "nobody works any more: {finished:#?}");
        for (name, living) in living(&world) {
            let (live, marked) = (live(&world, name).await, marked(&world, name).await);
            assert_nothing_live(name, &marked, &living);
            if name == "time_entries" {
                // Entries older than the days that are read need not be there.
                let ghosts: Vec<_> = live.difference(&living).collect();
                assert!(ghosts.is_empty(), "{name}: {ghosts:?} are gone");
            } else {
                assert_eq!(live, living, "{name}");
            }
        }
    }
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
}

fn sized(projects: usize, tasks: usize) -> AccountSize {
    AccountSize {
        projects,
        archived_projects: projects / 5,
        tasks,
        done_tasks: tasks / 5,
        clients: 60,
        tags: 90,
        time_entries: 300,
        days: 40,
        seed: projects as u64,
        ..AccountSize::default()
    }
}

#[tokio::test]
async fn lists_of_one_page_lose_nothing_that_lives() {
    rounds(sized(120, 90)).await;
}

#[tokio::test]
async fn lists_of_two_or_three_pages_lose_nothing_that_lives() {
    rounds(sized(330, 260)).await;
}

#[tokio::test]
async fn lists_of_a_thousand_lose_nothing_that_lives() {
    rounds(sized(830, 810)).await;
}
