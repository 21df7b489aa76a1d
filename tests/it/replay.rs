//! `loader replay`: what the stream holds, applied again.

mod force;
mod gone;
mod gone_streams;
mod interrupted;
mod into;
mod live;
pub(crate) mod replaying;
