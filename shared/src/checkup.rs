//! What `fetcher check` and `loader check` print: a line for each thing that was tried, in order, and
//! for what does not work how to mend it.

use std::error::Error;
use std::fmt::Display;

use crate::exit::{Exit, chain};
use crate::output::{self, report};

/// What was tried so far.
#[derive(Debug, Default)]
pub struct Checkup {
    first_trouble: Option<Exit>,
}

impl Checkup {
    /// It works.
    pub fn good(&mut self, what: impl Display) {
        report(format!("[OK]   {what}\n"));
    }

    /// It works, and yet a person may want to know.
    pub fn note(&mut self, what: impl Display) {
        report(format!("[NOTE] {what}\n"));
    }

    /// It does not work; the error says how to mend it. The first one decides the exit code.
    pub fn bad(&mut self, exit: Exit, error: &(dyn Error + 'static)) {
        report(format!("[FAIL] {}\n", chain(error)));
        self.first_trouble.get_or_insert(exit);
    }

    /// It was not tried, for something before it does not work.
    pub fn untried(&mut self, what: impl Display) {
        report(format!("[----] {what}: not tried\n"));
    }

    /// How the command ends. Nobody has seen that all is well where it could not be printed.
    pub fn exit(&self) -> Exit {
        let unseen = if output::is_lost() { Exit::Failed } else { Exit::Done };
        self.first_trouble.unwrap_or(unseen)
    }
}
