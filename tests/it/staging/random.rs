//! Whatever a field holds, no view raises an error.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use shared::catalogue::CATALOGUE;
use shared::resource::Resource;
use sqlx::AssertSqlSafe;
use tokio::runtime::Runtime;

use crate::staging::staged::{Staged, settle};

/// JSON texts that a plain cast would stumble over, and some that are well.
const ODD: [&str; 44] = [
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1.5",
    "3600.0",
    "-0.0",
    "1e3",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "999999999999999",
    "1000000000000000",
    "1e400",
    "1e-400",
    "0.1234567890123456789",
    "\"\"",
    "\" \"",
    "\"abc\"",
    "\"12\"",
    "\"-\"",
    "\"1.\"",
    "\"٣٤\"",
    "\"1 \"",
    "\"NaN\"",
    "\"Infinity\"",
    "\"12\\n\"",
    "\"2024-12-16\"",
    "\"2024-02-30\"",
    "\"2024-12-16T18:07:05.694469Z\"",
    "\"2024-12-16T18:07:05+00:00\"",
    "\"2024-02-30T18:07:05Z\"",
    "\"2024-12-16T18:07:05\"",
    "\"2024-12-16T25:07:05Z\"",
    "\"٢٠٢٤-12-16T18:07:05Z\"",
    "\"0001-01-01T00:00:00Z\"",
    "\"9999-12-31T23:59:60-15:59\"",
    "\"infinity\"",
    "[]",
    "{}",
    "[null, 1, \"a\", [], {}, 1e400]",
    "[[1]]",
    "{\"id\": [1]}",
];

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(ODD.to_vec()).prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => "[-0-9T:.Z+ ]{0,30}".prop_map(|text| format!("{text:?}")),
        1 => "[0-9]{4}-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9})?(Z|[+-][0-2][0-9]:[0-6][0-9])"
            .prop_map(|text| format!("{text:?}")),
    ]
}

/// Any of these, or a list or an object of them; `fields` are the keys that the views look for.
fn value(fields: Vec<String>) -> impl Strategy<Value = String> {
    let list = proptest::collection::vec(scalar(), 0..4);
    prop_oneof![
        6 => scalar(),
        1 => list.prop_map(|list| format!("[{}]", list.join(","))),
        1 => object(fields.clone(), scalar().boxed(), 6),
        1 => proptest::collection::vec(object(fields, scalar().boxed(), 4), 0..4)
            .prop_map(|list| format!("[{}]", list.join(","))),
    ]
}

fn object(
    fields: Vec<String>,
    value: BoxedStrategy<String>,
    most: usize,
) -> impl Strategy<Value = String> {
    proptest::collection::vec((select(fields), value), 0..=most).prop_map(|pairs| {
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| format!("{name:?}: {value}")).collect();
        format!("{{{}}}", pairs.join(","))
    })
}

/// A record with each field there or not, rarely something that is no object at all.
fn record(fields: &[String]) -> impl Strategy<Value = String> {
    let any_field = value(fields.to_vec()).boxed();
    let names = fields.to_vec();
    let values =
        proptest::collection::vec(proptest::option::weighted(0.8, any_field), fields.len());
    let object = values.prop_map(move |values| {
        let there =
            names.iter().zip(&values).filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let pairs: Vec<_> = there.map(|(name, value)| format!("{name:?}: {value}")).collect();
        format!("{{{}}}", pairs.join(","))
    });
    prop_oneof![20 => object, 1 => scalar()]
}

/// The keys that a view looks for in the JSON.
async fn fields(staged: &mut Staged, resource: &Resource) -> Vec<String> {
    let sql = "select distinct found[1]
               from unnest(array['staging.stg_toggl_track__' || $1, 'raw.toggl_track__touched_entries'])
                        with ordinality as view (name, place),
                    pg_get_viewdef(to_regclass(name)) as definition,
                    regexp_matches(definition, '->>? ''([^'']+)''', 'g') as found
               where place = 1 or $1 = 'time_entries'";
    let query = sqlx::query_scalar(sql).bind(resource.name);
    let mut fields: Vec<String> = query.fetch_all(&mut staged.connection).await.unwrap();
    // The function that divides amounts looks for it.
    fields.push("seconds".to_owned());
    fields
}

