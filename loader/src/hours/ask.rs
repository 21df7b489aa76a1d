//! Asking the views: one statement reads the entries once, and sums them up in every way a report needs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Row as _};

use super::HoursArgs;
use super::by::Dimension;
use super::error::{HoursError, MOST_MINUTES};
use super::report::{Group, Key, Report, Step, Sums, Timeline, sort};
use super::span::{Unit, span};
use super::trust::Trust;

/// Reads the view in one transaction, so that all sums are of the same moment.
pub(super) async fn ask(
    connection: &mut PgConnection,
    args: &HoursArgs,
) -> Result<Report, HoursError> {
    let mut transaction =
        connection.begin_with("begin isolation level repeatable read, read only").await?;
    // A report reads much at once, where a loader looks up little: as Postgres would by itself.
    for (name, value) in [
        ("statement_timeout", format!("{MOST_MINUTES}min").as_str()),
        ("enable_seqscan", "on"),
        ("enable_mergejoin", "on"),
    ] {
        set(&mut transaction, name, value).await?;
    }
    if let Some(zone) = &args.time_zone {
        set(&mut transaction, "toggl_track.time_zone", zone).await?;
    }
    let (today, time_zone) = today(&mut transaction).await?;
    let (from, to) = span(args.from, args.to, today)?;
    let unit = Unit::of(from, to);
    let dimension = args.by.iter().copied().find(|dimension| !dimension.is_time());
    let mut sums = Answer::default();
    for row in question(args, unit, dimension, from, to).fetch_all(&mut *transaction).await? {
        sums.take(&row, &args.by, dimension)?;
    }
    let trust = Trust::ask(&mut transaction, from, to).await?;
    transaction.rollback().await?;
    let timeline = Timeline { unit, dimension, steps: sums.steps(unit, from, to) };
    let mut groups: Vec<Group> = sums.groups.into_values().collect();
    sort(&mut groups);
    Ok(Report {
        from,
        to,
        time_zone,
        by: args.by.clone(),
        only: only(args),
        made_at: Timestamp::now(),
        groups,
        timeline,
        total: sums.total,
        people: sums.people,
        running: sums.running,
        trust,
    })
}

async fn set(connection: &mut PgConnection, name: &str, value: &str) -> sqlx::Result<()> {
    sqlx::query("select set_config($1, $2, true)")
        .bind(name)
        .bind(value)
        .execute(connection)
        .await?;
    Ok(())
}

/// Today in the zone that was set, else in that of the token's owner; and what is set.
async fn today(connection: &mut PgConnection) -> Result<(Date, Option<String>), HoursError> {
    let (today, zone): (String, Option<String>) = sqlx::query_as(
        "select (now() at time zone coalesce(zone.chosen, zone.own, 'UTC'))::date::text, zone.chosen
         from (
             select staging.toggl_chosen_time_zone() as chosen, (
                 select me.timezone from staging.stg_toggl_track__me me
                 where me.timezone in (select name from pg_catalog.pg_timezone_names)
                 order by me.user_id limit 1
             ) as own
         ) zone",
    )
    .fetch_one(connection)
    .await?;
    let today = today
        .parse()
        .map_err(|error| HoursError::Database(sqlx::Error::Decode(Box::new(error))))?;
    Ok((today, zone))
}

fn only(args: &HoursArgs) -> Vec<(&'static str, Vec<String>)> {
    let filters = [
        ("person", &args.user),
        ("project", &args.project),
        ("client", &args.client),
        ("workspace", &args.workspace),
    ];
    filters
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| (what, names.clone()))
        .collect()
}

/// The longest that Toggl lets an entry be is 999 hours: one that reaches into these days began no earlier.
const LONGEST: &str = "interval '45 days'";

const SUMS: &str = "sum(seconds)::bigint,
    coalesce(sum(seconds) filter (where is_billable), 0)::bigint,
    coalesce(sum(seconds) filter (where is_billable and billable_amount is null and not is_running), 0)::bigint,
    count(distinct time_entry_id),
    round(sum(billable_amount) * 1000000)::bigint";

/// Rows of four kinds: groups of each depth, steps of the timeline, everything together, and how many people.
fn question<'q>(
    args: &HoursArgs,
    unit: Unit,
    pile: Option<Dimension>,
    from: Date,
    to: Date,
) -> Query<'q, Postgres, PgArguments> {
    let groups = (1..=args.by.len())
        .filter_map(|depth| args.by.get(..depth))
        .map(|by| summed("group", by, "null"));
    let pile = pile.map_or_else(Vec::new, |pile| vec![pile]);
    let kinds: Vec<String> =
        groups.chain([summed("step", &pile, "step"), summed("total", &[], "null")]).collect();
    let sql = format!(
        "with parts as materialized (
             select {columns}, {step} as step, time_entry_id, user_id, is_running, is_billable is true as is_billable,
                    coalesce(seconds, round(hours_so_far * 3600)::bigint, 0) as seconds, billable_amount, currency
             from staging.stg_toggl_track__daily_entries
             where day between $1::text::date and $2::text::date
               and started_at >= $1::text::date - {LONGEST} and started_at < $2::text::date + interval '3 days'
               {filters}
         )
         {kinds}
         union all
         select 'people', null, null, null, null, null, 0, 0, 0, 0, null,
                count(distinct user_id), count(distinct time_entry_id) filter (where is_running) from parts",
        columns = columns(&args.by),
        step = unit.column(),
        filters = filters(args),
        kinds = kinds.join(" union all "),
    );
    let names = |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>();
    sqlx::query(AssertSqlSafe(sql))
        .bind(from.to_string())
        .bind(to.to_string())
        .bind(names(&args.user))
        .bind(names(&args.project))
        .bind(names(&args.client))
        .bind(names(&args.workspace))
}

