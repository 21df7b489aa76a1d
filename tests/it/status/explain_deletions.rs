//! `loader explain` of a row that was deleted, told of before it was, or deleted a second time.

use super::explain::{partial, story, tags};
use crate::dead_letters::letters::named;
use crate::given::batches::{listing, moment, record};
use crate::replay::replaying::Replaying;

#[tokio::test]
async fn a_row_that_a_listing_lacked_and_another_had_again_is_told_so() {
    let replaying = Replaying::start().await;
    replaying.load(&listing(tags(), 10, named(tags(), 1..=3, "tag"))).await;
    replaying.load(&listing(tags(), 20, named(tags(), 1..=2, "tag"))).await;
    replaying.load(&listing(tags(), 25, named(tags(), 1..=2, "tag"))).await;
    let answer = replaying.json("tags", "3").await;
    assert_eq!(story(&answer), ["1 created", "2 marked_deleted", "3 still_deleted"], "{answer:#}");
    assert_eq!(answer["stored"]["state"], "deleted");
    assert_eq!(answer["stored"]["deleted_by"]["stream_sequence"], 2);
    assert_eq!(answer["stored"]["deleted_at"], moment(20).to_string());
    assert_eq!(answer["claims"][0]["fetched_at"], moment(25).to_string(), "{answer:#}");
    let text = replaying.text("tags", "3").await;
    assert!(text.contains("UTC, as a complete listing lacks it: run "), "{text}");
    // Of a row that is live, the same listing is what has confirmed it.
    let live = replaying.json("tags", "2").await;
    assert_eq!(story(&live), ["1 created", "2 unchanged", "3 unchanged"], "{live:#}");
    assert_eq!(live["stored"]["confirmed_at"], moment(25).to_string());

    replaying.load(&listing(tags(), 30, named(tags(), 1..=3, "tag"))).await;
    // What a newer listing covers is not taken from an older one.
    replaying.load(&listing(tags(), 22, named(tags(), 1..=2, "tag"))).await;
    replaying.load(&partial(24, vec![record(tags(), 4, 5, "gone by now")])).await;
    let answer = replaying.json("tags", "3").await;
    assert_eq!(story(&answer)[3..], ["4 restored", "5 left_alone"], "{answer:#}");
    let gone = replaying.json("tags", "4").await;
    assert_eq!(story(&gone)[4..], ["5 not_there", "6 gone_since"], "{gone:#}");
    assert_eq!(gone["stored"]["state"], "deleted");
}

/// It was found missing before the moment at which it was seen again, and by the newest listing.
#[tokio::test]
async fn a_row_that_was_deleted_twice_is_told_as_it_was_stored() {
    let replaying = Replaying::start().await;
    replaying.load(&listing(tags(), 75, named(tags(), 1..=2, "tag"))).await;
    replaying.load(&partial(15, vec![record(tags(), 3, 10, "tag")])).await;
    replaying.load(&listing(tags(), 25, named(tags(), 1..=2, "tag"))).await;
    let answer = replaying.json("tags", "3").await;
    assert_eq!(story(&answer)[1..], ["2 gone_since", "3 deleted_earlier"], "{answer:#}");
    assert_eq!(answer["stored"]["deleted_at"], moment(25).to_string());
    replaying.load(&partial(65, vec![record(tags(), 3, 10, "tag")])).await;
    replaying.load(&listing(tags(), 80, named(tags(), 1..=2, "tag"))).await;
    let answer = replaying.json("tags", "3").await;
    assert_eq!(story(&answer)[3..], ["4 gone_since", "5 still_deleted"], "{answer:#}");
    assert_eq!(answer["stored"]["deleted_at"], moment(75).to_string());
    let text = replaying.text("tags", "3").await;
    assert!(text.contains("was deleted by this time already"), "{text}");
}
