//! No secret, and nothing of what is delivered, stands anywhere.

use futures::TryStreamExt as _;
use shared::stream::BUCKET;
use tests::servers::DEADLINE;
use tests::toggl::Account;

use crate::listen::listening::{Listening, SUBSCRIPTIONS, others_entry};

#[tokio::test]
async fn neither_token_nor_secret_nor_what_was_delivered_is_in_a_log_or_in_the_bucket() {
    let account = Account::sample_at(jiff::Timestamp::now());
    let listening = Listening::of(account, &["--log-level", "debug"]).await;
    let toggl = &listening.world.toggl;
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, 9_000_000_001)));
    listening.row("time_entries_report", 9_000_000_001, |_| true).await;
    // Toggl repeats what it was told.
    let secret = toggl.subscriptions()[0]["secret"].as_str().unwrap().to_owned();
    toggl.set_webhook_secret("another");
    let echo = format!(r#""cannot take the secret {secret}""#);
    let refusal = tests::toggl::Answer::status(400).header("content-type", "application/json");
    toggl.script(&format!("{SUBSCRIPTIONS}/{{id}}"), refusal.body(echo).repeat(4));
    listening.listener.logged("cannot take the secret ***", DEADLINE).await.unwrap();
    assert_eq!(listening.post(Some("sha256=00"), "hunter2").await, 401);
    listening.end().await;

    let context = listening.world.jetstream().await.unwrap();
    let bucket = context.get_key_value(BUCKET).await.unwrap();
    let keys: Vec<String> = bucket.keys().await.unwrap().try_collect().await.unwrap();
    assert!(keys.iter().any(|key| key.starts_with("listen.")), "{keys:?}");
    let mut stored = String::new();
    for key in keys {
        let value = bucket.get(&key).await.unwrap().unwrap_or_default();
        stored.push_str(&String::from_utf8_lossy(&value));
    }
    let token = toggl.with_account(|account| account.token().to_owned());
    let said = format!("{}{}{stored}", listening.listener.log(), listening.loader.log());
    for hidden in
        [&*token, &*secret, "theirs", "created_with", "a secret that nobody may keep", "hunter2"]
    {
        assert!(!said.contains(hidden), "{hidden} is in {said}");
    }
}
