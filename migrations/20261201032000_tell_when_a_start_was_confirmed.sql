-- A view that asks this by a subquery cannot be read by several workers at once: what a subquery is given of the outer
-- row stays with the leader. Readers of the view need no right to the claims.
create function raw.toggl_track__confirmed_at(
    list_name text, list_workspace_id bigint, entry_started_at timestamptz, entry_user_id bigint
) returns timestamptz
language sql stable parallel safe security definer set search_path = '' as $function$
    select max(claim.fetched_at)
    from raw.toggl_track__claims claim
    where claim.resource = list_name and claim.workspace_id = list_workspace_id
        and claim.starts @> entry_started_at
        and (claim.user_id is null or claim.user_id = entry_user_id)
$function$;
comment on function raw.toggl_track__confirmed_at(text, bigint, timestamptz, bigint) is
    'When a complete listing of a resource last covered the start of somebody''s entry; null where none did.';
