//! What a batch brings that cannot be loaded: it is kept in the transaction that applies the rest.

pub(crate) mod letter;
pub(crate) mod overtaken;
pub(crate) mod records;
pub(crate) mod whole;
