//! The way to Postgres: an address as libpq reads it, and connections as every pooler lets them in.
//!
//! What differs from libpq is told by the name of the parameter. Nothing of an address is logged or repeated
//! in an error that was not understood, for it may be a piece of a password.

mod address;
mod connect;
mod environment;
mod error;
mod parameters;
mod pooler;
mod target;

pub use self::connect::{Postgres, Session, while_it_wakes};
pub use self::error::{AddressError, ConnectError, is_of_shared_session};
pub use self::pooler::Sessions;
pub use self::target::Endpoint;

#[cfg(test)]
mod tests;
