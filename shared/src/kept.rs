//! What loaders kept of a run as dead letters: the fetcher, which reads no table, asks it over NATS.
//!
//! ```text
//! fetcher ── Question: run ids ──► toggl_track.kept ──► one of the loaders
//!    ▲                                                       │
//!    └──────── Answer ◄── _INBOX.toggl-track-fetcher.kept.… ◄┘
//! ```
//!
//! Question and answer are MessagePack with named fields. Nothing of it passes the stream. Answers go to
//! subjects of their own, so that a loader's user needs no right to those on which JetStream answers.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where it is asked.
pub const SUBJECT: &str = "toggl_track.kept";

/// The queue group of the loaders: one of them answers.
pub const QUEUE: &str = "loaders";

/// What the subjects of answers begin with; the rest is one question's own.
pub const ANSWERS: &str = "_INBOX.toggl-track-fetcher.kept";

/// The version of question and answer.
pub const VERSION: u8 = 1;

/// Runs of one question at most.
pub const MAX_RUNS: usize = 1_000;

/// Characters of a reason at most.
const REASON_CHARS: usize = 200;

/// What a fetcher asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// [`VERSION`].
    pub version: u8,
    /// The runs that it is about.
    pub run_ids: Vec<Uuid>,
}

/// What a loader answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// What is kept of these runs, by resource; empty if nothing is.
    Kept(Vec<KeptLetters>),
    /// This loader cannot tell now, and why.
    Unknown(String),
}

/// The dead letters that loaders made of one resource. What the fetcher itself could make no record of is
/// not counted: it knows that already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLetters {
    /// Name of the resource.
    pub resource: String,
    /// How many there are: a refused record is one, and so is a listing that was not believed.
    pub letters: u64,
    /// Why the first of them was kept, in one short line.
    pub reason: String,
}

/// Bytes that are no question or answer of this version.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// It could not be written; a bug.
    #[error("could not encode a question or an answer about dead letters")]
    Encode(#[from] rmp_serde::encode::Error),
    /// It is something else, or of a newer version.
    #[error("no question or answer about dead letters that this version knows")]
    Decode(#[from] rmp_serde::decode::Error),
}

impl Question {
    /// About these runs.
    pub fn about(run_ids: &[Uuid]) -> Self {
        Self { version: VERSION, run_ids: run_ids.to_vec() }
    }

    /// As it is sent.
    ///
    /// # Errors
    /// Never, but for a bug.
    pub fn encode(&self) -> Result<Vec<u8>, KeptError> {
        Ok(rmp_serde::to_vec_named(self)?)
    }

    /// Reads what came.
    ///
    /// # Errors
    /// When it is no question.
    pub fn decode(bytes: &[u8]) -> Result<Self, KeptError> {
        Ok(rmp_serde::from_slice(bytes)?)
    }
}

impl Answer {
    /// As it is sent.
    ///
    /// # Errors
    /// Never, but for a bug.
    pub fn encode(&self) -> Result<Vec<u8>, KeptError> {
        Ok(rmp_serde::to_vec_named(self)?)
    }

    /// Reads what came.
    ///
    /// # Errors
    /// When it is no answer.
    pub fn decode(bytes: &[u8]) -> Result<Self, KeptError> {
        Ok(rmp_serde::from_slice(bytes)?)
    }
}

/// Whether an answer may be sent to this subject.
pub fn is_asker(subject: &str) -> bool {
    subject.strip_prefix(ANSWERS).is_some_and(|rest| rest.starts_with('.'))
}

/// One short line of what may be long words with line breaks.
pub fn one_line(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().nth(REASON_CHARS).is_none() {
        return line;
    }
    line.chars().take(REASON_CHARS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_come_out_as_they_went_in() {
        let question = Question::about(&[Uuid::now_v7(), Uuid::now_v7()]);
        assert_eq!(Question::decode(&question.encode().unwrap()).unwrap(), question);
        let letters =
            KeptLetters { resource: "tags".into(), letters: 12, reason: "mass delete".into() };
        for answer in [Answer::Kept(vec![letters]), Answer::Unknown("no Postgres".into())] {
            assert_eq!(Answer::decode(&answer.encode().unwrap()).unwrap(), answer);
        }
    }

    #[test]
    fn anything_else_is_no_question_and_no_answer() {
        for bytes in [&b""[..], b"{}", b"\x93\x01\x02\x03", b"-ERR"] {
            assert!(Question::decode(bytes).is_err(), "{bytes:?}");
            assert!(Answer::decode(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn answers_go_only_to_subjects_of_their_own() {
        assert!(is_asker(&format!("{ANSWERS}.1")));
        for subject in ["$JS.API.STREAM.PURGE.TOGGL_TRACK_RAW", ANSWERS, "_INBOX.x", ""] {
            assert!(!is_asker(subject), "{subject}");
        }
    }

    #[test]
    fn a_reason_is_one_short_line() {
        assert_eq!(one_line(" a\n\tb  c "), "a b c");
        assert_eq!(one_line(&"ü".repeat(200)), "ü".repeat(200));
        let long = one_line(&"ü".repeat(201));
        assert_eq!((long.chars().count(), long.ends_with('…')), (200, true));
    }
}
