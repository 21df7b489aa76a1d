use super::*;
use crate::toggl::with_fields;

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
async fn me_quota_tells_every_bucket_for_free() {
    let simulator = sample().await;
    simulator.limit_quota(LIMITS);
    status(&simulator, "/api/v9/me").await;
    status(&simulator, "/api/v9/workspaces").await;

    for _ in 0..3 {
        let buckets = rows(&simulator, "/api/v9/me/quota").await;
        let seen = |bucket: &Value| {
            ["organization_id", "remaining", "total"].map(|field| bucket[field].as_i64())
        };
        assert_eq!(
            buckets.iter().map(seen).collect::<Vec<_>>(),
            [
                [Some(2_108_152), Some(29), Some(30)],
                [Some(9_011_104), Some(30), Some(30)],
                [None, Some(1), Some(2)]
            ]
        );
    }
}

/// The fixtures with a workspace of their other organisation, and one that names none.
async fn three_workspaces() -> Simulator {
    let simulator = sample().await;
    simulator.with_account(|account| {
        let workspace = account.workspaces()[0].text().to_owned();
        for (id, organization_id) in [("2", "9011104"), ("3", "null")] {
            let fields = [("id", id), ("organization_id", organization_id)];
            account.put_workspace(&with_fields(&workspace, &fields));
        }
    });
    simulator
}

#[tokio::test]
async fn organizations_have_separate_buckets() {
    let simulator = three_workspaces().await;
    simulator.limit_quota(QuotaLimits { organization: 1, ..LIMITS });

    assert_eq!(status(&simulator, &format!("{WORKSPACE}/tags")).await, 200);
    assert_eq!(status(&simulator, &format!("{WORKSPACE}/tags")).await, 402);
    let other = ask(&simulator, "/api/v9/workspaces/2/tags").await;
    assert_eq!(other.status(), 200);
    assert_eq!(header(&other, "x-toggl-quota-remaining"), Some("0"));
    assert_eq!(status(&simulator, "/api/v9/workspaces/2").await, 402);
}

#[tokio::test]
async fn what_names_no_organization_is_paid_from_the_first() {
    let simulator = three_workspaces().await;
    for path in ["/api/v9/workspaces", "/api/v9/workspaces/3/tags", "/api/v9/workspaces/404"] {
        simulator.limit_quota(QuotaLimits { organization: 1, ..LIMITS });
        status(&simulator, path).await;

        assert_eq!(status(&simulator, &format!("{WORKSPACE}/tags")).await, 402, "{path}");
        assert_eq!(status(&simulator, "/api/v9/workspaces/2/tags").await, 200, "{path}");
    }
}
