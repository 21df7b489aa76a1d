//! Servers that are too old say so at the start, and not when something is missing in them.

use jiff::Timestamp;
use tests::toggl::Account;
use tests::world::World;
use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::expected::endings::assert_fails;

/// A way to a server, on which the server's words are replaced; its port.
async fn disguised(server: u16, words: &str, by: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (words, by) = (words.as_bytes().to_vec(), by.as_bytes().to_vec());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (words, by) = (words.clone(), by.clone());
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let server = TcpStream::connect(("127.0.0.1", server)).await?;
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { io::copy(&mut from_client, &mut to_server).await });
                let mut said = vec![0; 64 * 1024];
                // What a server says of itself comes in one piece.
                while let Ok(length @ 1..) = from_server.read(&mut said).await {
                    let said = replaced(&said[..length], &words, &by);
                    to_client.write_all(&said).await?;
                }
                io::Result::Ok(())
            });
        }
    });
    port
}

fn replaced(said: &[u8], words: &[u8], by: &[u8]) -> Vec<u8> {
    let Some(at) = said.windows(words.len()).position(|window| window == words) else {
        return said.to_vec();
    };
    [&said[..at], by, &said[at + words.len()..]].concat()
}

#[tokio::test]
async fn a_nats_server_that_is_too_old_is_named_with_the_version_that_is_needed() {
    let world = World::start_empty(Account::sample_at(Timestamp::now())).await.unwrap();
    let nats = async_nats::connect(world.nats.url()).await.unwrap();
    let version = |version: &str| format!("\"version\":\"{version}\"");
    let is = version(&nats.server_info().version);
    let port = disguised(world.nats.port(), &is, &version("2.9.25")).await;
    let url = format!("nats://127.0.0.1:{port}");
    let words = ["version 2.9.25; 2.10 or newer is needed"];
    for worker in [world.fetcher(&[]), world.loader(&[]), world.loader(&["setup"])] {
        assert_fails(&worker.env("NATS_URL", &url).run().await.unwrap(), 5, &words);
    }
    for worker in [world.fetcher(&["check"]), world.loader(&["check"])] {
        let finished = worker.env("NATS_URL", &url).run().await.unwrap();
        assert!(finished.stdout.contains(words[0]), "{finished:#?}");
        assert_eq!(finished.code, Some(5), "{finished:#?}");
    }
}

#[tokio::test]
async fn a_postgres_that_is_too_old_is_named_with_the_version_that_is_needed() {
    let world = World::start_empty(Account::sample_at(Timestamp::now())).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let version: String =
        sqlx::query_scalar("show server_version").fetch_one(&mut connection).await.unwrap();
    let parameter = |version: &str| format!("server_version\0{version}");
    let port = world.postgres().port();
    let disguise = disguised(port, &parameter(version.get(..2).unwrap()), &parameter("13")).await;
    let url = world.database.url.replace(&format!(":{port}/"), &format!(":{disguise}/"));
    let words = ["Postgres is version 13; 14 or newer is needed"];
    let commands: [&[&str]; 3] = [&[], &["migrate"], &["setup"]];
    for command in commands {
        let worker = world.loader(command).env("DATABASE_URL", &url);
        assert_fails(&worker.run().await.unwrap(), 1, &words);
    }
    let finished = world.loader(&["check"]).env("DATABASE_URL", &url).run().await.unwrap();
    assert!(finished.stdout.contains(words[0]), "{finished:#?}");
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    let made: bool = sqlx::query_scalar("select to_regnamespace('raw') is not null")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(!made, "nothing was begun");
}
