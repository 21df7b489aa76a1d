//! Tokens: where they are kept, and where they never get.

mod checked;
mod secrets;
mod secrets_planted;
mod setup_vault;
mod token_in_clear;
pub(crate) mod vault;
