use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const MARKER: &str = "s3cretw0rd";

fn stripped(text: &str) -> String {
    let body = Bytes::copy_from_slice(text.as_bytes());
    String::from_utf8(without(&body).unwrap().to_vec()).unwrap()
}

#[test]
fn secrets_are_left_out_wherever_they_stand_and_the_rest_stays_to_the_letter() {
    for (sent, kept) in [
        (r#"{"api_token":"x"}"#, "{}"),
        (r#"{ "API_Token" : "x" , "id" : 1.50 }"#, r#"{ "id" : 1.50 }"#),
        (r#"{ "id":1e3 , "vat_id":7 }"#, r#"{ "id":1e3  }"#),
        (r#"{"id":1,"cards":[{"a":"]"},2],"b":[ 1,2 ]}"#, r#"{"id":1,"b":[ 1,2 ]}"#),
        (r#"{"id":1,"card":null,"vat_id":"\"}"}"#, r#"{"id":1}"#),
        (
            r#"[[{"a":{"ical_url":"x","b":"\u00e4"}}],{"invite_url":{}}]"#,
            r#"[[{"a":{"b":"\u00e4"}}],{}]"#,
        ),
        (r#"{"api\u005ftoken":"x","a":1}"#, r#"{"a":1}"#),
        (r#"{"\u0041pi\u005Ftoken":[true],"a":1}"#, r#"{"a":1}"#),
        (r#"[{"subscription":{"card":{"api_token":"x"}}}, 5]"#, "[{}, 5]"),
    ] {
        assert_eq!(stripped(sent), kept, "{sent}");
    }
}

#[test]
fn values_that_are_called_like_a_secret_stay() {
    for text in [
        r#"{"name":"api_token","tags":["card","api_token"],"a":"\"api_token\":\"x\""}"#,
        r#"{"a":"api_token : 7","discard":1,"card_":2,"\u0061":"\u0026","b":"\\"}"#,
    ] {
        let body = Bytes::from(text);
        assert_eq!(without(&body).unwrap().as_ptr(), body.as_ptr(), "{text}");
    }
}

#[test]
fn what_is_no_json_stays_an_error() {
    for text in [r#"{"api_token":@}"#, r#"{"api_token""#, r#"{"api_token":"x"}}"#, "\\u", "\"\\u\""]
    {
        assert!(without(&Bytes::from(text)).is_err(), "{text}");
    }
}

#[test]
fn depth_costs_neither_the_stack_nor_much_time() {
    const DEPTH: usize = 200_000;
    let nested =
        |core: &str| format!("{}{core}{}", r#"{"a":[{"b":1},"#.repeat(DEPTH), "]}".repeat(DEPTH));
    let with = nested(r#"{"api_token":"x"}"#);
    assert_eq!(stripped(&with), nested("{}"));
    let within = format!(r#"{{"a":1,"card":{with}}}"#);
    assert_eq!(stripped(&within), r#"{"a":1}"#);
    let many = format!("{}1{}", r#"{"vat_id":1,"a":"#.repeat(DEPTH), r#","card":2}"#.repeat(DEPTH));
    assert_eq!(stripped(&many), format!("{}1{}", r#"{"a":"#.repeat(DEPTH), "}".repeat(DEPTH)));
}

fn tree() -> impl Strategy<Value = Value> {
    let name = prop_oneof!["[a-z_]{1,6}", "[\"\\\\:,{}ä ]{0,4}"];
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        "[a-z\"\\\\:,{}\\[\\]ä\n ]{0,8}".prop_map(Value::from),
        proptest::sample::select(NAMES).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The same tree with a secret in every object, of any kind and in any spelling.
fn planted(value: &Value, names: &mut impl Iterator<Item = String>) -> Value {
    match value {
        Value::Array(list) => list.iter().map(|one| planted(one, names)).collect(),
        Value::Object(fields) => {
            let mut fields: Map<_, _> =
                fields.iter().map(|(name, one)| (name.clone(), planted(one, names))).collect();
            let secret = json!([MARKER, { "a": MARKER }]);
            fields.insert(names.next().unwrap(), secret);
            fields.insert(names.next().unwrap(), MARKER.into());
            Value::Object(fields)
        }
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn no_planted_secret_survives_and_nothing_else_is_lost(
        tree in tree(),
        picks in proptest::collection::vec(any::<proptest::sample::Index>(), 1..9),
        upper in any::<bool>(),
        spaced in any::<bool>(),
        escaped in any::<bool>(),
    ) {
        let mut names = picks.iter().cycle().map(|pick| {
            let name = pick.get(NAMES);
            if upper { name.to_uppercase() } else { (*name).to_owned() }
        });
        let planted = planted(&tree, &mut names);
        let print = if spaced { serde_json::to_string_pretty } else { serde_json::to_string };
        let mut sent = print(&planted).unwrap();
        if escaped {
            for name in NAMES {
                let (first, rest) = name.split_at(1);
                let first = u32::from(first.chars().next().unwrap());
                let spelled = format!("\"\\u{first:04x}{rest}\":");
                sent = sent.replace(&format!("\"{name}\":"), &spelled);
            }
        }
        let kept = stripped(&sent);
        prop_assert!(!kept.contains(MARKER), "{kept}");
        prop_assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), tree);
    }

    #[test]
    fn an_answer_without_secrets_is_the_very_same_memory(tree in tree()) {
        let body = Bytes::from(tree.to_string());
        let kept = without(&body).unwrap();
        prop_assert_eq!(kept.as_ptr(), body.as_ptr());
        prop_assert_eq!(kept, body);
    }

    #[test]
    fn no_text_panics(text in "([{}\\[\\],: ]|\"api_token\"|\"a\"|\\\\u|\"|7){0,40}") {
        drop(without(&Bytes::from(text.clone())));
        drop(strip(&text));
    }
}
