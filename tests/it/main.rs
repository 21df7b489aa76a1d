//! End-to-end tests: real servers, real processes, a simulated Toggl.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails at the line that fails"
)]

mod end_to_end;
