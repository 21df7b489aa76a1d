//! Ways to NATS: log-ins in addresses and files, TLS first, web sockets, domains, accounts with limits.

use std::fs;
use std::time::Duration;

use async_nats::jetstream;
use shared::stream::STREAM;
use tests::servers::{DEADLINE, NatsOptions, NatsServer, free_port, wait_for};
use tests::toggl::Account;
use tests::workers::Worker;
use tests::world::World;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::expected::endings::assert_fails;
use crate::given::certificates::Certificates;
use crate::given::operator::Operator;

async fn world_with(configuration: &str) -> World {
    let options = NatsOptions { configuration: configuration.to_owned(), ..NatsOptions::default() };
    World::start_with(Account::sample_at(jiff::Timestamp::now()), options).await.unwrap()
}

/// Both workers, as they are told by these variables where NATS is.
fn workers(world: &World, fetcher: &[&str], loader: &[&str], told: &[(&str, &str)]) -> [Worker; 2] {
    [world.fetcher(fetcher), world.loader(loader)].map(|worker| {
        told.iter()
            .fold(worker.without("NATS_URL"), |worker, (name, value)| worker.env(name, value))
    })
}

/// A sync, loaded by a loader, both of which come to NATS this way.
async fn works(world: &World, told: &[(&str, &str)]) {
    let [fetcher, loader] = workers(world, &["--days", "1", "--wait=1m"], &[], told);
    let loader = loader.start().await.unwrap();
    let finished = fetcher.run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?} {}", loader.log());
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    for worker in workers(world, &["check"], &["check"], told) {
        let finished = worker.run().await.unwrap();
        assert_eq!(finished.code, Some(0), "{finished:#?}");
    }
}

/// Neither gets in, and both say this.
async fn is_refused(world: &World, told: &[(&str, &str)], words: &[&str]) {
    for worker in workers(world, &[], &[], told) {
        assert_fails(&worker.run().await.unwrap(), 5, words);
    }
}

async fn waits_and_says(loader: Worker, words: &[&str]) {
    let loader = loader.start().await.unwrap();
    for word in ["Waiting for NATS"].iter().chain(words) {
        loader.logged(word, DEADLINE).await.unwrap();
    }
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

/// Whoever connects is greeted so; without a greeting the line is closed, or held for ever.
async fn greeter(greeting: Option<&'static str>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            match greeting {
                Some(greeting) => drop(socket.write_all(greeting.as_bytes()).await),
                None => held.push(socket),
            }
        }
    });
    (port, serving)
}

#[tokio::test]
async fn a_proxy_before_a_server_that_is_not_there_is_waited_for() {
    let world = World::start_empty(Account::empty()).await.unwrap();
    for greeting in [None, Some("")] {
        let (port, serving) = greeter(greeting).await;
        let url = format!("nats://127.0.0.1:{port}");
        waits_and_says(world.loader(&[]).env("NATS_URL", &url), &["no greeting from NATS"]).await;
        serving.abort();
    }
}

#[tokio::test]
async fn a_server_of_something_else_is_named() {
    let world = World::start_empty(Account::empty()).await.unwrap();
    for greeting in ["SSH-2.0-OpenSSH_9.2\r\n", "+OK\r\n", "220 mail.example ESMTP\r\n"] {
        let (port, serving) = greeter(Some(greeting)).await;
        let url = format!("nats://127.0.0.1:{port}");
        is_refused(&world, &[("NATS_URL", &url)], &["is not NATS", "NATS_URL"]).await;
        serving.abort();
    }
}

fn with_login(world: &World, login: &str) -> String {
    world.nats.url().replace("nats://", &format!("nats://{login}@"))
}

#[tokio::test]
async fn user_and_password_in_the_address_log_in_and_settings_win() {
    let world = world_with("authorization { user: \"eva@example\", password: \"p/w%\" }").await;
    let url = with_login(&world, "eva%40example:p%2Fw%25");
    works(&world, &[("NATS_URL", &url)]).await;
    let wrong = with_login(&world, "eva:hunter2");
    let settings = [("NATS_URL", &*wrong), ("NATS_USER", "eva@example"), ("NATS_PASSWORD", "p/w%")];
    works(&world, &settings).await;
    is_refused(&world, &[("NATS_URL", &wrong)], &["refuses the log-in", "NATS_URL"]).await;
    let url = world.nats.url();
    is_refused(&world, &[("NATS_URL", &url)], &["without one", "NATS_TOKEN"]).await;
}

