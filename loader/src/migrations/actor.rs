//! The role that migrates: whoever starts a migration, what it makes belongs to those that load.

use std::collections::BTreeSet;

use sqlx::{FromRow, PgConnection};

use super::MigrationError;
use super::made::{Made, What};
use super::rights::LOADER_ROLE;

/// By which role the migrations are applied; all names as SQL writes them.
#[derive(Debug, FromRow)]
struct Actor {
    role: String,
    user: String,
    database: String,
    /// Whether this session has the role's rights, and may become it.
    is_granted: bool,
}

/// The owner of the tables that are there; else the loader's role, if it has what it needs in this
/// database; else whoever is logged in. Never the owner of the schema, who may be another tool.
///
/// What is looked up here is what a migration needs: usage and create on both schemas, or on the
/// database where one is missing.
const ACTOR: &str = "
    coalesce(
        (select relowner from pg_class c join pg_namespace n on n.oid = relnamespace
         where nspname = 'raw' and relname = 'toggl_track__migrations'),
        (select r.oid from pg_roles r
         where rolname = $1 and pg_has_role(r.oid, 'usage')
             and (select bool_and(case
                      when n.oid is null then has_database_privilege(r.oid, current_database(), 'create')
                      else has_schema_privilege(r.oid, n.oid, 'usage')
                          and has_schema_privilege(r.oid, n.oid, 'create')
                  end)
                  from unnest('{raw,staging}'::text[]) wanted left join pg_namespace n on nspname = wanted)),
        (select oid from pg_roles where rolname = current_user))";

/// Becomes that role. True if it is another one than this session's.
pub(super) async fn become_actor(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let become_it = format!(
        "select set_config('role', rolname, false) from pg_roles
         where oid = {ACTOR} and rolname <> current_user"
    );
    let role: Option<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(become_it))
        .bind(LOADER_ROLE)
        .fetch_optional(connection)
        .await?;
    Ok(role.is_some())
}

/// Looks whether that role can migrate and this session become it.
pub(super) async fn check(
    connection: &mut PgConnection,
    made: &BTreeSet<Made>,
) -> Result<(), MigrationError> {
    let who = format!(
        "select quote_ident(rolname) as role, quote_ident(current_user) as user,
                quote_ident(current_database()) as database,
                pg_has_role(oid, 'usage') and case
                    when current_setting('server_version_num')::int >= 160000 then pg_has_role(oid, 'set')
                    else true
                end as is_granted
         from pg_roles where oid = {ACTOR}"
    );
    let actor: Actor = sqlx::query_as(sqlx::AssertSqlSafe(who))
        .bind(LOADER_ROLE)
        .fetch_one(&mut *connection)
        .await?;
    let Actor { role, user, database, is_granted } = &actor;
    if !is_granted {
        return Err(MigrationError::Forbidden(format!(
            "the tables are not up to date, and belong to {role}, while this is {user}: log in as {role}, \
             or run `loader setup` as an administrator, who makes them {role}'s"
        )));
    }
    if let Some((schema, owner)) = closed_schema(connection).await? {
        return Err(MigrationError::Forbidden(match owner {
            None => format!(
                "the tables are not up to date, and {role} may not make the schema {schema}: run \
                 `loader setup` as an administrator, or let the owner of the database run: grant \
                 create on database {database} to {role}"
            ),
            Some(owner) => format!(
                "the tables are not up to date, and {role} may not make anything in the schema {schema}, \
                 which belongs to {owner}: let {owner} run: grant usage, create on schema {schema} to \
                 {role}; or run `migrations/roles.sql` and `loader setup` as an administrator"
            ),
        }));
    }
    match foreign(connection, made).await?.as_slice() {
        [] => Ok(()),
        [(name, owner), more @ ..] => Err(MigrationError::Forbidden(format!(
            "the tables are not up to date, and {name}{} belongs to {owner}, not to {role} as the others \
             do: run `migrations/roles.sql` as an administrator, or let {owner} run: alter table {name} \
             owner to {role}",
            if more.is_empty() { String::new() } else { format!(" with {} more", more.len()) }
        ))),
    }
}

/// A schema in which that role may not do what migrations do, with its owner if there is one.
async fn closed_schema(
    connection: &mut PgConnection,
) -> sqlx::Result<Option<(String, Option<String>)>> {
    let closed = format!(
        "select wanted, quote_ident(pg_get_userbyid(nspowner))
         from pg_roles r cross join unnest('{{raw,staging}}'::text[]) wanted
         left join pg_namespace n on nspname = wanted
         where r.oid = {ACTOR} and not case
             when n.oid is null then has_database_privilege(r.oid, current_database(), 'create')
             else has_schema_privilege(r.oid, n.oid, 'usage') and has_schema_privilege(r.oid, n.oid, 'create')
         end
         order by wanted limit 1"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(closed)).bind(LOADER_ROLE).fetch_optional(connection).await
}

/// Relations that migrations have made and that belong to others, whom alone Postgres lets change them.
async fn foreign(
    connection: &mut PgConnection,
    made: &BTreeSet<Made>,
) -> sqlx::Result<Vec<(String, String)>> {
    let (mut schemas, mut names) = (Vec::new(), Vec::new());
    for made in made.iter().filter(|made| matches!(made.what, What::Table | What::View)) {
        schemas.push(made.schema.as_str());
        names.push(made.name.as_str());
    }
    let foreign = format!(
        "select format('%I.%I', schema, name), quote_ident(pg_get_userbyid(relowner))
         from unnest($2::text[], $3::text[]) ours (schema, name)
         join pg_namespace n on nspname = schema
         join pg_class c on relnamespace = n.oid and relname = name
         where not pg_has_role({ACTOR}, relowner, 'usage')
         order by 1"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(foreign))
        .bind(LOADER_ROLE)
        .bind(schemas)
        .bind(names)
        .fetch_all(connection)
        .await
}
