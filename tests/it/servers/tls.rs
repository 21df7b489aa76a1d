//! TLS to both servers, each of which asks its clients for a certificate: with the right files
//! everything works, with others it ends in one clear line.

use std::fs;

use sqlx::{AssertSqlSafe, Executor as _};
use tests::servers::{DEADLINE, NatsOptions, PostgresOptions, PostgresServer, wait_for};
use tests::toggl::Account;
use tests::workers::Worker;
use tests::world::World;

use crate::expected::endings::assert_fails;
use crate::given::certificates::Certificates;

/// A user who may come by TLS only, with a certificate; the harness keeps its own.
const HBA: &str = "host all postgres 127.0.0.1/32 scram-sha-256\n\
                   hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";

struct Secured {
    world: World,
    certificates: Certificates,
}

impl Secured {
    async fn start() -> Self {
        let certificates = Certificates::make();
        let file = |name| certificates.file(name).display().to_string();
        let configuration = format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}\n",
            file("server.pem"),
            file("server.key"),
            file("ca.pem")
        );
        let nats = NatsOptions { configuration, ..NatsOptions::default() };
        let postgres = PostgresServer::start(PostgresOptions::default()).await.unwrap();
        let account = Account::sample_at(jiff::Timestamp::now());
        let world = World::start_between(account, nats, postgres).await.unwrap();
        let secured = Self { world, certificates };
        secured.secure_postgres().await;
        secured
    }

    async fn secure_postgres(&self) {
        let postgres = self.world.postgres();
        let mut connection = self.world.connect().await.unwrap();
        connection.execute("create role secured superuser login password 'hunter2'").await.unwrap();
        let Certificates { ca, server_cert, server_key, .. } = &self.certificates;
        for (setting, text) in
            [("ssl_ca_file", ca), ("ssl_cert_file", server_cert), ("ssl_key_file", server_key)]
        {
            let path = postgres.write_server_file(setting, text.as_bytes()).unwrap();
            let sql = format!("alter system set {setting} = '{}'", path.display());
            connection.execute(AssertSqlSafe(sql)).await.unwrap();
        }
        connection.execute("alter system set ssl = on").await.unwrap();
        fs::write(postgres.data_dir().join("pg_hba.conf"), HBA).unwrap();
        postgres.signal("HUP").unwrap();
        let secured = || async {
            let mut connection = self.world.connect().await.ok()?;
            let ssl: String =
                sqlx::query_scalar("show ssl").fetch_one(&mut connection).await.ok()?;
            (ssl == "on").then_some(())
        };
        wait_for("Postgres to offer TLS", DEADLINE, secured).await.unwrap();
    }

    fn file(&self, name: &str) -> String {
        self.certificates.file(name).display().to_string()
    }

    fn database_url(&self, parameters: &str) -> String {
        let (port, name) = (self.world.postgres().port(), &self.world.database.name);
        format!("postgres://secured:hunter2@127.0.0.1:{port}/{name}?{parameters}")
    }

    fn good_database_url(&self) -> String {
        self.database_url(&format!(
            "sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
            self.file("ca.pem"),
            self.file("client.pem"),
            self.file("client.key")
        ))
    }

    /// With all the right files.
    fn worker(&self, name: &str) -> Worker {
        let worker =
            if name == "loader" { self.world.loader(&[]) } else { self.world.fetcher(&[]) };
        worker
            .env("DATABASE_URL", self.good_database_url())
            .env("NATS_CA", self.file("ca.pem"))
            .env("NATS_CERT", self.file("client.pem"))
            .env("NATS_KEY", self.file("client.key"))
    }
}

#[tokio::test]
async fn with_the_right_files_both_programs_work_by_tls() {
    let secured = Secured::start().await;
    let finished = secured.worker("fetcher").run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let loader = secured.worker("loader").start().await.unwrap();
    loader.logged("Upserted 5 records to raw.toggl_track__time_entries", DEADLINE).await.unwrap();
    let mut connection = secured.world.connect().await.unwrap();
    let plain: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity a join pg_stat_ssl s using (pid)
         where a.application_name = 'toggl-track-loader' and not s.ssl",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(plain, 0);
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

#[tokio::test]
async fn nats_without_the_right_files_ends_with_5() {
    let secured = Secured::start().await;
    let words = ["TLS", "127.0.0.1", "NATS_CA", "NATS_CERT"];
    for name in ["fetcher", "loader"] {
        let good = || secured.worker(name);
        let without_cert = || good().without("NATS_CERT").without("NATS_KEY");
        for worker in [
            good().env("NATS_CA", secured.file("other-ca.pem")),
            good().without("NATS_CA"),
            without_cert(),
            without_cert().without("NATS_CA"),
        ] {
            assert_fails(&worker.run().await.unwrap(), 5, &words);
        }
        let missing = good().env("NATS_KEY", "/no/such/key").run().await.unwrap();
        assert_fails(&missing, 5, &["NATS_KEY", "/no/such/key", "No such file"]);
        let nonsense = good().env("NATS_CERT", secured.file("client.key")).run().await.unwrap();
        assert_fails(&nonsense, 5, &words);
        assert!(!nonsense.stderr.contains("PRIVATE KEY"), "{}", nonsense.stderr);
    }
    assert!(secured.world.toggl.requests().is_empty());
}

#[tokio::test]
async fn a_nats_server_without_tls_is_not_spoken_to_where_tls_is_wanted() {
    let secured = Secured::start().await;
    let plain = World::start_empty(Account::empty()).await.unwrap();
    for name in ["fetcher", "loader"] {
        let worker = secured.worker(name).env("NATS_URL", plain.nats.url());
        let worker = worker.env("NATS_USER", "eva").env("NATS_PASSWORD", "hunter2");
        let finished = worker.run().await.unwrap();
        assert_fails(&finished, 5, &["TLS", "NATS_CA"]);
    }
}

#[tokio::test]
async fn postgres_without_the_right_files_ends_with_5() {
    let secured = Secured::start().await;
    let (ca, other) = (secured.file("ca.pem"), secured.file("other-ca.pem"));
    let with_cert =
        format!("sslcert={}&sslkey={}", secured.file("client.pem"), secured.file("client.key"));
    for (parameters, word) in [
        (format!("sslmode=verify-full&sslrootcert={other}&{with_cert}"), "UnknownIssuer"),
        (format!("sslmode=verify-full&{with_cert}"), "UnknownIssuer"),
        (format!("sslrootcert=system&{with_cert}"), "UnknownIssuer"),
        // As libpq has it: roots that are named are used.
        (format!("sslmode=require&sslrootcert={other}&{with_cert}"), "UnknownIssuer"),
        (format!("sslmode=require&channel_binding=require&{with_cert}"), "UnknownIssuer"),
        (format!("sslmode=verify-full&sslrootcert={ca}"), "certificate"),
        ("sslmode=disable".to_owned(), "no encryption"),
    ] {
        let url = secured.database_url(&parameters);
        let loader = secured.worker("loader").env("DATABASE_URL", &url);
        let fetcher = secured.worker("fetcher").without("TOGGL_API_TOKEN");
        for worker in [loader, fetcher.env("DATABASE_URL", &url)] {
            let finished = worker.run().await.unwrap();
            assert_fails(&finished, 5, &["Postgres", "127.0.0.1", "DATABASE_URL", word]);
            assert!(!finished.stderr.contains("hunter2"), "{}", finished.stderr);
        }
    }
}
