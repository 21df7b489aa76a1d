//! Subscriptions are made, mended, tried and removed; plans that have none are told.

use serde_json::{Value, json};
use tests::servers::{DEADLINE, wait_for};
use tests::toggl::{Account, Answer, List};
use tests::world::World;

use crate::expected::endings::{assert_fails, assert_misused};
use crate::listen::listening::{Listening, SUBSCRIPTIONS, WORKSPACE, others_entry};

const LIMITS: &str = "/webhooks/api/v1/limits/2230991";

async fn until(what: &str, listening: &Listening, is: impl Fn(&Value) -> bool) {
    let look = || async {
        let all = listening.world.toggl.subscriptions();
        (all.len() == 1 && is(&all[0])).then_some(())
    };
    if let Err(error) = wait_for(what, DEADLINE, look).await {
        panic!(
            "{error:#}\n{:#?}\n{}",
            listening.world.toggl.subscriptions(),
            listening.listener.log()
        );
    }
}

#[tokio::test]
async fn a_subscription_is_made_once_for_everything_and_found_again() {
    let listening = Listening::start().await;
    let all = listening.world.toggl.subscriptions();
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0]["event_filters"], json!([{"entity": "*", "action": "*"}]));
    assert_eq!(all[0]["url_callback"], format!("{}/deliveries/{WORKSPACE}", listening.url));
    let place = listening.url.strip_prefix("http://").unwrap();
    assert_eq!(all[0]["description"], format!("toggl-track:{place}"));
    assert_eq!(listening.listener.terminate().await.unwrap(), Some(0));

    let next = listening.another(&[]).start().await.unwrap();
    next.logged("Toggl tells of workspace", DEADLINE).await.unwrap();
    assert_eq!(listening.world.toggl.subscriptions(), all);
    let toggl = &listening.world.toggl;
    let made =
        toggl.requests().into_iter().filter(|r| r.method != "GET" && r.path == SUBSCRIPTIONS);
    assert_eq!(made.count(), 1);
    assert_eq!(next.terminate().await.unwrap(), Some(0), "{}", next.log());
}

#[tokio::test]
async fn what_is_disabled_changed_or_not_validated_is_mended() {
    let listening = Listening::start().await;
    let toggl = &listening.world.toggl;
    toggl.disable_subscriptions();
    until("one that is enabled", &listening, |one| one["enabled"] == true).await;
    toggl.set_webhook_secret("another");
    until("its secret", &listening, |one| one["secret"] != "another").await;
    toggl.invalidate_subscriptions();
    until("one that is validated", &listening, |one| one["validated_at"].is_string()).await;
    // And it tells.
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, 9_000_000_001)));
    listening.row("time_entries_report", 9_000_000_001, |_| true).await;
    assert!(listening.listener.log().contains("it is disabled"), "{}", listening.listener.log());
    listening.end().await;
}

#[tokio::test]
async fn one_that_is_disabled_again_and_again_is_left_alone_and_said_so() {
    let listening = Listening::start().await;
    let toggl = &listening.world.toggl;
    for _ in 0..4 {
        toggl.disable_subscriptions();
        until("one that is enabled", &listening, |one| one["enabled"] == true).await;
    }
    toggl.disable_subscriptions();
    listening.listener.logged("it is disabled again and again", DEADLINE).await.unwrap();
    assert_eq!(toggl.subscriptions()[0]["enabled"], false);
    listening.end().await;
}

#[tokio::test]
async fn a_secret_that_toggl_does_not_tell_is_given_once_at_the_start() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    world.toggl.configure(|behaviour| behaviour.webhooks.tells_secrets = false);
    let listening = Listening::in_world(world, &[]).await;
    listening.rings().await;
    assert_eq!(listening.listener.terminate().await.unwrap(), Some(0));
    let toggl = &listening.world.toggl;
    toggl.set_webhook_secret("another");
    let next = listening.another(&[]).start().await.unwrap();
    next.logged("Toggl tells of workspace", DEADLINE).await.unwrap();
    let lists = toggl.count(SUBSCRIPTIONS);
    toggl.wait_for(SUBSCRIPTIONS, lists + 3).await;
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, 9_000_000_001)));
    listening.row("time_entries_report", 9_000_000_001, |_| true).await;
    let given = toggl.requests().into_iter().filter(|request| request.method == "PUT");
    assert_eq!(given.count(), 1);
    assert_eq!(next.terminate().await.unwrap(), Some(0), "{}", next.log());
}

#[tokio::test]
async fn where_everything_is_no_filter_kinds_are_asked_for_as_many_as_the_plan_allows() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    world.toggl.configure(|behaviour| {
        behaviour.webhooks.takes_any_entity = false;
        behaviour.webhooks.most_filters = 3;
    });
    let listening = Listening::in_world(world, &[]).await;
    listening.rings().await;
    let filters = &listening.world.toggl.subscriptions()[0]["event_filters"];
    let any = |entity: &str| json!({"entity": entity, "action": "*"});
    assert_eq!(*filters, json!([any("time_entry"), any("project"), any("client")]));
    listening.end().await;
}

