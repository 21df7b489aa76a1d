//! The latest entries, as a person looks for them first.

use anyhow::Result;
use sqlx::{PgConnection, Row as _};

use super::paper::{Paper, fitted};

/// The last entries of the token's user, newest first, by the user's clock.
///
/// # Errors
/// When the tables cannot be read.
pub async fn latest(connection: &mut PgConnection, paper: Paper) -> Result<Vec<String>> {
    let entries = sqlx::query(
        "select to_char(e.started_at at time zone m.timezone, 'Dy DD Mon HH24:MI'),
                case when e.is_running then 'running' else to_char(e.duration_seconds * interval '1 second', 'FMHH24:MI') end,
                coalesce(p.project_name, '-'), coalesce(c.client_name, ''), coalesce(e.description, '')
         from staging.stg_toggl_track__me m
         join staging.stg_toggl_track__time_entries e using (user_id)
         left join staging.stg_toggl_track__projects p using (project_id)
         left join staging.stg_toggl_track__clients c using (client_id)
         order by e.started_at desc limit 5",
    )
    .fetch_all(connection)
    .await?;
    let room = paper.columns.saturating_sub(16 + 2 + 7 + 2 + 18 + 2 + 16 + 2).max(8);
    let line = |entry: sqlx::postgres::PgRow| {
        let text = |column: usize| entry.try_get::<String, _>(column);
        let line = format!(
            "{}  {:>7}  {}  {}  {}", text(0)?, text(1)?, fitted(&text(2)?, 18), fitted(&text(3)?, 16), fitted(&text(4)?, room)
        );
        Ok(line.trim_end().to_owned())
    };
    entries.into_iter().map(line).collect()
}
