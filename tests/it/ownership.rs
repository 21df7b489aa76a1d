//! Whose stream it is, and what a database lacks of it.

mod copies;
mod one_database;
mod restored;
