//! Postgres refuses log-ins or connections for a while, for whatever reason: loading goes on by itself,
//! and whoever watches the process has nothing to do.

use tests::workers::Resident;

use crate::expected::oracle::assert_recovers;
use crate::given::admitted::Admitted;
use crate::given::flow::Flow;
use crate::given::watched::Watched;

const ENTRIES_PER_LISTING: i64 = 15;

/// What a loader does that starts meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtStart {
    /// Somebody has to mend it, and may have meant it: nothing was ever right for this one.
    Ends,
    /// There is room for it later.
    Waits,
}

/// Postgres is brought to refuse, and back. Nobody may be connected while it is, for a session that has
/// begun goes on.
async fn refused(refuse: &[&str], words: &str, admit: &[&str], at_start: AtStart) {
    let admitted = Admitted::start().await;
    let world = &admitted.world;
    let watched = Watched::of(admitted.loader(&["--http", "127.0.0.1:0"])).await;
    let loader: &Resident = &watched.loader;
    world.loaded_by(loader).await.unwrap();
    let mut flow = Flow::new(world, ENTRIES_PER_LISTING).await;
    flow.publish(5).await;
    world.loaded_by(loader).await.unwrap();

    for sql in refuse {
        admitted.execute(sql).await;
    }
    admitted.end_sessions().await;
    flow.publish(20).await;
    watched.answers("/readyz", 503, &[words]).await;
    loader.logged("Postgres is in trouble", crate::expected::oracle::RESUME).await.unwrap();
    let another = admitted.loader(&[]).start().await.unwrap();
    match at_start {
        AtStart::Ends => {
            assert_eq!(another.ended(crate::expected::oracle::RESUME).await.unwrap(), Some(5));
            let log = another.log();
            let last = log.trim_end().lines().last().unwrap_or_default();
            assert!(last.starts_with("error: cannot connect to Postgres"), "{log}");
            assert!(last.contains(words), "{log}");
        }
        AtStart::Waits => {
            another.logged("Waiting for Postgres", crate::expected::oracle::RESUME).await.unwrap();
            assert!(another.log().contains(words), "{}", another.log());
        }
    }

    for sql in admit {
        admitted.execute(sql).await;
    }
    assert_recovers(world, &flow.oracle, &[loader]).await;
    if at_start == AtStart::Waits {
        another.logged("Postgres is there", crate::expected::oracle::RESUME).await.unwrap();
        assert_eq!(another.terminate().await.unwrap(), Some(0), "{}", another.log());
    }
    watched.answers("/readyz", 200, &[]).await;
    let log = loader.log();
    assert!(log.contains("Postgres answers again"), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{log}");
}

#[tokio::test]
async fn a_role_that_may_not_log_in_for_a_while() {
    let (refuse, admit) = ("alter role {role} nologin", "alter role {role} login");
    refused(&[refuse], "not permitted to log in", &[admit], AtStart::Ends).await;
}

#[tokio::test]
async fn a_password_that_is_changed_for_a_while() {
    let (other, own) =
        ("alter role {role} password 'other'", "alter role {role} password 'secret'");
    refused(&[other], "password authentication failed", &[own], AtStart::Ends).await;
}

#[tokio::test]
async fn a_database_that_takes_no_connections_for_a_while() {
    let none = "alter database {database} allow_connections false";
    let some = "alter database {database} allow_connections true";
    refused(&[none], "not currently accepting connections", &[some], AtStart::Ends).await;
}

#[tokio::test]
async fn a_database_that_is_full_for_a_while() {
    let none = "alter database {database} connection limit 0";
    let any = "alter database {database} connection limit -1";
    refused(&[none], "too many connections", &[any], AtStart::Waits).await;
}

#[tokio::test]
async fn a_database_that_has_another_name_for_a_while() {
    let shut = "alter database {database} allow_connections false";
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'";
    let away = "alter database {database} rename to {database}_away";
    let back = "alter database {database}_away rename to {database}";
    let open = "alter database {database} allow_connections true";
    refused(&[shut, end, away], "does not exist", &[back, open], AtStart::Ends).await;
}
