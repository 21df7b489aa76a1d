//! What somebody else said, fit to be repeated: short, in one line, and without the token.
//!
//! An error page may repeat the whole request. Words are therefore made here alone, where the token
//! is known, and errors carry nothing else of an answer.

use std::borrow::Cow;
use std::fmt;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use secrecy::{ExposeSecret as _, SecretString};

mod message;

/// Longest part of an answer that is repeated to the user, in characters.
const LENGTH: usize = 200;
/// What stands for the token.
const HIDDEN: &str = "***";
/// How far the head of a page reaches, in bytes.
const HEAD: usize = 64 * 1024;
/// What a page of HTML is called.
const PAGE: &str = "a page of HTML, probably a proxy's";

/// Words of an answer that may be shown. They print with ": " before them, or as nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words(String);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

impl From<&'static str> for Words {
    /// Our own words.
    fn from(words: &'static str) -> Self {
        Self(words.to_owned())
    }
}

impl From<Words> for String {
    fn from(words: Words) -> Self {
        words.0
    }
}

/// Knows the token, in every form in which it is sent or repeated.
pub(super) struct Redactor {
    forms: Option<AhoCorasick>,
    longest: usize,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    pub(super) fn new(token: &SecretString) -> Self {
        let forms = forms(token.expose_secret());
        let longest = forms.iter().map(String::len).max().unwrap_or_default();
        let forms = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(forms);
        Self { forms: forms.ok(), longest }
    }

    /// A text, made fit to be shown.
    pub(super) fn words(&self, text: &str) -> Words {
        // Of so much at least LENGTH characters are left that are not cut in the middle of a token.
        let line = one_line(text, LENGTH * (self.longest + 1));
        let Some(forms) = &self.forms else { return Words::default() };
        let hidden = vec![HIDDEN; forms.patterns_len()];
        Words(forms.replace_all(&line, &hidden).chars().take(LENGTH).collect())
    }

    /// What the body of a refusal says: Toggl's words in any of the forms of JSON that it puts them in, the
    /// title of a page, or plain text.
    pub(super) fn said(&self, body: &[u8]) -> Words {
        let Some(page) = self.page(body) else {
            let told = serde_json::from_slice(body).ok().and_then(|json| message::of(&json));
            return self.words(&told.map_or_else(|| String::from_utf8_lossy(body), Cow::Owned));
        };
        page
    }

    /// What is wrong with the body of a good answer.
    pub(super) fn misfit(&self, body: &[u8], error: &serde_json::Error) -> Words {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Words::from("it is empty");
        }
        self.page(body).unwrap_or_else(|| self.words(&error.to_string()))
    }

    /// That it is a page of HTML, if it is one, with its title.
    fn page(&self, body: &[u8]) -> Option<Words> {
        is_page(body).then(|| match self.title(body) {
            Words(title) if title.is_empty() => Words::from(PAGE),
            Words(title) => Words(format!("{PAGE}: {title}").chars().take(LENGTH).collect()),
        })
    }

    /// The title of a page; nothing where it has none.
    pub(super) fn title(&self, body: &[u8]) -> Words {
        let head = head(body);
        self.words(title(&head, &head.to_ascii_lowercase()).unwrap_or_default())
    }
}

/// Whether it is a page of HTML or XML, which Toggl's API never sends: neither JSON nor its texts begin so.
pub(super) fn is_page(body: &[u8]) -> bool {
    let start = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    start.first() == Some(&b'<')
}

fn head(body: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(body.get(..HEAD).unwrap_or(body))
}

/// What stands between the tags of the title. `lower` is the same in small letters.
fn title<'a>(head: &'a str, lower: &str) -> Option<&'a str> {
    let tag = lower.find("<title")?;
    let start = tag + lower.get(tag..)?.find('>')? + 1;
    let length = lower.get(start..)?.find('<')?;
    head.get(start..start + length).map(str::trim).filter(|title| !title.is_empty())
}

/// The beginning of a text, with a space for all that is not printed.
fn one_line(text: &str, length: usize) -> String {
    let mut line = String::new();
    let mut letters = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty())
    {
        if letters >= length {
            break;
        }
        if letters > 0 {
            line.push(' ');
        }
        line.extend(word.chars().take(length - letters));
        letters += word.chars().take(length - letters).count() + 1;
    }
    line
}

/// The token by itself and as basic authentication sends it, each plain, with escapes of addresses
/// and with those of JSON.
fn forms(token: &str) -> Vec<String> {
    if token.is_empty() {
        return Vec::new();
    }
    let login = format!("{token}:api_token");
    let mut plain = vec![token.to_owned()];
    for encoded in [STANDARD.encode(&login), URL_SAFE.encode(&login), STANDARD.encode(token)] {
        // Without the padding it is found with it, too; the last letter depends on what follows.
        plain.push(encoded.trim_end_matches('=').to_owned());
    }
    let mut forms = Vec::new();
    for one in plain {
        forms.push(format!("Basic {one}"));
        forms.push(url::form_urlencoded::byte_serialize(one.as_bytes()).collect());
        forms.push(one.replace('/', "\\/"));
        // As an error of serde quotes the one before.
        forms.push(one.replace('/', "\\\\/"));
        forms.push(one);
    }
    forms
}

#[cfg(test)]
mod tests;
