//! How a command should end when it cannot do its work.

use std::time::Duration;

use tests::workers::Finished;

/// Longer than any command may take to give up on what is not there, also where a busy machine lets it
/// wait for its turn.
const PATIENCE: Duration = Duration::from_secs(30);

/// The end of every failure: this code, and as the last line `error: …` with these words, within
/// half a minute.
#[track_caller]
pub(crate) fn assert_fails(finished: &Finished, code: i32, words: &[&str]) {
    assert_fails_in_the_end(finished, code, words);
    assert!(finished.elapsed < PATIENCE, "took {:?}", finished.elapsed);
}

/// The same of what is waited out for a while first.
#[track_caller]
pub(crate) fn assert_fails_in_the_end(finished: &Finished, code: i32, words: &[&str]) {
    let stderr = &finished.stderr;
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    let last = stderr.trim_end().lines().last().unwrap_or_default();
    assert!(last.starts_with("error: "), "{stderr}");
    for word in words {
        assert!(last.contains(word), "{word:?} is missing in: {last}");
    }
    let errors = stderr.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(errors, 1, "{stderr}");
    assert_no_crash(finished);
}

/// The end of a wrong command line: code 2, and an `error: …` that says what is wrong, with the
/// lines that clap adds below.
#[track_caller]
pub(crate) fn assert_misused(finished: &Finished, words: &[&str]) {
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    let first = finished.stderr.lines().next().unwrap_or_default();
    assert!(first.starts_with("error: "), "{}", finished.stderr);
    for word in words {
        assert!(finished.stderr.contains(word), "{word:?} is missing in: {}", finished.stderr);
    }
    assert_no_crash(finished);
    assert!(finished.elapsed < PATIENCE, "took {:?}", finished.elapsed);
}

#[track_caller]
fn assert_no_crash(finished: &Finished) {
    for trace in ["panicked", "backtrace", "thread 'main'"] {
        assert!(!finished.stderr.contains(trace), "{}", finished.stderr);
    }
}

/// Nothing that was printed holds the text.
#[track_caller]
pub(crate) fn assert_unspoken(finished: &Finished, secret: &str) {
    assert!(!finished.stdout.contains(secret), "{}", finished.stdout);
    assert!(!finished.stderr.contains(secret), "{}", finished.stderr);
}
