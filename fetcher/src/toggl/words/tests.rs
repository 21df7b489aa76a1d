use super::*;
use proptest::prelude::*;

fn redactor(token: &str) -> Redactor {
    Redactor::new(&token.to_owned().into())
}

#[test]
fn the_words_are_found_in_every_form_of_body() {
    let forms = [
        (
            r#""start_date must not be earlier than 2025-11-11""#,
            ": start_date must not be earlier than 2025-11-11",
        ),
        (r#"{"error":{"message":"Payment Required","tip":"…","code":402}}"#, ": Payment Required"),
        ("User is not\r\n\u{7} confirmed\u{1b}[0m", ": User is not confirmed [0m"),
        ("", ""),
    ];
    for (body, words) in forms {
        assert_eq!(redactor("t0ken").said(body.as_bytes()).to_string(), words);
    }
}

#[test]
fn a_page_of_html_is_called_one_and_not_pasted() {
    let forms = [
        ("<html>\n<b>502</b>\n</html>", ": a page of HTML, probably a proxy's"),
        (
            "\u{feff} <!DOCTYPE html><head><TITLE lang=en>\n Log\nin t0ken</TITLE>",
            ": a page of HTML, probably a proxy's: Log in ***",
        ),
        ("<p>Denied</p>", ": a page of HTML, probably a proxy's"),
        ("a < b", ": a < b"),
    ];
    for (body, words) in forms {
        assert_eq!(redactor("t0ken").said(body.as_bytes()).to_string(), words);
    }
}

#[test]
fn what_is_wrong_with_a_long_body_is_said_shortly() {
    let body = serde_json::Value::from("x".repeat(2_600_000)).to_string();
    let error = serde_json::from_str::<Vec<u8>>(&body).unwrap_err();
    let words = redactor("t0ken").misfit(body.as_bytes(), &error).to_string();
    assert!(words.starts_with(": invalid type: string \"xxx"), "{words}");
    assert!(words.chars().count() <= LENGTH + 2, "{words}");
}

#[test]
fn without_a_token_words_stay_as_they_are() {
    assert_eq!(redactor("").said(b"plain").to_string(), ": plain");
}

#[test]
fn neither_words_nor_what_knows_the_token_shows_it() {
    let redactor = redactor("t0ken");
    let shown = format!("{redactor:?} {:?}", redactor.said(b"it is t0ken"));
    assert!(!shown.contains("t0ken"), "{shown}");
}

/// How the token may be repeated, in letters that no neighbour changes.
fn repeated(token: &str, form: usize) -> String {
    let login = format!("{token}:api_token");
    let standard = STANDARD.encode(&login);
    match form {
        0 => token.to_owned(),
        1 => standard,
        2 => standard.trim_end_matches('=').to_owned(),
        3 => URL_SAFE.encode(&login),
        4 => format!("Basic {standard}"),
        5 => url::form_urlencoded::byte_serialize(standard.as_bytes()).collect(),
        6 => url::form_urlencoded::byte_serialize(login.as_bytes()).collect(),
        _ => standard.replace('/', "\\/"),
    }
}

proptest! {
    #[test]
    fn no_body_shows_the_token_wherever_and_however_it_repeats_it(
        token in "[a-zA-Z0-9?~>/+ä-]{6,40}",
        before in "[ -~\n]{0,230}",
        forms in proptest::collection::vec(0..8_usize, 1..6),
        between in "[ -~]{0,3}",
        shape in 0..4_usize,
    ) {
        let said: Vec<_> = forms.iter().map(|form| repeated(&token, *form)).collect();
        let text = format!("{before}{}{between}", said.join(&between));
        let body = match shape {
            0 => text,
            1 => serde_json::Value::from(text).to_string(),
            2 => serde_json::json!({ "error": { "message": text } }).to_string(),
            _ => format!("<html><title>{text}</title>"),
        };
        let redactor = redactor(&token);
        let error = serde_json::from_str::<Vec<u8>>(&body).unwrap_err();
        for words in [redactor.said(body.as_bytes()), redactor.misfit(body.as_bytes(), &error)] {
            let words = words.to_string();
            for form in 0..8 {
                let form = repeated(&token, form);
                prop_assert!(!words.contains(form.trim_end_matches('=')), "{form} in {words}");
            }
            prop_assert!(words.chars().count() <= LENGTH + 2);
        }
    }

    #[test]
    fn no_body_panics_and_all_words_are_one_short_line(body in any::<Vec<u8>>()) {
        let words = redactor("t0ken").said(&body).to_string();
        prop_assert!(words.chars().count() <= LENGTH + 2);
        prop_assert!(!words.contains(char::is_control));
    }

    #[test]
    fn of_a_long_run_of_tokens_none_is_cut_in_the_middle(spaces in 0..70_usize, times in 1..900_usize) {
        let login = "Basic ".to_owned() + &STANDARD.encode("5imulat0r0000000000000000000000t:api_token");
        let text = " x".repeat(spaces) + &login.repeat(times);
        let words = redactor("5imulat0r0000000000000000000000t").said(text.as_bytes()).to_string();
        prop_assert!(!words.contains("NWltdWx"), "{words}");
    }
}
