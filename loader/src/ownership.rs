//! Whose stream it is, and whether this database has all that was taken of it.
//!
//! Consumers are loaded into one database. `decide` reads off them whose they are; a loader of another
//! one takes nothing, says so, and looks again now and then, until `adopt` moves the stream or nobody
//! else reads it. `absent_loads` holds what was acknowledged against `loads` of this database: a backup
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
    admission: watch::Sender<Admission>,
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
enum Admission {
    /// Not looked yet.
    Unknown,
    Ours(Lease),
    Theirs(Foreign),
}

impl Default for Inner {
    fn default() -> Self {
        Self { admission: watch::Sender::new(Admission::Unknown), doubts: Notify::new() }
    }
}

impl Ownership {
    /// Waits until batches may be taken.
    pub(crate) async fn admitted(&self) -> Lease {
        let mut admission = self.0.admission.subscribe();
        loop {
            if let Admission::Ours(lease) = &*admission.borrow_and_update() {
                return lease.clone();
            }
            // The sender lives as long as this.
            if admission.changed().await.is_err() {
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
        match &*self.0.admission.borrow() {
            Admission::Ours(_) => Ok(()),
            Admission::Unknown => Err("starting: looks whose the stream is".to_owned()),
            Admission::Theirs(foreign) => Err(foreign.to_string()),
        }
    }

    /// Whose the stream is, where it is not this database's.
    pub(crate) fn foreign(&self) -> Option<Foreign> {
        match &*self.0.admission.borrow() {
            Admission::Theirs(foreign) => Some(foreign.clone()),
            Admission::Ours(_) | Admission::Unknown => None,
        }
    }

    fn admit(&self, owner: Owner) {
        let mut said = false;
        self.0.admission.send_if_modified(|admission| {
            match admission {
                Admission::Ours(lease) if lease.owner == owner => return false,
                Admission::Ours(lease) => lease.withdrawn.cancel(),
                Admission::Theirs(_) => said = true,
                Admission::Unknown => {}
            }
            let withdrawn = CancellationToken::new();
            *admission = Admission::Ours(Lease { owner, withdrawn });
            true
        });
        if said {
            info!(target: SUBSCRIBER, "The stream is this database's now; loading");
        }
    }

    /// Said once for each that owns it.
    fn refuse(&self, foreign: Foreign) {
        self.0.admission.send_if_modified(|admission| {
            match admission {
                Admission::Theirs(known) if *known == foreign => return false,
                Admission::Ours(lease) => lease.withdrawn.cancel(),
                Admission::Theirs(_) | Admission::Unknown => {}
            }
            error!(target: SUBSCRIBER, "Not loading: {foreign}");
            *admission = Admission::Theirs(foreign);
            true
        });
    }
}

impl fmt::Debug for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ownership").field(&*self.0.admission.borrow()).finish()
    }
}
