-- Roles with no more rights than their work needs. Not numbered, for it takes rights that a loader
-- does not have: run it as a superuser, on Supabase as postgres, before or after `loader migrate` and
-- as often as you like. `loader setup --vault` does, and gives the first two passwords; by hand:
-- psql --set ON_ERROR_STOP=1 --single-transaction --file migrations/roles.sql
--
--   toggl_track_loader    owns what the loader makes in the schemas raw and staging; no right to the vault
--   toggl_track_fetcher   reads Toggl's secrets in the vault, and the verdict over its inventories; no table
--   toggl_track_analyst   reads the views of staging; cannot log in: grant it to those who may
--
-- The first two can log in once they have passwords: alter role toggl_track_loader password '…';
--
-- A role by which loaders are running already keeps what they need: it becomes a member of
-- toggl_track_loader, and a warning says how to let go of it. Nothing stops meanwhile.
do $roles$
declare
    role    text;
    schema  text;
    thing   record;
    formers oid[] := '{}';
    former  record;
    back    text;
begin
    foreach role in array array['toggl_track_loader', 'toggl_track_fetcher', 'toggl_track_analyst'] loop
        if to_regrole(role) is null then
            execute format('create role %I %s', role,
                case role when 'toggl_track_analyst' then 'nologin' else 'login' end);
        end if;
    end loop;
    -- Who is no superuser may give nothing to a role that it is no member of.
    if not (select rolsuper from pg_roles where rolname = current_user) then
        execute format('grant toggl_track_loader to %I', current_user);
    end if;

    foreach schema in array array['raw', 'staging'] loop
        if to_regnamespace(schema) is null then
            execute format('create schema %I authorization toggl_track_loader', schema);
        elsif exists (select from pg_namespace where nspname = schema and nspowner = current_user::regrole) then
            execute format('alter schema %I owner to toggl_track_loader', schema);
        else
            execute format('grant usage, create on schema %I to toggl_track_loader', schema);
        end if;
    end loop;

    -- Tables that loaders are writing to are waited for, not for ever; of a loader and this that wait for
    -- each other, the loader begins its batch anew.
    perform set_config('lock_timeout', '1min', true);
    if (select rolsuper from pg_roles where rolname = current_user) then
        perform set_config('deadlock_timeout', '5min', true);
    end if;

    -- What was migrated before becomes the loader's; sequences follow their tables. Without the list of
    -- migrations, tables of such names are another tool's.
    for thing in
        select format('alter %s %s owner to toggl_track_loader',
                      case relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end,
                      c.oid::regclass) as statement, relowner as owner
        from pg_class c
        where relkind in ('r', 'p', 'v', 'm') and relowner <> 'toggl_track_loader'::regrole
            and exists (select from pg_class where relnamespace = 'raw'::regnamespace
                                               and relname = 'toggl_track__migrations')
            and (relnamespace = 'raw'::regnamespace and starts_with(relname::text, 'toggl_track__')
                or relnamespace = 'staging'::regnamespace and starts_with(relname::text, 'stg_toggl_track__'))
        union all
        select format('alter routine %s owner to toggl_track_loader', oid::regprocedure), proowner
        from pg_proc
        where proowner <> 'toggl_track_loader'::regrole
            and (pronamespace = 'staging'::regnamespace and starts_with(proname::text, 'toggl_')
                or pronamespace = 'raw'::regnamespace and starts_with(proname::text, 'toggl_track__'))
    loop
        execute thing.statement;
        formers := formers || thing.owner;
    end loop;

    -- Loaders that are logged in as the former owner go on.
    for former in
        select distinct r.rolname, r.rolinherit, pg_has_role('toggl_track_loader', r.oid, 'member') as is_above
        from unnest(formers) as owners (id) join pg_roles r on r.oid = id
        where not r.rolsuper
    loop
        if former.rolinherit and not former.is_above then
            execute format('grant toggl_track_loader to %I', former.rolname);
            back := format('revoke toggl_track_loader from %I', former.rolname);
        else
            -- Membership would give it nothing, or go round in a circle.
            execute format('grant usage on schema raw, staging to %I', former.rolname);
            for thing in
                select format('grant select, insert, update, delete on %s to %I', oid::regclass, former.rolname)
                    as statement
                from pg_class
                where relkind in ('r', 'p', 'v', 'm') and relowner = 'toggl_track_loader'::regrole
                    and relnamespace in ('raw'::regnamespace, 'staging'::regnamespace)
            loop
                execute thing.statement;
            end loop;
            back := format('revoke all on all tables in schema raw, staging from %I', former.rolname);
        end if;
        raise warning using message = format(
            'Loaders logged in as %I go on: it was given the rights of toggl_track_loader, who owns the '
            'tables from now on. Log loaders in as toggl_track_loader at their next start, then run: %s',
            former.rolname, back);
    end loop;
