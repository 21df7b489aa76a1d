//! The API token goes out encrypted, or stays on this machine, unless somebody has said otherwise.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use tests::toggl::{Account, Answer, Simulator, TOKEN};
use tests::workers::Worker;
use tests::world::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::expected::endings::{assert_misused, assert_unspoken};

/// Longer than a refusal takes on a busy machine.
const SOON: Duration = Duration::from_secs(30);

async fn world() -> World {
    World::start(Account::sample_at(Timestamp::now())).await.unwrap()
}

/// A proxy that lets nobody through, and keeps what it was told.
async fn proxy() -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let hearing = Arc::clone(&hearing);
            tokio::spawn(async move {
                let mut bytes = vec![0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut bytes).await {
                    hearing.lock().unwrap().extend_from_slice(&bytes[..read]);
                    stream
                        .write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
                        .await
                        .ok();
                }
            });
        }
    });
    (address, heard)
}

fn heard(bytes: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned()
}

/// What a request that carries the token says.
fn token_on_the_way() -> String {
    STANDARD.encode(format!("{TOKEN}:api_token"))
}

#[tokio::test]
async fn an_address_in_clear_on_another_machine_is_refused_by_every_command_that_asks_toggl() {
    for address in [
        "http://toggl.example",
        "HTTP://toggl.example:8080/hunter2",
        "http://192.168.1.1:8080",
        "http://[2001:db8::1]",
        "http://localhost.example",
        "http://0.0.0.0",
    ] {
        for command in [
            &[][..],
            &["check"],
            &["report", "--days", "1"],
            &["schedule"],
            &["credentials", "set"],
        ] {
            let by_environment = Worker::new("fetcher", command).env("TOGGL_URL", address);
            let by_argument =
                Worker::new("fetcher", &[command, &["--toggl-url", address]].concat());
            for worker in [by_environment, by_argument] {
                let finished = worker.env("TOGGL_API_TOKEN", TOKEN).run().await.unwrap();
                assert_misused(
                    &finished,
                    &["TOGGL_URL", "in clear", "https://", "TOGGL_ALLOW_HTTP"],
                );
                assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
                assert_unspoken(&finished, "hunter2");
            }
        }
    }
    // What a schedule would start.
    let words = ["schedule", "--", "--toggl-url", "http://toggl.example"];
    assert_misused(&Worker::new("fetcher", &words).run().await.unwrap(), &["TOGGL_ALLOW_HTTP"]);
    // Who asks nobody needs no such address.
    let man = Worker::new("fetcher", &["man"]).env("TOGGL_URL", "http://toggl.example");
    assert_eq!(man.run().await.unwrap().code, Some(0));
}

#[tokio::test]
async fn it_goes_out_in_clear_where_somebody_has_allowed_that() {
    let world = world().await;
    let (proxy, heard_by_proxy) = proxy().await;
    let check = world.fetcher(&["check"]).env("TOGGL_URL", "http://toggl.example");
    let check = check.env("TOGGL_ALLOW_HTTP", "true").env("HTTP_PROXY", proxy);
    let finished = check.run().await.unwrap();
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(heard(&heard_by_proxy).contains(&token_on_the_way()), "{}", heard(&heard_by_proxy));
}

#[tokio::test]
async fn what_stays_on_this_machine_goes_by_no_proxy() {
    let world = world().await;
    let (proxy, heard_by_proxy) = proxy().await;
    let mut sync = world.fetcher(&["--only", "tags"]).env("NO_PROXY", "").env("no_proxy", "");
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        sync = sync.env(name, &proxy);
    }
    let finished = sync.run().await.unwrap();
    assert_eq!(heard(&heard_by_proxy), "");
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

#[tokio::test]
async fn a_proxy_is_told_the_host_and_not_the_token() {
    let world = world().await;
    let (proxy, heard_by_proxy) = proxy().await;
    let check = world.fetcher(&["check"]).env("TOGGL_URL", "https://toggl.example");
    let finished = check.env("HTTPS_PROXY", proxy).run().await.unwrap();
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    let heard = heard(&heard_by_proxy);
    assert!(heard.starts_with("CONNECT toggl.example:443 "), "{heard}");
    assert!(!heard.contains(&token_on_the_way()) && !heard.contains(TOKEN), "{heard}");
}

#[tokio::test]
async fn a_redirect_takes_the_token_nowhere() {
    let world = world().await;
    let other = Simulator::start(Account::sample_at(Timestamp::now())).await;
    for status in [301, 302, 303, 307, 308] {
        for target in [other.url(), world.toggl.url()] {
            world.toggl.clear_scripts();
            let to = format!("{target}api/v9/elsewhere");
            let answer = Answer::status(status).header("location", &to);
            world.toggl.script("/api/v9/me", answer);
            let finished = world.fetcher(&["check"]).run().await.unwrap();
            assert_ne!(finished.code, Some(0), "{status}: {finished:#?}");
            assert!(finished.elapsed < SOON, "{finished:#?}");
            assert!(finished.stdout.contains(&status.to_string()), "{finished:#?}");
        }
    }
    assert_eq!(world.toggl.count("/api/v9/elsewhere"), 0);
    assert_eq!(other.requests().len(), 0);
}
