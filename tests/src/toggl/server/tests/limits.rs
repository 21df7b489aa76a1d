use super::*;

const LIMITS: QuotaLimits =
    QuotaLimits { me: 2, organization: 30, window: Duration::from_hours(1) };

#[tokio::test]
async fn used_up_quota_is_402_in_plain_text_until_the_window_ends() {
    let simulator = sample().await;
    simulator.limit_quota(LIMITS);

    // A refused question costs as much as an answered one.
    assert_eq!(status(&simulator, &format!("{ENTRIES}?since=x")).await, 400);
    let last = ask(&simulator, "/api/v9/me").await;
    assert_eq!(header(&last, "x-toggl-quota-remaining"), Some("0"));
    simulator.advance_quota_clock(Duration::from_mins(20));

    let refused = ask(&simulator, "/api/v9/me").await;
    assert_eq!(refused.status(), 402);
    let resets_in = header(&refused, "x-toggl-quota-resets-in").unwrap().to_owned();
    assert!(resets_in.parse::<u64>().unwrap() <= 2400, "{resets_in}");
    assert_eq!(header(&refused, "content-type"), Some("text/plain; charset=utf-8"));
    let body = refused.bytes().await.unwrap();
    let expected = format!(
        "You have hit your hourly limit for API calls. Please upgrade to a paid plan for increased \
         access. Your quota will reset in {resets_in} seconds. CTA: Go to subscriptions page."
    );
    assert_eq!(body, expected);

    simulator.advance_quota_clock(Duration::from_mins(40));
    assert_eq!(status(&simulator, "/api/v9/me").await, 200);
}

#[tokio::test]
async fn workspace_requests_pass_while_the_me_bucket_is_empty() {
    let simulator = sample().await;
    simulator.limit_quota(QuotaLimits { me: 0, ..LIMITS });

    assert_eq!(status(&simulator, "/api/v9/me").await, 402);
    assert_eq!(status(&simulator, &format!("{WORKSPACE}/tags")).await, 200);
}

#[tokio::test]
async fn me_quota_tells_both_buckets_for_free() {
    let simulator = sample().await;
    simulator.limit_quota(LIMITS);
    status(&simulator, "/api/v9/me").await;

    for _ in 0..3 {
        let buckets = rows(&simulator, "/api/v9/me/quota").await;
        assert_eq!(buckets[0]["remaining"], 30);
        assert_eq!(buckets[1]["organization_id"], Value::Null);
        assert_eq!(buckets[1]["remaining"], 1);
        assert_eq!(buckets[1]["total"], 2);
    }
}