#[tokio::test]
async fn a_token_logs_in_from_the_address_and_from_its_setting() {
    let world = world_with("authorization { token: \"s3cr/t\" }").await;
    works(&world, &[("NATS_URL", &with_login(&world, "s3cr%2Ft"))]).await;
    works(&world, &[("NATS_URL", &world.nats.url()), ("NATS_TOKEN", "s3cr/t")]).await;
    let url = world.nats.url();
    is_refused(&world, &[("NATS_URL", &url), ("NATS_TOKEN", "other")], &["NATS_TOKEN"]).await;
}

#[tokio::test]
async fn an_nkey_logs_in_by_the_file_of_its_seed() {
    let key = nkeys::KeyPair::new_user();
    let users = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", key.public_key());
    let world = world_with(&users).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("user.nk").display().to_string();
    fs::write(&path, key.seed().unwrap()).unwrap();
    works(&world, &[("NATS_URL", &world.nats.url()), ("NATS_NKEY", &path)]).await;
    fs::write(&path, "no seed").unwrap();
    let url = world.nats.url();
    is_refused(&world, &[("NATS_URL", &url), ("NATS_NKEY", &path)], &["NATS_NKEY", "seed"]).await;
}

#[tokio::test]
async fn credentials_that_are_renewed_on_disk_are_read_when_the_old_ones_have_expired() {
    let operator = Operator::new();
    let world = world_with(&operator.configuration()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("user.creds").display().to_string();
    let lasting = folder.path().join("lasting.creds").display().to_string();
    fs::write(&lasting, operator.credentials(None)).unwrap();
    let url = world.nats.url();
    let [told, told_lasting] =
        [&path, &lasting].map(|file| [("NATS_URL", &*url), ("NATS_CREDS", &**file)]);
    // Only the loader's expire, and long after it has logged in.
    let [_, loader] = workers(&world, &[], &[], &told);
    let [fetcher, _] = workers(&world, &["--days", "1"], &[], &told_lasting);
    fs::write(&path, operator.credentials(Some(Duration::from_secs(10)))).unwrap();
    let loader = loader.start().await.unwrap();
    assert_eq!(fetcher.run().await.unwrap().code, Some(0), "{}", loader.log());
    loader.logged("Lost the connection to NATS", DEADLINE).await.unwrap();
    fs::write(&path, operator.credentials(None)).unwrap();
    let [fetcher, _] = workers(&world, &["--days", "1", "--wait=1m"], &[], &told);
    let finished = fetcher.run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?} {}", loader.log());
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

#[tokio::test]
async fn a_server_that_begins_with_tls_is_reached_when_told_and_named_when_not() {
    let certificates = Certificates::make();
    let file = |name| certificates.file(name).display().to_string();
    let configuration = format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", handshake_first: true }}",
        file("server.pem"),
        file("server.key")
    );
    let options = NatsOptions { configuration, is_silent: true, ..NatsOptions::default() };
    let account = Account::sample_at(jiff::Timestamp::now());
    let world = World::start_with(account, options).await.unwrap();
    let (url, ca) = (world.nats.url(), file("ca.pem"));
    let told = [("NATS_URL", &*url), ("NATS_CA", &*ca), ("NATS_TLS_FIRST", "true")];
    works(&world, &told).await;
    // As a file of settings may say it.
    let off = [("NATS_URL", &*url), ("NATS_CA", &*ca), ("NATS_TLS_FIRST", "0")];
    for told in [&told[..2], &off] {
        let words = ["no greeting from NATS", "NATS_TLS_FIRST"];
        for worker in workers(&world, &[], &["adopt"], told) {
            assert_fails(&worker.run().await.unwrap(), 5, &words);
        }
        let [_, loader] = workers(&world, &[], &[], told);
        waits_and_says(loader, &words).await;
    }
}

#[tokio::test]
async fn websockets_plain_and_with_tls_lead_to_nats() {
    let certificates = Certificates::make();
    let file = |name| certificates.file(name).display().to_string();
    for tls in [false, true] {
        let port = free_port().unwrap();
        let (scheme, block) = if tls {
            let (cert, key) = (file("server.pem"), file("server.key"));
            ("wss", format!("tls {{ cert_file: \"{cert}\", key_file: \"{key}\" }}"))
        } else {
            ("ws", "no_tls: true".to_owned())
        };
        let world =
            world_with(&format!("websocket {{ listen: \"127.0.0.1:{port}\", {block} }}")).await;
        let url = format!("{scheme}://127.0.0.1:{port}");
        let ca = file("ca.pem");
        let told = [("NATS_URL", &*url), ("NATS_CA", &*ca)];
        works(&world, if tls { &told } else { &told[..1] }).await;
    }
}

