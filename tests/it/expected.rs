//! What must hold, reckoned from the simulated account or the stream alone.

pub(crate) mod endings;
pub(crate) mod oracle;
pub(crate) mod readable;
pub(crate) mod rows;
