//! What is refused is told in Toggl's words; and what a proxy says is not taken for Toggl's.

use jiff::Timestamp;
use tests::toggl::{Account, Answer};
use tests::world::World;

use crate::expected::endings::{assert_fails, assert_unspoken};

const ME: &str = "/api/v9/me";
const GROUPS: &str = "/api/v9/workspaces/{w}/groups";
const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Just a moment...</title></head>
<body><h1>Checking your browser</h1></body></html>";

async fn world() -> World {
    World::start(Account::sample_at(Timestamp::now())).await.unwrap()
}

fn page(status: u16) -> Answer {
    Answer::status(status).header("content-type", "text/html; charset=UTF-8").body(PAGE)
}

#[tokio::test]
async fn a_page_of_whatever_status_is_a_proxys_and_says_nothing_of_the_credentials() {
    for status in [200, 401, 402, 403, 404, 418, 502, 503, 511] {
        let world = world().await;
        world.toggl.script(ME, page(status).forever());
        let finished = world.fetcher(&[]).run().await.unwrap();
        let words = ["proxy's page", "not Toggl's answer", "Just a moment", &status.to_string()];
        assert_fails(&finished, 1, &words);
        assert_unspoken(&finished, "refuses the credentials");
    }
}

#[tokio::test]
async fn a_front_that_is_down_for_a_moment_is_asked_once_more() {
    let world = world().await;
    world.toggl.script(ME, page(502));
    world.toggl.script(GROUPS, Answer::status(200));
    let finished = world.fetcher(&[]).run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

#[tokio::test]
async fn a_page_in_place_of_a_list_is_no_closed_list() {
    let world = world().await;
    world.toggl.script(GROUPS, page(403).forever());
    let finished = world.fetcher(&[]).run().await.unwrap();
    assert_fails(&finished, 1, &["groups", "proxy's page", "Just a moment"]);
    assert!(!finished.stdout.contains("Skipped"), "{}", finished.stdout);
}

#[tokio::test]
async fn a_refusal_of_the_credentials_is_told_in_toggls_words_whatever_their_form() {
    for body in [
        "User is not confirmed",
        r#""User is not confirmed""#,
        r#"{"message":"User is not confirmed"}"#,
        r#"{"error":"User is not confirmed"}"#,
        r#"{"error":{"message":"User is not confirmed","tip":"…","code":403}}"#,
        r#"{"errors":["User is not confirmed"]}"#,
        r#"{"errors":[{"detail":"User is not confirmed"}]}"#,
    ] {
        let world = world().await;
        world.toggl.script(ME, Answer::status(403).body(body).forever());
        let finished = world.fetcher(&[]).run().await.unwrap();
        let words = ["refuses the credentials (403 Forbidden: User is not confirmed)"];
        assert_fails(&finished, 3, &words);
    }
}

#[tokio::test]
async fn a_check_names_the_proxy_too() {
    let world = world().await;
    world.toggl.script(ME, page(403).forever());
    let finished = world.fetcher(&["check"]).run().await.unwrap();
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    let failed = finished.stdout.lines().find(|line| line.starts_with("[FAIL]")).unwrap();
    assert!(failed.contains("proxy's page") && failed.contains("Just a moment"), "{failed}");
}

#[tokio::test]
async fn a_check_does_without_quotas_that_are_closed() {
    let world = world().await;
    world.toggl.script("/api/v9/me/quota", Answer::status(404).forever());
    let finished = world.fetcher(&["check"]).run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

#[tokio::test]
async fn a_proxy_that_wants_a_log_in_is_told_how_to_give_one() {
    for body in [PAGE, "", "Proxy Authentication Required"] {
        let world = world().await;
        world.toggl.script(ME, Answer::status(407).body(body).forever());
        let finished = world.fetcher(&[]).run().await.unwrap();
        assert_fails(&finished, 1, &["a proxy on the way", "407", "HTTPS_PROXY"]);
    }
}

#[tokio::test]
async fn a_redirection_to_a_log_in_is_named_by_its_host_alone() {
    let world = world().await;
    let to = "https://sso.example.com/login?RelayState=s3cret";
    world.toggl.script(ME, Answer::status(302).header("location", to).body(PAGE).forever());
    let finished = world.fetcher(&[]).run().await.unwrap();
    assert_fails(&finished, 1, &["redirected", "302", "https://sso.example.com;"]);
    assert_unspoken(&finished, "s3cret");
}

#[tokio::test]
async fn an_answer_without_a_body_is_called_empty() {
    for status in [200, 204] {
        let world = world().await;
        world.toggl.script(ME, Answer::status(status).forever());
        let finished = world.fetcher(&[]).run().await.unwrap();
        assert_fails(&finished, 1, &["/me", "it is empty"]);
    }
}
