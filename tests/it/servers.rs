//! Ways to NATS and Postgres.

mod nats;
mod pooler;
mod postgres;
mod tls;
mod versions;
mod waking;
