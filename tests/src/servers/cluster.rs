//! Three nats-servers that keep the same streams.

use std::time::Duration;

use anyhow::Result;
use async_nats::jetstream::{self, Context, stream};
use futures::future::try_join_all;
use uuid::Uuid;

use super::nats::{NatsOptions, NatsServer};
use super::ports::free_port;
use super::wait::wait_for;

/// As many as a stream has copies.
const NODES: usize = 3;

/// Choosing a leader takes some seconds.
const READY_DEADLINE: Duration = Duration::from_mins(1);

/// Starts a cluster that takes streams with three copies. Its nodes do not tell clients of each other,
/// so that who connects through a proxy stays behind it.
pub(crate) async fn start_cluster(options: &NatsOptions) -> Result<Vec<NatsServer>> {
    let ports = (0..NODES).map(|_| free_port()).collect::<Result<Vec<_>>>()?;
    let routes: Vec<_> = ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
    let name = Uuid::now_v7().simple();
    let nodes = ports.iter().map(|port| {
        let configuration = format!(
            "{}\ncluster {{\n  name: \"{name}\"\n  listen: \"127.0.0.1:{port}\"\n  routes: {routes:?}\n  \
             no_advertise: true\n}}",
            options.configuration
        );
        NatsServer::start(NatsOptions { configuration, ..options.clone() })
    });
    let nodes = try_join_all(nodes).await?;
    let addresses: Vec<_> = nodes.iter().map(NatsServer::url).collect();
    let context = jetstream::new(async_nats::connect(addresses).await?);
    wait_for("the cluster to take streams", READY_DEADLINE, || async {
        takes_streams(&context).await.ok()
    })
    .await?;
    Ok(nodes)
}

async fn takes_streams(context: &Context) -> Result<()> {
    let probe = stream::Config {
        name: "PROBE".to_owned(),
        subjects: vec!["probe".to_owned()],
        num_replicas: NODES,
        ..stream::Config::default()
    };
    context.create_or_update_stream(probe).await?;
    context.delete_stream("PROBE").await?;
    Ok(())
}
