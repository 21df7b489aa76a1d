use super::*;

/// Two clients of no time, and a simulator that serves them.
async fn clients() -> Simulator {
    let mut account = Account::empty();
    for (id, name) in [(1, "one"), (2, "two")] {
        account.put(List::Clients, 2_230_991, &client_text(id, name));
    }
    Simulator::start(account).await
}

fn client_text(id: i64, name: &str) -> String {
    format!(r#"{{"id":{id},"name":"{name}","at":"2024-01-01T00:00:00+00:00"}}"#)
}

async fn listed(simulator: &Simulator, query: &str) -> Vec<i64> {
    ids(&rows(simulator, &format!("{WORKSPACE}/clients{query}")).await)
}

fn add(id: i64) -> impl FnOnce(&mut Account) + Send {
    move |account| account.put(List::Clients, 2_230_991, &client_text(id, &format!("x{id}")))
}

#[tokio::test]
async fn a_change_comes_before_the_nth_request_to_its_path_and_no_other() {
    let simulator = clients().await;
    simulator.before_request("/api/v9/workspaces/{w}/clients", 2, add(3));
    simulator.before_request("*", 4, add(4));
    simulator.before_request("/api/v9/me", 1, add(5));

    assert_eq!(status(&simulator, &format!("{WORKSPACE}/tags")).await, 200);
    assert_eq!(listed(&simulator, "").await, [1, 2]);
    assert_eq!(listed(&simulator, "").await, [1, 2, 3]);
    assert_eq!(listed(&simulator, "").await, [1, 2, 3, 4]);
    assert_eq!(listed(&simulator, "").await, [1, 2, 3, 4]);
    assert_eq!(status(&simulator, "/api/v9/me").await, 200);
    assert_eq!(listed(&simulator, "").await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn changes_come_before_every_request_until_it_is_calm() {
    let simulator = clients().await;
    simulator
        .before_every_request(|account, number| add(i64::try_from(number).unwrap() + 10)(account));
    simulator.before_request("", 3, add(3));

    assert_eq!(listed(&simulator, "").await, [1, 2, 11]);
    assert_eq!(listed(&simulator, "").await, [1, 2, 11, 12]);
    simulator.calm_down();
    assert_eq!(listed(&simulator, "").await, [1, 2, 11, 12]);
}

#[tokio::test]
async fn the_account_that_changes_is_that_of_who_asks() {
    let (mut other, account) = (Account::sample(), Account::sample());
    other.set_token("other");
    let simulator = Simulator::start_many(vec![account, other]).await;
    simulator.before_request("", 1, |account| account.set_time_zone("Asia/Tokyo"));

    assert_eq!(ask_as(&simulator, "other", "/api/v9/me").await.status(), 200);

    simulator.with_account(|account| assert!(!account.me().contains("Tokyo")));
    simulator.with_account_of("other", |account| assert!(account.me().contains("Tokyo")));
}

#[tokio::test]
async fn since_shows_what_was_created_changed_or_deleted_and_only_it_shows_deletions() {
    let simulator = clients().await;
    let at: Timestamp = "2024-05-05T10:00:00.5Z".parse().unwrap();
    simulator.with_account(|account| {
        account.change(List::Clients, 2_230_991, 1, at, &[("name", r#""zwei""#)]);
        add(3)(account);
        account.delete(List::Clients, 2_230_991, 2, at);
    });

    assert_eq!(listed(&simulator, "").await, [3, 1]);
    assert_eq!(listed(&simulator, &format!("?since={}", at.as_second() + 1)).await, [0_i64; 0]);
    let since = rows(&simulator, &format!("{WORKSPACE}/clients?since={}", at.as_second())).await;
    assert_eq!(ids(&since), [2, 1]);
    assert_eq!(since[0]["server_deleted_at"], "2024-05-05T10:00:00+00:00");
    assert_eq!(since[0]["at"], since[0]["server_deleted_at"]);
    assert_eq!((&since[1]["name"], &since[1]["server_deleted_at"]), (&"zwei".into(), &Value::Null));
    assert_eq!(listed(&simulator, "?since=1").await, [2, 3, 1]);
    assert_eq!(status(&simulator, &format!("{WORKSPACE}/clients?since=x")).await, 400);

    simulator.with_account(|account| {
        account.put(List::Clients, 2_230_991, &client_text(2, "two"));
    });
    assert_eq!(listed(&simulator, "?since=1").await, [2, 3, 1], "what is back is not deleted too");
    assert_eq!(listed(&simulator, "").await, [2, 3, 1]);
}

#[tokio::test]
async fn since_works_with_pages_envelopes_and_the_field_of_tags() {
    let simulator =
        generated(&AccountSize { projects: 3, tasks: 3, ..AccountSize::default() }).await;
    let now = Timestamp::now();
    let first = |list| {
        simulator.with_account(|account| {
            let id = account.records(list, 2_230_991)[0].id();
            account.delete(list, 2_230_991, id, now);
            id
        })
    };
    let [project, task, tag] = [List::Projects, List::Tasks, List::Tags].map(first);
    let since = now.as_second();

    let projects = format!("{WORKSPACE}/projects?active=both&per_page=200&since={since}");
    assert_eq!(ids(&rows(&simulator, &projects).await), [project]);
    let tasks = text(&simulator, &format!("{WORKSPACE}/tasks?since={since}")).await;
    let tasks: Value = serde_json::from_str(&tasks).unwrap();
    assert_eq!((&tasks["data"][0]["id"], &tasks["total_count"]), (&task.into(), &1.into()));
    let tags = rows(&simulator, &format!("{WORKSPACE}/tags?since={since}")).await;
    assert_eq!(ids(&tags), [tag]);
    assert!(tags[0]["deleted_at"].is_string() && tags[0]["server_deleted_at"].is_null());
    // Users have no such parameter.
    assert_eq!(rows(&simulator, &format!("{WORKSPACE}/users?since={since}")).await.len(), 4);
}

#[tokio::test]
async fn a_rename_moves_a_row_to_where_its_name_belongs() {
    let simulator = clients().await;
    let now = Timestamp::now();
    simulator.with_account(|account| {
        account.change(List::Clients, 2_230_991, 1, now, &[("name", r#""zzz""#)]);
    });

    assert_eq!(listed(&simulator, "").await, [2, 1]);
}
