//! Everything one test needs: NATS, a database, a simulated Toggl, and the workers between them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use async_nats::jetstream::{self, Context};
use shared::catalogue::CATALOGUE;
use shared::consumer::ack_floor;
use shared::resource::Resource;
use shared::stream::{BUCKET, STREAM};
use sqlx::PgConnection;

use crate::migrated::migrated_database;
use crate::proxy::Proxy;
use crate::servers::cluster::start_cluster;
use crate::servers::{
    DEADLINE, Database, NatsOptions, NatsServer, PgBouncer, PoolMode, PoolerOptions,
    PostgresOptions, PostgresServer, shared_postgres, wait_for, wait_until_ok,
};
use crate::toggl::{Account, Simulator};
use crate::workers::{Finished, Resident, Worker};

/// A world of its own: a NATS server, a database, a simulator.
#[derive(Debug)]
pub struct World {
    /// Its own server.
    pub nats: NatsServer,
    /// The other nodes, where that is one of a cluster.
    pub peers: Vec<NatsServer>,
    /// Its own database.
    pub database: Database,
    /// Toggl.
    pub toggl: Simulator,
    /// Through which the workers reach the database, if there is one.
    pub pooler: Option<PgBouncer>,
    postgres: Postgres,
}

/// The server that holds a world's database.
#[derive(Debug)]
enum Postgres {
    Shared(&'static PostgresServer),
    Own(Box<PostgresServer>),
}

impl World {
    /// A migrated database, an empty stream, and this account at Toggl.
    ///
    /// # Errors
    /// When a server cannot be started; the error says how to install it.
    pub async fn start(account: Account) -> Result<Self> {
        Self::start_with(account, NatsOptions::default()).await
    }

    /// The same before the first migration.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_empty(account: Account) -> Result<Self> {
        let postgres = Postgres::Shared(shared_postgres().await?);
        Self::build(account, NatsOptions::default(), postgres).await
    }

