//! No piece of an address that may be a password is shown.

use proptest::prelude::*;

use super::{password, read};

#[test]
fn an_address_that_is_none_is_not_repeated() {
    for text in [
        "hunter2",
        "hunter2=abc",
        "mysql://eva:hunter2@h/db",
        "postgres//eva:hunter2@h",
        "postgres://eva:/hun?ter2secret@h/db",
        "postgres://eva:12345#hunter2@h/db",
        "postgres://eva:12345?user=hunter2@h/db",
        "postgres://eva:12345/hunter2@h/db",
        "postgres://eva:p@hunter2@h/db",
        "postgres://eva:hunter2%@h/db",
        "postgres://eva:hunter2%zz@h/db",
        "postgres://eva:hunter2",
        "postgres://eva@h/db?hunter2",
        "host=h password=hun ter2 dbname=x",
        "host=h password='hunter2",
        "password=hunter2 1hunter2=x",
    ] {
        let error = read(text).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(!said.contains("hunter2") && !said.contains("12345"), "{text}: {said}");
        assert!(!said.contains("ter2"), "{text}: {said}");
    }
}

/// Pieces of four characters and more.
fn pieces(password: &str) -> Vec<String> {
    let characters: Vec<char> = password.chars().collect();
    characters.windows(4).map(|piece| piece.iter().collect()).collect()
}

fn said_of(address: &str) -> String {
    match read(address) {
        Ok(target) => format!("{target:?} {} {:?}", target.name(), target.idle),
        Err(error) => format!("{error} {error:?}"),
    }
}

/// Letters that are in no message, and everything that may mean something in an address.
fn passwords() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            3 => "[QZXJ6-9]{1,6}".prop_map(|text| text),
            2 => r"[/?#@%:=&,;\\'\t\[\]{}+!$]".prop_map(|text| text),
            1 => Just("é".to_owned()),
        ],
        1..8,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_that_is_said_of_an_address_holds_a_piece_of_its_password(password in passwords()) {
        let encoded: String =
            percent_encoding::utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC).to_string();
        let quoted = password.replace('\\', r"\\").replace('\'', r"\'");
        for address in [
            format!("postgres://eva:{password}@db.test:5432/toggl?sslmode=require"),
            format!("postgres://eva:{encoded}@db.test:5432/toggl"),
            format!("postgres://db.test/toggl?user=eva&password={password}"),
            format!("postgres://db.test/toggl?password={encoded}&keepalives=1"),
            format!("host=db.test user=eva password={password} dbname=toggl"),
            format!("host=db.test user=eva password='{quoted}' dbname=toggl"),
            format!("host=db.test sslpassword={password}"),
        ] {
            let said = said_of(&address);
            for piece in pieces(&password).into_iter().chain(pieces(&encoded)) {
                prop_assert!(!said.contains(&piece), "{piece} of {address}: {said}");
            }
        }
    }

    #[test]
    fn a_password_that_is_encoded_arrives_as_it_is(
        secret in prop_oneof![9 => passwords(), 1 => Just("://".to_owned())],
    ) {
        let encoded =
            percent_encoding::utf8_percent_encode(&secret, percent_encoding::NON_ALPHANUMERIC).to_string();
        let quoted = secret.replace('\\', r"\\").replace('\'', r"\'");
        for address in [
            format!("postgres://eva:{encoded}@db.test/toggl"),
            format!("postgres://db.test/toggl?user=eva&password={encoded}"),
            format!("host=db.test user=eva password='{quoted}'"),
        ] {
            prop_assert_eq!(password(&read(&address).unwrap()), secret.clone());
        }
    }
}
