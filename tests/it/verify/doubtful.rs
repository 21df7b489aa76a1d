//! Answers that prove nothing.

use serde_json::Value;
use tests::toggl::SummaryIds;
use tests::toggl::{Answer, SummaryGroups};

use crate::verify::verifying::{SUMMARY, TOTALS, Verified};

async fn no_proof(verified: &Verified, words: &str) {
    let found = verified.verify(&[]).await;
    assert_eq!(found.code, Some(6), "{words}: {found:#?}");
    assert!(found.stdout.contains(words), "{words} is not in {}", found.stdout);
    let (code, verdict) = verified.verdict().await;
    assert_eq!(code, Some(6), "{words}: {verdict}");
    assert_eq!(verdict["is_equal"], false);
    verified.world.toggl.clear_scripts();
}

#[tokio::test]
async fn an_answer_that_is_cut_empty_or_of_another_shape_is_no_proof() {
    let verified = Verified::start(300, SummaryGroups::ByTitle).await;
    let script = |answer| verified.world.toggl.script(SUMMARY, answer);
    for (body, words) in [
        ("null", "is not what it should be"),
        (r#"{"groups":null}"#, "is not what it should be"),
        (r#"{"groups":[{"id":7,"sub_groups":[{"seconds":5,"ids":[1]}"#, "is not what it should be"),
        (r#"{"groups":[]}"#, "Toggl's total is"),
        (
            r#"{"groups":[{"id":7,"sub_groups":[{"seconds":5,"ids":[1,1]}]}]}"#,
            "names entry 1 twice",
        ),
    ] {
        script(Answer::json(body));
        no_proof(&verified, words).await;
    }
    script(Answer::pass_through().hang_up_after(100).repeat(2));
    no_proof(&verified, "could not read").await;
    script(
        Answer::json(r#"{"groups":[]}"#)
            .header("x-range-start", "2025-01-01")
            .header("x-range-end", "2025-01-02"),
    );
    no_proof(&verified, "Toggl looked only at").await;

    assert_eq!(verified.verify(&[]).await.code, Some(0), "the next one takes its place");
    verified.end().await;
}

#[tokio::test]
async fn an_answer_that_lacks_most_deletes_nothing() {
    let verified = Verified::start(300, SummaryGroups::OfOne).await;
    verified.world.toggl.configure(|behaviour| behaviour.summary_cap = Some(2));

    let found = verified.verify(&["--repair"]).await;

    assert_eq!(found.code, Some(6), "{found:#?}");
    assert!(found.stdout.contains("no proof"), "its witness says more: {}", found.stdout);
    let expected =
        verified.world.toggl.with_account(|account| crate::reports::reporting::reported(account));
    assert_eq!(crate::reports::reporting::live_ids(&verified.world).await, expected);
    verified.end().await;
}

#[tokio::test]
async fn of_an_answer_that_is_too_long_to_be_held_half_of_the_days_are_asked_for() {
    let verified = Verified::start(300, SummaryGroups::ByTitle).await;
    let title = "x".repeat(33 * 1024 * 1024);
    let long = format!(r#"{{"groups":[{{"id":7,"sub_groups":[{{"title":"{title}"}}]}}]}}"#);
    verified.world.toggl.script(SUMMARY, Answer::json(long));
    let found = verified.verify(&[]).await;
    assert_eq!(found.code, Some(0), "{found:#?}");
    let asked = verified.world.toggl.count(&SUMMARY.replace("{w}", "2230991"));
    assert_eq!(asked, 1 + (3 * 365_usize).div_ceil(182), "the long one is asked for once");
    verified.end().await;
}

#[tokio::test]
async fn without_ids_sums_by_person_and_project_are_compared_and_days_read_once_more() {
    let verified = Verified::start(300, SummaryGroups::ByTitle).await;
    verified.world.toggl.configure(|behaviour| behaviour.summary_ids = SummaryIds::LeftOut);
    let equal = verified.verify(&[]).await;
    assert_eq!(equal.code, Some(0), "{equal:#?}");
    assert_eq!(verified.world.toggl.count(&TOTALS.replace("{w}", "2230991")), 3, "a witness each");

    verified.world.toggl.with_account(|account| {
        let entries = crate::verify::verifying::inside(account);
        account.delete_time_entry(entries[100].id(), jiff::Timestamp::now());
        account.edit_time_entry(entries[50].id(), jiff::Timestamp::now(), &[("duration", "98765")]);
    });
    let found = verified.verify(&[]).await;
    assert_eq!(found.code, Some(6), "{found:#?}");
    let (_, verdict) = verified.verdict().await;
    let differing = verdict["sum"]["differing_count"].as_i64().unwrap();
    assert!((1..=2).contains(&differing), "{verdict}");

    let mended = verified.verify(&["--repair"]).await;
    assert_eq!(mended.code, Some(0), "{mended:#?}");
    verified.end().await;
}

#[tokio::test]
async fn nothing_was_verified_before_anybody_asked() {
    let verified = Verified::start(10, SummaryGroups::ByTitle).await;
    let (code, verdict) = verified.verdict().await;
    assert_eq!((code, &verdict["findings"]), (Some(6), &Value::Array(Vec::new())));
    verified.end().await;
}
