//! The latest entries, as a person looks for them first.

use anyhow::Result;
use sqlx::{PgConnection, Row as _};

use super::paper::{Paper, fitted};

/// Cells for the name of a project.
const PROJECT: usize = 18;

/// The last entries of the token's user, newest first, by the user's clock.
///
/// # Errors
/// When the tables cannot be read.
pub async fn latest(connection: &mut PgConnection, paper: Paper) -> Result<Vec<String>> {
    let entries = sqlx::query(
        "select to_char(started_local, 'Dy DD Mon HH24:MI'),
                case when is_running then 'running' else to_char(seconds * interval '1 second', 'FMHH24:MI') end,
                coalesce(project_name, '-'), coalesce(description, '')
         from staging.stg_toggl_track__wide_entries
         where user_id in (select user_id from staging.stg_toggl_track__me)
         order by started_at desc limit 5",
    )
    .fetch_all(connection)
    .await?;
    // Indented by the caller; two cells between columns.
    let room = paper.columns.saturating_sub(3 + 16 + 2 + 7 + 2 + PROJECT + 2).max(8);
    let line = |entry: sqlx::postgres::PgRow| {
        let text = |column: usize| entry.try_get::<String, _>(column);
        let (project, words) = (fitted(&text(2)?, PROJECT), fitted(&text(3)?, room));
        let line = format!("{}  {:>7}  {project}  {words}", text(0)?, text(1)?);
        Ok(line.trim_end().to_owned())
    };
    entries.into_iter().map(line).collect()
}
