//! Catalogue, migrations and fixtures agree; a resource that is added to one and not to the others
//! fails here by its name.

use std::collections::BTreeSet;
use std::path::Path;

use shared::catalogue::CATALOGUE;
use shared::resource::{Key, Resource};
use sqlx::PgConnection;
use tests::migrated::migrated_database;
use tests::servers::shared_postgres;

/// Tables that hold no resource.
const BOOKKEEPING: [&str; 12] = [
    "claims",
    "day_zones",
    "dead_letters",
    "forgotten",
    "history",
    "installation",
    "loads",
    "migrations",
    "positions",
    "touched",
    "typed_entries",
    "views",
];

const COLUMNS: [(&str, &str, &str); 10] = [
    ("source_id", "bigint", "NO"),
    ("workspace_id", "bigint", "NO"),
    ("data", "jsonb", "NO"),
    ("api_version", "text", "NO"),
    ("modified_at", "timestamp with time zone", "YES"),
    ("fetched_at", "timestamp with time zone", "NO"),
    ("synced_at", "timestamp with time zone", "NO"),
    ("deleted_at", "timestamp with time zone", "YES"),
    ("content_hash", "bigint", "NO"),
    ("valid_from", "timestamp with time zone", "NO"),
];
const ENTRY_COLUMNS: [(&str, &str, &str); 2] =
    [("started_at", "timestamp with time zone", "YES"), ("user_id", "bigint", "YES")];

pub(crate) async fn migrated() -> PgConnection {
    let postgres = shared_postgres().await.unwrap();
    let database = migrated_database().await.unwrap();
    postgres.connect(&database.name).await.unwrap()
}

async fn columns(
    connection: &mut PgConnection,
    resource: &Resource,
) -> BTreeSet<(String, String, String)> {
    let sql = "select column_name::text, data_type::text, is_nullable::text
               from information_schema.columns where table_schema = 'raw' and table_name = $1";
    let rows = sqlx::query_as(sql).bind(resource.table()).fetch_all(connection).await.unwrap();
    rows.into_iter().collect()
}

async fn primary_key(connection: &mut PgConnection, resource: &Resource) -> Vec<String> {
    let sql = "select k.column_name::text
               from information_schema.table_constraints c
               join information_schema.key_column_usage k using (constraint_schema, constraint_name)
               where c.table_schema = 'raw' and c.table_name = $1 and c.constraint_type = 'PRIMARY KEY'
               order by k.ordinal_position";
    sqlx::query_scalar(sql).bind(resource.table()).fetch_all(connection).await.unwrap()
}

#[tokio::test]
async fn every_resource_has_its_table() {
    let mut connection = migrated().await;
    for resource in CATALOGUE {
        let mut wanted = COLUMNS.to_vec();
        if resource.is_time_entry() {
            wanted.extend(ENTRY_COLUMNS);
        }
        let wanted: BTreeSet<_> = wanted
            .into_iter()
            .map(|(name, kind, null)| (name.to_owned(), kind.to_owned(), null.to_owned()))
            .collect();
        let name = resource.name;
        assert_eq!(columns(&mut connection, resource).await, wanted, "the columns of {name}");
        let key = match resource.key {
            Key::Source => vec!["source_id"],
            Key::WorkspaceAndSource => vec!["workspace_id", "source_id"],
        };
        assert_eq!(primary_key(&mut connection, resource).await, key, "the key of {name}");
    }
}

#[tokio::test]
async fn every_raw_table_belongs_to_a_resource() {
    let mut connection = migrated().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables
         where table_schema = 'raw' and table_type = 'BASE TABLE'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    for table in tables {
        let name = table.strip_prefix("toggl_track__").unwrap_or(&table);
        let known = BOOKKEEPING.contains(&name) || shared::catalogue::find(name).is_some();
        assert!(known, "{table} stands in no catalogue");
    }
}

#[test]
fn every_resource_has_its_fixture() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for resource in CATALOGUE {
        let path = fixtures.join(format!("{}.json", resource.name));
        let text = std::fs::read(&path).unwrap_or_default();
        let records: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        let first = if records.is_array() { &records[0] } else { &records };
        // A report's rows hold their entries.
        let first = first.pointer("/time_entries/0").unwrap_or(first);
        let id = resource.id_fields.iter().find_map(|field| first[*field].as_i64());
        assert!(id.is_some(), "no fixture with an id for {}", resource.name);
    }
}
