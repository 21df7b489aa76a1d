//! How current each resource is: nothing changed and nothing arrived are told apart.

use serde_json::{Value, json};
use shared::catalogue::CATALOGUE;
use shared::listing::Span;
use shared::resource::Scope;

use crate::expected::rows::resource;
use crate::given::batches::{USER, WORKSPACE, cut, listing, moment, record};
use crate::given::running::Running;

/// The row of a resource, without what is null and without the loader's own clock.
async fn freshness(running: &mut Running, name: &str) -> Value {
    let sql = "select (to_jsonb(f) - array['last_loaded_at', 'last_changed_at', 'promised_age', 'is_promise_kept'])::text
               from staging.stg_toggl_track__freshness f where resource = $1";
    sqlx::query("set timezone = 'UTC'").execute(&mut running.connection).await.unwrap();
    let query = sqlx::query_scalar(sql).bind(name);
    let row: String = query.fetch_one(&mut running.connection).await.unwrap();
    serde_json::from_str(&row).unwrap()
}

/// How many seconds lie between the last load and the last change.
async fn quiet_for(running: &mut Running, name: &str) -> Option<f64> {
    let sql = "select extract(epoch from last_loaded_at - last_changed_at)::float8
               from staging.stg_toggl_track__freshness where resource = $1";
    sqlx::query_scalar(sql).bind(name).fetch_one(&mut running.connection).await.unwrap()
}

fn at(second: i64) -> String {
    moment(second).to_string().replace('Z', "+00:00")
}

#[tokio::test]
async fn nothing_changed_and_nothing_arrived_are_told_apart() {
    let mut running = Running::start().await;
    let tags = resource("tags");
    let one = || vec![record(tags, 1, 5, "one")];
    running.load(&listing(tags, 10, one())).await;
    let first = freshness(&mut running, "tags").await;
    let wanted = json!({"resource": "tags", "workspace_id": WORKSPACE, "last_fetched_at": at(10),
        "complete_at": at(10), "complete_from": null, "complete_to": null});
    assert_eq!(first, wanted);
    assert_eq!(quiet_for(&mut running, "tags").await, Some(0.0));

    // Nothing arrived: nothing moves.
    assert_eq!(freshness(&mut running, "tags").await, first);

    // Nothing changed: only what was seen moves.
    running.load(&listing(tags, 20, one())).await;
    let second = freshness(&mut running, "tags").await;
    assert_eq!(
        (&second["last_fetched_at"], &second["complete_at"]),
        (&json!(at(20)), &json!(at(20)))
    );
    assert!(quiet_for(&mut running, "tags").await.unwrap() > 0.0);

    // A deletion is a change.
    running.load(&listing(tags, 30, Vec::new())).await;
    assert_eq!(freshness(&mut running, "tags").await["complete_at"], json!(at(30)));
    assert_eq!(quiet_for(&mut running, "tags").await, Some(0.0));
}

#[tokio::test]
async fn a_listing_that_has_arrived_in_part_completes_nothing() {
    let mut running = Running::start().await;
    let tags = resource("tags");
    let many = |text: &str| (1..=6_000).map(|id| record(tags, id, 5, text)).collect::<Vec<_>>();
    let first = listing(tags, 10, many("A"));
    let (rest, last) = (&first[..first.len() - 1], &first[first.len() - 1..]);
    running.load(rest).await;
    let part = freshness(&mut running, "tags").await;
    assert_eq!((&part["last_fetched_at"], &part["complete_at"]), (&json!(at(10)), &json!(null)));
    running.load(last).await;
    assert_eq!(freshness(&mut running, "tags").await["complete_at"], json!(at(10)));

    let second = listing(tags, 20, many("A"));
    running.load(&second[1..]).await;
    let part = freshness(&mut running, "tags").await;
    assert_eq!((&part["last_fetched_at"], &part["complete_at"]), (&json!(at(20)), &json!(at(10))));
    running.load(&second[..1]).await;
    assert_eq!(freshness(&mut running, "tags").await["complete_at"], json!(at(20)));
}