    /// The same with settings for the NATS server.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(account: Account, nats: NatsOptions) -> Result<Self> {
        let nats = NatsServer::start(nats).await?;
        Self::migrated(account, nats, Vec::new()).await
    }

    /// With an empty Postgres that nobody else uses: to stop it, or to search its files.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with_own_postgres(account: Account) -> Result<Self> {
        let postgres = PostgresServer::start(PostgresOptions::default()).await?;
        Self::build(account, NatsOptions::default(), Postgres::Own(Box::new(postgres))).await
    }

    /// With settings for the NATS server, and a Postgres that was started already.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_between(
        account: Account,
        nats: NatsOptions,
        postgres: PostgresServer,
    ) -> Result<Self> {
        Self::build(account, nats, Postgres::Own(Box::new(postgres))).await
    }

    /// With a NATS cluster of three nodes, which keep three copies of everything.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with_cluster(account: Account) -> Result<Self> {
        let mut nodes = start_cluster(&NatsOptions::default()).await?;
        let nats = nodes.pop().context("a cluster without nodes")?;
        Self::migrated(account, nats, nodes).await
    }

    async fn migrated(account: Account, nats: NatsServer, peers: Vec<NatsServer>) -> Result<Self> {
        let postgres = Postgres::Shared(shared_postgres().await?);
        Self::around(account, nats, peers, postgres, migrated_database().await?).await
    }

    async fn build(account: Account, nats: NatsOptions, postgres: Postgres) -> Result<Self> {
        let nats = NatsServer::start(nats).await?;
        let database = postgres.server().create_database().await?;
        Self::around(account, nats, Vec::new(), postgres, database).await
    }

    async fn around(
        account: Account,
        nats: NatsServer,
        peers: Vec<NatsServer>,
        postgres: Postgres,
        database: Database,
    ) -> Result<Self> {
        let toggl = Simulator::start(account).await;
        let world = Self { nats, peers, database, toggl, pooler: None, postgres };
        match PoolMode::from_environment()? {
            Some(mode) => world.pooled(mode).await,
            None => Ok(world),
        }
    }

    /// The same world, whose workers reach the database by a `PgBouncer` of its own: `database.url` leads
    /// there. The test's own [connections](Self::connect) do not.
    ///
    /// # Errors
    /// When `PgBouncer` is not installed, or does not answer.
    pub async fn pooled(mut self, options: impl Into<PoolerOptions>) -> Result<Self> {
        let pooler = PgBouncer::before(self.postgres(), options).await?;
        self.database.url = pooler.instead_of(&self.database.url)?;
        self.pooler = Some(pooler);
        Ok(self)
    }

    /// Every node of NATS.
    pub fn nodes(&self) -> impl Iterator<Item = &NatsServer> {
        std::iter::once(&self.nats).chain(&self.peers)
    }

    fn copies(&self) -> String {
        self.nodes().count().to_string()
    }

    /// The server that holds the database.
    pub fn postgres(&self) -> &PostgresServer {
        self.postgres.server()
    }

    /// The fetcher with everything set as a user would, at a pace that needs no waiting.
    pub fn fetcher(&self, arguments: &[&str]) -> Worker {
        let token = self.toggl.with_account(|account| account.token().to_owned());
        Worker::new("fetcher", arguments)
            .env("NATS_URL", self.nats_addresses().join(","))
            .env("STREAM_REPLICAS", self.copies())
            .env("TOGGL_URL", self.toggl.url().as_str())
            .env("TOGGL_API_TOKEN", token)
            .env("TOGGL_REQUESTS_PER_SECOND", "1000")
            .env("TOGGL_BURST", "1000")
            .env("STREAM_MAX_BYTES", "268435456")
    }

    /// The loader with everything set; messages of a killed loader come again after two seconds. It
    /// serves no page, for which loaders of other tests would contend.
    pub fn loader(&self, arguments: &[&str]) -> Worker {
        Worker::new("loader", arguments)
            .env("NATS_URL", self.nats_addresses().join(","))
            .env("STREAM_REPLICAS", self.copies())
            .env("DATABASE_URL", &self.database.url)
            .env("LOADER_ACK_WAIT", "2s")
            .env("LOADER_HTTP", "off")
            .env("STREAM_MAX_BYTES", "268435456")
    }

    /// A resident loader.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start_loader(&self) -> Result<Resident> {
        self.loader(&[]).start().await
    }

    /// Fetches with these arguments, and insists on success.
    ///
    /// # Errors
    /// When the exit code is not 0; the error shows the output.
    pub async fn sync(&self, arguments: &[&str]) -> Result<Finished> {
        let finished = self.fetcher(arguments).run().await?;
        ensure!(finished.code == Some(0), "the fetcher failed: {finished:#?}");
        Ok(finished)
    }

    /// `DATABASE_URL` for a worker whose connections go through a proxy before Postgres.
    pub fn database_url_through(&self, proxy: &Proxy) -> String {
        let direct = format!(":{}/", self.postgres().port());
        self.database.url.replace(&direct, &format!(":{}/", proxy.port()))
    }

    /// Every address of NATS.
    pub fn nats_addresses(&self) -> Vec<String> {
        self.nodes().map(NatsServer::url).collect()
    }

    /// A connection to the database, as superuser; a server that is just coming back is waited for.
    ///
    /// # Errors
    /// When Postgres is not running.
    pub async fn connect(&self) -> Result<PgConnection> {
        let connect = || self.postgres().connect(&self.database.name);
        wait_until_ok("a connection to Postgres", DEADLINE, connect).await
    }

    /// JetStream, as a client without any limits; a server that is just coming back is waited for.
    ///
    /// # Errors
    /// When NATS is not running.
    pub async fn jetstream(&self) -> Result<Context> {
        let connect = async || Ok(async_nats::connect(self.nats_addresses()).await?);
        let client = wait_until_ok("a connection to NATS", DEADLINE, connect).await?;
        Ok(jetstream::new(client))
    }

    /// The stream of the batches; a cluster that is choosing its leader is waited for.
    ///
    /// # Errors
    /// When NATS is not running, or there is no such stream.
    pub async fn stream(&self) -> Result<Stream> {
        let context = self.jetstream().await?;
        let look = async || Ok(context.get_stream(STREAM).await?);
        wait_until_ok("the stream", DEADLINE, look).await
    }

    /// Takes the lease from whoever holds it; that of a killed fetcher else lasts for half a minute.
    ///
    /// # Errors
    /// When NATS is not running, or there is no bucket yet.
    pub async fn forget_lease(&self) -> Result<()> {
        let user_id = self.toggl.with_account(|account| account.user_id());
        let bucket = self.jetstream().await?.get_key_value(BUCKET).await?;
        // Syncs and reports have one each.
        for key in [format!("lease.{user_id}"), format!("lease.{user_id}.report")] {
            bucket.purge(key).await?;
        }
        Ok(())
    }

    /// The same of a killed listener.
    ///
    /// # Errors
    /// As [`forget_lease`](Self::forget_lease).
    pub async fn forget_listener(&self) -> Result<()> {
        let user_id = self.toggl.with_account(|account| account.user_id());
        let bucket = self.jetstream().await?.get_key_value(BUCKET).await?;
        bucket.purge(format!("lease.{user_id}.listen")).await?;
        Ok(())
    }

    /// Waits until the loaders have acknowledged every message of the stream.
    ///
    /// # Errors
    /// When that takes longer than [`DEADLINE`].
    pub async fn loaded(&self) -> Result<()> {
        self.loaded_within(DEADLINE).await
    }

    /// The same; the error shows what this loader has logged.
    ///
    /// # Errors
    /// As [`loaded`](Self::loaded).
    pub async fn loaded_by(&self, loader: &Resident) -> Result<()> {
        self.loaded().await.with_context(|| loader.log())
    }

    /// The same within another time.
    ///
    /// # Errors
    /// When it takes longer.
    pub async fn loaded_within(&self, deadline: Duration) -> Result<()> {
        let context = self.jetstream().await?;
        wait_for("every message to be loaded", deadline, || async {
            is_loaded(&context).await.ok().filter(|loaded| *loaded).map(drop)
        })
        .await
    }

    /// Fetches, loads with a loader of its own, and stops that in order.
    ///
    /// # Errors
    /// When any of these fails.
    pub async fn sync_and_load(&self, arguments: &[&str]) -> Result<Finished> {
        let finished = self.sync(arguments).await?;
        let loader = self.start_loader().await?;
        self.loaded_by(&loader).await?;
        let code = loader.terminate().await?;
        ensure!(code == Some(0), "the loader failed ({code:?}): {}", loader.log());
        Ok(finished)
    }
}

impl Postgres {
    fn server(&self) -> &PostgresServer {
        match self {
            Self::Shared(server) => server,
            Self::Own(server) => server,
        }
    }
}

/// Whether each table has its consumer, and that has settled everything on its subject.
async fn is_loaded(context: &Context) -> Result<bool> {
    let stream = context.get_stream(STREAM).await?;
    for resource in CATALOGUE {
        let last = last_sequence(&stream, resource).await?;
        let Ok(consumer) = stream.consumer_info(resource.consumer()).await else {
            return Ok(false);
        };
        // The server counts what is pending a moment after it has acknowledged a publish; the floor
        // tells whether this message has really been settled.
        let settled = ack_floor(&consumer) >= last;
        if !settled || consumer.num_pending > 0 || consumer.num_ack_pending > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Place of the newest message of a resource in the stream; 0 if there is none.
async fn last_sequence(stream: &Stream, resource: &Resource) -> Result<u64> {
    match stream.get_last_raw_message_by_subject(&resource.subject()).await {
        Ok(message) => Ok(message.sequence),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
        Err(error) => Err(error.into()),
    }
}