#[tokio::test]
async fn a_plan_without_webhooks_is_told_plainly_and_other_workspaces_go_on() {
    let mut account = Account::sample_at(jiff::Timestamp::now());
    account.put_workspace(r#"{"id":777,"name":"Second","organization_id":42,"role":"admin"}"#);
    let world = World::start(account).await.unwrap();
    let no_plan = || {
        Answer::status(402)
            .header("x-toggl-quota-remaining", "20")
            .header("content-type", "application/json")
            .body(r#""Webhooks are not part of this plan""#)
    };
    world.toggl.script(SUBSCRIPTIONS, no_plan().forever());
    let listening = Listening::in_world(world, &["--workspace", "all"]).await;
    listening.listener.logged("Toggl tells of workspace 777", DEADLINE).await.unwrap();
    let log = listening.listener.log();
    assert!(log.contains("Toggl tells nothing of workspace 2230991"), "{log}");
    assert!(log.contains("Webhooks are not part of this plan"), "{log}");
    assert_eq!(listening.answer("/readyz").await.0, 200);
    listening.world.toggl.with_account(|account| {
        account.put(List::Projects, 777, r#"{"id":5,"workspace_id":777,"name":"new","active":true,"at":"2026-01-01T00:00:00+00:00"}"#);
    });
    listening.world.toggl.taken(1).await;
    listening.end().await;
}

#[tokio::test]
async fn a_workspace_whose_webhooks_are_all_taken_or_that_has_none_is_told() {
    for (most, words) in [(0, "has no webhooks"), (1, "all of the 1 webhooks")] {
        let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
        let others = json!({
            "url_callback": "http://127.0.0.1:1/", "enabled": true, "description": "somebody's",
            "event_filters": [{"entity": "tag", "action": "*"}],
        });
        if most > 0 {
            // Its address does not answer, so Toggl would not take it.
            world.toggl.script(SUBSCRIPTIONS, Answer::json(json!([others]).to_string()).forever());
        }
        world.toggl.configure(|behaviour| behaviour.webhooks.most = most);
        let listening = Listening::in_world(world, &[]).await;
        listening.listener.logged(words, DEADLINE).await.unwrap();
        assert_eq!(listening.answer("/readyz").await.0, 503);
        assert!(listening.world.toggl.count(LIMITS) > 0);
        listening.end().await;
    }
}

#[tokio::test]
async fn unsubscribing_removes_ours_and_leaves_others_alone() {
    let listening = Listening::start().await;
    assert_eq!(listening.listener.terminate().await.unwrap(), Some(0));
    let toggl = &listening.world.toggl;
    let elsewhere = format!("{}/elsewhere", listening.url);
    let another = listening.world.fetcher(&[
        "listen",
        "--public-url",
        &elsewhere.replace("127.0.0.1", "localhost"),
        "--address",
        listening.url.strip_prefix("http://").unwrap(),
        "--check-every",
        "1s",
    ]);
    let another = another.start().await.unwrap();
    another.logged("Toggl tells of workspace", DEADLINE).await.unwrap();
    assert_eq!(toggl.subscriptions().len(), 2);
    assert_eq!(another.terminate().await.unwrap(), Some(0), "{}", another.log());

    let ended = listening.another(&["--unsubscribe"]).run().await.unwrap();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stdout.contains("Workspace 2230991: 1 subscriptions removed"), "{ended:#?}");
    let left = toggl.subscriptions();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0]["description"].as_str().unwrap().contains("localhost"), "{left:?}");
    let again = listening.another(&["--unsubscribe"]).run().await.unwrap();
    assert!(again.stdout.contains("0 subscriptions removed"), "{again:#?}");
}

#[tokio::test]
async fn a_token_that_is_refused_an_address_that_is_taken_and_a_second_listener_are_named() {
    let listening = Listening::start().await;
    let taken = listening.another(&["--if-running", "fail"]).run().await.unwrap();
    assert_fails(&taken, 1, &["cannot listen at 127.0.0.1:", "--address"]);
    let elsewhere = ["--if-running", "fail", "--unsubscribe"];
    let second = listening.another(&elsewhere).run().await.unwrap();
    assert_fails(&second, 1, &["another run (listening)"]);
    for url in ["http://hooks.example.com", "https://u:hunter2@example.com"] {
        let bad = listening.world.fetcher(&["listen", "--public-url", url]).run().await.unwrap();
        assert_misused(&bad, &["--public-url", "https://host"]);
        assert!(!bad.stderr.contains("hunter2"), "{bad:#?}");
    }
    listening
        .world
        .toggl
        .with_account(|account| account.set_token("an0ther0000000000000000000000000"));
    listening.world.toggl.script(SUBSCRIPTIONS, Answer::status(401).forever());
    assert_eq!(
        listening.listener.ended(DEADLINE).await.unwrap(),
        Some(3),
        "{}",
        listening.listener.log()
    );
}
