//! A world whose loaders log in with a role of their own, which can be refused as the superuser cannot.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tests::proxy::Proxy;
use tests::toggl::Account;
use tests::workers::Worker;
use tests::world::World;

use crate::staging::catalogue::new_role;

pub(crate) struct Admitted {
    pub(crate) world: World,
    pub(crate) role: String,
    url: String,
}

impl Admitted {
    /// The role owns the database, and everything that the loader makes there.
    pub(crate) async fn start() -> Self {
        Self::over(World::start_empty(Account::empty()).await.unwrap()).await
    }

    pub(crate) async fn over(world: World) -> Self {
        let mut connection = world.connect().await.unwrap();
        let role = new_role(&mut connection, "login password 'secret'").await;
        let own = format!("alter database {} owner to {role}", world.database.name);
        connection.execute(AssertSqlSafe(own)).await.unwrap();
        connection.close().await.unwrap();
        let mut url: url::Url = world.database.url.parse().unwrap();
        url.set_username(&role).unwrap();
        url.set_password(Some("secret")).unwrap();
        Self { world, role, url: url.into() }
    }

    pub(crate) fn loader(&self, arguments: &[&str]) -> Worker {
        self.world.loader(arguments).env("DATABASE_URL", &self.url)
    }

    /// The same through a proxy.
    pub(crate) fn loader_through(&self, postgres: &Proxy) -> Worker {
        let direct = format!(":{}/", self.world.postgres().port());
        let url = self.url.replace(&direct, &format!(":{}/", postgres.port()));
        self.world.loader(&[]).env("DATABASE_URL", url)
    }

    /// As the superuser, in another database; `{role}` and `{database}` stand for the names.
    pub(crate) async fn execute(&self, sql: &str) {
        let mut connection = self.world.postgres().connect("postgres").await.unwrap();
        let sql = sql.replace("{role}", &self.role);
        let sql = sql.replace("{database}", &self.world.database.name);
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Ends all sessions of the role.
    pub(crate) async fn end_sessions(&self) {
        self.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'",
        )
        .await;
    }
}
