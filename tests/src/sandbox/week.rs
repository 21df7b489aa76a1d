//! The hours of a week, as the tables have them.

use anyhow::{Context as _, Result};
use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};
use sqlx::{PgConnection, Row as _};

/// A week with work on fewer days has only begun: then the one before is shown.
const FEWEST_DAYS: usize = 3;

/// The week of the token's own user, by the user's clock.
#[derive(Debug)]
pub struct Week {
    /// Whose.
    pub person: String,
    /// Its first day.
    pub monday: Date,
    /// Hours by day and project.
    pub work: Vec<Work>,
}

/// Hours of one day on one project.
#[derive(Debug, Clone)]
pub struct Work {
    /// The local day; what goes on past midnight is of both.
    pub day: Date,
    /// Its name; `-` of entries without one.
    pub project: String,
    /// Of the project; empty where it has none.
    pub client: String,
    /// Of the project, such as `#0b83d9`.
    pub color: String,
    /// What was tracked, a running timer up to now.
    pub hours: f64,
}

impl Week {
    /// This week, or the last one while this has hardly begun.
    ///
    /// # Errors
    /// When the tables cannot be read, or nobody's profile is there.
    pub async fn read(connection: &mut PgConnection) -> Result<Self> {
        let (person, today): (String, String) = sqlx::query_as(
            "select user_name, (now() at time zone timezone)::date::text from staging.stg_toggl_track__me",
        )
        .fetch_optional(&mut *connection)
        .await?
        .context("no profile was loaded")?;
        let today: Date = today.parse()?;
        let monday = monday(today);
        let work = work(connection, monday - 7.days()).await?;
        let (this, last): (Vec<Work>, Vec<Work>) =
            work.into_iter().partition(|work| work.day >= monday);
        let mut days: Vec<Date> = this.iter().map(|work| work.day).collect();
        days.dedup();
        if days.len() < FEWEST_DAYS && !last.is_empty() {
            return Ok(Self { person, monday: monday - 7.days(), work: last });
        }
        Ok(Self { person, monday, work: this })
    }

    /// All hours of it.
    pub fn hours(&self) -> f64 {
        self.work.iter().map(|work| work.hours).sum()
    }
}

/// The monday of a day's week.
fn monday(day: Date) -> Date {
    day - i64::from(day.weekday().since(Weekday::Monday)).days()
}

async fn work(connection: &mut PgConnection, from: Date) -> Result<Vec<Work>> {
    let rows = sqlx::query(
        "select day::text, coalesce(project_name, '-'), coalesce(client_name, ''), coalesce(project_color, ''),
                sum(hours_so_far)::float8
         from staging.stg_toggl_track__daily_entries
         where day >= $1::text::date and started_at >= $1::text::date - 2
           and user_id in (select user_id from staging.stg_toggl_track__me)
         group by 1, 2, 3, 4
         order by 1",
    )
    .bind(from.to_string())
    .fetch_all(connection)
    .await?;
    let read = |row: sqlx::postgres::PgRow| {
        Ok(Work {
            day: row.try_get::<String, _>(0)?.parse()?,
            project: row.try_get(1)?,
            client: row.try_get(2)?,
            color: row.try_get(3)?,
            hours: row.try_get(4)?,
        })
    };
    rows.into_iter().map(read).collect()
}

/// Everybody's hours of the week that begins then, the longest first; none where only one person tracks.
///
/// # Errors
/// When the tables cannot be read.
pub async fn team(connection: &mut PgConnection, monday: Date) -> Result<Vec<(String, f64)>> {
    let people: Vec<(String, f64)> = sqlx::query_as(
        "select coalesce(user_name, 'user ' || user_id), sum(hours_so_far)::float8
         from staging.stg_toggl_track__daily_entries
         where day between $1::text::date and $1::text::date + 6 and started_at >= $1::text::date - 2
         group by 1
         order by 2 desc, 1",
    )
    .bind(monday.to_string())
    .fetch_all(connection)
    .await?;
    Ok(if people.len() > 1 { people } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_week_begins_on_monday() {
        for day in 23..=29 {
            assert_eq!(monday(date(2026, 11, day)), date(2026, 11, 23));
        }
    }
}