end $roles$;

grant usage on schema staging to toggl_track_analyst;
grant select on all tables in schema staging to toggl_track_analyst;
alter default privileges for role toggl_track_loader in schema staging
    grant select on tables to toggl_track_analyst;

-- What `fetcher verify` says: its verdict, and which entries it is about. A loader that makes the views later runs
-- this block, too.
grant usage on schema staging to toggl_track_fetcher;
do $verdict$
declare
    verdict text;
begin
    if to_regrole('toggl_track_fetcher') is null then
        return;
    end if;
    foreach verdict in array array['verification', 'verified_entries', 'verified_sums'] loop
        verdict := 'staging.stg_toggl_track__' || verdict;
        if to_regclass(verdict) is not null
            and not has_table_privilege('toggl_track_fetcher', verdict, 'select') then
            execute format('grant select on %s to toggl_track_fetcher', verdict);
        end if;
    end loop;
end $verdict$;

-- The vault has no rights by secret: who may read its view may read all of it. These functions read it
-- with the rights of their owner, and only what is Toggl's.
create schema if not exists toggl_track_vault;
comment on schema toggl_track_vault is 'Toggl''s secrets in the vault, to be read by the role toggl_track_fetcher.';

create or replace function toggl_track_vault.stored() returns table (name text, updated_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $function$
begin
    return query
        select s.name::text, s.updated_at::timestamptz from vault.decrypted_secrets s
        where s.name = 'toggl_track' or pg_catalog.starts_with(s.name, 'toggl_track:');
end $function$;
comment on function toggl_track_vault.stored() is 'Names of Toggl''s secrets, without their content.';

create or replace function toggl_track_vault.read(secret_name text) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $function$
begin
    if secret_name = 'toggl_track' or pg_catalog.starts_with(secret_name, 'toggl_track:') then
        return (select s.decrypted_secret from vault.decrypted_secrets s where s.name = secret_name);
    end if;
    raise insufficient_privilege using message = 'this secret is not Toggl''s';
end $function$;
comment on function toggl_track_vault.read(text) is 'The content of one of Toggl''s secrets; null if it is not there.';

revoke all on schema toggl_track_vault from public;
revoke all on all functions in schema toggl_track_vault from public;
grant usage on schema toggl_track_vault to toggl_track_fetcher;
grant execute on all functions in schema toggl_track_vault to toggl_track_fetcher;

-- Of a function with its owner's rights a reader's own types, in pg_temp, must come last, and without being named they
-- come first. Functions of earlier releases are put right here, those of a vault that a loader installed, too.
do $paths$
declare
    thing regprocedure;
begin
    for thing in
        select p.oid
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where p.prosecdef and 'search_path=""' = any(p.proconfig) and pg_has_role(current_user, p.proowner, 'usage')
            and (n.nspname in ('raw', 'staging', 'toggl_track_vault')
                or n.nspname = 'vault' and to_regclass('vault.root_key') is not null)
    loop
        execute format('alter function %s set search_path = pg_catalog, pg_temp', thing);
    end loop;
end $paths$;
