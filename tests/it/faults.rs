//! What breaks while rows flow; see the table in `main.rs`.

mod cluster;
mod crowd;
mod kills;
mod line;
mod locks;
mod mending;
mod nats;
mod poison;
mod postgres;
mod refused;
mod room;
mod slow;
mod soak;
mod worst_moments;
