//! Webhooks: an address is tried before its subscription is kept, and called for what happens.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use serde_json::json;

use super::*;
use crate::toggl::signature;

const SUBSCRIPTIONS: &str = "/webhooks/api/v1/subscriptions/2230991";

/// Whoever is called: keeps what comes, and sends back the code of a ping.
struct Called {
    url: String,
    came: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Called {
    async fn start() -> Self {
        let came: Arc<Mutex<Vec<(HeaderMap, Bytes)>>> = Arc::default();
        let kept = Arc::clone(&came);
        let router = Router::new().fallback(move |headers: HeaderMap, body: Bytes| async move {
            let event: Value = serde_json::from_slice(&body).unwrap();
            kept.lock().unwrap().push((headers, body));
            json!({ "validation_code": event["validation_code"] }).to_string()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, came }
    }

    fn events(&self) -> Vec<Value> {
        let came = self.came.lock().unwrap();
        came.iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect()
    }
}

async fn subscribe(simulator: &Simulator, url: &str) -> u16 {
    let wanted = json!({
        "url_callback": url, "enabled": true, "description": "mine", "secret": "hunter2",
        "event_filters": [{"entity": "time_entry", "action": "*"}],
    });
    let request = client().post(simulator.url().join(SUBSCRIPTIONS).unwrap()).json(&wanted);
    let request = request.basic_auth(TOKEN, Some("api_token"));
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_subscription_is_kept_if_its_address_answers_and_valid_once_that_sends_back_the_code() {
    let (simulator, called) = (sample().await, Called::start().await);
    assert_eq!(subscribe(&simulator, "http://127.0.0.1:1/").await, 400);
    assert_eq!(simulator.subscriptions().len(), 0);
    assert_eq!(subscribe(&simulator, &called.url).await, 200);
    assert!(simulator.subscriptions()[0]["validated_at"].is_string());
    assert_eq!(subscribe(&simulator, &called.url).await, 400, "its description is taken");
    let (headers, body) = called.came.lock().unwrap()[0].clone();
    assert_eq!(headers["x-webhook-signature-256"], signature("hunter2", &body));
}

#[tokio::test]
async fn what_happens_is_told_as_the_filters_say_and_what_a_deletion_tells_looks_alive() {
    let (simulator, called) = (sample().await, Called::start().await);
    subscribe(&simulator, &called.url).await;
    let id = simulator.with_account(|account| {
        let id = account.time_entries().find(|entry| !entry.is_deleted()).unwrap().id();
        account.edit_time_entry(id, Timestamp::now(), &[("description", r#""edited""#)]);
        let project = account.records(List::Projects, 2_230_991)[0].id();
        account.edit(List::Projects, 2_230_991, project, &[("name", r#""told to nobody""#)]);
        account.delete_time_entry(id, Timestamp::now());
        id
    });
    simulator.taken(2).await;
    let events: Vec<Value> = called.events().into_iter().skip(1).collect();
    assert_eq!(events.len(), 2, "{events:#?}");
    for (event, action) in events.iter().zip(["updated", "deleted"]) {
        assert_eq!(event["metadata"]["action"], action);
        assert_eq!(event["metadata"]["time_entry_id"], id.to_string());
        assert_eq!(event["payload"]["id"], id);
        assert!(event["payload"]["server_deleted_at"].is_null());
    }
    simulator.disable_subscriptions();
    simulator.with_account(|account| account.delete_time_entry(id, Timestamp::now()));
    assert_eq!(simulator.deliveries().len(), 2);
}
