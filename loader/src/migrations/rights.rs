//! Postgres says that a right is missing, and not whose the thing is or whom to log in as. This does.

use std::collections::BTreeMap;
use std::fmt;

use shared::exit::Failure;
use sqlx::{FromRow, PgConnection};

use crate::migrations;
use crate::postgres::database::Database;
use crate::postgres::trouble::{Lack, lack};

/// What an administrator runs, before or after the tables are made.
pub(crate) const ROLES: &str = include_str!("../../../migrations/roles.sql");
/// The role of `migrations/roles.sql` that loaders log in as.
pub(crate) const LOADER_ROLE: &str = "toggl_track_loader";

/// Names in one line: more of them say no more.
const NAMED: usize = 3;

/// What a role lacks of the rights that a loader needs.
#[derive(Debug)]
pub struct Refusal {
    user: String,
    lacking: Vec<Lacking>,
}

/// One thing in Postgres; all names as SQL writes them.
#[derive(Debug, Clone, FromRow)]
struct Lacking {
    /// None for the schema itself.
    relation: Option<String>,
    schema: String,
    owner: String,
    /// Whether that role may everything, so that nobody should load as it.
    owner_is_superuser: bool,
    privileges: String,
}

/// What a loader does with a relation: schema, name and privileges.
pub(crate) type Need = (&'static str, String, &'static str);

/// Looks what this role lacks of the loader's rights to the relations that are there; none if nothing.
pub(crate) async fn look(connection: &mut PgConnection) -> sqlx::Result<Option<Refusal>> {
    let (mut schemas, mut names, mut privileges) = (Vec::new(), Vec::new(), Vec::new());
    for (schema, name, wanted) in migrations::needs() {
        schemas.push(schema);
        names.push(name);
        privileges.push(wanted);
    }
    // Only of catalogues that everybody may read: `to_regclass` wants a right to the schema.
    let lacking: Vec<Lacking> = sqlx::query_as(
        "select null::text as relation, quote_ident(nspname) as schema, quote_ident(rolname) as owner,
                rolsuper as owner_is_superuser, 'usage' as privileges
         from pg_namespace join pg_roles owner on owner.oid = nspowner
         where nspname in ('raw', 'staging') and not has_schema_privilege(pg_namespace.oid, 'usage')
         union all
         select quote_ident(relname), quote_ident(nspname), quote_ident(rolname), rolsuper, lacking
         from unnest($1::text[], $2::text[], $3::text[]) needed (schema, name, privileges)
         join pg_namespace on nspname = schema
         join pg_class on relnamespace = pg_namespace.oid and relname = name
         join pg_roles owner on owner.oid = relowner
         cross join lateral (
             select string_agg(privilege, ', ' order by place) as lacking
             from regexp_split_to_table(privileges, ', ') with ordinality as wanted (privilege, place)
             where not has_table_privilege(pg_class.oid, privilege)
         ) lacks
         where lacking is not null
         order by 1 nulls first",
    )
    .bind(schemas)
    .bind(names)
    .bind(privileges)
    .fetch_all(&mut *connection)
    .await?;
    if lacking.is_empty() {
        return Ok(None);
    }
    let user = sqlx::query_scalar("select quote_ident(current_user)").fetch_one(connection).await?;
    Ok(Some(Refusal { user, lacking }))
}

/// Of an error that says that a right is missing: what is missing, whose it is, and whom to log in as.
/// None of every other error, and where no right is missing by now. The connection is to be in no
/// transaction.
pub(crate) async fn explain(connection: &mut PgConnection, error: &sqlx::Error) -> Option<String> {
    if !is_refusal(error) {
        return None;
    }
    // What cannot be explained is still told as it is.
    let refusal = look(connection).await.ok()??;
    refusal.is_about(error).then(|| refusal.to_string())
}

/// The same for a command that ends by it, on a connection of its own.
pub(crate) async fn explained(failure: Failure, database: &Database) -> Failure {
    let refused = failure.error.chain().find_map(|error| error.downcast_ref::<sqlx::Error>());
    let Some(error) = refused.filter(|error| is_refusal(error)) else { return failure };
    let Ok(mut connection) = database.connect().await else { return failure };
    let message =
        error.as_database_error().map_or_else(String::new, |error| error.message().into());
    match explain(&mut connection, error).await {
        Some(words) => Failure { error: anyhow::anyhow!("{message}: {words}"), ..failure },
        None => failure,
    }
}

