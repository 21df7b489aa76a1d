//! Servers that are late: a database that wakes up or is not there yet, and NATS after its loader.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use tests::servers::{DEADLINE, PostgresOptions, PostgresServer, Shutdown};
use tests::toggl::Account;
use tests::world::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::expected::endings::assert_fails;
use crate::expected::rows::assert_tables_hold;
use crate::given::watched::Watched;

/// What Postgres answers while it starts, at its port.
struct Sleeper {
    port: u16,
    /// How many more log-ins find it asleep.
    asleep: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Sleeper {
    async fn before(port: u16, log_ins: usize) -> Self {
        let asleep = Arc::new(AtomicUsize::new(log_ins));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let left = Arc::clone(&asleep);
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let is_asleep = left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
                tokio::spawn(serve(socket, port, is_asleep.is_ok()));
            }
        });
        Self { port: own, asleep, serving }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut client: TcpStream, port: u16, is_asleep: bool) -> std::io::Result<()> {
    if !is_asleep {
        let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
        tokio::io::copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    loop {
        let length = usize::try_from(client.read_u32().await?).unwrap();
        let mut rest = vec![0; length - 4];
        client.read_exact(&mut rest).await?;
        // A question for TLS, and then the packet that begins a session.
        if length == 8 {
            client.write_all(b"N").await?;
            continue;
        }
        let fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";
        client.write_u8(b'E').await?;
        client.write_u32(u32::try_from(fields.len()).unwrap() + 4).await?;
        client.write_all(fields).await?;
        return client.shutdown().await;
    }
}

fn through(world: &World, port: u16) -> String {
    let direct = format!(":{}/", world.postgres().port());
    world.database.url.replace(&direct, &format!(":{port}/"))
}

#[tokio::test]
async fn a_command_waits_for_a_database_that_wakes_up() {
    let world = World::start_empty(Account::empty()).await.unwrap();
    for command in [
        &["migrate"][..],
        &["check"],
        &["setup"],
        &["dead-letters", "list"],
        &["prune", "--keep-loads", "1000d", "--dry-run"],
        &["replay"],
    ] {
        let sleeper = Sleeper::before(world.postgres().port(), 3).await;
        let worker = world.loader(command).env("DATABASE_URL", through(&world, sleeper.port));
        let finished = worker.run().await.unwrap();
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        assert_eq!(sleeper.asleep.load(Ordering::Relaxed), 0, "{command:?}");
        let log = &finished.stderr;
        assert!(log.contains("Waiting for Postgres") && log.contains("starting up"), "{log}");
    }
}

#[tokio::test]
async fn the_vault_of_a_database_that_wakes_up_is_waited_for() {
    let world = World::start_with_own_postgres(Account::sample_at(Timestamp::now())).await.unwrap();
    crate::credentials::vault::give_key(&world).await;
    let set = world.fetcher(&["credentials", "set"]).env("DATABASE_URL", &world.database.url);
    let set = set.stdin(tests::toggl::TOKEN).run().await.unwrap();
    assert_eq!(set.code, Some(0), "{set:#?}");
    let sleeper = Sleeper::before(world.postgres().port(), 3).await;
    let fetcher = world.fetcher(&["--only", "tags"]).without("TOGGL_API_TOKEN");
    let fetcher = fetcher.env("DATABASE_URL", through(&world, sleeper.port));
    let finished = fetcher.run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(finished.stderr.contains("Waiting for Postgres"), "{finished:#?}");
}

#[tokio::test]
async fn a_loader_waits_for_postgres_says_so_and_then_loads() {
    let postgres = PostgresServer::start(PostgresOptions::default()).await.unwrap();
    let account = Account::sample_at(Timestamp::now());
    let world = World::start_between(account, tests::servers::NatsOptions::default(), postgres)
        .await
        .unwrap();
    world.sync(&["--days", "60"]).await.unwrap();
    world.postgres().stop(Shutdown::Fast).await.unwrap();

    let watched = Watched::starting(&world).await;
    watched.answers("/readyz", 503, &["starting", "Postgres", "127.0.0.1"]).await;
    watched.answers("/healthz", 200, &["ok", "database"]).await;
    watched.loader.logged("Waiting for Postgres", DEADLINE).await.unwrap();

    world.postgres().restart(Shutdown::Fast).await.unwrap();
    watched.loader.logged("Postgres is there", DEADLINE).await.unwrap();
    world.loaded_by(&watched.loader).await.unwrap();
    assert_tables_hold(&world).await;
    watched.answers("/readyz", 200, &["ok"]).await;
    assert_eq!(watched.loader.terminate().await.unwrap(), Some(0), "{}", watched.loader.log());
}

#[tokio::test]
async fn a_loader_that_waits_ends_in_order_when_it_is_told_to() {
    let world = World::start_empty(Account::empty()).await.unwrap();
    let nobody = "postgres://eva:hunter2@127.0.0.1:1/db";
    let no_nats = "nats://127.0.0.1:1";
    for (worker, words) in [
        (world.loader(&[]).env("DATABASE_URL", nobody), "Waiting for Postgres"),
        (world.loader(&[]).env("NATS_URL", no_nats), "Waiting for NATS"),
    ] {
        let loader = worker.start().await.unwrap();
        loader.logged(words, DEADLINE).await.unwrap();
        assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
        assert!(!loader.log().contains("hunter2"), "{}", loader.log());
    }
}

#[tokio::test]
async fn a_loader_waits_for_nats_and_then_loads() {
    let world = World::start_empty(Account::sample_at(Timestamp::now())).await.unwrap();
    world.sync(&["--days", "60"]).await.unwrap();
    world.nats.stop().await.unwrap();
    let watched = Watched::starting(&world).await;
    watched.loader.logged("Waiting for NATS", DEADLINE).await.unwrap();
    watched.answers("/readyz", 503, &["starting", "NATS"]).await;
    world.nats.restart().await.unwrap();
    world.loaded_by(&watched.loader).await.unwrap();
    assert_tables_hold(&world).await;
    assert_eq!(watched.loader.terminate().await.unwrap(), Some(0), "{}", watched.loader.log());
}

#[tokio::test]
async fn a_wrong_address_ends_a_loader_at_once() {
    let world = World::start_empty(Account::empty()).await.unwrap();
    let (url, name) = (&world.database.url, &world.database.name);
    let mut wrong: url::Url = url.parse().unwrap();
    wrong.set_password(Some("hunter2")).unwrap();
    for (url, words) in [
        (url.replace(name, "no_such_database"), ["does not exist", "make the database"]),
        (wrong.into(), ["password authentication failed", "DATABASE_URL"]),
    ] {
        let finished = world.loader(&[]).env("DATABASE_URL", url).run().await.unwrap();
        assert_fails(&finished, 5, &words);
        assert!(!finished.stderr.contains("hunter2"), "{finished:#?}");
    }
}
