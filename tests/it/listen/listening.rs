//! What tests of listening begin with: a synced world, a loader at work, and somebody who listens.

use tests::rows::{RawRow, raw_rows};
use tests::servers::{DEADLINE, free_port, wait_for};
use tests::toggl::{Account, with_fields};
use tests::workers::{Resident, Worker};
use tests::world::World;

use crate::expected::rows::resource;
use crate::reports::reporting::entry;

pub(crate) const WORKSPACE: i64 = 2_230_991;
pub(crate) const ENTRIES: &str = "/api/v9/me/time_entries";
pub(crate) const REPORT: &str = "/reports/api/v3/workspace/2230991/search/time_entries";
pub(crate) const SUBSCRIPTIONS: &str = "/webhooks/api/v1/subscriptions/2230991";
/// Of nobody who logs in.
pub(crate) const OTHER_USER: i64 = 77;

pub(crate) struct Listening {
    pub(crate) world: World,
    pub(crate) loader: Resident,
    pub(crate) listener: Resident,
    pub(crate) url: String,
}

impl Listening {
    /// A sample account, synced and listened to.
    pub(crate) async fn start() -> Self {
        Self::of(Account::sample_at(jiff::Timestamp::now()), &[]).await
    }

    pub(crate) async fn of(account: Account, arguments: &[&str]) -> Self {
        let this = Self::beginning(account, arguments).await;
        this.rings().await;
        this
    }

    /// The same, whatever becomes of the subscription.
    pub(crate) async fn beginning(account: Account, arguments: &[&str]) -> Self {
        let world = World::start(account).await.unwrap();
        Self::in_world(world, arguments).await
    }

    pub(crate) async fn in_world(world: World, arguments: &[&str]) -> Self {
        world.sync(&[]).await.unwrap();
        let loader = world.start_loader().await.unwrap();
        // The tables are there then.
        loader.logged("Loading", DEADLINE).await.unwrap();
        let url = format!("http://127.0.0.1:{}", free_port().unwrap());
        let listener = worker(&world, &url, arguments).start().await.unwrap();
        Self { world, loader, listener, url }
    }

    /// Until Toggl tells, and the look at what there was before is over.
    pub(crate) async fn rings(&self) {
        self.listener.logged("Toggl tells of workspace", DEADLINE).await.unwrap();
        self.listener.logged("Finished in", DEADLINE).await.unwrap();
    }

    /// Somebody else who listens at the same address.
    pub(crate) fn another(&self, arguments: &[&str]) -> Worker {
        worker(&self.world, &self.url, arguments)
    }

    /// The row of a table, once it is as it should be.
    pub(crate) async fn row(&self, table: &str, id: i64, is: impl Fn(&RawRow) -> bool) -> RawRow {
        let look = || async {
            let mut connection = self.world.connect().await.unwrap();
            let rows = raw_rows(&mut connection, resource(table)).await.unwrap();
            rows.get(&id).filter(|row| is(row)).cloned()
        };
        let what = format!("{table} {id}");
        match wait_for(&what, DEADLINE, look).await {
            Ok(row) => row,
            Err(error) => panic!("{error:#}\n{}\n{}", self.listener.log(), self.loader.log()),
        }
    }

    /// Requests to Toggl's API and reports so far, but for those that look after subscriptions.
    pub(crate) fn requests(&self) -> usize {
        self.world.toggl.count("/api/") + self.world.toggl.count("/reports/")
    }

    /// What a delivery to the workspace is answered with.
    pub(crate) async fn post(&self, signature: Option<&str>, body: impl Into<Vec<u8>>) -> u16 {
        let url = format!("{}/deliveries/{WORKSPACE}", self.url);
        let request = client().post(url).body(body.into());
        let request = match signature {
            Some(signature) => request.header("x-webhook-signature-256", signature),
            None => request,
        };
        request.send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn answer(&self, path: &str) -> (u16, String) {
        let response = client().get(format!("{}{path}", self.url)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// A metric of the listener.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.answer("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.parse().ok())
    }

    pub(crate) async fn end(&self) {
        assert_eq!(self.listener.terminate().await.unwrap(), Some(0), "{}", self.listener.log());
        assert_eq!(self.loader.terminate().await.unwrap(), Some(0), "{}", self.loader.log());
    }
}

fn worker(world: &World, url: &str, arguments: &[&str]) -> Worker {
    let address = url.strip_prefix("http://").unwrap();
    let own = ["listen", "--public-url", url, "--address", address];
    let usual = [("--gap", "200ms"), ("--check-every", "1s")];
    let usual = usual.iter().filter(|(name, _)| !arguments.contains(name));
    let usual = usual.flat_map(|(name, value)| [*name, *value]);
    world
        .fetcher(&own.into_iter().chain(usual).chain(arguments.iter().copied()).collect::<Vec<_>>())
}

pub(crate) fn client() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A stopped entry of the token's own user, just made.
pub(crate) fn own_entry(account: &Account, id: i64) -> String {
    let now = jiff::Timestamp::now();
    let entry = entry(account, id, now - jiff::SignedDuration::from_hours(2));
    with_fields(&entry, &[("at", &format!("\"{now:.0}\""))])
}

/// A stopped entry of somebody else.
pub(crate) fn others_entry(account: &Account, id: i64) -> String {
    let start = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(30);
    let entry = entry(account, id, start);
    with_fields(&entry, &[("user_id", &OTHER_USER.to_string()), ("description", r#""theirs""#)])
}
