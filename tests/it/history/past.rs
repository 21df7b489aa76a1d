//! What a table held at a moment of the past.

use shared::catalogue::CATALOGUE;
use shared::listing::Span;
use shared::resource::{Key, Resource};
use sqlx::{Connection as _, Executor as _};
use tests::toggl::Account;
use tests::world::World;

use crate::expected::rows::resource;
use crate::given::batches::{WORKSPACE, cut, listing, moment, record};
use crate::history::recorded::Applying;

impl Applying {
    /// Ids and names of the rows that were live then.
    async fn as_of(&mut self, resource: &Resource, second: i64) -> Vec<(i64, String)> {
        sqlx::query_as(
            "select source_id, data->>'name'
             from raw.toggl_track__as_of($1, to_timestamp($2::bigint)) order by 1",
        )
        .bind(resource.name)
        .bind(moment(second).as_second())
        .fetch_all(&mut self.connection)
        .await
        .unwrap()
    }
}

fn named(rows: &[(i64, &str)]) -> Vec<(i64, String)> {
    rows.iter().map(|(id, name)| (*id, (*name).to_owned())).collect()
}

#[tokio::test]
async fn a_table_is_what_had_been_fetched_until_then() {
    let mut applying = Applying::start().await;
    let projects = resource("projects");
    let one = |name| record(projects, 1, 5, name);
    let two = record(projects, 2, 5, "X");
    applying.apply(&listing(projects, 10, vec![one("A")])).await;
    applying.apply(&listing(projects, 20, vec![one("B"), two.clone()])).await;
    applying.apply(&listing(projects, 30, vec![two.clone()])).await;
    applying.apply(&listing(projects, 40, vec![one("C"), two])).await;
    for (second, rows) in [
        (9, &[][..]),
        (10, &[(1, "A")]),
        (19, &[(1, "A")]),
        (20, &[(1, "B"), (2, "X")]),
        (30, &[(2, "X")]),
        (40, &[(1, "C"), (2, "X")]),
        (1_000, &[(1, "C"), (2, "X")]),
    ] {
        assert_eq!(applying.as_of(projects, second).await, named(rows), "at {second}");
    }
    assert_eq!(applying.as_of(resource("tags"), 40).await, named(&[]), "of another table");
}

#[tokio::test]
async fn a_record_that_comes_after_news_that_it_is_gone_was_there_until_that_news() {
    let mut applying = Applying::start().await;
    let tags = resource("tags");
    applying.apply(&listing(tags, 10, vec![record(tags, 1, 5, "A")])).await;
    applying.apply(&listing(tags, 50, Vec::new())).await;
    let late = vec![record(tags, 1, 25, "B"), record(tags, 2, 25, "new")];
    applying.apply(&cut(tags, 30, Span::Partial, late)).await;

    let recorded = [
        "1 created A @10",
        "1 updated B @30",
        "2 created new @30",
        "1 deleted B @50",
        "2 deleted new @50",
    ];
    assert_eq!(applying.changes(tags).await, recorded);
    assert_eq!(applying.as_of(tags, 20).await, named(&[(1, "A")]));
    assert_eq!(applying.as_of(tags, 40).await, named(&[(1, "B"), (2, "new")]));
    assert_eq!(applying.as_of(tags, 50).await, named(&[]));
    applying.assert_all_recorded(tags).await;
}

#[tokio::test]
async fn an_entry_that_was_found_elsewhere_by_a_late_batch_is_live_from_that_batch_on() {
    let mut applying = Applying::start().await;
    let entries = resource("time_entries");
    let window = |from, to| Span::Starts {
        from: moment(from),
        to: moment(to),
        user_id: Some(crate::given::batches::USER),
    };
    let mut moved = record(entries, 1, 5, "moved");
    applying.apply(&cut(entries, 10, window(0, 500), vec![moved.clone()])).await;
    applying.apply(&cut(entries, 50, window(0, 500), Vec::new())).await;
    assert_eq!(applying.as_of(entries, 60).await, named(&[]));
    moved = crate::history::recorded::with_field(&record(entries, 1, 25, "moved"), "elsewhere", 1);
    moved.started_at = Some(moment(900));
    applying.apply(&cut(entries, 30, Span::Partial, vec![moved])).await;

    let recorded = ["1 created moved @10", "1 updated moved @30"];
    assert_eq!(applying.changes(entries).await, recorded);
    for second in [10, 40, 60] {
        assert_eq!(applying.as_of(entries, second).await, named(&[(1, "moved")]), "at {second}");
    }
    applying.assert_all_recorded(entries).await;
}

#[tokio::test]
async fn a_record_of_two_workspaces_is_one_row_or_two_as_in_its_raw_table() {
    let mut applying = Applying::start().await;
    for resource in CATALOGUE {
        let here = cut(resource, 10, Span::Partial, vec![record(resource, 1, 5, "here")]);
        let mut there = cut(resource, 20, Span::Partial, vec![record(resource, 1, 15, "there")]);
        there[0].records[0].workspace_id = Some(WORKSPACE + 1);
        applying.apply(&here).await;
        applying.apply(&there).await;
        let rows: &[(i64, &str)] = match resource.key {
            Key::Source => &[(1, "there")],
            Key::WorkspaceAndSource => &[(1, "here"), (1, "there")],
        };
        let mut found = applying.as_of(resource, 30).await;
        found.sort();
        assert_eq!(found, named(rows), "{}", resource.name);
        applying.assert_all_recorded(resource).await;
    }
}

