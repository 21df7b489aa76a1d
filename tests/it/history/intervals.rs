//! The versions of rows against a model: what was valid when, whatever happened to the tables since.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use shared::batch::{Batch, Record};
use shared::listing::Span;
use shared::resource::Resource;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use tests::rows::unrecorded;

use crate::expected::rows::resource;
use crate::given::batches::{cut, listing, moment, record};
use crate::given::dice::Dice;
use crate::history::recorded::{Applying, with_field};

/// Id and name of what was live.
type Live = BTreeSet<(i64, String)>;

/// What Toggl has of one id.
#[derive(Debug, Clone)]
struct Truth {
    name: String,
    modified: i64,
    deleted: Option<i64>,
}

/// What fetches saw, in their order, and what that tells of each moment.
struct Story {
    resource: &'static Resource,
    truth: BTreeMap<i64, Truth>,
    batches: Vec<Batch>,
    /// What was live at each second from 0 on.
    live: Vec<Live>,
}

const SECONDS: i64 = 60;
const IDS: i64 = 4;

impl Story {
    /// So much happens at Toggl, and is fetched, by listings and by feeds of changes.
    fn told(dice: &mut Dice, resource: &'static Resource) -> Self {
        let (truth, batches) = (BTreeMap::new(), Vec::new());
        let live = vec![Live::new(); usize::try_from(SECONDS + 1).unwrap()];
        let mut story = Self { resource, truth, batches, live };
        for second in (3..SECONDS).step_by(3) {
            for id in 1..=IDS {
                story.happen(dice, id, second);
            }
            if dice.below(2) == 0 {
                story.list(dice, second);
            } else {
                story.feed(dice, second);
            }
        }
        story
    }

    /// Something or nothing happens to an id, in the second before this one.
    fn happen(&mut self, dice: &mut Dice, id: i64, second: i64) {
        let at = second - 1;
        let new = |number: usize| Truth {
            name: ["A", "B", "C"][number].to_owned(),
            modified: at,
            deleted: None,
        };
        match (self.truth.get_mut(&id), dice.below(6)) {
            (None, 0 | 1) => drop(self.truth.insert(id, new(dice.below(3)))),
            (Some(truth), 0) if truth.deleted.is_none() => truth.deleted = Some(at),
            (Some(truth), 1) => *truth = new(dice.below(3)),
            _ => {}
        }
    }

    fn record(&self, dice: &mut Dice, id: i64) -> Record {
        let truth = &self.truth[&id];
        let one = record(self.resource, id, truth.modified, &truth.name);
        // What moves without meaning anything, and what says that it is deleted.
        let mut one = match self.resource.volatile_fields.first() {
            Some(field) => with_field(&one, field, i64::try_from(dice.below(3)).unwrap()),
            None => one,
        };
        if let Some(deleted) = truth.deleted {
            one.deleted_at = Some(moment(deleted));
            // As Toggl does: the same text would be no news of what a listing lacked already.
            one = with_field(&one, "gone", deleted);
        }
        one
    }

    /// A whole listing: of resources that claim, deleted ones are not in it.
    fn list(&mut self, dice: &mut Dice, second: i64) {
        let claims = self.resource.claim.is_by_listing();
        let ids: Vec<i64> = self.truth.keys().copied().collect();
        let mut records = Vec::new();
        for id in ids {
            if !claims || self.truth[&id].deleted.is_none() {
                records.push(self.record(dice, id));
                self.saw(id, second);
            } else {
                self.lost(id, second);
            }
        }
        self.batches.extend(listing(self.resource, second, records));
    }

    /// Some of what there is.
    fn feed(&mut self, dice: &mut Dice, second: i64) {
        let ids: Vec<i64> = self.truth.keys().copied().filter(|_| dice.below(2) == 0).collect();
        let records = ids.iter().map(|id| self.record(dice, *id)).collect();
        for id in ids {
            self.saw(id, second);
        }
        self.batches.extend(cut(self.resource, second, Span::Partial, records));
    }

