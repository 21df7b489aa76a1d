//! A working day: when it begins and ends, when lunch is, and what is worked on in between.

use jiff::civil::{Date, Weekday};

use super::is_weekend;
use super::work::{INTERNAL, PROJECTS, Person, Task};
use crate::toggl::generator::Chance;

/// Of a hundred working days, these are taken off.
const OFF_IN_A_HUNDRED: u64 = 6;

/// A piece of work, in minutes of the day.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) from: i64,
    pub(super) to: i64,
    /// A place in [`PROJECTS`].
    pub(super) project: usize,
    pub(super) task: &'static Task,
    pub(super) words: &'static str,
}

/// Somebody's day, which is the same whenever one asks for it.
#[derive(Debug)]
pub(super) struct Day<'a> {
    person: &'a Person,
    date: Date,
    chance: Chance,
}

impl<'a> Day<'a> {
    pub(super) fn of(index: usize, person: &'a Person, date: Date) -> Self {
        let seed = number(date) * 10 + i64::try_from(index).expect("few people");
        Self { person, date, chance: Chance::new(seed.unsigned_abs()) }
    }

    /// In the order of the day; none on a day off.
    pub(super) fn slots(mut self) -> Vec<Slot> {
        let is_friday = self.date.weekday() == Weekday::Friday;
        if is_weekend(self.date) || is_friday && !self.person.works_fridays {
            return Vec::new();
        }
        if self.chance.below(100) < OFF_IN_A_HUNDRED {
            return Vec::new();
        }
        let mut now = 8 * 60 + 20 + self.minutes(60);
        let lunch = 12 * 60 + self.minutes(50);
        let back = lunch + 30 + self.minutes(35);
        let shorter = if is_friday { 75 } else { 0 };
        let end =
            now + self.person.minutes_a_day + (back - lunch) + self.minutes(60) - 40 - shorter;
        let mut slots = vec![self.meeting(now)];
        now = slots[0].to;
        while now < end {
            let limit = if now < lunch { lunch } else { end };
            let wanted = now + 40 + self.minutes(110);
            // No scraps: what is left of the morning or the day is the same piece of work.
            let to = if limit - wanted < 25 { limit } else { wanted };
            slots.push(self.work(now, to));
            let pause = if self.chance.below(3) == 0 { self.minutes(15) } else { 0 };
            now = if to == lunch { back } else { to + pause };
        }
        slots
    }

    /// Each day begins with one.
    fn meeting(&self, from: i64) -> Slot {
        let is_monday = self.date.weekday() == Weekday::Monday;
        let task = &PROJECTS[INTERNAL].tasks[0];
        let (minutes, words) = if is_monday { (45, task.words[1]) } else { (15, task.words[0]) };
        Slot { from, to: from + minutes, project: INTERNAL, task, words }
    }

    /// Half of it is on the project that the person works on most.
    fn work(&mut self, from: i64, to: i64) -> Slot {
        let project = match self.chance.below(20) {
            0..10 => self.person.projects[0],
            10 | 11 => INTERNAL,
            _ => self.person.projects[self.chance.index(self.person.projects.len())],
        };
        let tasks = PROJECTS[project].tasks;
        // The agency's own meetings are in the morning.
        let first = usize::from(project == INTERNAL);
        let task = &tasks[first + self.chance.index(tasks.len() - first)];
        let words = self.chance.of(task.words);
        Slot { from, to, project, task, words }
    }

    /// Below the bound, in steps of five.
    fn minutes(&mut self, bound: u64) -> i64 {
        self.chance.small_below(bound / 5) * 5
    }
}

/// The number of a day; the next day's is one more.
pub(super) fn number(date: Date) -> i64 {
    let first = jiff::civil::date(2020, 1, 1);
    i64::from((date - first).get_days())
}
