//! The answer for programs.

use serde_json::{Value, json};

use super::answer::{Answer, Found, Looked};
use super::stored::{Load, Stored};

/// One object.
pub(super) fn json(answer: &Answer) -> String {
    let asked = &answer.asked;
    let object = json!({
        "resource": asked.resource.name,
        "source_id": asked.id,
        "workspace_id": asked.workspace_id,
        "known": answer.is_known(),
        "stored": answer.stored.as_ref().map(|stored| row(answer, stored)),
        "claims": claims(answer),
        "history": history(answer),
        "dead_letters": letters(answer),
        "batches": answer.batches.iter().rev().map(batch).collect::<Vec<_>>(),
        "stream_away": answer.away,
    });
    format!("{object}\n")
}

fn claims(answer: &Answer) -> Vec<Value> {
    answer
        .claims
        .iter()
        .map(|claim| {
            json!({
                "workspace_id": claim.workspace_id,
                "user_id": claim.user_id,
                "range": claim.range,
                "fetched_at": claim.fetched_at,
                "run_id": claim.run_id,
            })
        })
        .collect()
}

fn history(answer: &Answer) -> Vec<Value> {
    answer
        .history
        .iter()
        .map(|change| {
            json!({
                "kind": change.kind,
                "workspace_id": change.workspace_id,
                "modified_at": change.modified_at,
                "fetched_at": change.fetched_at,
                "run_id": change.run_id,
            })
        })
        .collect()
}

fn letters(answer: &Answer) -> Vec<Value> {
    answer
        .letters
        .iter()
        .map(|letter| {
            json!({
                "dead_letter_id": letter.dead_letter_id,
                "kind": letter.kind,
                "reason": letter.reason,
                "stream_sequence": letter.stream_sequence,
                "created_at": letter.created_at,
            })
        })
        .collect()
}

fn row(answer: &Answer, stored: &Stored) -> Value {
    let newest = answer.claims.iter().map(|claim| claim.fetched_at).max();
    let confirmed = newest.filter(|at| stored.deleted_at.is_none() && *at > stored.fetched_at);
    json!({
        "state": if stored.deleted_at.is_none() { "live" } else { "deleted" },
        "workspace_id": stored.workspace_id,
        "modified_at": stored.modified_at,
        "fetched_at": stored.fetched_at,
        "confirmed_at": confirmed.unwrap_or(stored.fetched_at),
        "synced_at": stored.synced_at,
        "deleted_at": stored.deleted_at,
        "started_at": stored.started_at,
        "user_id": stored.user_id,
        "data": serde_json::from_str::<Value>(&stored.data).unwrap_or(Value::Null),
        "brought_by": answer.brought_by().map(load),
        "deleted_by": answer.deleted_by().map(load),
    })
}

fn load(load: &Load) -> Value {
    json!({
        "run_id": load.run_id,
        "part": load.part,
        "stream_sequence": load.stream_sequence,
        "fetched_at": load.fetched_at,
        "loaded_at": load.loaded_at,
    })
}

fn batch(looked: &Looked) -> Value {
    let mut object = load(&looked.load);
    let (became, words, is_of_today) = match &looked.found {
        Found::Read { became, is_of_today } => (became.token(), Some(became.words()), *is_of_today),
        Found::Gone => ("gone", None, false),
        Found::Unread => ("unread", None, false),
    };
    if let Value::Object(fields) = &mut object {
        fields.insert("workspace_id".to_owned(), looked.load.workspace_id.into());
        fields.insert("received".to_owned(), looked.load.received.into());
        fields.insert("written".to_owned(), looked.load.written.into());
        fields.insert("became".to_owned(), became.into());
        fields.insert("words".to_owned(), words.into());
        fields.insert("is_stored_version".to_owned(), is_of_today.into());
    }
    object
}
