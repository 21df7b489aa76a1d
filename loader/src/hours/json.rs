//! One object with everything of a report; numbers as numbers, seconds whole.

use serde_json::{Map, Value, json};

use super::numbers::{plain, plain_money};
use super::report::{Group, Report, Sums};
use super::trust::Proven;

pub(super) fn json(report: &Report) -> String {
    let only: Map<String, Value> =
        report.only.iter().map(|(what, names)| ((*what).to_owned(), json!(names))).collect();
    let mut total = sums(&report.total);
    total.insert("people".to_owned(), json!(report.people));
    total.insert("running_timers".to_owned(), json!(report.running));
    let object = json!({
        "from": report.from,
        "to": report.to,
        "time_zone": report.time_zone,
        "by": report.by.iter().map(|dimension| dimension.name()).collect::<Vec<_>>(),
        "only": only,
        "made_at": report.made_at,
        "last_asked_at": report.trust.last_asked_at,
        "proof": proof(&report.trust.proof),
        "notes": report.notes(),
        "total": total,
        "rows": report.rows().map(row).collect::<Vec<_>>(),
    });
    format!("{object}\n")
}

fn row(group: &Group) -> Value {
    let mut row = Map::new();
    for key in &group.keys {
        let name = key.dimension.name();
        row.insert(name.to_owned(), json!(key.label));
        if key.dimension.has_id() {
            let id = key.id.as_deref().and_then(|id| id.parse::<i64>().ok());
            row.insert(format!("{name}_id"), json!(id));
        }
    }
    row.extend(sums(&group.sums));
    Value::Object(row)
}

fn sums(sums: &Sums) -> Map<String, Value> {
    let amounts: Map<String, Value> = sums
        .amounts
        .iter()
        .map(|(currency, amount)| (currency.clone(), number(&plain_money(*amount))))
        .collect();
    let mut object = Map::new();
    object.insert("seconds".to_owned(), json!(sums.seconds));
    object.insert("hours".to_owned(), number(&plain(sums.seconds)));
    object.insert("billable_seconds".to_owned(), json!(sums.billable_seconds));
    object.insert("billable_hours".to_owned(), number(&plain(sums.billable_seconds)));
    object.insert("entries".to_owned(), json!(sums.entries));
    object.insert("amounts".to_owned(), Value::Object(amounts));
    object
}

fn number(text: &str) -> Value {
    text.parse::<f64>().map_or(Value::Null, |number| json!(number))
}

fn proof(proof: &Proven) -> Value {
    let asked_at = match proof {
        Proven::Equal { asked_at, .. } => Some(asked_at),
        _ => None,
    };
    json!({ "is_equal": proof.is_equal(), "asked_at": asked_at, "words": proof.words() })
}
