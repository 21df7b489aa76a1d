//! What the migrations make, read from their own text, so that no list of it can be forgotten.

use std::collections::BTreeSet;

/// Something in one of our schemas.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Made {
    pub(super) what: What,
    pub(super) schema: String,
    pub(super) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Table,
    View,
    /// Anything else that stands in `pg_class`.
    Relation,
    Function,
}

/// What a text of SQL makes outright; what it replaces (`create or replace`) was there before.
pub(super) fn made(sql: &str) -> BTreeSet<Made> {
    sql.match_indices("create ")
        .filter_map(|(start, _)| sql.get(start..))
        .filter_map(|statement| {
            let words = statement.split(|c: char| c.is_whitespace() || "(;,".contains(c));
            let words: Vec<&str> = words.filter(|word| !word.is_empty()).take(6).collect();
            one(&words)
        })
        .collect()
}

fn one(words: &[&str]) -> Option<Made> {
    let (what, path) = match *words {
        ["create", "table", path, ..] => (What::Table, path),
        ["create", "view", path, ..] | ["create", "materialized", "view", path, ..] => {
            (What::View, path)
        }
        ["create", "sequence" | "type", path, ..] => (What::Relation, path),
        ["create", "function", path, ..] => (What::Function, path),
        ["create", "index", name, "on", table, ..]
        | ["create", "unique", "index", name, "on", table, ..] => {
            let (schema, _) = table.split_once('.')?;
            return Some(Made { what: What::Relation, schema: schema.into(), name: name.into() });
        }
        _ => return None,
    };
    let (schema, name) = path.split_once('.')?;
    let ours = ["raw", "staging"].contains(&schema);
    ours.then(|| Made { what, schema: schema.into(), name: name.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_views_indexes_and_functions_are_found_and_nothing_else() {
        let sql = "-- may create views in the schema\n\
            create table raw.a (id bigint);\ncreate table raw.b (like raw.a including all);\n\
            create unique index b_once\n    on raw.b (id);\n\
            create view staging.c as select 1;\ncreate or replace view staging.d as select 1;\n\
            create function staging.e(value text) returns text;\n\
            'grant usage, create on schema staging to %1$I'; create table pg_temp.f ();";
        let found: Vec<String> =
            made(sql).into_iter().map(|made| format!("{:?} {}", made.what, made.name)).collect();
        assert_eq!(found, ["Table a", "Table b", "View c", "Relation b_once", "Function e"]);
    }
}
