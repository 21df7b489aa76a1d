//! What a user sees when something is missing or wrong: one clear line and an exit code.

use jiff::Timestamp;
use tests::toggl::Account;
use tests::workers::Worker;
use tests::world::World;

use crate::expected::endings::{assert_fails, assert_misused, assert_unspoken};

/// Nobody listens there.
const NO_NATS: &str = "nats://user:hunter2@127.0.0.1:1";
const NO_POSTGRES: &str = "postgres://user:hunter2@127.0.0.1:1/database";

async fn world() -> World {
    World::start_empty(Account::sample_at(Timestamp::now())).await.unwrap()
}

#[tokio::test]
async fn a_fetcher_without_nats_ends_with_5_and_asks_toggl_nothing() {
    let world = world().await;
    let finished = world.fetcher(&[]).env("NATS_URL", NO_NATS).run().await.unwrap();
    assert_fails(&finished, 5, &["NATS", "127.0.0.1:1", "NATS_URL"]);
    assert_unspoken(&finished, "hunter2");
    assert!(world.toggl.requests().is_empty());
}

#[tokio::test]
async fn a_command_of_the_loader_without_nats_ends_with_5() {
    let world = world().await;
    for command in ["setup", "adopt", "replay"] {
        let finished = world.loader(&[command]).env("NATS_URL", NO_NATS).run().await.unwrap();
        assert_fails(&finished, 5, &["NATS", "127.0.0.1:1", "NATS_URL"]);
        assert_unspoken(&finished, "hunter2");
    }
}

#[tokio::test]
async fn a_command_of_the_loader_without_postgres_ends_with_5() {
    for command in ["migrate", "setup", "adopt"] {
        let loader = Worker::new("loader", &[command]).env("DATABASE_URL", NO_POSTGRES);
        let finished = loader.run().await.unwrap();
        assert_fails(&finished, 5, &["Postgres", "127.0.0.1:1", "DATABASE_URL"]);
        assert_unspoken(&finished, "hunter2");
    }
}

#[tokio::test]
async fn a_fetcher_whose_vault_is_out_of_reach_ends_with_5() {
    let world = world().await;
    let fetcher = world.fetcher(&[]).without("TOGGL_API_TOKEN").env("DATABASE_URL", NO_POSTGRES);
    let finished = fetcher.run().await.unwrap();
    assert_fails(&finished, 5, &["Postgres", "127.0.0.1:1", "DATABASE_URL"]);
    assert_unspoken(&finished, "hunter2");
}

#[tokio::test]
async fn a_token_that_toggl_refuses_ends_with_3() {
    let world = world().await;
    for status in [403, 401] {
        world.toggl.configure(|behaviour| behaviour.wrong_token_status = status);
        let before = world.toggl.requests().len();
        let fetcher = world.fetcher(&[]).env("TOGGL_API_TOKEN", "wr0ngt0ken");
        let finished = fetcher.run().await.unwrap();
        assert_fails(&finished, 3, &[&status.to_string(), "API token"]);
        assert_unspoken(&finished, "wr0ngt0ken");
        assert_eq!(world.toggl.requests().len() - before, 1, "asked again with a refused token");
    }
}

#[tokio::test]
async fn a_fetcher_without_credentials_ends_with_3_and_names_every_way_to_give_them() {
    let world = world().await;
    for fetcher in [
        world.fetcher(&[]).without("TOGGL_API_TOKEN"),
        world.fetcher(&[]).env("TOGGL_API_TOKEN", " "),
    ] {
        let finished = fetcher.run().await.unwrap();
        let ways = ["TOGGL_API_TOKEN", "--api-token-file", "fetcher credentials set"];
        assert_fails(&finished, 3, &ways);
    }
}