/// The question about one record must not read all of them.
#[tokio::test]
async fn one_record_is_found_by_the_index() {
    let mut applying = Applying::start().await;
    applying
        .connection
        .execute("set enable_seqscan = off; set enable_bitmapscan = off")
        .await
        .unwrap();
    for name in ["projects", "users"] {
        let sql = format!(
            "explain select * from raw.toggl_track__as_of('{name}', now()) where source_id = 17"
        );
        let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_all(&mut applying.connection)
            .await
            .unwrap();
        let superseded =
            format!("Index Cond: ((resource = '{name}'::text) AND (source_id = 17) AND");
        for condition in [superseded.as_str(), "Index Cond: (source_id = 17)"] {
            assert!(plan.iter().any(|line| line.contains(condition)), "{condition}: {plan:#?}");
        }
        assert!(!plan.iter().any(|line| line.contains("groups")), "another table: {plan:#?}");
    }
}

#[tokio::test]
async fn the_history_explains_itself() {
    let mut applying = Applying::start().await;
    let silent: Vec<String> = sqlx::query_scalar(
        "select a.attname::text from pg_attribute a
         where a.attrelid in ('raw.toggl_track__history'::regclass, 'raw.toggl_track__versions'::regclass,
                              'raw.toggl_track__changes'::regclass)
           and a.attnum > 0 and not a.attisdropped and col_description(a.attrelid, a.attnum) is null
         union all
         select relname::text from pg_class
         where relnamespace = 'raw'::regnamespace and relkind = 'v' and obj_description(oid) is null
         union all
         select p.proname from pg_proc p
         where p.pronamespace = 'raw'::regnamespace and obj_description(p.oid) is null",
    )
    .fetch_all(&mut applying.connection)
    .await
    .unwrap();
    assert_eq!(silent, [""; 0]);
}

/// Rows that were loaded before there was a history.
const OLD_ROWS: &str = "
    insert into raw.toggl_track__projects
        (source_id, workspace_id, data, api_version, fetched_at, deleted_at, content_hash)
    values (1, 7, '{\"name\": \"live\"}', 'v9', '2026-01-01', null, 0),
           (2, 7, '{\"name\": \"gone since\"}', 'v9', '2026-01-01', '2026-02-01', 0),
           (3, 7, '{\"name\": \"gone before\"}', 'v9', '2026-01-01', '2025-12-01', 0),
           (4, 7, '{\"name\": \"gone one day\"}', 'v9', '2026-01-01', '2999-01-01', 0);
    insert into raw.toggl_track__users
        (source_id, workspace_id, data, api_version, fetched_at, content_hash)
    values (1, 7, '{\"name\": \"here\"}', 'v9', '2026-01-01', 0),
           (1, 8, '{\"name\": \"there\"}', 'v9', '2026-01-01', 0);
    insert into raw.toggl_track__tags
        (source_id, workspace_id, data, api_version, fetched_at, content_hash)
    select id, 7, jsonb_build_object('name', repeat('many', 20)), 'v9', '2026-01-01', 0
    from generate_series(1, 50000) id";

#[tokio::test]
async fn rows_that_are_older_than_the_history_are_its_beginning_however_many_there_are() {
    let world = World::start_empty(Account::empty()).await.unwrap();
    let connection = world.connect().await.unwrap();
    let mut applying = Applying { connection, options: loader::apply::Options::default() };
    for sql in [
        "create schema raw",
        include_str!("../../../migrations/20261123090000_create_bookkeeping.sql"),
        include_str!("../../../migrations/20261123090100_create_raw_tables.sql"),
        include_str!("../../../migrations/20261123120000_create_more_raw_tables.sql"),
        OLD_ROWS,
        "drop table raw.toggl_track__organizations",
        // A loader's sessions end what takes long.
        "set statement_timeout = '100ms'",
    ] {
        applying.connection.execute(sql).await.unwrap();
    }
    let mut transaction = applying.connection.begin().await.unwrap();
    let history = include_str!("../../../migrations/20261123150000_create_history.sql");
    transaction.execute(history).await.unwrap();
    transaction.commit().await.unwrap();
    applying.connection.execute("set statement_timeout = 0").await.unwrap();

    for name in ["projects", "users", "tags"] {
        applying.assert_all_recorded(resource(name)).await;
    }
    let sql = "select format('%s %s %s %s', source_id, kind, data->>'name', fetched_at::date)
               from raw.toggl_track__history where resource in ('projects', 'users')
               order by resource, source_id, workspace_id, history_id";
    let changes: Vec<String> =
        sqlx::query_scalar(sql).fetch_all(&mut applying.connection).await.unwrap();
    let recorded = [
        "1 created live 2026-01-01",
        "2 created gone since 2026-01-01",
        "2 deleted gone since 2026-02-01",
        "3 deleted gone before 2026-01-01",
        "4 created gone one day 2026-01-01",
        "4 deleted gone one day 2026-01-01",
        "1 created here 2026-01-01",
        "1 created there 2026-01-01",
    ];
    assert_eq!(changes, recorded);
}
