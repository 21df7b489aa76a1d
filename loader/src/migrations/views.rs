//! The views of the schemas `staging` and `raw`. The present text of each is one file of `migrations/views/`, which
//! is applied again, after the numbered migrations, when it has changed.

mod apply;
mod replace;
mod state;

use xxhash_rust::xxh3::xxh3_64;

pub(super) use self::apply::apply;
pub(super) use self::state::{Outdated, outdated};
use super::made::{Made, What};

/// Where views are. Of two schemas no two have the same name.
const SCHEMAS: [&str; 2] = ["raw", "staging"];

/// One view: the statements that make it, or replace it, with its comments.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct View {
    schema: &'static str,
    pub(super) name: &'static str,
    text: &'static str,
}

impl View {
    /// As what it stands among everything that is made.
    fn made(&self) -> Made {
        Made { what: What::View, schema: self.schema.to_owned(), name: self.name.to_owned() }
    }

    /// Its name with that of its schema.
    fn path(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    fn checksum(&self) -> i64 {
        xxh3_64(self.text.as_bytes()).cast_signed()
    }
}

/// The file of `migrations/views/` that is called as the view is.
macro_rules! view {
    ($name:literal) => {
        view!("staging", $name)
    };
    ($schema:literal, $name:literal) => {
        View {
            schema: $schema,
            name: $name,
            text: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../migrations/views/",
                $name,
                ".sql"
            )),
        }
    };
}

/// All of them; one that reads another one stands below it.
static VIEWS: [View; 43] = [
    view!("stg_toggl_track__me"),
    view!("stg_toggl_track__workspaces"),
    view!("stg_toggl_track__organizations"),
    view!("stg_toggl_track__projects"),
    view!("stg_toggl_track__clients"),
    view!("stg_toggl_track__tags"),
    view!("stg_toggl_track__users"),
    view!("stg_toggl_track__groups"),
    view!("stg_toggl_track__tasks"),
    view!("stg_toggl_track__project_users"),
    view!("stg_toggl_track__workspace_users"),
    view!("raw", "toggl_track__report_entries"),
    view!("stg_toggl_track__time_entries_report"),
    view!("raw", "toggl_track__touched_ids"),
    view!("raw", "toggl_track__touched_entries"),
    view!("raw", "toggl_track__entries"),
    view!("stg_toggl_track__time_entries"),
    view!("raw", "toggl_track__members"),
    view!("raw", "toggl_track__profiles"),
    view!("raw", "toggl_track__moved_people"),
    view!("raw", "toggl_track__reckoned_entries"),
    view!("raw", "toggl_track__unreckoned_entries"),
    view!("stg_toggl_track__wide_entries"),
    view!("stg_toggl_track__daily_entries"),
    view!("stg_toggl_track__hours_by_day"),
    view!("stg_toggl_track__hours_by_tag"),
    view!("raw", "toggl_track__covered_parts"),
    view!("stg_toggl_track__gaps"),
    view!("stg_toggl_track__overlaps"),
    view!("stg_toggl_track__rounded_entries"),
    view!("stg_toggl_track__amounts"),
    view!("stg_toggl_track__estimates"),
    view!("stg_toggl_track__utilisation"),
    view!("stg_toggl_track__people"),
    view!("stg_toggl_track__coverage"),
    view!("stg_toggl_track__freshness"),
    view!("raw", "toggl_track__versions"),
    view!("raw", "toggl_track__changes"),
    view!("stg_toggl_track__inventories"),
    view!("stg_toggl_track__inventory_people"),
    view!("stg_toggl_track__verified_entries"),
    view!("stg_toggl_track__verified_sums"),
    view!("stg_toggl_track__verification"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_in_the_list() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/views");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let listed: BTreeSet<String> =
            VIEWS.iter().map(|view| format!("{}.sql", view.name)).collect();
        assert_eq!(files, listed, "migrations/views/ and the list of views");
    }

    #[test]
    fn a_file_makes_the_view_that_it_is_called_after_and_no_other() {
        for view in &VIEWS {
            let (path, View { name, text, .. }) = (view.path(), view);
            let made = format!("create or replace view {path} as\n");
            assert!(text.contains(&made), "{name}.sql lacks: {made}");
            let code = text.lines().filter(|line| !line.trim_start().starts_with("--"));
            let starts: Vec<&str> = code.filter(|line| line.starts_with("create ")).collect();
            assert_eq!(starts.len(), 1, "{name}.sql makes {starts:?}");
            for comment in text.lines().filter(|line| line.starts_with("comment on ")) {
                assert!(comment.contains(&format!(" {path}")), "{name}.sql says: {comment}");
            }
        }
    }

    #[test]
    fn what_a_view_reads_stands_above_it() {
        for (place, view) in VIEWS.iter().enumerate() {
            for below in VIEWS.iter().skip(place + 1) {
                let words = view.text.split(|c: char| !(c.is_alphanumeric() || "_.".contains(c)));
                let path = below.path();
                let reads = words.into_iter().any(|word| word == path);
                assert!(!reads, "{} reads {}, which stands below it", view.name, below.name);
            }
        }
    }
}
