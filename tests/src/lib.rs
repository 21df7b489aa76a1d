//! Harness of the workspace's tests and of the sandbox: private servers, a simulated Toggl over real
//! HTTP, and the two workers as real processes between them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a harness fails loudly, at the line where it fails"
)]

pub mod bench;
pub mod browser;
pub mod dbt;
mod environment;
pub mod migrated;
pub mod proxy;
pub mod rows;
pub mod sandbox;
pub mod servers;
pub mod sessions;
pub mod toggl;
pub mod workers;
pub mod world;
