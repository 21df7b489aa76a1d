//! Whether a record is about somebody, and its text without them where it is about something else.

use std::collections::HashSet;

use serde_json::{Map, Value};
use shared::resource::Resource;

use super::List;

/// What is to become of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It says nothing of them.
    Keep,
    /// It is theirs.
    Drop,
    /// It is something else's; this is its text without them.
    Cleaned(String),
}

/// Resources whose records have the id of the person.
const PEOPLE: [&str; 2] = ["me", "users"];
/// Resources whose records belong to the person in `user_id` or `uid`.
const BELONGINGS: [&str; 5] =
    ["time_entries", "time_entries_report", "workspace_users", "project_users", "inventories"];
const OWNER_FIELDS: [&str; 2] = ["user_id", "uid"];
/// What fields end with that hold a person's id, whatever comes before: `creator_id`, `assigned_user_id`.
const PERSON_FIELDS: [&str; 8] = [
    "user_id",
    "_uid",
    "creator_id",
    "owner_id",
    "member_id",
    "assignee_id",
    "manager_id",
    "ated_by",
];
/// What lists of people have in their names.
const PEOPLE_FIELDS: [&str; 5] = ["user", "member", "owner", "admin", "assignee"];

/// Looks at the text only where digits of it are an id of the list. A text that has one and is no JSON
/// is dropped: it can be nobody's row, and nobody could tell what it gives away.
pub(crate) fn judge(
    list: &List,
    resource: &Resource,
    source_id: Option<i64>,
    data: &[u8],
) -> Verdict {
    let is_id = |ids: &HashSet<i64>| source_id.is_some_and(|id| ids.contains(&id));
    if PEOPLE.contains(&resource.name) && is_id(&list.users)
        || resource.name == "workspaces" && is_id(&list.workspaces)
    {
        return Verdict::Drop;
    }
    if list.users.is_empty() || !mentions(list, data) {
        return Verdict::Keep;
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(data) else {
        return Verdict::Drop;
    };
    let names = |field: &&str| value.get(field).is_some_and(|value| is_them(list, value));
    if BELONGINGS.contains(&resource.name) && OWNER_FIELDS.iter().any(names)
        || PEOPLE.contains(&resource.name) && names(&"id")
    {
        return Verdict::Drop;
    }
    if clean(list, &mut value) { Verdict::Cleaned(value.to_string()) } else { Verdict::Keep }
}

/// Whether any run of digits is an id of a person in the list.
fn mentions(list: &List, data: &[u8]) -> bool {
    data.split(|byte| !byte.is_ascii_digit())
        .filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .any(|id: i64| list.users.contains(&id))
}

fn is_them(list: &List, value: &Value) -> bool {
    let id = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    id.is_some_and(|id| list.users.contains(&id))
}

fn is_person_field(field: &str) -> bool {
    field == "uid" || PERSON_FIELDS.iter().any(|end| field.ends_with(end))
}

fn is_people_field(field: &str) -> bool {
    PEOPLE_FIELDS.iter().any(|part| field.contains(part))
}

/// Takes them out of a value, at any depth; false if they are not in it.
fn clean(list: &List, value: &mut Value) -> bool {
    match value {
        Value::Object(fields) => clean_object(list, fields),
        Value::Array(items) => {
            let before = items.len();
            items.retain(|item| !item.as_object().is_some_and(|fields| tells_of(list, fields)));
            let shorter = items.len() < before;
            items.iter_mut().fold(shorter, |changed, item| clean(list, item) | changed)
        }
        _ => false,
    }
}

/// Whether a field of the object names them.
fn tells_of(list: &List, fields: &Map<String, Value>) -> bool {
    fields.iter().any(|(field, value)| is_person_field(field) && is_them(list, value))
}

fn clean_object(list: &List, fields: &mut Map<String, Value>) -> bool {
    // What begins as their field does says more of them: `creator_name` beside `creator_id`.
    let named: Vec<String> = fields
        .iter()
        .filter(|(field, value)| is_person_field(field) && is_them(list, value))
        .map(|(field, _)| field.trim_end_matches("_id").replace("uid", "user"))
        .collect();
    let mut changed = false;
    for (field, value) in fields.iter_mut() {
        let is_about_them = named.iter().any(|start| field.starts_with(start)) && value.is_string();
        if is_about_them || is_person_field(field) && is_them(list, value) {
            *value = Value::Null;
            changed = true;
        } else if is_people_field(field) {
            changed |= clean_people(list, value);
        } else {
            changed |= clean(list, value);
        }
    }
    changed
}

/// Of a field that is about people: a list of ids, of objects with ids, or one of these.
fn clean_people(list: &List, value: &mut Value) -> bool {
    let is_one = |value: &Value| {
        is_them(list, value) && value.is_number()
            || value.get("id").is_some_and(|id| is_them(list, id))
    };
    match value {
        Value::Array(items) => {
            let before = items.len();
            items.retain(|item| !is_one(item));
            let shorter = items.len() < before;
            clean(list, value) | shorter
        }
        Value::Object(_) if is_one(value) => {
            *value = Value::Null;
            true
        }
        _ => clean(list, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(name: &str, source_id: i64, data: &str) -> Verdict {
        let list = List { users: [17].into(), ..List::default() };
        judge(&list, shared::catalogue::find(name).unwrap(), Some(source_id), data.as_bytes())
    }

    #[test]
    fn what_belongs_to_them_is_dropped() {
        for (name, source_id, data) in [
            ("users", 17, "{}"),
            ("me", 17, "not JSON"),
            ("users", 3, r#"{"id":17}"#),
            ("workspace_users", 3, r#"{"id":3,"uid":17}"#),
            ("project_users", 3, r#"{"user_id":17}"#),
            ("time_entries", 3, r#"{"uid":"17"}"#),
            ("inventories", 3, r#"{"user_id":17,"groups":[{"key":5,"seconds":60,"ids":[5]}]}"#),
            ("tags", 3, "17 is not JSON"),
        ] {
            assert_eq!(judged(name, source_id, data), Verdict::Drop, "{name} {data}");
        }
    }

    #[test]
    fn what_only_looks_like_them_is_kept_as_it_is() {
        for (name, source_id, data) in [
            ("tags", 17, r#"{"id":17,"duration":17,"name":"17"}"#),
            ("users", 3, r#"{"id":3,"seconds":17}"#),
            ("tasks", 3, r#"{"user_id":117,"users":[1,171]}"#),
            ("time_entries", 3, r#"{"user_id":3,"tag_ids":[17]}"#),
        ] {
            assert_eq!(judged(name, source_id, data), Verdict::Keep, "{name} {data}");
        }
    }

    #[test]
    fn they_are_taken_out_of_what_is_somebody_elses() {
        for (name, data, cleaned) in [
            ("tags", r#"{"creator_id":17,"id":1}"#, r#"{"creator_id":null,"id":1}"#),
            (
                "tasks",
                r#"{"name":"n","user_id":17,"user_name":"Eva"}"#,
                r#"{"name":"n","user_id":null,"user_name":null}"#,
            ),
            (
                "groups",
                r#"{"users":[{"name":"Eva","user_id":17},{"name":"Tom","user_id":18}]}"#,
                r#"{"users":[{"name":"Tom","user_id":18}]}"#,
            ),
            ("groups", r#"{"users":[{"id":17},{"id":18}]}"#, r#"{"users":[{"id":18}]}"#),
            ("projects", r#"{"user_ids":[16,17]}"#, r#"{"user_ids":[16]}"#),
            (
                "time_entries",
                r#"{"shared_with":[{"user_id":17,"user_name":"Eva"}],"user_id":3}"#,
                r#"{"shared_with":[],"user_id":3}"#,
            ),
            (
                "inventories",
                r#"{"asking_user_id":17,"users":[{"user_id":17,"rows":1},{"user_id":3,"rows":2}]}"#,
                r#"{"asking_user_id":null,"users":[{"rows":2,"user_id":3}]}"#,
            ),
            ("workspaces", r#"{"owner":{"id":17,"name":"Eva"}}"#, r#"{"owner":null}"#),
        ] {
            assert_eq!(judged(name, 1, data), Verdict::Cleaned(cleaned.to_owned()), "{name}");
        }
    }
}
