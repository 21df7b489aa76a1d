//! An API token: what it looks like, and what stands in its place.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use super::CredentialsError;

/// More than any token; a larger file is not one.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Reads a token from a prompt, or from standard input where that is no terminal.
///
/// # Errors
/// When there is none.
pub fn ask_for_token() -> Result<SecretString, CredentialsError> {
    let place = "standard input";
    let text = if std::io::stdin().is_terminal() {
        rpassword::prompt_password("Toggl API token (on your Toggl profile page): ")
    } else {
        let mut text = String::new();
        std::io::stdin().take(MAX_FILE_BYTES).read_to_string(&mut text).map(|_| text)
    };
    let text = text.map_err(|source| CredentialsError::File { path: place.into(), source })?;
    token(SecretString::from(text).expose_secret(), place)
}

pub(super) fn read_file(path: &Path) -> Result<SecretString, CredentialsError> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text))
        .map_err(|source| CredentialsError::File { path: path.to_owned(), source })?;
    token(SecretString::from(text).expose_secret(), &path.display().to_string())
}

/// An empty variable, as compose files leave them, is none.
pub(super) fn from_environment() -> Result<Option<SecretString>, CredentialsError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a clap setting would also be an argument, for all to see in ps"
    )]
    let text = std::env::var("TOGGL_API_TOKEN").unwrap_or_default();
    let text = SecretString::from(text);
    if text.expose_secret().trim().is_empty() {
        return Ok(None);
    }
    token(text.expose_secret(), "TOGGL_API_TOKEN").map(Some)
}

/// A token goes into a header: one word of letters and digits. Around it may stand what editors, shells
/// and other systems leave: spaces, line ends, a byte order mark.
pub(crate) fn token(text: &str, place: &str) -> Result<SecretString, CredentialsError> {
    let word = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    match not_a_token(word) {
        None => Ok(word.into()),
        Some(reason) => Err(CredentialsError::NoToken { place: place.to_owned(), reason }),
    }
}

/// What stands where a token should. Nothing of it is repeated, for it may be another secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAToken {
    /// Nothing.
    #[error("it is empty")]
    Empty,
    /// Several lines.
    #[error("it has several lines; give the token alone")]
    Lines,
    /// An object or a list.
    #[error("it is JSON; give the token alone")]
    Json,
    /// As a line of a file with settings has it.
    #[error("it is a setting with a name; give what stands behind the equals sign")]
    Setting,
    /// As a shell or a file with settings has it.
    #[error("it stands in quotes; give it without")]
    Quotes,
    /// An e-mail address, with or without a password.
    #[error("it is a log-in; give the API token instead, from the bottom of your Toggl profile")]
    LogIn,
    /// Anything else.
    #[error("a token is one word of letters and digits, from the bottom of your Toggl profile")]
    Characters,
}

fn not_a_token(word: &str) -> Option<NotAToken> {
    let quotes = ['"', '\'', '`'];
    if word.is_empty() {
        Some(NotAToken::Empty)
    } else if word.starts_with(['{', '[']) {
        Some(NotAToken::Json)
    } else if word.contains(['\n', '\r']) {
        Some(NotAToken::Lines)
    } else if word.contains('@') {
        Some(NotAToken::LogIn)
    } else if word.contains('=') {
        Some(NotAToken::Setting)
    } else if word.starts_with(quotes) || word.ends_with(quotes) {
        Some(NotAToken::Quotes)
    } else if !word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    {
        Some(NotAToken::Characters)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_out_of_what_stands_around_it() {
        for text in ["abc", "abc\n", "abc\r\n", "\u{feff}abc\r\n", "\u{feff} abc \t\n\n", "\n abc"]
        {
            assert_eq!(token(text, "x").unwrap().expose_secret(), "abc", "{text:?}");
        }
    }

    #[test]
    fn what_is_clearly_no_token_is_named_for_what_it_is() {
        for (text, expected) in [
            ("", NotAToken::Empty),
            (" \u{feff}\r\n", NotAToken::Empty),
            ("abc\ndef", NotAToken::Lines),
            ("abc\r\ndef\r\n", NotAToken::Lines),
            ("{\n \"api_token\": \"abc\"\n}", NotAToken::Json),
            ("[\"abc\"]", NotAToken::Json),
            ("eva@example.com:hunter2", NotAToken::LogIn),
            ("eva@example.com", NotAToken::LogIn),
            ("TOGGL_API_TOKEN=abc", NotAToken::Setting),
            ("\"abc\"", NotAToken::Quotes),
            ("'abc'", NotAToken::Quotes),
            ("abc def", NotAToken::Characters),
            ("Bearer abc", NotAToken::Characters),
            ("abc:api_token", NotAToken::Characters),
            ("äbc", NotAToken::Characters),
            ("a\0b", NotAToken::Characters),
        ] {
            match token(text, "standard input") {
                Err(CredentialsError::NoToken { reason, .. }) => {
                    assert_eq!(reason, expected, "{text:?}");
                }
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }
}
