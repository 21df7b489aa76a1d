use super::*;

/// All pages of a report, from cursor to cursor.
pub(super) struct Walk {
    pub(super) rows: Vec<Value>,
    pages: Vec<usize>,
}

fn number(response: &Response, name: &str) -> Option<i64> {
    header(response, name).map(|text| text.parse().unwrap())
}

fn cursor(response: &Response) -> [Option<i64>; 3] {
    ["x-next-id", "x-next-row-number", "x-next-timestamp"].map(|name| number(response, name))
}

/// Follows all three headers through March.
pub(super) async fn walk(simulator: &Simulator, more: Value) -> Walk {
    let mut body = march_with(&more);
    let mut walk = Walk { rows: Vec::new(), pages: Vec::new() };
    loop {
        let response = ask_report(simulator, &body).await;
        let next = cursor(&response);
        let page: Vec<Value> = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        walk.pages.push(page.len());
        assert!(walk.pages.len() < 100, "the cursors lead in circles");
        walk.rows.extend(page);
        let [Some(id), Some(row), Some(start)] = next else {
            assert_eq!(next, [None; 3], "the last page has none of the headers");
            return walk;
        };
        body["first_id"] = id.into();
        body["first_row_number"] = row.into();
        body["first_timestamp"] = start.into();
    }
}

/// Entries of three people in March, some of which start in the same second.
async fn crowd() -> Simulator {
    let entries: Vec<String> = (0..130)
        .map(|index| {
            let (hour, minute) = (index / 4 % 24, index / 96);
            let start = format!("2024-03-02T{hour:02}:{minute:02}:00Z");
            // The ids neither rise nor fall with the starts.
            entry(4_300_000_000 + index * 77 % 131, OWN + index % 3, &start, 5)
        })
        .collect();
    with_entries(&entries).await
}

/// The ids in the order of the report, ascending.
fn in_order(simulator: &Simulator) -> Vec<i64> {
    simulator.with_account(|account| account.time_entries().map(TimeEntry::id).collect())
}