    fn saw(&mut self, id: i64, second: i64) {
        let truth = self.truth[&id].clone();
        match truth.deleted {
            Some(deleted) => self.lost(id, deleted),
            None => {
                self.from(second, |live| {
                    live.retain(|(other, _)| *other != id);
                    live.insert((id, truth.name.clone()));
                });
            }
        }
    }

    /// Gone since then. Of what a listing lacked Toggl's own word may come later, and say earlier.
    fn lost(&mut self, id: i64, since: i64) {
        self.from(since, |live| live.retain(|(other, _)| *other != id));
    }

    fn from(&mut self, second: i64, change: impl Fn(&mut Live)) {
        self.live.iter_mut().skip(usize::try_from(second).unwrap()).for_each(change);
    }
}

async fn as_of(connection: &mut PgConnection, resource: &Resource, second: i64) -> Live {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "select source_id, data->>'name'
         from raw.toggl_track__as_of($1, to_timestamp($2::bigint)) order by 1",
    )
    .bind(resource.name)
    .bind(moment(second).as_second())
    .fetch_all(connection)
    .await
    .unwrap();
    let number = rows.len();
    let live = Live::from_iter(rows);
    assert_eq!(live.len(), number, "one version of each row");
    live
}

/// All versions of a table, as they are told apart.
async fn versions(connection: &mut PgConnection, resource: &Resource) -> Vec<String> {
    sqlx::query_scalar(
        "select format('%s %s %s %s', source_id, data->>'name', valid_from, valid_to)
         from raw.toggl_track__versions where resource = $1 order by source_id, valid_from, valid_to",
    )
    .bind(resource.name)
    .fetch_all(connection)
    .await
    .unwrap()
}

pub(crate) async fn assert_sound(connection: &mut PgConnection, resource: &Resource) {
    let overlapping: Vec<String> = sqlx::query_scalar(
        "select format('%s: %s to %s, then %s', source_id, valid_from, valid_to, next)
         from (select *, lead(valid_from) over (
                   partition by source_id, case when $1 in ('users', 'workspace_users') then workspace_id end
                   order by valid_from) as next
               from raw.toggl_track__versions
               where resource = $1 and (valid_to is null or valid_from < valid_to)) v
         where next < coalesce(valid_to, 'infinity')",
    )
    .bind(resource.name)
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    assert_eq!(overlapping, [""; 0], "versions of {} overlap", resource.name);
    let unrecorded = unrecorded(connection, resource, 0..=i64::MAX).await.unwrap();
    assert_eq!(unrecorded, [""; 0], "{}", resource.name);
}

async fn empty(connection: &mut PgConnection, resource: &Resource, tables: &[&str]) {
    let mut tables: Vec<String> =
        tables.iter().map(|table| format!("raw.toggl_track__{table}")).collect();
    tables.push(format!("raw.{}", resource.table()));
    let sql = format!("truncate {}", tables.join(", "));
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
}

const TOLD: [&str; 5] = ["tags", "projects", "time_entries", "users", "workspaces"];

#[tokio::test]
async fn what_was_valid_when_is_what_the_fetches_tell() {
    let mut applying = Applying::start().await;
    let mut dice = Dice::new();
    for name in TOLD {
        for story in 0..12 {
            let story_of = format!("story {story} of {name}");
            let resource = resource(name);
            let told = Story::told(&mut dice, resource);
            empty(&mut applying.connection, resource, &["claims", "history"]).await;
            applying.apply(&told.batches).await;
            let connection = &mut applying.connection;
            assert_sound(connection, resource).await;
            for (second, live) in (0..).zip(&told.live) {
                assert_eq!(
                    as_of(connection, resource, second).await,
                    *live,
                    "{story_of}, {second}"
                );
            }

            // Nothing of it is news, in whatever order it comes again.
            let before = versions(connection, resource).await;
            let mut again = told.batches.clone();
            again.rotate_left(dice.below(told.batches.len()));
            again.reverse();
            applying.apply(&again).await;
            assert_eq!(
                versions(&mut applying.connection, resource).await,
                before,
                "{story_of} again"
            );

            // Nor if the table is emptied, and filled again by what the stream holds.
            for tables in [&["claims"][..], &[]] {
                empty(&mut applying.connection, resource, tables).await;
                applying.apply(&told.batches).await;
                let after = versions(&mut applying.connection, resource).await;
                assert_eq!(after, before, "{story_of} replayed, emptied with {tables:?}");
            }
        }
    }
}

