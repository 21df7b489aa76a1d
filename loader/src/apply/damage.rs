//! What `replay --force` takes for damaged: rows that somebody changed by hand.
//!
//! What was changed may be the very version by which rows are compared, so that a changed row would be
//! taken for newer than all that comes. A forced replay therefore asks whether a row can be what it says:
//!
//! * a row that was fetched when this batch was, is this batch's, and has to say what it says;
//! * the same text, seen again later, has the same time of change;
//! * a row was fetched when some batch of `loads` was, unless it is older than `loads`. Whether the
//!   one or the other batch holds its true form is only known when all have been read: a replay of a part
//!   of the stream leaves such rows alone.

use shared::resource::Scope;

use super::context::BatchContext;

/// Whether the stored row `t` may be replaced by any form of it that comes, given what the new one is called
/// and when it was fetched.
pub(crate) fn is_damaged(context: BatchContext<'_>, new: &str, fetched_at: &str) -> String {
    let unfounded = if context.whole {
        let (known, older) = (has_load(context, "="), has_load(context, "<"));
        format!(" or (not {known} and {older})")
    } else {
        String::new()
    };
    format!(
        "(t.fetched_at = {fetched_at}
          or (t.fetched_at < {fetched_at} and t.content_hash = {new}.content_hash
              and t.modified_at is distinct from {new}.modified_at){unfounded})"
    )
}

/// What of `t` has to be the same as in the batch beyond what is always compared, given where the version of
/// the API is bound.
pub(crate) fn same_whole(context: BatchContext<'_>, api_version: usize) -> String {
    let user = if context.resource.is_time_entry() { SAME_USER } else { "" };
    let known =
        if context.whole { format!(" and {}", has_load(context, "=")) } else { String::new() };
    format!(" and {SAME_WHOLE} and t.api_version = ${api_version}{user}{known}")
}

const SAME_USER: &str = " and t.user_id is not distinct from i.user_id";

/// Where the hash is the same, Postgres has taken the same text before, so that it can be cast again.
const SAME_WHOLE: &str =
    "case when t.content_hash = i.content_hash then t.data = i.data::jsonb else false end
    and t.modified_at is not distinct from i.modified_at and t.workspace_id = i.workspace_id
    and (i.told_deleted_at is null or t.deleted_at is not distinct from i.told_deleted_at)";

/// Whether `loads` has a batch that was fetched at, or before, the time of `t`.
fn has_load(context: BatchContext<'_>, fetched: &str) -> String {
    let BatchContext { schema, resource, .. } = context;
    let (name, workspace) = match resource.scope {
        Scope::Account => (resource.name, "0"),
        Scope::Workspace => (resource.name, "t.workspace_id"),
    };
    format!(
        "exists (
             select from {schema}.toggl_track__loads l
             where l.resource = '{name}' and l.workspace_id = {workspace}
                 and l.fetched_at {fetched} t.fetched_at
         )"
    )
}
