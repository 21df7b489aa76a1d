//! The connections to Postgres: so many at once, for whoever has waited longest. None of them is held by
//! a batch that waits for something.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use shared::exit::chain;
use shared::retry::Delays;
use shared::telemetry::RAW_CLIENT;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::applier::{Applier, WriteError};
use super::gate::{Gate, Trying};
use crate::apply::fits::Fits;
use crate::apply::settings::ApplySettings;
use crate::ownership::Ownership;
use crate::postgres::database::Database;

/// Waits between attempts to reach Postgres; they are spread by half.
pub(crate) const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// All connections of a loader.
#[derive(Debug)]
pub(crate) struct Pool {
    database: Database,
    settings: ApplySettings,
    ownership: Ownership,
    /// How much of each table fits into the time.
    pub(crate) fits: Fits,
    free: Semaphore,
    idle: Mutex<Vec<Applier>>,
    line: Line,
}

/// Whether Postgres is there.
#[derive(Debug)]
struct Line {
    gate: Gate,
    outage: Mutex<Outage>,
}

#[derive(Debug)]
struct Outage {
    delays: Delays,
    /// Since when, and by what words.
    told: Option<(Instant, String)>,
}

/// A connection, for one attempt.
#[derive(Debug)]
pub(crate) struct Lent<'a> {
    pool: &'a Pool,
    applier: Option<Applier>,
    /// Set where Postgres was out of reach, and this one tries.
    trying: Option<Trying<'a>>,
    _place: SemaphorePermit<'a>,
}

impl Pool {
    pub(crate) fn new(
        database: Database,
        settings: ApplySettings,
        ownership: Ownership,
        connections: usize,
    ) -> Self {
        let outage = Outage { delays: Delays::forever(FIRST_DELAY, LONGEST_DELAY), told: None };
        Self {
            database,
            settings,
            ownership,
            fits: Fits::default(),
            free: Semaphore::new(connections),
            idle: Mutex::new(Vec::new()),
            line: Line { gate: Gate::default(), outage: Mutex::new(outage) },
        }
    }

    /// Waits for a connection, and while Postgres is out of reach. None if it was lost meanwhile: ask again.
    pub(crate) async fn lend(&self) -> Option<Lent<'_>> {
        let trying = self.line.gate.pass().await;
        let place = self.free.acquire().await.ok()?;
        // It was lost while this one waited for its place.
        if trying.is_none() && !self.line.gate.is_open() {
            return None;
        }
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let applier = idle.unwrap_or_else(|| self.applier());
        Some(Lent { pool: self, applier: Some(applier), trying, _place: place })
    }

    /// A connection that is made when it is needed.
    fn applier(&self) -> Applier {
        let Self { database, settings, ownership, fits, .. } = self;
        Applier::new(database.clone(), settings.clone(), fits.clone()).telling(ownership.clone())
    }

    /// Waits until Postgres is there, as far as is known.
    pub(crate) async fn reachable(&self) {
        self.line.gate.opened().await;
    }

    /// Takes leave of the server.
    pub(crate) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for applier in idle {
            applier.close().await;
        }
    }
}

impl Lent<'_> {
    pub(crate) fn applier(&mut self) -> &mut Applier {
        self.applier.get_or_insert_with(|| self.pool.applier())
    }

    /// Postgres has answered, whatever it said.
    pub(crate) fn answered(&self) {
        let line = &self.pool.line;
        if !line.gate.open() {
            return;
        }
        let mut outage = line.outage();
        outage.delays.reset();
        if let Some((since, _)) = outage.told.take() {
            info!(target: RAW_CLIENT, "Postgres answers again, after {:.1} s", since.elapsed().as_secs_f64());
        }
    }

    /// The connection was lost, or there is none to be had. Everybody waits for a while, and then one
    /// tries.
    pub(crate) fn lost(&self, error: &WriteError) {
        let line = &self.pool.line;
        if self.trying.is_none() && !line.gate.is_open() {
            return;
        }
        let mut outage = line.outage();
        let delay = outage.delays.next_delay().unwrap_or(LONGEST_DELAY);
        line.gate.close(Instant::now() + delay);
        let (words, seconds) = (chain(error), delay.as_secs_f64());
        let told = outage.told.take();
        if told.as_ref().is_none_or(|(_, told)| *told != words) {
            warn!(target: RAW_CLIENT, "Postgres is in trouble, next attempt in {seconds:.1} s: {words}");
        } else {
            debug!(target: RAW_CLIENT, "Postgres is still in trouble, next attempt in {seconds:.1} s");
        }
        let since = told.map_or_else(Instant::now, |(since, _)| since);
        outage.told = Some((since, words));
    }
}

impl Line {
    fn outage(&self) -> std::sync::MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(applier) = self.applier.take() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(applier);
        }
    }
}
