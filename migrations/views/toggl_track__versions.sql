-- All versions of all rows, past and present, by when they were valid.
create or replace view raw.toggl_track__versions as
select resource, source_id, workspace_id, data, modified_at, valid_from, valid_to, is_deleted, true as is_superseded
from raw.toggl_track__history
union all
select 'me', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__me
union all
select 'workspaces', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__workspaces
union all
select 'projects', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__projects
union all
select 'clients', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__clients
union all
select 'tags', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__tags
union all
select 'users', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__users
union all
select 'groups', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__groups
union all
select 'time_entries', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__time_entries
union all
select 'time_entries_report', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__time_entries_report
union all
select 'tasks', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__tasks
union all
select 'project_users', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__project_users
union all
select 'workspace_users', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__workspace_users
union all
select 'organizations', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__organizations
union all
select 'inventories', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__inventories;

comment on view raw.toggl_track__versions is
    'Every version of every row that is known: the superseded ones of raw.toggl_track__history and the present ones of the raw tables. Of one row their times never overlap.';
comment on column raw.toggl_track__versions.resource is 'Name of the raw table without raw.toggl_track__.';
comment on column raw.toggl_track__versions.source_id is 'Toggl''s id.';
comment on column raw.toggl_track__versions.workspace_id is 'Workspace of the row.';
comment on column raw.toggl_track__versions.data is 'The record as Toggl sent it.';
comment on column raw.toggl_track__versions.modified_at is 'Toggl''s own time of last change, where the record has one.';
comment on column raw.toggl_track__versions.valid_from is 'When Toggl was asked for what first brought this version.';
comment on column raw.toggl_track__versions.valid_to is
    'When it was replaced or deleted; null while it is valid. Not after valid_from: Toggl brought it as deleted, so that it was never valid.';
comment on column raw.toggl_track__versions.is_deleted is 'Whether it ended by a deletion.';
comment on column raw.toggl_track__versions.is_superseded is 'Whether it stands in the history; else it is the row of the raw table.';
