//! Random edits before, between and after: no false alarm, nothing missed.

use jiff::Timestamp;
use tests::toggl::{Account, SummaryGroups};

use crate::given::dice::Dice;
use crate::reports::reporting::{entry, live_ids, reported};
use crate::verify::verifying::{Verified, all_inside};

fn edit(account: &mut Account, dice: &mut Dice, next_id: &mut i64) {
    let entries = all_inside(account);
    let chosen = &entries[dice.below(entries.len())];
    let now = Timestamp::now();
    match dice.below(3) {
        0 => account.delete_time_entry(chosen.id(), now),
        1 => {
            let seconds = (100 + dice.below(9_000)).to_string();
            account.edit_time_entry(chosen.id(), now, &[("duration", &seconds)]);
        }
        _ => {
            *next_id += 1;
            let start = Timestamp::from_second(chosen.start_s()).unwrap();
            let text = entry(account, *next_id, start);
            account.put_time_entry(&text);
        }
    }
}

#[tokio::test]
async fn whatever_is_edited_while_it_runs_the_next_verification_finds_it_and_then_all_is_equal() {
    let mut dice = Dice::new();
    let groups = [SummaryGroups::ByTitle, SummaryGroups::OfOne][dice.below(2)];
    let verified = Verified::start(300, groups).await;
    let mut next_id = 9_000_000_000;
    for _ in 0..4 {
        let edits = 1 + dice.below(6);
        verified.world.toggl.with_account(|account| {
            for _ in 0..edits {
                edit(account, &mut dice, &mut next_id);
            }
        });
        // While it reads, somebody goes on editing.
        let mut during = Dice::new();
        let mut id = next_id + 1_000;
        verified.world.toggl.before_every_request(move |account, number| {
            if number % 2 == 0 {
                edit(account, &mut during, &mut id);
            }
        });
        let busy = verified.verify(&["--repair"]).await;
        assert!(matches!(busy.code, Some(0 | 6)), "{busy:#?}");
        verified.world.toggl.calm_down();
        next_id += 10_000;

        let calm = verified.verify(&["--repair"]).await;
        let (_, verdict) = verified.verdict().await;
        assert_eq!(calm.code, Some(0), "{calm:#?} {verdict}");
        let expected = verified.world.toggl.with_account(|account| reported(account));
        assert_eq!(live_ids(&verified.world).await, expected);
    }
    verified.end().await;
}
