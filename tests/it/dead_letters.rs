//! What cannot be loaded is kept, and holds up nothing else.

mod answered;
mod any_order;
mod claims;
mod commands;
mod kept_whole;
pub(crate) mod letters;
mod overtaken;
mod retries;
mod shapes;
