//! `loader setup --vault`: one command of an administrator, and both programs have what they need.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use sqlx::{AssertSqlSafe, Executor as _};
use tests::toggl::TOKEN;
use tests::workers::{Finished, Worker};

use crate::credentials::vault::SUPABASE;
use crate::expected::endings::assert_fails;
use crate::given::guarded::{ADMIN, FETCHER, Guarded, LOADER, password};

/// An address that was printed.
fn printed(finished: &Finished, program: &str) -> String {
    let (_, rest) =
        finished.stdout.split_once(&format!("For the {program}:\n  DATABASE_URL=")).unwrap();
    rest.lines().next().unwrap().to_owned()
}

fn at_nats(worker: Worker, user: &str) -> Worker {
    worker.env("NATS_USER", user).env("NATS_PASSWORD", password(user))
}

fn key_file(guarded: &Guarded) -> PathBuf {
    guarded.world.postgres().data_dir().join("a folder/it's/root.key")
}

fn setup_by(guarded: &Guarded, url: &str, more: &[&str]) -> Worker {
    let setup = guarded.world.loader(&[&["setup", "--vault"], more].concat());
    let setup = setup.env("VAULT_KEY_FILE", key_file(guarded)).env("DATABASE_URL", url);
    at_nats(setup, ADMIN)
}

async fn setup(guarded: &Guarded, more: &[&str]) -> Finished {
    let finished = setup_by(guarded, &guarded.world.database.url, more).run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    finished
}

/// Stores the token, syncs by it, and loads, as who was printed.
async fn everything_works(guarded: &Guarded, setup: &Finished) {
    let fetcher = |url: &str, words: &[&str]| {
        let fetcher = at_nats(guarded.world.fetcher(words), FETCHER);
        fetcher.without("TOGGL_API_TOKEN").env("DATABASE_URL", url)
    };
    let set = fetcher(&guarded.world.database.url, &["credentials", "set"]).stdin(TOKEN);
    let set = set.run().await.unwrap();
    assert_eq!(set.code, Some(0), "{set:#?}");
    let synced = fetcher(&printed(setup, "fetcher"), &[]).run().await.unwrap();
    assert_eq!(synced.code, Some(0), "{synced:#?}");
    let loader = at_nats(guarded.world.loader(&[]), LOADER);
    let loader = loader.env("DATABASE_URL", printed(setup, "loader")).start().await.unwrap();
    guarded.world.loaded_by(&loader).await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    for words in ["vault", "permission denied"] {
        assert!(!loader.log().contains(words), "{}", loader.log());
    }
}

#[tokio::test]
async fn after_one_command_on_an_empty_database_both_programs_work_with_few_rights() {
    let guarded = Guarded::start_bare().await;
    let database = &guarded.world.database.name;
    guarded.execute(&format!("alter database {database} set log_statement = 'all'")).await;
    let finished = setup(&guarded, &[]).await;
    assert_eq!(finished.stderr.matches("Installed a vault").count(), 1, "{finished:#?}");
    assert!(finished.stdout.contains("The vault is ready"), "{finished:#?}");
    everything_works(&guarded, &finished).await;

    let key = std::fs::read_to_string(key_file(&guarded)).unwrap();
    assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    let mode = std::fs::metadata(key_file(&guarded)).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    // Neither passwords nor the key were told to the server, or stand in a log.
    let passwords = ["loader", "fetcher"].map(|program| {
        let address = printed(&finished, program);
        address.split([':', '@']).nth(2).unwrap().to_owned()
    });
    assert!(guarded.world.postgres().log().contains("alter role toggl_track_loader login"));
    for secret in passwords.iter().chain([&key]) {
        assert!(secret.len() >= 48, "{secret}");
        assert!(!guarded.world.postgres().log().contains(secret), "{secret} is in the log");
        assert!(!finished.stderr.contains(secret), "{finished:#?}");
    }
}

#[tokio::test]
async fn as_often_as_one_likes_and_what_is_set_stays_until_one_wants_another() {
    let guarded = Guarded::start_bare().await;
    let first = setup(&guarded, &[]).await;
    let key = std::fs::read_to_string(key_file(&guarded)).unwrap();
    let again = setup(&guarded, &[]).await;
    assert!(printed(&again, "loader").contains("PASSWORD@"), "{again:#?}");
    assert!(again.stdout.contains("--new-passwords"), "{again:#?}");
    assert!(!again.stderr.contains("Installed"), "{again:#?}");
    everything_works(&guarded, &first).await;
    assert_eq!(std::fs::read_to_string(key_file(&guarded)).unwrap(), key);

    let other = setup(&guarded, &["--new-passwords"]).await;
    assert_ne!(printed(&other, "loader"), printed(&first, "loader"));
    everything_works(&guarded, &other).await;
    let old = at_nats(guarded.world.loader(&["migrate"]), LOADER);
    let old = old.env("DATABASE_URL", printed(&first, "loader")).run().await.unwrap();
    assert_fails(&old, 5, &["password authentication failed"]);
}

