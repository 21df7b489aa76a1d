-- A vault for plain PostgreSQL with the schema, view and function names of Supabase's. Installed once
-- by `loader migrate`, and only where `vault.decrypted_secrets` does not exist; never over another vault.
-- Needs pgcrypto and a superuser: the root key is read by the server from a file that only the server's
-- operating-system user can read, so it never crosses the wire and is in no dump.
-- Secrets are sealed with AES-256-CBC, then HMAC-SHA256 over id, nonce and ciphertext; a fresh nonce per update.
do $install$
declare
    crypto text;
begin
    create extension if not exists pgcrypto;
    select quote_ident(n.nspname) into strict crypto
    from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    where e.extname = 'pgcrypto';

    create schema if not exists vault;
    revoke all on schema vault from public;

    create table vault.secrets (
        id          uuid primary key default gen_random_uuid(),
        name        text,
        description text        not null default '',
        secret      text        not null,
        key_id      uuid,
        nonce       bytea,
        created_at  timestamptz not null default now(),
        updated_at  timestamptz not null default now()
    );
    create unique index secrets_name_idx on vault.secrets (name) where name is not null;
    comment on table vault.secrets is 'Sealed secrets. Write through vault.create_secret and vault.update_secret: a plain insert would not be sealed.';

    create table vault.root_key (
        path text not null,
        only_one boolean primary key default true check (only_one)
    );
    comment on table vault.root_key is 'Where on the database server the root key lies: a file of 64 hexadecimal digits.';

    execute format($definition$
        create function vault._key(purpose text) returns bytea
        language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $function$
        declare
            path text := (select r.path from vault.root_key r);
            root text := btrim(pg_catalog.pg_read_file(path, 0, 1000, true), E' \n\r\t');
        begin
            if root is null then
                raise exception 'vault: no root key at %% on the database server', path using errcode = 'F0000';
            end if;
            if root !~ '^[0-9a-fA-F]{64}$' then
                raise exception 'vault: the root key at %% is not 64 hexadecimal digits', path using errcode = 'F0000';
            end if;
            return %1$s.hmac(pg_catalog.convert_to(purpose, 'utf8'), pg_catalog.decode(root, 'hex'), 'sha256');
        end $function$
    $definition$, crypto);

    execute format($definition$
        create function vault._mac(id uuid, nonce bytea, ciphertext bytea) returns bytea
        language sql stable security definer set search_path = pg_catalog, pg_temp as $function$
            select %1$s.hmac(pg_catalog.convert_to(id::text, 'utf8') || nonce || ciphertext, vault._key('mac'), 'sha256')
        $function$
    $definition$, crypto);

    execute format($definition$
        create function vault._seal(plaintext text, id uuid, nonce bytea) returns text
        language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $function$
        declare
            ciphertext bytea := %1$s.encrypt_iv(pg_catalog.convert_to(plaintext, 'utf8'), vault._key('encrypt'), nonce, 'aes-cbc/pad:pkcs');
        begin
            return pg_catalog.encode(vault._mac(id, nonce, ciphertext) || ciphertext, 'base64');
        end $function$
    $definition$, crypto);

    execute format($definition$
        create function vault._open(sealed text, id uuid, nonce bytea) returns text
        language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $function$
        declare
            bytes      bytea := pg_catalog.decode(sealed, 'base64');
            tag        bytea := pg_catalog.substring(bytes, 1, 32);
            ciphertext bytea := pg_catalog.substring(bytes, 33);
            wanted     bytea := vault._mac(id, nonce, ciphertext);
        begin
            -- Comparing keyed hashes of the tags takes the same time wherever they differ.
            if %1$s.hmac(tag, wanted, 'sha256') is distinct from %1$s.hmac(wanted, wanted, 'sha256') then
                raise exception 'vault: invalid ciphertext' using errcode = '22000';
            end if;
            return pg_catalog.convert_from(%1$s.decrypt_iv(ciphertext, vault._key('encrypt'), nonce, 'aes-cbc/pad:pkcs'), 'utf8');
        end $function$
    $definition$, crypto);

    create view vault.decrypted_secrets as
    select s.id, s.name, s.description, s.secret,
           vault._open(s.secret, s.id, s.nonce) as decrypted_secret,
           s.key_id, s.nonce, s.created_at, s.updated_at
    from vault.secrets s;

    execute format($definition$
        create function vault.create_secret(
            new_secret text, new_name text default null, new_description text default '', new_key_id uuid default null
        ) returns uuid
        language plpgsql security definer set search_path = pg_catalog, pg_temp as $function$
        declare
            new_id    uuid  := pg_catalog.gen_random_uuid();
            new_nonce bytea := %1$s.gen_random_bytes(16);
        begin
            insert into vault.secrets (id, name, description, secret, nonce)
            values (new_id, new_name, new_description, vault._seal(new_secret, new_id, new_nonce), new_nonce);
            return new_id;
        end $function$
    $definition$, crypto);

    execute format($definition$
        create function vault.update_secret(
            secret_id uuid, new_secret text default null, new_name text default null,
            new_description text default null, new_key_id uuid default null
        ) returns void
        language plpgsql security definer set search_path = pg_catalog, pg_temp as $function$
        declare
            new_nonce bytea := %1$s.gen_random_bytes(16);
        begin
            update vault.secrets s set
                secret      = case when new_secret is null then s.secret else vault._seal(new_secret, s.id, new_nonce) end,
                nonce       = case when new_secret is null then s.nonce else new_nonce end,
                name        = coalesce(new_name, s.name),
                description = coalesce(new_description, s.description),
                updated_at  = pg_catalog.now()
            where s.id = secret_id;
        end $function$
    $definition$, crypto);

    create function vault._has_key() returns boolean
    language sql stable security definer set search_path = pg_catalog, pg_temp as $function$
        select file.size is not null
        from pg_catalog.pg_stat_file((select r.path from vault.root_key r), true) as file
    $function$;

    revoke all on all tables in schema vault from public;
    revoke all on all functions in schema vault from public;
end $install$;
