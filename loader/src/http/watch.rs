//! A loader's own eye on the pipeline: it looks now and then, so that whoever reads the page or the
//! metrics, however often, costs the servers nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_nats::connection::State;
use async_nats::jetstream::Context;
use jiff::{SignedDuration, Timestamp};
use shared::consumer::Readers;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::minutes::{self, Minute};
use super::prover::Prover;
use crate::consume::troubles::Troubles;
use crate::metrics::Metrics;
use crate::ownership::Ownership;
use crate::ownership::copies::Copies;
use crate::postgres::database::Database;
use crate::status::pipeline::Pipeline;
use crate::status::store::{Counts, Looker, Store};
use crate::status::whose::{self, Whose};
use crate::status::{Away, Status, age, queue};

/// Between two looks while all is well.
const INTERVAL: Duration = Duration::from_secs(15);
/// The same while a server is away or consumers are missing, so that its return is soon known.
const INTERVAL_IN_TROUBLE: Duration = Duration::from_secs(3);
/// Rows are counted for a reader only, and no more often than this while nothing is loaded.
const COUNT_INTERVAL: Duration = Duration::from_mins(1);
/// While something is, counting takes no more than this part of the time: rows of large tables take
/// seconds to count.
const COUNT_SHARE: u32 = 10;
/// What the clocks of two machines may differ by.
const SKEW: SignedDuration = SignedDuration::from_secs(2);
/// Longer than a look takes even while both servers are silent.
const STUCK: Duration = Duration::from_mins(3);

/// What was seen last.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// None before the first look.
    pub(crate) status: Option<Status>,
    /// The last hour, the oldest first; at least one minute once something was seen.
    pub(crate) minutes: VecDeque<Minute>,
    pub(crate) pipeline: Pipeline,
    looked: Instant,
}

/// Where readers look.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    seen: watch::Receiver<Arc<Seen>>,
    context: Context,
    ownership: Ownership,
    counts_wanted: Arc<AtomicBool>,
    ending: CancellationToken,
}

/// Who looks.
pub(crate) struct Watcher {
    pipeline: Pipeline,
    max_age: Duration,
    context: Context,
    readers: Readers,
    ownership: Ownership,
    copies: Copies,
    looker: Looker,
    metrics: Metrics,
    troubles: Troubles,
    sender: watch::Sender<Arc<Seen>>,
    counts: Option<Arc<Counts>>,
    counts_wanted: Arc<AtomicBool>,
    prover: Prover,
    rows_before: u64,
}

/// Both sides; the watcher is to be [run](Watcher::run).
pub(crate) fn watch(
    (pipeline, max_age): (Pipeline, Duration),
    context: Context,
    database: Database,
    (readers, ownership): (Readers, Ownership),
    metrics: Metrics,
    troubles: Troubles,
    ending: CancellationToken,
) -> (Watch, Watcher) {
    metrics.belongs_to(&pipeline);
    let nothing = Seen {
        status: None,
        minutes: VecDeque::new(),
        pipeline: pipeline.clone(),
        looked: Instant::now(),
    };
    let (sender, seen) = watch::channel(Arc::new(nothing));
    // The first look counts.
    let counts_wanted = Arc::new(AtomicBool::new(true));
    let watch = Watch {
        seen,
        context: context.clone(),
        ownership: ownership.clone(),
        counts_wanted: Arc::clone(&counts_wanted),
        ending,
    };
    let prover = Prover::new(database.clone(), SKEW);
    let watcher = Watcher {
        pipeline,
        max_age,
        context,
        readers,
        ownership,
        copies: Copies::default(),
        looker: Looker::new(database),
        metrics,
        troubles,
        sender,
        counts: None,
        counts_wanted,
        prover,
        rows_before: 0,
    };
    (watch, watcher)
}

