//! A cluster of three NATS servers with three copies of everything: any of them may die at any moment,
//! and a loader may be cut off from all of them.

use std::time::Duration;

use futures::future::join_all;
use shared::stream::{STREAM, bucket_stream};
use tests::proxy::Proxy;
use tests::servers::{DEADLINE, NatsServer, wait_for};
use tests::toggl::{Account, AccountSize, Answer};
use tests::workers::Resident;
use tests::world::World;

use crate::expected::oracle::{Oracle, assert_recovers};
use crate::expected::rows::assert_tables_hold;
use crate::given::flow::{Flow, loads, prepared, reached};

const ME: &str = "/api/v9/me";
const ENTRIES_PER_LISTING: i64 = 15;

/// A loader that does not know the way past its proxies is cut off for so long.
const PARTITION: Duration = Duration::from_secs(12);

async fn start(account: Account) -> World {
    prepared(World::start_with_cluster(account).await.unwrap()).await
}

/// The node that leads a stream.
async fn leader<'a>(world: &'a World, stream: &str) -> &'a NatsServer {
    let context = world.jetstream().await.unwrap();
    wait_for("a leader", DEADLINE, || async {
        let info = context.get_stream(stream).await.ok()?.cached_info().clone();
        let name = info.cluster?.leader?;
        world.nodes().find(|node| node.name() == name)
    })
    .await
    .unwrap()
}

/// Every copy of the stream is whole again, so that the next node may die.
async fn whole(world: &World) {
    let context = world.jetstream().await.unwrap();
    wait_for("every copy to be up to date", DEADLINE, || async {
        let info = context.get_stream(STREAM).await.ok()?.cached_info().clone();
        let cluster = info.cluster.filter(|cluster| cluster.leader.is_some())?;
        let copies = cluster.replicas.iter().filter(|copy| copy.current && !copy.offline).count();
        (copies == 2).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn any_node_may_die_while_rows_flow_the_leader_of_the_stream_too() {
    let world = start(Account::empty()).await;
    let mut flow = Flow::new(&world, ENTRIES_PER_LISTING).await;
    let loader = world.start_loader().await.unwrap();
    let mut victims: Vec<&NatsServer> = world.nodes().collect();
    victims.push(leader(&world, STREAM).await);
    for round in 0..=victims.len() {
        // Whoever leads then.
        let victim = match victims.get(round) {
            Some(victim) => victim,
            None => leader(&world, STREAM).await,
        };
        let before = loads(&world).await.unwrap();
        let killing = async {
            reached(&world, before + 15, &loader).await;
            victim.kill9().unwrap();
            reached(&world, before + 40, &loader).await;
            victim.restart().await.unwrap();
        };
        tokio::join!(flow.publish(40), killing);
        whole(&world).await;
    }
    assert_recovers(&world, &flow.oracle, &[&loader]).await;
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

#[tokio::test]
async fn a_fetcher_goes_on_by_itself_when_the_leader_of_a_stream_of_its_dies() {
    let size = AccountSize { time_entries: 600, days: 50, ..AccountSize::default() };
    let world = start(Account::generate(&size)).await;
    // Makes the bucket.
    world.sync(&[]).await.unwrap();
    // The lease in the bucket is taken after the first answer; the leader is gone by then.
    world.toggl.script(ME, Answer::pass_through().delay(Duration::from_secs(1)));
    for (stream, requests) in [(&*bucket_stream(), 1), (STREAM, 1), (STREAM, 4), (STREAM, 9)] {
        let before = world.toggl.requests().len();
        let victim = leader(&world, stream).await;
        let killing = async {
            wait_for("the fetcher to be at work", DEADLINE, || async {
                (world.toggl.requests().len() >= before + requests).then_some(())
            })
            .await
            .unwrap();
            victim.kill9().unwrap();
        };
        let (finished, ()) = tokio::join!(world.sync(&["--days", "60"]), killing);
        finished.unwrap();
        victim.restart().await.unwrap();
        whole(&world).await;
    }
    let loader = world.start_loader().await.unwrap();
    assert_recovers(&world, &Oracle::default(), &[&loader]).await;
    assert_tables_hold(&world).await;
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

async fn through(world: &World, proxies: &[Proxy]) -> Resident {
    let urls: Vec<_> = proxies.iter().map(Proxy::nats_url).collect();
    let loader = world.loader(&[]).env("NATS_URL", urls.join(","));
    loader.start().await.unwrap()
}

#[tokio::test]
async fn a_loader_cut_off_from_every_node_goes_on_when_it_reaches_one_again() {
    let world = start(Account::empty()).await;
    let mut flow = Flow::new(&world, ENTRIES_PER_LISTING).await;
    let proxies =
        join_all(world.nodes().map(async |node| Proxy::start(node.port()).await.unwrap()));
    let proxies = proxies.await;
    let loader = through(&world, &proxies).await;
    for silently in [false, true] {
        let before = loads(&world).await.unwrap();
        flow.publish(30).await;
        reached(&world, before + 20, &loader).await;
        for proxy in &proxies {
            if silently { proxy.swallow(None) } else { proxy.refuse() }
        }
        flow.publish(30).await;
        tokio::time::sleep(PARTITION).await;
        proxies[1].heal();
        assert_recovers(&world, &flow.oracle, &[&loader]).await;
        proxies.iter().for_each(Proxy::heal);
    }
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}
