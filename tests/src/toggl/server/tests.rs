use std::sync::Once;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

use super::*;
use crate::toggl::{
    AccountSize, List, Record, ReportOrder, Rest, ShortPage, TOKEN, TimeEntry, sample_now,
};

mod accounts;
mod changes;
mod entries;
mod limits;
mod lists;
mod report;
mod scripts;
mod short_lists;
mod webhooks;

const ENTRIES: &str = "/api/v9/me/time_entries";
const WORKSPACE: &str = "/api/v9/workspaces/2230991";

fn client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().ok();
    });
    Client::builder().no_proxy().build().unwrap()
}

fn request(simulator: &Simulator, path: &str) -> RequestBuilder {
    client().get(simulator.url().join(path).unwrap())
}

async fn ask(simulator: &Simulator, path: &str) -> Response {
    ask_as(simulator, TOKEN, path).await
}

async fn ask_as(simulator: &Simulator, token: &str, path: &str) -> Response {
    request(simulator, path).basic_auth(token, Some("api_token")).send().await.unwrap()
}

async fn status(simulator: &Simulator, path: &str) -> u16 {
    ask(simulator, path).await.status().as_u16()
}

async fn text(simulator: &Simulator, path: &str) -> String {
    let response = ask(simulator, path).await;
    String::from_utf8(response.bytes().await.unwrap().to_vec()).unwrap()
}

async fn rows(simulator: &Simulator, path: &str) -> Vec<Value> {
    serde_json::from_str(&text(simulator, path).await).unwrap()
}

fn ids(rows: &[Value]) -> Vec<i64> {
    rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// The fixtures, at the time they were recorded.
async fn sample() -> Simulator {
    let simulator = Simulator::start(Account::sample()).await;
    simulator.configure(|behaviour| behaviour.now = Some(sample_now()));
    simulator
}

async fn generated(size: &AccountSize) -> Simulator {
    let simulator = Simulator::start(Account::generate(size)).await;
    simulator.configure(|behaviour| behaviour.now = Some(size.now));
    simulator
}

#[tokio::test]
async fn missing_credentials_are_401_without_a_body() {
    let simulator = sample().await;

    let response = request(&simulator, "/api/v9/me").send().await.unwrap();

    assert_eq!(response.status(), 401);
    assert_eq!(header(&response, "x-authorization-missing"), Some("true"));
    assert!(response.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn wrong_token_is_403_or_what_is_configured() {
    let simulator = sample().await;
    simulator.with_account(|account| account.set_token("another"));

    let response = ask(&simulator, "/api/v9/me").await;
    assert_eq!(response.status(), 403);
    assert_eq!(response.bytes().await.unwrap(), r#""Incorrect username and/or password""#);

    simulator.configure(|behaviour| behaviour.wrong_token_status = 401);
    assert_eq!(status(&simulator, "/api/v9/me").await, 401);
}

#[tokio::test]
async fn answers_carry_toggls_headers() {
    let simulator = sample().await;

    let response = ask(&simulator, "/api/v9/me").await;

    assert_eq!(header(&response, "content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(header(&response, "x-service-level"), Some("GREEN"));
    for name in ["date", "x-toggl-request-id", "x-toggl-quota-remaining", "x-toggl-quota-resets-in"]
    {
        assert!(header(&response, name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn every_resource_serves_the_fixture_byte_for_byte() {
    let simulator = sample().await;
    let account = simulator.with_account(|account| account.clone());

    assert_eq!(text(&simulator, "/api/v9/me").await, account.me());
    for (list, path) in [
        (List::Projects, "projects?active=both&page=1&per_page=200"),
        (List::Clients, "clients?status=both"),
        (List::Tags, "tags"),
        (List::Users, "users"),
        (List::Groups, "groups"),
        (List::ProjectUsers, "project_users"),
        (List::WorkspaceUsers, "workspace_users"),
    ] {
        let records = account.records(list, account.workspace_id());
        let expected: Vec<&str> = records.iter().map(Record::text).collect();
        let body = text(&simulator, &format!("{WORKSPACE}/{path}")).await;
        assert_eq!(body, format!("[{}]", expected.join(",")), "{path}");
    }
    let workspaces = text(&simulator, "/api/v9/workspaces").await;
    assert_eq!(workspaces, text(&simulator, "/api/v9/me/workspaces").await);
    assert_eq!(workspaces, format!("[{}]", text(&simulator, WORKSPACE).await));
}

#[tokio::test]
async fn records_carry_the_secrets_the_account_lists() {
    let simulator = sample().await;
    let me = text(&simulator, "/api/v9/me").await;
    let workspaces = text(&simulator, "/api/v9/workspaces").await;
    let bodies =
        me + &workspaces + &text(&simulator, &format!("{WORKSPACE}/workspace_users")).await;

    for secret in simulator.with_account(|account| account.secrets()) {
        assert!(bodies.contains(&secret), "{secret}");
    }
}

#[tokio::test]
async fn unknown_workspaces_are_403_and_unknown_paths_404() {
    let simulator = sample().await;

    assert_eq!(status(&simulator, "/api/v9/workspaces/1/tags").await, 403);
    assert_eq!(status(&simulator, "/api/v9/workspaces/1").await, 403);
    assert_eq!(status(&simulator, "/api/v9/nothing").await, 404);
}
