use super::*;
use proptest::prelude::*;
use shared::catalogue;

fn page(resource: &str, body: &'static str) -> Page {
    read_page(catalogue::find(resource).unwrap(), &Bytes::from_static(body.as_bytes())).unwrap()
}

#[test]
fn a_record_keeps_its_text_to_the_letter() {
    let text = r#"{ "id": 4306996794, "start":"2024-12-16T17:05:25+00:00", "duration": 1.50e3, "at": "2024-12-16T18:07:05.6944Z", "description":"\u00e4 \"x\"", "user_id": 7, "wid": 9 }"#;
    let body = Bytes::from(format!("[{text}]"));
    let page = read_page(catalogue::find("time_entries").unwrap(), &body).unwrap();
    let record = &page.records[0];
    assert_eq!(record.data, text.as_bytes());
    assert_eq!(record.source_id, 4_306_996_794);
    assert_eq!(record.user_id, Some(7));
    assert_eq!(record.workspace_id, Some(9));
    assert_eq!(record.modified_at, Some("2024-12-16T18:07:05.6944Z".parse().unwrap()));
    assert_eq!(record.started_at, Some("2024-12-16T17:05:25Z".parse().unwrap()));
}

#[test]
fn secret_fields_are_removed_however_they_are_spelled() {
    let page = page(
        "me",
        r#"{"id":1,"api_token":"s3cret","ap\u0069_token":"s3cret","intercom_hash":"s3cret","name":"a\"b","at":null}"#,
    );
    assert_eq!(page.records[0].data, r#"{"id":1,"name":"a\"b","at":null}"#.as_bytes());
}

#[test]
fn null_is_an_empty_list() {
    assert_eq!(page("tags", "null").count, 0);
}

#[test]
fn one_unusable_record_does_not_cost_its_neighbours() {
    let page = page(
        "tags",
        r#"[{"id":1},{"name":"no id"},7,{"id":"2"},{"id":3,"at":"yesterday"},{"id":4,"at":""}]"#,
    );
    let ids: Vec<_> = page.records.iter().map(|record| record.source_id).collect();
    assert_eq!(ids, [1, 4]);
    let rejected: Vec<_> = page
        .rejected
        .iter()
        .map(|r| (r.source_id, r.reason.as_str(), str::from_utf8(&r.data).unwrap()))
        .collect();
    assert_eq!(
        rejected,
        [
            (None, "it has no integer id", r#"{"name":"no id"}"#),
            (None, "it is not a JSON object", "7"),
            (None, "it has no integer id", r#"{"id":"2"}"#),
            (Some(3), "its at is not a time: \"yesterday\"", r#"{"id":3,"at":"yesterday"}"#),
        ]
    );
}

#[test]
fn what_is_rejected_holds_no_secret_either() {
    for body in [r#"{"api_token":"s3cret"}"#, r#"["s3cret"]"#, r#""s3cret""#] {
        let page = read_page(catalogue::find("me").unwrap(), &Bytes::from(body)).unwrap();
        assert_eq!(page.rejected.len(), 1, "{body}");
        assert!(!format!("{:?}", page.rejected).contains("s3cret"), "{body}");
    }
}

#[test]
fn an_envelope_tells_how_many_there_are() {
    let full = page("tasks", r#"{"data":[{"id":1},{"id":2}],"page":1,"total_count":7}"#);
    assert_eq!((full.count, full.total), (2, Some(7)));
    let empty = page("tasks", r#"{"data":null,"total_count":0}"#);
    assert_eq!((empty.count, empty.total), (0, Some(0)));
}

#[test]
fn an_entry_of_a_report_has_the_fields_of_its_row() {
    let page = page(
        "time_entries_report",
        r#"[{"user_id":7,"project_id":null,"row_number":3,"billable_amount_in_cents":1.50,"time_entries":[
            {"id":1,"seconds":52,"start":"2024-07-30T11:13:46+03:00","stop":"2024-07-30T11:14:38+03:00","at":"2024-07-30T08:14:38+00:00"}]}]"#,
    );
    let [record] = page.records.as_slice() else { panic!("{page:?}") };
    assert_eq!(
        record.data,
        r#"{"user_id":7,"project_id":null,"billable_amount_in_cents":1.50,"id":1,"seconds":52,"start":"2024-07-30T11:13:46+03:00","stop":"2024-07-30T11:14:38+03:00","at":"2024-07-30T08:14:38+00:00"}"#.as_bytes()
    );
    assert_eq!(record.user_id, Some(7));
    assert_eq!(record.started_at, Some("2024-07-30T08:13:46Z".parse().unwrap()));
    assert_eq!(record.modified_at, Some("2024-07-30T08:14:38Z".parse().unwrap()));
}

#[test]
fn entries_that_share_a_row_keep_its_list() {
    let page = page(
        "time_entries_report",
        r#"[{"user_id":7,"time_entries":[{"id":1,"stop":"x"},{"id":2,"stop":"x"}]}]"#,
    );
    assert_eq!(page.records.len(), 2);
    let data = str::from_utf8(&page.records[1].data).unwrap();
    assert!(data.contains(r#""time_entries":[{"id":1"#) && data.ends_with(r#""stop":"x"}"#));
}

#[test]
fn a_running_entry_of_a_report_has_no_start_that_a_claim_could_cover() {
    let body =
        r#"[{"user_id":7,"time_entries":[{"id":1,"start":"2024-07-30T08:13:46Z","stop":null}]}]"#;
    assert_eq!(page("time_entries_report", body).records[0].started_at, None);
    let body = r#"[{"id":1,"start":"2024-07-30T08:13:46Z","stop":null}]"#;
    assert!(page("time_entries", body).records[0].started_at.is_some());
}

#[test]
fn a_row_without_entries_is_rejected_whole() {
    let page = page("time_entries_report", r#"[{"user_id":7},{"time_entries":[]},5]"#);
    assert_eq!((page.count, page.records.len(), page.rejected.len()), (3, 0, 3));
    assert_eq!(page.rejected[0].data, r#"{"user_id":7}"#.as_bytes());
}

#[test]
fn an_unusable_row_changes_nothing_in_those_beside_it() {
    let rows = r#"{"user_id":7,"row_number":1,"d\u0065scription":"a\"b","time_entries":[{"id":1,"stop":"2024-07-30T08:14:46Z"}],"username":"x"},{"time_entries":[{"id":2}],"user_id":8,"user_id":9}"#;
    let read = |rows: String| {
        read_page(catalogue::find("time_entries_report").unwrap(), &Bytes::from(rows)).unwrap()
    };
    let alone = read(format!("[{rows}]"));
    let beside = read(format!("[{rows},5]"));
    assert_eq!((alone.count, alone.rejected.len()), (2, 0));
    assert_eq!((beside.count, beside.rejected.len()), (3, 1));
    assert_eq!(alone.records, beside.records);
    assert_eq!(
        alone.records[0].data,
        r#"{"user_id":7,"description":"a\"b","username":"x","id":1,"stop":"2024-07-30T08:14:46Z"}"#
    );
    assert_eq!(alone.records[1].user_id, Some(9));
}

#[test]
fn a_group_of_the_organisation_variant_has_its_id_too() {
    assert_eq!(page("groups", r#"[{"group_id":4001}]"#).records[0].source_id, 4001);
}

#[test]
fn a_body_that_is_no_list_is_an_error() {
    let tags = catalogue::find("tags").unwrap();
    for body in ["", "<html>", "{\"data\":[]}", "[{\"id\":1},", "\"text\""] {
        assert!(read_page(tags, &Bytes::from_static(body.as_bytes())).is_err(), "{body}");
    }
}

proptest! {
    #[test]
    fn no_body_panics(body in "(null|\\[?\\{?(\"(id|at|start)\"[:,]|[0-9]{1,20}|\"[^\"]{0,9}\"|[\\[\\]{},])*)") {
        for resource in catalogue::CATALOGUE {
            drop(read_page(resource, &Bytes::from(body.clone())));
        }
    }

    #[test]
    fn no_bytes_panic(body in any::<Vec<u8>>()) {
        for resource in catalogue::CATALOGUE {
            drop(read_page(resource, &Bytes::from(body.clone())));
        }
    }
}

/// A field as it is sent, and as a record keeps it.
type Sent = (String, Option<String>);

fn sent_fields() -> impl Strategy<Value = Vec<Sent>> {
    let names = [("user_id", "user_id"), ("ä", "ä"), ("\\u0065", "e"), ("tags", "tags")];
    let values = ["1", "1.50", "null", "\"a\\\"b\"", "[1, 2]", "{\"b\" : {}}"];
    let spaces = || proptest::sample::select(vec!["", "", "", " ", "\n\t"]);
    let (names, values) =
        (proptest::sample::select(names.to_vec()), proptest::sample::select(values.to_vec()));
    let field = (names, spaces(), values, spaces(), spaces()).prop_map(
        |((sent, kept), before, value, behind, first)| {
            let sent = format!("{first}\"{sent}\":{before}{value}{behind}");
            (sent, Some(format!("\"{kept}\":{value}")))
        },
    );
    proptest::collection::vec(field, 0..8)
}

fn joined(texts: impl Iterator<Item = String>) -> String {
    format!("{{{}}}", texts.collect::<Vec<_>>().join(","))
}

proptest! {
    #[test]
    fn a_record_of_a_report_has_the_fields_of_row_and_entry_in_their_order_to_the_letter(
        mut row in sent_fields(),
        entry in sent_fields(),
        id_at in any::<proptest::sample::Index>(),
        places in any::<[proptest::sample::Index; 2]>(),
    ) {
        let mut entry = entry;
        entry.insert(id_at.index(entry.len() + 1), ("\"id\":5".into(), Some("\"id\":5".into())));
        let list = format!("\"time_entries\":[{}]", joined(entry.iter().map(|field| field.0.clone())));
        for (place, field) in places.iter().zip([list, "\"row_number\":3".into()]) {
            row.insert(place.index(row.len() + 1), (field, None));
        }
        let kept = joined(row.iter().chain(&entry).filter_map(|field| field.1.clone()));
        let body = format!("[{}]", joined(row.into_iter().map(|field| field.0)));
        let report = catalogue::find("time_entries_report").unwrap();
        let page = read_page(report, &body.into()).unwrap();
        prop_assert_eq!(str::from_utf8(&page.records[0].data).unwrap(), kept);
    }
}
