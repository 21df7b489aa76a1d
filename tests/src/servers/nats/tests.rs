use async_nats::jetstream::{self, stream};
use futures::future::try_join;

use super::*;
use crate::servers::wait_for;

async fn jetstream_of(server: &NatsServer) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

async fn publish(context: &jetstream::Context, text: &'static str) -> u64 {
    context.publish("kept.word", text.into()).await.unwrap().await.unwrap().sequence
}

fn kept() -> stream::Config {
    stream::Config {
        name: "KEPT".into(),
        subjects: vec!["kept.>".into()],
        storage: stream::StorageType::File,
        ..Default::default()
    }
}

#[tokio::test]
async fn acknowledged_messages_survive_kill9_and_restart_on_the_same_port() {
    let server = NatsServer::start(NatsOptions::default()).await.unwrap();
    let (url, pid) = (server.url(), server.pid());
    let context = jetstream_of(&server).await;
    context.create_stream(kept()).await.unwrap();
    assert_eq!(publish(&context, "one").await, 1);

    server.kill9().unwrap();
    assert!(!server.is_running());
    server.restart().await.unwrap();

    assert_eq!(server.url(), url);
    assert_ne!(server.pid(), pid);
    let context = jetstream_of(&server).await;
    let kept = context.get_stream("KEPT").await.unwrap();
    assert_eq!(kept.get_raw_message(1).await.unwrap().payload, "one");
    assert_eq!(publish(&context, "two").await, 2);
}

#[tokio::test]
async fn two_servers_at_once_know_nothing_of_each_other() {
    let start = || NatsServer::start(NatsOptions::default());
    let (first, second) = try_join(start(), start()).await.unwrap();
    jetstream_of(&first).await.create_stream(kept()).await.unwrap();
    assert!(jetstream_of(&second).await.get_stream("KEPT").await.is_err());
}

#[tokio::test]
async fn frozen_server_goes_on_after_cont() {
    let server = NatsServer::start(NatsOptions::default()).await.unwrap();
    server.signal("STOP").unwrap();
    // The system may let it finish an answer before it stops.
    let silent = || async {
        timeout(Duration::from_millis(200), information(server.port())).await.is_err().then_some(())
    };
    wait_for("silence", Duration::from_secs(10), silent).await.unwrap();
    server.signal("CONT").unwrap();
    assert!(information(server.port()).await.is_ok());
}

#[tokio::test]
async fn dropped_server_is_gone_with_its_folder() {
    let server = NatsServer::start(NatsOptions::default()).await.unwrap();
    let (port, store) = (server.port(), server.store_dir());
    assert!(store.exists());
    server.signal("STOP").unwrap();
    drop(server);
    assert!(!store.exists());
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err());
}

#[tokio::test]
async fn bad_configuration_is_answered_with_the_log() {
    let options = NatsOptions { configuration: "no_such_setting: {".into(), ..Default::default() };
    let error = format!("{:#}", NatsServer::start(options).await.unwrap_err());
    assert!(error.contains("Parse error"), "{error}");
}

#[tokio::test]
async fn payload_limit_is_a_setting() {
    let options = NatsOptions { max_payload: 4096, ..Default::default() };
    let server = NatsServer::start(options).await.unwrap();
    let client = async_nats::connect(server.url()).await.unwrap();
    assert_eq!(client.server_info().max_payload, 4096);
}

#[tokio::test]
async fn taken_port_is_told_from_a_failure() {
    let server = NatsServer::start(NatsOptions::default()).await.unwrap();
    let program = Places::from_environment().nats_server().unwrap();
    let folder = RunFolder::create("nats", None).unwrap();
    let options = NatsOptions::default();
    let launch = launch(&program, &folder, &options, "second", server.port()).unwrap();
    let second = ServerProcess::start(launch).unwrap();
    assert!(!ready(&second, "second", server.port(), false).await.unwrap());
}
