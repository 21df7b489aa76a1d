//! Rows that flow while something breaks: time entries that are new, change and go, and tags.

use std::time::Duration;

use async_nats::ConnectOptions;
use fetcher::publisher::Publisher;
use jiff::Timestamp;
use shared::batch::Record;
use shared::listing::{Listing, Span};
use shared::resource::{Resource, Scope};
use sqlx::Connection as _;
use tests::servers::{DEADLINE, wait_for};
use tests::toggl::Account;
use tests::workers::Resident;
use tests::world::World;

use crate::expected::oracle::Oracle;
use crate::expected::rows::resource;
use crate::given::batches::{USER, WORKSPACE, moment, record};

/// Entries of a listing, few in the tests that need many batches.
const ENTRIES_PER_LISTING: i64 = 15;
const MAX_PAYLOAD: usize = 1024 * 1024;

/// Publishes as the fetcher does, with its publisher, and notes what was acknowledged.
pub(crate) struct Flow {
    pub(crate) oracle: Oracle,
    publisher: Publisher,
    entries_per_listing: i64,
    /// Where it began.
    first: i64,
    /// Where it is; the time of the flow.
    listings: i64,
}

/// A world in which stream, consumers and tables have been made.
pub(crate) async fn prepared(world: World) -> World {
    let loader = world.start_loader().await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    world
}

/// A prepared world and a flow in it.
pub(crate) async fn start() -> (World, Flow) {
    let world = prepared(World::start(Account::empty()).await.unwrap()).await;
    let flow = Flow::new(&world, ENTRIES_PER_LISTING).await;
    (world, flow)
}

/// The same with a Postgres that may be stopped.
pub(crate) async fn start_with_own_postgres() -> (World, Flow) {
    let world = World::start_with_own_postgres(Account::empty()).await.unwrap();
    let world = prepared(world).await;
    let flow = Flow::new(&world, ENTRIES_PER_LISTING).await;
    (world, flow)
}

impl Flow {
    pub(crate) async fn new(world: &World, entries_per_listing: i64) -> Self {
        let options = ConnectOptions::new().ping_interval(Duration::from_secs(5));
        let client = options.connect(world.nats_addresses()).await.unwrap();
        let publisher = Publisher::new(shared::nats::jetstream(client), MAX_PAYLOAD);
        Self { oracle: Oracle::default(), publisher, entries_per_listing, first: 0, listings: 0 }
    }

    /// Begins so many listings later, where nobody else has entries.
    pub(crate) fn beginning_at(self, first: i64) -> Self {
        Self { first, listings: first, ..self }
    }

    /// Publishes so many listings of new entries, each with a tag; every third also lists older
    /// entries again, of which one has gone and one has changed.
    pub(crate) async fn publish(&mut self, listings: i64) {
        for _ in 0..listings {
            self.list(self.listings, "new", None).await;
            let tags = resource("tags");
            // The same few tags again and again.
            let tag = record(tags, self.listings % 50 + 1, self.listings, "tag");
            self.send(tags, Span::Partial, vec![tag]).await;
            if self.listings % 3 == 2 {
                let older = self.first + (self.listings - self.first) / 2;
                self.list(older, "changed", Some(older % self.entries_per_listing)).await;
            }
            self.listings += 1;
        }
    }

    /// The entries of one place in the flow, all but one of them.
    async fn list(&mut self, place: i64, content: &str, without: Option<i64>) {
        let entries = resource("time_entries");
        let first = place * self.entries_per_listing + 1;
        let ids = (0..self.entries_per_listing).filter(|id| Some(*id) != without);
        let records = ids.map(|id| {
            let changed = id % 7 == 0;
            let (at, content) =
                if changed { (self.listings, content) } else { (place, "as it was") };
            record(entries, first + id, at, &format!("{content} {}", first + id))
        });
        let records = records.collect();
        let span = Span::Starts {
            from: moment(first * 100),
            to: moment((first + self.entries_per_listing) * 100),
            user_id: Some(USER),
        };
        self.send(entries, span, records).await;
    }

    async fn send(&mut self, resource: &'static Resource, span: Span, records: Vec<Record>) {
        // As fine as a batch tells it.
        let now = Timestamp::now().as_microsecond();
        let fetched_at = Timestamp::from_microsecond(now).unwrap();
        let workspace_id = match resource.scope {
            Scope::Account => 0,
            Scope::Workspace => WORKSPACE,
        };
        let listing = Listing {
            resource,
            workspace_id,
            fetched_at,
            span,
            records: records.clone(),
            rejected: Vec::new(),
        };
        let published = self.publisher.publish(listing).await.unwrap();
        assert_eq!(published.records, records.len());
        self.oracle.acknowledge(resource, fetched_at, &records);
    }
}

/// Waits until so many batches are loaded.
pub(crate) async fn reached(world: &World, batches: i64, loader: &Resident) {
    let reached = wait_for("the ledger to grow", DEADLINE, || async {
        (loads(world).await? >= batches).then_some(())
    });
    reached.await.unwrap_or_else(|error| panic!("{error:#}\n{}", loader.log()));
}

/// How many batches are loaded.
pub(crate) async fn loads(world: &World) -> Option<i64> {
    let mut connection = world.connect().await.ok()?;
    let sql = "select count(*) from raw.toggl_track__loads";
    let loads = sqlx::query_scalar(sql).fetch_one(&mut connection).await.ok()?;
    connection.close().await.ok()?;
    Some(loads)
}
