//! What each role may do, and what it reads where it may not.

mod check;
mod nats;
mod postgres;
mod roles;
mod verdict;
mod words;
