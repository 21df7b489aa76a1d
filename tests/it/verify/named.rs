//! What differs is named, exactly that, and mended.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use tests::toggl::{Account, AccountSize, SummaryGroups, TimeEntry};

use crate::given::dice::Dice;
use crate::reports::reporting::{entry, live_ids, reported, team};
use crate::verify::verifying::{SUMMARY, Verified, inside};

/// What was done behind the pipeline's back.
#[derive(Default)]
struct Edits {
    deleted: BTreeSet<i64>,
    longer: BTreeSet<i64>,
    added: BTreeSet<i64>,
    moved: BTreeSet<i64>,
}

/// So many of each, at random places.
fn edit(account: &mut Account, dice: &mut Dice, count: usize) -> Edits {
    let mut edits = Edits::default();
    let mut entries = inside(account);
    let mut draw = |dice: &mut Dice| {
        let place = dice.below(entries.len());
        entries.swap_remove(place)
    };
    let now = Timestamp::now();
    let first_user = account.user_id();
    for number in 0..count {
        let gone = draw(dice);
        account.delete_time_entry(gone.id(), now);
        edits.deleted.insert(gone.id());
        let longer = draw(dice);
        account.edit_time_entry(longer.id(), now, &[("duration", "98765")]);
        edits.longer.insert(longer.id());
        let id = 9_000_000_000 + i64::try_from(number).unwrap();
        let start = Timestamp::from_second(draw(dice).start_s()).unwrap();
        account.put_time_entry(&entry(account, id, start));
        edits.added.insert(id);
        if number % 2 == 0 {
            let moved = draw(dice);
            move_entry(account, &moved, first_user, now);
            edits.moved.insert(moved.id());
        }
    }
    edits
}

/// To another day and another person.
fn move_entry(account: &mut Account, entry: &TimeEntry, first_user: i64, now: Timestamp) {
    let value: serde_json::Value = serde_json::from_str(entry.text()).unwrap();
    let user = if value["user_id"] == first_user { first_user + 1 } else { first_user };
    let day = SignedDuration::from_hours(24);
    let start = Timestamp::from_second(entry.start_s()).unwrap() + day;
    let stop = value["stop"].as_str().unwrap().parse::<Timestamp>().unwrap() + day;
    let text = |at: Timestamp| format!("\"{}\"", at.strftime("%Y-%m-%dT%H:%M:%S+00:00"));
    let changes = [("user_id", user.to_string()), ("start", text(start)), ("stop", text(stop))];
    let changes = changes.each_ref().map(|(name, value)| (*name, value.as_str()));
    account.edit_time_entry(entry.id(), now, &changes);
}

async fn names_and_mends(size: AccountSize, count: usize) {
    let verified = Verified::of(Account::generate(&size), SummaryGroups::OfOne).await;
    let equal = verified.verify(&[]).await;
    assert_eq!(equal.code, Some(0), "{equal:#?}");
    assert!(equal.stdout.contains("equal to Toggl"), "{}", equal.stdout);

    let mut dice = Dice::new();
    let edits = verified.world.toggl.with_account(|account| edit(account, &mut dice, count));
    let asked = verified.world.toggl.requests().len();
    let found = verified.verify(&[]).await;
    assert_eq!(found.code, Some(6), "{found:#?}");
    assert_eq!(verified.of_state(&["missing"]).await, edits.added);
    assert_eq!(verified.of_state(&["gone"]).await, edits.deleted);
    assert_eq!(verified.of_state(&["other seconds"]).await, edits.longer);
    assert_eq!(verified.of_state(&["other user"]).await, edits.moved);
    assert_eq!(
        verified.world.toggl.requests().len(),
        asked + 5,
        "/me, workspaces, a request a year"
    );
    let (code, verdict) = verified.verdict().await;
    assert_eq!(code, Some(6));
    assert_eq!(verdict["sum"]["gone_count"], edits.deleted.len());

    let before = verified.world.toggl.count("/reports/");
    let mended = verified.verify(&["--repair"]).await;
    assert_eq!(mended.code, Some(0), "{mended:#?}");
    let pages = (edits.added.len() + edits.deleted.len() + edits.longer.len() + edits.moved.len())
        .div_ceil(1_000);
    let requests = verified.world.toggl.count("/reports/") - before;
    assert!(requests <= 3 + pages, "{requests} requests for {pages} pages");
    let expected = verified.world.toggl.with_account(|account| reported(account));
    assert_eq!(live_ids(&verified.world).await, expected);
    assert_eq!(verified.verdict().await.0, Some(0));
    verified.end().await;
}

#[tokio::test]
async fn what_changed_behind_the_pipeline_is_named_exactly_and_mended() {
    names_and_mends(team(6_000), 10).await;
}

/// Minutes: three years of thirty people.
#[tokio::test]
#[ignore = "takes minutes: 200,000 entries"]
async fn of_two_hundred_thousand_entries_what_changed_is_named_exactly_and_mended() {
    names_and_mends(AccountSize { users: 30, entry_users: 30, ..team(200_000) }, 50).await;
}

#[tokio::test]
async fn of_entries_that_toggl_puts_together_all_of_a_sum_that_differs_are_read_once_more() {
    let verified = Verified::start(600, SummaryGroups::ByTitle).await;
    let longer = verified.world.toggl.with_account(|account| {
        let entries = inside(account);
        let longer = entries[entries.len() / 2].id();
        account.edit_time_entry(longer, Timestamp::now(), &[("duration", "98765")]);
        longer
    });
    assert_eq!(verified.verify(&[]).await.code, Some(6));
    assert!(verified.of_state(&["other seconds"]).await.contains(&longer));
    assert_eq!(verified.world.toggl.count(&SUMMARY.replace("{w}", "2230991")), 3);

    assert_eq!(verified.verify(&["--repair"]).await.code, Some(0));
    verified.end().await;
}
