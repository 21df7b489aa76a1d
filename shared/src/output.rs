//! What a command prints, and the line for the user: the only place that writes to standard output,
//! and to standard error beside the log.
//!
//! Either may be closed or full. That its reader has seen enough is no error. Where it is full, a
//! command whose purpose is its output fails; work goes on, and it is said once.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More than any summary; of what is longer the rest is left out where it is held back.
const MOST_HELD: usize = 256 * 1024;

/// Standard output took nothing more.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub struct OutputError(#[source] io::Error);

#[derive(Debug)]
struct Output {
    /// What is printed only if the command does not end well.
    held: Option<String>,
    /// Whether standard output is for something else than what was done.
    is_taken: bool,
    /// Whether something could not be written.
    lost: bool,
}

static OUTPUT: Mutex<Output> = Mutex::new(Output { held: None, is_taken: false, lost: false });

fn output() -> MutexGuard<'static, Output> {
    OUTPUT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints what a command was called for.
///
/// # Errors
/// When it could not be written, other than that nobody reads it any more.
pub fn print(bytes: impl AsRef<[u8]>) -> Result<(), OutputError> {
    let mut output = output();
    let written = write(bytes.as_ref());
    output.lost |= written.is_err();
    written
}

/// The same of how things are, which a quiet command says only if that is not well.
///
/// # Errors
/// As [`print()`].
pub fn print_unless_quiet(text: impl AsRef<str>) -> Result<(), OutputError> {
    let text = text.as_ref();
    let mut output = output();
    if let Some(held) = &mut output.held {
        if held.len() + text.len() <= MOST_HELD {
            held.push_str(text);
        }
        return Ok(());
    }
    if output.is_taken {
        io::stderr().lock().write_all(text.as_bytes()).ok();
        return Ok(());
    }
    drop(output);
    print(text)
}

/// Prints what was done: work that counts, whatever becomes of these words.
pub fn report(text: impl AsRef<str>) {
    let known = is_lost();
    if let Err(error) = print_unless_quiet(text)
        && !known
    {
        complain(crate::error_chain::chain(&error));
    }
}

/// Asks the person at the terminal, even where nothing else is printed.
///
/// # Errors
/// When the question could not be written.
pub fn ask(question: impl AsRef<str>) -> Result<(), OutputError> {
    write(question.as_ref().as_bytes())
}

/// Says what is wrong in one line on standard error. Where that is closed too, nobody can be told.
pub fn complain(words: impl Display) {
    say(format_args!("error: {words}"));
}

/// The same of what nothing ends for.
pub fn caution(words: impl Display) {
    say(format_args!("warning: {words}"));
}

fn say(line: impl Display) {
    io::stderr().lock().write_all(format!("{line}\n").as_bytes()).ok();
}

/// Whether something that was to be printed could not be written.
pub fn is_lost() -> bool {
    output().lost
}

/// Keeps standard output for what a machine reads: what was done is said on standard error.
pub fn take() {
    output().is_taken = true;
}

/// Holds back what is printed from now on, until it is known how the command ends.
pub(crate) fn hold() {
    output().held.get_or_insert_default();
}

/// Prints what was held back, unless all went well.
pub(crate) fn release(is_well: bool) {
    let held = output().held.take();
    if let Some(held) = held.filter(|held| !is_well && !held.is_empty()) {
        report(held);
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the place that prints")]
fn write(bytes: &[u8]) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(OutputError(error)),
        _ => Ok(()),
    }
}
