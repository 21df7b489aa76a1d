use super::*;

#[tokio::test]
async fn projects_come_in_pages_of_151_unless_more_is_asked_and_never_above_200() {
    let size = AccountSize { projects: 230, archived_projects: 180, ..AccountSize::default() };
    let simulator = generated(&size).await;
    let path = |query: &str| format!("{WORKSPACE}/projects?{query}");

    assert_eq!(rows(&simulator, &path("")).await.len(), 151);
    assert_eq!(rows(&simulator, &path("page=2")).await.len(), 230 - 151);
    let mut seen = Vec::new();
    for page in 1..=4 {
        let query = format!("active=both&per_page=500&page={page}");
        seen.push(rows(&simulator, &path(&query)).await);
    }
    assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [200, 200, 10, 0]);
    let mut seen = ids(&seen.concat());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 410);
}

#[tokio::test]
async fn archived_records_are_hidden_unless_asked_for() {
    let simulator = sample().await;

    for (path, expected) in [
        ("projects", 3),
        ("projects?active=false", 1),
        ("projects?active=both", 4),
        ("clients", 4),
        ("clients?status=archived", 1),
        ("clients?status=both", 5),
    ] {
        assert_eq!(
            rows(&simulator, &format!("{WORKSPACE}/{path}")).await.len(),
            expected,
            "{path}"
        );
    }
}

#[tokio::test]
async fn empty_lists_are_null_when_configured() {
    let simulator = Simulator::start(Account::empty()).await;
    let path = format!("{WORKSPACE}/projects");

    assert_eq!(text(&simulator, &path).await, "[]");
    simulator.configure(|behaviour| behaviour.empty_lists_as_null = true);
    assert_eq!(text(&simulator, &path).await, "null");
    assert_eq!(text(&simulator, ENTRIES).await, "null");
    let account = Account::sample();
    simulator.with_account(|served| *served = account);
    assert_eq!(text(&simulator, &format!("{path}?page=2")).await, "null");
}

async fn tasks(simulator: &Simulator, query: &str) -> Value {
    serde_json::from_str(&text(simulator, &format!("{WORKSPACE}/tasks?{query}")).await).unwrap()
}

#[tokio::test]
async fn tasks_come_in_an_envelope_of_50_unless_more_is_asked_and_never_above_200() {
    let size = AccountSize { tasks: 60, done_tasks: 170, ..AccountSize::default() };
    let simulator = generated(&size).await;

    let first = tasks(&simulator, "").await;
    assert_eq!(first["data"].as_array().unwrap().len(), 50);
    assert_eq!(first["total_count"], 60, "done ones are hidden");
    assert_eq!((&first["page"], &first["per_page"]), (&1.into(), &50.into()));
    assert_eq!((&first["sort_field"], &first["sort_order"]), (&"name".into(), &"ASC".into()));
    assert_eq!(tasks(&simulator, "page=2").await["data"].as_array().unwrap().len(), 10);
    assert_eq!(tasks(&simulator, "active=false").await["total_count"], 170);

    let mut seen = Vec::new();
    for page in 1..=2 {
        let page = tasks(&simulator, &format!("active=both&per_page=500&page={page}")).await;
        assert_eq!((&page["total_count"], &page["per_page"]), (&230.into(), &200.into()));
        seen.push(page["data"].as_array().unwrap().clone());
    }
    assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [200, 30]);
    let mut seen = ids(&seen.concat());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 230);
}

#[tokio::test]
async fn data_of_a_page_without_tasks_is_null() {
    let simulator = sample().await;

    let fixture = include_str!("../../../../fixtures/tasks.json").trim();
    let expected = format!(
        r#"{{"data":{fixture},"page":1,"per_page":50,"sort_field":"name","sort_order":"ASC","total_count":1}}"#
    );
    assert_eq!(text(&simulator, &format!("{WORKSPACE}/tasks")).await, expected);
    let beyond = tasks(&simulator, "page=2").await;
    assert_eq!((&beyond["data"], &beyond["total_count"]), (&Value::Null, &1.into()));
    simulator.with_account(|account| {
        let (workspace_id, id) = (account.workspace_id(), 70_000_001);
        account.edit(List::Tasks, workspace_id, id, &[("active", "false")]);
    });
    let none = tasks(&simulator, "").await;
    assert_eq!((&none["data"], &none["total_count"]), (&Value::Null, &0.into()));
}

#[tokio::test]
async fn generated_accounts_have_a_member_per_project_and_a_membership_per_user() {
    let size = AccountSize::default();
    let simulator = generated(&size).await;
    let list = async |path| rows(&simulator, &format!("{WORKSPACE}/{path}")).await;
    let users = ids(&list("users").await);

    let mut projects: Vec<_> =
        list("project_users").await.iter().map(|row| row["project_id"].as_i64().unwrap()).collect();
    projects.sort_unstable();
    let mut expected = ids(&list("projects?active=both").await);
    expected.sort_unstable();
    assert_eq!(projects, expected);

    let members = list("workspace_users").await;
    assert_eq!(members.len(), size.users);
    for member in members {
        assert!(users.contains(&member["uid"].as_i64().unwrap()), "{member}");
        assert_eq!(member["invitation_code"], "dummy-invitation-code-0000");
    }
}
