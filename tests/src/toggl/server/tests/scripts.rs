use super::*;

const TAGS: &str = "/api/v9/workspaces/{w}/tags";

#[tokio::test]
async fn scripted_answers_come_in_order_and_then_the_account_answers() {
    let simulator = sample().await;
    let path = format!("{WORKSPACE}/tags");
    simulator.script(TAGS, Answer::status(500).body("<html>").repeat(2));
    simulator.script(TAGS, Answer::status(429).header("retry-after", "3"));

    assert_eq!(status(&simulator, &path).await, 500);
    assert_eq!(text(&simulator, &path).await, "<html>");
    let limited = ask(&simulator, &path).await;
    assert_eq!(limited.status(), 429);
    assert_eq!(header(&limited, "retry-after"), Some("3"));
    assert_eq!(header(&limited, "x-toggl-quota-remaining"), None);
    assert_eq!(rows(&simulator, &path).await.len(), 12);
    let statuses: Vec<_> = simulator.requests().iter().map(|seen| seen.status).collect();
    assert_eq!(statuses, [Some(500), Some(500), Some(429), Some(200)]);
}

#[tokio::test]
async fn scripted_answers_come_before_the_credentials() {
    let simulator = sample().await;
    simulator.script("/api/v9/me", Answer::json("{}").forever());

    assert_eq!(request(&simulator, "/api/v9/me").send().await.unwrap().status(), 200);
    simulator.clear_scripts();
    assert_eq!(request(&simulator, "/api/v9/me").send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn hanging_up_breaks_the_body_after_so_many_bytes() {
    let simulator = sample().await;
    let path = format!("{WORKSPACE}/tags");
    let whole = text(&simulator, &path).await;
    simulator.script(TAGS, Answer::pass_through().hang_up_after(100));

    let mut response = ask(&simulator, &path).await;

    assert_eq!(response.status(), 200);
    assert_eq!(response.content_length(), Some(whole.len() as u64));
    let begun = response.chunk().await.unwrap().unwrap();
    assert_eq!(begun, whole.as_bytes()[..100]);
    assert!(response.chunk().await.is_err());
    assert_eq!(text(&simulator, &path).await, whole);
}

#[tokio::test]
async fn delayed_requests_are_seen_before_they_are_answered() {
    let simulator = sample().await;
    let delay = Duration::from_millis(200);
    simulator.script("/api/v9/me", Answer::pass_through().delay(delay));
    let asked = Instant::now();

    let (response, ()) = tokio::join!(ask(&simulator, "/api/v9/me"), async {
        simulator.wait_for("/api/v9/me", 1).await;
        assert_eq!(simulator.requests()[0].status, None);
    });

    assert_eq!(response.status(), 200);
    assert!(asked.elapsed() >= delay);
    assert_eq!((simulator.count("/api/v9/me"), simulator.count("/api/v9/w")), (1, 0));
}

#[tokio::test]
async fn trickled_bodies_come_in_chunks_with_pauses_between_and_their_length_declared() {
    let simulator = sample().await;
    let pause = Duration::from_millis(60);
    simulator.script("/api/v9/me", Answer::json("0123456789").trickle(4, pause));
    let asked = Instant::now();

    let mut response = ask(&simulator, "/api/v9/me").await;

    assert_eq!(response.content_length(), Some(10));
    let mut chunks = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        chunks.push((chunk, asked.elapsed()));
    }
    assert_eq!(
        chunks.iter().map(|(chunk, _)| &chunk[..]).collect::<Vec<_>>(),
        [&b"0123"[..], b"4567", b"89"]
    );
    assert!(chunks[1].1 >= pause && chunks[2].1 >= 2 * pause, "{chunks:?}");
}

#[tokio::test]
async fn passed_through_answers_can_trickle_and_break_off() {
    let simulator = sample().await;
    let path = format!("{WORKSPACE}/tags");
    let whole = text(&simulator, &path).await;
    let answer = Answer::pass_through().trickle(300, Duration::from_millis(1));
    simulator.script(TAGS, answer.clone());
    simulator.script(TAGS, answer.hang_up_after(500));

    assert_eq!(text(&simulator, &path).await, whole);
    let mut broken = ask(&simulator, &path).await;
    let mut length = 0;
    while let Ok(chunk) = broken.chunk().await {
        length += chunk.unwrap().len();
    }
    assert_eq!(length, 500);
}

#[tokio::test]
async fn redirects_can_be_scripted_and_are_followed_by_those_who_do() {
    let simulator = sample().await;
    let path = "/api/v9/elsewhere";
    simulator.script(path, Answer::status(302).header("location", "/api/v9/me"));

    let response = ask(&simulator, path).await;

    assert_eq!((response.status().as_u16(), response.url().path()), (200, "/api/v9/me"));
    let seen = simulator.requests();
    assert_eq!(seen.iter().map(|seen| seen.status).collect::<Vec<_>>(), [Some(302), Some(200)]);
}

#[tokio::test]
async fn the_log_keeps_method_path_and_query_as_sent() {
    let simulator = sample().await;

    status(&simulator, &format!("{WORKSPACE}/projects?active=both&page=1")).await;

    let seen = &simulator.requests()[0];
    assert_eq!(seen.method, "GET");
    assert_eq!(seen.path, format!("{WORKSPACE}/projects"));
    assert_eq!(seen.query, "active=both&page=1");
}

#[tokio::test]
async fn the_log_keeps_what_was_posted_and_whether_credentials_came() {
    let simulator = sample().await;

    let post = client().post(simulator.url().join("/api/v9/me").unwrap());
    let refused = post.bearer_auth("x").body(r#"{"größe": 1}"#).send().await.unwrap();
    request(&simulator, "/api/v9/me").send().await.unwrap();

    assert_eq!(refused.status(), 403);
    let seen = simulator.requests();
    assert_eq!((seen[0].method.as_str(), seen[0].authorization), ("POST", true));
    assert_eq!(seen[0].body, r#"{"größe": 1}"#);
    assert_eq!((seen[1].body.as_str(), seen[1].authorization), ("", false));
}

#[tokio::test]
async fn dropped_simulator_closes_its_port() {
    let simulator = sample().await;
    let me = simulator.url().join("api/v9/me").unwrap();
    drop(simulator);

    // The server ends as soon as its task runs again.
    while client().get(me.clone()).send().await.is_ok() {
        tokio::task::yield_now().await;
    }
}