#[tokio::test]
async fn roles_that_were_made_by_hand_are_given_passwords_and_running_loaders_go_on() {
    let guarded = Guarded::start_bare().await;
    guarded.migrate_as_superuser().await;
    guarded.execute("create role toggl_track_loader login").await;
    let finished = setup(&guarded, &[]).await;
    everything_works(&guarded, &finished).await;
}

#[tokio::test]
async fn a_key_that_is_lost_is_never_replaced_while_secrets_are_sealed_with_it() {
    let guarded = Guarded::start_bare().await;
    let finished = setup(&guarded, &[]).await;
    everything_works(&guarded, &finished).await;
    let key = std::fs::read(key_file(&guarded)).unwrap();
    std::fs::remove_file(key_file(&guarded)).unwrap();
    let lost = setup_by(&guarded, &guarded.world.database.url, &[]).run().await.unwrap();
    assert_eq!(lost.code, Some(6), "{lost:#?}");
    assert!(lost.stderr.contains("root key is gone"), "{lost:#?}");
    assert!(!key_file(&guarded).exists());
    std::fs::write(key_file(&guarded), key).unwrap();
    setup(&guarded, &[]).await;
}

/// The database belongs to somebody who may make roles, and is no superuser.
async fn managed() -> (Guarded, String) {
    let guarded = Guarded::start_bare().await;
    guarded.create_role("boss", "createrole createdb").await;
    let database = &guarded.world.database.name;
    guarded.execute(&format!("alter database {database} owner to boss")).await;
    let port = guarded.world.postgres().port();
    let url = format!("postgres://boss:password%20of%20boss@127.0.0.1:{port}/{database}");
    (guarded, url)
}

#[tokio::test]
async fn on_a_server_without_a_superuser_all_but_the_vault_works_and_the_other_ways_are_named() {
    let (guarded, url) = managed().await;
    for _ in 0..2 {
        let finished = setup_by(&guarded, &url, &["--new-passwords"]).run().await.unwrap();
        assert_eq!(finished.code, Some(6), "{finished:#?}");
        assert!(finished.stdout.contains("TOGGL_API_TOKEN"), "{finished:#?}");
        let sync = at_nats(guarded.world.fetcher(&[]), FETCHER);
        let synced = sync.env("DATABASE_URL", printed(&finished, "fetcher")).run().await.unwrap();
        assert_eq!(synced.code, Some(0), "{synced:#?}");
        let loader = at_nats(guarded.world.loader(&[]), LOADER);
        let loader =
            loader.env("DATABASE_URL", printed(&finished, "loader")).start().await.unwrap();
        guarded.world.loaded_by(&loader).await.unwrap();
        assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    }
}

#[tokio::test]
async fn supabases_vault_is_used_as_it_is_by_an_administrator_without_its_superuser() {
    let (guarded, url) = managed().await;
    let mut connection = guarded.world.connect().await.unwrap();
    connection.execute(SUPABASE).await.unwrap();
    connection
        .execute(
            "grant usage on schema vault to boss; grant all on all tables in schema vault to boss;
             grant execute on all functions in schema vault to boss",
        )
        .await
        .unwrap();
    let finished = setup_by(&guarded, &url, &[]).run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(!key_file(&guarded).exists());
    everything_works(&guarded, &finished).await;
}

#[tokio::test]
async fn who_may_not_make_roles_is_told_whose_address_it_takes() {
    let guarded = Guarded::start_bare().await;
    guarded.create_role("small", "").await;
    let (port, database) = (guarded.world.postgres().port(), &guarded.world.database.name);
    let url = format!("postgres://small:password%20of%20small@127.0.0.1:{port}/{database}");
    let finished = setup_by(&guarded, &url, &[]).run().await.unwrap();
    assert_fails(&finished, 1, &["small may not", "administrator", "DATABASE_URL"]);
    let mut connection = guarded.world.connect().await.unwrap();
    let roles = "select count(*) from pg_roles where rolname like 'toggl_track%'";
    let made: i64 =
        sqlx::query_scalar(AssertSqlSafe(roles)).fetch_one(&mut connection).await.unwrap();
    assert_eq!(made, 0);
}
