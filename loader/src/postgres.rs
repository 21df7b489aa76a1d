//! What every part needs of Postgres: the connection, what errors mean, and names of schemas.

pub mod database;
pub(crate) mod schema;
pub mod trouble;
