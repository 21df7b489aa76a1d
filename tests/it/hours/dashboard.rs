//! The dashboard of hours: every query of it is run as Grafana would, by a role that may only read.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan as _, Zoned};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tests::toggl::Account;
use tests::world::World;

use super::ledger::{self, Piece, pieces, summed};
use super::numbers::account;
use crate::given::watched::ended;

const DASHBOARD: &str = include_str!("../../../monitoring/grafana/dashboards/hours.json");
const SOURCE: &str =
    include_str!("../../../monitoring/grafana/provisioning/datasources/postgres.yml");
const ROLES: &str = include_str!("../../../migrations/roles.sql");

/// The time at the top right of a dashboard.
#[derive(Clone, Copy)]
struct Range {
    from: Timestamp,
    to: Timestamp,
}

/// As Grafana's engine has it: a macro ends at the first bracket, and its arguments at commas.
fn expanded(sql: &str, range: Range) -> String {
    let Some((before, rest)) = sql.split_once("$__") else { return sql.to_owned() };
    let (name, rest) = rest.split_once('(').unwrap();
    let (arguments, after) = rest.split_once(')').unwrap();
    assert!(!arguments.contains('('), "Grafana cannot read {name}({arguments}");
    let arguments: Vec<&str> = arguments.split(',').map(str::trim).collect();
    let Range { from, to } = range;
    let value = match (name, arguments.as_slice()) {
        ("timeFilter", [column]) => format!("{column} BETWEEN '{from}' AND '{to}'"),
        ("timeFrom", [""]) => format!("'{from}'"),
        ("timeTo", [""]) => format!("'{to}'"),
        ("timeGroupAlias", [column, "'1d'"]) => {
            format!("floor(extract(epoch from {column})/86400)*86400 AS \"time\"")
        }
        other => panic!("{other:?}"),
    };
    format!("{before}{value}{}", expanded(after, range))
}

/// Whoever is in the role of Grafana.
async fn reader(world: &World) -> PgConnection {
    let mut connection = world.connect().await.unwrap();
    sqlx::raw_sql(ROLES).execute(&mut connection).await.unwrap();
    let role = format!("grafana_{}", world.database.name);
    let sql = format!(
        "create role {role}; grant toggl_track_analyst to {role}; set role {role};
                       set default_transaction_read_only = on"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection
}

/// The variables with all their values, quoted as Grafana does it.
async fn variables(
    connection: &mut PgConnection,
    dashboard: &Value,
    range: Range,
) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let sql = expanded(variable["query"].as_str().unwrap(), range);
        let names: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut *connection).await.unwrap();
        assert!(names.len() >= 4, "{names:?}");
        let quoted: Vec<String> =
            names.iter().map(|name| format!("'{}'", name.replace('\'', "''"))).collect();
        values.insert(variable["name"].as_str().unwrap().to_owned(), quoted.join(","));
    }
    values
}

/// A panel's rows as objects, in order.
async fn shown(
    connection: &mut PgConnection,
    panel: &Value,
    range: Range,
    values: &BTreeMap<String, String>,
) -> Vec<Value> {
    let target = &panel["targets"][0];
    let mut sql = target["rawSql"].as_str().unwrap().to_owned();
    for (name, value) in values {
        sql = sql.replace(&format!("${name}"), value);
    }
    let sql = expanded(&sql, range);
    assert!(!sql.contains('$'), "{sql}");
    let rows =
        sqlx::query(AssertSqlSafe(format!("select to_jsonb(shown)::text from ({sql}) shown")));
    let rows = rows
        .fetch_all(&mut *connection)
        .await
        .unwrap_or_else(|error| panic!("{}: {error}\n{sql}", panel["title"]));
    let rows: Vec<Value> =
        rows.iter().map(|row| serde_json::from_str(&row.get::<String, _>(0)).unwrap()).collect();
    if target["format"] == "time_series" {
        let times: Vec<String> = rows.iter().map(|row| row["time"].to_string()).collect();
        assert!(times.is_sorted() && rows.iter().all(|row| row["metric"].is_string()), "{rows:?}");
    }
    rows
}

fn hours(rows: &[Value]) -> f64 {
    rows.iter().map(|row| row["hours"].as_f64().unwrap()).sum()
}

/// The rows of every panel by its title; each asks a data source that is there.
async fn all_shown(
    connection: &mut PgConnection,
    dashboard: &Value,
    range: Range,
    values: &BTreeMap<String, String>,
) -> BTreeMap<String, Vec<Value>> {
    let mut panels = BTreeMap::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let source = &panel["datasource"];
        assert_eq!(*source, panel["targets"][0]["datasource"]);
        for field in ["uid", "type"] {
            assert!(SOURCE.contains(&format!("{field}: {}\n", source[field].as_str().unwrap())));
        }
        let rows = shown(connection, panel, range, values).await;
        panels.insert(panel["title"].as_str().unwrap().to_owned(), rows);
    }
    panels
}

