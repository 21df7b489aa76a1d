//! The programs as people, shells, cron and supervisors meet them.

mod checkups;
mod command_line;
mod env_files;
mod failures;
mod flags;
mod help;
mod library;
mod output;
mod sandbox;
mod settings;
