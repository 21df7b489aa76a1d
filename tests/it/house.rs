//! The repository itself: its pages, its commands, its rooms.

mod commands;
mod deployment;
pub(crate) mod pages;
mod rooms;
