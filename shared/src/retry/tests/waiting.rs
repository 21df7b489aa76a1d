//! What is said while a server is waited for.

use std::io;
use std::sync::{Arc, Mutex};

use tracing::subscriber::with_default;

use super::*;

/// The log of a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// What came of the attempts, what was told, and what was logged, without the time.
struct Waited {
    outcome: Result<(), String>,
    told: Vec<String>,
    lines: Vec<String>,
}

/// The one error that does not pass.
const LASTING: &str = "no such database";

/// Each attempt fails with the next of these words, the one after them succeeds.
fn wait(failures: &[&str], delays: Delays) -> Waited {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time()
        .finish();
    let (mut attempts, mut told) = (failures.iter(), Vec::new());
    let waiting = wait_out(
        "Postgres",
        delays,
        |error: &io::Error| error.to_string() != LASTING,
        |words| told.push(words.to_owned()),
        || ready(attempts.next().map_or(Ok(()), |words| Err(io::Error::other(*words)))),
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let outcome = with_default(subscriber, || runtime.block_on(waiting));
    Waited { outcome: outcome.map_err(|error| error.to_string()), told, lines: log.lines() }
}

fn forever() -> Delays {
    Delays::forever(Duration::ZERO, Duration::ZERO)
}

#[test]
fn nothing_is_said_of_a_server_that_is_there() {
    let Waited { outcome, told, lines } = wait(&[], forever());
    assert_eq!(outcome, Ok(()));
    assert!(told.is_empty() && lines.is_empty(), "{told:?} {lines:?}");
}

#[test]
fn what_a_server_says_is_logged_once_while_it_says_the_same() {
    let answers = ["refused", "refused", "starting", "starting", "refused"];
    let Waited { outcome, told, lines } = wait(&answers, forever());
    assert_eq!(outcome, Ok(()));
    assert_eq!(told, answers);
    let (waiting, arrival) = lines.split_at(3);
    for (line, words) in waiting.iter().zip(["refused", "starting", "refused"]) {
        let said = line.trim();
        assert!(said.starts_with("WARN start: Waiting for Postgres ("), "{said}");
        assert!(said.ends_with(&format!(" s so far): {words}")), "{said}");
    }
    assert_eq!(arrival.len(), 1, "{lines:?}");
    assert!(arrival[0].contains("INFO start: Postgres is there, after "), "{lines:?}");
}

#[test]
fn what_does_not_pass_ends_the_wait_at_once() {
    let Waited { outcome, told, lines } = wait(&[LASTING], forever());
    assert_eq!(outcome, Err(LASTING.to_owned()));
    assert!(told.is_empty() && lines.is_empty(), "{told:?} {lines:?}");
    let Waited { outcome, told, lines } = wait(&["refused", LASTING], forever());
    assert_eq!(outcome, Err(LASTING.to_owned()));
    assert_eq!((told.len(), lines.len()), (1, 1), "{lines:?}");
}

#[test]
fn the_last_error_ends_the_wait() {
    let Waited { outcome, told, .. } = wait(&["refused"; 1_000], twenty_milliseconds());
    assert_eq!(outcome, Err("refused".to_owned()));
    assert!(!told.is_empty());
}
