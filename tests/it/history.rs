//! What a table held at a moment of the past.

pub(crate) mod events;
mod intervals;
mod past;
mod recorded;
mod switch;
