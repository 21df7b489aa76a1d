use super::*;

async fn lengths(simulator: &Simulator, path: &str, pages: usize) -> Vec<usize> {
    let mut lengths = Vec::new();
    for page in 1..=pages {
        lengths.push(rows(simulator, &format!("{WORKSPACE}/{path}page={page}")).await.len());
    }
    lengths
}

/// How many different projects the first five pages have.
async fn different(simulator: &Simulator) -> usize {
    let mut seen = Vec::new();
    for page in 1..=5 {
        let path = format!("{WORKSPACE}/projects?active=both&per_page=100&page={page}");
        seen.extend(ids(&rows(simulator, &path).await));
    }
    seen.sort_unstable();
    seen.dedup();
    seen.len()
}

const PROJECTS: &str = "projects?active=both&per_page=100&";

async fn many() -> Simulator {
    let size = AccountSize {
        projects: 250,
        archived_projects: 0,
        tags: 120,
        clients: 120,
        archived_clients: 0,
        tasks: 60,
        done_tasks: 0,
        ..AccountSize::default()
    };
    generated(&size).await
}

#[tokio::test]
async fn capped_pages_follow_each_other_without_a_gap() {
    let simulator = many().await;
    simulator.configure(|behaviour| behaviour.page_cap = Some(75));

    assert_eq!(lengths(&simulator, PROJECTS, 5).await, [75, 75, 75, 25, 0]);
    assert_eq!(different(&simulator).await, 250);
    simulator.configure(|behaviour| behaviour.page_cap = Some(40));
    let tasks = text(&simulator, &format!("{WORKSPACE}/tasks?per_page=200&page=2")).await;
    let tasks: Value = serde_json::from_str(&tasks).unwrap();
    assert_eq!(tasks["data"].as_array().unwrap().len(), 20);
    assert_eq!((&tasks["per_page"], &tasks["total_count"]), (&40.into(), &60.into()));
}

#[tokio::test]
async fn one_page_is_short_and_its_rest_follows_or_is_nowhere() {
    let simulator = many().await;
    let short = |rest| Some(ShortPage { page: 2, rows: 30, rest });

    simulator.configure(|behaviour| behaviour.short_page = short(Rest::Follows));
    assert_eq!(lengths(&simulator, PROJECTS, 5).await, [100, 30, 100, 20, 0]);
    assert_eq!(different(&simulator).await, 250);
    simulator.configure(|behaviour| behaviour.short_page = short(Rest::Missing));
    assert_eq!(lengths(&simulator, PROJECTS, 5).await, [100, 30, 50, 0, 0]);
    assert_eq!(different(&simulator).await, 180);
}

#[tokio::test]
async fn lists_without_pages_are_cut_silently_and_go_on_by_page() {
    let simulator = many().await;
    simulator.configure(|behaviour| behaviour.list_cap = Some(50));

    for path in ["tags", "clients"] {
        assert_eq!(rows(&simulator, &format!("{WORKSPACE}/{path}")).await.len(), 50, "{path}");
        assert_eq!(lengths(&simulator, &format!("{path}?"), 4).await, [50, 50, 20, 0], "{path}");
    }
    assert_eq!(lengths(&simulator, "tags?per_page=200&", 4).await, [50, 50, 20, 0]);
    assert_eq!(lengths(&simulator, "tags?per_page=20&", 3).await, [20, 20, 20]);
    assert_eq!(lengths(&simulator, PROJECTS, 3).await, [100, 100, 50], "these have pages");
}

#[tokio::test]
async fn a_glitch_answers_null_for_all_that_is_a_list() {
    let simulator = many().await;
    let report = "/reports/api/v3/workspace/2230991/search/time_entries";
    simulator.configure(|behaviour| behaviour.glitch = true);

    for path in List::ALL.iter().map(|list| list.name()) {
        assert_eq!(text(&simulator, &format!("{WORKSPACE}/{path}")).await, "null", "{path}");
    }
    assert_eq!(text(&simulator, ENTRIES).await, "null");
    assert_eq!(text(&simulator, "/api/v9/workspaces").await, "null");
    let asked = client().post(simulator.url().join(report).unwrap()).body("{}");
    let answer = asked.basic_auth(TOKEN, Some("api_token")).send().await.unwrap();
    assert_eq!(answer.bytes().await.unwrap(), "null");
    assert!(text(&simulator, "/api/v9/me").await.contains("timezone"));

    simulator.configure(|behaviour| behaviour.glitch = false);
    assert_eq!(rows(&simulator, &format!("{WORKSPACE}/tags")).await.len(), 120);
}

#[tokio::test]
async fn toggls_clock_may_be_another_than_the_machines() {
    let simulator = Simulator::start(Account::sample_at(Timestamp::now())).await;
    let ahead = SignedDuration::from_hours(48);
    simulator.configure(|behaviour| behaviour.clock_offset = ahead);

    for path in ["/api/v9/me", "/api/v9/nothing"] {
        let response = ask(&simulator, path).await;
        let date = header(&response, "date").unwrap();
        let date = jiff::fmt::rfc2822::parse(date).unwrap().timestamp();
        let expected = Timestamp::now() + ahead;
        assert!(expected.duration_since(date).abs() < SignedDuration::from_mins(1), "{date}");
    }
    simulator.script("/api/v9/me", Answer::json("{}").header("date", "yesterday"));
    assert_eq!(header(&ask(&simulator, "/api/v9/me").await, "date"), Some("yesterday"));
}
