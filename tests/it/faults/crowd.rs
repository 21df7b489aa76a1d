//! Two loaders and two fetchers at once, on one account that changes: row 10 of the fault matrix.

use jiff::Timestamp;
use tests::toggl::{Account, AccountSize};
use tests::world::World;

use crate::expected::oracle::{Oracle, assert_recovers};
use crate::expected::rows::assert_tables_hold;

#[tokio::test]
async fn two_fetchers_and_two_loaders_at_once_end_with_what_the_account_holds() {
    let size = AccountSize { time_entries: 400, days: 50, ..AccountSize::default() };
    let world = World::start(Account::generate(&size)).await.unwrap();
    let loaders = [world.start_loader().await.unwrap(), world.start_loader().await.unwrap()];
    for round in 0..4 {
        let fetch = || world.sync(&["--days", "60"]);
        let (first, second) = tokio::join!(fetch(), fetch());
        first.and(second).unwrap();
        world.toggl.with_account(|account| {
            let ids: Vec<_> = account.time_entries().map(tests::toggl::TimeEntry::id).collect();
            for id in ids.iter().skip(round).step_by(9) {
                let description = format!(r#""round {round}""#);
                account.edit_time_entry(*id, Timestamp::now(), &[("description", &description)]);
            }
            account.delete_time_entry(ids[round * 3 + 1], Timestamp::now());
        });
    }
    world.sync(&["--days", "60"]).await.unwrap();
    assert_recovers(&world, &Oracle::default(), &[&loaders[0], &loaders[1]]).await;
    assert_tables_hold(&world).await;
    for loader in loaders {
        assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    }
}
