//! What a loader knows of its tables: how much of each is in hand, and what does not get through.
//!
//! A table whose last attempt failed, by something that is not the connection, is not pulled from, and
//! its batches try one after the other. What was to be applied does not get lost over that: the server
//! keeps it, and what is in hand is held.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use shared::catalogue::CATALOGUE;
use shared::consumer::Trouble;
use shared::resource::Resource;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::gate::Gate;
use crate::apply::applied::Applied;

/// Trouble that passes by itself is nobody's business before.
const MOMENT: Duration = Duration::from_secs(30);

/// All of them.
#[derive(Debug)]
pub(crate) struct Tables(HashMap<&'static str, Table>);

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) resource: &'static Resource,
    /// Closed after a failure, until one gets through.
    pub(crate) gate: Gate,
    /// Connections that it may have at once: all but one, so that the others get on.
    places: Semaphore,
    /// Batches in hand: decoded or on their way, as many again as are applied.
    room: Arc<Semaphore>,
    /// Whether the last batch brought nothing new, so that the next one may not have to be read.
    is_still: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What does not get through, by place in the stream.
    failing: BTreeMap<i64, Failing>,
    /// When a batch last got through.
    loaded: Option<Instant>,
}

/// A batch that failed, and has not got through since.
#[derive(Debug, Clone)]
struct Failing {
    since: Timestamp,
    cause: Cause,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    /// In one line, with what to do.
    pub(crate) words: String,
    /// Whether somebody has to mend something first.
    pub(crate) is_to_be_mended: bool,
}

impl Tables {
    pub(crate) fn new(connections: usize) -> Self {
        let tables = CATALOGUE.iter().map(|r| (r.name, Table::new(r, connections)));
        Self(tables.collect())
    }

    /// None for a resource that is not in the catalogue.
    pub(crate) fn find(&self, resource: &Resource) -> Option<&Table> {
        self.0.get(resource.name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Table> {
        self.0.values()
    }
}

impl Table {
    fn new(resource: &'static Resource, connections: usize) -> Self {
        let places = connections.saturating_sub(1).max(1);
        Self {
            resource,
            gate: Gate::default(),
            places: Semaphore::new(places),
            room: Arc::new(Semaphore::new(2 * places)),
            is_still: AtomicBool::new(true),
            state: Mutex::new(State { failing: BTreeMap::new(), loaded: None }),
        }
    }

    /// Waits until another batch is wanted; none is while the table is in trouble.
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            self.gate.opened().await;
            let room = Arc::clone(&self.room).acquire_owned().await.ok()?;
            if self.gate.is_open() {
                return Some(room);
            }
        }
    }

    /// Waits for the right to a connection.
    pub(crate) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.places.acquire().await.ok()
    }

    /// Whether the next batch is likely to bring nothing new. Being wrong costs time and nothing else.
    pub(crate) fn is_still(&self) -> bool {
        self.is_still.load(Ordering::Relaxed)
    }

    /// What a batch did that got through.
    pub(crate) fn learn(&self, applied: &Applied) {
        self.is_still.store(applied.unchanged == applied.received, Ordering::Relaxed);
    }

    /// A batch got through. How long its table was in trouble, if it is so no longer.
    pub(crate) fn succeeded(&self, sequence: i64) -> Option<Duration> {
        let mut state = self.state();
        state.loaded = Some(Instant::now());
        let healed = state.failing.remove(&sequence)?;
        let seconds = Timestamp::now().duration_since(healed.since).unsigned_abs();
        state.failing.is_empty().then_some(seconds)
    }

    /// A batch that failed is no longer in hand.
    pub(crate) fn forget(&self, sequence: i64) {
        self.state().failing.remove(&sequence);
    }

    /// A batch failed. True if that is news.
    pub(crate) fn failed(&self, sequence: i64, cause: &Cause) -> bool {
        let mut state = self.state();
        let is_news = state.failing.values().all(|failing| failing.cause != *cause);
        let now = Timestamp::now();
        let failing = state
            .failing
            .entry(sequence)
            .or_insert_with(|| Failing { since: now, cause: cause.clone() });
        failing.cause.clone_from(cause);
        is_news
    }

    /// What keeps it from being loaded, for more than a moment.
    pub(crate) fn trouble(&self, now: Timestamp) -> Option<Trouble> {
        let state = self.state();
        let long = |failing: &&Failing| {
            failing.cause.is_to_be_mended
                || now.duration_since(failing.since).unsigned_abs() >= MOMENT
        };
        let worst = state.failing.values().filter(long).max_by_key(|failing| {
            (failing.cause.is_to_be_mended, std::cmp::Reverse(failing.since))
        });
        worst.map(|Failing { since, cause }| Trouble { since: *since, words: cause.words.clone() })
    }

    /// Whether a batch got through after this.
    pub(crate) fn has_loaded_since(&self, moment: Instant) -> bool {
        self.state().loaded.is_some_and(|loaded| loaded > moment)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
