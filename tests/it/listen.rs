//! What Toggl tells by webhooks: `fetcher listen`.

mod away;
mod burst;
mod events;
mod killed;
mod listening;
mod missing;
mod quota;
mod refused;
mod secrets;
mod subscriptions;
