//! Credentials in the vault: the one that the migrations install, and Supabase's.

use sqlx::{Connection as _, Executor as _, PgConnection};
use tests::servers::{Database, PostgresOptions, PostgresServer};
use tests::toggl::{Account, TOKEN};
use tests::workers::{Finished, Worker};
use tests::world::World;

const KEY: &[u8] = b"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
/// Stored before the right one.
const FIRST_TOKEN: &str = "f1rstt0ken0f1rstt0ken";
const OTHER_KEY: &[u8] = b"ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100\n";

/// Toggl and NATS, and a Postgres server whose files hold nothing of other tests.
struct Safe {
    world: World,
    postgres: PostgresServer,
    database: Database,
}

impl Safe {
    async fn start() -> Self {
        let world = World::start_empty(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
        let postgres = PostgresServer::start(PostgresOptions::default()).await.unwrap();
        let database = postgres.create_database().await.unwrap();
        Self { world, postgres, database }
    }

    fn fetcher(&self, arguments: &[&str]) -> Worker {
        let fetcher = self.world.fetcher(arguments).without("TOGGL_API_TOKEN");
        fetcher.env("DATABASE_URL", &self.database.url)
    }

    fn loader(&self, arguments: &[&str]) -> Worker {
        self.world.loader(arguments).env("DATABASE_URL", &self.database.url)
    }

    async fn connect(&self) -> PgConnection {
        self.postgres.connect(&self.database.name).await.unwrap()
    }

    /// Migrates with a root key in place.
    async fn migrate(&self, key: &[u8]) -> Finished {
        let path = self.postgres.write_server_file("root.key", key).unwrap();
        let migrate = self.loader(&["migrate"]).env("VAULT_KEY_FILE", path);
        succeed(migrate).await
    }
}

/// Migrates a world with a Postgres of its own, with a root key for its vault in place.
pub(crate) async fn give_key(world: &World) {
    let path = world.postgres().write_server_file("root.key", KEY).unwrap();
    succeed(world.loader(&["migrate"]).env("VAULT_KEY_FILE", path)).await;
}

async fn succeed(worker: Worker) -> Finished {
    let finished = worker.run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    finished
}

async fn fail(worker: Worker, words: &str) {
    let finished = worker.run().await.unwrap();
    assert_eq!(finished.code, Some(3), "{finished:#?}");
    let last = finished.stderr.lines().last().unwrap();
    assert!(last.starts_with("error: ") && last.contains(words), "{last}");
}

/// Store, show, use, replace and remove; what is common to every vault.
async fn the_commands_work(safe: &Safe) {
    fail(safe.fetcher(&["credentials", "show"]), "fetcher credentials set").await;
    for (token, how) in [(FIRST_TOKEN, &["--unchecked"][..]), (TOKEN, &[])] {
        let set = [&["credentials", "set"], how].concat();
        let set = safe.fetcher(&set).stdin(&format!("{token}\n"));
        let finished = succeed(set).await;
        assert!(!format!("{finished:?}").contains(token));
    }
    let shown = succeed(safe.fetcher(&["credentials", "show"])).await;
    assert!(shown.stdout.contains("are stored") && !shown.stdout.contains(TOKEN), "{shown:#?}");
    let synced = succeed(safe.fetcher(&["--log-level", "debug"])).await;
    assert!(synced.stdout.starts_with("[OK]") && !format!("{synced:?}").contains(TOKEN));
}

/// Neither the one that was created nor the one that took its place.
async fn no_token_in_any_file(safe: &Safe) {
    for token in [FIRST_TOKEN, TOKEN] {
        let found = safe.postgres.files_containing(token.as_bytes()).await.unwrap();
        assert!(found.is_empty(), "{token} stands in {found:?}");
    }
}

async fn removing_works(safe: &Safe) {
    succeed(safe.fetcher(&["credentials", "remove"])).await;
    fail(safe.fetcher(&[]), "fetcher credentials set").await;
}

#[tokio::test]
async fn the_installed_vault_serves_the_fetcher_and_leaves_no_token_in_any_file() {
    let safe = Safe::start().await;
    let migrated = safe.migrate(KEY).await;
    assert!(migrated.stderr.contains("The vault is ready"), "{migrated:#?}");
    the_commands_work(&safe).await;

    safe.connect().await.execute("create table canary as select 'c4nary' as bird").await.unwrap();
    let found = safe.postgres.files_containing(b"c4nary").await.unwrap();
    assert!(!found.is_empty(), "the search of the files finds nothing at all");
    no_token_in_any_file(&safe).await;
    removing_works(&safe).await;
}

#[tokio::test]
async fn a_workspace_stored_with_the_credentials_is_read() {
    let safe = Safe::start().await;
    safe.migrate(KEY).await;
    safe.world.toggl.with_account(|account| {
        account.put_workspace(r#"{"id":4242,"name":"Second","organization_id":42}"#);
    });
    let set = ["credentials", "set", "--workspace", "4242"];
    succeed(safe.fetcher(&set).stdin(TOKEN)).await;
    let finished = safe.fetcher(&[]).run().await.unwrap();
    assert!(safe.world.toggl.count("/api/v9/workspaces/4242/") > 0, "{finished:#?}");
    assert_eq!(safe.world.toggl.count("/api/v9/workspaces/2230991/"), 0);
}

#[tokio::test]
async fn a_server_without_a_root_key_is_told_how_to_make_one_and_works_otherwise() {
    let safe = Safe::start().await;
    let missing = safe.postgres.data_dir().join("no-such-folder/root.key");
    let migrate = safe.loader(&["migrate"]).env("VAULT_KEY_FILE", &missing);
    let migrated = succeed(migrate).await;
    assert!(migrated.stderr.contains("has no root key yet"), "{migrated:#?}");
    assert!(migrated.stderr.contains(missing.to_str().unwrap()), "{migrated:#?}");

    fail(safe.fetcher(&["credentials", "set"]).stdin(TOKEN), "no root key").await;
    let with_token = safe.fetcher(&[]).env("TOGGL_API_TOKEN", TOKEN);
    succeed(with_token).await;
}

#[tokio::test]
async fn a_vault_with_another_key_does_not_open_and_says_so() {
    let safe = Safe::start().await;
    safe.migrate(KEY).await;
    succeed(safe.fetcher(&["credentials", "set"]).stdin(TOKEN)).await;
    safe.migrate(OTHER_KEY).await;
    fail(safe.fetcher(&[]), "cannot be opened").await;
}

#[tokio::test]
async fn a_sealed_secret_that_was_tampered_with_does_not_open() {
    let safe = Safe::start().await;
    safe.migrate(KEY).await;
    succeed(safe.fetcher(&["credentials", "set"]).stdin(TOKEN)).await;
    let tamper = "update vault.secrets set secret = encode(set_byte(decode(secret, 'base64'), 40,
                  get_byte(decode(secret, 'base64'), 40) # 1), 'base64')";
    safe.connect().await.execute(tamper).await.unwrap();
    fail(safe.fetcher(&[]), "cannot be opened").await;
}

#[tokio::test]
async fn a_role_without_rights_can_neither_read_the_vault_nor_its_key() {
    let safe = Safe::start().await;
    safe.migrate(KEY).await;
    succeed(safe.fetcher(&["credentials", "set"]).stdin(TOKEN)).await;
    let mut connection = safe.connect().await;
    connection.execute("create role nosy; set role nosy").await.unwrap();
    for attempt in [
        "select * from vault.decrypted_secrets",
        "select * from vault.secrets",
        "select vault._key('encrypt')",
        "select vault._open('', gen_random_uuid(), '')",
        "update vault.root_key set path = '/etc/passwd'",
    ] {
        let error = connection.execute(attempt).await.unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code().map(String::from));
        assert_eq!(code.as_deref(), Some("42501"), "{attempt}");
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_database_without_a_vault_is_an_error_that_names_the_remedy() {
    let safe = Safe::start().await;
    fail(safe.fetcher(&[]), "loader setup --vault").await;
}

/// As Supabase's version 0.3 behaves: sealing happens only inside the functions, `create_secret`
/// writes what it is given in clear before it seals, and a plain insert is never sealed.
pub(crate) const SUPABASE: &str = "
    create extension pgcrypto;
    create schema vault;
    create table vault.secrets (
        id uuid primary key default gen_random_uuid(), name text, description text not null default '',
        secret text not null, key_id uuid, nonce bytea,
        created_at timestamptz not null default now(), updated_at timestamptz not null default now());
    create unique index on vault.secrets (name) where name is not null;
    create function vault._seal(text) returns text language sql as
        $$ select encode(public.pgp_sym_encrypt($1, 'server key'), 'base64') $$;
    create view vault.decrypted_secrets as
        select id, name, description, secret,
               public.pgp_sym_decrypt(decode(secret, 'base64'), 'server key') as decrypted_secret,
               key_id, nonce, created_at, updated_at
        from vault.secrets;
    create function vault.create_secret(
        new_secret text, new_name text default null, new_description text default '', new_key_id uuid default null
    ) returns uuid language plpgsql security definer set search_path = '' as $$
    declare new_id uuid;
    begin
        insert into vault.secrets (secret, name, description)
        values (new_secret, new_name, new_description) returning id into new_id;
        update vault.secrets set secret = vault._seal(new_secret) where id = new_id;
        return new_id;
    end $$;
    create function vault.update_secret(
        secret_id uuid, new_secret text default null, new_name text default null,
        new_description text default null, new_key_id uuid default null
    ) returns void language plpgsql security definer set search_path = '' as $$
    begin
        update vault.secrets set secret = coalesce(vault._seal(new_secret), secret),
            name = coalesce(new_name, name), description = coalesce(new_description, description),
            updated_at = now()
        where id = secret_id;
    end $$;";

/// Everything that makes up the schema vault.
async fn vault_definition(connection: &mut PgConnection) -> Vec<String> {
    let sql = "select pg_get_functiondef(p.oid) from pg_proc p
               where p.pronamespace = 'vault'::regnamespace
               union all
               select relname || ' ' || coalesce(pg_get_viewdef(oid), relkind::text) from pg_class
               where relnamespace = 'vault'::regnamespace
               order by 1";
    sqlx::query_scalar(sql).fetch_all(connection).await.unwrap()
}

#[tokio::test]
async fn supabases_vault_is_used_as_it_is_and_never_given_a_token_in_clear() {
    let safe = Safe::start().await;
    let mut connection = safe.connect().await;
    sqlx::raw_sql(SUPABASE).execute(&mut connection).await.unwrap();
    let before = vault_definition(&mut connection).await;
    let migrated = succeed(safe.loader(&["migrate"])).await;
    assert!(migrated.stderr.contains("Using the vault that is already there"), "{migrated:#?}");
    assert_eq!(vault_definition(&mut connection).await, before);

    the_commands_work(&safe).await;
    no_token_in_any_file(&safe).await;
    removing_works(&safe).await;
}
