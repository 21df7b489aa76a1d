//! What is equal is said to be, wherever people are and whatever was read.

use tests::toggl::{Account, AccountSize, SummaryGroups, SummaryIds};
use tests::world::World;

use crate::reports::reporting::team;
use crate::verify::verifying::Verified;

#[tokio::test]
async fn people_all_over_the_world_give_no_false_alarm() {
    let mut account = Account::generate(&team(2_000));
    let first = account.user_id();
    let zones = ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata", "America/St_Johns"];
    for (user, zone) in (first + 1..).zip(zones) {
        account.set_user_time_zone(user, zone);
    }
    for with_ids in [true, false] {
        let verified = Verified::of(account.clone(), SummaryGroups::ByTitle).await;
        verified.world.toggl.configure(|behaviour| {
            behaviour.summary_ids = if with_ids { SummaryIds::Told } else { SummaryIds::LeftOut };
            behaviour.report_rounding_minutes = Some(15);
        });
        let found = verified.verify(&[]).await;
        assert_eq!(found.code, Some(0), "with ids {with_ids}: {found:#?}");
        verified.end().await;
    }
}

#[tokio::test]
async fn people_whose_entries_are_not_read_are_told_and_no_trouble() {
    let size = AccountSize { entry_users: 4, ..AccountSize::default() };
    let world = World::start(Account::generate(&size)).await.unwrap();
    world.sync(&["--days", "35"]).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    let from = crate::reports::reporting::days_ago(29);
    let verify = world.fetcher(&["verify", "--from", &from, "--wait=90s"]);
    let found = verify.env("DATABASE_URL", &world.database.url).run().await.unwrap();
    assert_eq!(found.code, Some(0), "{found:#?}");
    assert!(found.stdout.contains("of people whose entries are not read"), "{}", found.stdout);
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
}

#[tokio::test]
async fn everybody_sees_that_the_tables_are_equal_and_that_they_are_not() {
    let verified = Verified::start(300, SummaryGroups::OfOne).await;
    assert_eq!(verified.verify(&[]).await.code, Some(0));
    let finished = verified.world.loader(&["status", "--json"]).run().await.unwrap();
    let status: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(status["proof"]["is_equal"], true, "{status}");
    let text = verified.world.loader(&["status"]).run().await.unwrap();
    assert!(text.stdout.contains("Proof: equal to Toggl at "), "{}", text.stdout);

    verified.world.toggl.with_account(|account| {
        let entries = crate::verify::verifying::inside(account);
        account.delete_time_entry(entries[100].id(), jiff::Timestamp::now());
    });
    assert_eq!(verified.verify(&[]).await.code, Some(6));
    let text = verified.world.loader(&["status"]).run().await.unwrap();
    assert_eq!(text.code, Some(6), "{text:#?}");
    assert!(
        text.stdout.contains("the tables differ from Toggl: 1 gone at Toggl"),
        "{}",
        text.stdout
    );
    let table = verified.world.loader(&["verify"]).run().await.unwrap();
    assert_eq!(table.code, Some(6));
    assert!(table.stdout.contains("here and not at Toggl"), "{}", table.stdout);
    verified.end().await;
}

#[tokio::test]
async fn who_is_forgotten_is_in_no_inventory_and_the_others_are_still_equal() {
    let verified = Verified::start(300, SummaryGroups::OfOne).await;
    assert_eq!(verified.verify(&[]).await.code, Some(0));
    let user = verified.world.toggl.with_account(|account| account.user_id() + 2).to_string();
    let forget = verified.world.loader(&["forget", "--user", &user, "--yes"]).run().await.unwrap();
    assert_eq!(forget.code, Some(0), "{forget:#?}");

    let mut connection = verified.world.connect().await.unwrap();
    let named: i64 = sqlx::query_scalar(
        "select count(*) from raw.toggl_track__inventories where data::text like '%' || $1 || '%'",
    )
    .bind(&user)
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(named, 0);
    assert_eq!(verified.verdict().await.0, Some(0));
    assert_eq!(verified.verify(&[]).await.code, Some(0), "nor is it named by the next one");
    verified.end().await;
}
