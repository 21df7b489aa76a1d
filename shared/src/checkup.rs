//! What `fetcher check` and `loader check` print: a line for each thing that was tried, in order, and
//! for what does not work how to mend it.
#![expect(clippy::print_stdout, reason = "this is the output of the program")]

use std::error::Error;
use std::fmt::Display;

use crate::exit::{Exit, chain};

/// What was tried so far.
#[derive(Debug, Default)]
pub struct Checkup {
    first_trouble: Option<Exit>,
}

impl Checkup {
    /// It works.
    pub fn good(&mut self, what: impl Display) {
        println!("[OK]   {what}");
    }

    /// It works, and yet a person may want to know.
    pub fn note(&mut self, what: impl Display) {
        println!("[NOTE] {what}");
    }

    /// It does not work; the error says how to mend it. The first one decides the exit code.
    pub fn bad(&mut self, exit: Exit, error: &(dyn Error + 'static)) {
        println!("[FAIL] {}", chain(error));
        self.first_trouble.get_or_insert(exit);
    }

    /// It was not tried, for something before it does not work.
    pub fn untried(&mut self, what: impl Display) {
        println!("[----] {what}: not tried");
    }

    /// How the command ends.
    pub fn exit(&self) -> Exit {
        self.first_trouble.unwrap_or(Exit::Done)
    }
}
