//! What `cargo sandbox` shows of a run: a person's week as a chart, the team's hours, the last entries.

mod chart;
mod latest;
mod paper;
mod week;

pub use chart::chart;
pub use latest::latest;
pub use paper::{Ink, Paper};
pub use week::{Week, Work, team};