/// Puts the records in place of what was there.
async fn put(staged: &mut Staged, resource: &Resource, records: &[String]) {
    let table = resource.table();
    let truncate = sqlx::query(AssertSqlSafe(format!("truncate raw.{table}")));
    truncate.execute(&mut staged.connection).await.unwrap();
    let sql = format!(
        "insert into raw.{table} (source_id, workspace_id, data, api_version, fetched_at, content_hash)
         select place, 1, data::jsonb, '', now() - random() * interval '1 day', 0
         from unnest($1::text[]) with ordinality as t(data, place)"
    );
    let insert = sqlx::query(AssertSqlSafe(sql)).bind(records);
    insert.execute(&mut staged.connection).await.unwrap();
}

/// How many rows a view shows, having reckoned all their columns.
async fn count(staged: &mut Staged, name: &str) -> Result<i64, String> {
    let sql = format!("select count(to_jsonb(v)::text) from staging.stg_toggl_track__{name} v");
    let query = sqlx::query_scalar(AssertSqlSafe(&*sql));
    let shown = query.fetch_one(&mut staged.connection).await.map_err(|error| error.to_string())?;
    settle(&mut staged.connection).await;
    let copied = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut staged.connection).await;
    let copied: i64 = copied.map_err(|error| error.to_string())?;
    if shown == copied { Ok(shown) } else { Err(format!("{copied} of {shown} are in the copy")) }
}

#[test]
fn no_json_makes_a_view_raise_an_error_or_lose_a_row() {
    let runtime = Runtime::new().unwrap();
    let staged = RefCell::new(runtime.block_on(Staged::start()));
    for resource in CATALOGUE {
        let fields = runtime.block_on(fields(&mut staged.borrow_mut(), resource));
        assert!(fields.len() > 2, "{}: {fields:?}", resource.name);
        let records = proptest::collection::vec(record(&fields), 30);
        let config = Config {
            cases: 8,
            max_shrink_iters: 100,
            failure_persistence: None,
            ..Config::default()
        };
        let outcome = TestRunner::new(config).run(&records, |records| {
            let mut staged = staged.borrow_mut();
            runtime.block_on(put(&mut staged, resource, &records));
            let shown = runtime.block_on(count(&mut staged, resource.name));
            if resource.name == "inventories" {
                // What names no people is a part of one, and what is compared with them shows nothing.
                prop_assert!(shown.is_ok(), "{shown:?}");
                let verified = runtime.block_on(count(&mut staged, "verification"));
                prop_assert!(verified.is_ok(), "{verified:?}");
                return Ok(());
            }
            prop_assert_eq!(shown, Ok(30));
            if resource.is_time_entry() {
                for view in ["wide_entries", "daily_entries", "rounded_entries"] {
                    let shown = runtime.block_on(count(&mut staged, view));
                    prop_assert!(
                        shown.as_ref().is_ok_and(|count| *count >= 30),
                        "{view}: {shown:?}"
                    );
                }
            }
            if resource.name == "time_entries_report" {
                // The rows of the resource before stand under the same ids.
                prop_assert_eq!(runtime.block_on(count(&mut staged, "time_entries")), Ok(30));
            }
            Ok::<_, TestCaseError>(())
        });
        outcome.unwrap_or_else(|failure| panic!("{}: {failure}", resource.name));
    }
}

#[tokio::test]
async fn an_inventory_whose_days_are_the_wrong_way_round_breaks_no_verdict() {
    let mut staged = Staged::start().await;
    let inventories = shared::catalogue::find("inventories").unwrap();
    let of_days = |id: i64, from: &str, to: &str| {
        format!(
            r#"{{"inventory_id": {id}, "from": "{from}", "to": "{to}", "users": [{{"rows": 1}}], "is_admin": true}}"#
        )
    };
    let records = [
        of_days(1, "2026-02-01", "2026-01-01"),
        of_days(2, "2026-03-01", "2025-12-01"),
        of_days(3, "2025-01-01", "2026-12-31"),
    ];
    put(&mut staged, inventories, &records).await;
    for view in ["inventories", "verified_sums", "verification"] {
        let shown = count(&mut staged, view).await;
        assert!(shown.is_ok(), "{view}: {shown:?}");
    }
}
