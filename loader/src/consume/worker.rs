//! Applies deliveries, each in a task of its own, and settles them. What fails is put aside, its
//! connection given back and its message held, and comes again after a while.

mod attempt;
mod log;

use std::sync::Arc;
use std::time::Duration;

use shared::batch::{Batch, DecodeError};
use shared::digest::Digest;
use shared::exit::chain;
use shared::fault_point;
use shared::resource::Resource;
use shared::retry::Delays;
use shared::shutdown::Shutdown;
use shared::telemetry::run_span;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::delivery::{Decoded, Delivery};
use super::gate::Trying;
use super::pool::{FIRST_DELAY, Lent, Pool};
use super::table::{Table, Tables};
use crate::apply::applied::Applied;
use crate::apply::pieces::Cutting;
use crate::metrics::Metrics;

/// Acknowledgements on their way at once: as many as all tables together may have in the hands of a
/// loader. Committed work is safe without them, so none is worth waiting for.
const MAX_ACKS: usize = 128;

/// Waits between attempts of a batch; they are spread by half, and are so long at most that its table is
/// loaded within a minute of the cause's end.
const LONGEST_DELAY: Duration = Duration::from_secs(10);
const FIRST_DELAY_OF_MENDING: Duration = Duration::from_secs(1);
const LONGEST_DELAY_OF_MENDING: Duration = Duration::from_secs(30);

/// Applies what it is given until the process ends.
pub(crate) struct Worker {
    pub(crate) pool: Pool,
    pub(crate) tables: Tables,
    /// Batches that are decoded ahead.
    slots: Semaphore,
    /// Connections of all tables in trouble together, so that none of the others waits for them.
    retries: Lane,
    /// The same for tables whose batches take long.
    slow: Lane,
    acks: Arc<Semaphore>,
    metrics: Metrics,
    shutdown: Shutdown,
    tasks: TaskTracker,
    /// Cancelled when a task has panicked.
    pub(crate) died: CancellationToken,
}

type Lane = Arc<Semaphore>;

/// A batch that is to be applied.
struct Work {
    delivery: Delivery,
    cutting: Cutting,
    /// Not to be tried before.
    due: Instant,
    delays: Option<(bool, Delays)>,
    /// How often in a row its connection was lost.
    losses: u32,
}

/// Everything that an attempt needs. What it holds is given back when it goes.
struct Prepared<'a> {
    content: Content,
    lent: Lent<'a>,
    _place: SemaphorePermit<'a>,
    _slot: Option<SemaphorePermit<'a>>,
    _lane: Option<SemaphorePermit<'a>>,
    _trying: Option<Trying<'a>>,
}

/// What is known of a delivery's batch.
enum Content {
    /// Its digest, which may be enough.
    Digest(&'static Resource, Digest),
    Batch(Decoded),
}

/// What came of a delivery.
enum Settled {
    /// The batch, without its records where it was not read.
    Applied(&'static Resource, Box<Batch>, Applied),
    Unreadable(DecodeError),
}

impl Worker {
    pub(crate) fn new(pool: Pool, writers: usize, metrics: Metrics, shutdown: Shutdown) -> Self {
        let retries = Arc::new(Semaphore::new(1));
        // One is left to those that are healthy and quick, if there are as many.
        let slow = if writers > 2 { Arc::new(Semaphore::new(1)) } else { Arc::clone(&retries) };
        Self {
            pool,
            tables: Tables::new(writers),
            slots: Semaphore::new(2 * writers),
            retries,
            slow,
            acks: Arc::new(Semaphore::new(MAX_ACKS)),
            metrics,
            shutdown,
            tasks: TaskTracker::new(),
            died: CancellationToken::new(),
        }
    }

    /// Settles a delivery, sooner or later; `room` is what it takes among those of its table.
    pub(crate) fn take(self: &Arc<Self>, delivery: Delivery, room: OwnedSemaphorePermit) {
        let worker = Arc::clone(self);
        self.tasks.spawn(async move {
            // Cancels when it goes without having been disarmed: after a panic.
            let alive = worker.died.clone().drop_guard();
            worker.settle(delivery, room).await;
            drop(alive.disarm());
        });
    }

