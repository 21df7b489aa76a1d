//! TLS, and servers that are reached without.

use sqlx::postgres::PgSslMode::{Prefer, Require, VerifyCa, VerifyFull};

use super::read;
use crate::postgres::connect::{Postgres, Session};

#[test]
fn tls_means_what_it_means_to_libpq() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ca.pem");
    std::fs::write(&root, "").unwrap();
    let root = root.to_str().unwrap();
    for (parameters, wanted) in [
        (String::new(), Prefer),
        ("ssl=true".to_owned(), Require),
        ("sslrootcert=system".to_owned(), VerifyFull),
        ("sslmode=verify-full&sslrootcert=system".to_owned(), VerifyFull),
        // With roots at hand they are used.
        (format!("sslmode=require&sslrootcert={root}"), VerifyCa),
        (format!("sslmode=verify-full&sslrootcert={root}"), VerifyFull),
        ("sslmode=require&channel_binding=prefer".to_owned(), Require),
    ] {
        let target = read(&format!("postgres://eva@h/db?{parameters}")).unwrap();
        assert_eq!(format!("{:?}", target.tls), format!("{wanted:?}"), "{parameters}");
    }
}

#[tokio::test]
async fn a_server_on_the_internet_is_warned_of_unless_tls_is_insisted_on() {
    for (url, is_warned_of) in [
        ("postgres://eva:hunter2@8.8.8.8/d", true),
        ("postgres://eva:hunter2@8.8.8.8/d?sslmode=disable", true),
        ("postgres://eva:hunter2@8.8.8.8/d?sslmode=allow", true),
        ("postgres://eva:hunter2@10.0.0.1,8.8.8.8/d", true),
        ("postgres://eva:hunter2@8.8.8.8/d?sslmode=require", false),
        ("postgres://eva:hunter2@8.8.8.8/d?sslmode=verify-full", false),
        ("postgres://eva:hunter2@%2Frun%2Fpostgresql/d", false),
        ("postgres://eva:hunter2@10.0.0.1/d", false),
        ("postgres://eva:hunter2@127.0.0.1/d", false),
    ] {
        let address = url.into();
        let session = Session { application: "test", settings: &[] };
        let warning = Postgres::read(Some(&address), session).unwrap().warning().await;
        assert_eq!(warning.is_some(), is_warned_of, "{url}");
        assert!(!warning.unwrap_or_default().contains("hunter2"), "{url}");
    }
}
