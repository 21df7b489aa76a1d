//! Listings that were not believed: one dead letter each, until a person decides or a newer listing
//! makes it needless.

use std::collections::BTreeSet;

use shared::listing::Span;

use crate::dead_letters::letters::{Letters, named};
use crate::expected::rows::resource;
use crate::given::batches::{USER, cut, listing, moment};

impl Letters {
    /// A listing of 20 tags, and a newer one with 8 of them, which is not believed.
    async fn with_refused_claim() -> Self {
        let letters = Self::start().await;
        let tags = resource("tags");
        letters.load(&listing(tags, 10, named(tags, 1..=20, "good"))).await;
        letters.load(&listing(tags, 20, named(tags, 13..=20, "good"))).await;
        letters
    }
}

#[tokio::test]
async fn a_mass_deletion_is_done_when_a_person_says_that_it_is_true() {
    let mut letters = Letters::with_refused_claim().await;
    let tags = resource("tags");
    let id = letters.only_id().await;
    for _ in 0..2 {
        let finished = letters.run(&["retry", "--reason", "MASS DELETE"], 6).await;
        let stays = format!("{id} tags: stays: mass delete: 12 of 20 live rows");
        assert!(finished.stdout.starts_with(&stays), "{finished:?}");
        assert!(finished.stdout.contains("--allow-mass-delete"), "{finished:?}");
        assert_eq!(letters.ids().await, [id]);
        assert_eq!(letters.live(tags).await.len(), 20);
    }
    let finished = letters.run(&["retry", "--all", "--allow-mass-delete"], 0).await;
    let applied = format!("{id} tags: applied: 8 stale, 12 marked deleted\n");
    assert!(finished.stdout.starts_with(&applied), "{finished:?}");
    letters.assert_none().await;
    assert_eq!(letters.live(tags).await, (13..=20).collect());
    assert_eq!(letters.rows(tags).await.len(), 20, "marked, not removed");
}

#[tokio::test]
async fn rows_that_came_after_a_refused_listing_are_not_deleted_with_it() {
    let mut letters = Letters::with_refused_claim().await;
    let tags = resource("tags");
    letters.load(&cut(tags, 30, Span::Partial, named(tags, [5, 21], "newer"))).await;
    letters.run(&["retry", "--all", "--allow-mass-delete"], 0).await;
    let live: BTreeSet<_> = [5].into_iter().chain(13..=21).collect();
    assert_eq!(letters.live(tags).await, live);
}

#[tokio::test]
async fn a_refused_listing_is_replaced_by_the_next_one_and_dropped_by_a_believed_one() {
    let mut letters = Letters::with_refused_claim().await;
    let tags = resource("tags");
    let first = letters.only_id().await;
    for fetched_at in [40, 30] {
        letters.load(&listing(tags, fetched_at, named(tags, 14..=20, "good"))).await;
        assert_eq!(letters.only_batch().await.fetched_at, moment(40), "the newest stays");
    }
    let finished = letters.run(&["retry", "--id", &first.to_string()], 0).await;
    assert!(finished.stdout.contains("There is no dead letter"), "what was seen is applied");
    assert_eq!(letters.live(tags).await.len(), 20);
    letters.load(&listing(tags, 50, named(tags, 2..=20, "good"))).await;
    letters.assert_none().await;
    assert_eq!(letters.live(tags).await, (2..=20).collect());
}

#[tokio::test]
async fn what_no_newer_listing_covers_of_a_refused_one_is_kept() {
    let mut letters = Letters::start().await;
    let entries = resource("time_entries");
    // Entries start at their id times 100 seconds.
    let days = |from: i64, to: i64, user_id| Span::Starts {
        from: moment(from * 100),
        to: moment(to * 100),
        user_id: Some(user_id),
    };
    let all = named(entries, 1..=40, "good");
    letters.load(&cut(entries, 10, days(1, 41, USER), all)).await;
    for (fetched_at, from, to, user, expected) in [
        (20, 1, 31, USER, 1),
        (30, 1, 31, USER + 1, 1),
        (40, 11, 41, USER, 2),
        (50, 1, 21, USER, 2),
        (60, 11, 41, USER, 2),
    ] {
        letters.load(&cut(entries, fetched_at, days(from, to, user), Vec::new())).await;
        let kept = letters.kept().await.len();
        assert_eq!(kept, expected, "at {fetched_at}: {}", letters.loader.log());
    }
    let finished = letters.run(&["retry", "--all", "--allow-mass-delete"], 0).await;
    assert!(finished.stdout.contains("marked deleted"), "{finished:?}");
    assert_eq!(letters.live(entries).await, BTreeSet::new());
}
