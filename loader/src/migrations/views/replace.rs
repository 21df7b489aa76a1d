//! Replacing one view, in the transaction of whoever calls.

use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use super::{SCHEMAS, VIEWS, View};

/// `create or replace view` adds columns at the end and nothing else: what Postgres says of all others.
const INVALID_TABLE_DEFINITION: &str = "42P16";

/// Gives a view its present text. Where Postgres cannot replace it, as with a column in the middle, the view
/// is dropped and made anew, and with it those of ours that read it; who could read them still can.
///
/// Returns all that were made.
pub(super) async fn replace(
    connection: &mut PgConnection,
    view: &'static View,
) -> sqlx::Result<Vec<&'static View>> {
    let options = options(connection, &[view]).await?;
    let mut attempt = connection.begin().await?;
    match sqlx::raw_sql(view.text).execute(&mut *attempt).await {
        Ok(_) => {
            attempt.commit().await?;
            run(connection, options).await?;
            Ok(vec![view])
        }
        Err(error) if code(&error).as_deref() == Some(INVALID_TABLE_DEFINITION) => {
            attempt.rollback().await?;
            make_anew(connection, view).await
        }
        Err(error) => Err(error),
    }
}

/// The SQLSTATE of what Postgres says.
fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(DatabaseError::code).map(Into::into)
}

async fn make_anew(
    connection: &mut PgConnection,
    view: &'static View,
) -> sqlx::Result<Vec<&'static View>> {
    let views = with_readers(connection, view).await?;
    let options = options(connection, &views).await?;
    let grants = grants(connection, &views).await?;
    let names: Vec<String> = views.iter().map(|view| view.path()).collect();
    run(connection, vec![format!("drop view {}", names.join(", "))]).await?;
    for view in &views {
        sqlx::raw_sql(view.text).execute(&mut *connection).await?;
    }
    let defaults = revocations(connection, &views).await?;
    for statements in [defaults, grants, options] {
        run(connection, statements).await?;
    }
    Ok(views)
}

/// A view and those of ours that read it, however far away, in the order in which they are made.
async fn with_readers(
    connection: &mut PgConnection,
    view: &View,
) -> sqlx::Result<Vec<&'static View>> {
    let names: Vec<String> = sqlx::query_scalar(
        "with recursive reader (oid) as (
             select format('%I.%I', $1, $2)::regclass::oid
             union
             select rule.ev_class
             from reader
             join pg_depend on refclassid = 'pg_class'::regclass and refobjid = reader.oid
                 and classid = 'pg_rewrite'::regclass
             join pg_rewrite rule on rule.oid = objid
         )
         select relname::text from reader join pg_class using (oid)
         where relnamespace = any($3::regnamespace[])",
    )
    .bind(view.schema)
    .bind(view.name)
    .bind(SCHEMAS)
    .fetch_all(connection)
    .await?;
    Ok(VIEWS.iter().filter(|view| names.iter().any(|name| name == view.name)).collect())
}

/// The statements that give views the options again that somebody set, such as `security_invoker`.
async fn options(
    connection: &mut PgConnection,
    views: &[&'static View],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select format('alter view %I.%I set (%s)', nspname, relname, array_to_string(reloptions, ', '))
         from pg_class c join pg_namespace n on n.oid = relnamespace
         where nspname = any($1) and relname = any($2) and reloptions <> '{}'",
    )
    .bind(SCHEMAS)
    .bind(names(views))
    .fetch_all(connection)
    .await
}

/// The statements that give everybody the rights again that they have now, to views and to single columns as
/// far as there are such columns then.
async fn grants(
    connection: &mut PgConnection,
    views: &[&'static View],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select format('do %L', format(
                    'begin grant %s%s on %I.%I to %s%s; exception when undefined_column then null; end',
                    privilege_type, columns, nspname, relname,
                    case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
                    case when is_grantable then ' with grant option' end))
         from (
             select relnamespace, relname, relowner, '' as columns, relacl as acl from pg_class
             union all
             select relnamespace, relname, relowner, format(' (%I)', attname), attacl
             from pg_class join pg_attribute on attrelid = pg_class.oid
         ) granted
         join pg_namespace n on n.oid = relnamespace
         cross join lateral aclexplode(acl)
         where nspname = any($1) and relname = any($2) and grantee <> relowner",
    )
    .bind(SCHEMAS)
    .bind(names(views))
    .fetch_all(connection)
    .await
}

/// The statements that take what default privileges gave, for somebody may have taken it from the former view.
async fn revocations(
    connection: &mut PgConnection,
    views: &[&'static View],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select distinct format('revoke all on %I.%I from %s', nspname, relname,
                       case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end)
         from pg_class c join pg_namespace n on n.oid = relnamespace
         cross join lateral aclexplode(relacl)
         where nspname = any($1) and relname = any($2) and grantee <> relowner",
    )
    .bind(SCHEMAS)
    .bind(names(views))
    .fetch_all(connection)
    .await
}

fn names(views: &[&'static View]) -> Vec<&'static str> {
    views.iter().map(|view| view.name).collect()
}

/// Runs statements that are made of names which Postgres has quoted.
async fn run(connection: &mut PgConnection, statements: Vec<String>) -> sqlx::Result<()> {
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    Ok(())
}
