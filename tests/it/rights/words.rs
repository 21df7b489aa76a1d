//! What a user reads where a role may not: whose it is, whom to log in as, and nothing of Postgres' own.

use tests::workers::Finished;

use crate::expected::endings::assert_fails;
use crate::given::guarded::{Guarded, LOADER};

/// Migrated by the superuser, and a role that was given nothing.
async fn left_out() -> Guarded {
    let guarded = Guarded::start_bare().await;
    guarded.create_role("etl", "").await;
    guarded.migrate_as_superuser().await;
    guarded
}

fn assert_no_source_lines(finished: &Finished) {
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(!said.contains("at line"), "{said}");
}

#[tokio::test]
async fn after_a_superusers_migrate_a_plain_role_is_told_whose_the_tables_are_and_what_to_do() {
    let guarded = left_out().await;
    for command in [&[][..], &["migrate"], &["dead-letters", "list"], &["replay"]] {
        let finished = guarded.loader_as("etl", command).run().await.unwrap();
        assert_no_source_lines(&finished);
        if command == ["replay"] {
            continue;
        }
        let words =
            ["belong to", "this is etl", "migrations/roles.sql", "toggl_track_loader", "grant "];
        assert_fails(&finished, 1, &words);
    }
    let status = guarded.loader_as("etl", &["status"]).run().await.unwrap();
    assert_no_source_lines(&status);
    assert!(status.stdout.contains("this is etl"), "{status:#?}");
    let check = guarded.loader_as("etl", &["check"]).run().await.unwrap();
    assert_no_source_lines(&check);
    assert!(check.stdout.contains("this is etl"), "{check:#?}");
}

#[tokio::test]
async fn the_statements_that_a_refusal_names_are_enough() {
    let guarded = left_out().await;
    let refused = guarded.loader_as("etl", &["migrate"]).run().await.unwrap();
    let last = refused.stderr.lines().last().unwrap();
    let (_, grants) = last.split_once(" run: ").unwrap();
    guarded.execute(grants).await;
    let migrate = guarded.loader_as("etl", &["migrate"]).run().await.unwrap();
    assert_eq!(migrate.code, Some(0), "{migrate:#?}");
    let check = guarded.loader_as("etl", &["check"]).run().await.unwrap();
    assert!(check.stdout.contains("ours to write"), "{check:#?}");
}

#[tokio::test]
async fn one_table_that_a_command_may_not_touch_is_named_with_its_owner() {
    let guarded = Guarded::start().await;
    guarded.set_up().await;
    guarded
        .execute(
            "create role dbt; alter table raw.toggl_track__dead_letters owner to dbt;
             revoke all on raw.toggl_track__dead_letters from toggl_track_loader",
        )
        .await;
    let words = ["raw.toggl_track__dead_letters belongs to dbt", LOADER, "let dbt run: grant "];
    for command in [&["dead-letters", "list"][..], &[]] {
        let finished = guarded.loader(command).run().await.unwrap();
        assert_fails(&finished, 1, &words);
        assert_no_source_lines(&finished);
    }
    let status = guarded.loader(&["status"]).run().await.unwrap();
    assert!(status.stdout.contains(words[0]), "{status:#?}");
    assert_no_source_lines(&status);
}

/// The lines of a start that are about the vault.
fn about_the_vault(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.to_lowercase().contains("vault")).collect()
}

#[tokio::test]
async fn a_start_says_of_the_vault_what_is_true_and_nothing_twice() {
    let guarded = Guarded::start_bare().await;
    let database = guarded.world.database.name.clone();
    guarded.create_role("owner", "").await;
    guarded.create_role("small", "").await;
    guarded.execute(&format!("alter database {database} owner to owner")).await;
    for start in 1..=2 {
        let migrate = guarded.loader_as("owner", &["migrate"]).run().await.unwrap();
        assert_eq!(migrate.code, Some(0), "{migrate:#?}");
        assert_eq!(about_the_vault(&migrate.stderr), Vec::<&str>::new(), "start {start}");
    }
    guarded
        .execute(
            "grant usage on schema raw, staging to small;
             grant select, insert, update, delete on all tables in schema raw to small;
             grant select on all tables in schema staging to small",
        )
        .await;
    let migrate = guarded.loader_as("small", &["migrate"]).run().await.unwrap();
    assert_eq!(migrate.code, Some(0), "{migrate:#?}");
    assert_eq!(about_the_vault(&migrate.stderr), Vec::<&str>::new());

    for installed in [1, 0] {
        let migrate = guarded.migrate_as_superuser().await;
        let said = migrate.stderr.matches("Installed a vault").count();
        assert_eq!(said, installed, "{migrate:#?}");
        assert!(!migrate.stderr.contains("No vault installed"), "{migrate:#?}");
    }
    // It is there, and closed to both.
    for role in ["owner", "small"] {
        let migrate = guarded.loader_as(role, &["migrate"]).run().await.unwrap();
        assert_eq!(about_the_vault(&migrate.stderr), Vec::<&str>::new(), "{role}");
    }
}
