//! A world whose NATS and Postgres know the users of the compose stack, with exactly its rights.

use sqlx::{Connection as _, Executor as _, PgConnection};
use tests::servers::{NatsOptions, PostgresOptions, PostgresServer};
use tests::toggl::Account;
use tests::workers::{Finished, Worker};
use tests::world::World;

const COMPOSE: &str = include_str!("../../../docker-compose.yml");
const ROLES: &str = include_str!("../../../migrations/roles.sql");
const ROOT_KEY: &[u8] = b"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";

pub(crate) const ADMIN: &str = "toggl_track_admin";
pub(crate) const FETCHER: &str = "toggl_track_fetcher";
pub(crate) const LOADER: &str = "toggl_track_loader";
pub(crate) const ANALYST: &str = "toggl_track_analyst";

pub(crate) struct Guarded {
    pub(crate) world: World,
}

impl Guarded {
    /// The roles are there, nothing else.
    pub(crate) async fn start() -> Self {
        Self::start_with(permissions()).await
    }

    /// The same, but for this piece of the rights at NATS.
    pub(crate) async fn start_without(right: &str) -> Self {
        let (all, fewer) = (permissions(), permissions().replacen(right, "", 1));
        assert_ne!(all, fewer, "there is no {right}");
        Self::start_with(fewer).await
    }

    /// Without a role.
    pub(crate) async fn start_bare() -> Self {
        Self::start_around(permissions()).await
    }

    async fn start_with(configuration: String) -> Self {
        let guarded = Self::start_around(configuration).await;
        guarded.make_roles().await;
        guarded
    }

    async fn start_around(configuration: String) -> Self {
        let account = Account::sample_at(jiff::Timestamp::now());
        let options = NatsOptions { configuration, ..NatsOptions::default() };
        let postgres = PostgresServer::start(PostgresOptions::default()).await.unwrap();
        Self { world: World::start_between(account, options, postgres).await.unwrap() }
    }

    /// As superuser.
    pub(crate) async fn execute(&self, sql: &str) {
        let mut connection = self.world.connect().await.unwrap();
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection.close().await.unwrap();
    }

    /// A role that may log in.
    pub(crate) async fn create_role(&self, role: &str, attributes: &str) {
        let password = format!("password 'password of {role}'");
        self.execute(&format!("create role {role} login {attributes} {password}")).await;
    }

    /// Migrated by the superuser, to whom everything belongs then.
    pub(crate) async fn migrate_as_superuser(&self) -> Finished {
        let finished = self.world.loader(&["migrate"]).run().await.unwrap();
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        finished
    }

    pub(crate) async fn make_roles(&self) {
        let mut connection = self.world.connect().await.unwrap();
        sqlx::raw_sql(ROLES).execute(&mut connection).await.unwrap();
        for role in [LOADER, FETCHER, ANALYST] {
            let sql = format!("alter role {role} login password 'password of {role}'");
            connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
        }
        connection.close().await.unwrap();
    }

    /// As the administrator; with a root key for the vault.
    pub(crate) async fn set_up(&self) -> Finished {
        let key = self.world.postgres().write_server_file("root.key", ROOT_KEY).unwrap();
        let setup = self.world.loader(&["setup"]).env("VAULT_KEY_FILE", key);
        let finished = as_user(setup, ADMIN).run().await.unwrap();
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        finished
    }

    /// As its own user, at NATS and at Postgres.
    pub(crate) fn fetcher(&self, arguments: &[&str]) -> Worker {
        as_user(self.world.fetcher(arguments), FETCHER).env("DATABASE_URL", self.url(FETCHER))
    }

    /// As its own user, at NATS and at Postgres.
    pub(crate) fn loader(&self, arguments: &[&str]) -> Worker {
        self.loader_as(LOADER, arguments)
    }

    /// At NATS as the loader's user, at Postgres as any role.
    pub(crate) fn loader_as(&self, role: &str, arguments: &[&str]) -> Worker {
        as_user(self.world.loader(arguments), LOADER).env("DATABASE_URL", self.url(role))
    }

    pub(crate) async fn connect_as(&self, role: &str) -> PgConnection {
        PgConnection::connect(&self.url(role)).await.unwrap()
    }

    fn url(&self, role: &str) -> String {
        let (port, name) = (self.world.postgres().port(), &self.world.database.name);
        format!("postgres://{role}:password%20of%20{role}@127.0.0.1:{port}/{name}")
    }
}

/// Everything that opens something for the programs' users.
pub(crate) fn secrets() -> Vec<String> {
    let mut secrets = vec![tests::toggl::TOKEN.to_owned()];
    for user in [FETCHER, LOADER] {
        secrets.extend([password(user), format!("password of {user}")]);
        secrets.push(format!("password%20of%20{user}"));
    }
    secrets
}

fn as_user(worker: Worker, user: &str) -> Worker {
    worker.env("NATS_USER", user).env("NATS_PASSWORD", password(user))
}

pub(crate) fn password(user: &str) -> String {
    format!("nats password of {user}")
}

/// The block `authorization` of the compose stack. Who says no name, as the harness, is the
/// administrator.
fn permissions() -> String {
    let (_, rest) = COMPOSE.split_once("      authorization {\n").unwrap();
    let (block, _) = rest.split_once("\n      }\n").unwrap();
    let block = block.replace("$$", "$");
    let variables = [("ADMIN", ADMIN), ("FETCHER", FETCHER), ("LOADER", LOADER)]
        .map(|(name, user)| format!("NATS_{name}_PASSWORD: '{}'\n", password(user)))
        .concat();
    format!("{variables}authorization {{\n{block}\n}}\nno_auth_user: {ADMIN}\n")
}