#[tokio::test]
async fn versions_never_overlap_in_whatever_order_batches_come() {
    let mut applying = Applying::start().await;
    let mut dice = Dice::new();
    for name in TOLD {
        for _ in 0..12 {
            let resource = resource(name);
            let mut batches = Story::told(&mut dice, resource).batches;
            empty(&mut applying.connection, resource, &["claims", "history"]).await;
            for place in (1..batches.len()).rev() {
                batches.swap(place, dice.below(place + 1));
            }
            for batch in batches {
                applying.apply(&[batch]).await;
                assert_sound(&mut applying.connection, resource).await;
            }
        }
    }
}

#[tokio::test]
async fn what_was_fetched_earlier_and_changed_later_is_what_there_was_since() {
    let mut applying = Applying::start().await;
    let tags = resource("projects");
    let feed = |fetched, at, name: &str| {
        cut(tags, fetched, Span::Partial, vec![record(tags, 1, at, name)])
    };
    applying.apply(&feed(10, 5, "A")).await;
    applying.apply(&feed(20, 6, "B")).await;
    // A stale answer of Toggl's, and then one that had been fetched before it.
    applying.apply(&feed(40, 7, "C")).await;
    applying.apply(&feed(30, 8, "D")).await;
    applying.apply(&feed(15, 9, "E")).await;
    assert_eq!(applying.changes(tags).await, ["1 created A @10", "1 updated E @15"]);
    assert_sound(&mut applying.connection, tags).await;
}

#[tokio::test]
async fn an_emptied_table_of_which_the_stream_has_lost_the_beginning_makes_up_nothing() {
    let mut applying = Applying::start().await;
    let tags = resource("projects");
    let feed = |fetched, at, name: &str| {
        cut(tags, fetched, Span::Partial, vec![record(tags, 1, at, name)])
    };
    applying.apply(&feed(10, 5, "A")).await;
    applying.apply(&feed(20, 15, "B")).await;
    applying.apply(&feed(30, 15, "B")).await;
    let changes = ["1 created A @10", "1 updated B @20"];
    assert_eq!(applying.changes(tags).await, changes);
    empty(&mut applying.connection, tags, &["claims"]).await;
    applying.apply(&feed(30, 15, "B")).await;
    assert_eq!(applying.changes(tags).await, changes);
    assert_sound(&mut applying.connection, tags).await;
}

/// The record is larger than what Postgres keeps within the row.
#[tokio::test]
async fn a_first_load_stores_nothing_twice() {
    let mut applying = Applying::start().await;
    let tags = resource("tags");
    let rows = (1..=2_000).map(|id| {
        let one = record(tags, id, 5, "A");
        let text = String::from_utf8(one.data.to_vec()).unwrap();
        let more = text.replacen('{', &format!(r#"{{"more":"{}","#, "x".repeat(400)), 1);
        Record { data: Bytes::from(more), ..one }
    });
    applying.apply(&listing(tags, 10, rows.collect())).await;
    let [table, history]: [i64; 2] = {
        let sql = "select array[pg_table_size('raw.toggl_track__tags'),
                                pg_table_size('raw.toggl_track__history')]";
        let sizes: Vec<i64> =
            sqlx::query_scalar(sql).fetch_one(&mut applying.connection).await.unwrap();
        sizes.try_into().unwrap()
    };
    assert!(table > 500_000 && history < 20_000, "{table} {history}");
}
