//! Ways to Postgres other than a plain address: libpq's environment, its other form, several servers.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tests::toggl::Account;
use tests::workers::Worker;
use tests::world::World;

use crate::expected::endings::{assert_fails, assert_unspoken};

async fn world() -> World {
    World::start_empty(Account::empty()).await.unwrap()
}

/// User and password of the world's database.
fn login(world: &World) -> (String, String) {
    let url: url::Url = world.database.url.parse().unwrap();
    (url.username().to_owned(), url.password().unwrap().to_owned())
}

async fn migrates(worker: Worker) {
    let finished = worker.run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

/// `loader migrate` with nothing but the environment that a test gives it.
fn migrate(world: &World) -> Worker {
    world.loader(&["migrate"]).without("DATABASE_URL")
}

#[tokio::test]
async fn the_environment_of_libpq_names_the_database_where_database_url_does_not() {
    let world = world().await;
    let (user, password) = login(&world);
    let by_environment = migrate(&world)
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", world.postgres().port().to_string())
        .env("PGUSER", &user)
        .env("PGDATABASE", &world.database.name);
    migrates(by_environment.clone().env("PGPASSWORD", &password)).await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".pgpass");
    std::fs::write(&file, format!("127.0.0.1:*:*:{user}:{password}\n")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).unwrap();
    migrates(by_environment.clone().env("HOME", home.path())).await;
    let finished = by_environment.env("PGPASSWORD", "hunter2").run().await.unwrap();
    assert_fails(&finished, 5, &["password authentication failed"]);
    assert_unspoken(&finished, "hunter2");
    let finished = migrate(&world).run().await.unwrap();
    assert_fails(&finished, 2, &["DATABASE_URL", "PGHOST"]);
}

#[tokio::test]
async fn an_address_in_pairs_is_one_too() {
    let world = world().await;
    let ((user, password), port) = (login(&world), world.postgres().port());
    let name = &world.database.name;
    let pairs =
        format!("host=127.0.0.1 port={port} user={user} password='{password}' dbname={name}");
    migrates(migrate(&world).env("DATABASE_URL", pairs)).await;
}

#[tokio::test]
async fn several_servers_are_tried_in_turn_and_the_wanted_one_is_taken() {
    let world = world().await;
    let port = format!(":{}/", world.postgres().port());
    let url = world.database.url.replace(&port, &format!(":1,127.0.0.1{port}"));
    migrates(migrate(&world).env("DATABASE_URL", &url)).await;
    for wanted in ["any", "read-write", "primary", "prefer-standby"] {
        let url = format!("{url}?target_session_attrs={wanted}");
        migrates(migrate(&world).env("DATABASE_URL", url)).await;
    }
    for wanted in ["standby", "read-only"] {
        let direct = format!("{}?target_session_attrs={wanted}", world.database.url);
        let finished = migrate(&world).env("DATABASE_URL", direct).run().await.unwrap();
        assert_fails(&finished, 5, &[wanted, "target_session_attrs"]);
    }
}

#[tokio::test]
async fn what_is_not_supported_is_named_and_no_value_is_told_by_either_program() {
    let world = world().await;
    for (parameter, code, words) in [
        ("sslpassword=hunter2&sslmode=require", 2, "sslpassword in DATABASE_URL is not supported"),
        ("sslmode=hunter2", 2, "sslmode in DATABASE_URL is none of"),
        ("channel_binding=hunter2", 2, "channel_binding"),
        ("no_such_thing=hunter2", 2, "no_such_thing"),
        ("sslrootcert=/hunter2", 2, "sslrootcert"),
        ("sslmode=verify-full&sslrootcert=system", 5, "TLS"),
    ] {
        let url = format!("{}?{parameter}", world.database.url);
        let loader = world.loader(&["migrate"]).env("DATABASE_URL", &url);
        let fetcher = world.fetcher(&[]).without("TOGGL_API_TOKEN").env("DATABASE_URL", &url);
        for worker in [loader, fetcher] {
            let finished = worker.run().await.unwrap();
            assert_fails(&finished, code, &[words]);
            assert_unspoken(&finished, "hunter2");
        }
    }
    let idle =
        format!("{}?keepalives_idle=31337&pgbouncer=true&connect_timeout=10", world.database.url);
    let finished = migrate(&world).env("DATABASE_URL", idle).run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(finished.stderr.contains("no effect here: keepalives_idle"), "{}", finished.stderr);
    assert_unspoken(&finished, "31337");
}

#[tokio::test]
async fn a_password_that_should_have_been_encoded_is_not_told_in_pieces() {
    for (address, pieces) in [
        ("postgres://eva:/hun?ter2secret@127.0.0.1:1/db", ["hun", "ter2"]),
        ("postgres://eva:12345#x77y@db/t", ["12345", "x77y"]),
        ("postgres://eva:p%zz99@127.0.0.1:1/t", ["zz99", "%zz"]),
        ("postgres://eva:4321?user=q9q9@127.0.0.1:1/t", ["4321", "q9q9"]),
    ] {
        for worker in [Worker::new("loader", &["run"]), Worker::new("fetcher", &["check"])] {
            let finished = worker.env("DATABASE_URL", address).run().await.unwrap();
            assert_eq!(finished.code, Some(2), "{finished:#?}");
            let said = format!("{}{}", finished.stdout, finished.stderr);
            assert!(said.contains("percent-encoded"), "{said}");
            for piece in pieces {
                assert!(!said.contains(piece), "{piece}: {said}");
            }
        }
    }
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused_before_anything_is_made_and_the_remedy_works() {
    let world = world().await;
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("{}_{}", world.database.name, encoding.to_lowercase());
        let mut admin = world.postgres().connect("postgres").await.unwrap();
        let create =
            format!("create database {name} encoding '{encoding}' locale 'C' template template0");
        admin.execute(AssertSqlSafe(create)).await.unwrap();
        let loader = |command, name: &str| {
            world.loader(&[command]).env("DATABASE_URL", world.postgres().url(name))
        };
        let remedy = format!("create database {name}_utf8 encoding 'UTF8' template template0");
        for command in ["run", "migrate", "setup"] {
            let finished = loader(command, &name).run().await.unwrap();
            assert_fails(&finished, 1, &[encoding, &remedy]);
        }
        let checked = loader("check", &name).run().await.unwrap();
        assert_eq!(checked.code, Some(1), "{checked:#?}");
        assert!(checked.stdout.contains(&remedy), "{checked:#?}");
        let mut connection = world.postgres().connect(&name).await.unwrap();
        let made = "select count(*) from pg_namespace where nspname in ('raw', 'staging', 'vault')";
        let made: i64 = sqlx::query_scalar(made).fetch_one(&mut connection).await.unwrap();
        assert_eq!(made, 0);
        connection.close().await.unwrap();
        admin.execute(AssertSqlSafe(remedy)).await.unwrap();
        migrates(loader("migrate", &format!("{name}_utf8"))).await;
    }
}
