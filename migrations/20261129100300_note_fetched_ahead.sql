-- A time of fetching that lies in the future is not believed any more, and what it has hidden comes back.

-- All rows are looked at; that takes as long as it takes.
set local statement_timeout = 0;

alter table raw.toggl_track__loads add column told_fetched_at timestamptz;
comment on column raw.toggl_track__loads.fetched_at is
    'Just before the first request of the listing was sent; where the fetcher''s clock was more than an hour ahead, when JetStream stored the batch.';
comment on column raw.toggl_track__loads.told_fetched_at is
    'The time of fetching that the batch itself told, where it was not believed; else null.';
create index toggl_track__loads_clocks_ahead
    on raw.toggl_track__loads (loaded_at) where told_fetched_at is not null;

-- What was fetched in the future was fetched before it was loaded: by that time it is taken for fetched, and
-- what it marked deleted for deleted. Nobody knows more of it without the stream.
do $$
declare
    tables constant text[] := array['me', 'workspaces', 'projects', 'clients', 'tags', 'users', 'groups',
        'time_entries', 'time_entries_report', 'tasks', 'project_users', 'workspace_users', 'organizations'];
    soon constant timestamptz := now() + interval '1 hour';
    resource text;
begin
    foreach resource in array tables loop
        -- A table that somebody dropped has nothing to mend.
        continue when to_regclass(format('raw.toggl_track__%s', resource)) is null;
        execute format(
            'with ahead as materialized (
                 select fetched_at, min(loaded_at) as loaded_at
                 from raw.toggl_track__loads
                 where resource = %L and fetched_at > $1
                 group by fetched_at
             )
             update raw.toggl_track__%1$s t
             set fetched_at = case
                     when t.fetched_at > $1 then coalesce(fetched.loaded_at, t.synced_at) else t.fetched_at
                 end,
                 deleted_at = case
                     when t.deleted_at > $1 then coalesce(gone.loaded_at, t.synced_at) else t.deleted_at
                 end
             from raw.toggl_track__%1$s o
             left join ahead fetched on fetched.fetched_at = o.fetched_at
             left join ahead gone on gone.fetched_at = o.deleted_at
             where o.source_id = t.source_id and o.workspace_id = t.workspace_id
                 and (t.fetched_at > $1 or t.deleted_at > $1)',
            resource)
        using soon;
    end loop;

    update raw.toggl_track__claims c
    set fetched_at = coalesce((
        select min(l.loaded_at)
        from raw.toggl_track__loads l
        where l.run_id = c.run_id and l.resource = c.resource and l.workspace_id = c.workspace_id
            and l.fetched_at = c.fetched_at
    ), now())
    where c.fetched_at > soon;

    update raw.toggl_track__history set fetched_at = recorded_at where fetched_at > soon;
    update raw.toggl_track__dead_letters set fetched_at = published_at where fetched_at > soon;

    update raw.toggl_track__loads l
    set told_fetched_at = l.fetched_at, fetched_at = ahead.loaded_at
    from (
        select a.resource, a.fetched_at, min(a.loaded_at) as loaded_at
        from raw.toggl_track__loads a
        where a.fetched_at > soon
        group by a.resource, a.fetched_at
    ) ahead
    where ahead.resource = l.resource and ahead.fetched_at = l.fetched_at;
end $$;