#[tokio::test]
async fn a_token_file_that_cannot_be_read_ends_with_3_and_is_named() {
    let world = world().await;
    let finished = world.fetcher(&["--api-token-file", "/no/such/file"]).run().await.unwrap();
    assert_fails(&finished, 3, &["/no/such/file"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "two words").unwrap();
    let path = file.to_str().unwrap();
    let finished = world.fetcher(&["--api-token-file", path]).run().await.unwrap();
    assert_fails(&finished, 3, &[path, "token"]);
    assert_unspoken(&finished, "two words");
}

#[tokio::test]
async fn a_token_file_wins_over_the_environment() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{}\n", tests::toggl::TOKEN)).unwrap();
    let arguments = ["--api-token-file", file.to_str().unwrap()];
    let fetcher = world.fetcher(&arguments).env("TOGGL_API_TOKEN", "wr0ngt0ken");
    let finished = fetcher.run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

#[tokio::test]
async fn wrong_arguments_end_with_2() {
    for days in ["0", "7306", "abc", "-1"] {
        let finished = Worker::new("fetcher", &["--days", days]).run().await.unwrap();
        assert_misused(&finished, &["--days"]);
    }
    for worker in ["fetcher", "loader"] {
        let finished = Worker::new(worker, &["--no-such-option"]).run().await.unwrap();
        assert_misused(&finished, &["--no-such-option"]);
        let finished = Worker::new(worker, &["--log-level", "loud"]).run().await.unwrap();
        assert_misused(&finished, &["--log-level", "warn", "info", "debug"]);
    }
}

#[tokio::test]
async fn what_is_missing_is_named_with_everything_that_would_do() {
    for (worker, command, ways) in [
        ("fetcher", "report", ["--from", "--days"]),
        ("loader", "explain", ["--resource", "--sequence"]),
        ("loader", "forget", ["--user", "--workspace"]),
    ] {
        let finished = Worker::new(worker, &[command]).run().await.unwrap();
        assert_misused(&finished, &ways);
    }
}

#[tokio::test]
async fn a_loader_without_a_database_ends_with_2() {
    let finished = Worker::new("loader", &[]).run().await.unwrap();
    assert_fails(&finished, 2, &["DATABASE_URL"]);
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_not_repeated_for_it_may_hold_a_password() {
    let garbage = "postgres//user:hunter2 at host";
    let loader = Worker::new("loader", &[]).env("DATABASE_URL", garbage);
    let finished = loader.run().await.unwrap();
    assert_fails(&finished, 2, &["DATABASE_URL", "postgres://"]);
    assert_unspoken(&finished, "hunter2");

    let world = world().await;
    let fetcher = world.fetcher(&[]).without("TOGGL_API_TOKEN").env("DATABASE_URL", garbage);
    let finished = fetcher.run().await.unwrap();
    assert_fails(&finished, 2, &["DATABASE_URL", "postgres://"]);
    assert_unspoken(&finished, "hunter2");
}

#[tokio::test]
async fn a_nats_address_that_cannot_be_read_is_not_repeated_for_it_may_hold_a_password() {
    for worker in ["fetcher", "loader"] {
        let worker = Worker::new(worker, &[])
            .env("DATABASE_URL", NO_POSTGRES)
            .env("NATS_URL", "nats://user:hunter2@host:no-port");
        let finished = worker.run().await.unwrap();
        assert_eq!(finished.code, Some(2), "{finished:#?}");
        assert_unspoken(&finished, "hunter2");
    }
}

#[tokio::test]
async fn a_log_in_that_nats_refuses_ends_with_5_and_does_not_show_the_password() {
    let options = tests::servers::NatsOptions {
        configuration: "authorization { user: loader, password: right }".to_owned(),
        ..tests::servers::NatsOptions::default()
    };
    let nats = tests::servers::NatsServer::start(options).await.unwrap();
    let world = world().await;
    for worker in [world.fetcher(&[]), world.loader(&[])] {
        let worker = worker.env("NATS_URL", nats.url());
        let worker = worker.env("NATS_USER", "loader").env("NATS_PASSWORD", "hunter2");
        let finished = worker.run().await.unwrap();
        assert_fails(&finished, 5, &["NATS_USER", "NATS_PASSWORD"]);
        assert_unspoken(&finished, "hunter2");
    }
}
