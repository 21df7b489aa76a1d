//! Whose entries were read, and how old each person's are.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::Timestamp as SqlTimestamp;
use serde::Serialize;
use sqlx::{FromRow, PgConnection};

use super::words::time;

/// What is as old as this was read lately: reports of a whole team are for once a day.
const LATELY: SignedDuration = SignedDuration::from_hours(26);
/// A reading that ends longer before it was made is one of the past, and knows nothing of the present. A
/// report claims no day that is not over everywhere.
const REACH: SignedDuration = SignedDuration::from_hours(48);

/// One person in one workspace.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Person {
    workspace_id: i64,
    user_id: i64,
    entries_as_of: Option<Timestamp>,
    entries_from: Option<Timestamp>,
    entries_to: Option<Timestamp>,
    is_token_owner: bool,
}

/// How many people there are, and of how many of them the entries were read. Who is in several workspaces
/// counts once, by the one that is known worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    people: usize,
    read_lately: usize,
    older: usize,
    never_read: usize,
    /// Up to when the entries of the oldest of the older ones are known.
    oldest_known_until: Option<Timestamp>,
}

#[derive(Debug, FromRow)]
struct PersonRow {
    workspace_id: i64,
    user_id: i64,
    entries_as_of: Option<SqlTimestamp>,
    entries_from: Option<SqlTimestamp>,
    entries_to: Option<SqlTimestamp>,
    is_token_owner: bool,
}

impl Person {
    fn of(row: &PersonRow) -> Self {
        let time = |time: Option<SqlTimestamp>| time.map(SqlTimestamp::to_jiff);
        Self {
            workspace_id: row.workspace_id,
            user_id: row.user_id,
            entries_as_of: time(row.entries_as_of),
            entries_from: time(row.entries_from),
            entries_to: time(row.entries_to),
            is_token_owner: row.is_token_owner,
        }
    }

    /// Up to when the entries are known; none if they were never read.
    fn known_until(&self) -> Option<Timestamp> {
        let (as_of, to) = (self.entries_as_of?, self.entries_to?);
        let reaches = as_of.duration_since(to) <= REACH;
        Some(if reaches { as_of } else { to })
    }
}

impl Tally {
    /// None where no list of users was ever read.
    pub(crate) fn of(people: &[Person], now: Timestamp) -> Option<Self> {
        let mut known: BTreeMap<i64, Option<Timestamp>> = BTreeMap::new();
        for person in people {
            let until = person.known_until();
            known
                .entry(person.user_id)
                .and_modify(|worst| *worst = (*worst).min(until))
                .or_insert(until);
        }
        let is_late = |until: &&Timestamp| now.duration_since(**until) > LATELY;
        let read: Vec<Timestamp> = known.values().copied().flatten().collect();
        let older = read.iter().filter(is_late).count();
        (!known.is_empty()).then(|| Self {
            people: known.len(),
            read_lately: read.len() - older,
            older,
            never_read: known.len() - read.len(),
            oldest_known_until: read.iter().filter(is_late).min().copied(),
        })
    }

    /// One line, without names.
    pub(crate) fn words(&self) -> String {
        let Self { people, read_lately, older, never_read, oldest_known_until } = self;
        let oldest = oldest_known_until
            .map(|until| format!("; older: {older}, the oldest known up to {}", time(until)));
        let never = (*never_read > 0).then(|| format!("; never read: {never_read}"));
        let advice = (read_lately < people).then(|| {
            " (a sync reads the token owner's; an admin's `fetcher report` everybody's)".to_owned()
        });
        let rest: String = [oldest, never, advice].into_iter().flatten().collect();
        format!("People: entries of {read_lately} of {people} read within the last day{rest}")
    }
}

/// Empty where the view is missing, with which the tables it reads are.
pub(super) async fn people(connection: &mut PgConnection) -> sqlx::Result<Vec<Person>> {
    let there = "select to_regclass('staging.stg_toggl_track__people') is not null";
    if !sqlx::query_scalar::<_, bool>(there).fetch_one(&mut *connection).await? {
        return Ok(Vec::new());
    }
    let rows: Vec<PersonRow> = sqlx::query_as(
        "select workspace_id, user_id, entries_as_of, entries_from, entries_to, is_token_owner
         from staging.stg_toggl_track__people order by workspace_id, user_id",
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().map(Person::of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;
    const HOUR: i64 = 3_600;

    fn ago(hours: i64) -> Timestamp {
        Timestamp::from_second(NOW - hours * HOUR).unwrap()
    }

    /// Read so many hours ago, up to so many hours ago.
    fn person(workspace_id: i64, user_id: i64, reading: Option<(i64, i64)>) -> Person {
        let (entries_as_of, entries_to) = (reading.map(|r| ago(r.0)), reading.map(|r| ago(r.1)));
        let entries_from = reading.map(|_| ago(10_000));
        Person {
            workspace_id,
            user_id,
            entries_as_of,
            entries_from,
            entries_to,
            is_token_owner: false,
        }
    }

    fn tally(people: &[Person]) -> Tally {
        Tally::of(people, ago(0)).unwrap()
    }

    #[test]
    fn of_no_users_nothing_is_said() {
        assert_eq!(Tally::of(&[], ago(0)), None);
    }

    #[test]
    fn what_was_read_today_of_a_past_year_is_old() {
        let people = [
            person(1, 1, Some((1, -20))),
            person(1, 2, Some((1, 40))),
            person(1, 3, Some((1, 9_000))),
            person(1, 4, Some((100, 90))),
            person(1, 5, None),
        ];
        let tally = tally(&people);
        assert_eq!((tally.people, tally.read_lately, tally.older, tally.never_read), (5, 2, 2, 1));
        assert_eq!(tally.oldest_known_until, Some(ago(9_000)));
        let words = tally.words();
        assert!(
            words.starts_with("People: entries of 2 of 5 read within the last day; older: 2, ")
        );
        assert!(words.contains("; never read: 1 ("), "{words}");
    }

    #[test]
    fn who_is_in_two_workspaces_is_one_and_as_old_as_the_older_reading() {
        let fresh = || Some((1, 0));
        let people = [
            person(1, 1, fresh()),
            person(2, 1, fresh()),
            person(1, 2, fresh()),
            person(2, 2, None),
        ];
        let tally = tally(&people);
        assert_eq!((tally.people, tally.read_lately, tally.older, tally.never_read), (2, 1, 0, 1));
        let all = self::tally(&people[..3]).words();
        assert_eq!(all, "People: entries of 2 of 2 read within the last day");
    }
}
