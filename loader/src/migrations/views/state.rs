//! Which views the database holds in another text than this loader's.

use std::cmp::Ordering;
use std::collections::HashMap;

use sqlx::{FromRow, PgConnection};

use super::{SCHEMAS, VIEWS, View};
use crate::migrations::made::Made;

/// This loader's version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A view whose present text is to be applied.
#[derive(Debug, Clone, Copy)]
pub(in crate::migrations) struct Outdated {
    pub(in crate::migrations) view: &'static View,
    /// Whether any loader has noted it: what is there under the name of one that was not may be a stranger's.
    pub(in crate::migrations) is_noted: bool,
}

impl Outdated {
    /// As what it stands among everything that is made.
    pub(in crate::migrations) fn made(&self) -> Made {
        self.view.made()
    }
}

/// A view as a loader noted it.
#[derive(Debug, FromRow)]
struct Note {
    view_name: String,
    checksum: i64,
    loader_version: String,
}

/// Those whose text has changed or that are missing, in the order in which they are to be made. Without the
/// ones that a newer loader made. None where this role may not even look, for it could change nothing either.
pub(in crate::migrations) async fn outdated(
    connection: &mut PgConnection,
) -> sqlx::Result<Vec<Outdated>> {
    let is_readable: Option<bool> = sqlx::query_scalar(
        "select has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
         from pg_class c join pg_namespace n on n.oid = relnamespace
         where nspname = 'raw' and relname = 'toggl_track__views'",
    )
    .fetch_optional(&mut *connection)
    .await?;
    if is_readable != Some(true) {
        return Ok(Vec::new());
    }
    let notes: Vec<Note> =
        sqlx::query_as("select view_name, checksum, loader_version from raw.toggl_track__views")
            .fetch_all(&mut *connection)
            .await?;
    let notes: HashMap<&str, &Note> =
        notes.iter().map(|note| (note.view_name.as_str(), note)).collect();
    let there = there(connection).await?;
    let outdated = VIEWS.iter().filter_map(|view| {
        let note = notes.get(view.name).copied();
        let is_there = there.iter().any(|name| name == view.name);
        is_outdated(view, note, is_there).then_some(Outdated { view, is_noted: note.is_some() })
    });
    Ok(outdated.collect())
}

fn is_outdated(view: &View, note: Option<&Note>, is_there: bool) -> bool {
    let Some(note) = note else { return true };
    let is_newer = compare(&note.loader_version, VERSION) == Ordering::Greater;
    !is_newer && (note.checksum != view.checksum() || !is_there)
}

/// The names of the views that the database holds.
async fn there(connection: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select relname::text from pg_class c join pg_namespace n on n.oid = relnamespace
         where nspname = any($1) and relkind = 'v'",
    )
    .bind(SCHEMAS)
    .fetch_all(connection)
    .await
}

/// Orders versions by their numbers.
fn compare(one: &str, other: &str) -> Ordering {
    let numbers = |version: &str| -> Vec<u64> {
        version
            .split(['.', '-', '+'])
            .take(3)
            .map(|number| number.parse().unwrap_or_default())
            .collect()
    };
    numbers(one).cmp(&numbers(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(checksum: i64, version: &str) -> Note {
        Note { view_name: "one".into(), checksum, loader_version: version.into() }
    }

    #[test]
    fn a_text_that_changed_is_applied_and_a_newer_loaders_is_left() {
        let view = View { schema: "staging", name: "one", text: "create or replace view" };
        let same = view.checksum();
        let cases = [
            (None, true, true),
            (Some(note(same, VERSION)), true, false),
            (Some(note(same, VERSION)), false, true),
            (Some(note(1, VERSION)), true, true),
            (Some(note(1, "0.0.9")), true, true),
            (Some(note(1, "999.0.0")), true, false),
            (Some(note(1, "999.0.0")), false, false),
        ];
        for (note, is_there, outdated) in cases {
            let case = format!("{note:?}, there: {is_there}");
            assert_eq!(is_outdated(&view, note.as_ref(), is_there), outdated, "{case}");
        }
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(compare("0.10.0", "0.9.1"), Ordering::Greater);
        assert_eq!(compare("1.0.0", "1.0.0"), Ordering::Equal);
        assert_eq!(compare("1.2.3", "1.3.0-rc.1"), Ordering::Less);
    }
}
