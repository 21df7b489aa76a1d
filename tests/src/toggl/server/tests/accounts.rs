use super::*;

const OTHER: &str = "another0000000000000000000000000";

/// The fixtures' account, and an empty one of somebody else.
async fn two_accounts() -> Simulator {
    let mut other = Account::empty();
    other.set_me(&crate::toggl::with_fields(other.me(), &[("id", "7")]));
    other.set_token(OTHER);
    Simulator::start_many(vec![Account::sample(), other]).await
}

async fn user_id(simulator: &Simulator, token: &str) -> i64 {
    let me = ask_as(simulator, token, "/api/v9/me").await.bytes().await.unwrap();
    serde_json::from_slice::<Value>(&me).unwrap()["id"].as_i64().unwrap()
}

#[tokio::test]
async fn the_token_chooses_the_account() {
    let simulator = two_accounts().await;

    assert_eq!(user_id(&simulator, TOKEN).await, 2_166_398);
    assert_eq!(user_id(&simulator, OTHER).await, 7);
    assert_eq!(ask_as(&simulator, "nobody's", "/api/v9/me").await.status(), 403);
    let without = request(&simulator, "/api/v9/me").send().await.unwrap();
    assert_eq!(without.status(), 401);
}

#[tokio::test]
async fn accounts_are_changed_each_on_its_own() {
    let simulator = two_accounts().await;
    simulator.with_account_of(OTHER, |account| {
        let workspace_id = account.workspace_id();
        account.put(List::Tags, workspace_id, r#"{"id":1,"name":"new"}"#);
        account.set_token("renewed");
    });

    let path = format!("{WORKSPACE}/tags");
    let tags = ask_as(&simulator, "renewed", &path).await.bytes().await.unwrap();
    assert_eq!(tags, r#"[{"id":1,"name":"new"}]"#);
    assert_eq!(rows(&simulator, &path).await.len(), 12);
    assert_eq!(ask_as(&simulator, OTHER, &path).await.status(), 403);
    let first = simulator.with_account(|account| account.user_id());
    assert_eq!(simulator.with_account_of("renewed", |account| account.user_id()), 7);
    assert_eq!(first, 2_166_398);
}

#[tokio::test]
async fn every_account_has_a_quota_of_its_own() {
    let simulator = two_accounts().await;
    let window = Duration::from_hours(1);
    simulator.limit_quota(QuotaLimits { me: 1, organization: 1, window });
    let spent = async |path| [status(&simulator, path).await, status(&simulator, path).await];

    assert_eq!(spent("/api/v9/me").await, [200, 402]);
    assert_eq!(spent("/api/v9/workspaces").await, [200, 402]);
    assert_eq!(ask_as(&simulator, OTHER, "/api/v9/me").await.status(), 200);
    let last = ask_as(&simulator, OTHER, "/api/v9/workspaces").await;
    assert_eq!(
        (last.status().as_u16(), header(&last, "x-toggl-quota-remaining")),
        (200, Some("0"))
    );
    simulator.advance_quota_clock(window);
    assert_eq!(ask_as(&simulator, OTHER, "/api/v9/workspaces").await.status(), 200);
    assert_eq!(spent("/api/v9/me").await, [200, 402]);
}
