//! Accounts in a vault, each of a user of its own, beside a simulated Toggl that serves all of them.

use jiff::{SignedDuration, Timestamp};
use tests::toggl::{Account, Simulator, with_fields};
use tests::workers::{Finished, Worker};
use tests::world::World;

/// The vault's accounts, in its order: `a00`, `a01`, …
pub(crate) struct ManyAccounts {
    pub(crate) world: World,
    pub(crate) toggl: Simulator,
}

/// The name of an account in the vault.
pub(crate) fn name(number: usize) -> String {
    format!("a{number:02}")
}

/// Its API token.
pub(crate) fn token(number: usize) -> String {
    format!("{number:032}")
}

/// Whose it is.
pub(crate) fn user_id(number: usize) -> i64 {
    9_000 + i64::try_from(number).unwrap()
}

/// A member of the sample's workspace with one entry of its own.
pub(crate) fn member(number: usize) -> Account {
    let mut account = Account::sample_at(Timestamp::now());
    let others: Vec<i64> = account.time_entries().map(tests::toggl::TimeEntry::id).collect();
    for id in others {
        account.delete_time_entry(id, Timestamp::now() - SignedDuration::from_hours(24 * 80));
    }
    account.set_token(&token(number));
    let id = user_id(number).to_string();
    account.set_me(&with_fields(account.me(), &[("id", id.as_str())]));
    let workspace = account.workspaces()[0].text().to_owned();
    let role = [("admin", "false"), ("role", r#""user""#)];
    account.put_workspace(&with_fields(&workspace, &role));
    let start = Timestamp::now() - SignedDuration::from_hours(3);
    account.put_time_entry(&format!(
        r#"{{"id":{id},"workspace_id":2230991,"user_id":{id},"start":"{start:.0}","stop":"{start:.0}","at":"{start:.0}","duration":0,"server_deleted_at":null}}"#
    ));
    account
}

impl ManyAccounts {
    pub(crate) async fn start(accounts: Vec<Account>) -> Self {
        let world = World::start_with_own_postgres(Account::empty()).await.unwrap();
        crate::credentials::vault::give_key(&world).await;
        let tokens: Vec<String> = accounts.iter().map(|a| a.token().to_owned()).collect();
        let many = Self { world, toggl: Simulator::start_many(accounts).await };
        for (number, token) in tokens.iter().enumerate() {
            many.store(number, token).await;
        }
        many
    }

    /// Puts a token into the vault.
    pub(crate) async fn store(&self, number: usize, token: &str) {
        let secret = format!(r#"{{"api_token":"{token}","_auth_type":"api_key"}}"#);
        let mut connection = self.world.connect().await.unwrap();
        sqlx::query("select vault.create_secret($1, $2)")
            .bind(secret)
            .bind(format!("toggl_track:{}", name(number)))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    pub(crate) fn fetcher(&self, arguments: &[&str]) -> Worker {
        let fetcher = self.world.fetcher(&[&["--account", "all"], arguments].concat());
        let fetcher =
            fetcher.without("TOGGL_API_TOKEN").env("TOGGL_URL", self.toggl.url().as_str());
        fetcher.env("DATABASE_URL", &self.world.database.url)
    }

    pub(crate) async fn sync(&self, arguments: &[&str]) -> Finished {
        self.fetcher(arguments).run().await.unwrap()
    }

    /// Stores all that was published.
    pub(crate) async fn load(&self) {
        let loader = self.world.start_loader().await.unwrap();
        self.world.loaded_by(&loader).await.unwrap();
        assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    }
}
