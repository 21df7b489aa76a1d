//! Which letters are overtaken: of what they are about, something newer is known.
//!
//! It is known from the tables alone, so that the same letters are left in whatever order batches come,
//! and a replay brings none back.
//!
//! * A record: its row was stored or seen later, or a later listing covers its id or start, which did
//!   not have it or had another form. One that was refused again is the same letter.
//! * What no record could be made of: the same by its id. Without an id, a later listing of everything
//!   settles it; where nothing is ever listed completely, a later answer does.
//! * A claim that was not believed, and a batch of another shape: later listings, believed or kept,
//!   cover all of its range. Of a partial batch that is where its records lie.
//! * A message that cannot be read is left to a person, and so are entries without a start until their
//!   row is stored.

use jiff_sqlx::ToSqlx as _;
use shared::batch::Batch;
use shared::resource::{Claim, Key, Resource};
use shared::telemetry::RAW_CLIENT;
use sqlx::{PgConnection, Row as _};
use tracing::info;

use crate::apply::origin::Origin;
use crate::apply::sql::query;
use crate::postgres::schema::Schema;

/// Drops the letters of the batch's resource and workspace that are overtaken by now. `has_news` says
/// whether the batch brought something that could be loaded. Answers how many of these letters came
/// from the batch itself.
pub(crate) async fn drop_overtaken(
    connection: &mut PgConnection,
    schema: &Schema,
    resource: &Resource,
    batch: &Batch,
    origin: &Origin,
    has_news: bool,
) -> sqlx::Result<usize> {
    let dropped = query(overtaken_sql(schema, resource))
        .bind(&batch.resource)
        .bind(batch.workspace_id)
        .bind(batch.fetched_at.to_sqlx())
        .bind(origin.stream_sequence)
        .bind(origin.published_at.to_sqlx())
        .bind(has_news)
        .fetch_all(connection)
        .await?;
    let mut own = 0;
    for row in &dropped {
        own += usize::from(row.try_get::<bool, _>(0)?);
    }
    let others = dropped.len() - own;
    if others > 0 {
        info!(
            target: RAW_CLIENT,
            "Dropped {others} dead letters of {}: something newer is known of what they are about",
            batch.resource
        );
    }
    Ok(own)
}

/// `$1` resource, `$2` workspace, `$3` fetched at, `$4` and `$5` place of the message, `$6` whether it
/// brought news. Letters that are newer than the batch learn nothing from it.
fn overtaken_sql(schema: &Schema, resource: &Resource) -> String {
    let (record, without_id) = (record_sql(schema, resource), without_id_sql(schema, resource));
    let (covered, whole) = (covered_sql(schema, resource), whole_sql(schema));
    let answered = answered_sql(schema, resource);
    format!(
        "delete from {schema}.toggl_track__dead_letters d
         where d.resource = $1 and d.workspace_id = $2 and d.fetched_at <= $3
           and case
               when d.kind in ('claim', 'shape') then coalesce({whole}, false) or {answered}
               when d.kind not in ('record', 'rejected') then false
               when d.source_id is null
                   then coalesce({without_id}, false) or {answered}
               else {record} or coalesce({covered}, false)
           end
         returning d.stream_sequence = $4 and d.published_at = $5"
    )
}

/// The row is newer, or another letter about it is: earlier releases kept several.
fn record_sql(schema: &Schema, resource: &Resource) -> String {
    let table = resource.table();
    let workspace = match resource.key {
        Key::Source => "",
        Key::WorkspaceAndSource => "and t.workspace_id = d.workspace_id",
    };
    format!(
        "exists (
             select from {schema}.{table} t
             where t.source_id = d.source_id {workspace} and t.fetched_at > d.fetched_at
         ) or exists (
             select from {schema}.toggl_track__dead_letters e
             where e.resource = $1 and e.workspace_id = $2 and e.source_id = d.source_id
               and e.record_index is not null
               and (e.fetched_at, e.dead_letter_id) > (d.fetched_at, d.dead_letter_id)
         )"
    )
}

/// Later claims cover it. The range alone is looked up, by its index: a long history has thousands of
/// claims of a resource.
fn covered_sql(schema: &Schema, resource: &Resource) -> String {
    let (axis, multirange, of_user) = match resource.claim {
        Claim::Nothing | Claim::Gone => return "null::boolean".to_owned(),
        Claim::Ids => ("ids", "int8multirange", ""),
        Claim::Starts => {
            ("starts", "tstzmultirange", "and (c.user_id is null or c.user_id = d.user_id)")
        }
    };
    format!(
        "(select {multirange}(d.{axis}) <@ range_agg(c.{axis}) filter (
              where c.resource = $1 and c.workspace_id = $2 and c.fetched_at > d.fetched_at {of_user}
          )
          from {schema}.toggl_track__claims c where c.{axis} && d.{axis})"
    )
}

/// Later listings cover it, also such as were not believed or not applied: to apply it would change
/// nothing, or is asked anew by the later one.
fn whole_sql(schema: &Schema) -> String {
    format!(
        "(select int8multirange(d.ids) <@ range_agg(l.ids)
              or tstzmultirange(d.starts) <@ range_agg(l.starts)
          from (
              select ids, starts, user_id, fetched_at, null::bigint as dead_letter_id
              from {schema}.toggl_track__claims
              where resource = $1 and workspace_id = $2
              union all
              select ids, starts, user_id, fetched_at, dead_letter_id
              from {schema}.toggl_track__dead_letters
              where resource = $1 and workspace_id = $2
                and (kind = 'claim' or kept_whole = 'complete')
          ) l
          where (l.ids && d.ids or l.starts && d.starts)
            and (l.user_id is null or l.user_id = d.user_id)
            and (l.fetched_at > d.fetched_at
              or l.fetched_at = d.fetched_at
                and (l.dead_letter_id is null or l.dead_letter_id > d.dead_letter_id)))"
    )
}

/// Without ids it is not known which one has come again in another form: those of the newest answer
/// stay, until every id is covered by later claims; ranges of ids on record never overlap. Both is asked
/// once, however many letters there are. Entries are read in several answers, of which none replaces
/// another: they have their starts, or stay.
fn without_id_sql(schema: &Schema, resource: &Resource) -> String {
    match resource.claim {
        Claim::Starts => covered_sql(schema, resource),
        Claim::Nothing | Claim::Gone | Claim::Ids => format!(
            "d.fetched_at < greatest((
                 select max(e.fetched_at) from {schema}.toggl_track__dead_letters e
                 where e.resource = $1 and e.workspace_id = $2 and e.source_id is null
                   and e.kind = 'rejected'
             ), (
                 select case when range_agg(c.ids) @> int8range(null, null) then min(c.fetched_at) end
                 from {schema}.toggl_track__claims c
                 where c.resource = $1 and c.workspace_id = $2 and c.ids is not null
             ))"
        ),
    }
}

/// Where nothing is claimed, each answer is the whole of it.
fn answered_sql(schema: &Schema, resource: &Resource) -> String {
    match resource.claim {
        Claim::Starts | Claim::Ids => "($6 and false)".to_owned(),
        Claim::Nothing | Claim::Gone => format!(
            "(d.fetched_at < $3 and $6 or exists (
                 select from {schema}.toggl_track__loads l
                 where l.resource = $1 and l.workspace_id = $2 and l.fetched_at > d.fetched_at
                   and l.dead < l.received
             ))"
        ),
    }
}
