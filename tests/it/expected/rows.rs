//! What must stand in the raw tables after a sync, reckoned from the simulated account alone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use shared::catalogue::{self, CATALOGUE};
use shared::resource::{Key, Resource};
use sqlx::PgConnection;
use tests::rows::{RawRow, raw_rows};
use tests::toggl::{Account, List};
use tests::world::World;

/// The catalogue row of that name.
pub(crate) fn resource(name: &str) -> &'static Resource {
    catalogue::find(name).unwrap()
}

/// The texts that Toggl holds for a resource, deleted entries too, which the feed of changes shows.
pub(crate) fn texts(account: &Account, resource: &Resource) -> Vec<String> {
    match resource.name {
        "me" => vec![account.me().to_owned()],
        "workspaces" => account.workspaces().iter().map(|w| w.text().to_owned()).collect(),
        "organizations" => account.organizations().iter().map(|o| o.text().to_owned()).collect(),
        "time_entries" => account.time_entries().map(|entry| entry.text().to_owned()).collect(),
        name => {
            let list = List::named(name).unwrap_or_else(|| {
                panic!("say in expected/rows.rs where the simulator keeps {name}")
            });
            let records = account.records(list, account.workspace_id());
            records.iter().map(|record| record.text().to_owned()).collect()
        }
    }
}

/// Compares every raw table with what the account holds: each record once, nothing else.
pub(crate) async fn assert_tables_hold(world: &World) {
    let account = world.toggl.with_account(|account| account.clone());
    let mut connection = world.connect().await.unwrap();
    for resource in CATALOGUE.iter().filter(|r| r.by_default) {
        assert_table_holds(&mut connection, &account, resource).await;
    }
}

/// The same for one table.
pub(crate) async fn assert_table_holds(
    connection: &mut PgConnection,
    account: &Account,
    resource: &Resource,
) {
    let rows = raw_rows(connection, resource).await.unwrap();
    let texts = texts(account, resource);
    let expected: BTreeMap<i64, Value> = texts.iter().map(|text| parse(resource, text)).collect();
    assert_eq!(expected.len(), texts.len(), "{}: the account holds an id twice", resource.name);
    let (ids, wanted): (Vec<_>, Vec<_>) = (rows.keys().collect(), expected.keys().collect());
    assert_eq!(ids, wanted, "ids of {}", resource.table());
    for (id, record) in &expected {
        assert_row(account, resource, &rows[id], record);
    }
}

fn parse(resource: &Resource, text: &str) -> (i64, Value) {
    let record: Value = serde_json::from_str(text).unwrap();
    let id = resource.id_fields.iter().find_map(|field| record[*field].as_i64()).unwrap();
    (id, record)
}

fn assert_row(account: &Account, resource: &Resource, row: &RawRow, record: &Value) {
    let name = format!("{} {record}", resource.name);
    let mut data = record.clone();
    let fields = data.as_object_mut().unwrap();
    let sent = fields.len();
    fields.retain(|field, _| !shared::secrets::is_secret(field));
    assert_eq!(
        fields.len() < sent,
        resource.holds_secrets,
        "{name}: without a secret the test shows nothing"
    );
    assert_eq!(row.data, data, "{name}");
    assert_eq!(row.api_version, "v9", "{name}");

    let workspace_id = match resource.name {
        "me" | "workspaces" | "organizations" => 0,
        "time_entries" => record["workspace_id"].as_i64().unwrap(),
        _ => account.workspace_id(),
    };
    assert_eq!(row.workspace_id, workspace_id, "{name}");
    assert!(resource.key == Key::Source || row.workspace_id != 0, "{name}");

    // Spelled out rather than taken from the catalogue, which might be what is wrong.
    let deleted = if resource.name == "tags" { "deleted_at" } else { "server_deleted_at" };
    assert_eq!(time(row.modified_at.as_deref()), time(record["at"].as_str()), "{name}");
    assert_eq!(time(row.deleted_at.as_deref()), time(record[deleted].as_str()), "{name}");
    let is_entry = resource.name == "time_entries";
    let start = record["start"].as_str().filter(|_| is_entry);
    assert_eq!(time(row.started_at.as_deref()), time(start), "{name}");
    let user = record["user_id"].as_i64().filter(|_| is_entry);
    assert_eq!(row.user_id, user, "{name}");
}

/// A time as Toggl or Postgres spells it, in microseconds, which is as fine as Postgres keeps it.
fn time(text: Option<&str>) -> Option<i64> {
    let parse = |text: &str| text.parse::<Timestamp>().unwrap_or_else(|e| panic!("{text}: {e}"));
    text.map(|text| parse(text).as_microsecond())
}
