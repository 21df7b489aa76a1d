use serde_json::{Value, json};

use super::*;

const CREATED: &str = include_str!("../../../../tests/fixtures/webhook_time_entry_created.json");
const PING: &str = include_str!("../../../../tests/fixtures/webhook_ping_recorded.json");
const DELETED: &str =
    include_str!("../../../../tests/fixtures/webhook_synthetic_time_entry_deleted.json");

const WITH_PROJECT: &str =
    include_str!("../../../../tests/fixtures/webhook_synthetic_time_entry_with_project.json");
const TRIED: &str =
    include_str!("../../../../tests/fixtures/webhook_synthetic_subscription_events.json");

fn event(body: &Value) -> Event {
    match Delivery::read(body.to_string().as_bytes()) {
        Some(Delivery::Event(event)) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn recorded_deliveries_are_read() {
    let code = Some("0123456789abcdef0123456789abcdef".to_owned());
    let ping = Delivery::Ping { subscription_id: Some(10_699), code };
    assert_eq!(Delivery::read(PING.as_bytes()), Some(ping));
    let created = Event {
        subscription_id: Some(10_700),
        id: Some(8_023_169_000_000_001),
        entity: Entity::TimeEntry,
        action: Action::Created,
        ids: vec![3_050_000_001],
        user_id: Some(9_000_001),
        at: "2023-07-17T11:43:32.827Z".parse().ok(),
    };
    assert_eq!(Delivery::read(CREATED.as_bytes()), Some(Delivery::Event(created)));
    let deleted: Value = serde_json::from_str(DELETED).unwrap();
    assert_eq!(event(&deleted).action, Action::Deleted);
}

#[test]
fn ids_are_read_as_strings_and_as_numbers_exact_to_the_digit() {
    let mut body: Value = serde_json::from_str(CREATED).unwrap();
    let numbers = event(&body);
    body["event_id"] = json!("8023169000000001");
    body["subscription_id"] = json!("10700");
    body["payload"]["id"] = json!("3050000001");
    body["metadata"]["time_entry_id"] = json!(3_050_000_001_i64);
    assert_eq!(event(&body), numbers);
    body["event_id"] = json!(9_007_199_254_740_993_i64);
    assert_eq!(event(&body).id, Some(9_007_199_254_740_993));
}

#[test]
fn an_id_is_found_wherever_it_stands() {
    let mut body: Value = serde_json::from_str(DELETED).unwrap();
    body["payload"] = json!(null);
    assert_eq!(event(&body).ids, [3_200_000_001]);
    body["metadata"]["time_entry_id"] = json!({});
    assert_eq!(event(&body).ids, [3_200_000_001], "the path has it");
    assert_eq!(event(&body).user_id, Some(9_000_001), "the metadata says whose");
    body["metadata"]["path"] = json!("/api/v9/workspaces/7/time_entries/5,6,7?meta=true");
    assert_eq!(event(&body).ids, [5, 6, 7]);
    body["metadata"]["path"] = json!("/api/v9/workspaces/7/time_entries");
    assert_eq!(event(&body).ids, [0_i64; 0]);
}

#[test]
fn what_says_nothing_is_nothing() {
    for body in
        ["", "null", "[]", "{}", r#"{"metadata":1}"#, r#"{"metadata":{"model":"tag"}}"#, "{"]
    {
        assert_eq!(Delivery::read(body.as_bytes()), None, "{body}");
    }
    let odd = json!({"metadata": {"model": "rocket", "action": "launched"}, "created_at": 7});
    let odd = event(&odd);
    assert_eq!((odd.entity, odd.action, odd.at), (Entity::Other, Action::Updated, None));
}

#[test]
fn an_entry_with_a_project_is_known_by_its_own_id() {
    let body: Value = serde_json::from_str(WITH_PROJECT).unwrap();
    let updated = event(&body);
    assert_eq!((updated.entity, updated.action), (Entity::TimeEntry, Action::Updated));
    assert_eq!(updated.ids, [3_200_000_001]);
}

#[test]
fn what_was_tried_is_read_as_what_is_delivered_and_what_cannot_be_read_is_passed_over() {
    let page: Value = serde_json::from_str(TRIED).unwrap();
    let mut bodies = page["events"].as_array().unwrap().clone();
    bodies.insert(0, json!("odd"));
    let bodies = bodies.iter().map(|body| RawValue::from_string(body.to_string()).unwrap());
    let events: Vec<Event> = events_of(&bodies.collect::<Vec<_>>()).collect();
    assert_eq!(events.len(), 1);
    let Event { subscription_id, id, entity, action, ids, user_id, .. } = events[0].clone();
    assert_eq!((subscription_id, id), (None, Some(8_023_169_000_000_003)));
    assert_eq!((entity, action, user_id), (Entity::Project, Action::Created, None));
    assert_eq!(ids, [180_000_001]);
}
