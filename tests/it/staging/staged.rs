//! A database with all tables and views, rows put into the one by hand and read from the other.

use serde_json::{Map, Value, json};
use shared::resource::Resource;
use sqlx::{AssertSqlSafe, PgConnection};
use tests::servers::shared_postgres;

use crate::given::batches::{WORKSPACE, moment};
use crate::tables::catalogue::migrated;

/// A row of a raw table; the times are seconds of the tests' own reckoning.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(crate) data: Value,
    pub(crate) modified: Option<i64>,
    pub(crate) fetched: i64,
    pub(crate) deleted: Option<i64>,
}

impl Form {
    /// A live row, last changed at 5 and fetched at 10.
    pub(crate) fn live(data: Value) -> Self {
        Self { data, modified: Some(5), fetched: 10, deleted: None }
    }
}

/// The database, with times shown in UTC.
pub(crate) struct Staged {
    pub(crate) connection: PgConnection,
}

impl Staged {
    pub(crate) async fn start() -> Self {
        let mut connection = migrated().await;
        sqlx::query("set timezone = 'UTC'").execute(&mut connection).await.unwrap();
        Self { connection }
    }

    /// Puts a row into a raw table as a loader would, in place of an earlier one. The columns of
    /// starts and users are left empty, so that the views have to look into the JSON.
    pub(crate) async fn put(&mut self, resource: &Resource, id: i64, form: &Form) {
        let table = resource.table();
        let delete = format!("delete from raw.{table} where source_id = $1");
        let insert = format!(
            "insert into raw.{table} (source_id, workspace_id, data, api_version, modified_at,
                                      fetched_at, deleted_at, content_hash)
             values ($1, $2, $3::jsonb, $4, to_timestamp($5::bigint),
                     to_timestamp($6::bigint), to_timestamp($7::bigint), 0)"
        );
        sqlx::query(AssertSqlSafe(delete)).bind(id).execute(&mut self.connection).await.unwrap();
        let second = |second: i64| moment(second).as_second();
        sqlx::query(AssertSqlSafe(insert))
            .bind(id)
            .bind(WORKSPACE)
            .bind(form.data.to_string())
            .bind(resource.api.version())
            .bind(form.modified.map(second))
            .bind(second(form.fetched))
            .bind(form.deleted.map(second))
            .execute(&mut self.connection)
            .await
            .unwrap();
    }

    /// All rows of a view in the order of their first column, without what is null and without
    /// when they were read and written.
    pub(crate) async fn rows(&mut self, view: &str) -> Vec<Value> {
        let sql = format!(
            "select (to_jsonb(v) - array['modified_at', 'fetched_at', 'synced_at'])::text
             from staging.stg_toggl_track__{view} v order by 1"
        );
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(&*sql)).fetch_all(&mut self.connection).await.unwrap();
        settle(&mut self.connection).await;
        let copied: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut self.connection).await.unwrap();
        assert_eq!(rows, copied, "{view}: read from the raw tables, and from the copy");
        rows.iter().map(|row| without_nulls(row)).collect()
    }

    /// The one row of a view, with what is null.
    pub(crate) async fn whole_row(&mut self, view: &str) -> Value {
        let sql = format!("select to_jsonb(v)::text from staging.stg_toggl_track__{view} v");
        let row: String =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.connection).await.unwrap();
        serde_json::from_str(&row).unwrap()
    }

    /// What a view makes of one record.
    pub(crate) async fn typed(&mut self, resource: &Resource, data: Value) -> Value {
        self.put(resource, 1, &Form::live(data)).await;
        let mut rows = self.rows(resource.name).await;
        assert_eq!(rows.len(), 1, "{}: {rows:?}", resource.name);
        rows.remove(0)
    }

    /// One value that SQL makes of a text.
    pub(crate) async fn cast(&mut self, function: &str, text: &str) -> Option<String> {
        let sql = format!("select staging.{function}($1)::text");
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(text);
        query.fetch_one(&mut self.connection).await.unwrap()
    }

    /// Another session in the same database.
    pub(crate) async fn another_session(&mut self) -> PgConnection {
        let database: String = sqlx::query_scalar("select current_database()")
            .fetch_one(&mut self.connection)
            .await
            .unwrap();
        shared_postgres().await.unwrap().connect(&database).await.unwrap()
    }
}

/// Brings the copy of the time entries up to date, as loaders do now and then.
pub(crate) async fn settle(connection: &mut PgConnection) {
    let settle = "select raw.toggl_track__settle('0')";
    while sqlx::query_scalar::<_, i64>(settle).fetch_one(&mut *connection).await.unwrap() > 0 {}
}

fn without_nulls(row: &str) -> Value {
    let row: Map<String, Value> = serde_json::from_str(row).unwrap();
    row.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into()
}

/// An object with these fields changed; `"absent"` removes one.
pub(crate) fn with(object: &Value, changes: &Value) -> Value {
    let mut object = object.clone();
    for (name, value) in changes.as_object().unwrap() {
        object[name] = value.clone();
    }
    object.as_object_mut().unwrap().retain(|_, value| *value != json!("absent"));
    object
}