fn is_refusal(error: &sqlx::Error) -> bool {
    lack(error) == Some(Lack::Rights)
}

/// How much of a loader's work a refusal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The telling how it is.
    Views,
    /// The loading of some tables.
    Tables,
    /// All of it.
    Everything,
}

impl Refusal {
    /// Whether the error names one of these. Another one, as of a schema that is to be made, has better words
    /// of its own.
    fn is_about(&self, error: &sqlx::Error) -> bool {
        let Some(error) = error.as_database_error() else { return false };
        self.lacking.iter().any(|lacking| {
            error.message().contains(lacking.relation.as_ref().unwrap_or(&lacking.schema))
        })
    }

    /// How far it reaches, where `is_table` knows the tables of which each can wait by itself.
    pub(crate) fn reach(&self, is_table: impl Fn(&str) -> bool) -> Reach {
        let mut raw = self.lacking.iter().filter(|lacking| lacking.schema == "raw").peekable();
        if raw.peek().is_none() {
            Reach::Views
        } else if raw.all(|lacking| lacking.relation.as_deref().is_some_and(&is_table)) {
            Reach::Tables
        } else {
            Reach::Everything
        }
    }
}

impl fmt::Display for Refusal {
    /// A sentence for each owner.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut owners: BTreeMap<&str, Vec<&Lacking>> = BTreeMap::new();
        for lacking in &self.lacking {
            owners.entry(&lacking.owner).or_default().push(lacking);
        }
        let sentences: Vec<String> =
            owners.values().map(|lacking| sentence(&self.user, lacking)).collect();
        write!(f, "{}", sentences.join("; and "))
    }
}

/// About things of one owner.
fn sentence(user: &str, lacking: &[&Lacking]) -> String {
    let Some(first) = lacking.first() else { return String::new() };
    let owner = &first.owner;
    let paths: Vec<String> = lacking
        .iter()
        .map(|lacking| match &lacking.relation {
            Some(relation) => format!("{}.{relation}", lacking.schema),
            None => format!("schema {}", lacking.schema),
        })
        .collect();
    let named = paths.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let (named, belong) = match paths.len() {
        1 => (named, "belongs"),
        2..=NAMED => (named, "belong"),
        more => (format!("{named} and {} more", more - NAMED), "belong"),
    };
    let grants = grants(user, lacking).join("; ");
    let roles = "run `migrations/roles.sql` as an administrator";
    let rest = if owner == LOADER_ROLE {
        format!("log in as {owner}, or let it run: {grants}")
    } else if user == LOADER_ROLE {
        format!("{roles}, or let {owner} run: {grants}")
    } else if first.owner_is_superuser {
        format!("{roles} and log in as {LOADER_ROLE}, or let {owner} run: {grants}")
    } else {
        format!("log in as {owner}, or let {owner} run: {grants}")
    };
    format!("{named} {belong} to {owner}, and this is {user}, who lacks rights: {rest}")
}

/// The statements that give what is lacking.
fn grants(user: &str, lacking: &[&Lacking]) -> Vec<String> {
    let mut schemas: Vec<&str> = Vec::new();
    let mut relations: BTreeMap<&str, Vec<&Lacking>> = BTreeMap::new();
    for lacking in lacking {
        match lacking.relation {
            None => schemas.push(&lacking.schema),
            Some(_) => relations.entry(&lacking.schema).or_default().push(lacking),
        }
    }
    let mut grants = Vec::new();
    if !schemas.is_empty() {
        grants.push(format!("grant usage on schema {} to {user}", schemas.join(", ")));
    }
    for (schema, lacking) in relations {
        if lacking.len() <= NAMED {
            grants.extend(lacking.iter().map(|lacking| {
                let relation = lacking.relation.as_deref().unwrap_or_default();
                format!("grant {} on {schema}.{relation} to {user}", lacking.privileges)
            }));
        } else {
            let all = if schema == "raw" { "select, insert, update, delete" } else { "select" };
            grants.push(format!("grant {all} on all tables in schema {schema} to {user}"));
        }
    }
    grants
}
