//! What is not Toggl's changes nothing and costs no request.

use serde_json::{Value, json};
use tests::servers::DEADLINE;
use tests::toggl::signature;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::listen::listening::{Listening, others_entry};
use crate::status::metrics::{documented, served};

const LISTENING: &str = include_str!("../../../docs/listen.md");

pub(crate) fn secret(listening: &Listening) -> String {
    let subscriptions = listening.world.toggl.subscriptions();
    subscriptions[0]["secret"].as_str().unwrap().to_owned()
}

/// An event as Toggl would send it.
pub(crate) fn event(listening: &Listening, event_id: i64) -> Value {
    json!({
        "event_id": event_id,
        "created_at": jiff::Timestamp::now().to_string(),
        "metadata": {"action": "updated", "model": "time_entry"},
        "payload": {"id": 9_000_000_001_i64, "user_id": 77},
        "subscription_id": listening.world.toggl.subscriptions()[0]["subscription_id"],
    })
}

#[tokio::test]
async fn forged_unsigned_unknown_oversized_and_malformed_deliveries_change_nothing_and_cost_nothing()
 {
    let listening = Listening::start().await;
    let (secret, before) = (secret(&listening), listening.requests());
    let good = event(&listening, 1).to_string();
    let sign = |body: &str| signature(&secret, body.as_bytes());
    assert_eq!(listening.post(None, good.clone()).await, 401, "unsigned");
    assert_eq!(listening.post(Some("sha256=00"), good.clone()).await, 401, "no signature");
    let forged = signature("another", good.as_bytes());
    assert_eq!(listening.post(Some(&forged), good.clone()).await, 401, "forged");
    assert_eq!(listening.post(Some(&sign(&good)), format!("{good} ")).await, 401, "changed");
    let mut other = event(&listening, 2);
    other["subscription_id"] = json!(1);
    let other = other.to_string();
    assert_eq!(
        listening.post(Some(&sign(&other)), other.clone()).await,
        401,
        "another subscription"
    );
    let long = " ".repeat(300 * 1024);
    assert_eq!(listening.post(Some(&sign(&long)), long.clone()).await, 413, "too large");
    for malformed in ["", "{", "null", r#"{"payload":{}}"#, "\u{0}"] {
        let answer = listening.post(Some(&sign(malformed)), malformed).await;
        assert_eq!(answer, 200, "{malformed:?} would say as little once more");
    }
    let elsewhere = crate::listen::listening::client();
    for path in ["/", "/deliveries/1", "/deliveries/x"] {
        let request = elsewhere.post(format!("{}{path}", listening.url)).body(good.clone());
        let request = request.header("x-webhook-signature-256", sign(&good));
        let status = request.send().await.unwrap().status();
        assert_eq!(status, if path == "/deliveries/1" { 401 } else { 404 }, "{path}");
    }
    assert_eq!(listening.requests(), before);
    for (outcome, count) in [
        ("unsigned", 1.0),
        ("forged", 3.0),
        ("unknown", 2.0),
        ("too_large", 1.0),
        ("unreadable", 5.0),
    ] {
        let name = format!(r#"toggl_track_listener_deliveries_total{{outcome="{outcome}"}}"#);
        assert_eq!(listening.metric(&name).await, Some(count), "{outcome}");
    }
    let log = listening.listener.log();
    assert_eq!(log.matches("that are not Toggl's").count(), 1, "one warning a minute: {log}");
    listening.end().await;
}

#[tokio::test]
async fn a_delivery_that_is_replayed_costs_nothing() {
    let listening = Listening::start().await;
    let toggl = &listening.world.toggl;
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, 9_000_000_001)));
    listening.row("time_entries_report", 9_000_000_001, |_| true).await;
    let before = listening.requests();
    let secret = secret(&listening);
    let mut event = toggl.deliveries()[0].event.clone();
    event["subscription_id"] = toggl.subscriptions()[0]["subscription_id"].clone();
    let body = event.to_string();
    for _ in 0..20 {
        let signature = signature(&secret, body.as_bytes());
        assert_eq!(listening.post(Some(&signature), body.clone()).await, 200);
    }
    // What comes after it is looked at, so the others would have been.
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, 9_000_000_002)));
    listening.row("time_entries_report", 9_000_000_002, |_| true).await;
    assert_eq!(listening.requests(), before + 1);
    listening.end().await;
}

#[tokio::test]
async fn clients_that_say_nothing_or_never_end_are_let_go_and_keep_nobody_out() {
    let listening = Listening::start().await;
    let address = listening.url.strip_prefix("http://").unwrap();
    let mut slow = Vec::new();
    for number in 0..40 {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let begun = match number % 2 {
            0 => "POST /deliveries/2230991 HTTP/1.1\r\nhost: x\r\n".to_owned(),
            _ => format!(
                "POST /deliveries/2230991 HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\
                 x-webhook-signature-256: sha256={}\r\n\r\n{{",
                "0".repeat(64)
            ),
        };
        socket.write_all(begun.as_bytes()).await.unwrap();
        slow.push(socket);
    }
    let toggl = &listening.world.toggl;
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, 9_000_000_001)));
    listening.row("time_entries_report", 9_000_000_001, |_| true).await;
    for mut socket in slow {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(DEADLINE, socket.read_to_end(&mut rest)).await;
        drop(ended.expect("it is let go"));
    }
    assert_eq!(listening.answer("/healthz").await.0, 200);
    listening.end().await;
}

#[tokio::test]
async fn whoever_watches_is_told_and_nobody_else_finds_anything() {
    let listening = Listening::start().await;
    assert_eq!(listening.answer("/readyz").await, (200, "ok\n".to_owned()));
    assert_eq!(listening.answer("/nothing").await.0, 404);
    assert_eq!(listening.answer("/deliveries/2230991").await.0, 405);
    let up =
        listening.metric(r#"toggl_track_listener_subscription_up{workspace_id="2230991"}"#).await;
    assert_eq!(up, Some(1.0));
    let id = 9_000_000_001;
    let toggl = &listening.world.toggl;
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, id)));
    listening.row("time_entries_report", id, |row| row.deleted_at.is_none()).await;
    let (_, metrics) = listening.answer("/metrics").await;
    assert_eq!(documented(LISTENING, "toggl_track_listener_"), served(&metrics));
    listening.world.toggl.disable_subscriptions();
    listening
        .world
        .toggl
        .script("/webhooks/api/v1/subscriptions/{w}", tests::toggl::Answer::status(500).forever());
    let not_ready = || async { (listening.answer("/readyz").await.0 == 503).then_some(()) };
    tests::servers::wait_for("no readiness", DEADLINE, not_ready).await.unwrap();
    assert!(listening.answer("/readyz").await.1.contains("workspace 2230991"));
    listening.end().await;
}
