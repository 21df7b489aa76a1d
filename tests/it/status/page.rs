//! What a loader serves, and how it looks in a real browser.

use jiff::Timestamp;
use shared::catalogue::CATALOGUE;
use tests::browser::Browser;
use tests::servers::{Shutdown, wait_for};
use tests::toggl::Account;
use tests::world::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::expected::endings::assert_fails;
use crate::expected::readable::{SCREENS, assert_readable, picture};
use crate::given::watched::{Watched, ended, status_json};

const DEADLINE: std::time::Duration = std::time::Duration::from_mins(1);

/// Cells of the table, by resource.
const CELLS: &str = "Object.fromEntries([...document.querySelectorAll('tbody tr')].map(tr => \
    [...tr.children].map(td => td.textContent)).map(([name, ...cells]) => [name, cells]))";

fn sample() -> Account {
    Account::sample_at(Timestamp::now())
}

#[tokio::test]
#[ignore = "needs Chromium: .ci/run page"]
async fn the_page_shows_the_true_numbers_at_every_width_and_in_the_dark() {
    let world = World::start(sample()).await.unwrap();
    world.sync_and_load(&[]).await.unwrap();
    let watched = Watched::start(&world).await;
    watched.answers("/", 200, &["healthy", "Loaders: at work"]).await;
    let status = status_json(&world, 0).await;
    let mut browser = Browser::start().await.unwrap();
    for (name, screen) in SCREENS {
        browser.open(&watched.url("/"), screen).await.unwrap();
        let cells = browser.value(CELLS).await.unwrap();
        assert_eq!(cells.as_object().unwrap().len(), CATALOGUE.len());
        for line in status["resources"].as_array().unwrap() {
            let shown = &cells[line["resource"].as_str().unwrap()];
            let places =
                [(0, "rows_live"), (1, "rows_deleted"), (4, "pending"), (6, "dead_letters")];
            for (place, field) in places {
                assert_eq!(shown[place], line[field].to_string(), "{field} of {line}");
            }
        }
        assert_readable(&mut browser, screen).await;
        assert_eq!(
            browser.requests(),
            [format!("\"{}\"", watched.url("/"))],
            "nothing else is loaded"
        );
        picture(&mut browser, &format!("healthy-{name}")).await;
    }
    let page = browser.value("document.documentElement.outerHTML").await.unwrap().to_string();
    assert!(!page.contains("<script") && page.contains("http-equiv"), "{page}");
}

#[tokio::test]
#[ignore = "needs Chromium: .ci/run page"]
async fn the_page_says_what_is_wrong_and_what_to_do_while_postgres_is_away() {
    let world = World::start_with_own_postgres(sample()).await.unwrap();
    let watched = Watched::start(&world).await;
    world.sync(&[]).await.unwrap();
    world.loaded().await.unwrap();
    watched.answers("/readyz", 200, &["ok"]).await;
    world.postgres().stop(Shutdown::Fast).await.unwrap();
    world.sync(&[]).await.unwrap();
    watched.answers("/readyz", 503, &["Postgres", "is it running"]).await;
    watched.answers("/", 200, &["out of reach", "DATABASE_URL"]).await;
    watched.answers("/metrics", 200, &["toggl_track_loader_postgres_up 0"]).await;
    watched.answers("/healthz", 200, &["ok\n"]).await;
    let mut browser = Browser::start().await.unwrap();
    for (name, screen) in SCREENS {
        browser.open(&watched.url("/"), screen).await.unwrap();
        assert_readable(&mut browser, screen).await;
        picture(&mut browser, &format!("trouble-{name}")).await;
    }
    world.postgres().restart(Shutdown::Fast).await.unwrap();
    watched.answers("/readyz", 200, &["ok"]).await;
    world.loaded().await.unwrap();
    watched.answers("/", 200, &["<strong>healthy</strong>"]).await;
}

