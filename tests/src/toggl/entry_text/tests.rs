use std::collections::HashSet;

use serde_json::Value;

use super::*;
use crate::toggl::{Account, List, Record};

fn generated(time_entries: usize) -> Account {
    let now = "2026-05-05T10:00:00Z".parse().unwrap();
    Account::generate(&AccountSize { time_entries, now, ..AccountSize::default() })
}

#[test]
fn generated_entries_are_what_parsing_them_says() {
    let account = generated(500);

    for entry in account.time_entries() {
        let parsed = TimeEntry::parse(entry.text());
        assert_eq!(format!("{entry:?}"), format!("{parsed:?}"));
    }
    assert_eq!(account.time_entries().count(), 500);
}

#[test]
fn generated_entries_refer_to_listed_tags_and_projects() {
    let account = generated(500);
    let listed = |list| {
        let records = account.records(list, account.workspace_id()).iter();
        records.map(|record| serde_json::from_str(record.text()).unwrap()).collect::<Vec<Value>>()
    };
    let (projects, tags) = (listed(List::Projects), listed(List::Tags));

    for entry in account.time_entries() {
        let entry: Value = serde_json::from_str(entry.text()).unwrap();
        let project = &entry["project_id"];
        assert!(project.is_null() || projects.iter().any(|known| known["id"] == *project));
        for (name, id) in
            entry["tags"].as_array().unwrap().iter().zip(entry["tag_ids"].as_array().unwrap())
        {
            assert!(tags.iter().any(|tag| tag["id"] == *id && tag["name"] == *name));
        }
    }
}

#[test]
fn generated_accounts_hold_one_running_and_one_instant_entry_and_scattered_ids() {
    let account = generated(500);
    let entries: Vec<Value> =
        account.time_entries().map(|entry| serde_json::from_str(entry.text()).unwrap()).collect();
    let ids: Vec<i64> = account.time_entries().map(TimeEntry::id).collect();

    assert_eq!(entries.iter().filter(|entry| entry["stop"].is_null()).count(), 1);
    assert_eq!(entries.iter().filter(|entry| entry["duration"] == 0).count(), 1);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 500);
    assert!(ids.iter().all(|id| *id > 1 << 32) && !ids.is_sorted());
}

#[test]
fn users_take_turns_at_the_entries_and_the_newest_is_the_tokens_own() {
    let size = AccountSize { time_entries: 7, entry_users: 3, ..AccountSize::default() };
    let account = Account::generate(&size);
    let listed = account.records(List::Users, account.workspace_id());
    let listed: HashSet<i64> = listed.iter().map(Record::id).collect();

    let users: Vec<i64> = account.time_entries().map(|entry| entry.user_id).collect();

    assert!(users.iter().all(|user| listed.contains(user)));
    let turns: Vec<i64> = users.iter().map(|user| user - account.user_id()).collect();
    assert_eq!(turns, [0, 2, 1, 0, 2, 1, 0]);
}

#[test]
fn equal_sizes_make_equal_accounts() {
    let texts = |account: &Account| {
        account.time_entries().map(|entry| entry.text().to_owned()).collect::<Vec<_>>()
    };

    assert_eq!(texts(&generated(50)), texts(&generated(50)));
}