#[tokio::test]
async fn time_entries_are_complete_for_what_is_covered_up_to_the_newest_reading() {
    let mut running = Running::start().await;
    let entries = resource("time_entries");
    let window = |from, to, user_id| Span::Starts {
        from: moment(from),
        to: moment(to),
        user_id: Some(user_id),
    };
    let wanted = |fetched, from, to| {
        json!({"resource": "time_entries", "workspace_id": 0, "last_fetched_at": at(fetched),
            "complete_at": at(fetched), "complete_from": at(from), "complete_to": at(to)})
    };
    running
        .load(&cut(entries, 8_000, window(0, 9_000, USER), vec![record(entries, 1, 5, "one")]))
        .await;
    assert_eq!(freshness(&mut running, "time_entries").await, wanted(8_000, 0, 8_000));
    // After a gap.
    running.load(&cut(entries, 9_400, window(9_200, 9_500, USER), Vec::new())).await;
    assert_eq!(freshness(&mut running, "time_entries").await, wanted(9_400, 9_200, 9_400));
    // The past, read afterwards, is not the present.
    let past = cut(entries, 9_450, window(0, 100, USER), vec![record(entries, 1, 5, "one")]);
    running.load(&past).await;
    let row = freshness(&mut running, "time_entries").await;
    assert_eq!(
        (&row["complete_from"], &row["complete_to"]),
        (&json!(at(9_200)), &json!(at(9_400)))
    );
    running.load(&cut(entries, 9_500, window(0, 9_900, USER + 1), Vec::new())).await;
    assert_eq!(freshness(&mut running, "time_entries").await, wanted(9_500, 0, 9_500));

    // The feed of changes is complete for nothing.
    running.load(&cut(entries, 9_600, Span::Partial, vec![record(entries, 1, 5, "one")])).await;
    let row = freshness(&mut running, "time_entries").await;
    let seen = (&row["last_fetched_at"], &row["complete_at"]);
    assert_eq!(seen, (&json!(at(9_600)), &json!(at(9_500))));
}

#[tokio::test]
async fn a_window_with_a_gap_counts_from_the_gap_on() {
    let mut running = Running::start().await;
    let entries = resource("time_entries");
    let span = Span::Starts { from: moment(0), to: moment(1_000_000), user_id: Some(USER) };
    let records = (1..=6_000).map(|id| record(entries, id, 5, "entry")).collect();
    let batches = cut(entries, 2_000_000, span, records);
    assert!(batches.len() >= 3, "{}", batches.len());
    let last = batches.len() - 1;
    running.load(&batches[..1]).await;
    running.load(&batches[last..]).await;
    let row = freshness(&mut running, "time_entries").await;
    assert_eq!(row["complete_to"], at(1_000_000));
    assert!(row["complete_from"].as_str().unwrap() > at(100_000).as_str(), "{row}");
    running.load(&batches[1..last]).await;
    let row = freshness(&mut running, "time_entries").await;
    assert_eq!(
        (&row["complete_from"], &row["complete_to"]),
        (&json!(at(0)), &json!(at(1_000_000)))
    );
}

#[tokio::test]
async fn every_resource_that_was_loaded_appears_once_a_workspace() {
    let mut running = Running::start().await;
    for resource in CATALOGUE {
        running.load(&listing(resource, 10, vec![record(resource, 1, 5, "one")])).await;
        running.load(&listing(resource, 20, vec![record(resource, 1, 5, "one")])).await;
    }
    let mut elsewhere = listing(resource("tags"), 30, Vec::new());
    elsewhere[0].workspace_id = WORKSPACE + 1;
    running.load(&elsewhere).await;

    let sql = "select resource, workspace_id, complete_at is not null
               from staging.stg_toggl_track__freshness order by 1, 2";
    let rows: Vec<(String, i64, bool)> =
        sqlx::query_as(sql).fetch_all(&mut running.connection).await.unwrap();
    let mut wanted: Vec<_> = CATALOGUE
        .iter()
        .map(|resource| {
            let workspace_id = if resource.scope == Scope::Account { 0 } else { WORKSPACE };
            let claims =
                !["me", "workspaces", "organizations", "inventories"].contains(&resource.name);
            (resource.name.to_owned(), workspace_id, claims)
        })
        .collect();
    wanted.push(("tags".to_owned(), WORKSPACE + 1, true));
    wanted.sort();
    assert_eq!(rows, wanted);
}