#[tokio::test]
async fn behind_a_leaf_node_the_domain_of_the_stream_is_used() {
    let port = free_port().unwrap();
    let hub = NatsOptions {
        configuration: format!("leafnodes {{ listen: \"127.0.0.1:{port}\" }}"),
        jetstream: "domain: hub".to_owned(),
        ..NatsOptions::default()
    };
    let account = Account::sample_at(jiff::Timestamp::now());
    let world = World::start_with(account, hub).await.unwrap();
    let leaf = NatsServer::start(NatsOptions {
        configuration: format!(
            "leafnodes {{ remotes: [ {{ url: \"nats://127.0.0.1:{port}\" }} ] }}"
        ),
        jetstream: "domain: leaf".to_owned(),
        ..NatsOptions::default()
    })
    .await
    .unwrap();
    let of_leaf = jetstream::new(async_nats::connect(leaf.url()).await.unwrap());
    let hub = jetstream::with_domain(of_leaf.client(), "hub");
    wait_for("the leaf to reach its hub", DEADLINE, || async {
        hub.query_account().await.ok().map(drop)
    })
    .await
    .unwrap();
    works(&world, &[("NATS_URL", &leaf.url()), ("NATS_DOMAIN", "hub")]).await;
    assert!(of_leaf.get_stream(STREAM).await.is_err(), "there is a second, empty stream");
    assert!(world.jetstream().await.unwrap().get_stream(STREAM).await.is_ok());
}

#[tokio::test]
async fn an_account_that_wants_a_size_for_every_stream_is_served() {
    let limits = "jetstream: { max_file: 1073741824, max_bytes_required: true }";
    let world = world_with(&format!(
        "accounts {{ A {{ {limits}, users: [ {{ user: eva, password: pw }} ] }} }}"
    ))
    .await;
    let url = with_login(&world, "eva:pw");
    works(&world, &[("NATS_URL", &url), ("STREAM_MAX_BYTES", "134217728")]).await;
}

#[tokio::test]
async fn a_stream_larger_than_the_server_may_keep_names_the_setting_also_when_checked() {
    let options = NatsOptions { max_file_store: 256 * 1024 * 1024, ..NatsOptions::default() };
    let account = Account::sample_at(jiff::Timestamp::now());
    let world = World::start_with(account, options).await.unwrap();
    let words = ["TOGGL_TRACK_RAW", "STREAM_MAX_BYTES", "max_file_store"];
    for worker in [world.fetcher(&[]), world.loader(&[])] {
        let finished = worker.without("STREAM_MAX_BYTES").run().await.unwrap();
        assert_fails(&finished, 5, &words);
    }
    for worker in [world.fetcher(&["check"]), world.loader(&["check"])] {
        let finished = worker.without("STREAM_MAX_BYTES").run().await.unwrap();
        assert_eq!(finished.code, Some(5), "{finished:#?}");
        assert!(words.iter().all(|word| finished.stdout.contains(word)), "{finished:#?}");
    }
    let mut names = world.jetstream().await.unwrap();
    names.set_timeout(DEADLINE);
    assert!(names.get_stream(STREAM).await.is_err(), "a check leaves nothing behind");
}

#[tokio::test]
async fn a_start_or_a_check_with_other_settings_or_none_shortens_and_shrinks_nothing() {
    let world = world_with("").await;
    let given = [("STREAM_MAX_AGE", "4000d"), ("STREAM_MAX_BYTES", "536870912")];
    let fetcher = given.iter().fold(world.fetcher(&[]), |w, (name, value)| w.env(name, value));
    assert_eq!(fetcher.run().await.unwrap().code, Some(0));
    let context = world.jetstream().await.unwrap();
    let settings = async || {
        let config = context.get_stream(STREAM).await.unwrap().cached_info().config.clone();
        (config.max_age, config.max_bytes)
    };
    let before = settings().await;
    assert_eq!(before, (Duration::from_hours(4_000 * 24), 536_870_912));
    let unset = |worker: Worker| worker.without("STREAM_MAX_BYTES").without("STREAM_REPLICAS");
    assert_eq!(unset(world.fetcher(&[])).run().await.unwrap().code, Some(0));
    let loader = unset(world.loader(&[])).start().await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
    for worker in [world.fetcher(&["check"]), world.loader(&["check"])] {
        let worker = worker.env("STREAM_MAX_AGE", "1d").env("STREAM_MAX_BYTES", "1048576");
        let finished = worker.run().await.unwrap();
        assert_eq!(finished.code, Some(0), "{finished:#?}");
    }
    assert_eq!(settings().await, before);
    // Who says so does it.
    let shorter = world.fetcher(&[]).env("STREAM_MAX_AGE", "400d");
    assert_eq!(shorter.run().await.unwrap().code, Some(0));
    assert_eq!(settings().await.0, Duration::from_hours(400 * 24));
}
