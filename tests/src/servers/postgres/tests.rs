use std::net::{Ipv4Addr, TcpListener};

use sqlx::Row;

use super::*;
use crate::servers::shared_postgres;

async fn words(url: &str) -> Vec<String> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let rows = connection.fetch_all("select word from words order by word").await.unwrap();
    rows.iter().map(|row| row.get("word")).collect()
}

async fn write_word(url: &str, word: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute("create table if not exists words (word text)").await.unwrap();
    sqlx::query("insert into words values ($1)").bind(word).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn databases_of_one_server_are_separate() {
    let server = shared_postgres().await.unwrap();
    let first = server.create_database().await.unwrap();
    let second = server.create_database().await.unwrap();
    write_word(&first.url, "first").await;
    write_word(&second.url, "second").await;
    assert_eq!(words(&first.url).await, ["first"]);
    assert_eq!(words(&second.url).await, ["second"]);
}

#[tokio::test]
async fn wrong_password_is_refused() {
    let server = shared_postgres().await.unwrap();
    let url = server.url("postgres").replace(&server.cluster.password, "wrong");
    assert!(PgConnection::connect(&url).await.is_err());
}

#[tokio::test]
async fn committed_rows_survive_every_kind_of_restart() {
    let server = PostgresServer::start(PostgresOptions::default()).await.unwrap();
    let Database { url, .. } = server.create_database().await.unwrap();
    write_word(&url, "before").await;
    server.restart(Shutdown::Fast).await.unwrap();
    write_word(&url, "fast").await;
    server.restart(Shutdown::Immediate).await.unwrap();
    write_word(&url, "immediate").await;
    // Held open, so that a backend is there to outlive the postmaster.
    let connection = PgConnection::connect(&url).await.unwrap();
    server.kill9().unwrap();
    assert!(!server.is_running());
    server.restart(Shutdown::Fast).await.unwrap();
    drop(connection);
    assert_eq!(words(&url).await, ["before", "fast", "immediate"]);
}

#[tokio::test]
async fn fsync_is_off_unless_asked_for() {
    let server = PostgresServer::start(PostgresOptions { fsync: true }).await.unwrap();
    for (server, expected) in [(&server, "on"), (shared_postgres().await.unwrap(), "off")] {
        let mut connection = server.connect("postgres").await.unwrap();
        let fsync: String = connection.fetch_one("show fsync").await.unwrap().get(0);
        assert_eq!(fsync, expected);
    }
}

#[tokio::test]
async fn stored_text_is_found_in_the_files() {
    let server = shared_postgres().await.unwrap();
    let database = server.create_database().await.unwrap();
    write_word(&database.url, "needle-in-the-heap").await;
    let found = server.files_containing(b"needle-in-the-heap").await.unwrap();
    let wal = server.data_dir().join("pg_wal");
    assert!(found.iter().any(|path| path.starts_with(&wal)), "{found:?}");
    assert!(found.iter().any(|path| !path.starts_with(&wal)), "{found:?}");
    assert!(server.files_containing(b"needle-that-is-nowhere").await.unwrap().is_empty());
}

#[tokio::test]
async fn server_reads_the_file_written_for_it() {
    let server = shared_postgres().await.unwrap();
    let path = server.write_server_file("root.key", b"0123abcd").unwrap();
    let mut connection = server.connect("postgres").await.unwrap();
    let read: String = sqlx::query_scalar("select pg_read_file($1)")
        .bind(path.to_str().unwrap())
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(read, "0123abcd");
}

#[tokio::test]
async fn restart_waits_until_the_port_is_free_again() {
    let server = PostgresServer::start(PostgresOptions::default()).await.unwrap();
    server.stop(Shutdown::Fast).await.unwrap();
    let stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, server.port())).unwrap();
    server.process.start_again().unwrap();
    assert!(!server.ready().await.unwrap());
    drop(stranger);
    server.restart(Shutdown::Fast).await.unwrap();
    assert!(server.is_running());
}

#[tokio::test]
#[ignore = "needs the network, for 25 MB"]
async fn fetched_postgres_starts_also_from_a_folder_that_is_closed_to_its_user() {
    let cache = tempfile::tempdir().unwrap();
    let places = Places {
        postgres_bin: None,
        postgres_folders: Vec::new(),
        cache: cache.path().into(),
        ..Places::from_environment()
    };
    let server = PostgresServer::start_from(places, PostgresOptions::default()).await.unwrap();
    let database = server.create_database().await.unwrap();
    write_word(&database.url, "fetched").await;
    assert_eq!(words(&database.url).await, ["fetched"]);
}
