use super::*;

#[tokio::test]
async fn rows_are_spelled_as_recorded() {
    let (user_id, start) = (30_809_356, "2024-07-30T08:13:46Z");
    let recorded = with_fields(
        &entry(3_545_645_770, user_id, start, 52),
        &[
            ("project_id", "202793182"),
            ("description", r#""sample description""#),
            ("tag_ids", "[16501871]"),
        ],
    );
    let simulator = with_entries(&[recorded]).await;
    simulator.with_account(|account| {
        let user = format!(r#"{{"id":{user_id},"fullname":"test user"}}"#);
        account.put(List::Users, account.workspace_id(), &user);
        account.set_user_time_zone(user_id, "Europe/Kyiv");
    });

    let body = json!({"start_date": "2024-07-30", "end_date": "2024-07-30"});
    let answer = ask_report(&simulator, &body).await.bytes().await.unwrap();

    let fixture = include_str!("../../../../../fixtures/time_entries_report.json");
    assert_eq!(answer, fixture.trim_end());
}

#[tokio::test]
async fn users_have_the_name_of_the_list_or_their_id() {
    let simulator = with_entries(&[
        entry(1, COLLEAGUE, "2024-03-02T10:00:00Z", 5),
        entry(2, 7, "2024-03-02T11:00:00Z", 5),
    ])
    .await;

    let rows = report(&simulator, &march()).await;

    assert_eq!((&rows[0]["user_id"], &rows[0]["username"]), (&7.into(), &"User 7".into()));
    assert_eq!(rows[1]["username"], "Zoë Kolléga");
}

#[tokio::test]
async fn billable_rows_have_amounts_in_cents_unless_they_are_hidden() {
    let billable = |id, seconds| {
        let entry = entry(id, OWN, "2024-03-02T10:00:00Z", seconds);
        with_fields(&entry, &[("billable", "true")])
    };
    let free = entry(3, OWN, "2024-03-02T10:00:00Z", 60);
    let simulator = with_entries(&[billable(1, 3600), billable(2, 1), free]).await;
    let amounts = async |body| {
        let rows = report(&simulator, &body).await;
        let amounts = |row: &Value| {
            ["billable_amount_in_cents", "hourly_rate_in_cents"].map(|field| row[field].as_i64())
        };
        rows.iter().map(amounts).collect::<Vec<_>>()
    };

    let ascending = march_with(&json!({"order_dir": "ASC"}));
    let shown = [[Some(12_050), Some(12_050)], [Some(3), Some(12_050)], [None, None]];
    assert_eq!(amounts(ascending).await, shown);
    assert_eq!(amounts(march_with(&json!({"hide_amounts": true}))).await, [[None, None]; 3]);
    let currency = &report(&simulator, &march()).await[0]["currency"];
    assert_eq!(currency, "USD");
}

#[tokio::test]
async fn seconds_are_rounded_by_preference_until_both_zeros_turn_it_off() {
    let simulator = with_entries(&[entry(1, OWN, "2024-03-02T10:00:00Z", 61)]).await;
    let seconds = async |more| {
        let rows = report(&simulator, &march_with(&more)).await;
        rows[0]["time_entries"][0]["seconds"].as_i64().unwrap()
    };

    assert_eq!(seconds(json!({})).await, 61);
    assert_eq!(seconds(json!({"rounding": 1, "rounding_minutes": 1})).await, 120);
    simulator.configure(|behaviour| behaviour.report_rounding_minutes = Some(15));
    assert_eq!(seconds(json!({})).await, 900);
    assert_eq!(seconds(json!({"rounding": 0})).await, 900);
    assert_eq!(seconds(json!({"rounding_minutes": 0})).await, 900);
    assert_eq!(seconds(json!({"rounding": 1, "rounding_minutes": 5})).await, 300);
    assert_eq!(seconds(json!({"rounding": 0, "rounding_minutes": 0})).await, 61);
}

/// Ten minutes each, on the hour.
fn hourly(id: i64, user_id: i64, fields: &[(&str, &str)]) -> String {
    with_fields(&entry(id, user_id, &format!("2024-03-02T{id:02}:00:00Z"), 600), fields)
}

#[tokio::test]
async fn rows_may_hold_several_entries_that_are_alike() {
    let billable = [("billable", "true")];
    let simulator = with_entries(&[
        hourly(1, OWN, &billable),
        hourly(2, COLLEAGUE, &billable),
        hourly(3, OWN, &billable),
        hourly(4, OWN, &billable),
        hourly(5, OWN, &[("billable", "true"), ("description", r#""y""#)]),
        hourly(6, OWN, &[("billable", "true"), ("project_id", "9")]),
        hourly(7, OWN, &[]),
    ])
    .await;
    simulator.configure(|behaviour| behaviour.report_rows_hold = 2);
    let ascending = json!({"order_dir": "ASC", "page_size": 2});

    let mut rows = report(&simulator, &march_with(&ascending)).await;
    assert_eq!(rows.len(), 2);
    assert_eq!(ids(rows[0]["time_entries"].as_array().unwrap()), [1, 3]);
    assert_eq!(rows[0]["billable_amount_in_cents"], 12_050 / 3);
    let rest = json!({"order_dir": "ASC", "first_row_number": 3});
    rows.extend(report(&simulator, &march_with(&rest)).await);
    let held = rows.iter().map(|row| ids(row["time_entries"].as_array().unwrap()));
    let expected: [&[i64]; 6] = [&[1, 3], &[2], &[4], &[5], &[6], &[7]];
    assert_eq!(held.collect::<Vec<_>>(), expected);
    let descending = report(&simulator, &march()).await;
    assert_eq!(entry_ids(&descending), [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(descending.len(), 6);
}

#[tokio::test]
async fn cursors_lead_through_rows_of_several_entries() {
    let entries: Vec<String> = (1..=9).map(|id| hourly(id, OWN + id % 3, &[])).collect();
    let simulator = with_entries(&entries).await;
    simulator.configure(|behaviour| behaviour.report_rows_hold = 2);

    for order_dir in ["ASC", "DESC"] {
        let walk = paging::walk(&simulator, json!({"order_dir": order_dir, "page_size": 1})).await;
        let mut seen = entry_ids(&walk.rows);
        seen.sort_unstable();
        assert_eq!((walk.rows.len(), seen), (6, (1..=9).collect::<Vec<_>>()), "{order_dir}");
    }
}
