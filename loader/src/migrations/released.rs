//! Numbered migrations are forward only: one that a database may have is never changed again.

use std::fmt::Write as _;

use super::MIGRATOR;

/// As `sha384sum` writes them, which checks them, too.
const RELEASED: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/released.sha384"));

fn hex(checksum: &[u8]) -> String {
    checksum.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

#[test]
fn no_numbered_migration_has_changed_since_it_was_listed() {
    let mut listed = RELEASED.lines().map(|line| line.split_once("  ").unwrap());
    for migration in MIGRATOR.iter() {
        let version = migration.version.to_string();
        let found = listed.clone().find(|(_, file)| file.starts_with(&version));
        let present = hex(&migration.checksum);
        let Some((checksum, file)) = found else {
            panic!(
                "migration {version} is new: run `sha384sum 2*.sql > released.sha384` in migrations/"
            );
        };
        assert_eq!(
            checksum, present,
            "{file} has changed, and databases have it as it was: change it back, and write a new one"
        );
    }
    let is_there =
        |version: &str| MIGRATOR.iter().any(|m| version.starts_with(&m.version.to_string()));
    assert!(listed.all(|(_, file)| is_there(file)), "a migration that was released is gone");
}