    /// Waits until everything in hand is settled; nothing may be taken any more.
    pub(crate) async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.pool.close().await;
    }

    async fn settle(&self, delivery: Delivery, room: OwnedSemaphorePermit) {
        let Some(table) = self.tables.find(delivery.resource) else { return };
        let sequence = delivery.origin.stream_sequence;
        let started = Instant::now();
        let mut work =
            Work { delivery, cutting: Cutting::default(), due: started, delays: None, losses: 0 };
        let settled = loop {
            let prepared = self.prepare(table, &work);
            let Some(prepared) = self.shutdown.soft.run_until_cancelled(prepared).await.flatten()
            else {
                table.forget(sequence);
                return work.delivery.release().await;
            };
            if let Some(settled) = self.attempt(table, &mut work, prepared).await {
                break settled;
            }
        };
        let Work { delivery, .. } = work;
        match settled {
            Settled::Applied(resource, batch, applied) => {
                let span = run_span(batch.run_id, None);
                fault_point::reach(fault_point::BEFORE_ACK);
                span.in_scope(|| log::applied(resource, &batch, &applied, started.elapsed()));
                drop(batch);
                self.acknowledge(room, delivery.ack()).instrument(span).await;
            }
            Settled::Unreadable(reason) => {
                let reason = chain(&reason);
                log::unreadable(&delivery, &reason);
                self.acknowledge(room, delivery.terminate(&reason)).await;
            }
        }
    }

    /// A server that came back without its last consumer state never answers some of them; the next
    /// batch does not wait for that.
    async fn acknowledge(&self, room: OwnedSemaphorePermit, acking: impl Future<Output = ()>) {
        let place = self.acks.acquire().await;
        drop(room);
        acking.await;
        drop(place);
        fault_point::reach(fault_point::AFTER_ACK);
    }

    /// Waits for everything that an attempt needs, the connection last. Of a table that is well and
    /// quick the batch is decoded while it waits for that; others are decoded when it is their turn.
    async fn prepare<'a>(&'a self, table: &'a Table, work: &Work) -> Option<Prepared<'a>> {
        sleep_until(work.due).await;
        loop {
            let trying = table.gate.pass().await;
            let is_slow = self.pool.fits.is_slow(table.resource);
            let lane = match (&trying, is_slow) {
                (_, true) => Some(self.slow.acquire().await.ok()?),
                (Some(_), false) => Some(self.retries.acquire().await.ok()?),
                (None, false) => None,
            };
            let slot = if lane.is_none() { Some(self.slots.acquire().await.ok()?) } else { None };
            let digest = table.is_still().then(|| work.delivery.digest()).flatten();
            let content = match digest {
                Some((resource, digest)) => Content::Digest(resource, digest),
                None => Content::Batch(work.delivery.decode()),
            };
            let place = table.place().await?;
            let Some(lent) = self.pool.lend().await else { continue };
            // It may have got into trouble meanwhile, and has to wait in another place.
            let is_ill = trying.is_none() && !table.gate.is_open();
            let is_slow = lane.is_none() && self.pool.fits.is_slow(table.resource);
            if !is_ill && !is_slow {
                return Some(Prepared {
                    content,
                    lent,
                    _place: place,
                    _slot: slot,
                    _lane: lane,
                    _trying: trying,
                });
            }
        }
    }
}

impl Work {
    fn delay(&mut self, is_to_be_mended: bool) -> Duration {
        let (first, longest) = if is_to_be_mended {
            (FIRST_DELAY_OF_MENDING, LONGEST_DELAY_OF_MENDING)
        } else {
            (FIRST_DELAY, LONGEST_DELAY)
        };
        let delays = self.delays.take().filter(|(of_mending, _)| *of_mending == is_to_be_mended);
        let (_, mut delays) =
            delays.unwrap_or_else(|| (is_to_be_mended, Delays::forever(first, longest)));
        let delay = delays.next_delay().unwrap_or(longest);
        self.delays = Some((is_to_be_mended, delays));
        delay
    }
}
