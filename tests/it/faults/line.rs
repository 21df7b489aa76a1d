//! The line to NATS or to Postgres is cut, slow or silent while rows flow: row 5 of the fault matrix.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tests::proxy::{Direction, Proxy};
use tests::servers::{DEADLINE, wait_for};
use tests::toggl::{Account, AccountSize};
use tests::workers::Resident;
use tests::world::World;

use crate::expected::oracle::assert_recovers;
use crate::expected::rows::assert_tables_hold;
use crate::given::flow::{self, Flow};

/// Longer than a statement takes, shorter than anybody's time limit.
const OUTAGE: Duration = Duration::from_secs(3);

/// In the middle of a first message, of a header, of a batch, and between batches.
const BYTES: [usize; 4] = [1, 130, 1_500, 9_000];

const DIRECTIONS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Nats,
    Postgres,
}

/// A loader one of whose links goes through a proxy.
async fn start(link: Link) -> (World, Flow, Proxy, Resident) {
    let (world, flow) = flow::start().await;
    let (proxy, loader) = match link {
        Link::Nats => {
            let proxy = Proxy::start(world.nats.port()).await.unwrap();
            let loader = world.loader(&[]).env("NATS_URL", proxy.nats_url());
            (proxy, loader)
        }
        Link::Postgres => {
            let proxy = Proxy::start(world.postgres().port()).await.unwrap();
            let url = world.database_url_through(&proxy);
            (proxy, world.loader(&[]).env("DATABASE_URL", url))
        }
    };
    let loader = loader.start().await.unwrap();
    loader.logged("Loading", DEADLINE).await.unwrap();
    (world, flow, proxy, loader)
}

async fn finish(world: &World, flow: &Flow, loader: &Resident) {
    assert_recovers(world, &flow.oracle, &[loader]).await;
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

async fn cut_at_bytes(link: Link) {
    let (world, mut flow, proxy, loader) = start(link).await;
    for direction in DIRECTIONS {
        for bytes in BYTES {
            proxy.cut_after(direction, bytes);
            let started = Instant::now();
            while proxy.is_waiting() {
                assert!(started.elapsed() < DEADLINE, "it reads on: {}", loader.log());
                flow.publish(2).await;
                let cut = || async { (!proxy.is_waiting()).then_some(()) };
                wait_for("the cut", Duration::from_secs(1), cut).await.ok();
            }
        }
    }
    finish(&world, &flow, &loader).await;
}

#[tokio::test]
async fn connections_to_nats_cut_at_any_byte_lose_and_double_nothing() {
    cut_at_bytes(Link::Nats).await;
}

#[tokio::test]
async fn connections_to_postgres_cut_at_any_byte_lose_and_double_nothing() {
    cut_at_bytes(Link::Postgres).await;
}

async fn fall_silent(link: Link, direction: Option<Direction>) {
    let (world, mut flow, proxy, loader) = start(link).await;
    flow.publish(50).await;
    proxy.swallow(direction);
    flow.publish(50).await;
    tokio::time::sleep(OUTAGE).await;
    proxy.heal();
    finish(&world, &flow, &loader).await;
}

#[tokio::test]
async fn a_nats_that_falls_silent_is_left_for_a_new_connection() {
    tokio::join!(
        fall_silent(Link::Nats, None),
        fall_silent(Link::Nats, Some(Direction::ToServer)),
        fall_silent(Link::Nats, Some(Direction::ToClient)),
    );
}

#[tokio::test]
async fn a_postgres_that_falls_silent_is_left_for_a_new_connection() {
    tokio::join!(
        fall_silent(Link::Postgres, None),
        fall_silent(Link::Postgres, Some(Direction::ToServer)),
        fall_silent(Link::Postgres, Some(Direction::ToClient)),
    );
}

#[tokio::test]
async fn slow_lines_lose_and_double_nothing() {
    for link in [Link::Nats, Link::Postgres] {
        let (world, mut flow, proxy, loader) = start(link).await;
        proxy.delay(Duration::from_millis(40));
        flow.publish(8).await;
        finish(&world, &flow, &loader).await;
    }
}

/// A sync through a proxy, and everything is loaded.
async fn sync(what: &str, disturb: impl AsyncFnOnce(&Proxy)) {
    let world = World::start(Account::generate(&AccountSize::default())).await.unwrap();
    let proxy = Proxy::start(world.nats.port()).await.unwrap();
    let fetcher = world.fetcher(&["--days", "60"]).env("NATS_URL", proxy.nats_url());
    let (finished, ()) = tokio::join!(fetcher.run(), disturb(&proxy));
    let finished = finished.unwrap();
    assert_eq!(finished.code, Some(0), "{what}: {}", finished.stderr);
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    assert_tables_hold(&world).await;
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

/// Connected, and half through with what it has to say.
async fn midway(proxy: &Proxy, direction: Direction, bytes: usize) {
    proxy.cut_after(direction, bytes);
    let cut = || async { (!proxy.is_waiting()).then_some(()) };
    wait_for("the cut", DEADLINE, cut).await.unwrap();
}

#[tokio::test]
async fn a_fetcher_whose_line_to_nats_is_cut_goes_on_by_itself() {
    let cuts = [
        (Direction::ToServer, 2_500),
        (Direction::ToServer, 9_000),
        (Direction::ToClient, 2_500),
        (Direction::ToClient, 4_000),
    ];
    join_all(cuts.map(async |(direction, bytes)| {
        let what = format!("{direction:?} {bytes}");
        sync(&what, async |proxy| midway(proxy, direction, bytes).await).await;
    }))
    .await;
}

#[tokio::test]
async fn a_fetcher_whose_nats_falls_silent_goes_on_by_itself() {
    tokio::join!(
        sync("both", async |proxy| silence(proxy, None).await),
        sync("to the server", async |proxy| silence(proxy, Some(Direction::ToServer)).await),
        sync("to the client", async |proxy| silence(proxy, Some(Direction::ToClient)).await),
    );
}

/// The connection midway falls silent; after a while new ones pass.
async fn silence(proxy: &Proxy, direction: Option<Direction>) {
    midway(proxy, Direction::ToServer, 3_000).await;
    proxy.swallow(direction);
    tokio::time::sleep(OUTAGE).await;
    proxy.heal();
}
