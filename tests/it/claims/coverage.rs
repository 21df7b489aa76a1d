//! What is covered, whose, from when to when and how old: the view against a model, and what freshness
//! makes of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shared::listing::Span;
use sqlx::{Executor as _, PgConnection};
use uuid::Uuid;

use crate::expected::rows::resource;
use crate::given::batches::{USER, WORKSPACE, cut, listing, moment, record};
use crate::given::dice::Dice;
use crate::given::running::Running;
use crate::staging::staged::{Form, Staged};

/// A range that is covered: resource, workspace, user, from, to, the oldest and the newest reading; times
/// in seconds of the tests' own reckoning.
type Range = (String, i64, Option<i64>, Option<i64>, Option<i64>, i64, i64);

async fn covered(connection: &mut PgConnection) -> Vec<Range> {
    let second = |column: &str| {
        let start = moment(0).as_second();
        format!("extract(epoch from {column})::bigint - {start}")
    };
    let sql = format!(
        "select resource, workspace_id, user_id, {}, {}, {}, {} from staging.stg_toggl_track__coverage
         order by 1, 2, 3 nulls first, 4, 5",
        second("covered_from"),
        second("covered_to"),
        second("covered_as_of"),
        second("covered_newest_at")
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(connection).await.unwrap()
}

fn entries(user_id: i64, from: i64, to: i64, oldest: i64, newest: i64) -> Range {
    ("time_entries".to_owned(), 0, Some(user_id), Some(from), Some(to), oldest, newest)
}

fn window(from: i64, to: i64, user_id: i64) -> Span {
    Span::Starts { from: moment(from), to: moment(to), user_id: Some(user_id) }
}

#[tokio::test]
async fn runs_that_touch_are_one_range_and_none_reaches_into_the_future() {
    let mut running = Running::start().await;
    let resource = resource("time_entries");
    let read = |at, from, to, user_id| cut(resource, at, window(from, to, user_id), Vec::new());
    // A year, and then the last days up to tomorrow.
    running.load(&read(10_000, 0, 9_000, USER)).await;
    running.load(&read(20_000, 8_000, 99_000, USER)).await;
    let wanted = vec![entries(USER, 0, 20_000, 10_000, 20_000)];
    assert_eq!(covered(&mut running.connection).await, wanted);

    // After a pause nobody knows what was between; somebody else's reading says nothing of it.
    running.load(&read(50_000, 40_000, 99_000, USER)).await;
    running.load(&read(60_000, 10_000, 99_000, USER + 1)).await;
    let wanted = vec![
        entries(USER, 0, 20_000, 10_000, 20_000),
        entries(USER, 40_000, 50_000, 50_000, 50_000),
        entries(USER + 1, 10_000, 60_000, 60_000, 60_000),
    ];
    assert_eq!(covered(&mut running.connection).await, wanted);
    // A window that lies in the future altogether.
    running.load(&read(61_000, 98_000, 99_000, USER + 2)).await;
    assert_eq!(covered(&mut running.connection).await, wanted);
}

#[tokio::test]
async fn a_list_is_covered_once_all_of_it_has_arrived() {
    let mut running = Running::start().await;
    let tags = resource("tags");
    let many = || (1..=6_000).map(|id| record(tags, id, 5, "A")).collect();
    let batches = listing(tags, 10, many());
    let (last, first) = batches.split_last().unwrap();
    running.load(first).await;
    assert_eq!(covered(&mut running.connection).await, Vec::new());
    running.load(std::slice::from_ref(last)).await;
    let list = |oldest, newest| ("tags".to_owned(), WORKSPACE, None, None, None, oldest, newest);
    assert_eq!(covered(&mut running.connection).await, [list(10, 10)]);
    // Each part is as old as its own reading.
    let again = listing(tags, 20, many());
    running.load(&again[1..]).await;
    assert_eq!(covered(&mut running.connection).await, [list(10, 20)]);
    running.load(&again[..1]).await;
    assert_eq!(covered(&mut running.connection).await, [list(20, 20)]);
}

async fn claim(connection: &mut PgConnection, user_id: Option<i64>, claim: (i64, i64, i64)) {
    let (from, to, fetched) = claim;
    let sql = "insert into raw.toggl_track__claims
                   (resource, workspace_id, user_id, starts, fetched_at, run_id)
               values ('time_entries_report', $1, $2, tstzrange($3::text::timestamptz, $4::text::timestamptz), $5::text::timestamptz, $6)";
    let query = sqlx::query(sql).bind(WORKSPACE).bind(user_id);
    let time = |second| moment(second).to_string();
    let query = query.bind(time(from)).bind(time(to)).bind(time(fetched)).bind(Uuid::now_v7());
    query.execute(connection).await.unwrap();
}

#[tokio::test]
async fn it_names_the_people() {
    let mut staged = Staged::start().await;
    let users = resource("users");
    staged.put(users, USER, &Form::live(json!({"id": USER, "fullname": "Eva"}))).await;
    for user_id in [None, Some(USER), Some(USER + 1)] {
        claim(&mut staged.connection, user_id, (0, 5, 10)).await;
    }
    let sql =
        "select user_id, user_name from staging.stg_toggl_track__coverage order by 1 nulls first";
    let names: Vec<(Option<i64>, Option<String>)> =
        sqlx::query_as(sql).fetch_all(&mut staged.connection).await.unwrap();
    let wanted = [(None, None), (Some(USER), Some("Eva".to_owned())), (Some(USER + 1), None)];
    assert_eq!(names, wanted);
}

/// Seconds of the model.
const SECONDS: i64 = 40;

/// What the view should say: runs of seconds that some reading covers, each with the oldest and the
/// newest reading that has a part in it.
fn model(claims: &BTreeMap<Option<i64>, Vec<(i64, i64, i64)>>) -> Vec<Range> {
    let mut ranges = Vec::new();
    for (user_id, claims) in claims {
        let known = |second| {
            let covers =
                move |claim: &&(i64, i64, i64)| claim.0 <= second && second < claim.1.min(claim.2);
            claims.iter().filter(covers).map(|claim| claim.2)
        };
        let mut second = 0;
        while second < SECONDS {
            let from = second;
            let mut readings = Vec::new();
            while known(second).next().is_some() {
                readings.extend(known(second));
                second += 1;
            }
            if let (Some(oldest), Some(newest)) = (readings.iter().min(), readings.iter().max()) {
                ranges.push((
                    "time_entries_report".to_owned(),
                    WORKSPACE,
                    *user_id,
                    Some(from),
                    Some(second),
                    *oldest,
                    *newest,
                ));
            }
            second += 1;
        }
    }
    ranges
}

#[tokio::test]
async fn whatever_was_claimed_the_view_says_what_a_simple_model_does() {
    let mut staged = Staged::start().await;
    let mut dice = Dice::new();
    let mut number = |end: i64| i64::try_from(dice.below(usize::try_from(end).unwrap())).unwrap();
    for _ in 0..150 {
        staged.connection.execute("truncate raw.toggl_track__claims").await.unwrap();
        let mut claims: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for _ in 0..=number(12) {
            let user_id = [None, Some(USER), Some(USER + 1)][usize::try_from(number(3)).unwrap()];
            let from = number(SECONDS - 10);
            let one = (from, from + 1 + number(9), number(SECONDS));
            claim(&mut staged.connection, user_id, one).await;
            claims.entry(user_id).or_default().push(one);
        }
        assert_eq!(covered(&mut staged.connection).await, model(&claims), "{claims:?}");
    }
}

#[tokio::test]
async fn thousands_of_readings_are_merged_in_a_moment() {
    let mut staged = Staged::start().await;
    // No two touch, as the worst is.
    let sql = "insert into raw.toggl_track__claims (resource, workspace_id, user_id, starts, fetched_at, run_id)
        select 'time_entries', 0, person, tstzrange('2020-01-01'::timestamptz + day * interval '1 day',
            '2020-01-01'::timestamptz + day * interval '1 day' + interval '20 hours'), now(), gen_random_uuid()
        from generate_series(1, 10) person, generate_series(1, 2000) day";
    staged.connection.execute(sql).await.unwrap();
    staged.connection.execute("set statement_timeout = '60s'").await.unwrap();
    // As a loader asks.
    staged
        .connection
        .execute("set enable_seqscan = off; set enable_mergejoin = off")
        .await
        .unwrap();
    let sql = "select count(*) from staging.stg_toggl_track__coverage";
    let ranges: i64 = sqlx::query_scalar(sql).fetch_one(&mut staged.connection).await.unwrap();
    assert_eq!(ranges, 20_000);
    staged.connection.execute("select * from staging.stg_toggl_track__freshness").await.unwrap();
}

/// What freshness says of the time entries.
async fn freshness(connection: &mut PgConnection) -> Value {
    let sql = "select (to_jsonb(f))::text from staging.stg_toggl_track__freshness f";
    connection.execute("set timezone = 'UTC'").await.unwrap();
    let row: String = sqlx::query_scalar(sql).fetch_one(connection).await.unwrap();
    serde_json::from_str(&row).unwrap()
}

#[tokio::test]
async fn a_covered_year_stays_a_year_when_the_last_days_are_read_again() {
    let mut running = Running::start().await;
    let resource = resource("time_entries");
    running.load(&cut(resource, 10_000, window(0, 9_900, USER), Vec::new())).await;
    running.load(&cut(resource, 20_000, window(9_500, 99_000, USER), Vec::new())).await;
    let row = freshness(&mut running.connection).await;
    let at = |second: i64| json!(moment(second).to_string().replace('Z', "+00:00"));
    assert_eq!((&row["complete_from"], &row["complete_to"]), (&at(0), &at(20_000)));
    assert_eq!((&row["complete_at"], &row["last_fetched_at"]), (&at(10_000), &at(20_000)));
}