#[tokio::test]
async fn pages_of_50_follow_each_other_by_cursor_in_either_direction() {
    let simulator = crowd().await;
    let ascending = in_order(&simulator);
    let descending: Vec<i64> = ascending.iter().rev().copied().collect();

    for (more, expected) in [
        (json!({}), &descending),
        (json!({"order_dir": "DESC"}), &descending),
        (json!({"order_dir": "ASC"}), &ascending),
    ] {
        let walk = walk(&simulator, more).await;
        assert_eq!(walk.pages, [50, 50, 30]);
        assert_eq!(entry_ids(&walk.rows), *expected);
        let numbers: Vec<_> = walk.rows.iter().map(|row| row["row_number"].as_i64()).collect();
        assert_eq!(numbers, (1..=130).map(Some).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn headers_name_the_row_that_comes_next() {
    let simulator = crowd().await;
    let body = march_with(&json!({"order_dir": "ASC", "page_size": 7}));

    let response = ask_report(&simulator, &body).await;

    let next = simulator.with_account(|account| {
        let entry = account.time_entries().nth(7).unwrap();
        [Some(entry.id()), Some(8), Some(entry.start_s())]
    });
    assert_eq!(cursor(&response), next);
    assert_eq!(number(&response, "x-page-size"), Some(7));
}

#[tokio::test]
async fn a_page_that_ends_with_the_listing_is_the_last() {
    let simulator = crowd().await;

    assert_eq!(walk(&simulator, json!({"page_size": 65})).await.pages, [65, 65]);
    assert_eq!(walk(&simulator, json!({"page_size": 130})).await.pages, [130]);
}

#[tokio::test]
async fn the_row_number_alone_finds_the_page_too() {
    let simulator = crowd().await;
    let whole = walk(&simulator, json!({})).await.rows;

    for first in [1, 2, 51, 130] {
        let page = report(&simulator, &march_with(&json!({"first_row_number": first}))).await;
        assert_eq!(page[..], whole[first - 1..(first + 49).min(130)], "{first}");
    }
    assert!(report(&simulator, &march_with(&json!({"first_row_number": 131}))).await.is_empty());
}

#[tokio::test]
async fn a_cursor_without_its_timestamp_brings_no_rows_and_no_error() {
    let simulator = crowd().await;
    let [id, ..] = cursor(&ask_report(&simulator, &march()).await);

    for half in [
        json!({"first_id": id, "first_row_number": 51}),
        json!({"first_id": id}),
        json!({"first_timestamp": 1_709_373_600}),
    ] {
        let response = ask_report(&simulator, &march_with(&half)).await;
        assert_eq!((response.status().as_u16(), cursor(&response)), (200, [None; 3]), "{half}");
        assert_eq!(response.bytes().await.unwrap(), "[]", "{half}");
    }
}

#[tokio::test]
async fn cursors_stand_where_they_stood_when_rows_before_them_go() {
    let simulator = crowd().await;
    let expected = in_order(&simulator);
    let [id, row, start] =
        cursor(&ask_report(&simulator, &march_with(&json!({"order_dir": "ASC"}))).await);
    let now = Timestamp::now();
    simulator.with_account(|account| account.delete_time_entry(expected[0], now));

    let rest = json!({
        "order_dir": "ASC", "page_size": 100,
        "first_id": id, "first_row_number": row, "first_timestamp": start
    });
    let by_cursor = report(&simulator, &march_with(&rest)).await;
    let by_number = json!({"order_dir": "ASC", "page_size": 100, "first_row_number": row});
    let by_number = report(&simulator, &march_with(&by_number)).await;

    assert_eq!(entry_ids(&by_cursor), expected[50..]);
    assert_eq!(by_cursor[0]["row_number"], 51);
    assert_eq!(entry_ids(&by_number), expected[51..]);
}

#[tokio::test]
async fn page_sizes_are_honoured_up_to_a_thousand_or_what_is_configured() {
    let now: Timestamp = "2026-05-05T10:00:00Z".parse().unwrap();
    let size =
        AccountSize { time_entries: 1101, entry_users: 2, days: 10, now, ..AccountSize::default() };
    let simulator = generated(&size).await;
    let sizes = async |page_size: usize| {
        let body = json!({"start_date": "2026-04-20", "page_size": page_size});
        let response = ask_report(&simulator, &body).await;
        let said = number(&response, "x-page-size");
        let rows: Vec<Value> = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        (rows.len(), said)
    };

    assert_eq!(sizes(0).await, (50, Some(50)));
    assert_eq!(sizes(999).await, (999, Some(999)));
    assert_eq!(sizes(5000).await, (1000, Some(1000)));
    simulator.configure(|behaviour| behaviour.report_page_cap = 2000);
    // All but the running one.
    assert_eq!(sizes(5000).await, (1100, Some(2000)));
    simulator.configure(|behaviour| behaviour.report_page_cap = 20);
    assert_eq!(sizes(5000).await, (20, Some(20)));
}

#[tokio::test]
async fn scripted_pages_can_repeat_a_cursor() {
    let simulator = crowd().await;
    let answer = Answer::json("[]").header("x-next-row-number", "51").header("x-next-id", "1");
    simulator.script("/reports/api/v3/workspace/{w}/search/time_entries", answer.repeat(2));

    for _ in 0..2 {
        let response = ask_report(&simulator, &march()).await;
        assert_eq!(cursor(&response), [Some(1), Some(51), None]);
    }
    assert_eq!(report(&simulator, &march()).await.len(), 50);
}

#[tokio::test]
async fn three_years_of_five_people_are_read_year_by_year_each_entry_once() {
    let now: Timestamp = "2026-05-05T10:00:00Z".parse().unwrap();
    let size = AccountSize {
        time_entries: 5000,
        users: 5,
        entry_users: 5,
        days: 1095,
        now,
        ..AccountSize::default()
    };
    let simulator = generated(&size).await;
    simulator.with_account(|account| {
        let other = account.user_id() + 1;
        account.set_user_time_zone(other, "Pacific/Auckland");
    });

    let mut seen = Vec::new();
    for year in 2023..2026 {
        let more = json!({
            "start_date": format!("{year}-05-06"), "end_date": format!("{}-05-05", year + 1),
            "order_dir": "ASC", "page_size": 1000
        });
        seen.extend(entry_ids(&walk(&simulator, more).await.rows));
    }

    // The running one is missing.
    let mut expected = in_order(&simulator);
    expected.pop();
    seen.sort_unstable();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}