impl Watch {
    /// For a reader of the metrics.
    pub(crate) fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen.borrow())
    }

    /// For a reader of the page, who wants to know how many rows there are.
    pub(crate) fn seen_whole(&self) -> Arc<Seen> {
        self.counts_wanted.store(true, Ordering::Relaxed);
        self.seen()
    }

    /// # Errors
    /// In words, when the watcher looks no more.
    pub(crate) fn alive(&self) -> Result<(), String> {
        let silent = self.seen().looked.elapsed();
        if silent < STUCK {
            Ok(())
        } else {
            Err(format!("stuck: has not looked around for {} s", silent.as_secs()))
        }
    }

    /// Whether batches that come now would be loaded.
    ///
    /// # Errors
    /// In words, why not.
    pub(crate) fn ready(&self) -> Result<(), String> {
        if self.ending.is_cancelled() {
            return Err("ending".to_owned());
        }
        if self.context.client().connection_state() != State::Connected {
            return Err("NATS is out of reach; is it running?".to_owned());
        }
        self.ownership.ready()?;
        let seen = self.seen();
        let Some(status) = &seen.status else {
            return Err("starting".to_owned());
        };
        if let Err(away) = &status.store {
            return Err(away.words.clone());
        }
        let queue = status.queue.as_ref().map_err(|away| away.words.clone())?;
        if let Some(resource) = queue.unserved().next() {
            return Err(format!("the consumer of {resource} is not set up"));
        }
        if let Some((resource, trouble)) = queue.troubles().next() {
            return Err(format!("{resource} is not loaded: {}", trouble.words));
        }
        Ok(())
    }

    /// Whether every table that is read by and by was fetched within this time.
    ///
    /// # Errors
    /// In words, what is older.
    pub(crate) fn fresh(&self, max_age: Duration) -> Result<(), String> {
        let seen = self.seen();
        let status = seen.status.as_ref().ok_or_else(|| "starting".to_owned())?;
        let too_old = age::too_old(&Status { max_age, ..status.clone() });
        too_old.map_or(Ok(()), Err)
    }
}

impl Watcher {
    /// Looks until nobody is left to tell.
    pub(crate) async fn run(mut self) {
        while !self.sender.is_closed() {
            let status = self.look().await;
            self.metrics.saw(&status);
            let in_trouble = status.store.is_err()
                || status.queue.as_ref().map_or(true, |queue| {
                    queue.unserved().next().is_some() || queue.troubles().next().is_some()
                });
            let minutes = self.minutes(&status);
            let pipeline = self.pipeline.clone();
            let seen = Seen { status: Some(status), minutes, pipeline, looked: Instant::now() };
            self.sender.send_replace(Arc::new(seen));
            tokio::time::sleep(if in_trouble { INTERVAL_IN_TROUBLE } else { INTERVAL }).await;
        }
    }

    async fn look(&mut self) -> Status {
        let client = self.context.client();
        self.metrics.nats_connections(client.statistics().connects.load(Ordering::Relaxed));
        let (mut queue, store) =
            tokio::join!(queue::look(&self.context, &self.readers), self.looker.look());
        if let Ok(queue) = &mut queue {
            self.troubles.compare(queue);
        }
        let mut uncounted = None;
        if let Ok(store) = &store
            && self.is_count_due(store)
        {
            match self.looker.count(&store.missing).await {
                Ok(counts) => {
                    self.counts_wanted.store(false, Ordering::Relaxed);
                    self.counts = Some(Arc::new(counts));
                }
                Err(away) => uncounted = Some(away),
            }
        }
        self.prover.look(store.as_ref().ok());
        let whose = self.whose(&store).await;
        Status {
            pipeline: self.pipeline.clone(),
            max_age: self.max_age,
            at: Timestamp::now(),
            queue,
            store,
            counts: self.counts.clone(),
            uncounted,
            proof: self.prover.proof(),
            unproven: self.prover.unproven(),
            whose,
        }
    }

    /// As far as it is known without comparing, which is not this one's.
    async fn whose(&mut self, store: &Result<Store, Away>) -> Whose {
        Whose {
            foreign: self.ownership.foreign().map(|foreign| foreign.to_string()),
            absent: Vec::new(),
            gone: store.as_ref().map(|store| store.gone.clone()).unwrap_or_default(),
            copies: whose::copies(&mut self.copies, &self.context, &self.readers).await,
        }
    }

    fn is_count_due(&self, store: &Store) -> bool {
        let is_old = self.counts.as_ref().is_none_or(|counts| {
            // By the clocks of two machines: seconds before and after count as after.
            let is_outdated = store.last_load().is_some_and(|loaded| loaded + SKEW > counts.at);
            let rest = counts.took * COUNT_SHARE;
            let pause = if is_outdated { rest } else { rest.max(COUNT_INTERVAL) };
            Timestamp::now().duration_since(counts.at).unsigned_abs() >= pause
        });
        is_old && self.counts_wanted.load(Ordering::Relaxed)
    }

    /// The last hour, with what is new in its last minute.
    fn minutes(&mut self, status: &Status) -> VecDeque<Minute> {
        let rows_now = self.metrics.rows_received();
        let rows = rows_now.saturating_sub(self.rows_before);
        self.rows_before = rows_now;
        let lag = status.queue.as_ref().ok().map(queue::Queue::unloaded);
        let number = status.at.as_second().div_euclid(60);
        minutes::with(self.sender.borrow().minutes.clone(), Minute { number, rows, lag })
    }
}
