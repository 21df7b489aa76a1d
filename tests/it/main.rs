//! End-to-end tests: real servers, real processes, a simulated Toggl.
//!
//! What may happen to the pipeline, and where it is made to happen. After each fault `oracle` looks that
//! every acknowledged record is a row or a dead letter, that the tables hold the newest state of what
//! stands in the stream, and that loading went on within a minute of the fault's end.
//!
//! | row | fault | tests |
//! |---|---|---|
//! | 1 | a loader dies before or after its commit, or after its acknowledgement | `faults::worst_moments`, `faults::kills` |
//! | 2 | a fetcher dies between an acknowledgement and its cursor | `faults::worst_moments` |
//! | 3 | NATS is killed, frozen, restarted with acknowledgements on their way | `faults::nats`, `faults::kills` |
//! | 4 | Postgres restarts, or ends sessions at their COMMIT | `faults::postgres`, `faults::kills` |
//! | 5 | a line is cut at some byte, slow, or silent in one direction or both | `faults::line` |
//! | 6 | the reply to a COMMIT is lost | `faults::postgres` |
//! | 7 | batches come twice, late, in any order, over several loaders | `convergence`, `apply::random_histories`, `apply::delivery` |
//! | 8 | a value that Postgres refuses: one of a thousand, or all | `faults::poison`, `dead_letters::kept_whole` |
//! | 9 | a full stream, a full store, a full disk | `faults::room` |
//! | 10 | two loaders and two fetchers at once, two accounts that see different things | `faults::crowd`, `sync::runs_at_once`, `sync::accounts` |
//! | 11 | a consumer or the stream is deleted, or has other settings | `faults::nats`, `rights::nats` |
//! |  | a second database on the stream, a dump that is restored there or elsewhere | `ownership::one_database`, `ownership::restored`, `ownership::copies` |
//! | 12 | Toggl refuses, limits, breaks off, answers slowly or nonsense, has another clock | `toggl::limits`, `toggl::quotas`, `toggl::odd_answers`, `shell::failures`, `toggl::requests`, `toggl::refusals`, `toggl::timeouts`, `toggl::negative_durations`, `sync::left_workspaces`, `reports::memory`, `sync::memory_clock` |
//! |  | webhooks that are forged, late, twice, out of order, lost or disabled; nobody who listens | `listen` |
//! | 13 | a vault without the secret, the key or the right, or with a forged secret | `credentials::vault`, `rights::postgres` |
//! | 14 | lists and reports change, are cut or reordered while they are read | `claims::lists`, `claims::pages`, `claims::reports`, `claims::random` |
//! | 15 | Postgres refuses log-ins or connections, for whatever reason | `faults::refused` |
//! | 16 | a table is missing, locked, closed to the loader or read-only | `faults::mending`, `faults::locks` |
//! | 17 | a batch that does not fit into the time: a slow trigger, a slow line | `faults::slow`, `apply::pieces` |
//! |  | any node of a cluster dies, or a loader is cut off from all of them | `faults::cluster` |
//! |  | all of it at random | `faults::soak` |
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails at the line that fails"
)]

mod answers;
mod apply;
mod claims;
mod credentials;
mod dead_letters;
mod erasure;
mod expected;
mod faults;
mod given;
mod history;
mod hours;
mod house;
mod listen;
mod ownership;
mod replay;
mod reports;
mod rights;
mod servers;
mod shell;
mod staging;
mod status;
mod sync;
mod tables;
mod toggl;
mod verify;