#[tokio::test]
async fn a_loader_without_nats_is_alive_and_not_ready() {
    let world = World::start(sample()).await.unwrap();
    let watched = Watched::start(&world).await;
    watched.answers("/readyz", 200, &["ok"]).await;
    world.nats.kill9().unwrap();
    watched.answers("/readyz", 503, &["NATS is out of reach"]).await;
    watched.answers("/", 200, &["out of reach", "NATS"]).await;
    assert_eq!(watched.answer("/healthz").await.0, 200);
    world.nats.restart().await.unwrap();
    watched.answers("/readyz", 200, &["ok"]).await;
    watched.answers("/metrics", 200, &["toggl_track_loader_nats_reconnects_total 1"]).await;
}

#[tokio::test]
async fn only_reading_is_served_and_nothing_is_kept_or_framed() {
    let world = World::start(sample()).await.unwrap();
    let watched = Watched::start(&world).await;
    for path in ["/", "/metrics", "/healthz", "/readyz"] {
        let response = watched.get(path).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("x-content-type-options"), "nosniff");
        if path == "/" {
            let policy = header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; style-src 'nonce-"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
        }
        assert_eq!(watched.post(path, "").await, 405, "{path}");
        assert_eq!(watched.post(path, "body").await, 413, "{path}");
    }
    assert_eq!(watched.answer("/../etc/passwd").await.0, 404);
}

#[tokio::test]
async fn a_reader_that_says_nothing_is_let_go() {
    let world = World::start(sample()).await.unwrap();
    let watched = Watched::start(&world).await;
    let mut silent = TcpStream::connect(&watched.address).await.unwrap();
    silent.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(DEADLINE, silent.read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "still open");
    assert_eq!(watched.answer("/healthz").await.0, 200);
}

#[tokio::test]
async fn a_container_asks_by_the_loader_itself() {
    let world = World::start(sample()).await.unwrap();
    let watched = Watched::start(&world).await;
    watched.answers("/readyz", 200, &["ok"]).await;
    let healthcheck = || world.loader(&["healthcheck", "--http", &watched.address]);
    assert!(ended(healthcheck(), 0).await.stdout.starts_with("ok\n"));
    // It needs no other setting, and asks by loopback whoever listens everywhere.
    let everywhere = watched.address.replace("127.0.0.1", "0.0.0.0");
    let bare = world.loader(&["healthcheck"]).env("LOADER_HTTP", everywhere);
    ended(bare.without("DATABASE_URL").without("NATS_URL"), 0).await;
    let finished = world.loader(&["healthcheck"]).run().await.unwrap();
    assert_fails(&finished, 1, &["LOADER_HTTP is off"]);

    world.nats.kill9().unwrap();
    watched.answers("/readyz", 503, &["NATS"]).await;
    assert_fails(&healthcheck().run().await.unwrap(), 1, &["not ready", "NATS"]);
    watched.loader.kill9().unwrap();
    assert_fails(&healthcheck().run().await.unwrap(), 1, &["no loader answers", "is it running"]);
}

#[tokio::test]
async fn an_address_that_was_set_and_is_taken_ends_the_loader_at_once() {
    let world = World::start(sample()).await.unwrap();
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap().to_string();
    let finished = world.loader(&["--http", &address]).run().await.unwrap();
    assert_fails(&finished, 1, &["cannot serve the status page", &address, "--http"]);
}

#[tokio::test]
async fn where_the_usual_address_is_taken_a_loader_loads_without_a_page() {
    let world = World::start(sample()).await.unwrap();
    // By this test, or by whoever has it already.
    let taken = TcpListener::bind("127.0.0.1:9464").await.ok();
    let loader = world.loader(&[]).without("LOADER_HTTP").start().await.unwrap();
    loader.logged("No status page", DEADLINE).await.unwrap();
    world.sync(&[]).await.unwrap();
    world.loaded().await.unwrap();
    drop(taken);
    let ended = wait_for("the loader's end", DEADLINE, async || loader.terminate().await.ok());
    assert_eq!(ended.await.unwrap(), Some(0), "{}", loader.log());
}
