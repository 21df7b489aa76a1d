//! What stands in for what an address leaves open.

use super::{password, read_in};
use crate::postgres::error::AddressError;
use crate::postgres::target::Wanted;

#[test]
fn the_environment_stands_in_for_what_the_address_leaves_open() {
    let environment = [
        ("PGHOST", "db1,db2"),
        ("PGPORT", "5433"),
        ("PGUSER", "eva"),
        ("PGPASSWORD", "hunter2"),
        ("PGDATABASE", "toggl"),
        ("PGSSLMODE", "require"),
        ("PGCONNECT_TIMEOUT", "30"),
        ("PGTARGETSESSIONATTRS", "primary"),
    ];
    let target = read_in(None, &environment).unwrap();
    assert_eq!(target.name(), "db1:5433, db2:5433/toggl");
    assert_eq!((target.timeout.as_secs(), target.wanted), (30, Wanted::Primary));
    assert_eq!(target.hosts[1].1.get_username(), "eva");
    assert_eq!(password(&target), "hunter2");
    let target = read_in(Some("postgres://ann:other@h/db"), &environment).unwrap();
    assert_eq!(target.name(), "h:5433/db");
    assert_eq!((target.hosts[0].1.get_username(), &*password(&target)), ("ann", "other"));
    // An empty address, as compose files leave it, is none.
    assert_eq!(read_in(Some(""), &environment).unwrap().name(), "db1:5433, db2:5433/toggl");
    for nothing in [&[][..], &[("PGUSER", "eva")], &[("PGHOST", "")]] {
        assert!(matches!(read_in(None, nothing), Err(AddressError::Missing)), "{nothing:?}");
    }
}

#[test]
fn a_service_and_the_file_of_passwords_are_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let services = "# ours\n[other]\nhost=no\n\n[toggl]\nhost=db1\nport=5433\nuser=eva\ndbname=t\n";
    std::fs::write(folder.path().join(".pg_service.conf"), services).unwrap();
    let passwords = folder.path().join(".pgpass");
    std::fs::write(&passwords, "# c\ndb2:*:*:*:no\ndb1:5433:t:eva:hun\\:ter2\n*:*:*:*:last\n")
        .unwrap();
    let environment = [("HOME", home), ("PGSERVICE", "toggl")];
    std::fs::set_permissions(&passwords, std::fs::Permissions::from_mode(0o600)).unwrap();
    let target = read_in(None, &environment).unwrap();
    assert_eq!(
        (target.name(), password(&target)),
        ("db1:5433/t".to_owned(), "hun:ter2".to_owned())
    );
    let target = read_in(Some("postgres://eva@elsewhere/t?service=toggl"), &environment).unwrap();
    assert_eq!(
        (target.name(), password(&target)),
        ("elsewhere:5433/t".to_owned(), "last".to_owned())
    );
    // Others can read it.
    std::fs::set_permissions(&passwords, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(password(&read_in(None, &environment).unwrap()), "");
    let error = read_in(None, &[("HOME", home), ("PGSERVICE", "gone")]).unwrap_err().to_string();
    assert!(error.starts_with("PGSERVICE names a service"), "{error}");
}
