//! Applies deliveries, each in a task of its own, and settles them. What fails is put aside, its
//! connection given back and its message held, and comes again after a while.

mod log;

use std::sync::Arc;
use std::time::Duration;

use shared::batch::{Batch, DecodeError};
use shared::exit::chain;
use shared::fault_point;
use shared::resource::Resource;
use shared::retry::{Delays, Disposition};
use shared::shutdown::Shutdown;
use shared::telemetry::run_span;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::applier::WriteError;
use super::delivery::{Decoded, Delivery};
use super::gate::Trying;
use super::pool::{FIRST_DELAY, Lent, Pool};
use super::table::{Cause, Table, Tables};
use crate::apply::fetch_time;
use crate::apply::outcome::Applied;
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

/// A batch that loses its connection so often in a row while it is applied may well be why.
const MOST_LOSSES: u32 = 3;

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
    batch: Decoded,
    lent: Lent<'a>,
    _place: SemaphorePermit<'a>,
    _slot: Option<SemaphorePermit<'a>>,
    _lane: Option<SemaphorePermit<'a>>,
    _trying: Option<Trying<'a>>,
}

/// What came of a delivery.
enum Settled {
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
            let batch = work.delivery.decode();
            let place = table.place().await?;
            let Some(lent) = self.pool.lend().await else { continue };
            // It may have got into trouble meanwhile, and has to wait in another place.
            let is_ill = trying.is_none() && !table.gate.is_open();
            let is_slow = lane.is_none() && self.pool.fits.is_slow(table.resource);
            if !is_ill && !is_slow {
                return Some(Prepared {
                    batch,
                    lent,
                    _place: place,
                    _slot: slot,
                    _lane: lane,
                    _trying: trying,
                });
            }
        }
    }

    /// None where there is more to come, or it is to be tried again.
    async fn attempt(
        &self,
        table: &Table,
        work: &mut Work,
        prepared: Prepared<'_>,
    ) -> Option<Settled> {
        let Prepared { batch, mut lent, .. } = prepared;
        let Work { delivery, cutting, .. } = &mut *work;
        let started = Instant::now();
        let result = match batch {
            Ok((resource, batch)) => {
                let applying = lent.applier().apply(resource, &batch, &delivery.origin, cutting);
                let applied = applying.instrument(run_span(batch.run_id, None)).await;
                applied.map(|applied| {
                    applied.map(|did| Settled::Applied(resource, Box::new(batch), did))
                })
            }
            Err(reason) => {
                let keeping =
                    lent.applier().keep_message(&delivery.undecodable(), &chain(&reason)).await;
                keeping.map(|()| Some(Settled::Unreadable(reason)))
            }
        };
        match result {
            Ok(settled) => {
                lent.answered();
                succeeded(table, work);
                match &settled {
                    Some(Settled::Applied(resource, batch, applied)) => {
                        self.metrics.applied(resource, applied, started.elapsed());
                        if let Some(ahead) = applied.clock_ahead
                            && self.metrics.is_first_ahead(batch.run_id)
                        {
                            fetch_time::warn_of(ahead);
                        }
                    }
                    Some(Settled::Unreadable(_)) => self.metrics.buried(table.resource),
                    None => {}
                }
                settled
            }
            Err(error) => {
                lent.applier().forget_connection();
                self.metrics.postgres_lost();
                failed(table, work, &lent, &error);
                None
            }
        }
    }
}

fn succeeded(table: &Table, work: &mut Work) {
    (work.delays, work.losses) = (None, 0);
    table.gate.open();
    if let Some(duration) = table.succeeded(work.delivery.origin.stream_sequence) {
        log::healed(table.resource, duration);
    }
}

/// Decides when it is tried again, and who waits until then: everybody, or its table.
fn failed(table: &Table, work: &mut Work, lent: &Lent<'_>, error: &WriteError) {
    if error.is_of_connection() {
        lent.lost(error);
        work.losses += u32::from(!error.is_unconnected());
        if work.losses < MOST_LOSSES {
            return;
        }
    } else {
        lent.answered();
        work.losses = 0;
    }
    let is_to_be_mended = error.disposition() == Disposition::Stop;
    let delay = work.delay(is_to_be_mended);
    work.due = Instant::now() + delay;
    table.gate.close(work.due);
    let cause = Cause { words: error.words(), is_to_be_mended };
    let is_news = table.failed(work.delivery.origin.stream_sequence, &cause);
    log::failed(&work.delivery, &cause, is_news, delay);
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
