//! Whose stream it is, and whether this database has all that was taken of it.
//!
//! Consumers are loaded into one database. `decide` reads off them whose they are; a loader of another
//! one takes nothing, says so, and looks again now and then, until `adopt` moves the stream or nobody
//! else reads it. `ledger` holds what was acknowledged against the ledger of this database: a backup
//! that was restored, a standby that was promoted, or a database that is new lacks batches that nobody
//! would ever deliver again. `keeper` does both beside the loading.

mod absent_loads;
pub(crate) mod adopt;
mod claimed;
pub(crate) mod copies;
mod decide;
pub(crate) mod error;
mod gone;
mod heads;
mod identity;
mod keeper;
mod lookup;
mod move_lock;
mod owner;
mod positions;
mod redeliver;

use std::fmt;
use std::sync::Arc;

use shared::consumer::{Foreign, Owner};
use shared::telemetry::SUBSCRIBER;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

pub(crate) use self::absent_loads::examine;
pub(crate) use self::decide::{Verdict, judge};
pub(crate) use self::gone::Gone;
pub(crate) use self::keeper::Keeper;
pub(crate) use self::owner::{NotMigrated, owner};
pub(crate) use self::positions::gone;
pub(crate) use self::redeliver::words as gone_words;

/// Whether this process may take batches. Copies tell the same.
#[derive(Clone, Default)]
pub struct Ownership(Arc<Inner>);

struct Inner {
    standing: watch::Sender<Standing>,
    doubts: Notify,
}

/// A right to take batches, until it is withdrawn.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    /// The database that they are taken for.
    pub(crate) owner: Owner,
    /// Cancelled when it is withdrawn.
    pub(crate) withdrawn: CancellationToken,
}

#[derive(Debug, Clone)]
enum Standing {
    /// Not looked yet.
    Unknown,
    Ours(Lease),
    Theirs(Foreign),
}

impl Default for Inner {
    fn default() -> Self {
        Self { standing: watch::Sender::new(Standing::Unknown), doubts: Notify::new() }
    }
}

impl Ownership {
    /// Waits until batches may be taken.
    pub(crate) async fn admitted(&self) -> Lease {
        let mut standing = self.0.standing.subscribe();
        loop {
            if let Standing::Ours(lease) = &*standing.borrow_and_update() {
                return lease.clone();
            }
            // The sender lives as long as this.
            if standing.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Has it looked at anew soon: the consumers may be somebody else's by now, or the database not what
    /// it was.
    pub(crate) fn doubt(&self) {
        self.0.doubts.notify_one();
    }

    /// # Errors
    /// In words, why no batches may be taken.
    pub(crate) fn ready(&self) -> Result<(), String> {
        match &*self.0.standing.borrow() {
            Standing::Ours(_) => Ok(()),
            Standing::Unknown => Err("starting: looks whose the stream is".to_owned()),
            Standing::Theirs(foreign) => Err(foreign.to_string()),
        }
    }

    /// Whose the stream is, where it is not this database's.
    pub(crate) fn foreign(&self) -> Option<Foreign> {
        match &*self.0.standing.borrow() {
            Standing::Theirs(foreign) => Some(foreign.clone()),
            Standing::Ours(_) | Standing::Unknown => None,
        }
    }

    fn admit(&self, owner: Owner) {
        let mut said = false;
        self.0.standing.send_if_modified(|standing| {
            match standing {
                Standing::Ours(lease) if lease.owner == owner => return false,
                Standing::Ours(lease) => lease.withdrawn.cancel(),
                Standing::Theirs(_) => said = true,
                Standing::Unknown => {}
            }
            let withdrawn = CancellationToken::new();
            *standing = Standing::Ours(Lease { owner, withdrawn });
            true
        });
        if said {
            info!(target: SUBSCRIBER, "The stream is this database's now; loading");
        }
    }

    /// Said once for each that owns it.
    fn refuse(&self, foreign: Foreign) {
        self.0.standing.send_if_modified(|standing| {
            match standing {
                Standing::Theirs(known) if *known == foreign => return false,
                Standing::Ours(lease) => lease.withdrawn.cancel(),
                Standing::Theirs(_) | Standing::Unknown => {}
            }
            error!(target: SUBSCRIBER, "Not loading: {foreign}");
            *standing = Standing::Theirs(foreign);
            true
        });
    }
}

impl fmt::Debug for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ownership").field(&*self.0.standing.borrow()).finish()
    }
}