/// Of each combination of these dimensions, and of each step.
fn summed(kind: &str, by: &[Dimension], step: &str) -> String {
    let (keys, labels) = (listed(by, Dimension::key), listed(by, Dimension::label));
    let color = if by.contains(&Dimension::Project) { "max(project_color)" } else { "null::text" };
    let tags = if by.contains(&Dimension::Tag) {
        "left join lateral unnest(tags) as tag(name) on true"
    } else {
        ""
    };
    format!(
        "select '{kind}', array[{keys}]::text[], array[{labels}]::text[], {color}, {step}::text, currency, {SUMS},
                null::bigint, null::bigint
         from parts {tags} group by 2, 3, 5, currency"
    )
}

/// A column that nobody asks for costs no join.
fn filters(args: &HoursArgs) -> String {
    let filters = [
        (&args.user, "(lower(user_name) = any ($3) or user_id::text = any ($3))"),
        (&args.project, "(lower(project_name) = any ($4) or project_id::text = any ($4))"),
        (&args.client, "(lower(client_name) = any ($5) or client_id::text = any ($5))"),
        (&args.workspace, "(lower(workspace_name) = any ($6) or workspace_id::text = any ($6))"),
    ];
    let wanted = filters.iter().filter(|(names, _)| !names.is_empty());
    wanted.map(|(_, filter)| ["and ", filter].concat()).collect::<Vec<_>>().join(" ")
}

fn listed(by: &[Dimension], of: impl Fn(Dimension) -> &'static str) -> String {
    by.iter().map(|dimension| of(*dimension)).collect::<Vec<_>>().join(", ")
}

/// What the groups are made of; a column that nobody asks for costs no join.
fn columns(by: &[Dimension]) -> String {
    let columns = by.iter().map(|dimension| match dimension {
        Dimension::Project => "project_id, project_name, project_color",
        Dimension::Client => "client_id, client_name",
        Dimension::User => "user_name",
        Dimension::Task => "task_id, task_name",
        Dimension::Workspace => "workspace_id, workspace_name",
        Dimension::Tag => "tags",
        Dimension::Week => "week",
        Dimension::Month => "month",
        Dimension::Day => "day",
        Dimension::Billable => "null as nothing",
    });
    columns.collect::<Vec<_>>().join(", ")
}

/// What the rows say.
#[derive(Debug, Default)]
struct Answer {
    groups: BTreeMap<Vec<Option<String>>, Group>,
    piles: BTreeMap<Date, Vec<(Key, i64)>>,
    total: Sums,
    people: i64,
    running: i64,
}

impl Answer {
    fn take(
        &mut self,
        row: &PgRow,
        by: &[Dimension],
        pile: Option<Dimension>,
    ) -> Result<(), HoursError> {
        match row.try_get::<&str, _>(0)? {
            "group" => {
                let keys = keys(row, by)?;
                let ids = keys.iter().map(|key| key.id.clone()).collect();
                let group =
                    self.groups.entry(ids).or_insert_with(|| Group { keys, sums: Sums::default() });
                group.sums.add(&sums(row)?);
            }
            "step" => {
                let step: Date = row.try_get::<String, _>(4)?.parse().map_err(decode)?;
                self.pile_up(step, &keys(row, pile.as_slice())?, row.try_get(6)?);
            }
            "total" => self.total.add(&sums(row)?),
            _ => (self.people, self.running) = (row.try_get(11)?, row.try_get(12)?),
        }
        Ok(())
    }

    /// The same group comes once for each currency.
    fn pile_up(&mut self, step: Date, keys: &[Key], seconds: i64) {
        let piles = self.piles.entry(step).or_default();
        let key = keys.first().cloned().unwrap_or_else(Key::of_all);
        match piles.iter_mut().find(|(known, _)| known.is(&key)) {
            Some((_, known)) => *known += seconds,
            None => piles.push((key, seconds)),
        }
    }

    fn steps(&mut self, unit: Unit, from: Date, to: Date) -> Vec<Step> {
        let known = self.piles.keys().next().copied();
        for step in unit.steps(from, to, known) {
            self.piles.entry(step).or_default();
        }
        let piles = std::mem::take(&mut self.piles).into_iter();
        piles.map(|(first_day, piles)| Step { first_day, piles }).collect()
    }
}

fn decode(error: jiff::Error) -> HoursError {
    HoursError::Database(sqlx::Error::Decode(Box::new(error)))
}

fn keys(row: &PgRow, by: &[Dimension]) -> Result<Vec<Key>, HoursError> {
    let ids: Vec<Option<String>> = row.try_get(1)?;
    let labels: Vec<Option<String>> = row.try_get(2)?;
    let color: Option<String> = row.try_get(3)?;
    let keys = by.iter().zip(ids.into_iter().zip(labels)).map(|(dimension, (id, label))| {
        let color = color.clone().filter(|_| *dimension == Dimension::Project);
        Key { dimension: *dimension, id, label, color }
    });
    Ok(keys.collect())
}

fn sums(row: &PgRow) -> Result<Sums, HoursError> {
    let currency: Option<String> = row.try_get(5)?;
    let amount: Option<i64> = row.try_get(10)?;
    Ok(Sums {
        seconds: row.try_get(6)?,
        billable_seconds: row.try_get(7)?,
        unpriced_seconds: row.try_get(8)?,
        entries: row.try_get(9)?,
        amounts: currency.zip(amount).into_iter().collect(),
    })
}
