//! Where in a JSON body the words of a refusal stand: Toggl has put them in several places.

use serde_json::Value;

/// Fields that hold words, or what holds them, those first that say most.
const FIELDS: [&str; 10] = [
    "error",
    "errors",
    "message",
    "error_message",
    "error_description",
    "detail",
    "details",
    "description",
    "reason",
    "title",
];
/// Words lie no deeper, and no hostile body makes us look further.
const DEPTH: usize = 6;
/// So many messages of a list are repeated.
const MESSAGES: usize = 3;

/// The words of a text, an object or a list; none where there are none.
pub(super) fn of(body: &Value) -> Option<String> {
    within(body, DEPTH)
}

fn within(value: &Value, depth: usize) -> Option<String> {
    match value {
        Value::String(words) => {
            Some(words.trim()).filter(|words| !words.is_empty()).map(str::to_owned)
        }
        _ if depth == 0 => None,
        Value::Array(list) => joined(list.iter().filter_map(|one| within(one, depth - 1))),
        Value::Object(fields) => FIELDS.iter().find_map(|name| {
            let value = fields.get(*name)?;
            within(value, depth - 1).or_else(|| by_field(value, depth - 1))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// As of a form: each field that was refused, with the words on it.
fn by_field(value: &Value, depth: usize) -> Option<String> {
    let fields = value.as_object()?;
    joined(fields.iter().filter_map(|(name, value)| {
        Some(format!("{name}: {}", within(value, depth.checked_sub(1)?)?))
    }))
}

fn joined(words: impl Iterator<Item = String>) -> Option<String> {
    let words: Vec<String> = words.take(MESSAGES).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_every_form_of_json() {
        let forms = [
            (r#""User is not confirmed""#, "User is not confirmed"),
            (r#"{"message":"no"}"#, "no"),
            (r#"{"error":"no"}"#, "no"),
            (r#"{"error":{"message":"no","tip":"ask","code":402}}"#, "no"),
            (r#"{"errors":["no","never"]}"#, "no; never"),
            (r#"{"errors":[{"message":"no"},{"detail":"never"}]}"#, "no; never"),
            (
                r#"{"errors":{"start":["too early"],"stop":"missing"}}"#,
                "start: too early; stop: missing",
            ),
            (r#"{"error":null,"message":"no"}"#, "no"),
            (r#"{"error":true,"description":"no"}"#, "no"),
            (r#"["no"]"#, "no"),
        ];
        for (body, words) in forms {
            let found = of(&serde_json::from_str(body).unwrap());
            assert_eq!(found.as_deref(), Some(words), "{body}");
        }
        for body in ["{}", "null", "[]", "402", r#"{"code":402}"#, r#"{"errors":[]}"#, r#""""#] {
            assert_eq!(of(&serde_json::from_str(body).unwrap()), None, "{body}");
        }
    }
}