/// Working days without an entry, from each person's first day on.
fn assert_gaps(rows: &[Value], meant: &[Piece], range: Range) {
    let worked = summed(meant, &["user", "day"]);
    for row in rows {
        let person = row["person"].as_str().unwrap();
        let days = worked.keys().filter(|key| key[0].as_deref() == Some(person));
        let days: Vec<jiff::civil::Date> =
            days.map(|key| key[1].as_ref().unwrap().parse().unwrap()).collect();
        let first = *days.iter().min().unwrap();
        let until = range.to.to_zoned(jiff::tz::TimeZone::UTC).date();
        let gaps = first.series(1.day()).take_while(|day| *day < until);
        let gaps =
            gaps.filter(|day| day.weekday().to_monday_one_offset() < 6 && !days.contains(day));
        assert_eq!(row["days"], gaps.count(), "{row}");
    }
    // One who works no Fridays is always there.
    assert!(rows.iter().filter(|row| row["person"] == "Ben Carter").count() == 1);
}

async fn proven(account: Account) -> World {
    let world = World::start(account).await.unwrap();
    world.sync(&["--days", "42", "--team", "42"]).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    let from = (Zoned::now().date() - 38.days()).to_string();
    let verify = world.fetcher(&["verify", "--from", &from, "--wait=90s"]);
    ended(verify.env("DATABASE_URL", &world.database.url), 0).await;
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
    world
}

#[tokio::test]
async fn every_panel_shows_what_the_model_says_to_a_role_that_may_only_read() {
    let account = account();
    let world = proven(account.clone()).await;
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    // Whole days in Berlin, where everybody is.
    let today = Zoned::now().date();
    let day = |days: i64| (today - days.days()).in_tz("Europe/Berlin").unwrap().timestamp();
    let range = Range { from: day(28), to: day(1) };
    let meant: Vec<Piece> = pieces(&account, "Europe/Berlin")
        .into_iter()
        .filter(|piece| piece.day >= today - 28.days() && piece.day < today - 1.days())
        .collect();
    let total = summed(&meant, &[])[&Vec::new()];
    let (all, billable) = (ledger::hours(total.0), ledger::hours(total.1));

    let mut reader = reader(&world).await;
    let values = variables(&mut reader, &dashboard, range).await;
    let panels = all_shown(&mut reader, &dashboard, range, &values).await;
    for title in [
        "Hours",
        "Hours by week and project",
        "Hours by day and person",
        "Billable share",
        "People",
        "Clients and projects",
    ] {
        if panels[title][0].get("hours").is_some() {
            let difference = hours(&panels[title]) - all;
            assert!(difference.abs() < 0.01, "{title}: {difference}");
        }
    }
    let share = panels["Billable"][0]["billable"].as_f64().unwrap();
    assert!((share - 100.0 * billable / all).abs() < 0.01, "{share}");
    assert_eq!(panels["Proof"][0]["verdict"], "equal");
    assert!(panels["Toggl was last asked"][0]["age"].as_f64().unwrap() < 3600.0);
    assert!(panels["How fresh"].len() >= 5, "{:?}", panels["How fresh"]);
    assert_gaps(&panels["Gaps: working days without an entry"], &meant, range);
    reader.close().await.unwrap();
}

#[tokio::test]
async fn a_running_timer_is_shown_with_whose_it_is() {
    let world = World::start(Account::agency(5, Timestamp::now())).await.unwrap();
    world.sync_and_load(&["--days", "6"]).await.unwrap();
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let range = Range {
        from: Timestamp::now() - jiff::SignedDuration::from_hours(24),
        to: Timestamp::now(),
    };
    let mut reader = reader(&world).await;
    let none = BTreeMap::new();
    let panel = |title: &str| {
        dashboard["panels"]
            .as_array()
            .unwrap()
            .iter()
            .find(|panel| panel["title"] == title)
            .unwrap()
    };
    let running = shown(&mut reader, panel("Running now"), range, &none).await;
    assert_eq!(running.len(), 1, "{running:?}");
    assert_eq!(running[0]["person"], "Nora Lindqvist");
    assert_eq!(running[0]["project"], "Online shop");
    let hours = running[0]["hours"].as_f64().unwrap();
    assert!((0.6..2.0).contains(&hours), "{hours}");
    assert_eq!(shown(&mut reader, panel("Running timers"), range, &none).await[0]["running"], 1);
    assert_eq!(shown(&mut reader, panel("Proof"), range, &none).await[0]["verdict"], "never asked");
}
