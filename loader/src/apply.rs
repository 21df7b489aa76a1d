//! One batch, one transaction: lock, claim, compare, write, keep what cannot be written, record it all.
//!
//! ```text
//! unread ─┐            a listing whose digest says that it brings nothing new
//! begin ──┴► fast_path  no stored row changes: a shared lock, over several connections at once
//!      └───► exclusive  any other batch: mark_deleted ─► compare ─► upsert, or bisect ─► dead letters
//!           both ─► the claim, the row of `loads` ─► commit
//! ```
//!
//! The outcome depends on the set of batches applied, not on their order; `newer` has the rule by which
//! a record replaces the stored row. Nothing in here knows of messages, streams or acknowledgements:
//! where a batch comes from is handed in as its [`Origin`].

pub(crate) mod applied;
pub(crate) mod begin;
mod bisect;
mod bookkeeping;
mod checksum;
mod claims;
mod compare;
mod context;
mod copy;
mod damage;
pub(crate) mod dead_letters;
mod dead_record;
mod exclusive;
pub(crate) mod expectation;
mod fast_path;
pub(crate) mod fetch_time;
pub(crate) mod fits;
pub(crate) mod forgotten;
mod gone_running_entries;
mod history;
mod job;
mod loads;
pub(crate) mod lock;
mod mark_deleted;
pub(crate) mod newer;
mod newer_claims;
pub(crate) mod origin;
pub(crate) mod pieces;
pub(crate) mod rows;
mod running_entries;
pub(crate) mod settings;
pub(crate) mod sql;
pub(crate) mod time_limit;
mod touched;
pub(crate) mod unread;
mod upsert;

pub use self::applied::{Applied, ApplyError, Refused};
pub use self::begin::{apply, apply_in_pieces};
pub use self::origin::Origin;
pub use self::settings::{History, Options};
pub use self::unread::apply_unread;
