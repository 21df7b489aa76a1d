//! What a table held at a moment of the past.

mod past;
mod recorded;
mod switch;
