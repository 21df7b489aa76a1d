use super::paging::walk;
use super::*;

/// Fifty entries of March with the descriptions `a` to `e` in turn.
async fn fifty() -> Simulator {
    let entries: Vec<String> = (0..50)
        .map(|index| {
            let start = format!("2024-03-{:02}T10:00:00Z", index % 28 + 1);
            let description = ["a", "b", "c", "d", "e"][index % 5];
            let id = i64::try_from(index).unwrap() + 1;
            let description = format!("\"{description}\"");
            with_fields(&entry(id, OWN, &start, 5), &[("description", &description)])
        })
        .collect();
    with_entries(&entries).await
}

fn small(more: &Value) -> Value {
    let mut body = json!({"order_by": "date", "order_dir": "ASC", "page_size": 7});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn the_order_that_was_asked_for_may_be_ignored_and_pages_still_fit_together() {
    let simulator = fifty().await;
    let ascending = entry_ids(&walk(&simulator, small(&json!({}))).await.rows);
    assert_eq!(ascending.len(), 50);

    simulator.configure(|behaviour| behaviour.report_order = ReportOrder::Reversed);
    let reversed = entry_ids(&walk(&simulator, small(&json!({}))).await.rows);
    assert!(reversed.iter().eq(ascending.iter().rev()));

    simulator.configure(|behaviour| behaviour.report_order = ReportOrder::ByDescription);
    let rows = walk(&simulator, small(&json!({}))).await.rows;
    let descriptions: Vec<&str> = rows.iter().map(|r| r["description"].as_str().unwrap()).collect();
    assert!(descriptions.is_sorted());
    let mut ids = entry_ids(&rows);
    ids.sort_unstable();
    assert_eq!(ids, (1..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_cursor_whose_row_is_gone_goes_on_with_the_row_after_it() {
    for order in [ReportOrder::Asked, ReportOrder::Reversed, ReportOrder::ByDescription] {
        let simulator = fifty().await;
        simulator.configure(|behaviour| behaviour.report_order = order);
        let whole = entry_ids(&walk(&simulator, small(&json!({}))).await.rows);
        let gone = whole[7];
        simulator.before_request("", 2, move |account| {
            account.delete_time_entry(gone, Timestamp::now());
        });

        let without = entry_ids(&walk(&simulator, small(&json!({}))).await.rows);

        assert!(without.iter().eq(whole.iter().filter(|id| **id != gone)), "{order:?}");
    }
}

#[tokio::test]
async fn answers_tell_the_days_that_were_looked_at() {
    let simulator = with_entries(&[
        entry(1, OWN, "2024-03-11T10:00:00Z", 5),
        entry(2, OWN, "2024-03-12T10:00:00Z", 5),
        entry(3, OWN, "2024-03-31T10:00:00Z", 5),
    ])
    .await;
    let range = async |body: &Value| {
        let response = ask_report(&simulator, body).await;
        let text = |name| header(&response, name).map(str::to_owned);
        let range = [text("x-range-start"), text("x-range-end")];
        let rows: Vec<Value> = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        (range, entry_ids(&rows))
    };
    let days = |first: &str, last: &str| [Some(first.to_owned()), Some(last.to_owned())];

    assert_eq!(range(&march()).await, (days("2024-03-01", "2024-03-31"), vec![3, 2, 1]));
    simulator.configure(|behaviour| behaviour.report_days = Some(20));
    assert_eq!(range(&march()).await, (days("2024-03-12", "2024-03-31"), vec![3, 2]));
    simulator.configure(|behaviour| behaviour.report_days = Some(40));
    assert_eq!(range(&march()).await, (days("2024-03-01", "2024-03-31"), vec![3, 2, 1]));
}

#[tokio::test]
async fn the_next_page_may_be_named_by_its_number_alone() {
    let simulator = fifty().await;
    simulator.configure(|behaviour| behaviour.report_number_only = true);

    let response = ask_report(&simulator, &march_with(&small(&json!({})))).await;

    assert_eq!(header(&response, "x-next-row-number"), Some("8"));
    assert_eq!(header(&response, "x-next-id").or(header(&response, "x-next-timestamp")), None);
    let rest = small(&json!({"first_row_number": 8, "page_size": 100}));
    assert_eq!(report(&simulator, &march_with(&rest)).await.len(), 43);
}
